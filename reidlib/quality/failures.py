"""Why drawings fail: causes that a query finds, and what each costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import views
from reidlib.quality.intervals import Rows, bootstrap_rows
from reidlib.retrieval import Interval

Flags = NDArray[np.bool_]
LIMBS = slice(2, 15)  # shoulders to ankles in BODY_25
ANKLES, NECK = (11, 14), 1
NEIGHBOURS = 5  # other people's pictures that a rare colour is far from


def causes(
    source_points: ArrayLike,
    asked_points: ArrayLike,
    colours: ArrayLike,
    pids: ArrayLike,
    *,
    rare: float = 0.1,
) -> dict[str, Flags]:
    """Which drawings had it hard, and by what.

    A picture may have several causes, or none.

    Args:
        source_points: (P, 25, 2) joints of the sources, NaN where missing.
        asked_points: (P, 25, 2) asked poses.
        colours: (P, 2, 3) mean colours of the true person (`half_colours`).
        pids: (P,) persons.
        rare: share of the pictures whose clothes count as rare: those with the
            largest mean distance to the 5 most similar pictures of other people.

    Returns:
        (P,) bool by cause: "turned away" (front asked of a back or the reverse),
        "source occluded" (over a third of the joints from shoulders to ankles are
        missing), "source cropped" (both ankles or the neck missing), "pose full of
        gaps" (the asked pose lacks over a third) and "rare clothes".

    Raises:
        ReIDConfigError: the shapes do not fit, or rare is outside (0, 1).
    """
    source, asked = (np.asarray(p, np.float64) for p in (source_points, asked_points))
    clothes, people = np.asarray(colours, np.float64), np.asarray(pids)
    if source.shape != asked.shape or clothes.shape != (len(source), 2, 3):
        raise ReIDConfigError(
            f"points {source.shape} and {asked.shape} and colours {clothes.shape} do "
            "not fit; give (P, 25, 2) twice and (P, 2, 3)."
        )
    if not 0 < rare < 1:
        raise ReIDConfigError(f"rare is {rare}; give a share between 0 and 1.")
    seen, wanted = (np.asarray(np.isfinite(p).all(-1)) for p in (source, asked))
    sides = np.stack([views(source), views(asked)])
    return {
        "turned away": (np.sort(sides, axis=0) == [["back"], ["front"]]).all(0),
        "source occluded": seen[:, LIMBS].mean(1) < 2 / 3,
        "source cropped": ~seen[:, ANKLES].any(1) | ~seen[:, NECK],
        "pose full of gaps": wanted[:, LIMBS].mean(1) < 2 / 3,
        "rare clothes": _rare(clothes.reshape(-1, 6), people, rare),
    }


def failures(
    errors: ArrayLike,
    causes: Mapping[str, Flags],
    pids: ArrayLike,
    *,
    worst: float = 0.1,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The worst drawings sorted by cause, and what each cause costs on average.

    Args:
        errors: (P,), larger is worse; NaN takes no part.
        causes: (P,) bool by cause, of `causes` or your own.
        pids: (P,) persons, for the interval.
        worst: share of the drawings that count as failures.

    Returns:
        One row per cause and "none of these": rows (the failures with the cause, the
        worst first), failures and pictures (how many), error (mean over all pictures
        with the cause), rest (mean over those without), difference (an `Interval`
        over identities). A cause that all or none have leaves NaN.

    Raises:
        ReIDConfigError: lengths differ, a cause has the name of the last row, or
            worst is outside (0, 1].
        ReIDDataError: no errors, or fewer than two identities.
    """
    values, people = np.asarray(errors, np.float64), np.asarray(pids)
    flags = {name: np.asarray(given, bool) for name, given in causes.items()}
    known = _checked(values, {**flags, "pids": people}, worst)
    none = np.zeros_like(known)
    flags["none of these"] = ~np.any([none, *flags.values()], axis=0)
    count = max(1, round(worst * known.sum()))
    order = np.argsort(-np.where(known, values, -np.inf), kind="stable")[:count]
    rows = []
    for name, given in flags.items():
        cost = _difference(values, given, people, n_boot, seed)
        failed = order[given[order]]
        rows.append(
            {
                "cause": name,
                "rows": failed.tolist(),
                "failures": len(failed),
                "pictures": int((given & known).sum()),
                "error": _mean(values[given]),
                "rest": _mean(values[~given]),
                "difference": cost,
            }
        )
    return pd.DataFrame(rows).set_index("cause")


def _checked(
    values: NDArray[np.float64], given: Mapping[str, NDArray], worst: float
) -> Flags:
    """Which errors are known, if everything fits them."""
    for name, column in given.items():
        if column.shape != values.shape:
            raise ReIDConfigError(
                f"{name} has shape {column.shape} but there are {len(values)} errors; "
                "give one for each drawing."
            )
    if "none of these" in given or not 0 < worst <= 1:
        raise ReIDConfigError(
            f"'none of these' is no name of a cause and worst = {worst} must be "
            "above 0 and at most 1."
        )
    known = np.isfinite(values)
    if not known.any():
        raise ReIDDataError("no drawing has an error; look at masks and keypoints.")
    return known


def _difference(
    values: NDArray[np.float64], given: Flags, pids: NDArray, n_boot: int, seed: int
) -> Interval:
    def gap(rows: Rows) -> float:
        return _mean(values[rows[given[rows]]]) - _mean(values[rows[~given[rows]]])

    return bootstrap_rows(gap, pids, n_boot=n_boot, seed=seed)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _rare(colours: NDArray[np.float64], pids: NDArray, share: float) -> Flags:
    """The rows (P, 6) that are farthest from other people's."""
    gaps = cdist(colours, colours)
    gaps[(pids[:, None] == pids) | ~np.isfinite(gaps)] = np.inf
    near = np.sort(gaps, axis=1)[:, :NEIGHBOURS]
    near[np.isinf(near)] = np.nan  # fewer others than that
    known = np.isfinite(near).any(1)
    if not known.any():
        return known
    lonely = np.full(len(colours), -np.inf)
    lonely[known] = np.nanmean(near[known], axis=1)
    return lonely > np.quantile(lonely[known], 1 - share)
