"""Colour of each hit: garment patterns, panels, faces, folds and light."""

import torch
from torch import Tensor

from .figure import BACK, BOX, COLLAR, DISC, FACE, OPEN, SASH, STRAPS
from .raycast import GEOMETRY, TEXTURE, Hits

_M = GEOMETRY + TEXTURE


def _wave(x: Tensor) -> Tensor:
    """A sine of period 1 made of parabolas, exact on every machine."""
    f = x - x.floor() - 0.5
    return f * (1 - 2 * f.abs()) * 8


def _saw(x: Tensor) -> Tensor:
    """Distance from the nearest half-integer, doubled: 0 to 1, period 1."""
    return (x - x.floor() - 0.5).abs() * 2


def albedo(hits: Hits) -> Tensor:
    """(3, N) colours in [0, 1] before light."""
    m = hits.rows[_M:]
    around, along, lateral, front = hits.texture
    base, second, third, fourth = m[0:3], m[3:6], m[6:9], m[9:12]
    pattern, period, duty = m[12], m[13], m[14]
    rings, lines = _saw(along / period), _saw(around / period)
    share = torch.where(
        (pattern == 1) & (rings < duty) | (pattern == 2) & (lines < duty),
        1.0,
        0.0,
    )
    check = 0.45 * (rings < duty) + 0.45 * (lines < duty)
    share = torch.where(pattern == 3, check, share)
    dot = (rings * rings + lines * lines < 0.36).float()
    share = torch.where(pattern == 4, dot, share)
    share = torch.where(pattern == 5, (along < period).float(), share)
    colour = base + (second - base) * share
    colour = torch.where(along > m[15], third, colour)
    colour = torch.where(_panels(m, along, lateral, front), third, colour)
    colour = _face(colour, m, along, lateral, front)
    strap = (m[21] == STRAPS) & (front > -0.1) & ((lateral.abs() - 0.52).abs() < m[22])
    sash = (m[21] == SASH) & ((along - 0.27 + 0.136 * lateral).abs() < m[22])
    colour = torch.where(strap | sash, fourth, colour)
    warp = _wave(along * 2.1 + around * 1.3) * 0.6
    fold = _wave(around * 6.1 + warp) * _wave(along * 3.3 - warp + 0.3)
    fine = _wave(along * 9.7 - around * 3.9 + warp) * 0.6
    return colour * (1 + m[23] * (fold + fine))


def _panels(m: Tensor, along: Tensor, lateral: Tensor, front: Tensor) -> Tensor:
    """Where the third colour shows: an opening, a collar or a print."""
    kind, p0, p1, p2 = m[16], m[17], m[18], m[19]
    ahead, wide = front > 0, lateral.abs()
    rise = along - p2
    opening = wide < p0 + p1 * rise.clamp(min=0)
    row = rise / torch.where(p1 > 0, p1, 1.0)
    round_ = lateral / torch.where(p0 > 0, p0, 1.0)
    disc = round_ * round_ + row * row
    box = (wide < p0) & (row.abs() < 1)
    return (
        (kind == OPEN) & ahead & opening
        | (kind == COLLAR) & ahead & opening & (rise > 0)
        | (kind == DISC) & ahead & (disc < 1) & ((disc - 0.36).abs() > 0.1)
        | (kind == BOX) & ahead & box & (row.abs() > 0.2)
        | (kind == BACK) & ~ahead & box & ((wide > p0 * 0.7) | (row.abs() > 0.4))
    )


def _face(
    colour: Tensor, m: Tensor, along: Tensor, lateral: Tensor, front: Tensor
) -> Tensor:
    """Hair line, eyes, brows and mouth on the head's ellipsoid."""
    head = m[16] == FACE
    y = along / torch.where(head, m[19], 1.0)
    wide = lateral.abs()
    temple = m[18] + 0.25 * (wide > 0.8)
    hair = head & ((y > m[17]) & (front < 0.9) | (front < temple) & (y > -0.55))
    ahead = head & (front > 0.2)
    eye = ahead & ((wide - 0.38).abs() < 0.17) & ((y - 0.10).abs() < 0.055)
    brow = ahead & ((wide - 0.38).abs() < 0.22) & ((y - 0.24).abs() < 0.04)
    mouth = ahead & (wide < 0.28) & ((y + 0.52).abs() < 0.06)
    colour = torch.where(mouth, m[9:12], colour)
    colour = torch.where(eye | brow, m[3:6], colour)
    return torch.where(hair, m[6:9], colour)


def light(colour: Tensor, hits: Hits, lamp: Tensor) -> Tensor:
    """Ambient, sky and one lamp.

    Args:
        colour: (3, N).
        hits: the hits.
        lamp: (8, N) direction to the lamp (3), up (3) in the view frame, ambient
            share, diffuse share.

    Returns:
        (3, N), not clipped.
    """
    nx, ny, nz = hits.normal
    facing = nx * lamp[0] + (ny * lamp[1] + nz * lamp[2])
    sky = nx * lamp[3] + (ny * lamp[4] + nz * lamp[5])
    soft = (facing * 0.75 + 0.25).clamp(min=0)  # wraps around, as under a wide sky
    ambient = lamp[6] * (0.78 + 0.22 * sky)
    return colour * (ambient + lamp[7] * soft)
