"""The skeleton: where each joint of a posed body is in space.

Body frame: x to the person's left, y up, z to the front; metres and radians.
Segment lengths are fractions of body height, rounded from standard anthropometry.
"""

from dataclasses import dataclass

import numpy as np

from .pose import ACTIVITIES, ACTIVITY_SHARES, LEFT, RIGHT, Pose, draw_pose

__all__ = [
    "ACTIVITIES",
    "ACTIVITY_SHARES",
    "Pose",
    "Skeleton",
    "draw_pose",
    "rotation",
    "skeleton",
]


@dataclass(frozen=True)
class Skeleton:
    """Positions (3,) and frames (3, 3; columns x, y, z) of one posed body."""

    points: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    keypoints: np.ndarray  # (25, 3) BODY_25


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
        shoulders: half the breadth of the shoulders, fraction of height; the joints
            lie a tenth further in.
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
    points["waist"] = spine[:, 1] * 0.105 * h
    points["neck"] = points["waist"] + chest[:, 1] * 0.180 * h
    skull = chest[:, 1] * 0.052 * h + chest[:, 2] * 0.020 * h
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
    joint = (
        points["neck"] + chest @ np.array([sign * 0.9 * shoulders, -0.014, -0.006]) * h
    )
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
    0: (0.0, -0.006, 0.068),
    15: (-0.018, 0.017, 0.052),
    16: (0.018, 0.017, 0.052),
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


# Where OpenPose puts a mark, off the joint's centre: outwards and up, fractions of
# height. It marks the outside of shoulder and hip, and hips and knees low.
_MARKS = {
    "shoulder": ("chest", 0.008, 0.004),
    "elbow": ("chest", 0.014, 0.008),
    "wrist": ("chest", 0.006, 0.0),
    "hip": ("pelvis", 0.014, -0.030),
    "knee": ("pelvis", 0.012, -0.016),
}


def _body25(points: dict, frames: dict, h: float) -> np.ndarray:
    out = np.empty((25, 3))
    points = dict(points)
    for part, (frame, outwards, up) in _MARKS.items():
        for s, sign in (("R", -1.0), ("L", 1.0)):
            shift = frames[frame] @ np.array([sign * outwards, up, 0.0]) * h
            points[f"{part}{s}"] = points[f"{part}{s}"] + shift
    points["neck"] = (points["shoulderR"] + points["shoulderL"]) / 2
    points["pelvis"] = (points["hipR"] + points["hipL"]) / 2
    for index, offset in _FACE.items():
        out[index] = points["head"] + frames["head"] @ np.array(offset) * h
    for index, name in enumerate(_NAMES, start=1):
        out[index] = points[name]
    for index, name in enumerate(_FEET, start=19):
        out[index] = points[name]
    return out
