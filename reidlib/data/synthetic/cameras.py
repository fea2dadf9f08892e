"""Six cameras: where they look from, their light, their faults and their scenery."""

from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any

import numpy as np

METRE = 64  # panorama pixels per metre of the view plane
BASE = 208  # panorama row where the ground meets what stands behind it
PANORAMA = (400, 1024)  # rows, columns


@dataclass(frozen=True)
class Camera:
    """One fixed camera; angles in radians, shares in [0, 1]."""

    camid: int
    scene: str
    pitch: float  # looking down
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
    depth: tuple[float, float]  # metres on the view plane between feet and BASE

    def axes(self) -> np.ndarray:
        """(3, 3) rows right, up, towards the viewer, in world coordinates."""
        c, s = cos(self.pitch), sin(self.pitch)
        return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])

    def light(self) -> np.ndarray:
        """(8,) lamp direction and up in the view frame, ambient, diffuse."""
        azimuth, elevation = self.lamp
        toward = np.array(
            [
                sin(azimuth) * cos(elevation),
                sin(elevation),
                cos(azimuth) * cos(elevation),
            ]
        )
        axes = self.axes()
        return np.array([*(axes @ toward), *axes[:, 1], self.ambient, self.diffuse])


def _camera(camid: int, scene: str, *values: float, **more: Any) -> Camera:
    pitch, front, offset, spread, azimuth, elevation = values
    return Camera(
        camid,
        scene,
        radians(pitch),
        front,
        radians(offset),
        radians(spread),
        (radians(azimuth), radians(elevation)),
        **more,
    )


# Market-1501 has five sharp cameras and a sixth of low resolution (SPEC.md 3.1).
CAMERAS: tuple[Camera, ...] = (
    _camera(
        1,
        "plaza",
        12,
        0.60,
        15,
        26,
        -50,
        45,
        ambient=0.62,
        diffuse=0.55,
        cast=(1.04, 1.0, 0.93),
        noise=3,
        blur=0.15,
        quality=88,
        depth=(0.2, 0.9),
    ),
    _camera(
        2,
        "lawn",
        16,
        0.45,
        -22,
        28,
        40,
        50,
        ambient=0.58,
        diffuse=0.62,
        cast=(0.98, 1.03, 0.95),
        noise=4,
        blur=0.25,
        quality=82,
        depth=(0.25, 1.0),
    ),
    _camera(
        3,
        "brick",
        9,
        0.66,
        30,
        26,
        160,
        40,
        ambient=0.60,
        diffuse=0.36,
        cast=(0.95, 0.98, 1.08),
        noise=6,
        blur=0.3,
        quality=76,
        depth=(0.1, 0.5),
    ),
    _camera(
        4,
        "road",
        20,
        0.38,
        -8,
        24,
        75,
        35,
        ambient=0.70,
        diffuse=0.60,
        cast=(1.0, 1.0, 1.0),
        noise=4,
        blur=0.2,
        quality=84,
        depth=(0.4, 1.3),
    ),
    _camera(
        5,
        "hall",
        24,
        0.58,
        5,
        32,
        0,
        70,
        ambient=0.72,
        diffuse=0.36,
        cast=(1.08, 1.0, 0.84),
        noise=5,
        blur=0.2,
        quality=80,
        depth=(0.4, 1.4),
    ),
    _camera(
        6,
        "path",
        13,
        0.55,
        -30,
        30,
        -120,
        30,
        ambient=0.56,
        diffuse=0.48,
        cast=(0.94, 1.0, 1.04),
        noise=8,
        blur=0.9,
        quality=66,
        depth=(0.2, 0.8),
    ),
)
