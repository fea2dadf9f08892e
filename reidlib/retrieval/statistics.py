"""Confidence intervals and tests that resample identities, not images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.metrics import RetrievalResult

METRICS = ("rank1", "rank5", "rank10", "mAP", "mINP")


@dataclass(frozen=True)
class Interval:
    """A value and its confidence limits."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of a mark over n trials; NaN for one."""

    mean: float
    std: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.std:.2f} ({self.n} trials)"


@dataclass(frozen=True)
class Comparison:
    """The difference a - b of two systems, its limits, and a two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float

    def __str__(self) -> str:
        return (
            f"{self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}], "
            f"p = {self.p_value:.3f}"
        )


def bootstrap(
    result: RetrievalResult, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile bootstrap of rank1, rank5, rank10, mAP, mINP over query identities.

    The queries of one person share gallery images and clothes, so whole identities
    are drawn with replacement; each draw averages over the queries it holds.

    Args:
        result: of `evaluate`.
        n_boot: number of draws.
        level: coverage of the intervals, in (0, 1).
        seed: of the draws; equal seeds give equal intervals.

    Raises:
        ReIDConfigError: n_boot < 1 or level outside (0, 1).
        ReIDDataError: fewer than two identities were evaluated.
    """
    values = np.stack([result.per_query(name) for name in METRICS], axis=1)
    sums, counts = _by_identity(values, result.query_pids)
    low, high = _limits(sums, counts, n_boot, level, np.random.default_rng(seed))
    means = sums.sum(axis=0) / counts.sum()
    return {
        name: Interval(float(means[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(METRICS)
    }


def over_trials(
    results: Sequence[RetrievalResult], metrics: Sequence[str] = METRICS
) -> dict[str, Spread]:
    """Mean ± standard deviation of each mark over the trials of a protocol.

    Args:
        results: of `evaluate`, one for each trial.
        metrics: "mAP", "mINP", "rank<k>" and, single-shot, "mAP_single".

    Raises:
        ReIDDataError: no results.
        ReIDConfigError: an unknown metric, or results of different conventions.
    """
    if not results:
        raise ReIDDataError("there are no results; give one for each trial.")
    if len({(r.protocol, r.conventions, r.metric) for r in results}) > 1:
        raise ReIDConfigError(
            "the trials were evaluated by different rules; evaluate all alike."
        )
    found = {}
    for name in metrics:
        values = np.array([np.nanmean(r.per_query(name)) for r in results])
        std = values.std(ddof=1) if len(values) > 1 else np.nan
        found[name] = Spread(float(values.mean()), float(std), len(values))
    return found


def as_record(
    intervals: Mapping[str, Interval], marks: Sequence[str] = ("rank1", "mAP")
) -> dict[str, Any]:
    """What a recorded run keeps of a bootstrap: rank-1 and mAP with their limits.

    Args:
        intervals: of `bootstrap`.
        marks: other marks to keep.

    >>> as_record({"rank1": Interval(0.5, 0.4, 0.6), "mAP": Interval(0.3, 0.2, 0.4)})
    {'rank1': 0.5, 'mAP': 0.3, 'interval': {'rank1': [0.4, 0.6], 'mAP': [0.2, 0.4]}}
    """
    kept = {name: intervals[name] for name in marks}
    limits = {name: [found.low, found.high] for name, found in kept.items()}
    return {name: found.value for name, found in kept.items()} | {"interval": limits}


def paired_bootstrap(
    a: RetrievalResult,
    b: RetrievalResult,
    metric: str = "mAP",
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is system a better than system b on the same queries?

    The interval draws the same identities for both. The p-value is that of a
    permutation test: under no difference each identity's difference may change its
    sign; p = (1 + permutations at least as far from 0) / (1 + n_boot).

    Args:
        a: result of one system; positive differences favour it.
        b: result of the other, for the same queries in the same order.
        metric: "mAP", "mINP" or "rank<k>".
        n_boot: number of draws, and of permutations.
        level: coverage of the interval, in (0, 1).
        seed: of the draws and the permutations.

    Raises:
        ReIDConfigError: the queries, the protocol or its conventions differ.
    """
    unequal = a.query_pids.tolist() != b.query_pids.tolist()
    if unequal or (np.isnan(a.inp) != np.isnan(b.inp)).any():
        raise ReIDConfigError(
            "the two results have different queries; evaluate both systems on the "
            "same queries in the same order."
        )
    theirs = b.conventions
    if metric != "mAP":  # no other value depends on the definition of AP
        theirs = replace(theirs, ap=a.conventions.ap)
    if a.protocol != b.protocol or a.conventions != theirs:
        raise ReIDConfigError(
            f"the results follow {a.protocol} ({a.conventions}) and {b.protocol} "
            f"({b.conventions}); evaluate both alike."
        )
    values = (a.per_query(metric) - b.per_query(metric))[:, None]
    sums, counts = _by_identity(values, a.query_pids)
    rng = np.random.default_rng(seed)
    low, high = _limits(sums, counts, n_boot, level, rng)
    signs = rng.integers(0, 2, (n_boot, len(counts))) * 2 - 1
    observed = abs(sums.sum())
    extreme = np.abs(signs @ sums[:, 0]) >= observed - 1e-9  # sums round differently
    return Comparison(
        difference=float(sums.sum() / counts.sum()),
        low=float(low[0]),
        high=float(high[0]),
        p_value=float((1 + extreme.sum()) / (1 + n_boot)),
    )


def _by_identity(
    values: NDArray[np.float64], pids: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(Q, M) values summed by identity, (P, M), and queries of each, (P,)."""
    kept = ~np.isnan(values).any(axis=1)
    _, identity, counts = np.unique(pids[kept], return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ReIDDataError(
            f"{len(counts)} identity was evaluated; an interval needs two or more."
        )
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, identity, values[kept])
    return sums, counts


def _limits(
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    n_boot: int,
    level: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limits (M,) of the mean per query."""
    if n_boot < 1 or not 0 < level < 1:
        raise ReIDConfigError(
            f"n_boot = {n_boot} must be 1 or more and level = {level} between 0 and 1."
        )
    n = len(counts)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    means = (draws @ sums) / (draws @ counts)[:, None]
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def interval(
    values: NDArray[np.float64],
    pids: NDArray[np.int64],
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of any value per query, with its bootstrap over query identities.

    Args:
        values: (Q,); NaN takes no part.
        pids: (Q,) identities of the queries.
        n_boot, level, seed: as in `bootstrap`; so are the errors.
    """
    sums, counts = _by_identity(np.asarray(values, np.float64)[:, None], pids)
    low, high = _limits(sums, counts, n_boot, level, np.random.default_rng(seed))
    return Interval(float(sums.sum() / counts.sum()), float(low[0]), float(high[0]))
