"""A gallery that is searched: exact by default, FAISS for millions of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.faissindex import FaissShelf, beside
from reidlib.retrieval.ranking import (
    Features,
    Ids,
    as_features,
    as_ids,
    check_choice,
    product,
)

BACKENDS = ("exact", "flat", "ivfpq")
FORMAT = "reidlib.GalleryIndex/1"
PART_ROWS = 8192  # rows multiplied at a time
QUERY_ROWS = 512


class Found(NamedTuple):
    """Answer to a search, nearest first."""

    ids: NDArray[np.int64]  # (Q, k); -1 where an approximate index found no more
    distances: NDArray[np.float32]  # (Q, k), 1 - cosine or Euclidean; inf beside -1


class GalleryIndex:
    """Features by id: add, remove, search, save, load.

    Args:
        dim: D, width of the features.
        metric: "cosine" or "euclidean".
        backend: "exact", products in chunks with torch, ties to the lower id; "flat",
            the same search by FAISS; "ivfpq", FAISS's approximate one, trained by the
            first `add`. FAISS comes with the extra `[search]`.

    Raises:
        ReIDConfigError: an unknown option, or FAISS is wanted and not installed.
    """

    def __init__(
        self, dim: int, *, metric: str = "cosine", backend: str = "exact"
    ) -> None:
        check_choice("backend", backend, BACKENDS)
        check_choice("metric", metric, ("cosine", "euclidean"))
        if dim < 1:
            raise ReIDConfigError(f"dim is {dim}; give the width of the features.")
        self.dim, self.metric, self.backend = dim, metric, backend
        self._shelf: _ExactShelf | FaissShelf
        if backend == "exact":
            self._shelf = _ExactShelf(dim, metric)
        else:
            self._shelf = FaissShelf(dim, metric, backend)
        self._ids: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, key: int) -> bool:
        return key in self._ids

    def add(self, features: Features, ids: Ids = None) -> NDArray[np.int64]:
        """Add images; equal to building the index with them at once.

        Args:
            features: (N, D) numpy or torch.
            ids: (N,) whole numbers from 0; by default they go on from the largest.

        Returns:
            (N,) the ids.

        Raises:
            ReIDConfigError: another width, or an id that is negative, double or taken.
            ReIDDataError: NaN or infinity; a row of zeros under cosine.
        """
        rows = self._checked(features, "features")
        if ids is None:
            first = max(self._ids, default=-1) + 1
            ids = np.arange(first, first + len(rows))
        keys = as_ids(ids, "ids", len(rows))
        new = set(keys.tolist())
        if len(new) < len(keys) or min(new) < 0 or new & self._ids:
            raise ReIDConfigError(
                "ids must be 0 or more, each once, and not in the index yet; remove an "
                "image before adding it again."
            )
        self._shelf.add(rows, keys)
        self._ids |= new
        return keys

    def remove(self, ids: Ids) -> None:
        """Remove images by id; ReIDConfigError if one is not in the index."""
        gone = np.atleast_1d(np.asarray(ids))
        gone = as_ids(gone, "ids", len(gone))
        strange = set(gone.tolist()) - self._ids
        if strange:
            raise ReIDConfigError(
                f"id {min(strange)} is not in the index; `id in index` tells."
            )
        if len(gone):
            self._shelf.remove(gone)
            self._ids -= set(gone.tolist())

    def search(self, queries: Features, k: int = 10) -> Found:
        """The k nearest images of each query, all if there are fewer.

        Raises:
            ReIDConfigError: k below 1, or another width.
            ReIDDataError: the index is empty, or bad features as in `add`.
        """
        if k < 1:
            raise ReIDConfigError(f"k is {k}; give 1 or more.")
        rows = self._checked(queries, "queries")
        if not self._ids:
            raise ReIDDataError("the index is empty; add images before searching.")
        return Found(*self._shelf.search(rows, min(k, len(self))))

    def agreement(self, other: GalleryIndex, queries: Features, k: int = 10) -> float:
        """Recall@k against the other, exact index: shared ids among its first k.

        1 for an index with the same answers in any order; equal distances may cost
        something, as either index breaks ties in its own way.
        """
        mine, theirs = self.search(queries, k).ids, other.search(queries, k).ids
        shared = [
            len(set(a.tolist()) & set(b.tolist()))
            for a, b in zip(mine, theirs, strict=True)
        ]
        return float(np.mean(shared) / theirs.shape[1])

    def save(self, path: Path | str) -> None:
        """Write `path` (.safetensors; .faiss beside it for FAISS) and .index.json."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._shelf.save(path)
        about = {
            "format": FORMAT,
            "backend": self.backend,
            "metric": self.metric,
            "dim": self.dim,
            "size": len(self),
        }
        note = beside(path, ".index.json")
        aside = note.with_name(note.name + ".part")
        aside.write_text(json.dumps(about, indent=1) + "\n")
        aside.replace(note)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote.

        Raises:
            ReIDDataError: a file is missing, broken, or does not fit the other.
        """
        path = Path(path)
        about = _about(beside(path, ".index.json"))
        index = cls(about["dim"], metric=about["metric"], backend=about["backend"])
        index._ids = set(index._shelf.load(path).tolist())
        if len(index) != about["size"]:
            raise ReIDDataError(
                f"{path} holds {len(index)} images, but {about['size']} were saved; "
                "save the index again."
            )
        return index

    def _checked(self, features: Features, name: str) -> torch.Tensor:
        """(N, D), at length one under cosine."""
        rows = as_features(features, name)
        if rows.shape[1] != self.dim:
            raise ReIDConfigError(
                f"{name} have {rows.shape[1]} columns and the index {self.dim}; "
                "extract both with the same encoder."
            )
        if self.metric == "cosine":
            lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            if (lengths == 0).any():
                raise ReIDDataError(
                    f"{name} hold a row of zeros, which has no direction; leave it "
                    "out, or choose metric='euclidean'."
                )
            rows = rows / lengths
        return rows


class _ExactShelf:
    """Rows in parts that are multiplied one by one."""

    def __init__(self, dim: int, metric: str) -> None:
        self._dim, self._metric = dim, metric
        self._parts: list[tuple[torch.Tensor, NDArray[np.int64]]] = []

    def add(self, rows: torch.Tensor, ids: NDArray[np.int64]) -> None:
        """Fill the last part, then begin new ones."""
        rows = rows.clone() if self._metric == "euclidean" else rows
        if self._parts and len(self._parts[-1][1]) < PART_ROWS:
            last, known = self._parts.pop()
            rows = torch.cat([last, rows.to(last.device)])
            ids = np.concatenate([known, ids])
        for start in range(0, len(ids), PART_ROWS):
            stop = start + PART_ROWS
            self._parts.append((rows[start:stop], ids[start:stop]))

    def remove(self, gone: NDArray[np.int64]) -> None:
        """Drop rows of the parts that hold them."""
        for number, (rows, ids) in enumerate(self._parts):
            kept = ~np.isin(ids, gone)
            if not kept.all():
                mask = torch.from_numpy(kept).to(rows.device)
                self._parts[number] = (rows[mask], ids[kept])
        self._parts = [part for part in self._parts if len(part[1])]

    def search(
        self, queries: torch.Tensor, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and distances (Q, k)."""
        found = [self._block(block, k) for block in queries.split(QUERY_ROWS)]
        ids, distances = (np.concatenate(part) for part in zip(*found, strict=True))
        return ids, distances

    def _block(self, queries: torch.Tensor, k: int) -> tuple[Any, Any]:
        count = len(queries)
        best = (np.empty((count, 0), np.int64), np.empty((count, 0), np.float32))
        squares = queries.square().sum(dim=1, keepdim=True)
        for rows, ids in self._parts:
            part = queries.to(rows.device)
            scores = product(part, rows)
            if self._metric == "euclidean":  # minus the squared distance
                norms = rows.square().sum(dim=1)
                scores = 2 * scores - norms - squares.to(rows.device)
            best = _merge(best, scores, ids, k)
        if self._metric == "cosine":
            return best[0], 1 - best[1]
        return best[0], np.sqrt(np.maximum(-best[1], 0))

    def save(self, path: Path) -> None:
        """One file, written aside and renamed."""
        empty = torch.empty(0, self._dim)
        rows = torch.cat([empty, *(part.cpu() for part, _ in self._parts)])
        ids = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in self._parts)])
        aside = path.with_name(path.name + ".part")
        save_file({"features": rows, "ids": torch.from_numpy(ids)}, aside)
        aside.replace(path)

    def load(self, path: Path) -> NDArray[np.int64]:
        """Take the rows of a file; its ids."""
        try:
            saved = load_file(path)
            rows, ids = saved["features"], saved["ids"].numpy()
        except (OSError, SafetensorError, KeyError) as error:
            raise ReIDDataError(
                f"{path} is not the features of an index ({error}); save it again."
            ) from error
        if rows.shape[1:] != (self._dim,):
            raise ReIDDataError(
                f"{path} holds features of shape {tuple(rows.shape)} where "
                f"{self._dim} columns were saved; save the index again."
            )
        self.add(rows, ids)
        return ids


def _merge(
    best: tuple[Any, Any], scores: torch.Tensor, ids: NDArray[np.int64], k: int
) -> tuple[Any, Any]:
    """The k best of what was found and a new part, ties by id."""
    count = len(scores)
    floor = scores.topk(min(k, len(ids)), dim=1).values[:, -1:]
    row, column = (scores >= floor).nonzero(as_tuple=True)
    values = scores[row, column].cpu().numpy()
    rows = np.concatenate(
        [np.arange(count).repeat(best[0].shape[1]), row.cpu().numpy()]
    )
    keys = np.concatenate([best[0].ravel(), ids[column.cpu().numpy()]])
    values = np.concatenate([best[1].ravel(), values])
    order = np.lexsort((keys, -values, rows))
    starts = np.searchsorted(rows[order], np.arange(count))
    width = min(k, best[0].shape[1] + len(ids))
    order = order[starts[:, None] + np.arange(width)]
    return keys[order], values[order]


def _about(path: Path) -> dict[str, Any]:
    """What `save` noted beside an index."""
    try:
        about = json.loads(path.read_text())
        if about["format"] == FORMAT:
            return {key: about[key] for key in ("dim", "metric", "backend", "size")}
        fault = f"its format is {about['format']!r}"
    except (OSError, ValueError, TypeError, KeyError) as error:
        fault = f"{type(error).__name__}: {error}"
    raise ReIDDataError(f"{path} does not describe an index ({fault}); save it again.")
