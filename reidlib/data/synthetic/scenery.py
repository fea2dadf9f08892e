"""Procedural panoramas: what each camera sees behind the people."""

import numpy as np

from .cameras import BASE, PANORAMA, Camera

_ROWS, _COLUMNS = PANORAMA


def panorama(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """(3, rows, columns) float32 in [0, 1]: the wall above row BASE, ground below."""
    image = np.empty((_ROWS, _COLUMNS, 3))
    image[:] = 0.5
    squash = max(np.sin(camera.pitch), 0.12)  # how flat the ground looks
    _SCENES[camera.scene](image, rng, squash)
    edge = np.clip(1 - np.abs(np.arange(_ROWS) - BASE - 2) / 5, 0, 1)
    image *= 1 - 0.35 * edge[:, None, None]
    image *= 1 + 0.06 * (_noise(rng, 40)[:, :, None] - 0.5)
    return np.clip(image, 0, 1).transpose(2, 0, 1).astype(np.float32)


def _noise(rng: np.random.Generator, cell: float, tall: float = 1.0) -> np.ndarray:
    """Smooth value noise in [0, 1] with lattice cells of the given pixel size."""
    rows = int(_ROWS / (cell * tall)) + 3
    grid = rng.random((rows, int(_COLUMNS / cell) + 3))
    y, x = np.arange(_ROWS) / (cell * tall), np.arange(_COLUMNS) / cell
    i, j = y.astype(int), x.astype(int)
    fy, fx = (y - i)[:, None], (x - j)[None]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    top = grid[i][:, j] * (1 - fx) + grid[i][:, j + 1] * fx
    low = grid[i + 1][:, j] * (1 - fx) + grid[i + 1][:, j + 1] * fx
    return top * (1 - fy) + low * fy


def _fill(
    image: np.ndarray, top: int, bottom: int, colour: tuple, texture: np.ndarray
) -> None:
    shade = 1 + texture[top:bottom, :, None]
    image[top:bottom] = np.array(colour) * shade


def _box(
    image: np.ndarray, top: float, left: float, tall: float, wide: float, colour: object
) -> None:
    r0, r1 = max(int(top), 0), max(int(top + tall), 0)
    c0, c1 = max(int(left), 0), max(int(left + wide), 0)
    image[r0:r1, c0:c1] = colour


def _grain(rng: np.random.Generator, fine: float, coarse: float) -> np.ndarray:
    return fine * (_noise(rng, 2) - 0.5) + coarse * (_noise(rng, 24) - 0.5)


def _tiles(
    image: np.ndarray,
    top: int,
    bottom: int,
    wide: float,
    tall: float,
    line: float,
    shift: bool = False,
) -> None:
    """Darken joints of tiles or bricks, optionally in running bond."""
    y = np.arange(top, bottom)[:, None]
    x = np.arange(_COLUMNS)[None]
    row = ((y - top) / tall).astype(int)
    across = (x + (row % 2) * wide / 2 * shift) % wide
    joint = (((y - top) % tall) < 1.2) | (across < 1.4)
    image[top:bottom] *= 1 - line * joint[:, :, None]


def _leaves(
    image: np.ndarray, rng: np.random.Generator, top: int, bottom: int, colour: tuple
) -> None:
    clumps = 0.8 * (_noise(rng, 3) - 0.5) + 0.6 * (_noise(rng, 8) - 0.5)
    clumps += 0.6 * (_noise(rng, 21) - 0.5)
    _fill(image, top, bottom, colour, clumps)


def _post(
    image: np.ndarray, left: int, wide: int, top: int, bottom: int, colour: tuple
) -> None:
    """A round upright: lighter in the middle."""
    round_ = np.sqrt(np.clip(1 - (np.linspace(-0.95, 0.95, wide)) ** 2, 0, 1))
    span = image[top:bottom, left : left + wide]
    span[:] = (np.array(colour) * (0.45 + 0.6 * round_[:, None]))[: span.shape[1]]


def _plaza(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _fill(image, 0, BASE, (0.55, 0.50, 0.44), _grain(rng, 0.06, 0.15))
    for left in range(0, _COLUMNS, 148):
        glass = np.array((0.25, 0.33, 0.38)) * rng.uniform(0.6, 1.4)
        _box(image, 52, left + 10, 140, 116, (0.22, 0.22, 0.23))
        _box(image, 57, left + 15, 130, 50, glass)
        _box(image, 57, left + 70, 130, 50, glass * 0.85)
        for _ in range(5):
            _box(
                image,
                rng.uniform(70, 150),
                left + rng.uniform(16, 100),
                rng.uniform(8, 30),
                rng.uniform(6, 18),
                rng.random(3) * 0.6 + 0.15,
            )
        _box(image, 14, left + 4, 26, 132, rng.random(3) * 0.7 + 0.1)
    _fill(image, BASE, _ROWS, (0.60, 0.58, 0.55), _grain(rng, 0.10, 0.2))
    _tiles(image, BASE, _ROWS, 38, 38 * squash * 1.6, 0.18)


def _lawn(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _leaves(image, rng, 0, BASE, (0.23, 0.32, 0.17))
    _leaves(image, rng, 130, BASE, (0.17, 0.26, 0.13))
    for left in rng.integers(0, _COLUMNS - 40, 7):
        _post(image, int(left), int(rng.integers(8, 20)), 0, BASE, (0.30, 0.24, 0.18))
    _fill(image, BASE, _ROWS, (0.40, 0.47, 0.26), _grain(rng, 0.34, 0.3))
    _fill(image, BASE + 46, BASE + 110, (0.60, 0.57, 0.52), _grain(rng, 0.12, 0.1))


def _brick(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _fill(image, 0, BASE, (0.52, 0.30, 0.23), _grain(rng, 0.25, 0.3))
    _tiles(image, 0, BASE, 15, 5.5, -0.25, shift=True)
    for left in rng.integers(0, _COLUMNS - 80, 6):
        poster = rng.random(3) * 0.7 + 0.2
        _box(image, 80, left, 52, 38, poster)
        _box(image, 88, left + 5, 10, 28, 1 - poster)
        _box(image, 106, left + 5, 20, 18, poster * 0.5)
    for left in range(30, _COLUMNS, 190):
        _post(image, left, 9, 30, BASE, (0.55, 0.56, 0.58))
    _fill(image, BASE, _ROWS, (0.43, 0.43, 0.45), _grain(rng, 0.14, 0.2))
    _tiles(image, BASE, _ROWS, 62, 40 * squash * 2, 0.25, shift=True)
    for left in range(90, _COLUMNS, 150):
        _post(image, left, 11, BASE - 50, BASE + 10, (0.20, 0.20, 0.22))


def _road(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _fill(image, 0, BASE, (0.62, 0.63, 0.62), _grain(rng, 0.05, 0.12))
    _leaves(image, rng, 40, 120, (0.22, 0.32, 0.17))
    _fill(image, BASE, _ROWS, (0.34, 0.34, 0.36), _grain(rng, 0.16, 0.15))
    y, x = np.mgrid[0:_ROWS, 0:_COLUMNS]
    for left in range(-40, _COLUMNS, 270):
        paint = rng.random(3) * 0.7 + 0.15
        cx, cy = left + 120 + rng.uniform(-20, 20), BASE - 34
        body = ((x - cx) / 112.0) ** 4 + ((y - cy) / 30.0) ** 4 < 1
        roof = ((x - cx) / 66.0) ** 4 + ((y - cy + 34) / 30.0) ** 4 < 1
        glass = ((x - cx) / 57.0) ** 4 + ((y - cy + 34) / 22.0) ** 4 < 1
        image[body | roof] = paint
        image[body & (y > cy + 12)] = paint * 0.6
        image[glass] = (0.12, 0.15, 0.18)
        for wheel in (-66, 66):
            tyre = (x - cx - wheel) ** 2 + (y - cy - 24) ** 2
            image[tyre < 19**2] = (0.07, 0.07, 0.07)
            image[tyre < 9**2] = (0.5, 0.5, 0.52)
    for top in (BASE + 14, BASE + 120):
        for left in range(0, _COLUMNS, 120):
            _box(image, top, left, 16 * squash + 3, 66, (0.85, 0.85, 0.82))


def _hall(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _fill(image, 0, BASE, (0.74, 0.71, 0.64), _grain(rng, 0.02, 0.08))
    _box(image, BASE - 14, 0, 14, _COLUMNS, (0.34, 0.27, 0.22))
    for left in range(20, _COLUMNS, 210):
        _post(image, left, 34, 0, BASE, (0.80, 0.79, 0.76))
        _box(image, 60, left + 70, BASE - 74, 62, (0.42, 0.29, 0.19))
        _box(image, 70, left + 77, 50, 20, (0.6, 0.66, 0.7))
        _box(image, 80, left + 150, 44, 34, rng.random(3) * 0.8 + 0.1)
    _fill(image, BASE, _ROWS, (0.68, 0.64, 0.56), _grain(rng, 0.04, 0.25))
    _tiles(image, BASE, _ROWS, 46, 46 * squash, 0.22)


def _path(image: np.ndarray, rng: np.random.Generator, squash: float) -> None:
    _leaves(image, rng, 0, BASE, (0.27, 0.31, 0.20))
    haze = _noise(rng, 60)[:BASE, :, None] * np.linspace(0.8, 0, BASE)[:, None, None]
    image[:BASE] = image[:BASE] * (1 - haze) + 0.75 * haze
    for left in rng.integers(0, _COLUMNS - 60, 11):
        _post(image, int(left), int(rng.integers(12, 34)), 0, BASE, (0.27, 0.23, 0.20))
    _fill(image, BASE, _ROWS, (0.56, 0.52, 0.45), _grain(rng, 0.35, 0.35))
    for left in range(0, _COLUMNS, 22):
        _post(image, left, 3, BASE - 46, BASE + 4, (0.45, 0.46, 0.48))
    _box(image, BASE - 46, 0, 4, _COLUMNS, (0.5, 0.5, 0.52))


_SCENES = {
    "plaza": _plaza,
    "lawn": _lawn,
    "brick": _brick,
    "road": _road,
    "hall": _hall,
    "path": _path,
}
