"""A pose vector as maps: a picture of the limbs, a heat-map of every joint.

Both are drawn on the device of the poses, a whole batch at once; poses are inputs,
so nothing here carries a gradient.
"""

from functools import lru_cache

import torch
from torch import Tensor

from reidlib.errors import ReIDConfigError
from reidlib.pose import SKELETONS

BODY = SKELETONS["body25"]
JOINTS = len(BODY.joints)
SIDES = ("R", "", "L")  # of the channels red, green and blue of a skeleton's picture
LIMB = 1 / 32  # width of a limb over the picture's height, about that of a forearm
WAVES = 3  # octaves of a cell's position
WHERE = 4 * WAVES  # channels of `positions`


def joints_of(poses: Tensor) -> tuple[Tensor, Tensor]:
    """Read pose vectors.

    Args:
        poses: (B, 50) x0, y0, x1, y1, … in [0, 1], (0, 0) = missing.

    Returns:
        (B, 25, 2) points and (B, 25) bool, whether the joint is there.

    Raises:
        ReIDConfigError: another length.
    """
    if poses.ndim != 2 or poses.shape[1] != 2 * JOINTS:
        raise ReIDConfigError(
            f"Poses are vectors of shape (B, {2 * JOINTS}), not {tuple(poses.shape)}; "
            "make them with reidlib.pose.pose_vector."
        )
    points = poses.unflatten(1, (JOINTS, 2))
    return points, (points != 0).any(dim=2)


@torch.no_grad()
def heat_maps(poses: Tensor, size: tuple[int, int]) -> Tensor:
    """One Gaussian of height 1 per joint; the map of a missing joint is empty.

    Its standard deviation is a cell, or 1/32 of the map's height where that is more,
    so that coarse maps say where a joint is roughly and fine ones where exactly.

    Args:
        poses: (B, 50).
        size: (height, width) of the maps.

    Returns:
        (B, 25, height, width) in [0, 1], in the order of BODY_25.
    """
    points, seen = joints_of(poses)
    spread = max(1.0, size[0] / 32)
    x, y = _centres(size[1], poses), _centres(size[0], poses)
    across = torch.exp(-((x - points[..., :1] * size[1]) ** 2) / (2 * spread**2))
    along = torch.exp(-((y - points[..., 1:] * size[0]) ** 2) / (2 * spread**2))
    return along[..., :, None] * (across * seen[..., None])[..., None, :]


@torch.no_grad()
def skeleton_image(poses: Tensor, size: tuple[int, int]) -> Tensor:
    """PN-GAN's picture of a pose: limbs as soft lines in the colours of their sides.

    The person's right is red, the left blue, the middle green: one channel each, so
    that crossing limbs keep their colours. A limb needs both its joints.

    Args:
        poses: (B, 50).
        size: (height, width) of the picture in pixels.

    Returns:
        (B, 3, height, width) in [-1, 1], the background -1.
    """
    points, seen = joints_of(poses)
    pixels = torch.stack([points[..., 0] * size[1], points[..., 1] * size[0]], -1)
    (first, last), sides = _limbs(poses.device)
    start, end = (pixels[:, joints, :, None, None] for joints in (first, last))
    there = (seen[:, first] & seen[:, last])[..., None, None]
    x = _centres(size[1], poses) - start[:, :, 0]  # (B, 24, 1, W)
    y = _centres(size[0], poses)[:, None] - start[:, :, 1]  # (B, 24, H, 1)
    dx, dy = (end - start).unbind(2)  # (B, 24, 1, 1)
    # How far along the limb the nearest point of its segment is, 0 … 1.
    t = ((x * dx + y * dy) / (dx**2 + dy**2).clamp_min(1e-6)).clamp(0, 1)
    distance = ((x - t * dx) ** 2 + (y - t * dy) ** 2).sqrt()
    ink = (LIMB * size[0] / 2 + 0.5 - distance).clamp(0, 1) * there
    return torch.stack([ink[:, side].amax(1) for side in sides], 1) * 2 - 1


@torch.no_grad()
def positions(size: tuple[int, int], like: Tensor) -> Tensor:
    """Sines and cosines that tell every cell of a map where it is.

    Products of two cells' numbers depend on their distance: attention can prefer
    what is near.

    Args:
        size: (height, width) of the map.
        like: gives dtype and device.

    Returns:
        (1, 12, height, width) in [-1, 1].
    """
    waves = []
    for octave in range(WAVES):
        x, y = (torch.pi * 2**octave * _centres(n, like) / n for n in size[::-1])
        for wave in (torch.sin, torch.cos):
            waves += [wave(x).expand(size), wave(y)[:, None].expand(size)]
    return torch.stack(waves)[None]


@lru_cache
def _limbs(device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """(2, 24) joints at the ends of the limbs, and the limbs of each side.

    Made once for a device: it would have to wait whenever they are sent to it.
    """
    sides = [[i for i, s in enumerate(BODY.sides) if s == side] for side in SIDES]
    ends = torch.tensor(BODY.limbs, device=device).T.contiguous()
    return ends, [torch.tensor(side, device=device) for side in sides]


def _centres(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, dtype=like.dtype, device=like.device) + 0.5
