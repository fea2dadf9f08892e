"""The one result of every evaluation: marks, per-query values, conventions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.marks import Marks
from reidlib.retrieval.protocols import Conventions


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """What `evaluate` found; every value a fraction in [0, 1].

    Attributes:
        cmc: (max_rank,) float64; entry k-1 is CMC(k).
        mAP: mean of the average precisions.
        mINP: mean of the inverse negative penalties, R / rank of the last match.
        average_precision: (Q,) float64; NaN for a skipped orphan.
        first_match: (Q,) int64, 0-based rank of the first match; -1 for an orphan.
        inp: (Q,) float64; NaN for a skipped orphan.
        query_pids: (Q,) int64.
        protocol, ap, metric: the conventions the numbers hold for.
        n_queries: queries that the means run over.
        n_orphans: queries without a valid match.
        conventions: all of them; `ap` is one.
        curves: (Q, max_rank) CMC of each query where `first_match` does not say it:
            other CMCs than first-match, and expected values under ties.
        single_average_precision: (Q,) under "single-gallery-shot", AP where one
            gallery image of each identity is drawn; `mAP` is that of the whole list.
    """

    cmc: NDArray[np.float64]
    mAP: float
    mINP: float
    average_precision: NDArray[np.float64]
    first_match: NDArray[np.int64]
    inp: NDArray[np.float64]
    query_pids: NDArray[np.int64]
    protocol: str
    ap: str
    metric: str
    n_queries: int
    n_orphans: int
    conventions: Conventions = field(default=Conventions())
    curves: NDArray[np.float64] | None = None
    single_average_precision: NDArray[np.float64] | None = None

    @property
    def mAP_single(self) -> float:  # noqa: N802
        """MAP over single-gallery-shot lists; NaN under another CMC."""
        if self.single_average_precision is None:
            return float("nan")
        return float(np.nanmean(self.single_average_precision))

    def rank(self, k: int) -> float:
        """CMC(k): the share of queries with a match among the first k."""
        if not 1 <= k <= len(self.cmc):
            raise ReIDConfigError(
                f"rank {k} was not measured; ask for 1 to {len(self.cmc)}, "
                "or evaluate with a larger max_rank."
            )
        return float(self.cmc[k - 1])

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(Q,) values whose mean is "mAP", "mINP" or "rank<k>"; NaN where skipped.

        Under "single-gallery-shot" also "mAP_single".
        """
        if metric == "mAP":
            return self.average_precision
        if metric == "mINP":
            return self.inp
        if metric == "mAP_single" and self.single_average_precision is not None:
            return self.single_average_precision
        match = re.fullmatch(r"rank([1-9]\d*)", metric)
        if match is None:
            raise ReIDConfigError(
                f"metric={metric!r} is not known; choose mAP, mINP, rank1, rank5, ..."
            )
        k = int(match[1])
        if self.curves is not None:
            self.rank(k)  # refuses ranks that were not measured
            skipped = np.isnan(self.average_precision)
            return np.where(skipped, np.nan, self.curves[:, k - 1])
        hit = (self.first_match >= 0) & (self.first_match < k)
        return np.where(np.isnan(self.average_precision), np.nan, hit)

    def __str__(self) -> str:
        ranks = [
            f"rank-{k} {self.rank(k):.1%}" for k in (1, 5, 10) if k <= len(self.cmc)
        ]
        single = ""
        if self.single_average_precision is not None:
            single = f"mAP_single {self.mAP_single:.1%}, "
        return (
            f"{', '.join(ranks)}, {single}mAP {self.mAP:.1%}, mINP {self.mINP:.1%} "
            f"({self.protocol} protocol, {self.conventions}, {self.metric}, "
            f"{self.n_queries} queries, {self.n_orphans} without a match)"
        )


def summarise(
    blocks: Sequence[Marks],
    singles: NDArray[np.float64] | None,
    query_pids: NDArray[np.int64],
    protocol: str,
    rules: Conventions,
    metric: str,
    max_rank: int,
) -> RetrievalResult:
    """Means over the queries that count, from the marks of blocks of queries.

    singles: (Q, max_rank + 1), the CMC of single draws and their AP, if asked for.
    """
    precision = np.concatenate([block.ap for block in blocks])
    inp = np.concatenate([block.inp for block in blocks])
    first = np.concatenate([block.first for block in blocks])
    curves = single = None
    if singles is not None:
        curves, single = singles[:, :-1], singles[:, -1]
    else:
        parts = [block.curve for block in blocks if block.curve is not None]
        curves = np.concatenate(parts) if parts else None
    n_query = len(precision)
    orphan = first < 0
    if orphan.any() and rules.orphans == "error":
        pid = query_pids[orphan.argmax()]
        raise ReIDDataError(
            f"{orphan.sum()} of {n_query} queries have no match in another camera "
            f"(the first has pid {pid}); remove them or choose orphans='skip'."
        )
    if rules.orphans == "skip":
        if orphan.all():
            raise ReIDDataError(
                f"none of the {n_query} queries has a match in another camera; "
                "check the identities, and that the gallery has two or more cameras."
            )
        precision[orphan] = inp[orphan] = np.nan
        if single is not None:
            single[orphan] = np.nan
    counted = ~np.isnan(precision)
    n_counted = int(counted.sum())
    if curves is None:
        found = np.bincount(first[~orphan].clip(max=max_rank), minlength=max_rank + 1)
        cmc = np.cumsum(found[:max_rank]) / n_counted
    else:
        cmc = curves[counted].mean(axis=0)
    return RetrievalResult(
        cmc=cmc,
        mAP=float(np.nanmean(precision)),
        mINP=float(np.nanmean(inp)),
        average_precision=precision,
        first_match=first,
        inp=inp,
        query_pids=query_pids,
        protocol=protocol,
        ap=rules.ap,
        metric=metric,
        n_queries=n_counted,
        n_orphans=int(orphan.sum()),
        conventions=rules,
        curves=curves,
        single_average_precision=single,
    )
