"""The FAISS half of `GalleryIndex`; FAISS is imported when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError

BITS = 8  # of a code: 256 centroids, so at least as many rows to train on


def beside(path: Path, ending: str) -> Path:
    """A file of an index beside its own: g.v1.safetensors → g.v1<ending>."""
    return path.with_name(path.name.removesuffix(".safetensors") + ending)


def import_faiss() -> Any:
    """The module; ReIDConfigError that names the extra when it is missing."""
    try:
        import faiss
    except ImportError as error:
        raise ReIDConfigError(
            "FAISS is not installed; pip install 'reidlib[search]', or choose "
            "backend='exact'."
        ) from error
    return faiss


class FaissShelf:
    """Rows under ids in a FAISS index.

    "flat" keeps the rows. "ivfpq" keeps a byte for every few columns: it sorts rows
    into about 4 sqrt(N) cells and searches one cell in 16 (at least 8).
    """

    def __init__(self, dim: int, metric: str, backend: str) -> None:
        self._faiss = import_faiss()
        self._dim, self._metric, self._backend = dim, metric, backend
        self._index: Any = None

    def add(self, rows: torch.Tensor, ids: NDArray[np.int64]) -> None:
        """Add; the first rows train an "ivfpq"."""
        matrix = np.ascontiguousarray(rows.cpu().numpy())
        if self._index is None:
            self._index = self._build(matrix)
        self._index.add_with_ids(matrix, ids)

    def _build(self, matrix: NDArray[np.float32]) -> Any:
        kind = self._faiss.METRIC_L2
        if self._metric == "cosine":
            kind = self._faiss.METRIC_INNER_PRODUCT
        if self._backend == "flat":
            return self._faiss.index_factory(self._dim, "IDMap2,Flat", kind)
        if len(matrix) < 2**BITS:
            raise ReIDDataError(
                f"ivfpq learns from the first add and needs {2**BITS} rows, not "
                f"{len(matrix)}; add more at once, or choose backend='flat'."
            )
        cells = max(1, min(round(4 * len(matrix) ** 0.5), len(matrix) // 39))
        codes = next(m for m in (64, 32, 16, 8, 4, 2, 1) if self._dim % m == 0)
        name = f"IVF{cells},PQ{codes}x{BITS}"
        index = self._faiss.index_factory(self._dim, name, kind)
        index.pq.cp.min_points_per_centroid = 1  # it would print a warning
        index.train(matrix)
        index.nprobe = min(cells, max(8, cells // 16))
        return index

    def remove(self, gone: NDArray[np.int64]) -> None:
        """Remove by id."""
        self._index.remove_ids(gone)

    def search(
        self, queries: torch.Tensor, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and distances (Q, k)."""
        matrix = np.ascontiguousarray(queries.cpu().numpy())
        scores, ids = self._index.search(matrix, k)
        if self._metric == "cosine":
            distances = 1 - scores
        else:
            distances = np.sqrt(np.maximum(scores, 0))
        return ids, np.where(ids < 0, np.float32(np.inf), distances)

    def save(self, path: Path) -> None:
        """FAISS's own file, beside the path."""
        if self._index is None:
            raise ReIDDataError("the index is empty; add images before saving it.")
        self._faiss.write_index(self._index, str(beside(path, ".faiss")))

    def load(self, path: Path) -> NDArray[np.int64]:
        """Read FAISS's file; its ids."""
        file = beside(path, ".faiss")
        if not file.is_file():
            raise ReIDDataError(f"there is no {file}; save the index again.")
        try:
            self._index = self._faiss.read_index(str(file))
        except RuntimeError as error:
            line = str(error).partition("\n")[0]
            raise ReIDDataError(
                f"{file} is no whole index of FAISS ({line}); save it again."
            ) from error
        if self._backend == "flat":
            return self._faiss.vector_to_array(self._index.id_map)
        lists = self._index.invlists
        held = [
            self._faiss.rev_swig_ptr(lists.get_ids(cell), lists.list_size(cell)).copy()
            for cell in range(lists.nlist)
            if lists.list_size(cell)
        ]
        return np.concatenate([np.empty(0, np.int64), *held])
