"""What is not the person: scenery in perspective, shadows on it, railings before it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .cameras import Camera, View
from .scenery import GROUND, METRE, WALL, scenery

if TYPE_CHECKING:
    from .world import Shot

_PIXELS = WALL[0] * WALL[1] + GROUND[0] * GROUND[1]
_SLANT = 4  # ground rows averaged: it is seen at a flat angle


class Backdrops:
    """The scenery of several cameras as one table of colours, on one device."""

    def __init__(
        self, cameras: tuple[Camera, ...], rngs: list[np.random.Generator]
    ) -> None:
        table = np.zeros((len(cameras), _PIXELS, 4), np.uint8)
        for row, camera, rng in zip(table, cameras, rngs, strict=True):
            view = scenery(camera.scene, rng)
            rolled = [np.roll(view.ground, k, 1) for k in range(_SLANT)]
            flat = np.mean(rolled, axis=0, dtype=np.float32)
            both = [part.reshape(3, -1) for part in (view.wall, flat)]
            row[:, :3] = (np.concatenate(both, 1).T * 255 + 0.5).astype(np.uint8)
        self.table = torch.from_numpy(table).view(torch.int32).flatten()
        self._first = {c.camid: k * _PIXELS for k, c in enumerate(cameras)}

    def paint(
        self,
        shots: "list[Shot]",
        cameras: list[Camera],
        views: list[View],
        x: Tensor,
        y: Tensor,
        feet: list[np.ndarray],
    ) -> Tensor:
        """Scenery and shadows behind each shot.

        Args:
            shots: B shots.
            cameras: B cameras.
            views: B views.
            x: (B, 1, W) metres on the view plane.
            y: (B, H, 1) the same, upwards.
            feet: B of (F, 2) metres on the ground: right, and towards the camera.

        Returns:
            (B, 3, H, W) float32.
        """

        def column(values: list) -> Tensor:
            out = torch.tensor(values, dtype=torch.float32, device=x.device)
            return out[:, None, None]

        distance = column([v.distance for v in views])
        height, wall = (column([getattr(c, n) for c in cameras]) for n in _SIZES)
        cosine, sine = (column([v.axes[1, k] for v in views]) for k in (1, 2))
        reach = column([v.reach for v in views])
        down = y * cosine + reach * sine  # the ray's direction, in world metres
        ahead = reach * cosine - y * sine
        # steps along the ray from the eye until it meets the wall, or the ground
        level = height + down * (wall / ahead)
        ground = level < 0
        step = torch.where(ground, height / (-down).clamp(min=1e-4), wall / ahead)
        right, far = x * step, ahead * step
        across = column([shot.place[0] for shot in shots])
        wide = torch.where(ground, GROUND[1], WALL[1])
        tall = torch.where(ground, GROUND[0], WALL[0])
        j = (across * (WALL[1] / METRE) + right) * METRE
        i = torch.where(ground, far * METRE, WALL[0] - 1 - level * METRE)
        i = torch.where(ground, i, i.clamp(0, WALL[0] - 1.001))
        colour = self._sample(i.expand_as(j), j, tall, wide, ground, cameras)
        shade = _shadow(cameras, right, distance - far, feet, column)
        return (colour * (1 - shade * ground)[..., None]).permute(0, 3, 1, 2)

    def _sample(
        self,
        i: Tensor,
        j: Tensor,
        tall: Tensor,
        wide: Tensor,
        ground: Tensor,
        cameras: list[Camera],
    ) -> Tensor:
        """(B, H, W, 3) bilinear colours at row i and column j of wall or ground."""
        top, left = i.floor(), j.floor()
        fy, fx = (i - top)[..., None], (j - left)[..., None]
        first = torch.tensor([self._first[c.camid] for c in cameras], device=i.device)
        first = first[:, None, None] + ground * (WALL[0] * WALL[1])
        row, column = (_wrap(v, n) for v, n in ((top, tall), (left, wide)))
        below, beside = (
            torch.where(v + 1 == n, 0, v + 1) for v, n in ((row, tall), (column, wide))
        )
        above, under = first + row * wide, first + below * wide

        def at(index: Tensor) -> Tensor:
            colours = self.table.index_select(0, index.flatten()).view(torch.uint8)
            return colours.view(*index.shape, 4)[..., :3].float()

        upper = at(above + column) * (1 - fx) + at(above + beside) * fx
        lower = at(under + column) * (1 - fx) + at(under + beside) * fx
        return (upper * (1 - fy) + lower * fy) * (1 / 255)

    def to(self, device: torch.device) -> None:
        """Move the table."""
        self.table = self.table.to(device)


def _wrap(value: Tensor, size: Tensor) -> Tensor:
    """Whole numbers modulo whole numbers, faster than `%` on integers."""
    rest = value - (value / size).floor() * size
    return rest.clamp(min=0).minimum(size - 1).long()


_SIZES = ("height", "wall")


def _shadow(
    cameras: list[Camera],
    x: Tensor,
    z: Tensor,
    feet: list[np.ndarray],
    column: Callable[[list], Tensor],
) -> Tensor:
    """(B, H, W) darkness of the ground at (x, z): under each foot, and cast.

    `feet` are on the ground; `column` makes a (B, 1, 1) tensor of B numbers.
    """
    dark = torch.zeros_like(x)
    for side in range(len(feet[0])):
        dx = (x - column([f[side][0] for f in feet])) / 0.17
        dz = (z - column([f[side][1] + 0.04 for f in feet])) / 0.22
        dark = torch.maximum(dark, 0.6 * (1 - dx * dx - dz * dz).clamp(min=0))
    middle = [np.mean(f, 0) for f in feet]
    length = column([0.85 / max(np.tan(c.lamp[1]), 0.4) for c in cameras])
    ax = column([-np.sin(c.lamp[0]) for c in cameras])
    az = column([-np.cos(c.lamp[0]) for c in cameras])
    cx = x - column([m[0] for m in middle]) - ax * length * 0.9
    cz = z - column([m[1] for m in middle]) - az * length * 0.9
    along, across = (cx * ax + cz * az) / length, (cz * ax - cx * az) / 0.24
    oval = (1 - along * along - across * across).clamp(min=0).sqrt()
    strength = column([0.6 * c.diffuse for c in cameras])
    return 1 - (1 - dark) * (1 - strength * oval)


def railings(
    image: Tensor, mask: Tensor, shots: "list[Shot]", x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Bars in front of the legs where a shot has them.

    Args:
        image: (B, 3, H, W).
        mask: (B, H, W) share of each pixel that is the person.
        shots: B shots.
        x: (B, 1, W) metres on the view plane.
        y: (B, H, 1) metres above the ground.
    """
    rails = torch.tensor([s.nuisance.rail for s in shots], device=x.device)
    rails = rails[:, None, None]
    if not bool((rails > 0).any()):
        return image, mask
    shift = torch.tensor([s.nuisance.rail_x for s in shots], device=x.device)
    shift = shift[:, None, None]
    phase = (x / 0.14 + shift) - (x / 0.14 + shift).floor()
    bars = (phase < 0.16) & (y < rails)
    beams = ((y - rails).abs() < 0.028) | ((y - 0.1).abs() < 0.02) & (x > -9)
    hide = ((bars | beams) & (rails > 0)).float()
    tone = 0.25 + 0.5 * shift + 0.3 * phase * bars
    image = image + (tone[:, None] - image) * hide[:, None]
    return image, mask * (1 - hide)
