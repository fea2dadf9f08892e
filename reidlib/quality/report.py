"""Everything about drawings in one table: systems down, measures across."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.poser import Poser
from reidlib.quality import pictures
from reidlib.quality.baselines import cluster_means, nearest_pictures
from reidlib.quality.distances import diversity, reid_fid, retention, share
from reidlib.quality.intervals import Rows, bootstrap_rows, jackknife_rows
from reidlib.retrieval import Interval, interval
from reidlib.training import to_float
from reidlib.training.obedience import find_joints, pck

Extractor = Callable[[Tensor], Tensor]  # (P, 3, H, W) in [-1, 1] -> (P, D)
TRUTH = "truth"


@dataclass(frozen=True)
class Asked:
    """P drawings that are asked for, and what is known about each.

    Attributes:
        source: (P, 3, H, W) in [-1, 1], the pictures to draw from.
        truth: (P, 3, H, W), what should come out: the rendering without nuisance, or
            on real data the target photograph.
        points: (P, 25, 2) asked poses in image units, NaN where missing.
        pids: (P,) persons.
        camids: (P,) cameras of the sources.
        poses: (P,) cluster of each asked pose, -1 none (`PoseClusterer.predict`).
        mask: (P, H, W) the person in the truth; None: `pose_mask` of the points.
        photo: (P, 3, H, W) real pictures for the Fréchet distance; None: the truth.
    """

    source: Tensor
    truth: Tensor
    points: NDArray[np.floating]
    pids: NDArray[np.integer]
    camids: NDArray[np.integer]
    poses: NDArray[np.integer]
    mask: Tensor | None = None
    photo: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("truth", "points", "pids", "camids", "poses", "mask", "photo"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.source):
                raise ReIDConfigError(
                    f"there are {len(self.source)} sources but {len(value)} {name}; "
                    "give one of each for every drawing."
                )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return int(self.truth.shape[-2]), int(self.truth.shape[-1])

    @cached_property
    def person(self) -> Tensor:
        """(P, H, W) bool, the given mask or the one of the pose."""
        if self.mask is not None:
            return self.mask.bool()
        return pictures.pose_mask(self.points, self.size).to(self.truth.device)


@dataclass(frozen=True)
class Gallery:
    """Features (G, D) of real pictures, their persons and cameras (G,).

    Where it holds the photographs that were asked for, the row "truth" finds itself;
    leave them out to compare that row, too. ``protocol`` is that of `evaluate`; one
    that keeps the source's own camera needs a gallery without the sources.
    """

    features: Tensor
    pids: ArrayLike
    camids: ArrayLike
    protocol: str = "market1501"


def rivals(
    asked: Asked,
    images: Tensor,
    points: ArrayLike,
    labels: ArrayLike,
    *,
    sources: Tensor | None = None,
    features: Tensor | None = None,
) -> dict[str, Tensor]:
    """The trivial drawings, and the truth as the ceiling.

    Args:
        images: (N, 3, H, W) uint8 training pictures.
        points: (N, 25, 2) their poses.
        labels: (N,) their pose clusters.
        sources, features: R1 features of asked.source (P, D) and of the training
            pictures (N, D) for a nearest picture that also resembles the source.

    Returns:
        (P, 3, H, W) in [-1, 1] each: "copied source", "cluster mean", "nearest pose",
        with features also "nearest pose and look", and "truth".
    """
    size = asked.size
    near = nearest_pictures(asked.points, points, size)
    made = {
        "copied source": asked.source,
        "cluster mean": cluster_means(images, labels, asked.poses),
        "nearest pose": to_float(images[torch.as_tensor(near)]),
    }
    if features is not None:
        near = nearest_pictures(
            asked.points, points, size, sources=sources, features=features
        )
        made["nearest pose and look"] = to_float(images[torch.as_tensor(near)])
    return made | {TRUTH: asked.truth}


def scores(made: Tensor, asked: Asked, judge: Poser | None = None) -> pd.DataFrame:
    """The numbers that every single picture has.

    Returns:
        (P rows) ssim, l1, person ssim, person l1, edges (`pictures.edges`) and, with a
        judge, pck; NaN where a picture has none.
    """
    mask = asked.person
    whole, field = pictures.ssim_map(made, asked.truth)
    columns = {
        "ssim": whole,
        "l1": pictures.l1(made, asked.truth),
        "person ssim": pictures.mean_inside(field, mask),
        "person l1": pictures.masked_l1(made, asked.truth, mask),
        "edges": pictures.edges(made, mask),
    }
    frame = pd.DataFrame({k: v.double().cpu().numpy() for k, v in columns.items()})
    if judge is not None:
        frame["pck"] = pck(find_joints(judge, made), asked.points, asked.size)
    return frame


def quality(
    systems: Mapping[str, Tensor],
    asked: Asked,
    *,
    judge: Poser | None = None,
    extractor: Extractor | None = None,
    gallery: Gallery | None = None,
    n_boot: int = 1000,
    groups: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Every measure of every system, each with its 95 % interval over identities.

    Args:
        systems: name -> (P, 3, H, W) pictures, with "truth" among them: pose accuracy
            is also given as a share of what the judge reaches there.
        judge: for pck.
        extractor: R2's features, for the Fréchet distance and diversity.
        gallery: of R2's features of real pictures, for retention.
        n_boot: draws of the bootstrap.
        groups: of the jackknife, for Fréchet distance and diversity.
        seed: of the draws.

    Returns:
        One row per system; columns (measure, "value" / "low" / "high"). Measures
        without a number are NaN. "edges share" and "pck share" are relative to
        the truth, "rank1 share" and "mAP share" to the sources.

    Raises:
        ReIDConfigError: no "truth", or a gallery without extractor.
        ReIDDataError: fewer than two identities.
    """
    if TRUTH not in systems or (gallery is not None and extractor is None):
        raise ReIDConfigError(
            "the systems need the 'truth' among them, and a gallery needs the "
            "extractor that made its features."
        )
    if len(np.unique(asked.pids)) < 2:
        raise ReIDDataError("an interval needs drawings of two or more identities.")
    boot = {"n_boot": n_boot, "seed": seed}
    truth = scores(asked.truth, asked, judge)
    known = None if extractor is None else _known(asked, extractor, gallery)
    rows: dict[str, dict] = {}
    for name, made in systems.items():
        single = scores(made, asked, judge)
        found = {str(k): _mean(v, asked.pids, **boot) for k, v in single.items()}
        for key in ["edges", "pck"] if judge else ["edges"]:
            found[f"{key} share"] = share(single[key], truth[key], asked.pids, **boot)
        found |= _colours(made, asked, **boot)
        if extractor is not None and known is not None:
            found |= _seen(extractor(made), known, asked, groups, boot)
        rows[name] = {
            (measure, end): getattr(numbers, end)
            for measure, numbers in found.items()
            for end in ("value", "low", "high")
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.columns = pd.MultiIndex.from_tuples([*frame.columns])
    return frame


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """The table of `quality` for people: "value [low, high]"."""
    measures = frame.columns.get_level_values(0).unique()
    cells = {
        measure: [str(Interval(*ends)) for ends in frame[measure].to_numpy()]
        for measure in measures
    }
    return pd.DataFrame(cells, index=frame.index)


def _mean(values: pd.Series, pids: ArrayLike, *, n_boot: int, seed: int) -> Interval:
    """Mean with its interval; without limits where fewer than two people have one."""
    people, numbers = np.asarray(pids), values.to_numpy(np.float64)
    known = np.isfinite(numbers)
    if len(np.unique(people[known])) < 2:
        mean = float(numbers[known].mean()) if known.any() else np.nan
        return Interval(mean, np.nan, np.nan)
    return interval(numbers, people, n_boot=n_boot, seed=seed)


def _colours(
    made: Tensor, asked: Asked, *, n_boot: int, seed: int
) -> dict[str, Interval]:
    mask = asked.person
    mine, theirs = (
        pictures.half_colours(p, mask, asked.points).double().cpu().numpy()
        for p in (made, asked.truth)
    )

    def follow(name: str) -> Callable[[Rows], float]:
        return lambda rows: pictures.colour_correlation(mine[rows], theirs[rows])[name]

    return {
        name: bootstrap_rows(follow(name), asked.pids, n_boot=n_boot, seed=seed)
        for name in pictures.COLOURS
    }


class _Known(NamedTuple):
    """R2's features (P, D) that all systems are compared with."""

    truth: Tensor
    real: Tensor
    sources: Tensor | None
    gallery: Gallery | None


def _known(asked: Asked, extractor: Extractor, gallery: Gallery | None) -> _Known:
    truth = extractor(asked.truth)
    real = truth if asked.photo is None else extractor(asked.photo)
    sources = None if gallery is None else extractor(asked.source)
    return _Known(truth, real, sources, gallery)


def _seen(
    drawn: Tensor, known: _Known, asked: Asked, groups: int, boot: dict[str, int]
) -> dict[str, Interval]:
    """What R2's features of the drawings say."""

    def frechet(rows: Rows) -> float:
        kept = torch.as_tensor(rows)
        return reid_fid(known.real[kept], drawn[kept])

    def varied(name: str) -> Callable[[Rows], float]:
        def ratio(rows: Rows) -> float:
            kept = torch.as_tensor(rows)
            ids = asked.pids[rows], asked.poses[rows]
            return diversity(drawn[kept], known.truth[kept], *ids)[name]

        return ratio

    found = {"fid": jackknife_rows(frechet, asked.pids, groups=groups)}
    for name in ("over poses", "over persons"):
        found[name] = jackknife_rows(varied(name), asked.pids, groups=groups)
    if known.gallery is None or known.sources is None:
        return found
    real = known.gallery
    ids = (asked.pids, asked.camids, real.pids, real.camids)
    kept = retention(drawn, known.sources, real.features, *ids, protocol=real.protocol)
    for metric in ("rank1", "mAP"):
        values = pd.Series(kept.drawn.per_query(metric))
        found[metric] = _mean(values, asked.pids, **boot)
        found[f"{metric} share"] = kept.share(metric, **boot)
    return found
