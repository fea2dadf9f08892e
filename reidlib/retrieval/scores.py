"""Scores in blocks: checked features, products of full precision, finite distances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.protocols import check_choice

Features = NDArray[Any] | torch.Tensor
Block = NDArray[Any] | torch.Tensor
Blocks = Iterator[tuple[int, Block]]

METRICS = ("cosine", "euclidean")
PRECISIONS = {"float32": "highest", "bfloat16": "medium"}
BLOCK_ITEMS = 2**22  # scores held at a time: 16 MB of float32
GPU_ITEMS = 2**26  # the same where memory is wide
BLOCK_ROWS = 128  # of queries at least; thinner products read more than they compute
SAME_ROWS = 16  # with fewer, a product rounds a pair by its place in the matrix
CHECKED = 2**18  # items of features that are checked at a time


def as_array(values: Any) -> NDArray[Any]:
    """The numpy array of anything array-like, tensors of any device among them."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    return np.asarray(values)


def square_norms(features: torch.Tensor) -> torch.Tensor:
    """(N,) squared lengths of (N, D) rows, without a copy of the rows."""
    step = min(len(features), max(1, CHECKED // features.shape[1]))
    norms = features.new_empty(len(features))
    scratch = features.new_empty(step, features.shape[1])  # fresh ones pile up
    for start in range(0, len(features), step):
        part = features[start : start + step]
        squares = torch.mul(part, part, out=scratch[: len(part)])
        torch.sum(squares, dim=1, out=norms[start : start + len(part)])
    return norms


def as_features(values: Features, name: str) -> torch.Tensor:
    """(N, D) finite float32 tensor on the device of the values; no copy if it is one.

    Raises:
        ReIDConfigError: not a matrix of numbers.
        ReIDDataError: empty, NaN or infinity in it, or too large to be squared.
    """
    if not isinstance(values, torch.Tensor):  # torch warns at read-only arrays
        try:
            array = np.require(values, np.float32, ["C", "W"])
        except (TypeError, ValueError) as error:
            raise ReIDConfigError(
                f"{name} cannot be read as numbers ({error}); give one row per image."
            ) from error
        values = torch.from_numpy(array)
    tensor = values.detach().float()
    if tensor.ndim != 2:
        raise ReIDConfigError(
            f"{name} has shape {tuple(tensor.shape)}; give one row per image, (N, D)."
        )
    if tensor.numel() == 0:
        raise ReIDDataError(f"{name} is empty; nothing can be ranked without images.")
    suspects = ~torch.isfinite(square_norms(tensor))
    if suspects.any():
        bad = int((~torch.isfinite(tensor[suspects])).any(dim=1).sum())
        if bad:
            raise ReIDDataError(
                f"{name} holds NaN or infinity in {bad} of {len(tensor)} rows; "
                "extract the features again."
            )
        raise ReIDDataError(f"{name} is too large for float32; scale the features.")
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


def _at_least(features: torch.Tensor, rows: int) -> torch.Tensor:
    """The features, with rows of zeros below where there are too few."""
    if len(features) >= rows:
        return features
    return torch.nn.functional.pad(features, (0, 0, 0, rows - len(features)))


def product(
    left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Left times right transposed, float32 under autocast too: bf16 scores tie.

    Few rows or columns are padded with zeros: the products of a vector, and of the
    last few columns, add up in another order, and collapsed features would no longer
    tie. `out`, where given, has the shape of the padded product or more rows.
    """
    rows, columns = len(left), len(right)
    left, right = _at_least(left, SAME_ROWS), _at_least(right, SAME_ROWS)
    with torch.autocast(left.device.type, enabled=False):
        whole = torch.mm(left, right.T, out=None if out is None else out[: len(left)])
    return whole[:rows, :columns]


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Multiply in float32 or bfloat16 inside; sums and scores stay float32.

    The setting is torch's `set_float32_matmul_precision`, put back afterwards. A CPU
    without bfloat16 instructions goes on in float32; a GPU may take TF32 instead.
    """
    check_choice("precision", precision, PRECISIONS)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRECISIONS[precision])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def score_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str) -> Blocks:
    """First query and (rows, G) scores of each block of queries, higher = nearer.

    Cosine: the cosine, 0 for a zero vector. Euclidean: q.g - |g|^2/2, which falls as
    the distance rises. Every block lies in the same memory, on the features' device,
    and may be overwritten: use it up before the next one is asked for.
    """
    check_choice("metric", metric, METRICS)
    norms = square_norms(gallery)
    cosine = metric == "cosine"
    change = 1 / norms.sqrt().clamp(min=1e-12) if cosine else norms / 2
    items = GPU_ITEMS if gallery.is_cuda else BLOCK_ITEMS
    step = min(len(query), max(BLOCK_ROWS, items // len(gallery)))
    buffer = gallery.new_empty(max(step, SAME_ROWS), max(len(gallery), SAME_ROWS))
    for start in range(0, len(query), step):
        part = query[start : start + step]
        part = torch.nn.functional.normalize(part, dim=1) if cosine else part
        scores = product(part, gallery, out=buffer)
        yield start, scores.mul_(change) if cosine else scores.sub_(change)


def distance_blocks(distances: Features) -> Blocks:
    """First query and negated distances of each block, in float32 or wider."""
    step = max(1, BLOCK_ITEMS // distances.shape[1])
    buffer = None
    for start in range(0, len(distances), step):
        block = as_array(distances[start : start + step])
        if not np.isfinite(block).all():
            raise ReIDDataError("distances hold NaN or infinity; compute them again.")
        if buffer is None:
            buffer = np.empty(block.shape, np.result_type(block, np.float32))
        yield start, np.negative(block, out=buffer[: len(block)], dtype=buffer.dtype)


def distance_shape(distances: Features) -> tuple[int, int]:
    """(Q, G) of a distance matrix that has both, of numbers."""
    shape = tuple(distances.shape)
    if len(shape) != 2:
        raise ReIDConfigError(f"distances have shape {shape}; give (Q, G).")
    if 0 in shape:
        raise ReIDDataError("distances are empty; nothing can be ranked.")
    if not isinstance(distances, torch.Tensor) and distances.dtype.kind not in "iuf":
        raise ReIDConfigError(f"distances must be real numbers, not {distances.dtype}.")
    return shape[0], shape[1]
