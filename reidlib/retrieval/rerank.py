"""k-reciprocal re-ranking with sparse sets: no N x N matrix of floats is kept."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.neighbours import mutual_neighbours
from reidlib.retrieval.ranking import BLOCK_ITEMS, Features, feature_pair


class Settings(TypedDict):
    """The three parameters of k-reciprocal re-ranking."""

    k1: int
    k2: int
    lambda_value: float


# The published setting, and the one in use for a gallery with one or two
# images of each identity (CUHK03 classic, CUHK01).
PRESETS: Mapping[str, Settings] = MappingProxyType(
    {
        "large": {"k1": 20, "k2": 6, "lambda_value": 0.3},
        "small": {"k1": 7, "k2": 3, "lambda_value": 0.85},
    }
)


def reranked_distance(
    query_features: Features,
    gallery_features: Features,
    junk: NDArray[np.bool_],
    **settings: Unpack[Settings],
) -> NDArray[np.float32]:
    """`k_reciprocal_distance` among what is no junk; junk is farther than all else.

    Args:
        query_features, gallery_features: as there.
        junk: (G,), True for images that take part in no neighbourhood.
        settings: k1, k2 and lambda_value, such as ``**PRESETS["large"]``.

    Returns:
        (Q, G) float32.
    """
    kept = np.flatnonzero(~junk)
    near = k_reciprocal_distance(query_features, gallery_features[kept], **settings)
    whole = np.full((len(near), len(junk)), near.max() + 1, np.float32)
    whole[:, kept] = near
    return whole


def k_reciprocal_distance(
    query_features: Features,
    gallery_features: Features,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> NDArray[np.float32]:
    """Re-ranked distances of Zhong et al. (CVPR 2017), steps 1-8 of its section 3.

    Remove junk images (pid -1) from the gallery first: they would take part in the
    neighbourhoods. Ties among neighbours: the image itself, then the lower index.
    Named settings: `k_reciprocal_distance(query, gallery, **PRESETS["small"])`.

    Half of the N x N products are computed (N = Q + G), on the device of the gallery,
    and none is kept but the k1 + 1 nearest of each row. Memory: two copies of the
    features at most, the result, and some 100 numbers for each image.

    Args:
        query_features: (Q, D) numpy or torch, any device; normalised here.
        gallery_features: (G, D).
        k1: size of the reciprocal neighbourhoods; half of it for their expansion.
            With fewer than k1 + 1 images in all, each list ends with the last
            image; k1 itself, and so half of it, stays as given.
        k2: neighbours whose sets are averaged (1: none); cut in the same way.
        lambda_value: weight of the original distance, in [0, 1]. At 1 the squared
            Euclidean distance comes back, each row divided by its maximum over
            queries and gallery together.

    Returns:
        (Q, G) float32.

    Raises:
        ReIDConfigError: k1 or k2 is not a whole number from 1 on, lambda_value is
            outside [0, 1], or the features differ in width.
        ReIDDataError: no images, NaN or infinity, or a row of zeros.
    """
    for name, value in (("k1", k1), ("k2", k2)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise ReIDConfigError(f"{name} is {value}; give a whole number from 1 on.")
    if not 0 <= lambda_value <= 1:
        raise ReIDConfigError(f"lambda_value is {lambda_value}; give 0 to 1.")
    features, n_query = _directions(query_features, gallery_features)
    width = max(k1 + 1, k2)
    lists, scores, lowest, original = mutual_neighbours(features, n_query, width)
    largest = np.maximum(2 - 2 * lowest, 0)
    largest = np.where(largest > 1e-6, largest, 1)  # rounding, all images equal
    original = _distance(original, largest[:n_query, None], into=original)
    if lambda_value == 1:
        return original
    wide = _reciprocal(lists[:, : k1 + 1])
    narrow = _reciprocal(lists[:, : round(k1 / 2) + 1])  # half to even, as np.around
    known = _membership(lists, np.float32)
    known.data[:] = np.exp(-_distance(scores, largest[:, None])).ravel()
    weights = _weights(wide, _expansion(wide, narrow), known, features, largest)
    if k2 > 1:
        near = _membership(lists[:, :k2], np.float32)
        weights = near @ weights / min(k2, len(features))
    original *= lambda_value
    return _add_jaccard(original, weights.tocsr(), n_query, 1 - lambda_value)


def _directions(query: Features, gallery: Features) -> tuple[torch.Tensor, int]:
    """(Q + G, D) rows of length one, and Q."""
    queries, items = feature_pair(query, gallery)
    features = torch.cat([queries, items])
    lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    empty = int((lengths == 0).sum())
    if empty:
        raise ReIDDataError(
            f"{empty} of {len(features)} images have features of zeros only, which "
            "have no direction; leave them out or extract them again."
        )
    features /= lengths.clamp_min(1e-12)
    return features, len(queries)


def _distance(
    scores: NDArray[np.float32],
    largest: NDArray[np.float32],
    into: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Step 1: squared Euclidean distance of cosines over the row's maximum."""
    distance = np.multiply(scores, -2, out=into)
    distance += 2
    np.maximum(distance, 0, out=distance)
    distance /= largest
    return distance


def _membership(lists: NDArray[np.int64], dtype: Any) -> sparse.csr_array:
    """(N, N) matrix with a one at (i, j) for every j in list i."""
    n, width = lists.shape
    starts = np.arange(0, n * width + 1, width)
    ones = np.ones(n * width, dtype)
    return sparse.csr_array((ones, lists.ravel(), starts), shape=(n, n))


def _reciprocal(lists: NDArray[np.int64]) -> sparse.csr_array:
    """Step 3: one at (i, j) if each is in the other's list."""
    member = _membership(lists, np.int32)
    return member.multiply(member.T).tocsr()


def _expansion(wide: sparse.csr_array, narrow: sparse.csr_array) -> sparse.csr_array:
    """Step 4: the half-size sets that lie by more than 2/3 in the wide set."""
    shared = (wide @ narrow.T).multiply(wide).tocoo()
    sizes = narrow.sum(axis=1)
    taken = 3 * shared.data > 2 * sizes[shared.col]
    pairs = (shared.row[taken], shared.col[taken])
    chosen = sparse.csr_array(
        (shared.data[taken], pairs), shape=wide.shape, dtype=np.int32
    )
    return (chosen @ narrow).tocsr()


def _weights(
    wide: sparse.csr_array,
    grown: sparse.csr_array,
    known: sparse.csr_array,
    features: torch.Tensor,
    largest: NDArray[np.float32],
) -> sparse.csr_array:
    """Step 5: exp(-distance) of the members, each row with sum 1.

    The lists brought the weights of their own members; those of the few members
    that came by expansion alone are computed here.
    """
    pairs = (grown.astype(bool) > wide.astype(bool)).tocoo()
    cosine = np.empty(pairs.nnz, np.float32)
    step = max(1, BLOCK_ITEMS // features.shape[1])
    for start in range(0, pairs.nnz, step):
        part = slice(start, start + step)
        left = features[torch.from_numpy(pairs.row[part]).long().to(features.device)]
        right = features[torch.from_numpy(pairs.col[part]).long().to(features.device)]
        cosine[part] = torch.linalg.vecdot(left, right).cpu().numpy()
    values = np.exp(-_distance(cosine, largest[pairs.row]))
    added = sparse.csr_array((values, (pairs.row, pairs.col)), shape=wide.shape)
    weights = (known.multiply(wide) + added).tocsr()
    sums = weights.sum(axis=1)
    weights.data /= np.repeat(sums, np.diff(weights.indptr))
    return weights


def _add_jaccard(
    distances: NDArray[np.float32],
    weights: sparse.csr_array,
    n_query: int,
    factor: float,
) -> NDArray[np.float32]:
    """Steps 7-8: add factor times the Jaccard distance to every row, in place."""
    columns = weights[n_query:].T.tocsr()  # row j: the gallery images that hold j
    starts, lengths = columns.indptr, np.diff(columns.indptr)
    for query, row in enumerate(distances):
        part = slice(weights.indptr[query], weights.indptr[query + 1])
        held = weights.indices[part]
        sizes = lengths[held]
        # positions of the chosen columns' entries, one column after another
        shift = np.repeat(starts[held] - np.cumsum(sizes) + sizes, sizes)
        at = np.arange(len(shift)) + shift
        mine = np.repeat(weights.data[part], sizes)
        least = np.minimum(mine, columns.data[at])
        shared = np.bincount(columns.indices[at], least, len(row))
        row += factor * (1 - shared / (2 - shared))
    return distances
