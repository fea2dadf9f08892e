"""What stands behind people: images (3, rows, columns), sizes in metres."""

from functools import lru_cache

import numpy as np

METRE = 40  # pixels per metre
FLOAT = np.float32
GREENS = ((0.29, 0.34, 0.21), (0.26, 0.31, 0.22), (0.34, 0.36, 0.23))
Rng = np.random.Generator
Image = np.ndarray
Points = tuple[tuple[float, float], ...]
Place = tuple[float, float, float, float]  # left, bottom, width, height


def noise(rng: Rng, shape: tuple[int, ...], cell: float, tall: float = 1) -> Image:
    """(rows, columns) smooth noise in [0, 1] that tiles; `cell` pixels a bump."""
    cells = [max(round(shape[0] / (cell * tall)), 1), max(round(shape[1] / cell), 1)]
    out = rng.random(cells, FLOAT)
    for axis in (0, 1):
        at = np.arange(shape[axis]) * (cells[axis] / shape[axis])
        left = at.astype(int)
        share = (at - left).astype(FLOAT)
        share = (share * share * (3 - 2 * share)).reshape((-1, 1)[: 2 - axis])
        low, high = out.take(left, axis), out.take((left + 1) % cells[axis], axis)
        out = low + (high - low) * share
    return out


def tone(rng: Rng, colour: tuple[float, ...], spread: float = 0.1) -> Image:
    """(3, 1, 1) a colour like the given one: brighter or darker, a little off."""
    shift = rng.uniform(1 - 1.5 * spread, 1 + 1.5 * spread) * rng.normal(
        1, spread / 4, 3
    )
    return np.clip(np.array(colour) * shift, 0.02, 0.95).astype(FLOAT)[:, None, None]


def muted(rng: Rng, low: float, high: float, chroma: float = 0.08) -> Image:
    """(3, 1, 1) a greyish colour between low and high, warm or cool, seldom green."""
    warm, green = rng.normal(0.3, 1) * chroma, rng.normal(0, 0.25) * chroma
    level = rng.uniform(low, high)
    return tone(rng, (level * (1 + warm), level * (1 + green), level * (1 - warm)), 0)


def foliage(rng: Rng, shape: tuple[int, ...]) -> Image:
    """Leaves: dark gaps, lit clumps that turn yellowish."""
    colour = tone(rng, GREENS[rng.integers(3)], 0.15)
    light = 0.9 * noise(rng, shape, 2.2) + 0.8 * noise(rng, shape, 6)
    light += 0.9 * noise(rng, shape, 17) + 0.7 * noise(rng, shape, 60) - 1.65
    light = (light * 0.8 + 0.62).clip(0.15, 1.35)
    return (
        colour * light * (1.15 + np.array((0.2, 0.15, 0), FLOAT)[:, None, None] * light)
    )


def stamp(
    image: Image, left: float, bottom: float, alpha: Image, colour: Image
) -> None:
    """Blend a colour, (3, 1, 1) or (3, h, w), by (h, w); columns wrap, rows clip."""
    tall, wide = alpha.shape
    top = image.shape[1] - round(bottom * METRE) - tall
    skip = max(-top, 0)
    start = round(left * METRE) % image.shape[2]
    room = min(image.shape[2] - start, wide)
    for first, stop, at in ((0, room, start), (room, wide, 0)):
        part = slice(skip, tall), slice(first, stop)
        under = image[:, top + skip : top + tall, at : at + stop - first]
        over = colour[:, *part] if colour.shape[1] > 1 else colour
        under += (over - under) * alpha[part]


def box(image: Image, place: Place, colour: Image, alpha: float = 1) -> None:
    """A rectangle."""
    left, bottom, *size = place
    wide, tall = (max(round(length * METRE), 1) for length in size)
    stamp(image, left, bottom, np.full((tall, wide), alpha, FLOAT), colour)


def post(image: Image, place: Place, colour: Image) -> None:
    """A round upright: lit left of its middle, dark at its right edge."""
    across = np.linspace(-0.65, 1, max(round(place[2] * METRE), 1), dtype=FLOAT)
    shade = np.sqrt(1.1 - across * across)
    rows = np.ones((max(round(place[3] * METRE), 1), 1), FLOAT)
    stamp(image, place[0], place[1], rows * (shade > 0), colour * (rows * shade))


def grid(wide: float, tall: float) -> tuple[Image, Image]:
    """Pixel centres in metres, x (1, w) rightwards and y (h, 1) upwards."""
    x = (np.arange(round(wide * METRE), dtype=FLOAT) + 0.5) / METRE
    y = (np.arange(round(tall * METRE), dtype=FLOAT)[::-1] + 0.5) / METRE
    return x[None], y[:, None]


def stroke(x: Image, y: Image, points: Points, width: float) -> Image:
    """(h, w) coverage of a line through the points."""
    near = np.full((y.size, x.size), np.inf, FLOAT)
    for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
        dx, dy = bx - ax, by - ay
        along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
        along = along.clip(0, 1)
        gap = (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2
        near = np.minimum(near, gap)
    return ((width / 2 - np.sqrt(near)) * METRE + 0.5).clip(0, 1).astype(FLOAT)


def polygon(x: Image, y: Image, points: Points) -> Image:
    """(h, w) coverage of a convex polygon, corners clockwise."""
    inside = np.full((y.size, x.size), np.inf, FLOAT)
    for (ax, ay), (bx, by) in zip(points, (*points[1:], points[0]), strict=True):
        edge = (x - ax) * (by - ay) - (y - ay) * (bx - ax)
        inside = np.minimum(inside, edge / np.hypot(bx - ax, by - ay))
    return (inside * METRE + 0.5).clip(0, 1).astype(FLOAT)


@lru_cache(maxsize=16)
def _bicycle(turn: int, basket: bool) -> tuple[Image, ...]:
    """Coverage of shadow, tyres, metal, frame; turn 6 is broadside, 1 nearly end on."""
    flat = turn / 6
    x, y = grid(0.7 + 1.4 * flat, 1.2)
    x = x - 0.35 - 0.45 * flat

    def line(width: float, *points: tuple[float, float]) -> Image:
        return stroke(x, y, tuple((a * flat, b) for a, b in points), width)

    def wheels(radius: float, width: float, start: float, stop: float) -> Image:
        turns = np.linspace(start, stop, 22) * np.pi
        arc = [(radius * np.cos(a), 0.33 + radius * np.sin(a)) for a in turns]
        back = line(width, *arc)
        return np.maximum(back, line(width, *((a + 1.08, b) for a, b in arc)))

    seat, crank, head = (0.28, 0.80), (0.42, 0.28), (0.86, 0.80)
    reach = 0.27 * np.sqrt(1 - flat * flat)  # half the handlebar, across the frame
    bars = ((0.8 * flat - reach, 1.0), (0.88 * flat, 0.95), (0.8 * flat + reach, 1.03))
    dark = [
        wheels(0.32, 0.045, 0, 2),
        line(0.07, (0.12, 0.88), (0.42, 0.87)),
        line(0.06, crank, (0.5, 0.16)),
    ]
    metal = [
        0.7 * wheels(0.29, 0.02, 0, 2),
        0.12 * wheels(0.14, 0.28, 0, 2),  # spokes
        stroke(x, y, bars, 0.035),
        line(0.025, (-0.3, 0.7), (0.25, 0.72), (0.0, 0.33)),
        line(0.03, (0.82, 0.98), (0.9, 0.6)),
    ]
    if basket:
        metal += [0.8 * line(0.015, (0.98, b), (1.32, b)) for b in (0.69, 0.78, 0.87)]
        metal += [0.6 * line(0.012, (a, 0.68), (a, 0.9)) for a in (0.98, 1.1, 1.2, 1.3)]
    frame = [
        line(0.04, seat, crank, (0.9, 0.68)),
        line(0.04, *(((0.36, 0.5), (0.89, 0.7)) if basket else (seat, head))),
        line(0.03, crank, (0, 0.33), seat),
        line(0.035, head, (1.08, 0.33)),
        wheels(0.36, 0.03, 0.18, 0.92),  # mudguards
    ]
    blob = 1 - ((x - 0.54 * flat) / (0.35 + 0.6 * flat)) ** 2 - (y / 0.8) ** 2
    return 0.45 * blob.clip(0), *(np.maximum.reduce(m) for m in (dark, metal, frame))


def racks(wall: Image, rng: Rng) -> None:
    """A stretch of bicycles parked side by side, sometimes two rows deep."""
    left, wide = rng.uniform(0, 24), rng.uniform(3, 8)
    turn = int(rng.integers(1, 7))
    for bottom in (0.45, 0.0) if rng.random() < 0.5 else (0.0,):
        x = left
        while x < left + wide:
            lean = int(np.clip(turn + rng.integers(-1, 2), 1, 6))
            masks = _bicycle(lean, bool(rng.integers(2)))
            flip = 1 if rng.random() < 0.5 else -1
            chroma = 0.1 if rng.random() < 0.75 else 0.35
            paints = (
                muted(rng, 0.05, 0.12),
                muted(rng, 0.08, 0.2, 0.03),
                muted(rng, 0.4, 0.75, 0.02),
                muted(rng, 0.1, 0.45, chroma),
            )
            lift = bottom + rng.uniform(0, 0.12)
            for alpha, colour in zip(masks, paints, strict=True):
                stamp(wall, x, lift, alpha[:, ::flip], colour)
            x += rng.uniform(0.3, 0.6) + 0.12 * turn * rng.random()


@lru_cache(maxsize=2)
def _car(van: bool) -> tuple[Image, ...]:
    """Coverage of shadow, paint, glass, tyres and rims."""
    x, y = grid(4.7, 2.0)
    body = ((0.1, 0.3), (0.15, 0.72), (0.5, 0.86), (4.2, 0.88), (4.5, 0.7), (4.55, 0.3))
    roof = ((0.55, 0.84), (1.5, 1.42), (2.1, 1.47), (3.0, 1.42), (4.0, 0.86))
    rear = ((1.0, 0.9), (1.6, 1.34), (2.2, 1.38), (2.2, 0.9))
    front = ((2.3, 0.9), (2.3, 1.38), (2.95, 1.34), (3.5, 0.9))
    if van:
        roof = ((0.12, 0.8), (0.2, 1.8), (0.4, 1.9), (3.6, 1.85), (4.4, 0.86))
        rear = ((0.4, 1.05), (0.5, 1.65), (1.7, 1.68), (1.7, 1.05))
        front = ((1.85, 1.05), (1.85, 1.68), (3.3, 1.66), (3.85, 1.0))
    hub = np.sqrt(np.minimum((x - 0.95) ** 2, (x - 3.7) ** 2) + (y - 0.31) ** 2)
    tyres, rims = (((size - hub) * METRE + 0.5).clip(0, 1) for size in (0.32, 0.19))
    paint = np.maximum(polygon(x, y, body), polygon(x, y, roof))
    glass = np.maximum(polygon(x, y, rear), polygon(x, y, front))
    shadow = (1 - ((x - 2.35) / 2.5) ** 4 - (y / 0.4) ** 2).clip(0, 1)
    return shadow, paint, glass, tyres, rims


def car(wall: Image, rng: Rng) -> None:
    """A parked car, side on."""
    masks = _car(rng.random() < 0.3)
    shape, left = masks[0].shape, rng.uniform(0, 24)
    y = np.linspace(1, 0, shape[0], dtype=FLOAT)[:, None]
    shade = (
        0.6 + 0.5 * y - 0.15 * (np.abs(y - 0.28) < 0.02) + 0.1 * noise(rng, shape, 30)
    )
    level = (0.12, 0.3) if rng.random() < 0.4 else (0.5, 0.8)
    black = muted(rng, 0.07, 0.12, 0.02)
    paint = muted(rng, *level, 0.03 if rng.random() < 0.7 else 0.2) * shade
    sky = muted(rng, 0.15, 0.35, 0.06) * (0.6 + 0.8 * noise(rng, shape, 14))
    paints = (black, paint, sky, black, muted(rng, 0.35, 0.6, 0.02))
    flip = 1 if rng.random() < 0.5 else -1
    for alpha, colour in zip(masks, paints, strict=True):
        stamp(wall, left, 0, alpha[:, ::flip], colour)


def hedge(wall: Image, rng: Rng) -> None:
    """A stretch of hedge or bushes with an uneven top."""
    wide, tall = rng.uniform(3, 12), rng.uniform(0.5, 1.8)
    x, y = grid(wide, tall + 0.6)
    shape = (y.size, x.size)
    ragged = noise(rng, shape, 5) * 0.25 + noise(rng, shape, 25) * rng.uniform(0, 0.8)
    end = np.minimum(x, wide - x).clip(0, 0.5)
    alpha = ((tall * (0.5 + end) - y + ragged - 0.3) * 8).clip(0, 1)
    leaves = foliage(rng, shape) * (0.6 + 0.5 * (y / tall).clip(0, 1))
    stamp(wall, rng.uniform(0, 24), 0, alpha, leaves)


def trees(wall: Image, rng: Rng) -> None:
    """A few trunks, some whitewashed up to a metre."""
    wash, bark = rng.random() < 0.4, tone(rng, (0.36, 0.32, 0.28), 0.15)
    for _ in range(rng.integers(1, 5)):
        left, wide = rng.uniform(0, 24), rng.uniform(0.1, 0.45)
        light = 0.8 + 0.4 * noise(rng, (240, max(round(wide * METRE), 1)), 3, 4)
        post(wall, (left, 0, wide, 6), bark * light)
        if wash:
            post(wall, (left, 0, wide, 1.1), tone(rng, (0.7, 0.69, 0.66)))


def fence(wall: Image, rng: Rng) -> None:
    """Railings: thin bars between two rails."""
    tall, pitch = rng.uniform(0.8, 1.7), rng.uniform(0.1, 0.22)
    x, y = grid(rng.uniform(4, 14), tall)
    rails = (np.abs(y - tall + 0.05) < 0.03) | (np.abs(y - 0.12) < 0.02)
    bars = (x % pitch < 0.028) | (x % 2 < 0.06) | rails
    level = (0.15, 0.3) if rng.random() < 0.5 else (0.5, 0.7)
    stamp(wall, rng.uniform(0, 24), 0, bars.astype(FLOAT), muted(rng, *level, 0.05))


def street(wall: Image, rng: Rng) -> None:
    """Bollards, bins, a lamp post, a bench or pot plants."""
    left, which, count = rng.uniform(0, 24), rng.integers(5), rng.integers(1, 6)
    grey, wood = muted(rng, 0.2, 0.6, 0.05), tone(rng, (0.42, 0.34, 0.28), 0.2)
    x, y = grid(0.9, 1.3)
    if which == 0:
        post(wall, (left, 0, rng.uniform(0.1, 0.2), 6), grey)
    elif which == 1:
        for bottom in (0.4, 0.62, 0.76):
            box(wall, (left, bottom, 1.7, 0.08), wood)
        for foot in (0.1, 1.5):
            box(wall, (left + foot, 0, 0.08, 0.85), wood * FLOAT(0.4))
        return
    for k in range(count):
        if which == 2:
            post(wall, (left + k * 1.3, 0, 0.13, 0.8), grey)
        elif which == 3:
            bin_ = muted(rng, 0.2, 0.4, 0.2)
            post(wall, (left + k * 0.6, 0, 0.5, rng.uniform(0.8, 1.0)), bin_)
            box(wall, (left + k * 0.6 + 0.08, 0.65, 0.33, 0.12), bin_ * FLOAT(0.3))
        elif which == 4:
            crown = 1 - ((x - 0.45) / 0.42) ** 2 - ((y - 0.78) / 0.5) ** 2
            alpha = (crown * 3 + noise(rng, crown.shape, 4) - 0.5).clip(0, 1)
            post(wall, (left + k + 0.22, 0, 0.46, 0.45), tone(rng, (0.45, 0.36, 0.31)))
            stamp(wall, left + k, 0, alpha, foliage(rng, crown.shape))


def posters(wall: Image, rng: Rng) -> None:
    """Boards and bills with blocks of text and pictures."""
    for _ in range(rng.integers(2, 6)):
        left, bottom = rng.uniform(0, 24), rng.uniform(0.6, 1.4)
        wide, tall = rng.uniform(0.4, 1.6), rng.uniform(0.5, 1.2)
        box(wall, (left, bottom, wide, tall), muted(rng, 0.3, 0.75, 0.12))
        for _ in range(rng.integers(3, 9)):
            w, h = wide * rng.uniform(0.2, 0.8), tall * rng.uniform(0.04, 0.3)
            x, y = left + rng.uniform(0, wide - w), bottom + rng.uniform(0, tall - h)
            box(wall, (x, y, w, h), muted(rng, 0.2, 0.75, 0.2), 0.7)


def steps(wall: Image, rng: Rng) -> None:
    """A flight of stairs along the foot of the wall."""
    left, wide, colour = rng.uniform(0, 24), rng.uniform(5, 14), muted(rng, 0.45, 0.65)
    for k in range(rng.integers(3, 7)):
        riser = colour * FLOAT(rng.uniform(0.72, 0.8))
        box(wall, (left, 0.27 * k, wide, 0.15), riser)
        box(wall, (left, 0.27 * k + 0.15, wide, 0.12), colour)


def verge(wall: Image, rng: Rng) -> None:
    """A raised strip of lawn or paving with a kerb: ground still further away."""
    shape = (round(rng.uniform(0.25, 1.1) * METRE), wall.shape[2])
    lawn = rng.random() < 0.7
    colour = tone(rng, (0.41, 0.45, 0.30), 0.15) if lawn else muted(rng, 0.4, 0.6)
    light = 0.75 + 0.3 * noise(rng, shape, 6, 0.3) + 0.25 * noise(rng, shape, 70, 0.2)
    stamp(wall, 0, 0, np.ones(shape, FLOAT), colour * light)
    box(wall, (0, 0, 24, rng.uniform(0.08, 0.16)), muted(rng, 0.45, 0.65, 0.04))
