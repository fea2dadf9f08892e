"""The skeleton: how a pedestrian stands, and where each joint is in space.

Body frame: x to the person's left, y up, z to the front; metres and radians.
Segment lengths are fractions of body height, rounded from standard anthropometry.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

ACTIVITIES = ("walk", "stand", "call", "read", "carry", "turn", "ride")
ACTIVITY_SHARES = (0.60, 0.12, 0.06, 0.07, 0.06, 0.06, 0.03)
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


@dataclass(frozen=True)
class Skeleton:
    """Positions (3,) and frames (3, 3; columns x, y, z) of one posed body."""

    points: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    keypoints: np.ndarray  # (25, 3) BODY_25, SPEC.md 2.1


def draw_pose(rng: np.random.Generator, yaw: float, activity: str) -> Pose:
    """A random pose of an activity within the limits of human joints."""
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.array([np.sin(phase), -np.sin(phase)])
    swing = np.clip([np.cos(phase), -np.cos(phase)], 0, 1)
    stride = rng.uniform(0.22, 0.48)
    arm = rng.uniform(0.15, 0.55)
    pose: dict[str, np.ndarray | float] = {
        "lean": rng.normal(0.05, 0.03),
        "sway": rng.normal(0, 0.02),
        "twist": 0.12 * wave[1] + rng.normal(0, 0.05),
        "head_yaw": rng.normal(0, 0.25),
        "head_pitch": rng.normal(0.1, 0.12),
        "hip": stride * wave + 0.05,
        "hip_out": rng.normal(0.03, 0.02, 2),
        "knee": 0.08 + rng.uniform(0.6, 1.0) * swing**2 + 0.1 * (wave < 0),
        "toe": 0.25 * np.clip(wave, 0, 1) - 0.45 * np.clip(-wave, 0, 1),
        "shoulder": -arm * wave + rng.normal(0, 0.06),
        "shoulder_out": rng.normal(0.09, 0.05, 2),
        "shoulder_in": rng.normal(0.35, 0.15, 2),
        "elbow": 0.2 + 0.35 * np.clip(-wave, 0, 1) + rng.normal(0.05, 0.05, 2),
    }
    if activity in ("stand", "call", "read") and rng.random() < 0.6:
        pose |= {
            "hip": rng.normal(0, 0.06, 2),
            "hip_out": rng.normal(0.07, 0.04, 2),
            "knee": rng.uniform(0.02, 0.2, 2),
            "toe": np.zeros(2),
            "shoulder": rng.normal(0, 0.12, 2),
            "twist": rng.normal(0, 0.12),
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


def _call(rng: np.random.Generator, pose: dict) -> None:
    side = int(rng.integers(2))
    for name, value in (
        ("shoulder", 0.75),
        ("shoulder_out", 0.45),
        ("shoulder_in", 0.55),
        ("elbow", 2.35),
    ):
        pose[name] = np.array(pose[name])
        pose[name][side] = value + rng.normal(0, 0.06)


def _read(rng: np.random.Generator, pose: dict) -> None:
    hands = [0, 1] if rng.random() < 0.35 else [int(rng.integers(2))]
    for name, value in (("shoulder", 0.35), ("shoulder_in", 0.5), ("elbow", 1.65)):
        pose[name] = np.array(pose[name])
        pose[name][hands] = value + rng.normal(0, 0.08)
    pose["head_pitch"] = rng.normal(0.45, 0.08)


def _carry(rng: np.random.Generator, pose: dict) -> None:
    for name, value in (("shoulder", 0.02), ("shoulder_out", 0.16), ("elbow", 0.15)):
        pose[name] = np.array(pose[name])
        pose[name][RIGHT] = value
    pose["sway"] = -0.05


def _turn(rng: np.random.Generator, pose: dict) -> None:
    side = rng.choice([-1.0, 1.0])
    pose["twist"] = side * rng.uniform(0.2, 0.5)
    pose["head_yaw"] = side * rng.uniform(0.4, 1.1)


def _ride(rng: np.random.Generator, pose: dict) -> None:
    pedal = rng.uniform(0, 2 * np.pi)
    pose["hip"] = 0.95 + 0.4 * np.array([np.sin(pedal), -np.sin(pedal)])
    pose["knee"] = 1.1 + 0.45 * np.array([np.sin(pedal), -np.sin(pedal)])
    pose["toe"] = np.zeros(2)
    pose["lean"] = rng.uniform(0.15, 0.4)
    pose["shoulder"] = rng.normal(0.95, 0.08, 2)
    pose["shoulder_in"] = rng.normal(0.1, 0.05, 2)
    pose["elbow"] = rng.uniform(0.2, 0.5, 2)
    pose["twist"] = 0.0


_ARMS = {
    "walk": _free_arms,
    "stand": _free_arms,
    "call": _call,
    "read": _read,
    "carry": _carry,
    "turn": _turn,
    "ride": _ride,
}


def rotation(axis: int, angle: float) -> np.ndarray:
    """Right-handed rotation (3, 3) about axis 0, 1 or 2."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    out = np.eye(3)
    out[i, i] = out[j, j] = c
    out[i, j], out[j, i] = -s, s
    return out


def skeleton(pose: Pose, height: float, shoulders: float, hips: float) -> Skeleton:
    """Forward kinematics of a pose.

    Args:
        pose: joint angles.
        height: body height in metres.
        shoulders: shoulder joints' distance from the spine, fraction of height.
        hips: hip joints' distance from the spine, fraction of height.

    Returns:
        the skeleton: pelvis above the origin, the lower foot on the ground y = 0
        (a rider's on a pedal).
    """
    h = height
    pelvis = rotation(1, pose.yaw - 0.4 * pose.twist) @ rotation(2, 0.5 * pose.sway)
    spine = rotation(1, pose.yaw + 0.2 * pose.twist) @ rotation(0, 0.6 * pose.lean)
    chest = (
        rotation(1, pose.yaw + 0.6 * pose.twist)
        @ rotation(0, pose.lean)
        @ rotation(2, pose.sway)
    )
    head = rotation(1, pose.yaw + 0.6 * pose.twist + pose.head_yaw) @ rotation(
        0, 0.5 * pose.lean + pose.head_pitch
    )
    points = {"pelvis": np.zeros(3)}
    points["waist"] = spine[:, 1] * 0.10 * h
    points["neck"] = points["waist"] + chest[:, 1] * 0.175 * h
    skull = chest[:, 1] * 0.055 * h + chest[:, 2] * 0.008 * h
    points["skull"] = points["neck"] + skull
    points["head"] = points["skull"] + head @ np.array([0, 0.066, 0.012]) * h
    frames = {"pelvis": pelvis, "spine": spine, "chest": chest, "head": head}
    for side, sign in ((RIGHT, -1.0), (LEFT, 1.0)):
        _leg(points, frames, pose, side, sign, hips, h)
        _arm(points, frames, pose, side, sign, shoulders, h)
    ground = min(points[f"{part}{s}"][1] for part in ("heel", "toe") for s in "RL")
    pedal = 0.12 if pose.activity == "ride" else 0.012 * h
    lift = np.array([0, pedal - ground, 0])
    points = {name: point + lift for name, point in points.items()}
    return Skeleton(points, frames, _body25(points, frames, h))


def _leg(
    points: dict,
    frames: dict,
    pose: Pose,
    side: int,
    sign: float,
    hips: float,
    h: float,
) -> None:
    s = "RL"[side]
    joint = points["pelvis"] + frames["pelvis"][:, 0] * sign * hips * h
    thigh = (
        frames["pelvis"]
        @ rotation(2, sign * pose.hip_out[side])
        @ rotation(0, -pose.hip[side])
    )
    shin = thigh @ rotation(0, pose.knee[side])
    foot = rotation(1, pose.yaw + sign * 0.15) @ rotation(0, -pose.toe[side])
    points[f"hip{s}"] = joint
    points[f"knee{s}"] = joint - thigh[:, 1] * 0.245 * h
    points[f"ankle{s}"] = ankle = points[f"knee{s}"] - shin[:, 1] * 0.240 * h
    points[f"heel{s}"] = ankle + foot @ np.array([0, -0.026, -0.028]) * h
    points[f"toe{s}"] = ankle + foot @ np.array([0, -0.028, 0.092]) * h
    points[f"big{s}"] = ankle + foot @ np.array([-sign * 0.014, -0.03, 0.105]) * h
    points[f"small{s}"] = ankle + foot @ np.array([sign * 0.022, -0.03, 0.085]) * h
    frames |= {f"thigh{s}": thigh, f"shin{s}": shin, f"foot{s}": foot}


def _arm(
    points: dict,
    frames: dict,
    pose: Pose,
    side: int,
    sign: float,
    shoulders: float,
    h: float,
) -> None:
    s = "RL"[side]
    chest = frames["chest"]
    joint = points["neck"] + chest @ np.array([sign * shoulders, -0.012, 0]) * h
    upper = (
        chest
        @ rotation(2, sign * pose.shoulder_out[side])
        @ rotation(0, -pose.shoulder[side])
        @ rotation(1, -sign * pose.shoulder_in[side])
    )
    lower = upper @ rotation(0, -pose.elbow[side])
    points[f"shoulder{s}"] = joint
    points[f"elbow{s}"] = joint - upper[:, 1] * 0.172 * h
    points[f"wrist{s}"] = points[f"elbow{s}"] - lower[:, 1] * 0.146 * h
    points[f"hand{s}"] = points[f"wrist{s}"] - lower[:, 1] * 0.075 * h
    frames |= {f"upper{s}": upper, f"lower{s}": lower}


_FACE = {  # offsets from the head's centre in the head frame, fractions of height
    0: (0.0, -0.008, 0.060),
    15: (-0.018, 0.008, 0.050),
    16: (0.018, 0.008, 0.050),
    17: (-0.044, 0.0, 0.002),
    18: (0.044, 0.0, 0.002),
}
_PARTS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
_NAMES = (
    "neck",
    *(f"{part}{s}" for s in "RL" for part in _PARTS[0]),
    "pelvis",
    *(f"{part}{s}" for s in "RL" for part in _PARTS[1]),
)
_FEET = ("bigL", "smallL", "heelL", "bigR", "smallR", "heelR")


def _body25(points: dict, frames: dict, h: float) -> np.ndarray:
    out = np.empty((25, 3))
    for index, offset in _FACE.items():
        out[index] = points["head"] + frames["head"] @ np.array(offset) * h
    for index, name in enumerate(_NAMES, start=1):
        out[index] = points[name]
    for index, name in enumerate(_FEET, start=19):
        out[index] = points[name]
    return out
