"""Ranks by counting: how many irrelevant images score as high as each match.

AP, CMC and INP need the ranks of the relevant images only, and a rank is a count. So
nothing is sorted but the few scores of the matches: a comparison of the row with a
match's score and a count of the ones is a few microseconds for 20,000 images.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reidlib.retrieval.scores import Block
from reidlib.retrieval.truth import Indices, Truth

MANY = 100  # matches from which one sort of the row beats one count for each
WORTH_A_THREAD = 2**17  # scores
FEW, SHRINK = 2**8, 3  # a copy of what is left pays above 256 scores, below a third


@dataclass(frozen=True, eq=False)
class Counts:
    """The matches of a block of queries, best first, and what stands above each.

    Attributes:
        starts: (n + 1,); the matches of row i are starts[i] to starts[i + 1].
        rows: (M,) row of each match.
        hits: (M,) score of each match, falling within a row.
        above: (M,) irrelevant images with a higher score.
        upto: (M,) irrelevant images with this score or a higher one.
    """

    starts: Indices
    rows: Indices
    hits: NDArray[Any]
    above: Indices
    upto: Indices

    def part(self, start: int, stop: int) -> Counts:
        """Rows start to stop; what is added to it is added to the whole."""
        low, high = self.starts[start], self.starts[stop]
        own = slice(low, high)
        return Counts(
            self.starts[start : stop + 1] - low,
            self.rows[own] - start,
            self.hits[own],
            self.above[own],
            self.upto[own],
        )


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor | None]:
    """As many threads as torch uses; None where that is one."""
    n = torch.get_num_threads()
    if n == 1:
        yield None
        return
    with ThreadPoolExecutor(n) as pool:
        yield pool


def on_host(scores: Block) -> Block:
    """The same memory as numpy, unless it lies on a GPU."""
    if isinstance(scores, torch.Tensor) and scores.device.type == "cpu":
        return scores.numpy()
    return scores


def gather(scores: Block, rows: Indices, columns: Indices) -> NDArray[Any]:
    """(M,) scores of some cells, as numpy."""
    if isinstance(scores, torch.Tensor):
        cells = (torch.from_numpy(part).to(scores.device) for part in (rows, columns))
        return scores[tuple(cells)].cpu().numpy()
    return scores[rows, columns]


def blank(scores: Block, rows: Indices, columns: Indices) -> None:
    """Let some cells stand above nothing; in place."""
    if isinstance(scores, torch.Tensor):
        cells = (torch.from_numpy(part).to(scores.device) for part in (rows, columns))
        scores[tuple(cells)] = -torch.inf
        return
    scores[rows, columns] = -np.inf


def best_first(n: int, rows: Indices, hits: NDArray[Any]) -> Counts:
    """Matches in the order of their rows and falling scores, nothing counted yet."""
    order = np.lexsort((-hits, rows))
    starts = np.searchsorted(rows[order], np.arange(n + 1))
    zeros = np.zeros((2, len(rows)), np.int64)
    return Counts(starts, rows[order], hits[order], *zeros)


def count_block(
    scores: Block,
    truth: Truth,
    start: int,
    pool: ThreadPoolExecutor | None = None,
    ties: str = "expected",
) -> Counts:
    """Counts of a block whose first query is `start`; overwrites the scores.

    ties: "worst" leaves `above` at zero and "best" `upto`, which nobody reads then.
    """
    scores = on_host(scores)
    pairs = truth.pairs(start, start + len(scores))
    matches = pairs.match_rows, pairs.match_columns
    counts = best_first(len(scores), pairs.match_rows, gather(scores, *matches))
    blank(scores, *matches)
    blank(scores, pairs.junk_rows, pairs.junk_columns)
    tally(scores, counts, truth.junk, pool, ties)
    return counts


def tally(
    scores: Block,
    counts: Counts,
    junk: Indices,
    pool: ThreadPoolExecutor | None = None,
    ties: str = "expected",
) -> None:
    """Add to the counts what stands above each match in these (n, G) scores.

    The columns of `junk` stand above nothing; the scores are overwritten there.
    """
    if isinstance(scores, torch.Tensor):
        _tally_tensor(scores, counts, junk, ties)
        return
    n = len(scores)
    if pool is None or scores.size < WORTH_A_THREAD:
        _tally_rows(scores, counts, junk, range(n), ties)
        return
    n_parts = torch.get_num_threads()
    parts = [range(n * i // n_parts, n * (i + 1) // n_parts) for i in range(n_parts)]
    jobs = [
        pool.submit(_tally_rows, scores, counts, junk, part, ties) for part in parts
    ]
    for job in jobs:
        job.result()


def _tally_rows(
    scores: NDArray[Any], counts: Counts, junk: Indices, rows: range, ties: str
) -> None:
    """Tally some rows of numpy scores."""
    memory = np.empty(scores.shape[1], bool)
    starts = counts.starts.tolist()
    upto, above = _sides(ties)
    for i in rows:
        row, low, at = scores[i], starts[i], starts[i + 1] - 1
        if len(junk):
            row[junk] = -np.inf
        few = MANY  # matches left at which counting beats sorting
        while at >= low:  # the worst match first: what is below it is below all
            if at - low >= few or len(row) == 0:
                break
            hit = counts.hits[at]
            mask = np.greater_equal(row, hit, out=memory[: len(row)])
            found = int(np.count_nonzero(mask))
            if upto:
                counts.upto[at] += found
            if above:
                counts.above[at] += int(np.count_nonzero(row > hit))
            if len(row) > FEW and len(row) > SHRINK * found:
                row = row[mask.nonzero()[0]]
            if len(row) <= FEW:
                few = 4
            at -= 1
        if at >= low and len(row):
            part = slice(low, at + 1)
            row = np.sort(row[row >= counts.hits[at]])
            if upto:
                counts.upto[part] += len(row) - row.searchsorted(counts.hits[part])
            if above:
                right = row.searchsorted(counts.hits[part], "right")
                counts.above[part] += len(row) - right


def _tally_tensor(
    scores: torch.Tensor, counts: Counts, junk: Indices, ties: str
) -> None:
    """Tally on the scores' device: the j-th match of every row at once."""
    scores.index_fill_(1, torch.from_numpy(junk).to(scores.device), -torch.inf)
    sizes = np.diff(counts.starts)
    upto, above = _sides(ties)
    for j in range(int(sizes.max(initial=0))):
        rows = np.flatnonzero(sizes > j)
        at = counts.starts[rows] + j
        hits = torch.from_numpy(counts.hits[at]).to(scores.device)[:, None]
        whole = len(rows) == len(scores)
        part = scores if whole else scores[torch.from_numpy(rows).to(scores.device)]
        if upto:
            counts.upto[at] += (part >= hits).sum(dim=1).cpu().numpy()
        if above:
            counts.above[at] += (part > hits).sum(dim=1).cpu().numpy()


def _sides(ties: str) -> tuple[bool, bool]:
    """Which counts a rule for ties reads: `upto`, `above`."""
    return ties != "best", ties in ("best", "expected")
