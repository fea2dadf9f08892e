"""What a pose detector reports: exact joints, seen through its mistakes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .world import Shot

_STREAM = 5  # of random numbers
_NOTHING = 0.03  # share of pictures in which the person is not found at all
_SWAPPED = 0.006  # share in which the two arms, or the two legs, change places
_SWING = 1.1  # what a trunk's length of lift adds to an ankle's chance to be missed
# Standard deviation in pixels of a picture of 128 rows; faces are small and vague.
_NOISE = np.array([2.6, *[1.4] * 14, *[2.6] * 4, *[1.4] * 6])[:, None] / 128

# How often a joint that is in view and not hidden is overlooked; with the hidden and
# the cut ones this gives the missing fractions of Market's keypoints (feet: our guess).
_OVERLOOKED = np.array(
    [0.10, 0.0, 0.006, 0.09, 0.15, 0.008, 0.14, 0.16, 0.006, 0.006, 0.01, 0.03]
    + [0.004, 0.005, 0.02, 0.16, 0.18, 0.08, 0.05, 0.25, 0.3, 0.22, 0.25, 0.3, 0.22]
)
# How deep, in metres, a joint may lie behind the surface in front of it.
_SEEN_THROUGH = np.array(
    [0.05, 0.5, 0.5, 0.13, 0.08, 0.5, 0.13, 0.08, 0.5, 0.45, 0.3, 0.2, 0.45, 0.3, 0.2]
    + [0.05, 0.05, 0.06, 0.06]
    + [0.1] * 6
)
# A lost joint often takes the next one along: (joint, next, share).
_CHAINS = (
    (3, 4, 0.6),
    (6, 7, 0.6),
    (10, 11, 0.6),
    (13, 14, 0.6),
    *((11, k, 0.9) for k in (22, 23, 24)),
    *((14, k, 0.9) for k in (19, 20, 21)),
)
_ANKLES = [11, 14]
_ARMS, _LEGS = ((2, 5), (3, 6), (4, 7)), ((9, 12), (10, 13), (11, 14))


def detect(
    seed: int,
    shots: "Sequence[Shot]",
    exact: np.ndarray,
    behind: np.ndarray,
    rows: int,
) -> np.ndarray:
    """What OpenPose would see.

    Args:
        seed: the world's.
        shots: B shots.
        exact: (B, 25, 3) exact keypoints, missing NaN.
        behind: (B, 25) metres from each joint to the surface before it.
        rows: of the pictures.

    Returns:
        (B, 25, 3) float32: about a pixel (per 128 rows) of noise, confidence in
        (0, 1], missing NaN, NaN, 0. Joints are lost together: all of them, or along
        a limb; now and then left and right change places.
    """
    out = exact.copy()
    for row, shot in enumerate(shots):
        keys = [seed, _STREAM, shot.person.pid, shot.index]
        rng = np.random.default_rng(np.random.SeedSequence(keys))
        clarity = rng.beta(6, 1.5)
        luck, whole, swap = rng.random((2, 25)), rng.random(), rng.random(2)
        chance = _OVERLOOKED * (1 + 2 * (0.8 - clarity))
        chance[_ANKLES] += _raised(exact[row])
        lost = (behind[row] > _SEEN_THROUGH) | (luck[0] < chance)
        for joint, beyond, share in _CHAINS:
            lost[beyond] |= lost[joint] and luck[1, beyond] < share
        blur = rng.normal(0, 1, (25, 2)) * (_NOISE * rows)
        out[row, :, :2] += blur.astype(np.float32)
        out[row, :, 2] = np.clip(rng.normal(0.55 + 0.3 * clarity, 0.08, 25), 0.05, 1)
        lost |= ~np.isfinite(exact[row, :, 0])
        out[row, lost | (whole < _NOTHING)] = (np.nan, np.nan, 0)
        for pairs, u in zip((_ARMS, _LEGS), swap, strict=True):
            if u < _SWAPPED:
                right, left = np.array(pairs).T
                out[row, [*right, *left]] = out[row, [*left, *right]]
    return out


def _raised(exact: np.ndarray) -> np.ndarray:
    """(2,) how much more often the right and left ankle of a swinging leg is missed.

    The foot in the air is blurred and seen against the other leg.
    """
    ankles, trunk = exact[_ANKLES, 1], exact[8, 1] - exact[1, 1]
    lift = (ankles[::-1] - ankles) / max(float(trunk), 1.0)
    return np.nan_to_num(lift.clip(0, 1) * _SWING)
