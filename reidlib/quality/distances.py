"""What a feature network sees in drawings: realism, identity, diversity."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.quality.intervals import Rows, bootstrap_rows
from reidlib.retrieval import Interval, RetrievalResult, evaluate


def reid_fid(real: Tensor, drawn: Tensor) -> float:
    """Fréchet distance of two sets of features, seen as Gaussians.

    The square of the distance of the means, plus the trace of S + S' - 2 (S S')^(1/2)
    of the covariances. With R2's features it is our ReID-FID; its values do not
    compare with those of an Inception network, nor with those of another R2. Fewer
    pictures than features give too large a value: compare sets of equal size.

    Args:
        real: (N, D) features of real pictures.
        drawn: (M, D) features of drawings.

    Returns:
        At least 0, in squared units of the features. D = 2048 takes some 5 s.

    Raises:
        ReIDDataError: fewer than two rows, no finite numbers, or all real features
            equal.
        ReIDConfigError: other shapes.
    """
    check_features(real, "real")
    if drawn.dim() != 2 or drawn.shape[1] != real.shape[1]:
        raise ReIDConfigError(
            f"the features have shapes {tuple(real.shape)} and {tuple(drawn.shape)}; "
            "give (N, D) and (M, D) of one network."
        )
    check_features(drawn, "drawn", vary=False)
    metric = FrechetInceptionDistance(_Given(real.shape[1])).to(real.device)
    centre = real.double().mean(0)  # its sums of squares lose less near 0
    metric.update(real.double() - centre, real=True)
    metric.update(drawn.to(real.device).double() - centre, real=False)
    return max(float(metric.compute()), 0.0)


class _Given(nn.Identity):
    """The metric's feature network, for features that are there already."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features


@dataclass(frozen=True)
class Retention:
    """How well drawings retrieve their person, beside the pictures they come from.

    Attributes:
        drawn: `evaluate` with the drawings as queries.
        real: the same with the source pictures.
    """

    drawn: RetrievalResult
    real: RetrievalResult

    def share(
        self, metric: str = "rank1", *, n_boot: int = 1000, seed: int = 0
    ) -> Interval:
        """The drawings' "rank<k>", "mAP" or "mINP" as a share of the real one."""
        values, whole = self.drawn.per_query(metric), self.real.per_query(metric)
        return share(values, whole, self.drawn.query_pids, n_boot=n_boot, seed=seed)


def retention(
    drawn: Tensor,
    sources: Tensor,
    gallery: Tensor,
    pids: ArrayLike,
    camids: ArrayLike,
    gallery_pids: ArrayLike,
    gallery_camids: ArrayLike,
    **options: Any,
) -> Retention:
    """Does a drawing find its person among real pictures?

    A drawing keeps the camera of its source, so that neither the source itself nor
    its neighbours in time can be found.

    Args:
        drawn: (P, D) features of the drawings.
        sources: (P, D) features of the pictures they were drawn from, row by row.
        gallery: (G, D) features of real pictures.
        pids, camids: (P,) of the sources.
        gallery_pids, gallery_camids: (G,).
        options: of `reidlib.retrieval.evaluate`, as are the errors.

    Raises:
        ReIDConfigError: drawings and sources differ in shape.
        ReIDDataError: all features of the sources or of the gallery are equal.
    """
    if drawn.shape != sources.shape:
        raise ReIDConfigError(
            f"{tuple(drawn.shape)} features of drawings and {tuple(sources.shape)} of "
            "sources do not fit; give one source for each drawing."
        )
    check_features(sources, "sources'", vary=len(sources) > 1)
    check_features(gallery, "gallery", vary=len(gallery) > 1)
    people, cameras = np.asarray(pids), np.asarray(camids)
    others, theirs = np.asarray(gallery_pids), np.asarray(gallery_camids)
    results = [
        evaluate(q, gallery, people, others, cameras, theirs, **options)
        for q in (drawn, sources)
    ]
    return Retention(*results)


def share(
    values: ArrayLike,
    reference: ArrayLike,
    pids: ArrayLike,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean of values over the mean of reference values, over the rows that have both.

    NaN where the reference is 0 or no row is left; interval by `bootstrap_rows`.
    """
    a, b = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    both = np.isfinite(a) & np.isfinite(b)

    def ratio(rows: Rows) -> float:
        kept = rows[both[rows]]
        whole = b[kept].sum()
        return float(a[kept].sum() / whole) if whole else float("nan")

    return bootstrap_rows(ratio, pids, n_boot=n_boot, seed=seed)


def diversity(
    drawn: Tensor,
    real: Tensor,
    pids: ArrayLike,
    poses: ArrayLike,
    real_pids: ArrayLike | None = None,
    real_poses: ArrayLike | None = None,
) -> dict[str, float]:
    """How much drawings differ, as a share of how much real pictures do.

    A generator that has collapsed draws one picture for all poses, or for all people:
    shares near 0. Distances are root mean squares over pairs, of features or of
    flattened pictures.

    Args:
        drawn: (P, ...) features or pictures.
        real: (N, ...) the same of real pictures.
        pids, poses: (P,) person and pose cluster of each drawing. Of several drawings
            of one person in one cluster the first counts.
        real_pids, real_poses: (N,) of the real pictures; None: those of the drawings.

    Returns:
        "over poses", of one person, and "over persons", in one pose cluster; NaN where
        no person has two poses, or no cluster two persons.

    Raises:
        ReIDDataError: real pictures do not differ at all, or numbers are not finite.
    """
    check_features(drawn.flatten(1), "drawn", vary=False)
    check_features(real.flatten(1), "real")
    ids = [np.asarray(v) for v in (pids, poses)]
    real_ids = [
        mine if v is None else np.asarray(v)
        for v, mine in zip((real_pids, real_poses), ids, strict=True)
    ]
    made, true = (
        _spreads(x.flatten(1).double().cpu().numpy(), *keys)
        for x, keys in ((drawn, ids), (real, real_ids))
    )
    return {
        name: float(np.sqrt(a / b)) if b > 0 else float("nan")
        for name, a, b in zip(("over poses", "over persons"), made, true, strict=True)
    }


def _spreads(values: NDArray[np.float64], pids: NDArray, poses: NDArray) -> list[float]:
    """Mean squared distance within a person, and within a pose; NaN without pairs."""
    cells = np.stack([pids, poses], axis=1)
    first = np.sort(np.unique(cells[poses != -1], axis=0, return_index=True)[1])
    kept = np.flatnonzero(poses != -1)[first]
    means = []
    for groups in (pids[kept], poses[kept]):
        squares = [_pair_square(values[kept[groups == g]]) for g in np.unique(groups)]
        known = [square for square in squares if square is not None]
        means.append(float(np.mean(known)) if known else float("nan"))
    return means


def _pair_square(rows: NDArray[np.float64]) -> float | None:
    """Mean squared distance over all pairs of n rows: 2 / (n - 1) sum |x - mean|^2."""
    if len(rows) < 2:
        return None
    return float(2 * ((rows - rows.mean(0)) ** 2).sum() / (len(rows) - 1))


def check_features(features: Tensor, name: str, *, vary: bool = True) -> None:
    """Refuse features that no distance can be taken of.

    Raises:
        ReIDConfigError: not (N, D).
        ReIDDataError: NaN or infinity; where they must vary, fewer than two rows or
            all rows equal.
    """
    if features.dim() != 2:
        raise ReIDConfigError(
            f"the {name} features have shape {tuple(features.shape)}; give (N, D)."
        )
    if not features.isfinite().all():
        raise ReIDDataError(
            f"the {name} features hold NaN or infinity; look at the pictures and at "
            "the network that made them."
        )
    if not vary:
        return
    if len(features) < 2:
        raise ReIDDataError(
            f"there are {len(features)} {name} features; give two or more."
        )
    if (features == features[0]).all():
        raise ReIDDataError(
            f"all {len(features)} {name} features are equal; the network that made "
            "them has collapsed, or the pictures are one: train it again."
        )
