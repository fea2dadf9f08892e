"""Cameras: where they hang, what they see of people, their light and their faults."""

from dataclasses import dataclass
from math import cos, hypot, radians, sin, tan

import numpy as np

from .scenery import SCENES

_EXPOSED = 1.38  # people are lighter than what is behind them: measured on Market
_AIM = 0.9  # metres above the ground: the point of a person that a picture is about


@dataclass(frozen=True)
class View:
    """How a camera sees a person who stands `distance` metres away."""

    distance: float  # metres along the ground
    axes: np.ndarray  # (3, 3) rows right, up, towards the camera; world coordinates
    reach: float  # metres from the eye to the plane through the person
    origin: np.ndarray  # (3,) the aimed point, metres; the feet are at 0, 0, 0
    scale: float  # sensor pixels per metre on that plane


@dataclass(frozen=True)
class Camera:
    """One fixed camera; metres, radians, and shares in [0, 1]."""

    camid: int
    scene: str
    height: float  # above the ground
    pitch: float  # of its optical axis, downwards
    fov: float  # vertical field of view
    rows: int  # of the sensor: with `fov` and distance, a person's size in pixels
    wall: float  # distance of what stands behind the people
    front: float  # share of passers-by who come towards it
    offset: float  # their heading, off the axis
    spread: float  # standard deviation of that heading
    lamp: tuple[float, float]  # azimuth (0 from behind the camera), elevation
    ambient: float
    diffuse: float
    cast: tuple[float, float, float]  # gain of red, green, blue
    noise: float  # standard deviation, of 255
    blur: float  # 0 none to 1 strong
    quality: int  # JPEG

    @property
    def near(self) -> float:
        """Distance at which feet enter the picture."""
        return self.height / tan(self.pitch + self.fov / 2)

    @property
    def far(self) -> float:
        """Distance beyond which nobody is cut out."""
        return max(self.near + 0.5, min(self.wall - 1.0, 2.1 * self.near))

    def view(self, share: float) -> View:
        """The view of a person at a share of the way from `near` to `far`."""
        distance = self.near + (self.far - self.near) * share
        reach = hypot(distance, self.height - _AIM)
        s = (self.height - _AIM) / reach
        c = distance / reach
        axes = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
        focal = self.rows / 2 / tan(self.fov / 2)
        return View(distance, axes, reach, np.array([0, _AIM, 0]), focal / reach)

    def toward_lamp(self) -> np.ndarray:
        """(3,) unit vector in world coordinates."""
        azimuth, elevation = self.lamp
        level = cos(elevation)
        return np.array([sin(azimuth) * level, sin(elevation), cos(azimuth) * level])


def _camera(
    camid: int,
    scene: str,
    place: tuple[float, float, float, int, float],
    crossing: tuple[float, float, float],
    light: tuple[float, float, float, float],
    cast: tuple[float, float, float],
    faults: tuple[float, float, int],
) -> Camera:
    """Angles here are in degrees."""
    height, pitch, fov, rows, wall = place
    front, offset, spread = crossing
    azimuth, elevation, ambient, diffuse = light
    return Camera(
        camid,
        scene,
        height,
        radians(pitch),
        radians(fov),
        rows,
        wall,
        front,
        radians(offset),
        radians(spread),
        (radians(azimuth), radians(elevation)),
        ambient * _EXPOSED,
        diffuse * _EXPOSED,
        cast,
        *faults,
    )


# Market-1501 has five sharp cameras and a sixth of low resolution.
CAMERAS: tuple[Camera, ...] = (
    _camera(
        1,
        "plaza",
        (2.6, 12, 44, 1080, 8),
        (0.64, 15, 30),
        (-50, 45, 0.62, 0.50),
        (1.03, 1.0, 0.94),
        (3, 0.15, 88),
    ),
    _camera(
        2,
        "lawn",
        (3.0, 14, 42, 1080, 11),
        (0.50, -22, 32),
        (40, 50, 0.60, 0.56),
        (0.98, 1.02, 0.96),
        (4, 0.25, 82),
    ),
    _camera(
        3,
        "brick",
        (2.3, 10, 42, 1080, 7),
        (0.70, 30, 30),
        (160, 40, 0.74, 0.36),
        (0.96, 0.98, 1.06),
        (6, 0.3, 76),
    ),
    _camera(
        4,
        "road",
        (3.5, 17, 42, 1080, 12),
        (0.43, -8, 28),
        (75, 35, 0.68, 0.56),
        (1.0, 1.0, 1.0),
        (4, 0.2, 84),
    ),
    _camera(
        5,
        "hall",
        (3.1, 17, 46, 720, 9),
        (0.62, 5, 36),
        (0, 70, 0.72, 0.34),
        (1.06, 1.0, 0.88),
        (5, 0.2, 80),
    ),
    _camera(
        6,
        "path",
        (2.8, 11, 38, 400, 12),
        (0.60, -30, 34),
        (-120, 30, 0.76, 0.46),
        (0.95, 1.0, 1.03),
        (7, 0.6, 68),
    ),
)


def draw_camera(rng: np.random.Generator, camid: int) -> Camera:
    """A camera somewhere else: for worlds of more than six."""
    return _camera(
        camid,
        str(rng.choice(SCENES)),
        (
            float(rng.uniform(2.0, 4.0)),
            float(rng.uniform(9, 18)),
            float(rng.uniform(36, 46)),
            int(rng.choice([400, 576, 720, 1080], p=(0.15, 0.2, 0.25, 0.4))),
            float(rng.uniform(7, 16)),
        ),
        (float(rng.uniform(0.35, 0.7)), float(rng.normal(0, 20)), 28.0),
        (
            float(rng.uniform(-180, 180)),
            float(rng.uniform(25, 75)),
            float(rng.uniform(0.5, 0.78)),
            float(rng.uniform(0.25, 0.62)),
        ),
        tuple(np.exp(rng.normal(0, (0.04, 0.015, 0.06))).tolist()),
        (
            float(rng.uniform(2, 8)),
            float(rng.uniform(0.1, 0.6)),
            int(rng.integers(62, 92)),
        ),
    )
