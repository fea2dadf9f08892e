"""A ray caster for bodies: rays through one eye against tapered elliptic capsules.

A primitive is a cone with an elliptic section and two half-ellipsoid caps, so one
formula serves limbs, heads (a capsule of no length), torsos and skirts. Only
+, -, *, /, square root, comparison and floor are used on pixels, each of them
exact in IEEE 754, and no sum runs across images: an image's bytes do not depend
on the batch it was rendered in.

The view frame has the person in its origin and the eye on its z axis, `1 / q` metres
away. The ray through the point (x, y) of the plane z = 0 is
(x (1 - q z), y (1 - q z), z), so every coordinate of a primitive is linear in z.

A pixel has two samples, in its upper left and its lower right quarter: rows of samples
are half a pixel high, and lie a quarter of a pixel to the left and right in turn.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

FAR = torch.iinfo(torch.int64).max
_DEPTH = 2**20  # steps of depth per metre
_IDS = 2**22  # primitives per batch
_REACH = 8.0  # metres in front of the origin that a surface may lie
_SIDES = np.array([6, 10, 16, 24, 36, 54, 80, 128, 192, 288, 4096])

# Rows of a primitive: geometry first, then its texture frame, then its material.
GEOMETRY = 17  # u, v, w rows (4 each), taper, length, cap0, cap1, owner
TEXTURE = 13  # s, t, front rows (4 each), a quarter of the girth in metres
MATERIAL = 24
ROWS = GEOMETRY + TEXTURE + MATERIAL


class Hits(NamedTuple):
    """The nearest surface of each sample that has one."""

    sample: Tensor  # (N,) int64, index into the batch's samples
    rows: Tensor  # (ROWS, N) the primitive that was hit
    depth: Tensor  # (N,) metres towards the viewer
    normal: tuple[Tensor, Tensor, Tensor]  # view frame: right, up, towards viewer
    texture: tuple[Tensor, Tensor, Tensor, Tensor]  # around, along, lateral, front


def cast(
    rows: Tensor, boxes: np.ndarray, image: np.ndarray, grid: Tensor, shape: tuple
) -> tuple[Hits, Tensor]:
    """Find the nearest surface of every sample.

    Args:
        rows: (ROWS, P) float32 primitives of all images.
        boxes: (P, 4) int, first column, first row, last column, last row (exclusive).
        image: (P,) int, the image of each primitive.
        grid: (B, 5) float32: x of column 0 before its shift, metres per column, y of
            row 0, metres per row (downwards), and q, one over the eye's distance.
        shape: (B, rows, columns) of samples.

    Returns:
        the hits, and the depth (B, rows, columns), -inf where nothing is.
    """
    batch, height, width = shape
    device = rows.device
    keys = torch.full((batch * height * width,), FAR, device=device)
    sides = boxes[:, 2:] - boxes[:, :2]
    seen = np.flatnonzero((sides > 0).all(1))
    classes = np.searchsorted(_SIDES, sides)
    order = seen[np.lexsort((seen, classes[seen, 0], classes[seen, 1]))]
    cuts = np.flatnonzero(np.any(np.diff(classes[order], axis=0), axis=1)) + 1
    for group in np.split(order, cuts):
        if len(group):
            _splat(keys, group, rows, boxes, image, grid, shape)
    sample = torch.nonzero(keys != FAR)[:, 0]
    key = keys[sample]
    hits = _describe(sample, key, rows, grid, shape)
    depth = torch.full((batch * height * width,), -torch.inf, device=device)
    depth[sample] = hits.depth
    return hits, depth.view(shape)


def _splat(
    keys: Tensor,
    group: np.ndarray,
    rows: Tensor,
    boxes: np.ndarray,
    image: np.ndarray,
    grid: Tensor,
    shape: tuple,
) -> None:
    """Keep the nearest of `keys` and one size class of primitives."""
    _, height, width = shape
    box = boxes[group]
    nw, nh = (box[:, 2:] - box[:, :2]).max(0).tolist()
    device = rows.device
    numbers = np.stack([group, image[group], box[:, 0], box[:, 1]])
    index, owner, left, top = torch.from_numpy(numbers).to(device)
    frame = grid[owner].T[:, :, None, None]
    column = left[:, None, None] + torch.arange(nw, device=device)
    line = top[:, None, None] + torch.arange(nh, device=device)[:, None]
    x = frame[0] + frame[1] * column.float()
    shift = frame[1] * _shift(line)
    y = frame[2] - frame[3] * line.float()
    depth = _nearest(rows[:GEOMETRY, index][:, :, None, None], x, shift, y, frame[4])
    inside = (depth > -_REACH) & (column < width) & (line < height)
    hit = inside.flatten().nonzero()[:, 0]
    which, place = hit // (nh * nw), hit % (nh * nw)
    flat = (owner[which] * height + top[which] + place // nw) * width
    flat = flat + left[which] + place % nw
    near = ((_REACH - depth.flatten()[hit]) * _DEPTH).to(torch.int64)
    keys.scatter_reduce_(0, flat, near * _IDS + index[which], "amin")


def _shift(line: Tensor) -> Tensor:
    """How many columns a row of samples lies to the right."""
    return (line % 2).float() * 0.5 - 0.25


def _nearest(g: Tensor, x: Tensor, shift: Tensor, y: Tensor, q: Tensor) -> Tensor:
    """Largest depth at which the ray (x + shift, y) meets each primitive, else -inf.

    All are (n, 1 or rows, 1 or columns): only sums have both.
    """
    u, v, w = (g[i] * x + (g[i] * shift + g[i + 1] * y) for i in (0, 4, 8))
    uz, vz, wz = g[2] - q * u, g[6] - q * v, g[10] - q * w
    u, v, w = u + g[3], v + g[7], w + g[11]
    taper, length = g[12], g[13]
    around, across = u * u + v * v, u * uz + v * vz
    flat = uz * uz + vz * vz
    # the cone's side: u^2 + v^2 = (1 + taper w)^2 for 0 <= w <= length
    s, sz = w * taper + 1, taper * wz
    a = flat - sz * sz
    steep = a > 1e-2  # else the ray runs along the axis and meets an end first
    a = a.clamp(min=1e-2)
    b = across - s * sz
    root = b * b - a * (around - s * s)
    side = (root.clamp(min=0).sqrt() - b) / a
    level = torch.where(steep, w + wz * side, torch.where(wz > 0, 9.0, -9.0))
    # a cap, where the ray reaches the cone beyond an end: half of
    # u^2 + v^2 + ((w - start) / cap)^2 = radius^2
    low, high = level < 0, level > length
    z = torch.where(high, (w - length) / g[15], w / g[14])
    zz = torch.where(high, wz / g[15], wz / g[14])
    radius = torch.where(high, 1 + taper * length, 1.0)
    a = flat + zz * zz
    b = across + z * zz
    rest = b * b - a * (around + z * z - radius * radius)
    end = (rest.clamp(min=0).sqrt() - b) / a
    height = z + zz * end
    beyond = torch.where(high, height, -height) > 0
    capped = (low | high) & (rest >= 0) & beyond
    hit = torch.where(capped, end, side)
    return torch.where(capped | ~(low | high) & (root >= 0), hit, -torch.inf)


def _describe(
    sample: Tensor, key: Tensor, rows: Tensor, grid: Tensor, shape: tuple
) -> Hits:
    """Normal and texture coordinates of the hits."""
    _, height, width = shape
    prim = key % _IDS
    depth = _REACH - (key // _IDS).float() / _DEPTH
    g = rows.index_select(1, prim)
    frame = grid.T.index_select(1, sample // (height * width))
    line = (sample // width) % height
    x = frame[0] + frame[1] * ((sample % width).float() + _shift(line))
    y = frame[2] - frame[3] * line.float()
    shrink = 1 - frame[4] * depth
    x, y = x * shrink, y * shrink
    u, v, w = (
        g[i] * x + (g[i + 1] * y + (g[i + 2] * depth + g[i + 3])) for i in (0, 4, 8)
    )
    taper, length = g[12], g[13]
    top = w - length
    pull = torch.where(
        w < 0,
        w / (g[14] * g[14]),
        torch.where(top > 0, top / (g[15] * g[15]), (taper * w + 1) * -taper),
    )
    nx, ny, nz = (g[i] * u + (g[i + 4] * v + g[i + 8] * pull) for i in (0, 1, 2))
    norm = (nx * nx + (ny * ny + nz * nz)).clamp(min=1e-12).sqrt()
    k = GEOMETRY
    s, t, f = (
        g[i] * x + (g[i + 1] * y + (g[i + 2] * depth + g[i + 3]))
        for i in (k, k + 4, k + 8)
    )
    turn = s / (s.abs() + f.abs()).clamp(min=1e-6)  # -1 right, 0 front, 1 left
    turn = torch.where(f < 0, torch.where(s < 0, -2 - turn, 2 - turn), turn)
    around = turn * g[k + 12]
    return Hits(sample, g, depth, (nx / norm, ny / norm, nz / norm), (around, t, s, f))
