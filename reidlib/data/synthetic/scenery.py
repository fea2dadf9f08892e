"""What a camera sees behind people: a wall seen at right angles, a ground from above.

Each is a base with structure at many scales, props before or on it, and light.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import props
from .props import FLOAT, METRE, Image, Rng, box, foliage, muted, noise, post, tone

WALL = (240, 960)  # rows, columns; columns wrap; the last row touches the ground
GROUND = (320, 320)  # rows, columns; wraps both ways


class Scenery(NamedTuple):
    """The two surfaces behind the people of one camera."""

    wall: np.ndarray  # (3, *WALL) float32 in [0, 1]
    ground: np.ndarray  # (3, *GROUND) float32 in [0, 1]


def _bond(
    rng: Rng,
    shape: tuple[int, int],
    size: tuple[float, float],
    colour: Image,
    look: tuple[float, float, float],
) -> Image:
    """Tiles of about `size` pixels; look: shift of odd rows, spread, dark of joints."""
    n = max(round(shape[0] / size[0] / 2) * 2, 2)
    m = max(round(shape[1] / size[1]), 1)
    shift, spread, dark = look
    y = np.arange(shape[0]) * (n / shape[0])
    x = np.arange(shape[1]) * (m / shape[1]) + np.array([[0], [shift]])
    row, column = y.astype(int), x.astype(int)
    tint = 1 + spread * (rng.normal(0, 0.12, (3, n, m)) + rng.uniform(-1, 1, (n, m)))
    tint = (colour * tint).astype(FLOAT)
    joint = 1 - FLOAT(dark) * (x - column < m / shape[1] * 1.3)
    lines = np.empty((3, n, shape[1]), FLOAT)
    for odd in (0, 1):
        lines[:, odd::2] = tint[:, odd::2].take(column[odd] % m, 2) * joint[odd]
    gap = np.where(y - row < n / shape[0] * 1.3, FLOAT(1 - dark), FLOAT(1))
    return lines.take(row, 1) * gap[:, None]


def _herringbone(rng: Rng, colour: Image) -> Image:
    """Bricks of one by two units, in zigzags."""
    unit = int(rng.choice((4, 5, 8)))
    n = GROUND[0] // unit
    row, column = np.mgrid[0:n, 0:n]
    turn = (column - row) % 4  # left, right, lower, upper half of a brick
    shade = rng.uniform(0.82, 1.18, (n, n)).astype(FLOAT)
    brick = shade[(row - (turn == 2)) % n, (column - (turn == 1)) % n]
    dark = np.ones((n, unit, n, unit), FLOAT) * brick[:, None, :, None]
    dark[:, 0] *= 1 - 0.22 * (turn != 2)[:, :, None]
    dark[:, :, :, 0] *= 1 - 0.22 * (turn != 1)[:, None]
    return dark.reshape(GROUND) * colour


def _flat(shape: tuple[int, int], colour: Image) -> Image:
    return np.zeros((3, *shape), FLOAT) + colour


# Walls


def _facade(rng: Rng) -> Image:
    """Stone, brick or plaster with windows, doors and pipes."""
    kind, size = rng.random(), (rng.uniform(14, 34), rng.uniform(24, 60))
    look = (0.5 * rng.integers(2), 0.1, rng.uniform(0, 0.3))
    if kind < 0.6:
        wall = _bond(rng, WALL, size, muted(rng, 0.4, 0.7), look)
    else:
        wall = _flat(WALL, muted(rng, 0.5, 0.75, 0.06))
        wall *= 1 - 0.25 * noise(rng, WALL, 14, 6) * noise(rng, WALL, 50)
        box(wall, (0, 0, 24, rng.uniform(0.3, 1.1)), muted(rng, 0.3, 0.55))
    return _openings(wall, rng)


def _brick(rng: Rng) -> Image:
    red = tone(rng, (0.50, 0.40, 0.36), 0.15)
    colour = red if rng.random() < 0.7 else muted(rng, 0.4, 0.6)
    return _openings(_bond(rng, WALL, (3.2, 9), colour, (0.5, 0.16, -0.12)), rng)


def _openings(wall: Image, rng: Rng) -> Image:
    count, sill = rng.integers(5, 11), rng.uniform(0.4, 1.4)
    frame = muted(rng, 0.25, 0.7, 0.04)
    mirror = muted(rng, 0.15, 0.35) * (0.5 + noise(rng, (100, 100), 12, 2))
    for k in range(count):
        left, kind = (k + rng.uniform(0.1, 0.2)) * 24 / count, rng.random()
        bottom, wide = 0 if kind < 0.25 else sill, rng.uniform(1.1, 2.4)
        if kind < 0.75:
            tall = 2.3 - bottom
            box(wall, (left - 0.06, bottom, wide + 0.12, tall + 0.06), frame)
            box(wall, (left, bottom + 0.06, wide, tall - 0.05), mirror)
            box(wall, (left + wide / 2, bottom, 0.06, tall), frame)
        elif kind < 0.9:
            post(wall, (left, 0, 0.12, 6), frame)
    return wall


def _glass(rng: Rng) -> Image:
    """Dark panes that mirror something, in a grid of frames."""
    tall, wide = rng.uniform(40, 100), rng.uniform(36, 80)
    wall = _bond(rng, WALL, (tall, wide), muted(rng, 0.2, 0.42), (0, 0.3, 0))
    wall *= 0.4 + 0.8 * noise(rng, WALL, 40, 2) + 0.4 * noise(rng, WALL, 7, 2)
    level = (0.15, 0.25) if rng.random() < 0.4 else (0.45, 0.7)
    frame, n = muted(rng, *level, 0.04), round(WALL[1] / wide)
    for k in range(n):
        box(wall, (k * 24 / n, 0, rng.uniform(0.05, 0.1), 6), frame)
    for k in range(3):
        box(wall, (0, k * tall / METRE, 24, 0.1 + 0.25 * (k == 0)), frame)
    return wall


def _shops(rng: Rng) -> Image:
    """Shop fronts: goods on shelves behind glass, signs above."""
    wall = _bond(rng, WALL, (20, 30), muted(rng, 0.45, 0.68), (0, 0.08, 0.2))
    ends = np.append(np.arange(0, 22, rng.uniform(2.5, 5)), 24.0)
    for left, right in zip(ends, ends[1:], strict=False):
        wide, tall = right - left - 0.4, int(rng.integers(14, 26))
        shape = (100, max(round(wide * METRE), 1))
        goods = _bond(rng, shape, (tall / 2, 5), muted(rng, 0.2, 0.5), (0.3, 0.45, 0.3))
        goods *= 1 + 0.3 * (
            _bond(rng, shape, (9, 7), tone(rng, (1,) * 3), (0, 1, 0)) - 1
        )
        goods *= 0.35 + noise(rng, shape, 30)
        goods[:, ::tall] = 0.45
        box(wall, (left + 0.2, 0.1, wide, 2.5), goods, rng.uniform(0.7, 1))
        for k in range(rng.integers(1, 4)):
            box(wall, (left + 0.2 + k * 1.2, 0, 0.06, 2.6), muted(rng, 0.3, 0.6, 0.03))
        box(wall, (left, 2.6, right - left, 0.9), muted(rng, 0.25, 0.65, 0.2))
    return wall


def _woods(rng: Rng) -> Image:
    """Foliage, hazy further up."""
    wall = foliage(rng, WALL)
    haze = noise(rng, WALL, 60) * noise(rng, WALL, 9) * rng.uniform(0, 1.2)
    haze *= np.linspace(1, 0.3, WALL[0], dtype=FLOAT)[:, None]
    return wall + (muted(rng, 0.5, 0.75, 0.04) - wall) * haze.clip(0, 1)


def _entrance(rng: Rng) -> Image:
    """A deep dark porch between pillars."""
    wall = _flat(WALL, muted(rng, 0.08, 0.2))
    wall *= 0.4 + noise(rng, WALL, 25, 2) + noise(rng, WALL, 90)
    pillar, gap = muted(rng, 0.25, 0.6, 0.05), 24 / rng.integers(5, 12)
    for left in np.arange(0, 23.9, gap):
        for k in range(rng.integers(1, 4)):
            box(wall, (left + 0.9 * k, 0, 0.05, 2.3), muted(rng, 0.2, 0.4, 0.05))
        post(wall, (left, 0, rng.uniform(0.15, 0.8), 6), pillar)
    return wall


# Grounds


def _slabs(rng: Rng) -> Image:
    size = rng.uniform(10, 32) if rng.random() < 0.85 else 80.0
    look = (0.5 * rng.integers(2), 0.09, rng.uniform(0.1, 0.3))
    return _bond(rng, GROUND, (size, size), muted(rng, 0.45, 0.68, 0.045), look)


def _setts(rng: Rng) -> Image:
    """Small pavers, grey or pinkish, with bands of another colour."""
    colour = tone(rng, (0.57, 0.53, 0.51), 0.12)
    bond = _bond(rng, GROUND, (5, 10), colour, (0.5, 0.15, 0.22))
    ground = _herringbone(rng, colour) if rng.random() < 0.6 else bond
    at = np.arange(GROUND[1]) + rng.integers(320)
    band = at % rng.choice((80, 160, 320)) < rng.integers(8, 40)
    ground[:, :, band] *= tone(rng, (0.92, 0.75, 0.70), 0.1)
    return ground


def _asphalt(rng: Rng) -> Image:
    light = 0.9 + 0.2 * rng.random(GROUND, FLOAT)
    light += (noise(rng, GROUND, 90) > 0.72) * FLOAT(rng.uniform(-0.15, 0.1))
    return muted(rng, 0.38, 0.56, 0.04) * light


def _road(rng: Rng) -> Image:
    """Asphalt with worn lines and a kerb."""
    ground, (at, start, kerb) = _asphalt(rng), rng.integers(320, size=3)
    row, column = np.ogrid[: GROUND[0], : GROUND[1]]
    dash = ((column - start) % 160 < 90) | (rng.random() < 0.4)
    line = ((row - at) % 320 < 6) & dash
    worn = line * (0.5 + 0.5 * noise(rng, GROUND, 4))
    ground += (muted(rng, 0.65, 0.8, 0.04) - ground) * worn
    edge = ((row - kerb) % 320 < rng.integers(5, 24)) * FLOAT(0.6)
    return ground + (muted(rng, 0.5, 0.65, 0.04) - ground) * edge


def _gravel(rng: Rng) -> Image:
    light = 0.4 * rng.random(GROUND, FLOAT) + 0.35 * noise(rng, GROUND, 3)
    light += 0.35 * noise(rng, GROUND, 25) + 0.45
    return tone(rng, (0.55, 0.52, 0.47), 0.12) * light


def _grass(rng: Rng) -> Image:
    light = 0.4 * rng.random(GROUND, FLOAT) + 0.45 * noise(rng, GROUND, 4) + 0.4
    bare = (noise(rng, GROUND, 45) * 2.2 - 1.1).clip(0, 0.8)
    green, soil = tone(rng, (0.40, 0.43, 0.29), 0.12), tone(rng, (0.5, 0.46, 0.4))
    return (green + (soil - green) * bare) * (light + 0.4 * noise(rng, GROUND, 30))


def _lawn(rng: Rng) -> Image:
    """Grass with a paved walk across."""
    ground, wide = _grass(rng), rng.integers(120, 240)
    ground[:, :wide] = _slabs(rng)[:, :wide]
    ground[:, wide - 5 : wide] = ground[:, :5] = tone(rng, (0.6, 0.58, 0.55))
    return np.roll(ground, int(rng.integers(320)), 1)


def _hall(rng: Rng) -> Image:
    size, colour = rng.uniform(16, 34), tone(rng, (0.66, 0.64, 0.59), 0.1)
    return _bond(rng, GROUND, (size, size), colour, (0, 0.05, rng.uniform(0.1, 0.3)))


def _litter(ground: Image, rng: Rng) -> None:
    """Leaves, manholes, seldom a strip for the blind."""
    for _ in range(rng.integers(0, 60)):
        size = rng.uniform(0.03, 0.12, 2)
        place = (*rng.uniform(0, 7.8, 2), *size)
        box(ground, place, muted(rng, 0.2, 0.6, 0.2), 0.6)
    x, y = props.grid(0.9, 0.9)
    radius = np.sqrt((x - 0.45) ** 2 + (y - 0.45) ** 2)
    for _ in range(rng.integers(0, 3)):
        disc = ((rng.uniform(0.28, 0.42) - radius) * METRE).clip(0, 1)
        lid = disc * (0.45 + 0.3 * (radius * 12 % 1 < 0.5))
        left, bottom = rng.uniform(0, 7, 2)
        props.stamp(ground, left, bottom, lid, muted(rng, 0.25, 0.4, 0.06))
    if rng.random() < 0.12:
        yellow = tone(rng, (0.6, 0.55, 0.42))
        strip = _bond(rng, (320, 16), (4, 4), yellow, (0, 0.05, 0.2))
        box(ground, (rng.uniform(0, 8), 0, 0.4, 8), strip, 0.8)


def _lit(image: Image, rng: Rng, grain: float, shade: float) -> Image:
    """Grain, stains and the shadows of trees."""
    shape = image.shape[1:]
    light = 1 + grain * (rng.random(shape, FLOAT) - 0.5)
    light += 1.5 * grain * (noise(rng, shape, 4) - 0.5)
    light += 0.3 * (noise(rng, shape, 80) - 0.5)
    dapple = 0.7 * noise(rng, shape, 55) + 0.3 * noise(rng, shape, 12)
    light *= 1 - shade * ((dapple - 0.5) * 6).clip(0, 1)
    return np.ascontiguousarray((image * light).clip(0, 1), FLOAT)


class _Recipe(NamedTuple):
    walls: tuple[Callable[[Rng], Image], ...]  # one of them
    grounds: tuple[Callable[[Rng], Image], ...]  # one of them
    props: str  # from behind to the front


_PROPS = {
    prop.__name__: prop
    for prop in (
        *(props.posters, props.steps, props.verge, props.trees, props.hedge),
        *(props.car, props.fence, props.racks, props.street),
    )
}
_RECIPES = {
    "plaza": _Recipe((_facade,), (_setts,), "trees" + " racks" * 5 + " street" * 3),
    "lawn": _Recipe((_woods,), (_lawn,), "verge hedge hedge trees racks street street"),
    "brick": _Recipe((_brick,), (_slabs,), "posters posters steps racks street street"),
    "road": _Recipe(
        (_woods, _facade), (_road,), "verge hedge" + " car" * 5 + " street"
    ),
    "hall": _Recipe((_entrance, _facade), (_hall,), "posters " * 3 + "street " * 4),
    "path": _Recipe((_woods,), (_gravel,), "trees trees trees hedge fence fence racks"),
    "market": _Recipe((_shops,), (_slabs, _setts), "racks racks racks" + " street" * 4),
    "glass": _Recipe((_glass,), (_slabs,), "steps hedge hedge racks street street"),
    "park": _Recipe((_woods,), (_grass, _gravel), "verge trees trees trees hedge"),
    "yard": _Recipe(
        (_facade,), (_slabs, _asphalt), "fence" + " racks" * 5 + " car street"
    ),
}
SCENES: tuple[str, ...] = (*_RECIPES, "random")


def _random(rng: Rng) -> _Recipe:
    some = [name for name in _PROPS for _ in range(rng.integers(-2, 5))]
    walls = (_facade, _facade, _brick, _glass, _shops, _woods, _woods, _entrance)
    pale = (_slabs, _setts, _asphalt, _road, _hall)
    return _Recipe(walls, (*pale, *pale, _gravel, _grass, _lawn), " ".join(some))


def scenery(name: str, rng: Rng) -> Scenery:
    """What stands behind people and what they walk on.

    Args:
        name: one of SCENES; "random" mixes all of them, in any colour and light.
        rng: decides everything that the name leaves open.
    """
    mixed = name == "random"
    recipe = _random(rng) if mixed else _RECIPES[name]
    wall = recipe.walls[rng.integers(len(recipe.walls))](rng)
    for prop in recipe.props.split():
        _PROPS[prop](wall, rng)
    ground = recipe.grounds[rng.integers(len(recipe.grounds))](rng)
    _litter(ground, rng)
    if rng.random() < 0.5:
        ground = ground.transpose(0, 2, 1)
    foot = np.linspace(-WALL[0] / METRE, 0, WALL[0])[:, None] / 0.25
    wall *= (1 - 0.35 * np.exp(foot)).astype(FLOAT)  # darkness in the corner
    wall += (0.6 - wall) * FLOAT(rng.uniform(0, 0.12))  # haze
    if mixed:
        wall *= 1.4 * muted(rng, 0.45, 0.9, 0.08)
        ground *= 1.4 * muted(rng, 0.45, 0.9, 0.08)
    shade = 0 if name == "hall" else rng.uniform(0, 0.4)
    grain = rng.uniform(0.06, 0.16)
    return Scenery(_lit(wall, rng, grain, shade), _lit(ground, rng, grain, shade))
