"""CMC, mAP and mINP from the ranks of the relevant images: count, do not sort."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from reidlib.retrieval.counting import count_block, workers
from reidlib.retrieval.marks import mark, precisions
from reidlib.retrieval.pooling import check_pooled, pooled_by
from reidlib.retrieval.protocols import (
    CHOICES,
    Conventions,
    Options,
    check_count,
    conventions,
)
from reidlib.retrieval.results import RetrievalResult, summarise
from reidlib.retrieval.scores import (
    Blocks,
    Features,
    as_array,
    distance_blocks,
    distance_shape,
    feature_pair,
    products_in,
    score_blocks,
)
from reidlib.retrieval.single_shot import SingleShot
from reidlib.retrieval.truth import Ids, Truth, as_ids

__all__ = ["RetrievalResult", "average_precision", "evaluate", "evaluate_distances"]

AP_DEFINITIONS = CHOICES["ap"]
ORPHAN_RULES = CHOICES["orphans"]


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
    ap: str | None = None,
    orphans: str | None = None,
    max_rank: int = 50,
    precision: str = "float32",
    **options: Unpack[Options],
) -> RetrievalResult:
    """CMC, mAP and mINP of features.

    A protocol is a set of conventions (`PROTOCOLS`); each may be given by itself,
    see `Conventions` for what they say: ap, orphans, same_camera, junk_pids, cmc,
    ties, multi_query, repeats, seed. Under "market1501" junk (pid -1, or the query's
    identity in the query's camera) is removed from each list; distractors (pid 0) and
    everything else count; a query without a match is skipped.

    Ties take the worst case unless `ties` says otherwise: a relevant image ranks
    after every irrelevant image of the same score. So the order of the gallery never
    matters, and constant features earn nothing. Scores are float32: copies of one
    feature may differ in the last bit.

    Time is that of the product of the features, memory one block of scores: 128 rows
    of G scores or 16 MB, whichever is more. On a GPU the scores never leave it.

    Args:
        query_features: (Q, D) numpy or torch, any device; moved to the gallery's. A
            zero vector has cosine 0 to everything.
        gallery_features: (G, D).
        query_pids: (Q,) identities, whole numbers.
        gallery_pids: (G,) identities; -1 junk, 0 distractors.
        query_camids: (Q,) cameras.
        gallery_camids: (G,) cameras.
        protocol: one of `PROTOCOLS`.
        metric: "cosine" or "euclidean".
        ap: "step" or "trapezoid"; None: the protocol's.
        orphans: queries without a match: "skip", "zero" or "error"; None: likewise.
        max_rank: length of the CMC; past the gallery's end its last value goes on.
        precision: "bfloat16" multiplies in bfloat16, on CPUs that can, and adds up
            in float32: faster, mAP the same to about 1e-4.
        options: the other conventions, by name.

    Returns:
        One row per query; under multi-query one per identity and camera.

    Raises:
        ReIDConfigError: an unknown option, or shapes that do not fit together.
        ReIDDataError: nothing to rank, NaN, no query with a match, or an orphan
            under orphans="error".
    """
    rules = conventions(protocol, {"ap": ap, "orphans": orphans, **options})
    query, gallery = feature_pair(query_features, gallery_features)
    query, query_pids, query_camids = pooled_by(
        rules.multi_query, query, query_pids, query_camids, metric
    )
    pids = as_ids(gallery_pids, "gallery_pids", len(gallery))
    camids = as_ids(gallery_camids, "gallery_camids", len(gallery))
    part = _without_outer_junk(pids, rules)
    gallery = gallery[part]
    ids = (query_pids, pids[part], query_camids, camids[part])
    truth = Truth((len(query), len(gallery)), ids, rules)
    with products_in(precision):
        blocks = score_blocks(query, gallery, metric)
        return _evaluate(blocks, truth, protocol, rules, metric, max_rank)


def evaluate_distances(
    distances: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    protocol: str = "market1501",
    ap: str | None = None,
    orphans: str | None = None,
    max_rank: int = 50,
    **options: Unpack[Options],
) -> RetrievalResult:
    """The same as `evaluate` for a given (Q, G) matrix, smaller = nearer.

    Rules, ties and errors as in `evaluate`; the distances must be finite, and under a
    multi-query protocol those of pooled features (`pool_queries`).
    """
    rules = conventions(protocol, {"ap": ap, "orphans": orphans, **options})
    distances = distances if hasattr(distances, "shape") else np.asarray(distances)
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    truth = Truth(distance_shape(distances), ids, rules)
    check_pooled(truth.query_pids, truth.query_camids, rules.multi_query)
    blocks = distance_blocks(distances)
    return _evaluate(blocks, truth, protocol, rules, "given distances", max_rank)


def average_precision(ranks: NDArray[np.int64], ap: str = "step") -> float:
    """Average precision of one query from the 0-based ranks of all its matches.

    Ranks ascend, (R,) with R >= 1.

    >>> round(average_precision(np.array([0, 2, 3])), 6)
    0.805556
    >>> round(average_precision(np.array([0, 2, 3]), "trapezoid"), 6)
    0.763889
    """
    return float(precisions(np.arange(len(ranks)), ranks, ap).mean())


def _without_outer_junk(pids: NDArray[np.int64], rules: Conventions) -> slice:
    """The gallery less the junk at its ends: Market's files begin with all of it."""
    kept = np.flatnonzero(~np.isin(pids, rules.junk_pids))
    return slice(kept[0], kept[-1] + 1) if len(kept) else slice(None)


def _evaluate(
    blocks: Blocks,
    truth: Truth,
    protocol: str,
    rules: Conventions,
    metric: str,
    max_rank: int,
) -> RetrievalResult:
    """Count the ranks block by block and summarise them."""
    check_count("max_rank", max_rank)
    marks, singles = [], None
    shots = None
    if rules.cmc == "single-gallery-shot":
        shots = SingleShot(truth, rules, max_rank)
        singles = np.zeros((len(truth.query_pids), max_rank + 1))
    with workers() as pool:
        for start, scores in blocks:
            if shots is not None and singles is not None:
                for query, row in enumerate(as_array(scores), start):
                    singles[query, :-1], singles[query, -1] = shots.mark(row, query)
            counts = count_block(scores, truth, start, pool, rules.ties)
            marks.append(mark(counts, rules, max_rank))
    return summarise(
        marks, singles, truth.query_pids, protocol, rules, metric, max_rank
    )
