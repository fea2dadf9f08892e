"""Do the features of one person form a cluster of their own?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.metrics.cluster import pair_confusion_matrix

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.ranking import Features, Ids, as_features, as_ids, check_choice

METHODS = ("kmeans", "agglomerative")
MAX_TREE = 10_000  # images; agglomeration keeps all their distances


@dataclass(frozen=True)
class ClusterQuality:
    """How well clusters of the features agree with the identities.

    Attributes:
        silhouette: of the identities themselves, in [-1, 1]; no clustering needed.
        nmi: normalised mutual information (arithmetic mean), in [0, 1].
        ari: adjusted Rand index, at most 1, 0 for chance.
        precision: share of the pairs in one cluster that are one person.
        recall: share of the pairs of one person that are in one cluster.
        n_images, n_identities: that took part.
    """

    silhouette: float
    nmi: float
    ari: float
    precision: float
    recall: float
    n_images: int
    n_identities: int

    @property
    def f_score(self) -> float:
        """Harmonic mean of the pairwise precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def cluster_quality(
    features: Features,
    pids: Ids,
    *,
    method: str = "kmeans",
    metric: str = "cosine",
    max_images: int = 5000,
    seed: int = 0,
) -> ClusterQuality:
    """Cluster with the true number of people, and compare with the truth.

    Junk (pid -1) and distractors (pid 0) are left out. There are no cameras here: an
    embedding that groups by camera looks worse, one that groups by clothes better.

    Args:
        features: (N, D).
        pids: (N,) identities.
        method: "kmeans" (3 starts), or "agglomerative" (average linkage).
        metric: "cosine" (rows at length one) or "euclidean".
        max_images: whole identities are drawn, by the seed, until the next would pass
            this number of images.
        seed: of the draw and of k-means.

    Raises:
        ReIDConfigError: an unknown option, ids that do not fit, too many images.
        ReIDDataError: fewer than two identities, or none with two images; and the
            features' own faults.
    """
    check_choice("method", method, METHODS)
    check_choice("metric", metric, ("cosine", "euclidean"))
    if method == "agglomerative" and max_images > MAX_TREE:
        raise ReIDConfigError(
            f"max_images is {max_images}, but agglomeration keeps the distances of "
            f"all pairs; give {MAX_TREE} or less, or take kmeans."
        )
    rows = as_features(features, "features").cpu().numpy()
    people = as_ids(pids, "pids", len(rows))
    kept = _drawn(people, max_images, seed)
    rows, people = rows[kept], people[kept]
    identities = np.unique(people)
    if not 2 <= len(identities) < len(people):
        raise ReIDDataError(
            f"{len(people)} images of {len(identities)} identities make no clusters; "
            "give two identities or more, and two images of one of them."
        )
    if metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(lengths > 0, lengths, 1)
    count = len(identities)
    if method == "kmeans":
        found = KMeans(count, n_init=3, random_state=seed).fit_predict(rows)
    else:  # squared chords and cosines rank alike
        found = AgglomerativeClustering(count, linkage="average").fit_predict(rows)
    (_, false), (missed, right) = pair_confusion_matrix(people, found)
    return ClusterQuality(
        silhouette=float(silhouette_score(rows, people)),
        nmi=float(normalized_mutual_info_score(people, found)),
        ari=float(adjusted_rand_score(people, found)),
        precision=float(right / max(right + false, 1)),
        recall=float(right / max(right + missed, 1)),
        n_images=len(people),
        n_identities=count,
    )


def _drawn(pids: np.ndarray, max_images: int, seed: int) -> np.ndarray:
    """Rows of whole identities, at most max_images of them."""
    people, counts = np.unique(pids[pids > 0], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(people))
    if counts.sum() > max_images:
        order = order[np.cumsum(counts[order]) <= max_images]
    return np.flatnonzero(np.isin(pids, people[order]))
