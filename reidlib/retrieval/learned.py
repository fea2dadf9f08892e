"""Distances learned on training features: XQDA, LDA, PCA.

Each is a linear map after which the Euclidean distance is the learned one, so that
everything that takes features takes the learned metric too:
`evaluate(metric.transform(query), metric.transform(gallery), ..., metric="euclidean")`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.linalg import eigh
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.ranking import Features, Ids, as_features, as_ids, check_choice

METHODS = ("xqda", "lda", "pca")
FORMAT = "reidlib.LearnedMetric/1"
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LearnedMetric:
    """x becomes (x - mean) @ projection.

    Attributes:
        method: "xqda", "lda" or "pca".
        mean: (D,).
        projection: (D, d).
    """

    method: str
    mean: Doubles
    projection: Doubles

    def transform(self, features: Features) -> NDArray[np.float32]:
        """(N, D) to (N, d); Euclidean distances there are the learned ones.

        Raises:
            ReIDConfigError: another width than that of the training features.
            ReIDDataError: empty, NaN or infinity.
        """
        rows = as_features(features, "features").cpu().numpy().astype(np.float64)
        if rows.shape[1] != len(self.mean):
            raise ReIDConfigError(
                f"features have {rows.shape[1]} columns and the {self.method} was "
                f"learned on {len(self.mean)}; extract both with the same encoder."
            )
        return ((rows - self.mean) @ self.projection).astype(np.float32)

    def save(self, path: Path | str) -> None:
        """Write one safetensors file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".part")
        tensors = {
            "mean": np.ascontiguousarray(self.mean),
            "projection": np.ascontiguousarray(self.projection),
        }
        note = {"format": FORMAT, "about": json.dumps({"method": self.method})}
        save_file(tensors, aside, note)
        aside.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> LearnedMetric:
        """Read what `save` wrote; ReIDDataError if it is not that."""
        try:
            with safe_open(path, framework="numpy") as file:
                note = file.metadata() or {}
                if note.get("format") != FORMAT:
                    raise ReIDDataError(
                        f"{path} is not a learned metric; give what `save` wrote."
                    )
                method = json.loads(note["about"])["method"]
                return cls(
                    method, file.get_tensor("mean"), file.get_tensor("projection")
                )
        except (OSError, SafetensorError) as error:
            raise ReIDDataError(
                f"{path} cannot be read as a learned metric ({error}); save it again."
            ) from error


def fit_metric(
    features: Features,
    pids: Ids,
    camids: Ids = None,
    *,
    method: str = "xqda",
    n_components: int | None = None,
    shrinkage: float = 0.01,
) -> LearnedMetric:
    """Learn a distance on training images, never on those of the test.

    "xqda" (Liao et al., CVPR 2015, section 4): of pairs in different cameras, the
    directions in which different people differ more than one person does. "lda":
    scikit-learn's, on identities. "pca": scikit-learn's, whitened; learns no ids.

    Args:
        features: (N, D); at length one if they are compared by cosine.
        pids: (N,) identities; junk and distractors (pid below 1) are left out.
        camids: (N,) cameras, for "xqda".
        method: one of the three.
        n_components: d at most; by default all that the method finds useful.
        shrinkage: in [0, 1]; the covariance within people is drawn so far towards
            the same variance in every direction. "pca" needs none.

    Raises:
        ReIDConfigError: an option out of range, or ids that do not fit.
        ReIDDataError: too few identities or cameras to learn from; bad features.
    """
    check_choice("method", method, METHODS)
    if not 0 <= shrinkage <= 1:
        raise ReIDConfigError(f"shrinkage is {shrinkage}; give 0 to 1.")
    if n_components is not None and n_components < 1:
        raise ReIDConfigError(f"n_components is {n_components}; give 1 or more.")
    rows = as_features(features, "features").cpu().numpy().astype(np.float64)
    people = as_ids(pids, "pids", len(rows))
    if method == "xqda" and camids is None:
        raise ReIDConfigError("xqda learns across cameras; give camids, or take lda.")
    cameras = as_ids(people if camids is None else camids, "camids", len(rows))
    kept = people > 0
    rows, people, cameras = rows[kept], people[kept], cameras[kept]
    count = len(np.unique(people))
    if count < 2 or count == len(people):
        raise ReIDDataError(
            f"{len(people)} images of {count} identities teach no distance; give two "
            "identities or more, and several images of each."
        )
    if method == "pca":
        fewer = min(n_components or len(rows), *rows.shape)
        pca = PCA(fewer, whiten=True, random_state=0).fit(rows)
        kept = pca.explained_variance_ > 1e-12 * pca.explained_variance_[0]
        scale = np.sqrt(pca.explained_variance_[kept])
        return LearnedMetric("pca", pca.mean_, pca.components_[kept].T / scale)
    if method == "lda":
        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
        try:
            lda.fit(rows, people)
        except np.linalg.LinAlgError as error:
            raise _singular(shrinkage) from error
        useful = min(n_components or count, count - 1, rows.shape[1])
        return LearnedMetric("lda", rows.mean(axis=0), lda.scalings_[:, :useful])
    projection = _xqda(rows, people, cameras, shrinkage, n_components)
    return LearnedMetric("xqda", rows.mean(axis=0), projection)


def _xqda(
    rows: Doubles,
    people: NDArray[np.int64],
    cameras: NDArray[np.int64],
    shrinkage: float,
    n_components: int | None,
) -> Doubles:
    """Directions w with a ratio r of variances above 1, scaled by sqrt(1 - 1/r).

    In the basis where the covariance of one person's differences is the identity and
    that of different people's is diag(r), the kernel (identity - diag(1/r)) of the
    learned distance is diagonal and positive.
    """
    same, n_same = np.zeros((rows.shape[1], rows.shape[1])), 0
    for pid in np.unique(people):
        mine = people == pid
        scatter, pairs = _across(rows[mine], cameras[mine])
        same, n_same = same + scatter, n_same + pairs
    every, n_every = _across(rows, cameras)
    if n_same == 0 or n_every == n_same:
        raise ReIDDataError(
            "xqda finds no pair of one person, or of two, in different cameras; check "
            "pids and camids, or take lda."
        )
    other = (every - same) / (n_every - n_same)
    same = same / n_same
    level = np.trace(same) / len(same)
    same = (1 - shrinkage) * same + shrinkage * level * np.eye(len(same))
    try:
        ratios, basis = eigh(other, same)
    except np.linalg.LinAlgError as error:
        raise _singular(shrinkage) from error
    ratios, basis = ratios[::-1], basis[:, ::-1]
    useful = int((ratios > 1 + 1e-9).sum())
    if useful == 0:
        raise ReIDDataError(
            "different people differ no more than one person does in any direction; "
            "there is nothing for xqda to learn."
        )
    useful = min(useful, n_components or useful)
    return basis[:, :useful] * np.sqrt(1 - 1 / ratios[:useful])


def _across(rows: Doubles, cameras: NDArray[np.int64]) -> tuple[Doubles, int]:
    """Sum of (x - z)(x - z)^T over pairs in different cameras, and their number.

    From sums, not pairs: sum over i of n_i x_i x_i^T, n_i images in other cameras,
    minus the products of the cameras' sums.
    """
    names, camera, counts = np.unique(cameras, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, camera, rows)
    others = len(rows) - counts[camera]
    total = sums.sum(axis=0)
    crossed = np.outer(total, total) - sums.T @ sums
    return (rows * others[:, None]).T @ rows - crossed, int(others.sum()) // 2


def _singular(shrinkage: float) -> ReIDDataError:
    return ReIDDataError(
        f"the covariance within people is singular at shrinkage={shrinkage}; raise the "
        "shrinkage, or reduce the features first."
    )
