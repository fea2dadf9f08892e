"""CMC, mAP and mINP from the ranks of the relevant images: count, do not sort."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.ranking import (
    Blocks,
    Features,
    Ids,
    Truth,
    check_choice,
    distance_blocks,
    distance_shape,
    feature_pair,
    score_blocks,
)

AP_DEFINITIONS = ("step", "trapezoid")
ORPHAN_RULES = ("skip", "zero", "error")


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

    def rank(self, k: int) -> float:
        """CMC(k): the share of queries with a match among the first k."""
        if not 1 <= k <= len(self.cmc):
            raise ReIDConfigError(
                f"rank {k} was not measured; ask for 1 to {len(self.cmc)}, "
                "or evaluate with a larger max_rank."
            )
        return float(self.cmc[k - 1])

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(Q,) values whose mean is "mAP", "mINP" or "rank<k>"; NaN where skipped."""
        if metric == "mAP":
            return self.average_precision
        if metric == "mINP":
            return self.inp
        match = re.fullmatch(r"rank([1-9]\d*)", metric)
        if match is None:
            raise ReIDConfigError(
                f"metric={metric!r} is not known; choose mAP, mINP, rank1, rank5, ..."
            )
        hit = (self.first_match >= 0) & (self.first_match < int(match[1]))
        return np.where(np.isnan(self.average_precision), np.nan, hit)

    def __str__(self) -> str:
        ranks = [
            f"rank-{k} {self.rank(k):.1%}" for k in (1, 5, 10) if k <= len(self.cmc)
        ]
        return (
            f"{', '.join(ranks)}, mAP {self.mAP:.1%}, mINP {self.mINP:.1%} "
            f"({self.protocol} protocol, {self.ap} AP, {self.metric}, "
            f"{self.n_queries} queries, {self.n_orphans} without a match)"
        )


def evaluate(
    query_features: Features,
    gallery_features: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    protocol: str = "market1501",
    metric: str = "cosine",
    ap: str = "step",
    orphans: str = "skip",
    max_rank: int = 50,
) -> RetrievalResult:
    """Single-query CMC, mAP and mINP of features (SPEC.md 3.1).

    Junk (pid -1, or the query's identity in the query's camera) is removed from
    each list; distractors (pid 0) and everything else count.

    Ties take the worst case: a relevant image ranks after every irrelevant image
    of the same score. So the order of the gallery never matters, and constant
    features earn nothing. Scores are float32: copies of one feature may differ in
    the last bit.

    Args:
        query_features: (Q, D) numpy or torch, any device; moved to the gallery's.
        gallery_features: (G, D). Memory: one block of scores, never (Q, G).
        query_pids: (Q,) identities, whole numbers.
        gallery_pids: (G,) identities; -1 junk, 0 distractors.
        query_camids: (Q,) cameras.
        gallery_camids: (G,) cameras.
        protocol: one of `PROTOCOLS`; all three have the rules above.
        metric: "cosine" or "euclidean".
        ap: "step", (1/R) sum of i / r_i over the 1-based ranks r_i of the R matches;
            or "trapezoid", the mean of the precision before and at each match.
        orphans: queries without a match: "skip" them, count them as "zero", "error".
        max_rank: length of the CMC; past the gallery's end its last value goes on.

    Raises:
        ReIDConfigError: an unknown option, or shapes that do not fit together.
        ReIDDataError: nothing to rank, NaN, no query with a match, or an orphan
            under orphans="error".
    """
    query, gallery = feature_pair(query_features, gallery_features)
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    truth = Truth((len(query), len(gallery)), ids, protocol)
    blocks = score_blocks(query, gallery, metric)
    return _evaluate(blocks, truth, protocol, metric, ap, orphans, max_rank)


def evaluate_distances(
    distances: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    protocol: str = "market1501",
    ap: str = "step",
    orphans: str = "skip",
    max_rank: int = 50,
) -> RetrievalResult:
    """The same as `evaluate` for a given (Q, G) matrix, smaller = nearer.

    Rules, ties and errors as in `evaluate`; the distances must be finite.
    """
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    truth = Truth(distance_shape(distances), ids, protocol)
    blocks = distance_blocks(distances)
    return _evaluate(blocks, truth, protocol, "given distances", ap, orphans, max_rank)


def average_precision(ranks: NDArray[np.int64], ap: str = "step") -> float:
    """Average precision of one query from the 0-based ranks of all its matches.

    Ranks ascend, (R,) with R >= 1. Both definitions: SPEC.md 3.1.

    >>> round(average_precision(np.array([0, 2, 3])), 6)
    0.805556
    >>> round(average_precision(np.array([0, 2, 3]), "trapezoid"), 6)
    0.763889
    """
    found = np.arange(len(ranks))
    precision = (found + 1) / (ranks + 1)
    if ap == "trapezoid":  # before rank 0 precision counts as 1
        before = np.where(ranks == 0, 1.0, found / np.maximum(ranks, 1))
        precision = (before + precision) / 2
    return float(precision.mean())


def _match_ranks(scores: NDArray[Any], truth: Truth, query: int) -> NDArray[np.int64]:
    """0-based ranks of a query's matches, ascending; overwrites the scores."""
    matches, junk = truth.split(query)
    hits = np.sort(scores[matches])[::-1]
    for removed in (matches, junk, truth.junk):
        scores[removed] = -np.inf
    # only irrelevant images are left; one pass per match is faster than a sort
    above = [np.count_nonzero(scores >= hit) for hit in hits]
    return np.arange(len(hits)) + np.array(above, np.int64)


def _evaluate(
    blocks: Blocks,
    truth: Truth,
    protocol: str,
    metric: str,
    ap: str,
    orphans: str,
    max_rank: int,
) -> RetrievalResult:
    """Count the ranks block by block and summarise them."""
    check_choice("ap", ap, AP_DEFINITIONS)
    check_choice("orphans", orphans, ORPHAN_RULES)
    if max_rank < 1:
        raise ReIDConfigError(f"max_rank is {max_rank}; give 1 or more.")
    n_query = len(truth.query_pids)
    precision, inp = np.zeros((2, n_query))
    first = np.full(n_query, -1, np.int64)
    for start, block in blocks:
        for query, scores in enumerate(block, start):
            ranks = _match_ranks(scores, truth, query)
            if len(ranks):
                precision[query] = average_precision(ranks, ap)
                inp[query] = len(ranks) / (ranks[-1] + 1)
                first[query] = ranks[0]
    orphan = first < 0
    if orphans == "error" and orphan.any():
        pid = truth.query_pids[orphan.argmax()]
        raise ReIDDataError(
            f"{orphan.sum()} of {n_query} queries have no match in another camera "
            f"(the first has pid {pid}); remove them or choose orphans='skip'."
        )
    if orphans == "skip":
        if orphan.all():
            raise ReIDDataError(
                f"none of the {n_query} queries has a match in another camera; "
                "check the identities, and that the gallery has two or more cameras."
            )
        precision[orphan] = inp[orphan] = np.nan
    n_counted = int((~np.isnan(precision)).sum())
    found = np.bincount(first[~orphan], minlength=max_rank)[:max_rank]
    return RetrievalResult(
        cmc=np.cumsum(found) / n_counted,
        mAP=float(np.nanmean(precision)),
        mINP=float(np.nanmean(inp)),
        average_precision=precision,
        first_match=first,
        inp=inp,
        query_pids=truth.query_pids,
        protocol=protocol,
        ap=ap,
        metric=metric,
        n_queries=n_counted,
        n_orphans=int(orphan.sum()),
    )
