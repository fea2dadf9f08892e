"""k-reciprocal re-ranking with sparse sets: no N x N matrix of floats is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.ranking import (
    BLOCK_ITEMS,
    Features,
    feature_pair,
    nearest,
    product,
)


def k_reciprocal_distance(
    query_features: Features,
    gallery_features: Features,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> NDArray[np.float32]:
    """Re-ranked distances of Zhong et al. (CVPR 2017), steps 1-8 of SPEC.md 8.

    Remove junk images (pid -1) from the gallery first: they would take part in the
    neighbourhoods. Ties among neighbours: the image itself, then the lower index.

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
    """
    if k1 < 1 or k2 < 1:
        raise ReIDConfigError(f"k1 = {k1} and k2 = {k2} must both be 1 or more.")
    if not 0 <= lambda_value <= 1:
        raise ReIDConfigError(f"lambda_value is {lambda_value}; give 0 to 1.")
    query, gallery = feature_pair(query_features, gallery_features)
    n_query = len(query)
    features = torch.nn.functional.normalize(torch.cat([query, gallery]), dim=1)
    lists, largest, original = _neighbours(features, n_query, max(k1 + 1, k2))
    if lambda_value == 1:
        return original
    wide = _reciprocal(lists[:, : k1 + 1])
    narrow = _reciprocal(lists[:, : round(k1 / 2) + 1])  # half to even, as np.around
    weights = _weights(_expand(wide, narrow), features, largest)
    if k2 > 1:
        near = _membership(lists[:, :k2], np.float32)
        weights = near @ weights / min(k2, len(features))
    original *= lambda_value
    return _add_jaccard(original, weights.tocsr(), n_query, 1 - lambda_value)


def _neighbours(
    features: torch.Tensor, n_query: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Nearest lists (N, width), row maxima (N,), normalised query x gallery block."""
    n = len(features)
    width = min(width, n)
    lists = np.empty((n, width), np.int32)
    largest = np.empty(n, np.float32)
    original = np.empty((n_query, n - n_query), np.float32)
    step = max(1, BLOCK_ITEMS // n)
    for start in range(0, n, step):
        scores = product(features[start : start + step], features).cpu().numpy()
        rows = np.arange(start, start + len(scores))
        top = np.maximum(2 - 2 * scores.min(axis=1), 0)
        largest[rows] = np.where(top > 1e-6, top, 1)  # rounding, all images equal
        mine = scores[rows < n_query, n_query:]
        original[start : start + len(mine)] = (
            np.maximum(2 - 2 * mine, 0) / largest[rows[: len(mine)], None]
        )
        scores[rows - start, rows] = np.inf  # an image is its own first neighbour
        for row, score in zip(rows, scores, strict=True):
            lists[row] = nearest(score, width)
    return lists, largest, original


def _membership(lists: NDArray[np.int32], dtype: Any) -> sparse.csr_array:
    """(N, N) matrix with a one at (i, j) for every j in list i."""
    n, width = lists.shape
    starts = np.arange(0, n * width + 1, width)
    ones = np.ones(n * width, dtype)
    return sparse.csr_array((ones, lists.ravel(), starts), shape=(n, n))


def _reciprocal(lists: NDArray[np.int32]) -> sparse.csr_array:
    """Step 3: one at (i, j) if each is in the other's list."""
    member = _membership(lists, np.int32)
    return member.multiply(member.T).tocsr()


def _expand(wide: sparse.csr_array, narrow: sparse.csr_array) -> sparse.csr_array:
    """Step 4: add the half-size sets that lie by more than 2/3 in the wide set."""
    shared = (wide @ narrow.T).multiply(wide).tocoo()
    sizes = narrow.sum(axis=1)
    taken = 3 * shared.data > 2 * sizes[shared.col]
    pairs = (shared.row[taken], shared.col[taken])
    chosen = sparse.csr_array(
        (shared.data[taken], pairs), shape=wide.shape, dtype=np.int32
    )
    return (wide + chosen @ narrow).tocsr()


def _weights(
    sets: sparse.csr_array, features: torch.Tensor, largest: NDArray[np.float32]
) -> sparse.csr_array:
    """Step 5: exp(-distance) of the members, each row with sum 1."""
    pairs = sets.tocoo()
    values = np.empty(pairs.nnz, np.float32)
    step = max(1, BLOCK_ITEMS // features.shape[1])
    for start in range(0, pairs.nnz, step):
        part = slice(start, start + step)
        left = features[torch.from_numpy(pairs.row[part]).long()]
        right = features[torch.from_numpy(pairs.col[part]).long()]
        cosine = (left * right).sum(dim=1).cpu().numpy()
        distance = np.maximum(2 - 2 * cosine, 0) / largest[pairs.row[part]]
        values[part] = np.exp(-distance)
    values /= np.bincount(pairs.row, values, len(largest))[pairs.row]
    return sparse.csr_array((values, (pairs.row, pairs.col)), shape=sets.shape)


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
