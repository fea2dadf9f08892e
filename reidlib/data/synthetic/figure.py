"""A figure: coloured primitives in space, ready for the ray caster."""

from typing import NamedTuple

import numpy as np

from .person import PATTERNS, Colour
from .raycast import GEOMETRY, ROWS, TEXTURE

# panels: what the front (or back) of a part shows; see paint.py
OPEN, LAPEL, BUTTONS, DISC, BOX, TEXT, BLOB, BACK, TANK, POUCH, SOLE, FACE = range(
    1, 13
)
STRAPS, SASH = 1, 2
QUILT, DENIM, PLEATS = 1, 2, 3  # weaves
Paint = tuple[float, ...]


def material(
    base: Colour,
    second: Colour | None = None,
    third: Colour | None = None,
    fourth: Colour | None = None,
    *,
    pattern: str = "plain",
    period: float = 0.1,
    duty: float = 0.5,
    cut: float = 99.0,
    panel: int = 0,
    shape: tuple[float, float, float] = (0, 0, 0),
    weave: int = 0,
    overlay: int = 0,
    strap: float = 0.08,
    folds: float = 0.0,
) -> Paint:
    """The (MATERIAL,) rows that paint.py reads; beyond `cut` the third colour."""
    colours = (*base, *(second or base), *(third or base), *(fourth or base))
    numbers = (PATTERNS.index(pattern), period, duty, cut, panel, *shape, weave)
    return (*colours, *numbers, overlay, strap, folds)


class Torso(NamedTuple):
    """What skirts and packs must know of the trunk."""

    texture: tuple  # the upper garment's frame, see `Figure.add`
    cloth: Paint
    girth: float
    hips: tuple[float, float]  # half widths of the hem in metres
    back: float  # from the spine to the back of the clothes, metres


class Figure:
    """Collects primitives of one body, in world metres."""

    def __init__(self) -> None:
        self._ends: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._numbers: list[tuple] = []
        self._texture: list[tuple | None] = []
        self._material: list[Paint] = []

    def add(
        self,
        start: np.ndarray,
        end: np.ndarray,
        frame: np.ndarray,
        half: tuple[float, float],
        paint: Paint,
        *,
        ratio: float = 1.0,
        caps: tuple[float, float] | None = None,
        texture: tuple | None = None,
    ) -> None:
        """One tapered capsule from start to end.

        Args:
            start: (3,) one end of the axis.
            end: (3,) the other.
            frame: (3, 3) whose first column is the direction of `half[0]`.
            half: half widths at the start, sideways and to the front.
            paint: a `material`.
            ratio: width at the end over the width at the start.
            caps: heights of the two end caps; default: as round as `half[0]`.
            texture: (origin, frame, half width, half depth) when several parts share
                one garment; default: the part's own.
        """
        self._ends.append((start, end, frame[:, 0]))
        caps = caps or (min(half), min(half) * ratio)
        self._numbers.append((*half, ratio, caps[0], caps[1] / ratio))
        self._texture.append(texture)
        self._material.append(paint)

    def ball(
        self,
        centre: np.ndarray,
        frame: np.ndarray,
        half: tuple[float, float, float],
        paint: Paint,
    ) -> None:
        """An ellipsoid with half axes sideways, up and to the front."""
        tip = centre + frame[:, 1] * 1e-3
        ends = (half[1], half[1])
        self.add(centre, tip, frame, (half[0], half[2]), paint, caps=ends)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """(ROWS, P) in world coordinates and the (P, 2, 3, 3) extents of both ends."""
        n = len(self._ends)
        start, end, side = np.array(self._ends).transpose(1, 0, 2)
        y = end - start
        length = np.sqrt((y * y).sum(1))
        y = y / length[:, None]
        x = side - y * (side * y).sum(1)[:, None]
        x = x / np.sqrt((x * x).sum(1))[:, None]
        axes = np.stack([x, np.cross(x, y), y], 1)
        a, b, ratio, cap0, cap1 = np.array(self._numbers).T
        out = np.zeros((ROWS, n))
        scaled = axes / np.stack([a, b, np.ones(n)], 1)[:, :, None]
        out[:12] = _affine(scaled, start)
        out[12] = (ratio - 1) / length
        out[13], out[14], out[15] = length, cap0, cap1
        origin, frame = (
            start.copy(),
            np.stack([scaled[:, 0], axes[:, 2], scaled[:, 1]], 1),
        )
        girth = a * 1.5
        for i, texture in enumerate(self._texture):
            if texture is not None:
                origin[i], shared, wide, deep = texture
                frame[i] = shared.T / np.array([[wide], [1.0], [deep]])
                girth[i] = wide * 1.5
        out[GEOMETRY : GEOMETRY + 12] = _affine(frame, origin)
        out[GEOMETRY + 12] = girth
        out[GEOMETRY + TEXTURE :] = np.array(self._material).T
        ends = np.empty((n, 2, 4, 3))
        ends[:, 0, 0], ends[:, 1, 0] = start, start + axes[:, 2] * length[:, None]
        ends[:, :, 1] = (axes[:, 0] * a[:, None])[:, None]
        ends[:, :, 2] = (axes[:, 1] * b[:, None])[:, None]
        ends[:, 0, 3] = axes[:, 2] * cap0[:, None]
        ends[:, 1, 3] = axes[:, 2] * cap1[:, None]
        ends[:, 1, 1:] *= ratio[:, None, None]
        return out, ends


def _affine(axes: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """(n, 3, 3) rows and (n, 3) origin as the twelve rows u, v, w of a map."""
    shift = -(axes * origin[:, None, :]).sum(2)
    return np.concatenate([axes, shift[:, :, None]], 2).reshape(len(axes), 12).T
