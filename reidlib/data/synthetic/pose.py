"""How a pedestrian holds itself: joint angles of ten activities, in radians."""

from dataclasses import dataclass
from typing import Any

import numpy as np

# activity: its share among pictures
_SHARES = {
    "walk": 0.58,
    "stand": 0.10,
    "call": 0.05,
    "read": 0.06,
    "carry": 0.05,
    "turn": 0.05,
    "ride": 0.03,
    "push": 0.03,
    "lean": 0.04,
    "umbrella": 0.01,
}
ACTIVITIES = tuple(_SHARES)
ACTIVITY_SHARES = tuple(_SHARES.values())
# Arms at their place: shoulder, shoulder_out, shoulder_in and elbow that bring the
# hand of a middling body to ear, eyes, handlebar, hip, pocket and umbrella.
CALL = (1.13, 0.73, -0.15, 2.45)
READ = (0.34, 0.22, 0.42, 1.72)
RIDE = (0.45, 0.39, 0.13, 1.05)
FAR = (0.13, 0.65, -0.12, 0.88)
NEAR = (0.48, 0.09, 0.95, 1.04)
AKIMBO = (-0.40, 0.93, 1.23, 1.82)
POCKET = (-0.37, 0.44, 0.74, 1.24)
HOLD = (0.10, 0.26, 0.12, 2.18)
RIGHT, LEFT = 0, 1  # order of every pair below


@dataclass(frozen=True)
class Pose:
    """Joint angles of one moment, in radians; pairs are (right, left).

    `yaw` is the heading: 0 towards the camera, pi/2 towards the image's right,
    pi away from the camera. Flexion is positive to the front, except at the knee.
    """

    activity: str = "stand"
    yaw: float = 0.0
    lean: float = 0.03
    sway: float = 0.0
    twist: float = 0.0
    head_yaw: float = 0.0
    head_pitch: float = 0.05
    hip: tuple[float, float] = (0.0, 0.0)
    hip_out: tuple[float, float] = (0.04, 0.04)
    knee: tuple[float, float] = (0.05, 0.05)
    toe: tuple[float, float] = (0.0, 0.0)
    shoulder: tuple[float, float] = (0.0, 0.0)
    shoulder_out: tuple[float, float] = (0.12, 0.12)
    shoulder_in: tuple[float, float] = (0.2, 0.2)
    elbow: tuple[float, float] = (0.25, 0.25)


def _bump(t: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A parabola of height 1 on the circle of period 1."""
    gap = np.abs((t - centre + 0.5) % 1 - 0.5)
    return np.clip(1 - (gap / width) ** 2, 0, 1)


def draw_pose(rng: np.random.Generator, yaw: float, activity: str) -> Pose:
    """A random pose of an activity within the limits of human joints."""
    # the gait cycle of each leg, 0 where its heel strikes
    cycle = (rng.random() + np.array([0.0, 0.5])) % 1
    wave = 1 - 2 * np.abs(2 * cycle - 1)  # -1 where the heel strikes
    wave = -wave * (1.5 - 0.5 * wave * wave)
    stride, arm = rng.uniform(0.24, 0.44), rng.uniform(0.12, 0.42)
    pose: dict[str, np.ndarray | float] = {
        "lean": rng.normal(0.04, 0.03),
        "sway": rng.normal(0, 0.02),
        "twist": 0.14 * wave[1] * stride / 0.4 + rng.normal(0, 0.04),
        "head_yaw": rng.normal(0, 0.46),
        "head_pitch": rng.normal(0.12, 0.18),
        "hip": stride * wave + 0.05 + 0.2 * _bump(cycle, 0.8, 0.2),
        "hip_out": rng.normal(0.03, 0.025, 2),
        "knee": 0.06
        + 0.16 * _bump(cycle, 0.15, 0.15)
        + rng.uniform(0.6, 0.95) * _bump(cycle, 0.74, 0.25),
        "toe": stride * (0.7 * _bump(cycle, 0, 0.12) - 1.9 * _bump(cycle, 0.62, 0.2)),
        "shoulder": -arm * wave + rng.normal(0, 0.05) - 0.03,
        "shoulder_out": rng.normal(0.21, 0.09, 2),
        "shoulder_in": rng.normal(0.2, 0.3, 2),
        "elbow": 0.2 + 0.3 * np.clip(-wave, 0, 1) + rng.gamma(1.6, 0.3, 2),
    }
    still = {"stand": 1.0, "lean": 1.0, "call": 0.5, "read": 0.5, "umbrella": 0.3}
    if rng.random() < still.get(activity, 0.0):
        pose |= {
            "hip": rng.normal(0, 0.05, 2),
            "hip_out": rng.normal(0.05, 0.03, 2),
            "knee": rng.uniform(0.02, 0.15, 2),
            "toe": np.zeros(2),
            "shoulder": rng.normal(0, 0.08, 2),
            "twist": rng.normal(0, 0.1),
        }
    _ARMS[activity](rng, pose)
    limits = {"head_yaw": 1.2, "head_pitch": 0.7, "twist": 0.6, "lean": 0.7}
    for name, limit in limits.items():
        pose[name] = float(np.clip(pose[name], -limit, limit))
    for name, low, high in (
        ("knee", 0.0, 2.2),
        ("elbow", 0.05, 2.5),
        ("hip", -0.6, 1.8),
        ("shoulder", -1.0, 2.4),
        ("shoulder_out", 0.02, 1.6),
        ("hip_out", -0.02, 0.5),
    ):
        pose[name] = np.clip(pose[name], low, high)
    values: dict[str, Any] = {
        name: tuple(np.asarray(value).tolist()) if np.ndim(value) else float(value)
        for name, value in pose.items()
    }
    return Pose(activity=activity, yaw=float(yaw), **values)


def _free_arms(rng: np.random.Generator, pose: dict) -> None:
    """Walking and standing need no change."""


def _set_arm(
    rng: np.random.Generator, pose: dict, side: int, angles: tuple, spread: float = 0.06
) -> None:
    """One arm's shoulder, shoulder_out, shoulder_in and elbow."""
    names = ("shoulder", "shoulder_out", "shoulder_in", "elbow")
    for name, value in zip(names, angles, strict=True):
        pose[name] = np.array(pose[name])
        pose[name][side] = value + rng.normal(0, spread)


def _call(rng: np.random.Generator, pose: dict) -> None:
    _set_arm(rng, pose, int(rng.integers(2)), CALL)


def _read(rng: np.random.Generator, pose: dict) -> None:
    for side in (0, 1) if rng.random() < 0.35 else (int(rng.integers(2)),):
        _set_arm(rng, pose, side, READ)
    pose["head_pitch"] = rng.normal(0.45, 0.08)


def _carry(rng: np.random.Generator, pose: dict) -> None:
    _set_arm(rng, pose, RIGHT, (0.02, 0.14, 0.3, 0.15), 0.02)
    pose["sway"] = -0.05


def _turn(rng: np.random.Generator, pose: dict) -> None:
    side = rng.choice([-1.0, 1.0])
    pose["twist"] = side * rng.uniform(0.2, 0.5)
    pose["head_yaw"] = side * rng.uniform(0.4, 1.1)


def _ride(rng: np.random.Generator, pose: dict) -> None:
    pedal = rng.uniform(0, 2 * np.pi)
    pose["hip"] = 0.95 + 0.4 * np.array([np.sin(pedal), -np.sin(pedal)])
    pose["knee"] = 1.1 + 0.45 * np.array([np.sin(pedal), -np.sin(pedal)])
    pose["hip_out"] = np.full(2, 0.06)
    pose["toe"] = np.zeros(2)
    pose["lean"] = rng.uniform(0.15, 0.35)
    bend = rng.uniform(-0.1, 0.1)
    for side in (RIGHT, LEFT):
        _set_arm(rng, pose, side, (RIDE[0] + bend, *RIDE[1:3], RIDE[3] + bend), 0.01)
    pose["twist"] = pose["sway"] = 0.0


def _push(rng: np.random.Generator, pose: dict) -> None:
    """Bicycle on one side: that side's hand takes the far grip."""
    far = int(rng.integers(2))
    _set_arm(rng, pose, far, FAR, 0.02)
    _set_arm(rng, pose, 1 - far, NEAR, 0.02)
    pose["lean"] = rng.normal(0.12, 0.03)
    pose["twist"] = (0.06, -0.06)[far] + rng.normal(0, 0.03)


def _lean(rng: np.random.Generator, pose: dict) -> None:
    """Weight on one leg, often a hand on the hip or in a pocket."""
    free = int(rng.integers(2))
    for name, value in (("hip", 0.25), ("knee", 0.4), ("hip_out", 0.12)):
        pose[name][free] = value + rng.normal(0, 0.05)
    sign = (-1.0, 1.0)[free]
    pose["hip_out"][1 - free] = -0.02
    pose["sway"] = sign * rng.uniform(0.02, 0.09)
    pose["lean"] = rng.choice([-0.08, 0.14]) + rng.normal(0, 0.03)
    rest = rng.random()
    if rest < 0.35:
        _set_arm(rng, pose, int(rng.integers(2)), AKIMBO, 0.03)
    elif rest < 0.8:
        for side in (0, 1) if rest < 0.55 else (int(rng.integers(2)),):
            _set_arm(rng, pose, side, POCKET, 0.02)


def _umbrella(rng: np.random.Generator, pose: dict) -> None:
    _set_arm(rng, pose, int(rng.integers(2)), HOLD, 0.05)


_ARMS = {
    "walk": _free_arms,
    "stand": _free_arms,
    "call": _call,
    "read": _read,
    "carry": _carry,
    "turn": _turn,
    "ride": _ride,
    "push": _push,
    "lean": _lean,
    "umbrella": _umbrella,
}
