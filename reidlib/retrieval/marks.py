"""From counts to AP, INP and CMC of every query, under any convention.

With equal scores the order is open. "worst" and "best" fix it; "expected" is the exact
mean over all orders of the tied images, each equally likely (McSherry and Najork, ECIR
2008, for AP; the hypergeometric distribution for the first and the last match).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlib.retrieval.counting import Counts
from reidlib.retrieval.protocols import Conventions
from reidlib.retrieval.truth import Indices

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marks:
    """What a block of n queries earned; rows without a match hold 0 and first -1.

    Attributes:
        ap: (n,) average precision over the whole list.
        inp: (n,) matches / rank of the last.
        first: (n,) 0-based rank of the first match; under "expected" ties, the worst.
        curve: (n, width) CMC of each query, entry k-1 for k; None where `first` says
            all of it.
    """

    ap: Values
    inp: Values
    first: Indices
    curve: Values | None


def precisions(index: NDArray[Any], ranks: Indices, ap: str) -> Values:
    """(M,) precision at matches: the index-th of its list, both counted from 0."""
    precision = (index + 1) / (ranks + 1)
    if ap == "trapezoid":  # before rank 0 precision counts as 1
        before = np.where(ranks == 0, 1.0, index / np.maximum(ranks, 1))
        precision = (before + precision) / 2
    return precision


def mark(counts: Counts, rules: Conventions, width: int) -> Marks:
    """Marks of a block under the rules; the CMC has `width` entries."""
    starts, rows = counts.starts, counts.rows
    n = len(starts) - 1
    sizes = np.diff(starts)
    some = np.flatnonzero(sizes)
    index = np.arange(len(rows)) - starts[rows]
    ranks = index + (counts.above if rules.ties == "best" else counts.upto)
    if rules.ties == "together":
        same = _same_before(counts)
        end = np.flatnonzero(np.append(~same[1:], True))
        last = end[np.searchsorted(end, np.arange(len(rows)))]
        precision = precisions(index[last], ranks[last], "step")
    else:
        precision = precisions(index, ranks, rules.ap)
    ap, inp = np.zeros((2, n))
    first = np.full(n, -1, np.int64)
    ap[some] = np.add.reduceat(precision, starts[some]) if len(some) else 0
    ap[some] /= sizes[some]
    inp[some] = sizes[some] / (ranks[starts[some + 1] - 1] + 1)
    first[some] = ranks[starts[some]]
    curve = None
    if rules.cmc == "all-shots":
        curve = _all_shots(counts, rules.ties, width)
    elif rules.ties == "expected":
        curve = np.zeros((n, width))
        curve[some] = np.arange(width) >= first[some, None]
    if rules.ties == "expected":
        for row in np.unique(rows[counts.upto > counts.above]).tolist():
            part = slice(starts[row], starts[row + 1])
            groups = tie_groups(counts.above[part], counts.upto[part])
            ap[row] = expected_ap(groups, rules.ap)
            inp[row] = sizes[row] * _expected_last(*groups[-1])
            if curve is not None and rules.cmc != "all-shots":
                curve[row] = _expected_first(*groups[0], width)
    return Marks(ap, inp, first, curve)


def _same_before(counts: Counts) -> NDArray[np.bool_]:
    """(M,) does a match tie with the match before it in its row?"""
    same = np.zeros(len(counts.rows), bool)
    same[1:] = (counts.hits[1:] == counts.hits[:-1]) & (
        counts.rows[1:] == counts.rows[:-1]
    )
    return same


def _all_shots(counts: Counts, ties: str, width: int) -> Values:
    """Share of a query's matches with fewer than k irrelevant images above them."""
    k = np.arange(1, width + 1)
    low = counts.upto if ties in ("worst", "together") else counts.above
    room = counts.upto - counts.above + 1 if ties == "expected" else 1
    hit = np.clip((k - low[:, None]) / np.reshape(room, (-1, 1)), 0, 1)
    total = np.zeros((len(counts.starts) - 1, width))
    np.add.at(total, counts.rows, hit)
    return total / np.maximum(np.diff(counts.starts), 1)[:, None]


Group = tuple[
    int, int, int, int
]  # images before, matches before; images, matches in it


def tie_groups(above: Indices, upto: Indices) -> list[Group]:
    """The ties of one list that hold matches, (R,) counts best match first."""
    groups: list[Group] = []
    i = 0
    while i < len(above):
        tied = int(upto[i] - above[i])
        inside = 1
        while tied and i + inside < len(above) and above[i + inside] == above[i]:
            inside += 1
        groups.append((int(above[i]) + i, i, tied + inside, inside))
        i += inside
    return groups


def expected_ap(groups: list[Group], ap: str) -> float:
    """Exact mean of AP over all orders of the ties."""
    total, found = 0.0, 0
    for before, matches, size, inside in groups:
        place = np.arange(size)  # within the tie; a match is there with inside / size
        index = matches + place * (inside - 1) / max(size - 1, 1)
        rank = before + place
        total += inside / size * precisions(index, rank, ap).sum()
        found += inside
    return float(total / found)


def _expected_first(
    before: int, _matches: int, size: int, inside: int, width: int
) -> Values:
    """P(a match among the first k), k = 1 to width, from the first tie with one."""
    drawn = np.clip(np.arange(1, width + 1) - before, 0, size - inside + 1)
    left = size - inside - np.arange(size - inside + 1)
    none = np.cumprod(np.append(1.0, left / (size - np.arange(len(left)))))
    return 1 - none[drawn]


def _expected_last(before: int, _matches: int, size: int, inside: int) -> float:
    """E[1 / rank of the last match], the rank from 1, from the last tie with one."""
    # P(last at place) = C(place - 1, inside - 1) / C(size, inside), from the end on
    place = np.arange(size, inside - 1, -1)
    fall = (place[:-1] - inside) / np.maximum(place[:-1] - 1, 1)
    chance = inside / size * np.cumprod(np.append(1.0, fall))
    return float((chance / (before + place)).sum())
