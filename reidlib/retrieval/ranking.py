"""The ranked list that metrics, re-ranking, search and pictures share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.pooling import check_pooled, pooled_by
from reidlib.retrieval.protocols import (
    PROTOCOLS,
    Conventions,
    Options,
    check_choice,
    check_count,
    conventions,
)
from reidlib.retrieval.scores import (
    BLOCK_ITEMS,
    Blocks,
    Features,
    as_array,
    as_features,
    distance_blocks,
    distance_shape,
    feature_pair,
    product,
    score_blocks,
)
from reidlib.retrieval.truth import FourIds, Ids, Truth, as_ids

__all__ = [
    "BLOCK_ITEMS",
    "PROTOCOLS",
    "Features",
    "Ids",
    "Ranking",
    "Truth",
    "as_array",
    "as_features",
    "as_ids",
    "check_choice",
    "feature_pair",
    "nearest",
    "product",
]


def nearest(
    scores: NDArray[Any], k: int, last: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The k highest of (N,) scores, best first; ties: not `last` first, then index."""
    floor = np.partition(scores, len(scores) - k)[len(scores) - k]
    found = np.flatnonzero(scores >= floor)
    ties = np.zeros(len(found), bool) if last is None else last[found]
    return found[np.lexsort((ties, -scores[found]))[:k]]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The nearest gallery images of every query, nearest first.

    The rows keep junk, marked; `top` leaves it out. Equal distances: an image that
    is not relevant comes before one that is (the worst case, as in `evaluate`),
    then the lower gallery index.

    Attributes:
        indices: (Q, k) int64, rows of the gallery.
        distances: (Q, k); 1 - cosine, Euclidean, or as given.
        valid: (Q, k) bool; False = junk for this query.
        relevant: (Q, k) bool; the query's identity in another camera.
        n_gallery: G, so that one can tell a whole ranking from its top.
    """

    indices: NDArray[np.int64]
    distances: NDArray[Any]
    valid: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    n_gallery: int

    @classmethod
    def from_features(
        cls,
        query_features: Features,
        gallery_features: Features,
        query_pids: Ids = None,
        gallery_pids: Ids = None,
        query_camids: Ids = None,
        gallery_camids: Ids = None,
        *,
        protocol: str = "market1501",
        metric: str = "cosine",
        top_k: int = 50,
        **options: Unpack[Options],
    ) -> Ranking:
        """Rank by features (Q, D) and (G, D); arguments and errors as in `evaluate`.

        Without the four vectors of ids (a search) all is valid, nothing relevant.
        Under a multi-query protocol the rows are the pooled queries.
        """
        rules = conventions(protocol, options)
        query, gallery = feature_pair(query_features, gallery_features)
        if query_pids is not None:
            query, query_pids, query_camids = pooled_by(
                rules.multi_query, query, query_pids, query_camids, metric
            )
        ids = (query_pids, gallery_pids, query_camids, gallery_camids)
        blocks = score_blocks(query, gallery, metric)
        ranking = cls._build(blocks, (len(query), len(gallery)), ids, rules, top_k)
        if metric == "cosine":
            distances = 1 - ranking.distances
        else:
            norms = query.square().sum(dim=1).cpu().numpy()[:, None]
            distances = np.sqrt(np.maximum(norms - 2 * ranking.distances, 0))
        return replace(ranking, distances=distances)

    @classmethod
    def from_distances(
        cls,
        distances: Features,
        query_pids: Ids = None,
        gallery_pids: Ids = None,
        query_camids: Ids = None,
        gallery_camids: Ids = None,
        *,
        protocol: str = "market1501",
        top_k: int = 50,
        **options: Unpack[Options],
    ) -> Ranking:
        """Rank by a given (Q, G) matrix, such as re-ranked distances."""
        rules = conventions(protocol, options)
        shape = distance_shape(distances)
        ids = (query_pids, gallery_pids, query_camids, gallery_camids)
        blocks = distance_blocks(distances)
        ranking = cls._build(blocks, shape, ids, rules, top_k, given=True)
        return replace(ranking, distances=-ranking.distances)

    @classmethod
    def _build(
        cls,
        blocks: Blocks,
        shape: tuple[int, int],
        ids: FourIds,
        rules: Conventions,
        top_k: int,
        given: bool = False,
    ) -> Ranking:
        """The ranking with scores in the place of distances."""
        check_count("top_k", top_k)
        if all(vector is None for vector in ids):  # no identity in common
            ones, zeros = np.ones(shape[1], int), np.zeros(shape[0], int)
            ids = (zeros, ones, zeros, ones)
            given = False
        truth = Truth(shape, ids, rules)
        if given:
            check_pooled(truth.query_pids, truth.query_camids, rules.multi_query)
        k = min(top_k, shape[1])
        indices = np.empty((shape[0], k), np.int64)
        valid, relevant = np.ones((2, shape[0], k), bool)
        kept = []
        for start, block in blocks:
            for query, scores in enumerate(as_array(block), start):
                matches, junk = truth.split(query)
                match = np.zeros(shape[1], bool)
                match[matches] = True
                counts = np.ones(shape[1], bool)
                counts[truth.junk] = counts[junk] = False
                row = nearest(scores, k, last=match)
                indices[query], valid[query] = row, counts[row]
                relevant[query] = match[row]
                kept.append(scores[row])
        return cls(indices, np.stack(kept), valid, relevant, shape[1])

    def top(self, query: int, k: int, *, junk: bool = False) -> pd.DataFrame:
        """The first k valid images: columns rank (from 1), index, distance, relevant.

        With junk, the first k images of any kind; `rank` is 0 for what does not count.
        Fewer rows only when the gallery has no more; ReIDConfigError when the
        ranking was built with too small a top_k to know.
        """
        check_count("k", k)
        if not -len(self.indices) <= query < len(self.indices):
            raise ReIDConfigError(
                f"query {query} does not exist; the ranking holds {len(self.indices)}."
            )
        valid = self.valid[query]
        chosen = np.flatnonzero(valid | junk)[:k]
        width = self.indices.shape[1]
        if len(chosen) < k and width < self.n_gallery:
            raise ReIDConfigError(
                f"query {query} has {len(chosen)} valid images, not {k}, among its "
                f"first {width}; build the Ranking with a larger top_k."
            )
        return pd.DataFrame(
            {
                "rank": (np.cumsum(valid) * valid)[chosen],
                "index": self.indices[query, chosen],
                "distance": self.distances[query, chosen],
                "relevant": self.relevant[query, chosen],
            }
        )
