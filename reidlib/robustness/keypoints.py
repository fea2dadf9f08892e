"""Faulty keypoints: what a pose detector gets wrong, turned up step by step.

At test time the method reads no keypoints of the query. It depends on the K poses that
it draws everybody in, and those come from the keypoints of the training pictures.
"""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError
from reidlib.models import PoseInvariantExtractor
from reidlib.pose import SKELETONS
from reidlib.robustness.corruptions import Factor, check_severity

Floats = NDArray[np.float64]
Spoil = Callable[[Floats, float, np.random.Generator], Floats]


def jitter(points: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    """Every joint off by a normal error along x and y."""
    return points + rng.normal(0, 1, points.shape) * sigma


def dropped(points: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Every joint missing with this probability."""
    lost = rng.random(points.shape[:-1]) < share
    return np.where(lost[..., None], np.nan, points)


def swapped(points: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Left and right mistaken for each other in this share of the poses."""
    order = np.arange(25)
    for a, b in SKELETONS["body25"].swaps:
        order[[a, b]] = b, a
    wrong = rng.random(points.shape[:-2]) < share
    return np.where(wrong[..., None, None], points[..., order, :], points)


KEYPOINTS: dict[str, Factor[Spoil]] = {
    "jitter": Factor(jitter, "share of the picture", (0.02, 0.05, 0.1), 1),
    "dropped joints": Factor(dropped, "share of the joints", (0.1, 0.3, 0.6), 1),
    "sides swapped": Factor(swapped, "share of the poses", (0.25, 0.5, 1), 1),
}


def spoil(points: ArrayLike, name: str, severity: float, seed: int = 0) -> Floats:
    """Poses with faults of one kind.

    Args:
        points: (..., 25, 2) in image units, NaN where missing.
        name: one of `KEYPOINTS`.
        severity: in its unit; 0 changes nothing, and of one seed a larger one spoils
            the same joints, further or with others.
        seed: of what is drawn.

    Raises:
        ReIDConfigError: an unknown kind, a severity out of range, or another shape.
    """
    if name not in KEYPOINTS:
        raise ReIDConfigError(
            f"There is no fault of keypoints '{name}'; choose one of "
            f"{', '.join(KEYPOINTS)}."
        )
    check_severity(name, KEYPOINTS[name], severity)
    values = np.array(points, np.float64)
    if values.ndim < 2 or values.shape[-2:] != (25, 2):
        raise ReIDConfigError(
            f"the keypoints have shape {values.shape}; give BODY_25, (..., 25, 2)."
        )
    return KEYPOINTS[name].apply(values, severity, np.random.default_rng(seed))


def asked(phi: PoseInvariantExtractor, poses: ArrayLike) -> PoseInvariantExtractor:
    """A copy of an extractor that draws everybody in other poses.

    Args:
        phi: stays as it is.
        poses: (K, 25, 2) in image units, NaN where missing, as many as before.

    Raises:
        ReIDConfigError: another number of poses, which its fusion does not know.
    """
    wanted = torch.as_tensor(np.asarray(poses), dtype=torch.float32)
    if wanted.shape != phi.poses.shape:
        raise ReIDConfigError(
            f"the poses have shape {tuple(wanted.shape)}, and the extractor draws "
            f"{tuple(phi.poses.shape)}; give as many."
        )
    other = deepcopy(phi)
    other.poses = wanted.to(phi.poses.device)
    return other
