"""Evaluation of a gallery that does not fit in memory, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.counting import (
    Counts,
    best_first,
    blank,
    gather,
    on_host,
    tally,
    workers,
)
from reidlib.retrieval.marks import mark
from reidlib.retrieval.pooling import pooled_by
from reidlib.retrieval.protocols import (
    Conventions,
    Options,
    check_choice,
    check_count,
    conventions,
)
from reidlib.retrieval.results import RetrievalResult, summarise
from reidlib.retrieval.scores import (
    METRICS,
    Features,
    as_features,
    feature_pair,
    products_in,
    score_blocks,
)
from reidlib.retrieval.truth import Ids, Truth, as_ids

GalleryBlock = tuple[Features | Callable[[], Features], Ids, Ids]
Gallery = Iterable[GalleryBlock] | Callable[[], Iterable[GalleryBlock]]


def evaluate_stream(
    query_features: Features,
    gallery_blocks: Gallery,
    query_pids: Ids,
    query_camids: Ids,
    *,
    protocol: str = "market1501",
    metric: str = "cosine",
    ap: str | None = None,
    orphans: str | None = None,
    max_rank: int = 50,
    precision: str = "float32",
    **options: Unpack[Options],
) -> RetrievalResult:
    """`evaluate` of a gallery that comes in blocks; the numbers are the same.

    The blocks are walked twice: for the scores of the matches, then for what stands
    above each. The first walk multiplies only blocks that hold somebody's match, so
    half a million distractors are multiplied once. Memory: a block of features, its
    scores, and a few numbers for each match. Sizes of a few thousand images are best.

    Args:
        query_features: (Q, D) numpy or torch; moved to the device of each block.
        gallery_blocks: a list (or another collection that can be walked again), or a
            function without arguments that returns an iterator, of tuples (features
            (N, D), pids (N,), camids (N,)). The features may be a function without
            arguments that returns them, called only when they are needed.
        query_pids: (Q,) identities.
        query_camids: (Q,) cameras.
        protocol, metric, ap, orphans, max_rank, precision, options: as in `evaluate`,
            but for "single-gallery-shot", which needs all scores at once.

    Raises:
        ReIDConfigError: as in `evaluate`; an iterator, which cannot be walked twice;
            a single-gallery-shot CMC.
        ReIDDataError: as in `evaluate`; no block, or other blocks on the second walk.
    """
    rules = conventions(protocol, {"ap": ap, "orphans": orphans, **options})
    check_count("max_rank", max_rank)
    check_choice("metric", metric, METRICS)
    if rules.cmc == "single-gallery-shot":
        raise ReIDConfigError(
            "cmc='single-gallery-shot' draws from the whole gallery; use evaluate, or "
            "cmc='first-match' for a gallery in blocks."
        )
    if isinstance(gallery_blocks, Iterator):
        raise ReIDConfigError(
            "gallery_blocks is an iterator, which can be walked once and is needed "
            "twice; give a list, or the function that makes the iterator."
        )
    query = as_features(query_features, "query_features")
    query, query_pids, query_camids = pooled_by(
        rules.multi_query, query, query_pids, query_camids, metric
    )
    who = as_ids(query_pids, "query_pids", len(query))
    where = as_ids(query_camids, "query_camids", len(query))
    with products_in(precision), workers() as pool:
        stream = _Stream(query, who, where, gallery_blocks, rules, metric)
        counts = stream.matches()
        stream.count(counts, pool)
    marks = [mark(counts, rules, max_rank)]
    return summarise(marks, None, who, protocol, rules, metric, max_rank)


class _Stream:
    """A gallery in blocks and the queries that are put to it."""

    def __init__(
        self,
        query: torch.Tensor,
        pids: NDArray[np.int64],
        camids: NDArray[np.int64],
        blocks: Gallery,
        rules: Conventions,
        metric: str,
    ) -> None:
        self._query, self._pids, self._camids = query, pids, camids
        self._blocks, self._rules, self._metric = blocks, rules, metric
        self._n = 0

    def _walk(self) -> Iterator[tuple[Any, Truth]]:
        """Features, not yet looked at, and the truth of each block."""
        blocks = self._blocks() if callable(self._blocks) else self._blocks
        for block in blocks:
            if len(block) != 3:
                raise ReIDConfigError(
                    f"a gallery block has {len(block)} parts; give features, pids and "
                    "camids."
                )
            features, pids, camids = block
            n = len(pids)
            if n == 0:
                continue
            ids = (self._pids, pids, self._camids, camids)
            yield features, Truth((len(self._query), n), ids, self._rules)

    def _scores(self, features: Any, truth: Truth) -> Iterator[tuple[int, Any]]:
        """Blocks of scores of one block of the gallery."""
        features = features() if callable(features) else features
        if len(features) != len(truth.gallery_pids):
            raise ReIDConfigError(
                f"a gallery block has {len(features)} features and "
                f"{len(truth.gallery_pids)} pids; give one pid per image."
            )
        return score_blocks(*feature_pair(self._query, features), self._metric)

    def matches(self) -> Counts:
        """First walk: the scores of all matches."""
        rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        hits: list[NDArray[Any]] = [np.empty(0, np.float32)]
        for features, truth in self._walk():
            self._n += len(truth.gallery_pids)
            if len(truth.pairs(0, len(self._query)).match_rows) == 0:
                continue
            for start, scores in self._scores(features, truth):
                pairs = truth.pairs(start, start + len(scores))
                hits.append(gather(scores, pairs.match_rows, pairs.match_columns))
                rows.append(pairs.match_rows + start)
        if self._n == 0:
            raise ReIDDataError("gallery_blocks hold no image; nothing can be ranked.")
        return best_first(len(self._query), np.concatenate(rows), np.concatenate(hits))

    def count(self, counts: Counts, pool: ThreadPoolExecutor | None) -> None:
        """Second walk: what stands above each match."""
        seen = 0
        for features, truth in self._walk():
            seen += len(truth.gallery_pids)
            for start, scores in self._scores(features, truth):
                stop = start + len(scores)
                pairs = truth.pairs(start, stop)
                scores = on_host(scores)
                blank(scores, pairs.match_rows, pairs.match_columns)
                blank(scores, pairs.junk_rows, pairs.junk_columns)
                own = counts.part(start, stop)
                tally(scores, own, truth.junk, pool, self._rules.ties)
        if seen != self._n:
            raise ReIDDataError(
                f"gallery_blocks gave {self._n} images first and {seen} then; give a "
                "list, or a function that starts anew on every call."
            )
