"""Shifted and mirrored views of a picture: more looks at what is there."""

import itertools
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError


def view(images: Tensor, number: int) -> Tensor:
    """The same pictures, shifted by up to a twentieth and, if even, mirrored.

    Args:
        images: (N, 3, H, W), uint8 or float.
        number: of the view; all pictures are changed alike.
    """
    height, width = images.shape[-2:]
    most = max(1, height // 20)
    down, right = (most + step for step in _shift(most, number))
    wide = F.pad(images.float(), [most] * 4, mode="replicate")
    shifted = wide[..., down : down + height, right : right + width].to(images.dtype)
    return shifted if number % 2 else shifted.flip(-1)


def views(images: Tensor, count: int) -> Tensor:
    """The first views of every picture, no two alike, (N, count, 3, H, W).

    Raises:
        ReIDConfigError: count is not 1 or more, or there are not so many.
    """
    numbers = _different(max(1, images.shape[-2] // 20), count)
    return torch.stack([view(images, k) for k in numbers], dim=1)


@cache
def _different(most: int, count: int) -> tuple[int, ...]:
    """Numbers of the first views that differ: a shift may come again."""
    all_of_them = 2 * (2 * most) ** 2  # down and right are never 0
    if not 1 <= count <= all_of_them:
        raise ReIDConfigError(f"count is {count}; give 1 to {all_of_them} views.")
    found: dict[tuple[int, ...], int] = {}
    for number in itertools.count():
        found.setdefault((*_shift(most, number), number % 2), number)
        if len(found) == count:
            return tuple(found.values())
    raise AssertionError("not reached")


def _shift(most: int, number: int) -> tuple[int, int]:
    """Down and right, neither of them 0."""
    rng = np.random.default_rng(number)
    down, right = rng.choice([-1, 1], 2) * rng.integers(1, most + 1, 2)
    return int(down), int(right)
