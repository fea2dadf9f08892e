"""A ray caster for bodies: orthographic rays against tapered elliptic capsules.

A primitive is a cone with an elliptic section and two half-ellipsoid caps, so one
formula serves limbs, heads (a capsule of no length), torsos and skirts. Only
+, -, *, /, square root, comparison and floor are used on pixels, each of them
exact in IEEE 754, and no sum runs across images: an image's bytes do not depend
on the batch it was rendered in.
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
        grid: (B, 4) float32: x of column 0, metres per column, y of row 0, and
            metres per row (downwards).
        shape: (B, rows, columns) of samples.

    Returns:
        the hits, and the depth (B, rows, columns), -inf where nothing is.
    """
    batch, height, width = shape
    keys = torch.full((batch * height * width,), FAR, dtype=torch.int64)
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
    depth = torch.full((batch * height * width,), -torch.inf)
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
    nw, nh = (box[:, 2:] - box[:, :2]).max(0)
    index = torch.from_numpy(group)
    owner = torch.from_numpy(image[group])
    frame = grid[owner].T[:, :, None, None]
    column = torch.from_numpy(box[:, 0])[:, None, None] + torch.arange(nw)
    line = torch.from_numpy(box[:, 1])[:, None, None] + torch.arange(nh)[:, None]
    x = frame[0] + frame[1] * column.float()
    y = frame[2] - frame[3] * line.float()
    depth = _nearest(rows[:GEOMETRY, index][:, :, None, None], x, y)
    inside = (column < width) & (line < height) & (depth > -_REACH)
    flat = (owner[:, None, None] * height + line) * width + column
    key = ((_REACH - depth) * _DEPTH).to(torch.int64) * _IDS + index[:, None, None]
    keep = inside.flatten()
    keys.scatter_reduce_(0, flat.flatten()[keep], key.flatten()[keep], "amin")


def _nearest(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Largest depth at which the ray (x, y) meets each primitive, else -inf."""
    u = g[0] * x + (g[1] * y + g[3])
    v = g[4] * x + (g[5] * y + g[7])
    w = g[8] * x + (g[9] * y + g[11])
    uz, vz, wz, taper, length = g[2], g[6], g[10], g[12], g[13]
    around, across = u * u + v * v, u * uz + v * vz
    flat = uz * uz + vz * vz
    # the cone's side: u^2 + v^2 = (1 + taper w)^2 for 0 <= w <= length
    s, sz = w * taper + 1, taper * wz
    a = (flat - sz * sz).clamp(min=1e-2)
    b = across - s * sz
    root = b * b - a * (around - s * s)
    side = (root.clamp(min=0).sqrt() - b) / a
    level = w + wz * side
    best = torch.where((root >= 0) & (level >= 0) & (level <= length), side, -torch.inf)
    for cap, start, radius, above in (
        (g[14], 0.0, 1.0, False),
        (g[15], length, 1 + taper * length, True),
    ):
        # the caps: u^2 + v^2 + ((w - start) / cap)^2 = radius^2 beyond the ends
        z, zz = (w - start) / cap, wz / cap
        a = flat + zz * zz
        b = across + z * zz
        root = b * b - a * (around + z * z - radius * radius)
        end = (root.clamp(min=0).sqrt() - b) / a
        level = z + zz * end
        beyond = level > 0 if above else level < 0
        best = torch.maximum(best, torch.where((root >= 0) & beyond, end, -torch.inf))
    return best


def _describe(
    sample: Tensor, key: Tensor, rows: Tensor, grid: Tensor, shape: tuple
) -> Hits:
    """Normal and texture coordinates of the hits."""
    _, height, width = shape
    prim = key % _IDS
    depth = _REACH - (key // _IDS).float() / _DEPTH
    g = rows.index_select(1, prim)
    frame = grid.T.index_select(1, sample // (height * width))
    x = frame[0] + frame[1] * (sample % width).float()
    y = frame[2] - frame[3] * ((sample // width) % height).float()
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
