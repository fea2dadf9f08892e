"""The nearest rows of every row, each pair of rows multiplied once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

BLOCK_ROWS = 1024  # 4 MB of float32 scores for a pair of blocks
PATIENCE = 4  # candidates that wait, in multiples of the lists they may enter


def mutual_neighbours(
    features: torch.Tensor, n_query: int, width: int
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]:
    """One pass over half of the N x N products; none of them is kept.

    A block of products serves its rows, and transposed its columns. Only scores
    that may enter a row's list leave the block, so that the pass costs little more
    than the products. Ties: the row itself, then the lower index.

    Args:
        features: (N, D) rows of length one, on any device; queries first.
        n_query: how many of the rows are queries.
        width: length of the lists; cut to N.

    Returns:
        Lists (N, width) with the row itself first; their scores, +inf for the row
        itself; the lowest score of each row (N,); query x gallery scores (Q, G).
    """
    n = len(features)
    width = min(width, n)
    bits = max(1, (n - 1).bit_length())
    step = max(1, min(BLOCK_ROWS, 2 ** max(0, 32 - bits)))  # a key has 64 bits
    starts = range(0, n, step)
    parts = [features[start : start + step] for start in starts]
    shelves = [
        _Shelf(len(part), width, bits, features.device)  # one per block of rows
        for part in parts
    ]
    lowest = torch.full((n,), torch.inf, device=features.device)
    between = np.empty((n_query, n - n_query), np.float32)
    space = torch.empty(step * step, device=features.device)
    for i, j in _pairs(len(parts)):
        left, right, top, first = parts[i], parts[j], starts[i], starts[j]
        scores = space[: len(left) * len(right)].view(len(left), len(right))
        torch.mm(left, right.T, out=scores)
        rows, columns = lowest[top : top + step], lowest[first : first + step]
        torch.minimum(rows, scores.amin(dim=1), out=rows)
        skip = max(n_query - first, 0)  # columns that are queries
        if top < n_query and skip < len(right):
            mine = scores[: n_query - top, skip:].cpu().numpy()
            at = slice(first + skip - n_query, first + len(right) - n_query)
            between[top : top + len(mine), at] = mine
        if i == j:
            scores.fill_diagonal_(torch.inf)
            shelves[i].begin(scores, first)
        else:
            torch.minimum(columns, scores.amin(dim=0), out=columns)
            shelves[i].offer(scores > shelves[i].floor[:, None], scores, first)
            # the rows stand before all that the columns have seen: ties enter too
            shelves[j].offer(scores >= shelves[j].floor, scores, top, transposed=True)
    found = [shelf.close() for shelf in shelves]
    lists = np.concatenate([indices for indices, _ in found])
    values = np.concatenate([scores for _, scores in found])
    return lists, values, lowest.cpu().numpy(), between


def _pairs(count: int) -> list[tuple[int, int]]:
    """Every block with itself, for a first list; then each pair, by rows."""
    twins = [(i, i) for i in range(count)]
    return twins + [(i, j) for i in range(count) for j in range(i + 1, count)]


class _Shelf:
    """The lists of one block of rows while they grow.

    An entry is one number, (row, falling score, index) from the highest bit to the
    lowest: sorting the numbers ranks every row, ties by index.
    """

    def __init__(self, rows: int, width: int, bits: int, device: torch.device) -> None:
        self.floor = torch.full((rows,), -torch.inf, device=device)
        self._rows, self._width, self._bits = rows, width, bits
        self._waiting: list[NDArray[np.uint64]] = []
        self._count = 0

    def begin(self, scores: torch.Tensor, first: int) -> None:
        """Take the block of the rows with themselves; columns start at `first`."""
        best = scores.topk(min(self._width, scores.shape[1]), dim=1).values
        chosen = scores >= best[:, -1:]
        self.offer(chosen, scores, first)
        self._merge()

    def offer(
        self,
        chosen: torch.Tensor,
        scores: torch.Tensor,
        first: int,
        transposed: bool = False,
    ) -> None:
        """Let the chosen scores of (rows, columns) wait; merge when many do."""
        at = _where(chosen)
        values = scores.flatten()[torch.from_numpy(at).to(scores.device)].cpu().numpy()
        row, column = np.divmod(at.astype(np.uint64), np.uint64(scores.shape[1]))
        if transposed:
            row, column = column, row
        keys = row << np.uint64(32) | _falling(values)
        keys = keys << np.uint64(self._bits) | (column + np.uint64(first))
        self._waiting.append(keys)
        self._count += len(keys)
        if self._count > PATIENCE * self._rows * self._width:
            self._merge()

    def close(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Indices and scores (rows, width), best first."""
        keys = self._merge()
        indices = (keys & np.uint64(2**self._bits - 1)).astype(np.int64)
        return indices, _rising(keys >> np.uint64(self._bits))

    def _merge(self) -> NDArray[np.uint64]:
        keys = np.sort(np.concatenate(self._waiting))
        row = keys >> np.uint64(32 + self._bits)
        begin = np.searchsorted(row, np.arange(self._rows, dtype=np.uint64))
        place = np.arange(len(keys)) - begin[row.astype(np.int64)]
        keys = keys[place < self._width]
        self._waiting, self._count = [keys], 0
        if len(keys) == self._rows * self._width:  # every list is full
            last = keys.reshape(self._rows, self._width)[:, -1] >> np.uint64(self._bits)
            self.floor = torch.from_numpy(_rising(last)).to(self.floor.device)
        return keys.reshape(self._rows, -1)


def _where(chosen: torch.Tensor) -> NDArray[np.int64]:
    """Positions of the true entries, row by row; numpy's search is the faster one."""
    if chosen.device.type == "cpu":
        return np.flatnonzero(chosen.numpy())
    return chosen.flatten().nonzero()[:, 0].cpu().numpy()


def _falling(scores: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Whole numbers below 2^32 that rise as the score falls."""
    bits = (scores + np.float32(0)).view(np.uint32)  # no negative zero
    return np.where(bits >> 31, bits, bits ^ 0x7FFFFFFF).astype(np.uint64)


def _rising(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """The scores that `_falling` turned into the low 32 bits of the numbers."""
    bits = (numbers & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return np.where(bits >> 31, bits, bits ^ 0x7FFFFFFF).astype(np.uint32).view("f4")
