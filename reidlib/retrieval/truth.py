"""Who counts for whom: relevant and junk gallery images of every query."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.protocols import Conventions, conventions
from reidlib.retrieval.scores import as_array

Ids = Any  # anything that numpy reads as a vector of integers, or a tensor
FourIds = tuple[Ids, Ids, Ids, Ids]  # query and gallery pids, then camids
Indices = NDArray[np.int64]


def as_ids(values: Ids, name: str, length: int) -> Indices:
    """(length,) integers from any vector of whole numbers."""
    ids = as_array(values)
    if ids.shape != (length,):
        raise ReIDConfigError(
            f"{name} has shape {ids.shape} but there are {length} images; "
            "give one number per image."
        )
    whole = ids.dtype.kind in "iuf" and np.isfinite(ids).all()
    if not whole or (ids != np.floor(ids)).any():
        raise ReIDConfigError(f"{name} must be whole numbers, not {ids.dtype}.")
    return ids.astype(np.int64)


class Lookup:
    """Where each of some values occurs in a vector: one sort, then two searches."""

    def __init__(self, values: Indices, wanted: Indices) -> None:
        self.order = np.argsort(values, kind="stable")
        ranked = values[self.order]
        self.low = np.searchsorted(ranked, wanted, side="left")
        self.sizes = np.searchsorted(ranked, wanted, side="right") - self.low

    def pairs(self, start: int, stop: int) -> tuple[Indices, Indices]:
        """Rows (0 = wanted[start]) and positions of all occurrences, row by row."""
        low, sizes = self.low[start:stop], self.sizes[start:stop]
        rows = np.repeat(np.arange(len(sizes)), sizes)
        shift = low - np.cumsum(sizes) + sizes
        return rows, self.order[np.arange(len(rows)) + shift[rows]]


class Pairs(NamedTuple):
    """Cells (row, column) of a block that are relevant, and those that are junk."""

    match_rows: Indices
    match_columns: Indices
    junk_rows: Indices
    junk_columns: Indices


class Truth:
    """Which gallery images are relevant to a query and which are junk for it.

    Attributes:
        query_pids: (Q,).
        query_camids: (Q,).
        gallery_pids: (G,).
        junk: gallery indices that are junk for every query.
    """

    def __init__(
        self, shape: tuple[int, int], ids: FourIds, rules: Conventions | str
    ) -> None:
        if isinstance(rules, str):
            rules = conventions(rules, {})
        names = ("query_pids", "gallery_pids", "query_camids", "gallery_camids")
        self.query_pids, self.gallery_pids, self.query_camids, self._camids = (
            as_ids(values, name, length)
            for values, name, length in zip(ids, names, shape * 2, strict=True)
        )
        self._same_camera = rules.same_camera
        junk = np.isin(self.gallery_pids, rules.junk_pids)
        self.junk = np.flatnonzero(junk)
        self._people = Lookup(self.gallery_pids, self.query_pids)
        # an identity that is junk is looked for and never found
        self._people.sizes[np.isin(self.query_pids, rules.junk_pids)] = 0
        self._cameras = None
        if rules.same_camera == "drop-all":
            self._cameras = Lookup(self._camids, self.query_camids)

    def pairs(self, start: int, stop: int) -> Pairs:
        """Relevant and junk cells of queries start to stop; row 0 is start."""
        rows, columns = self._people.pairs(start, stop)
        if self._same_camera == "keep":
            return Pairs(rows, columns, rows[:0], columns[:0])
        seen = self._camids[columns] == self.query_camids[start:stop][rows]
        match = rows[~seen], columns[~seen]
        if self._cameras is None:
            return Pairs(*match, rows[seen], columns[seen])
        return Pairs(*match, *self._cameras.pairs(start, stop))

    def split(self, query: int) -> tuple[Indices, Indices]:
        """Gallery indices: relevant to the query; junk for this query alone."""
        found = self.pairs(query, query + 1)
        return found.match_columns, found.junk_columns
