"""From shots to pictures: projection, crop, scenery, shadow, occluders, the sensor."""

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .body import skeleton
from .cameras import BASE, METRE, Camera
from .outfit import dress
from .paint import albedo, light
from .raycast import GEOMETRY, cast

if TYPE_CHECKING:
    from .world import Shot

SAMPLES = 2  # per pixel and direction


class Picture(NamedTuple):
    """A chunk of rendered shots, before the sensor spoils them."""

    image: Tensor  # (B, 3, H, W) float32 in [0, 1]
    keypoints: Tensor  # (B, 25, 3) pixels, outside NaN
    mask: Tensor  # (B, H, W) bool
    behind: Tensor  # (B, 25) metres from joint to the surface in front of it


class _Scene(NamedTuple):
    rows: np.ndarray  # (ROWS, P) in the view frame
    boxes: np.ndarray  # (P, 4) view-plane metres: left, bottom, right, top
    crop: tuple[float, float, float, float]  # left, top, width, height in metres
    joints: np.ndarray  # (25, 3) view frame
    feet: np.ndarray  # (2, 3) world


def _compose(shot: "Shot", other: "Shot | None", camera: Camera) -> _Scene:
    """Place the people of one shot in the view frame and choose the crop."""
    axes = camera.axes()
    rows, boxes, joints, feet = _stand(shot, axes, np.zeros(3), 0.0)
    left, bottom = boxes[:, :2].min(0)
    right, top = boxes[:, 2:].max(0)
    crop = shot.crop
    tall = (top - bottom) * (1 + crop.margin)
    wide = max(0.5 * tall * crop.aspect, 0.9 * (right - left) * (1 + crop.margin))
    x = (left + right) / 2 + crop.dx * tall - wide / 2
    y = (top + bottom) / 2 + crop.dy * tall + tall / 2
    if other is not None:
        place = np.array([shot.nuisance.passer_x, 0.0, 0.7])
        more, theirs, _, _ = _stand(other, axes, place, 1.0)
        rows = np.concatenate([rows, more], 1)
        boxes = np.concatenate([boxes, theirs])
    return _Scene(rows, boxes, (x, y, wide, tall), joints, feet)


def _stand(
    shot: "Shot", axes: np.ndarray, place: np.ndarray, owner: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    person = shot.person
    body = skeleton(
        shot.pose,
        person.height,
        0.110 - 0.014 * person.curves + 0.008 * person.build,
        0.050 + 0.004 * person.curves,
    )
    figure = dress(person, body, shot.pose.activity)
    rows, ends = figure.rows()
    shift = axes @ place
    for k in (0, 4, 8, GEOMETRY, GEOMETRY + 4, GEOMETRY + 8):
        rows[k : k + 3] = axes @ rows[k : k + 3]
        rows[k + 3] -= shift @ rows[k : k + 3]
    rows[16] = owner
    ends = ends @ axes.T
    middle = ends[:, :, 0, :2] + shift[:2]
    reach = np.sqrt((ends[:, :, 1:, :2] ** 2).sum(2))
    boxes = np.concatenate([(middle - reach).min(1), (middle + reach).max(1)], 1)
    joints = body.keypoints @ axes.T + shift
    feet = np.array([body.points["ankleR"], body.points["ankleL"]]) + place
    return rows, boxes, joints, feet


def draw(
    shots: "list[Shot]",
    others: "list[Shot | None]",
    cameras: list[Camera],
    scenes: Tensor,
    size: tuple[int, int],
    nuisance: bool,
) -> Picture:
    """Ray-cast a chunk of shots and put them before their scenery."""
    height, width = size
    parts = [_compose(*args) for args in zip(shots, others, cameras, strict=True)]
    crop = np.array([part.crop for part in parts])
    shape = (len(shots), height * SAMPLES, width * SAMPLES)
    step = crop[:, 2:] / (shape[2], shape[1])
    image = np.repeat(np.arange(len(shots)), [len(part.boxes) for part in parts])
    boxes = np.concatenate([part.boxes for part in parts])
    pixel = np.empty(boxes.shape, np.int64)
    pixel[:, 0] = np.floor((boxes[:, 0] - crop[image, 0]) / step[image, 0])
    pixel[:, 2] = np.ceil((boxes[:, 2] - crop[image, 0]) / step[image, 0])
    pixel[:, 1] = np.floor((crop[image, 1] - boxes[:, 3]) / step[image, 1])
    pixel[:, 3] = np.ceil((crop[image, 1] - boxes[:, 1]) / step[image, 1])
    pixel[:, 0::2] = pixel[:, 0::2].clip(0, shape[2])
    pixel[:, 1::2] = pixel[:, 1::2].clip(0, shape[1])
    grid = np.stack(
        [
            crop[:, 0] + step[:, 0] / 2,
            step[:, 0],
            crop[:, 1] - step[:, 1] / 2,
            step[:, 1],
        ],
        axis=1,
    )
    rows = torch.from_numpy(np.concatenate([p.rows for p in parts], 1)).float()
    hits, depth = cast(rows, pixel, image, torch.from_numpy(grid).float(), shape)
    lamps = torch.from_numpy(np.stack([c.light() for c in cameras], 1)).float()
    lamp = lamps.index_select(1, hits.sample // (shape[1] * shape[2]))
    colour = light(albedo(hits), hits, lamp)
    layer = torch.zeros(5, shape[0] * shape[1] * shape[2])
    layer[:3, hits.sample] = colour
    layer[3, hits.sample] = 1.0
    layer[4, hits.sample] = (hits.rows[16] == 0).float()
    layer = _pool(layer.view(5, *shape)).transpose(0, 1)
    near = 1 - _crevices(depth[:, ::SAMPLES, ::SAMPLES])
    scene = _scenery(shots, parts, cameras, scenes, size)
    out = layer[:, :3] * near[:, None] + scene * (1 - layer[:, 3:4])
    owned = layer[:, 4]
    if nuisance:
        out, owned = _railings(out, owned, shots, parts, size)
    keypoints, behind = _joints(parts, depth, size)
    return Picture(out, keypoints, owned >= 0.5, behind)


def _pool(layer: Tensor) -> Tensor:
    """Mean of 2 x 2 samples, added in a fixed order."""
    rows = layer[..., 0::2, :] + layer[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def _crevices(depth: Tensor) -> Tensor:
    """(B, H, W) darkness in [0, 0.45] where a nearer part stands close by."""
    _, height, width = depth.shape
    edge = torch.nn.functional.pad(depth, (3, 3, 3, 3), value=-torch.inf)
    dark = torch.zeros_like(depth)
    for dy, dx in (
        (0, 2),
        (0, -2),
        (2, 0),
        (-2, 0),
        (-3, 1),
        (-3, -1),
        (1, 3),
        (1, -3),
    ):
        there = edge[:, 3 + dy : 3 + dy + height, 3 + dx : 3 + dx + width]
        gap = torch.where(depth > -torch.inf, there - depth, 0.0)
        dark = dark + (gap - 0.05).clamp(0, 0.12) * ((0.5 - gap) * 4).clamp(0, 1)
    return (dark * 0.9).clamp(max=0.45)


def _view(parts: list[_Scene], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """View-plane metres of the pixel centres, (B, 1, W) and (B, H, 1)."""
    height, width = size
    crop = torch.tensor([part.crop for part in parts]).float()[:, :, None, None]
    x = crop[:, 0] + crop[:, 2] * ((torch.arange(width) + 0.5) / width)
    rows = ((torch.arange(height) + 0.5) / height)[:, None]
    return x, crop[:, 1] - crop[:, 3] * rows


def _scenery(
    shots: "list[Shot]",
    parts: list[_Scene],
    cameras: list[Camera],
    scenes: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """(B, 3, H, W) background with the people's shadows on the ground."""
    _, _, tall, wide = scenes.shape
    x, y = _view(parts, size)
    across = torch.tensor([shot.place[0] for shot in shots])[:, None, None]
    span = [
        c.depth[0] + (c.depth[1] - c.depth[0]) * s.place[1]
        for c, s in zip(cameras, shots, strict=True)
    ]
    depth = torch.tensor(span)[:, None, None]
    column = ((across * 12 + 2 + x) * METRE).clamp(0, wide - 2)
    row = (BASE + (depth - y) * METRE).clamp(0, tall - 2)
    j, i = column.floor(), row.floor()
    fx, fy = column - j, row - i
    which = torch.tensor([c.camid - 1 for c in cameras])[:, None, None]
    flat = (which * 3 * tall + i.long()) * wide + j.long()
    pixels = scenes.flatten()
    planes = []
    for channel in range(3):
        at = flat + channel * tall * wide
        top = pixels[at] * (1 - fx) + pixels[at + 1] * fx
        low = pixels[at + wide] * (1 - fx) + pixels[at + wide + 1] * fx
        planes.append(top * (1 - fy) + low * fy)
    shade = _shadow(parts, cameras, x, y) * (row > BASE)
    return torch.stack(planes, 1) * (1 - shade)[:, None]


def _shadow(parts: list[_Scene], cameras: list[Camera], x: Tensor, y: Tensor) -> Tensor:
    """(B, H, W) darkness: contact under each foot, and the body's cast shadow."""

    def column(values: list) -> Tensor:
        return torch.tensor(values).float()[:, None, None]

    z = -y / column([np.sin(c.pitch) for c in cameras])  # where the ray meets y = 0
    dark = torch.zeros(x.shape[0], y.shape[1], x.shape[2])
    for side in range(2):
        dx = (x - column([p.feet[side][0] for p in parts])) / 0.2
        dz = (z - column([p.feet[side][2] + 0.04 for p in parts])) / 0.26
        dark = torch.maximum(dark, 0.6 * (1 - dx * dx - dz * dz).clamp(min=0))
    length = [0.85 / max(np.tan(c.lamp[1]), 0.5) for c in cameras]
    ax = column([-np.sin(c.lamp[0]) for c in cameras])
    az = column([-np.cos(c.lamp[0]) for c in cameras])
    half = column(length)
    cx, cz = x - ax * half * 0.9, z - az * half * 0.9
    lengthwise, across = (cx * ax + cz * az) / half, (cz * ax - cx * az) / 0.24
    cast_ = (1 - lengthwise * lengthwise - across * across).clamp(min=0).sqrt()
    strength = column([0.55 * c.diffuse for c in cameras])
    return 1 - (1 - dark) * (1 - strength * cast_)


def _railings(
    out: Tensor, owned: Tensor, shots: "list[Shot]", parts: list[_Scene], size: tuple
) -> tuple[Tensor, Tensor]:
    """Bars in front of the legs where a shot has them."""
    rails = torch.tensor([s.nuisance.rail for s in shots])[:, None, None]
    if not bool((rails > 0).any()):
        return out, owned
    shift = torch.tensor([s.nuisance.rail_x for s in shots])[:, None, None]
    x, y = _view(parts, size)
    phase = (x / 0.14 + shift) - (x / 0.14 + shift).floor()
    bars = (phase < 0.16) & (y < rails)
    beams = ((y - rails).abs() < 0.028) | ((y - 0.1).abs() < 0.02) & (x > -9)
    hide = ((bars | beams) & (rails > 0)).float()
    tone = 0.25 + 0.5 * shift + 0.3 * phase * bars
    out = out + (tone - out.transpose(0, 1)).transpose(0, 1) * hide[:, None]
    return out, owned * (1 - hide)


def _joints(
    parts: list[_Scene], depth: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Keypoints in pixels, and how far behind the visible surface each lies."""
    joints = torch.from_numpy(np.stack([part.joints for part in parts]))
    crop = torch.tensor([part.crop for part in parts], dtype=torch.float64)[:, None]
    share = torch.stack(
        [
            (joints[..., 0] - crop[..., 0]) / crop[..., 2],
            (crop[..., 1] - joints[..., 1]) / crop[..., 3],
        ],
        -1,
    )
    inside = ((share >= 0) & (share < 1)).all(-1)
    _, rows, columns = depth.shape
    at = (share * torch.tensor([columns, rows])).long()
    column, row = at[..., 0].clamp(0, columns - 1), at[..., 1].clamp(0, rows - 1)
    surface = depth[torch.arange(len(parts))[:, None], row, column]
    behind = (surface - joints[..., 2]).clamp(min=-9).float()
    pixels = share * torch.tensor([size[1], size[0]])
    out = torch.cat([pixels, torch.ones_like(share[..., :1])], -1).float()
    missing = torch.tensor([torch.nan, torch.nan, 0.0])
    return torch.where(inside[..., None], out, missing), behind


def develop(
    image: Tensor, shots: "list[Shot]", cameras: list[Camera], nuisance: bool
) -> Tensor:
    """Camera colour, the light of the moment, blur, noise and JPEG: uint8."""
    gain = torch.tensor([c.cast for c in cameras])
    if nuisance:
        tint = [[n.gain * t for t in n.tint] for n in (s.nuisance for s in shots)]
        gain = gain * torch.tensor(tint)
    out = image * gain[:, :, None, None]
    if not nuisance:
        return _quantise(out)
    contrast = torch.tensor([s.nuisance.contrast for s in shots])[:, None, None, None]
    out = 0.45 + (out - 0.45) * contrast
    weight = torch.tensor([s.nuisance.blur for s in shots])[:, None, None, None]
    out = out + (_soften(out) - out) * weight
    pictures = []
    for values, shot, camera in zip(out, shots, cameras, strict=True):
        rng = np.random.default_rng(shot.nuisance.noise_seed)
        grain = rng.standard_normal(values.shape, dtype=np.float32)
        noisy = _quantise(values + torch.from_numpy(grain) * (camera.noise / 255))
        pictures.append(_jpeg(noisy, shot.nuisance.quality))
    return torch.stack(pictures)


def _quantise(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _soften(image: Tensor) -> Tensor:
    """Binomial blur 1-2-1 in both directions, edges repeated."""
    for axis in (2, 3):
        size = image.shape[axis]
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, size - 1, 1)
        before = torch.cat([first, image.narrow(axis, 0, size - 1)], axis)
        after = torch.cat([image.narrow(axis, 1, size - 1), last], axis)
        image = (before + after) * 0.25 + image * 0.5
    return image


def _jpeg(image: Tensor, quality: int) -> Tensor:
    """What is left of (3, H, W) uint8 after the camera's own compression."""
    buffer = io.BytesIO()
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.save(buffer, "JPEG", quality=quality)
    pixels = np.array(Image.open(buffer))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
