"""Joints, limbs and left-right pairs, and the arithmetic of a pose array.

A pose is a float32 array (J, 3) of x, y, confidence, in pixels of its image; a
missing joint is (NaN, NaN, 0). Points are (J, 2) in image units: x over the width,
y over the height, NaN where missing.

`points14` are the joints that MPII and LSP annotate, in the order of OpenPose's MPI
model (poseParameters.cpp, POSE_MPI_BODY_PARTS) without its last one, the chest: head
top, neck, then shoulder, elbow, wrist of the right and of the left arm, then hip, knee,
ankle of the right and of the left leg. No other skeleton has a head top: it is the
crown, and never becomes the nose. LSP's own files start at the right ankle: reorder
them first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Skeleton:
    """The joints of one keypoint convention.

    Attributes:
        name: key in `SKELETONS`.
        joints: name of each joint, in file order; R and L are the person's own.
        limbs: pairs of joint numbers to draw as a line.
        swaps: pairs of joint numbers that change places in a mirror.
        sides: of each limb, "R" or "L" where it belongs to one side of the body, ""
            in the middle or across; `reidlib.plots` colours limbs by it.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    swaps: tuple[tuple[int, int], ...]

    @property
    def sides(self) -> tuple[str, ...]:
        """The side of each limb, in the order of `limbs`."""
        ends = [
            {self.joints[end][0] for end in limb} & {"R", "L"} for limb in self.limbs
        ]
        return tuple(one.pop() if len(one) == 1 else "" for one in ends)


def _skeleton(name: str, joints: str, limbs: str) -> Skeleton:
    """Build a skeleton from joint names and limbs written as "a-b a-b"."""
    names = tuple(joints.split())
    pairs = [tuple(int(end) for end in limb.split("-")) for limb in limbs.split()]
    mirror = [
        sorted((number, names.index("L" + joint[1:])))
        for number, joint in enumerate(names)
        if joint[0] == "R"
    ]
    return Skeleton(
        name, names, tuple((a, b) for a, b in pairs), tuple((a, b) for a, b in mirror)
    )


# Orders and limbs: OpenPose's BODY_25 and COCO-18, COCO's keypoint task.
SKELETONS: dict[str, Skeleton] = {
    "body25": _skeleton(
        "body25",
        "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee "
        "RAnkle LHip LKnee LAnkle REye LEye REar LEar LBigToe LSmallToe LHeel "
        "RBigToe RSmallToe RHeel",
        "1-8 1-2 1-5 2-3 3-4 5-6 6-7 8-9 9-10 10-11 8-12 12-13 13-14 1-0 0-15 15-17 "
        "0-16 16-18 14-19 19-20 14-21 11-22 22-23 11-24",
    ),
    "coco17": _skeleton(
        "coco17",
        "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist "
        "LHip RHip LKnee RKnee LAnkle RAnkle",
        "15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 5-7 6-8 7-9 8-10 1-2 0-1 0-2 "
        "1-3 2-4 3-5 4-6",
    ),
    "coco18": _skeleton(
        "coco18",
        "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle "
        "LHip LKnee LAnkle REye LEye REar LEar",
        "1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 "
        "15-17",
    ),
    "points14": _skeleton(
        "points14",
        "HeadTop Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee "
        "RAnkle LHip LKnee LAnkle",
        "0-1 1-2 2-3 3-4 1-5 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13",
    ),
}
TORSO = (9, 12, 2, 5)  # RHip, LHip, RShoulder, LShoulder in BODY_25
_MIDDLES = {"Neck": ("RShoulder", "LShoulder"), "MidHip": ("RHip", "LHip")}


def _find(name: str) -> Skeleton:
    if name not in SKELETONS:
        known = ", ".join(SKELETONS)
        raise ReIDConfigError(f"unknown skeleton {name!r}: use one of {known}.")
    return SKELETONS[name]


def _joints_of(values: ArrayLike, skeleton: Skeleton) -> Floats:
    array = np.asarray(values, dtype=np.float32)
    count = len(skeleton.joints)
    if array.ndim < 2 or array.shape[-2] != count or array.shape[-1] not in (2, 3):
        raise ReIDConfigError(
            f"a {skeleton.name} pose has shape (…, {count}, 2 or 3), not "
            f"{array.shape}: name the skeleton it was made with."
        )
    return array


def empty_pose(count: int | None = None) -> Floats:
    """A BODY_25 pose without a joint, (25, 3), or `count` of them, (count, 25, 3)."""
    shape = (25, 3) if count is None else (count, 25, 3)
    pose = np.full(shape, np.nan, dtype=np.float32)
    pose[..., 2] = 0
    return pose


def convert(pose: ArrayLike, source: str, target: str) -> Floats:
    """Carry poses from one skeleton to another, joint by name.

    Neck and MidHip become the middle of their two sides, with the lower of the two
    confidences, when the source has no such joint. What else it lacks is missing.

    Args:
        pose: (…, J, 3) in the source skeleton.
        source: key of `SKELETONS`.
        target: key of `SKELETONS`.

    Returns:
        (…, J', 3) in the target skeleton.

    Raises:
        ReIDConfigError: unknown skeleton, or J is not the source's.
    """
    old, new = _find(source), _find(target)
    values = _joints_of(pose, old)
    result = np.full((*values.shape[:-2], len(new.joints), 3), np.nan, np.float32)
    result[..., 2] = 0
    for number, joint in enumerate(new.joints):
        if joint in old.joints:
            result[..., number, :] = values[..., old.joints.index(joint), :]
        elif joint in _MIDDLES:
            right, left = (
                values[..., old.joints.index(side), :] for side in _MIDDLES[joint]
            )
            result[..., number, :2] = (right[..., :2] + left[..., :2]) / 2
            result[..., number, 2] = np.minimum(right[..., 2], left[..., 2])
    return result


def flip(pose: ArrayLike, width: float, skeleton: str = "body25") -> Floats:
    """Mirror poses left to right, and swap the joints of the two sides.

    x becomes width − x: coordinates run from 0 at the left edge of the image to
    `width` at its right edge. For points in image units the width is 1.

    Args:
        pose: (…, J, 2 or 3).
        width: width of the image in the unit of x.
        skeleton: key of `SKELETONS`.

    Returns:
        The mirrored poses, same shape. Flipping twice gives the pose back.
    """
    kind = _find(skeleton)
    order = np.arange(len(kind.joints))
    for one, other in kind.swaps:
        order[one], order[other] = other, one
    mirrored = _joints_of(pose, kind)[..., order, :]
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored


def normalise(pose: ArrayLike, size: tuple[int, int]) -> Floats:
    """Turn pixels into image units: x / width, y / height.

    Args:
        pose: (…, 25, 3) in pixels, or (…, 25, 2) with NaN where missing.
        size: (height, width) of the image that the pixels belong to.

    Returns:
        (…, 25, 2), in [0, 1] for a joint inside the image, NaN where missing. Joints
        outside the image stay outside.
    """
    values = _joints_of(pose, SKELETONS["body25"])
    height, width = size
    points = values[..., :2] / np.array([width, height], dtype=np.float32)
    if values.shape[-1] == 3:
        points[~(values[..., 2] > 0)] = np.nan
    return points.astype(np.float32)


def pose_vector(points: ArrayLike) -> Floats:
    """The generator's pose input: x0, y0, x1, y1, …, 0 where missing.

    Args:
        points: (…, 25, 2) in image units, NaN where missing.

    Returns:
        (…, 50) float32.
    """
    values = _joints_of(points, SKELETONS["body25"])[..., :2]
    return np.nan_to_num(values).reshape(*values.shape[:-2], 50)


def torso_valid(poses: ArrayLike) -> NDArray[np.bool_]:
    """Whether both hips and both shoulders are visible : the torso rule.

    Args:
        poses: (…, 25, 2 or 3), NaN where missing.

    Returns:
        (…,) bool.
    """
    values = _joints_of(poses, SKELETONS["body25"])[..., TORSO, :2]
    return np.asarray(np.isfinite(values).all(axis=(-2, -1)))
