"""Pose accuracy: are the joints in a drawing where they were asked for?"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reidlib.errors import ReIDConfigError
from reidlib.models.poser import Poser
from reidlib.training.features import serving

Doubles = NDArray[np.float64]
HEAD = (0, 1, 15, 16, 17, 18)  # nose, neck, eyes, ears (PCKh)


@torch.no_grad()
def find_joints(judge: Poser, pictures: Tensor, *, batch: int = 256) -> Doubles:
    """(P, 25, 2) joints in image units, in pictures (P, 3, H, W) in [-1, 1].

    Hidden joints are guessed, too: the asked pose decides which ones count.
    """
    parts = []
    with serving(judge) as (device, (eye,)):
        for part in pictures.split(batch):
            parts.append(eye(part.to(device)).points.double().cpu())
    return torch.cat(parts).numpy()


def pck(
    found: ArrayLike,
    wanted: ArrayLike,
    size: tuple[int, int],
    *,
    at: float = 0.1,
    unit: Literal["body", "head"] = "body",
) -> Doubles:
    """Percentage of correct keypoints, as a share, of each picture.

    A wanted joint counts as correct where the found one is less than ``at`` units
    away. The unit "body" is the height of the box around the wanted joints. "head"
    is PATN's PCKh, usual with at=0.5: the box around nose, neck, eyes and ears, whose
    width and height bound the distance along x and along y.

    Args:
        found: (P, 25, 2) in image units; NaN, not found, is wrong.
        wanted: (P, 25, 2), NaN where missing: those joints are not asked for.
        size: (height, width) of the pictures.

    Returns:
        (P,) in [0, 1]; NaN where no joint is wanted or the unit has no size.

    Raises:
        ReIDConfigError: the shapes differ, an unknown unit, or at is not positive.
    """
    a, b = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if a.shape != b.shape or b.shape[1:] != (25, 2):
        raise ReIDConfigError(
            f"the joints have shapes {a.shape} and {b.shape}; give (P, 25, 2) twice."
        )
    if unit not in ("body", "head") or not at > 0:
        raise ReIDConfigError(
            f"unit={unit!r} must be 'body' or 'head' and at={at} above 0."
        )
    pixels = np.array([size[1], size[0]], np.float64)
    gap = np.abs(a - b) * pixels  # (P, 25, 2)
    seen = np.asarray(np.isfinite(b).all(-1))
    box = b if unit == "body" else b[:, HEAD]
    known = np.asarray(np.isfinite(box).all(-1))[..., None]
    top = np.where(known, box, -np.inf).max(1)
    extent = (top - np.where(known, box, np.inf).min(1)) * pixels  # (P, 2)
    with np.errstate(invalid="ignore"):
        if unit == "body":
            right = np.linalg.norm(gap, axis=-1) < at * extent[:, 1, None]
            valid = extent[:, 1] > 0
        else:
            right = (gap < at * extent[:, None]).all(-1)
            valid = (extent > 0).all(1)
    count = seen.sum(1)
    values = (right & seen).sum(1) / np.maximum(count, 1)
    return np.where(valid & (count > 0), values, np.nan)
