"""Scores, who counts for whom, and the ranked list that everything else shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError

Features = NDArray[Any] | torch.Tensor
Ids = Any  # anything that numpy reads as a vector of integers, or a tensor
FourIds = tuple[Ids, Ids, Ids, Ids]  # query and gallery pids, then camids
Blocks = Iterator[tuple[int, NDArray[Any]]]

# All three follow Market-1501 (SPEC.md 3.1): images of the query's identity in
# the query's camera and images with pid -1 are junk; every other image counts.
PROTOCOLS = ("market1501", "dukemtmc", "holdout")
METRICS = ("cosine", "euclidean")
JUNK_PID = -1
BLOCK_ITEMS = 2**22  # scores held at a time: 16 MB of float32


def as_array(values: Any) -> NDArray[Any]:
    """The numpy array of anything array-like, tensors of any device among them."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    return np.asarray(values)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ReIDConfigError, listing the choices, unless value is one of them."""
    if value not in choices:
        raise ReIDConfigError(
            f"{name}={value!r} is not known; choose from {', '.join(choices)}."
        )


def as_features(values: Features, name: str) -> torch.Tensor:
    """(N, D) finite float32 tensor on the device of the values."""
    if not isinstance(values, torch.Tensor):  # torch warns at read-only arrays
        values = torch.from_numpy(np.require(values, np.float32, ["C", "W"]))
    tensor = values.detach().float()
    if tensor.ndim != 2:
        raise ReIDConfigError(
            f"{name} has shape {tuple(tensor.shape)}; give one row per image, (N, D)."
        )
    if tensor.numel() == 0:
        raise ReIDDataError(f"{name} is empty; nothing can be ranked without images.")
    bad = int((~torch.isfinite(tensor)).any(dim=1).sum())
    if bad:
        raise ReIDDataError(
            f"{name} holds NaN or infinity in {bad} of {len(tensor)} rows; "
            "extract the features again."
        )
    return tensor


def feature_pair(
    query: Features, gallery: Features
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both feature sets checked, of equal width, on the gallery's device."""
    queries = as_features(query, "query_features")
    items = as_features(gallery, "gallery_features")
    if queries.shape[1] != items.shape[1]:
        raise ReIDConfigError(
            f"query_features have {queries.shape[1]} columns and gallery_features "
            f"{items.shape[1]}; extract both with the same encoder."
        )
    return queries.to(items.device), items


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Left times right transposed, float32 under autocast too: bf16 scores tie."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right.T


def score_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str) -> Blocks:
    """First query and (rows, G) scores of each block of queries, higher = nearer.

    Cosine: the cosine. Euclidean: q.g - |g|^2/2, which falls as the distance rises.
    The block may be overwritten by whoever receives it.
    """
    check_choice("metric", metric, METRICS)
    half_norm = None
    if metric == "cosine":
        query = torch.nn.functional.normalize(query, dim=1)
        gallery = torch.nn.functional.normalize(gallery, dim=1)
    else:
        half_norm = gallery.square().sum(dim=1) / 2
    step = max(1, BLOCK_ITEMS // len(gallery))
    for start in range(0, len(query), step):
        scores = product(query[start : start + step], gallery)
        if half_norm is not None:
            scores -= half_norm
        if not torch.isfinite(scores).all():
            raise ReIDDataError("the features are too large for float32; scale them.")
        yield start, scores.cpu().numpy()


def distance_blocks(distances: Features) -> Blocks:
    """First query and negated distances of each block, in float32 or wider."""
    step = max(1, BLOCK_ITEMS // distances.shape[1])
    for start in range(0, len(distances), step):
        block = as_array(distances[start : start + step])
        if not np.isfinite(block).all():
            raise ReIDDataError("distances hold NaN or infinity; compute them again.")
        yield start, np.negative(block, dtype=np.result_type(block, np.float32))


def distance_shape(distances: Features) -> tuple[int, int]:
    """(Q, G) of a distance matrix that has both."""
    shape = tuple(distances.shape)
    if len(shape) != 2:
        raise ReIDConfigError(f"distances have shape {shape}; give (Q, G).")
    if 0 in shape:
        raise ReIDDataError("distances are empty; nothing can be ranked.")
    return shape


def as_ids(values: Ids, name: str, length: int) -> NDArray[np.int64]:
    """(length,) integers from any vector of whole numbers."""
    ids = as_array(values)
    if ids.shape != (length,):
        raise ReIDConfigError(
            f"{name} has shape {ids.shape} but there are {length} images; "
            "give one number per image."
        )
    if ids.dtype.kind not in "iuf" or (ids != np.floor(ids)).any():
        raise ReIDConfigError(f"{name} must be whole numbers, not {ids.dtype}.")
    return ids.astype(np.int64)


class Truth:
    """Which gallery images are relevant to a query and which are junk for it."""

    def __init__(self, shape: tuple[int, int], ids: FourIds, protocol: str) -> None:
        check_choice("protocol", protocol, PROTOCOLS)
        names = ("query_pids", "gallery_pids", "query_camids", "gallery_camids")
        self.query_pids, pids, self._query_camids, self._gallery_camids = (
            as_ids(values, name, length)
            for values, name, length in zip(ids, names, shape * 2, strict=True)
        )
        self.junk = np.flatnonzero(pids == JUNK_PID)  # junk for every query
        order = np.argsort(pids, kind="stable")
        self._order = order[pids[order] != JUNK_PID]
        ranked = pids[self._order]
        self._low = np.searchsorted(ranked, self.query_pids, side="left")
        self._high = np.searchsorted(ranked, self.query_pids, side="right")

    def split(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Gallery indices: relevant to the query; junk for this query alone."""
        same = self._order[self._low[query] : self._high[query]]
        seen = self._gallery_camids[same] == self._query_camids[query]
        return same[~seen], same[seen]


def nearest(
    scores: NDArray[Any], k: int, last: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The k highest of (N,) scores, best first; ties: not `last` first, then index."""
    floor = np.partition(scores, len(scores) - k)[len(scores) - k]
    found = np.flatnonzero(scores >= floor)
    ties = np.zeros(len(found), bool) if last is None else last[found]
    return found[np.lexsort((ties, -scores[found]))[:k]]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The nearest gallery images of every query, nearest first.

    The rows keep junk, marked; `top` leaves it out. Equal distances: an image that
    is not relevant comes before one that is (the worst case, as in `evaluate`),
    then the lower gallery index.

    Attributes:
        indices: (Q, k) int64, rows of the gallery.
        distances: (Q, k); 1 - cosine, Euclidean, or as given.
        valid: (Q, k) bool; False = junk for this query.
        relevant: (Q, k) bool; the query's identity in another camera.
        n_gallery: G, so that one can tell a whole ranking from its top.
    """

    indices: NDArray[np.int64]
    distances: NDArray[Any]
    valid: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    n_gallery: int

    @classmethod
    def from_features(
        cls,
        query_features: Features,
        gallery_features: Features,
        query_pids: Ids = None,
        gallery_pids: Ids = None,
        query_camids: Ids = None,
        gallery_camids: Ids = None,
        *,
        protocol: str = "market1501",
        metric: str = "cosine",
        top_k: int = 50,
    ) -> Ranking:
        """Rank by features (Q, D) and (G, D); arguments and errors as in `evaluate`.

        Without the four vectors of ids (a search) all is valid, nothing relevant.
        """
        query, gallery = feature_pair(query_features, gallery_features)
        ids = (query_pids, gallery_pids, query_camids, gallery_camids)
        blocks = score_blocks(query, gallery, metric)
        ranking = cls._build(blocks, (len(query), len(gallery)), ids, protocol, top_k)
        if metric == "cosine":
            distances = 1 - ranking.distances
        else:
            norms = query.square().sum(dim=1).cpu().numpy()[:, None]
            distances = np.sqrt(np.maximum(norms - 2 * ranking.distances, 0))
        return replace(ranking, distances=distances)

    @classmethod
    def from_distances(
        cls,
        distances: Features,
        query_pids: Ids = None,
        gallery_pids: Ids = None,
        query_camids: Ids = None,
        gallery_camids: Ids = None,
        *,
        protocol: str = "market1501",
        top_k: int = 50,
    ) -> Ranking:
        """Rank by a given (Q, G) matrix, such as re-ranked distances."""
        shape = distance_shape(distances)
        ids = (query_pids, gallery_pids, query_camids, gallery_camids)
        ranking = cls._build(distance_blocks(distances), shape, ids, protocol, top_k)
        return replace(ranking, distances=-ranking.distances)

    @classmethod
    def _build(
        cls,
        blocks: Blocks,
        shape: tuple[int, int],
        ids: FourIds,
        protocol: str,
        top_k: int,
    ) -> Ranking:
        """The ranking with scores in the place of distances."""
        if top_k < 1:
            raise ReIDConfigError(f"top_k is {top_k}; give 1 or more.")
        if all(vector is None for vector in ids):  # no identity in common
            ones, zeros = np.ones(shape[1], int), np.zeros(shape[0], int)
            ids = (zeros, ones, zeros, ones)
        truth = Truth(shape, ids, protocol)
        k = min(top_k, shape[1])
        indices = np.empty((shape[0], k), np.int64)
        valid, relevant = np.ones((2, shape[0], k), bool)
        kept = []
        for start, block in blocks:
            for query, scores in enumerate(block, start):
                matches, junk = truth.split(query)
                match = np.zeros(shape[1], bool)
                match[matches] = True
                counts = np.ones(shape[1], bool)
                counts[truth.junk] = counts[junk] = False
                row = nearest(scores, k, last=match)
                indices[query], valid[query] = row, counts[row]
                relevant[query] = match[row]
                kept.append(scores[row])
        return cls(indices, np.stack(kept), valid, relevant, shape[1])

    def top(self, query: int, k: int) -> pd.DataFrame:
        """The first k valid images: columns rank (from 1), index, distance, relevant.

        Fewer rows only when the gallery has no more; ReIDConfigError when the
        ranking was built with too small a top_k to know.
        """
        chosen = np.flatnonzero(self.valid[query])[:k]
        width = self.indices.shape[1]
        if len(chosen) < k and width < self.n_gallery:
            raise ReIDConfigError(
                f"query {query} has {len(chosen)} valid images, not {k}, among its "
                f"first {width}; build the Ranking with a larger top_k."
            )
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(chosen) + 1),
                "index": self.indices[query, chosen],
                "distance": self.distances[query, chosen],
                "relevant": self.relevant[query, chosen],
            }
        )
