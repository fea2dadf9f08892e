"""Shifted and mirrored views of a picture: more looks at what is there."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def view(images: Tensor, number: int) -> Tensor:
    """The same pictures, shifted by up to a twentieth and, if even, mirrored.

    Args:
        images: (N, 3, H, W), uint8 or float.
        number: of the view; all pictures are changed alike.
    """
    height, width = images.shape[-2:]
    most = max(1, height // 20)
    rng = np.random.default_rng(number)
    down, right = most + rng.choice([-1, 1], 2) * rng.integers(1, most + 1, 2)
    wide = F.pad(images.float(), [most] * 4, mode="replicate")
    shifted = wide[..., down : down + height, right : right + width].to(images.dtype)
    return shifted if number % 2 else shifted.flip(-1)


def views(images: Tensor, count: int) -> Tensor:
    """The first views of every picture, (N, count, 3, H, W); count at least 1."""
    return torch.stack([view(images, k) for k in range(count)], dim=1)
