"""Colour of each hit: garment patterns, panels, faces, folds and light."""

import torch
from torch import Tensor

from . import figure as f
from .raycast import GEOMETRY, TEXTURE, Hits

_M = GEOMETRY + TEXTURE


def _wave(x: Tensor) -> Tensor:
    """A sine of period 1 made of parabolas, exact on every machine."""
    y = x - x.floor() - 0.5
    return y * (1 - 2 * y.abs()) * 8


def _saw(x: Tensor) -> Tensor:
    """Distance from the nearest half-integer, doubled: 0 to 1, period 1."""
    return (x - x.floor() - 0.5).abs() * 2


def albedo(hits: Hits) -> Tensor:
    """(3, N) colours in [0, 1] before light."""
    m = hits.rows[_M:]
    place = torch.stack(hits.texture)
    colour = torch.where(place[1] > m[15], m[6:9], m[0:3])
    shade = _shade(m, *place)
    # each kind of decoration touches few pixels: work on those alone
    for rule, wanted in (
        (_pattern, m[12] > 0),
        (_panel, (m[16] > 0) & (m[16] < f.FACE)),
        (_face, m[16] == f.FACE),
        (_straps, m[21] > 0),
    ):
        at = torch.nonzero(wanted)[:, 0]
        if len(at):
            few = (values.index_select(1, at) for values in (colour, m, place))
            there, rows, where = few
            colour.index_copy_(1, at, rule(there, rows, *where))
    return colour * shade


def _shade(
    m: Tensor, around: Tensor, along: Tensor, lateral: Tensor, front: Tensor
) -> Tensor:
    """(N,) soft folds, darker flanks, quilting, pleats and washed denim."""
    warp = _wave(along * 1.7 + around * 0.9) * 0.4
    fold = _wave(around * 3.7 + along * 1.9 + warp) * _wave(along * 4.3 - warp + 0.3)
    flank = (lateral.abs() - 0.7).clamp(min=0)
    shade = 1 + m[23] * (fold - 2.5 * flank)
    at = torch.nonzero(m[20] > 0)[:, 0]
    if len(at):
        weave, tall, wide = m[20, at], along[at], around[at]
        seam, pleat = _saw(tall / 0.085), _saw(wide / 0.09)
        worn = (1 - lateral[at] * lateral[at]) * (front[at] > 0)
        change = torch.where(weave == f.QUILT, 0.1 - 0.38 * seam * seam, 0.0)
        change = torch.where(weave == f.PLEATS, 0.06 - 0.2 * pleat, change)
        change = torch.where(weave == f.DENIM, 0.16 * worn - 0.04, change)
        shade[at] = shade[at] + change
    return shade


def _pattern(
    colour: Tensor,
    m: Tensor,
    around: Tensor,
    along: Tensor,
    lateral: Tensor,
    front: Tensor,
) -> Tensor:
    pattern, period, duty = m[12], m[13], m[14]
    rings, lines = _saw(along / period), _saw(around / period)
    bands, rows = (rings < duty).float(), (lines < duty).float()
    share = torch.where(pattern == 1, bands, rows)
    share = torch.where(pattern == 3, 0.45 * (bands + rows), share)
    dot = (rings * rings + lines * lines < 0.36).float()
    share = torch.where(pattern == 4, dot, share)
    share = torch.where(pattern == 5, (along < period).float(), share)
    share = torch.where(along > m[15], 0.0, share)
    return colour + (m[3:6] - colour) * share


def _panel(
    colour: Tensor,
    m: Tensor,
    around: Tensor,
    along: Tensor,
    lateral: Tensor,
    front: Tensor,
) -> Tensor:
    """Openings, lapels, buttons, prints, arm holes, a pouch, soles."""
    kind, p0, p1, p2 = m[16], m[17], m[18], m[19]
    ahead, wide = front > 0, lateral.abs()
    rise = along - p2
    edge = wide - p0 - p1 * rise.clamp(min=0)
    row, column = rise / p1.clamp(min=1e-3), lateral / p0.clamp(min=1e-3)
    disc = column * column + row * row
    box = (wide < p0) & (row.abs() < 1)
    lines = (_saw(row * 1.5) > 0.4) & (_wave(column * 2.3 + row.floor() * 0.3) < 0.6)
    blob = disc + 0.5 * _wave(column * 0.8 + row * 0.6) < 0.7
    chest = (
        (kind <= f.BUTTONS) & (edge < 0) & ((p0 > 0) | (rise > 0))
        | (kind == f.DISC) & (disc < 1) & ((disc - 0.36).abs() > 0.1)
        | (kind == f.BOX) & box & (row.abs() > 0.2)
        | (kind == f.TEXT) & box & lines
        | (kind == f.BLOB) & blob
    )
    back = (kind == f.BACK) & box & ((wide > p0 * 0.7) | (row.abs() > 0.4))
    scoop = wide + (~ahead).float() * 0.12 < p1
    bare = (kind == f.TANK) & (rise > 0) & ((wide > p0) | scoop & (rise > 0.03))
    third = chest & ahead | back & ~ahead | bare | (kind == f.SOLE) & (front > p0)
    line = (kind >= f.LAPEL) & (kind <= f.BUTTONS) & (wide < 0.05)
    collar = (kind == f.LAPEL) & (edge < 0.22) & (rise > 0)
    pouch = (kind == f.POUCH) & box & ((wide > p0 * 0.82) | (row.abs() > 0.75))
    trim = ahead & ~third & (line | collar | pouch)
    colour = torch.where(third, m[6:9], colour)
    return colour * (1 - 0.24 * trim.float())


def _straps(
    colour: Tensor,
    m: Tensor,
    around: Tensor,
    along: Tensor,
    lateral: Tensor,
    front: Tensor,
) -> Tensor:
    """Of a backpack, or of a bag worn across; `strap` is its slope."""
    out = 0.55 + (0.26 - along).clamp(min=0) * 2.5  # bent towards the arm pits
    both = (front > -0.1) & ((lateral.abs() - out).abs() < 0.13) & (along > 0.14)
    both = both & (m[21] == f.STRAPS)
    sash = (m[21] == f.SASH) & ((along - 0.25 + m[22] * lateral).abs() < 0.022)
    return torch.where(both | sash, m[9:12], colour)


def _face(
    colour: Tensor,
    m: Tensor,
    around: Tensor,
    along: Tensor,
    lateral: Tensor,
    front: Tensor,
) -> Tensor:
    """Hair line, eyes, brows and mouth on the head's ellipsoid."""
    y, wide = along / m[19], lateral.abs()
    temple = m[18] + 0.25 * (wide > 0.8)
    hair = (y > m[17]) & (front < 1) | (front < temple) & (y > -0.55)
    ahead = front > 0.2
    eye = (wide - 0.38).abs() < 0.17
    eye = ahead & eye & (((y - 0.10).abs() < 0.05) | ((y - 0.26).abs() < 0.035))
    mouth = ahead & (wide < 0.26) & ((y + 0.52).abs() < 0.05)
    colour = torch.where(mouth, m[9:12], colour)
    colour = torch.where(eye, m[3:6], colour)
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
