"""From shots to light: people placed before a camera, cropped, ray-cast and lit."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .backdrop import Backdrops, railings
from .belongings import parked_bicycle
from .body import Skeleton, skeleton
from .cameras import Camera, View
from .outfit import dress
from .paint import albedo, light
from .raycast import GEOMETRY, cast
from .sensor import develop

if TYPE_CHECKING:
    from .figure import Figure
    from .world import Shot

_MAIN, _PASSER, _THING = 0.0, 1.0, 2.0  # whose a primitive is


class Picture(NamedTuple):
    """A chunk of rendered shots."""

    image: Tensor  # (B, 3, H, W) uint8, on the CPU
    keypoints: Tensor  # (B, 25, 3) pixels, outside NaN
    behind: Tensor  # (B, 25) metres from joint to the surface in front of it
    mask: Tensor  # (B, H, W) bool
    passers: Tensor  # (B, 25, 3) keypoints of the person in front, else NaN


class _Part(NamedTuple):
    """Something that stands in a picture."""

    rows: np.ndarray  # (ROWS, P) in the view frame
    boxes: np.ndarray  # (P, 4) view-plane metres: left, bottom, right, top


class _Scene(NamedTuple):
    rows: np.ndarray
    boxes: np.ndarray
    crop: tuple[float, float, float, float]  # left, top, width, height in metres
    joints: np.ndarray  # (2, 25, 3) view frame, of the person and the passer-by
    feet: np.ndarray  # (2, 2) metres on the ground: right, towards the camera


def draw(
    shots: "list[Shot]",
    others: "list[Shot | None]",
    cameras: list[Camera],
    backdrops: Backdrops,
    size: tuple[int, int],
    nuisance: bool,
    device: torch.device,
) -> Picture:
    """Take the pictures of one chunk.

    Args:
        shots: B shots.
        others: the passer-by in front of each, or None.
        cameras: B cameras.
        backdrops: scenery of all cameras, on `device`.
        size: (height, width) in pixels.
        nuisance: see `World.render`.
        device: where rays are cast.
    """
    views = [c.view(s.place[1]) for c, s in zip(cameras, shots, strict=True)]
    scenes = [
        _compose(*args, nuisance) for args in zip(shots, others, views, strict=True)
    ]
    crop = np.array([scene.crop for scene in scenes])
    shape = (len(shots), 2 * size[0], size[1])  # samples, see raycast.py
    image, pixel, grid = _layout(scenes, views, crop, shape)
    rows = torch.from_numpy(np.concatenate([p.rows for p in scenes], 1))
    rows = rows.to(device, torch.float32)
    hits, depth = cast(rows, pixel, image, grid.to(device), shape)
    lamps = np.stack(
        [_lamp(c, s, v) for c, s, v in zip(cameras, shots, views, strict=True)], 1
    )
    lamp = torch.from_numpy(lamps).to(device, torch.float32)
    lamp = lamp.index_select(1, hits.sample // (shape[1] * shape[2]))
    colour = light(albedo(hits), hits, lamp)
    layer = torch.zeros(5, shape[0] * shape[1] * shape[2], device=device)
    layer[:3, hits.sample] = colour
    layer[3, hits.sample] = 1.0
    layer[4, hits.sample] = (hits.rows[16] == _MAIN).float()
    layer = _pool(layer.view(5, *shape)).transpose(0, 1)
    near = 1 - _crevices(depth[:, ::2])
    x, y = _plane(crop, size, device)
    feet = [scene.feet for scene in scenes]
    behind = backdrops.paint(shots, cameras, views, x, y, feet)
    out = layer[:, :3] * near[:, None] + behind * (1 - layer[:, 3:4])
    owned = layer[:, 4]
    if nuisance:
        above = y + torch.tensor([[[v.origin[1]]] for v in views], device=device)
        out, owned = railings(out, owned, shots, x, above.float())
    joints = np.stack([scene.joints for scene in scenes])
    reach = np.array([view.reach for view in views])
    keypoints, surface = _joints(joints, crop, reach, depth, size)
    native = crop[:, 3] * [view.scale for view in views]
    return Picture(
        develop(out, shots, cameras, native, nuisance),
        keypoints[:, 0],
        surface[:, 0],
        owned.cpu() >= 0.5,
        keypoints[:, 1],
    )


def _compose(shot: "Shot", other: "Shot | None", view: View, nuisance: bool) -> _Scene:
    """Place the people of one shot in the view frame and choose the crop."""
    body = _pose(shot)
    ground = np.zeros(3)
    parts = [_place(dress(shot.person, body, shot.pose.activity), view, ground, _MAIN)]
    joints = np.full((2, 25, 3), np.nan)
    joints[0] = (body.keypoints - view.origin) @ view.axes.T
    crop = _crop(shot, joints[0], view.reach)
    if other is not None:
        place = np.array([shot.nuisance.passer_x, 0.0, 0.7])
        theirs = _pose(other)
        figure = dress(other.person, theirs, other.pose.activity)
        parts.append(_place(figure, view, place, _PASSER))
        joints[1] = (theirs.keypoints + place - view.origin) @ view.axes.T
    if nuisance and shot.nuisance.bicycle >= 0:
        place = np.array([shot.nuisance.rail_x - 0.5, 0.0, 0.8])
        rng = np.random.default_rng(shot.nuisance.bicycle)
        parts.append(_place(parked_bicycle(rng), view, place, _THING))
    feet = np.array([body.points["ankleR"], body.points["ankleL"]])[:, [0, 2]]
    rows = np.concatenate([part.rows for part in parts], 1)
    boxes = np.concatenate([part.boxes for part in parts])
    return _Scene(rows, boxes, crop, joints, feet)


def _crop(
    shot: "Shot", joints: np.ndarray, reach: float
) -> tuple[float, float, float, float]:
    """Left, top, width and height of the box that a detector puts round a person."""
    flat = joints[:, :2] / (1 - joints[:, 2:] / reach)
    height, crop = shot.person.height, shot.crop
    left, bottom = flat.min(0) - np.array([0.05, 0.025]) * height
    right, top = flat.max(0) + np.array([0.05, 0.095]) * height
    tall = (top - bottom) * (1 + crop.margin)
    wide = max(0.5 * tall * crop.aspect, 0.75 * (right - left))
    x = (left + right) / 2 + crop.dx * tall - wide / 2
    return x, bottom + (1 + crop.dy) * tall, wide, tall


def _pose(shot: "Shot") -> Skeleton:
    person = shot.person
    return skeleton(
        shot.pose,
        person.height,
        0.110 - 0.014 * person.curves + 0.008 * person.build,
        0.050 + 0.004 * person.curves,
    )


def _place(figure: "Figure", view: View, place: np.ndarray, owner: float) -> _Part:
    """A figure in the view frame, and the frame's boxes round its primitives."""
    axes = view.axes
    rows, ends = figure.rows()
    shift = axes @ (place - view.origin)
    for k in (0, 4, 8, GEOMETRY, GEOMETRY + 4, GEOMETRY + 8):
        rows[k : k + 3] = axes @ rows[k : k + 3]
        rows[k + 3] -= shift @ rows[k : k + 3]
    rows[16] = owner
    ends = ends @ axes.T
    middle = ends[:, :, 0] + shift
    reach = np.sqrt((ends[:, :, 1:] ** 2).sum(2))
    low, high = middle - reach, middle + reach
    # a nearer point stands further from the axis: try both depths of each end
    near, far = (1 / (1 - z[..., 2:] / view.reach) for z in (high, low))
    low = np.minimum(low[..., :2] * near, low[..., :2] * far).min(1)
    high = np.maximum(high[..., :2] * near, high[..., :2] * far).max(1)
    return _Part(rows, np.concatenate([low, high], 1))


def _layout(
    scenes: list[_Scene], views: list[View], crop: np.ndarray, shape: tuple
) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Image (P,) and sample box (P, 4) of each primitive, and the grid (B, 5)."""
    step = crop[:, 2:] / (shape[2], shape[1])
    image = np.repeat(np.arange(len(scenes)), [len(s.boxes) for s in scenes])
    boxes = np.concatenate([scene.boxes for scene in scenes])
    pixel = np.empty(boxes.shape, np.int64)
    pixel[:, 0] = np.floor((boxes[:, 0] - crop[image, 0]) / step[image, 0] - 0.25)
    pixel[:, 2] = np.ceil((boxes[:, 2] - crop[image, 0]) / step[image, 0] + 0.25)
    pixel[:, 1] = np.floor((crop[image, 1] - boxes[:, 3]) / step[image, 1])
    pixel[:, 3] = np.ceil((crop[image, 1] - boxes[:, 1]) / step[image, 1])
    pixel[:, 0::2] = pixel[:, 0::2].clip(0, shape[2])
    pixel[:, 1::2] = pixel[:, 1::2].clip(0, shape[1])
    start = crop[:, :2] + [0.5, -0.5] * step
    eye = [1 / view.reach for view in views]
    grid = np.stack([start[:, 0], step[:, 0], start[:, 1], step[:, 1], eye], 1)
    return image, pixel, torch.from_numpy(grid).float()


def _lamp(camera: Camera, shot: "Shot", view: View) -> np.ndarray:
    """(8,) lamp direction and up in the view frame, ambient, diffuse."""
    toward = view.axes @ camera.toward_lamp()
    return np.array([*toward, *view.axes[:, 1], camera.ambient, camera.diffuse])


def _pool(layer: Tensor) -> Tensor:
    """Mean of the two samples of each pixel."""
    return (layer[..., 0::2, :] + layer[..., 1::2, :]) * 0.5


_ROUND = ((0, 2), (0, -2), (2, 0), (-2, 0), (-3, 1), (-3, -1), (1, 3), (1, -3))


def _crevices(depth: Tensor) -> Tensor:
    """(B, H, W) darkness in [0, 0.45] where a nearer part stands close by."""
    _, height, width = depth.shape
    edge = torch.nn.functional.pad(depth, (3, 3, 3, 3), value=-torch.inf)
    dark = torch.zeros_like(depth)
    for dy, dx in _ROUND:
        there = edge[:, 3 + dy : 3 + dy + height, 3 + dx : 3 + dx + width]
        gap = torch.where(depth > -torch.inf, there - depth, 0.0)
        dark = dark + (gap - 0.05).clamp(0, 0.12) * ((0.5 - gap) * 4).clamp(0, 1)
    return (dark * 0.9).clamp(max=0.45)


def _plane(
    crop: np.ndarray, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """View-plane metres of the pixel centres, (B, 1, W) and (B, H, 1)."""
    height, width = size
    left, top, wide, tall = torch.from_numpy(crop).float().T[:, :, None, None]
    x = left + wide * ((torch.arange(width) + 0.5) / width)
    y = top - tall * ((torch.arange(height) + 0.5) / height)[:, None]
    return x.to(device), y.to(device)


def _joints(
    joints: np.ndarray,
    crop: np.ndarray,
    reach: np.ndarray,
    depth: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Keypoints in pixels, and how far behind the visible surface each lies.

    Args:
        joints: (B, 2, 25, 3) view frame.
        crop: (B, 4).
        reach: (B,) metres to the eye.
        depth: (B, rows, columns) of the surface.
        size: (height, width) in pixels.

    Returns:
        (B, 2, 25, 3) float32, outside the image NaN, NaN, 0; (B, 2, 25) metres.
    """
    flat = joints[..., :2] / (1 - joints[..., 2:] / reach[:, None, None, None])
    crop = crop[:, None, None]
    share = np.stack(
        [
            (flat[..., 0] - crop[..., 0]) / crop[..., 2],
            (crop[..., 1] - flat[..., 1]) / crop[..., 3],
        ],
        -1,
    )
    inside: np.ndarray = np.all((share >= 0) & (share < 1), axis=-1)
    surface = depth.cpu().numpy()
    _, rows, columns = surface.shape
    at = np.where(inside[..., None], share * [columns, rows], 0).astype(int)
    which = np.arange(len(surface))[:, None, None]
    behind = surface[which, at[..., 1], at[..., 0]] - joints[..., 2]
    out = np.concatenate([share * [size[1], size[0]], np.ones_like(share[..., :1])], -1)
    out[~inside] = (np.nan, np.nan, 0)
    return (
        torch.from_numpy(out.astype(np.float32)),
        torch.from_numpy(behind.clip(min=-9).astype(np.float32)),
    )
