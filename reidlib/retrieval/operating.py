"""Rates of true and false acceptance at every threshold on the distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.statistics import Interval

Doubles = NDArray[np.float64]
LEVELS = 4096  # thresholds, evenly spaced, where distances are counted and not kept
DRAWN_ITEMS = 2**22  # counts of bootstrap draws held at a time


@dataclass(frozen=True, eq=False)
class OperatingCurve:
    """True and false positive rates at every threshold on the distance.

    Attributes:
        view: "pairs", "queries" or "identification".
        thresholds: (L,) rising distances; accept at or below.
        fpr, tpr: (L,) rates at the thresholds, in [0, 1]. In the view
            "identification" tpr is DIR, the detection and identification rate.
        n_genuine, n_impostor: trials of either kind.
        resolution: spacing of the thresholds; 0 if every distance is one.
    """

    view: str
    thresholds: Doubles
    fpr: Doubles
    tpr: Doubles
    n_genuine: int
    n_impostor: int
    resolution: float
    _genuine: sparse.csr_array  # (identities, L) accepted from this level on
    _impostor: sparse.csr_array
    _trials: NDArray[np.int64]  # (identities,) genuine trials, never accepted ones too

    @property
    def auc(self) -> float:
        """Area under the ROC curve by the trapezoidal rule, from (0, 0) to (1, last).

        A genuine trial that no threshold accepts keeps the end of the curve below 1.
        """
        x = np.concatenate([[0.0], self.fpr, [1.0]])
        y = np.concatenate([[0.0], self.tpr, [self.tpr[-1]]])
        return float(np.trapezoid(y, x))

    @property
    def eer(self) -> float:
        """Equal error rate: the mean of FPR and 1 - TPR where they are closest."""
        miss = 1 - self.tpr
        at = np.abs(miss - self.fpr).argmin()
        return float((miss[at] + self.fpr[at]) / 2)

    def rates(self, threshold: float) -> tuple[float, float]:
        """(FPR, TPR) at a threshold on the distance, to the curve's resolution."""
        at = int(np.searchsorted(self.thresholds, threshold, side="right")) - 1
        return (float(self.fpr[at]), float(self.tpr[at])) if at >= 0 else (0.0, 0.0)

    def tpr_at(
        self, fpr: float, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0
    ) -> Interval:
        """The best TPR whose FPR is no more than the given one; see `threshold`."""
        return self._at(fpr, n_boot, level, seed)[1]

    def threshold(
        self, fpr: float, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0
    ) -> Interval:
        """The largest distance to accept with no more than this false positive rate.

        The interval is the percentile bootstrap over query identities: how far the
        threshold would move with other people as queries. -inf: accept nothing.

        Args:
            fpr: in (0, 1), at least 1 / n_impostor, below which nothing was measured.
            n_boot: number of draws.
            level: coverage of the interval, in (0, 1).
            seed: of the draws.

        Raises:
            ReIDConfigError: an argument outside its range.
            ReIDDataError: fewer than two identities.
        """
        return self._at(fpr, n_boot, level, seed)[0]

    def _at(
        self, fpr: float, n_boot: int, level: float, seed: int
    ) -> tuple[Interval, Interval]:
        """Threshold and TPR at an FPR."""
        if not 1 / self.n_impostor <= fpr < 1:
            raise ReIDConfigError(
                f"fpr={fpr} cannot be measured with {self.n_impostor} impostor trials; "
                f"give {1 / self.n_impostor:.2g} or more, and less than 1."
            )
        if n_boot < 1 or not 0 < level < 1:
            raise ReIDConfigError(
                f"n_boot = {n_boot} must be 1 or more and level = {level} between "
                "0 and 1."
            )
        n = self._genuine.shape[0]
        if n < 2:
            raise ReIDDataError(f"{n} identity was a query; an interval needs two.")
        weights = [np.ones((1, n), np.int64)]
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
        step = max(1, DRAWN_ITEMS // len(self.thresholds))
        weights += [draws[start : start + step] for start in range(0, n_boot, step)]
        found = [self._cut(w, fpr) for w in weights]
        cuts, rates = (np.concatenate(part) for part in zip(*found, strict=True))
        return _limits(cuts, level), _limits(rates, level)

    def _cut(self, weights: NDArray[np.int64], fpr: float) -> tuple[Doubles, Doubles]:
        """Threshold and TPR for rows of weights of the identities; NaN: no trials."""
        false = np.cumsum(weights @ self._impostor, axis=1)
        true = np.cumsum(weights @ self._genuine, axis=1)
        limit = fpr * false[:, -1:] * (1 + 1e-12)  # a tenth of 30 trials is three
        last = (false <= limit).sum(axis=1) - 1
        rows, none = np.arange(len(weights)), last < 0
        trials = weights @ self._trials
        empty = (false[:, -1] == 0) | (trials == 0)
        rate = np.where(none, 0, true[rows, last]) / np.maximum(trials, 1)
        cut = np.where(none, -np.inf, self.thresholds[last])
        return np.where(empty, np.nan, cut), np.where(empty, np.nan, rate)


class Tally:
    """Counts of trials for each query identity and level of distance."""

    def __init__(
        self, query_pids: NDArray[np.int64], view: str, far: float | None = None
    ) -> None:
        """Keep every distance; or count up to `far`, the largest there can be."""
        self._people, self._person = np.unique(query_pids, return_inverse=True)
        self._view = view
        self._kept: tuple[list[Doubles], list[Doubles]] = ([], [])
        self._owners: tuple[list[int], list[int]] = ([], [])
        self._step = 0.0
        if far is not None:
            self._step = far * (1 + 1e-6) / LEVELS if far else 1.0
            size = (2, len(self._people), LEVELS + 1)
            self._counts = np.zeros(size, np.int64)

    def add(self, query: int, genuine: Doubles, impostor: Doubles) -> None:
        """Count trials of one query."""
        person = int(self._person[query])
        for kind, distances in enumerate((genuine, impostor)):
            if not self._step:
                self._kept[kind].append(distances)
                self._owners[kind].append(person)
            else:  # above the threshold before, not above this one
                at = np.ceil(distances / self._step).astype(np.int64)
                np.minimum(at, LEVELS, out=at)
                self._counts[kind, person] += np.bincount(at, minlength=LEVELS + 1)

    def curve(self) -> OperatingCurve:
        """What was counted."""
        if not self._step:
            thresholds, tables, trials = self._exact()
        else:
            thresholds = np.arange(LEVELS + 1, dtype=np.float64) * self._step
            tables = [sparse.csr_array(c) for c in self._counts]
            trials = self._counts[0].sum(axis=1)
        totals = [table.sum(axis=0) for table in tables]
        n_genuine, n_impostor = int(trials.sum()), int(totals[1].sum())
        if n_genuine == 0 or n_impostor == 0:
            kind = "impostor" if n_genuine else "genuine"
            raise ReIDDataError(
                f"there is no {kind} trial ({self._view}); check the identities and "
                "cameras, and for identification name unknown people."
            )
        return OperatingCurve(
            view=self._view,
            thresholds=thresholds,
            fpr=np.cumsum(totals[1]) / n_impostor,
            tpr=np.cumsum(totals[0]) / n_genuine,
            n_genuine=n_genuine,
            n_impostor=n_impostor,
            resolution=self._step,
            _genuine=tables[0],
            _impostor=tables[1],
            _trials=trials,
        )

    def _exact(self) -> tuple[Doubles, list[sparse.csr_array], NDArray[np.int64]]:
        """Every finite distance is a threshold."""
        values: list[Doubles] = [
            np.concatenate([np.empty(0), *kept]) for kept in self._kept
        ]
        owners = [
            np.repeat(np.array(who, np.int64), [len(part) for part in kept])
            for who, kept in zip(self._owners, self._kept, strict=True)
        ]
        trials = np.bincount(owners[0], minlength=len(self._people))
        every = np.concatenate(values)
        levels = np.unique(every[np.isfinite(every)])
        if len(levels) == 0:
            levels = np.zeros(1)
        tables = []
        for value, owner in zip(values, owners, strict=True):
            held = np.isfinite(value)
            at = (owner[held], np.searchsorted(levels, value[held]))
            shape = (len(self._people), len(levels))
            ones = np.ones(held.sum(), np.int64)
            tables.append(sparse.csr_array((ones, at), shape=shape))
        return levels, tables, trials


def _limits(values: Doubles, level: float) -> Interval:
    """The first value with the percentile limits of the others; NaN left out."""
    drawn = values[1:][~np.isnan(values[1:])]
    if len(drawn) == 0:
        return Interval(float(values[0]), np.nan, np.nan)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(values[0]), float(low), float(high))
