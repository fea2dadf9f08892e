"""Intervals of numbers that are no plain mean, from identities drawn or left out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import Interval

Rows = NDArray[np.intp]
Statistic = Callable[[Rows], float]  # row numbers -> the number on those rows


def bootstrap_rows(
    statistic: Statistic,
    pids: ArrayLike,
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over identities of any statistic of rows.

    For means of one value per row `reidlib.retrieval.interval` does the same faster.

    Args:
        statistic: takes row numbers, repeated where an identity is drawn twice. Draws
            that give NaN are left out.
        pids: (P,) identity of each row.

    Raises:
        ReIDDataError: fewer than two identities.
        ReIDConfigError: n_boot < 1 or level outside (0, 1).
    """
    if n_boot < 1 or not 0 < level < 1:
        raise ReIDConfigError(
            f"n_boot = {n_boot} must be 1 or more and level = {level} between 0 and 1."
        )
    people, rng = _people(pids), np.random.default_rng(seed)
    whole = np.concatenate(people)
    draws = rng.integers(len(people), size=(n_boot, len(people)))
    values = np.array(
        [statistic(np.concatenate([people[i] for i in draw])) for draw in draws]
    )
    if np.isnan(values).all():
        return Interval(statistic(np.sort(whole)), np.nan, np.nan)
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(statistic(np.sort(whole)), float(low), float(high))


def jackknife_rows(
    statistic: Statistic, pids: ArrayLike, *, groups: int = 10
) -> Interval:
    """A 95 % interval from leaving out a tenth of the identities at a time.

    Drawing with replacement repeats pictures, and repeated pictures look like less
    variety: Fréchet distances and diversities would be off. Here nothing is repeated.
    The variance is (g - 1) / g times the sum of squared deviations of the g values
    (delete-a-group jackknife), the limits are 1.96 standard errors away.

    Args:
        statistic: takes row numbers.
        pids: (P,) identity of each row.
        groups: how often; at most the number of identities. 0: no limits.

    Raises:
        ReIDDataError: fewer than two identities.
        ReIDConfigError: groups is 1 or negative.
    """
    if groups == 1 or groups < 0:
        raise ReIDConfigError(f"groups = {groups} must be 0, or 2 or more.")
    people = _people(pids)
    groups = min(groups, len(people))
    value = statistic(np.sort(np.concatenate(people)))
    if not groups:
        return Interval(value, np.nan, np.nan)
    values = np.array(
        [
            statistic(np.sort(np.concatenate(_without(people, group, groups))))
            for group in range(groups)
        ]
    )
    spread = ((values - values.mean()) ** 2).sum() * (groups - 1) / groups
    margin = 1.96 * float(np.sqrt(spread))
    return Interval(value, value - margin, value + margin)


def _without(people: list[Rows], group: int, groups: int) -> list[Rows]:
    return [rows for i, rows in enumerate(people) if i % groups != group]


def _people(pids: ArrayLike) -> list[Rows]:
    """Rows of each identity."""
    values = np.asarray(pids)
    people = [np.flatnonzero(values == pid) for pid in np.unique(values)]
    if len(people) < 2:
        raise ReIDDataError(
            f"there is {len(people)} identity; an interval needs two or more."
        )
    return people
