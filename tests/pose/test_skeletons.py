"""Joint orders, mirrors and vectors, against OpenPose's table and by property."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reidlib.errors import ReIDConfigError
from reidlib.pose import SKELETONS, convert, flip, normalise, pose_vector, torso_valid

# BODY_25, typed from OpenPose's table and not from the code.
SWAPS = "2,5 3,6 4,7 9,12 10,13 11,14 15,16 17,18 19,22 20,23 21,24"
COCO18_TO_BODY25 = [*range(8), 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


@st.composite
def poses(draw, joints=25):
    """Poses whose x survives width − (width − x) exactly: whole and half pixels."""
    halves = hnp.arrays(np.int32, (joints, 2), elements=st.integers(0, 256))
    xy = draw(halves).astype(np.float32) / 2
    seen = draw(hnp.arrays(np.bool_, joints))
    pose = np.concatenate([xy, seen[:, None].astype(np.float32)], axis=1)
    pose[~seen, :2] = np.nan
    return pose


@given(poses())
def test_flipping_twice_gives_the_pose_back(pose):
    np.testing.assert_array_equal(flip(flip(pose, 64), 64), pose)


@given(poses(), st.sampled_from(["coco17", "coco18"]))
def test_flipping_commutes_with_conversion(pose, other):
    one = convert(flip(pose, 64), "body25", other)
    two = flip(convert(pose, "body25", other), 64, other)
    np.testing.assert_array_equal(one, two)


@given(poses(joints=18))
def test_coco18_goes_to_body25_by_the_table_and_back(pose):
    body = convert(pose, "coco18", "body25")
    np.testing.assert_array_equal(body[COCO18_TO_BODY25], pose)
    assert np.isnan(body[19:, :2]).all()
    assert (body[19:, 2] == 0).all()
    np.testing.assert_array_equal(convert(body, "body25", "coco18"), pose)
    hips = pose[[8, 11], :2]
    np.testing.assert_allclose(body[8, :2], hips.mean(axis=0))


def test_middle_joints_of_coco17_come_from_both_sides_or_not_at_all():
    pose = np.zeros((17, 3), np.float32)
    pose[5], pose[6] = (40, 20, 0.9), (20, 30, 0.5)  # shoulders, left first in COCO
    pose[11], pose[12] = (np.nan, np.nan, 0), (25, 60, 1)  # left hip is missing
    body = convert(pose, "coco17", "body25")
    np.testing.assert_allclose(body[1], (30, 25, 0.5))
    np.testing.assert_array_equal(body[8], (np.nan, np.nan, 0))
    np.testing.assert_allclose(body[2], (20, 30, 0.5))


def test_body25_has_the_limbs_and_swaps_of_openpose():
    body = SKELETONS["body25"]
    assert len(body.joints) == 25
    assert len(body.limbs) == 24
    assert {f"{a},{b}" for a, b in body.swaps} == set(SWAPS.split())
    assert body.joints[9] == "RHip"
    assert body.joints[19] == "LBigToe"


@pytest.mark.parametrize("name", SKELETONS)
def test_limbs_join_all_joints_of_a_skeleton_without_a_mirror_gap(name):
    skeleton = SKELETONS[name]
    order = list(range(len(skeleton.joints)))
    for one, other in skeleton.swaps:
        order[one], order[other] = other, one
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(order[end] for end in limb) for limb in limbs} == limbs
    assert {end for limb in limbs for end in limb} == set(order)


def test_vector_interleaves_x_and_y_with_zero_for_missing():
    pose = np.full((25, 3), np.nan, np.float32)
    pose[:, 2] = 0
    pose[0], pose[24] = (16, 32, 1), (64, 128, 0.2)
    points = normalise(pose, (128, 64))
    vector = pose_vector(points)
    assert vector.shape == (50,)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector[[0, 1, 48, 49]], [0.25, 0.25, 1, 1])
    assert not vector[2:48].any()
    assert np.isnan(points[1:24]).all()


def test_a_joint_without_confidence_is_missing_after_normalising():
    pose = np.zeros((2, 25, 3), np.float32)
    assert np.isnan(normalise(pose, (128, 64))).all()


@pytest.mark.parametrize("joint", [2, 5, 9, 12])
def test_a_torso_needs_both_hips_and_both_shoulders(joint):
    points = np.full((2, 25, 2), np.nan, np.float32)
    points[:, [2, 5, 9, 12]] = 0.5
    points[1, joint] = np.nan
    assert torso_valid(points).tolist() == [True, False]


def test_a_wrong_skeleton_is_named():
    with pytest.raises(ReIDConfigError, match=r"'coco19': use one of body25"):
        convert(np.zeros((18, 3)), "coco19", "body25")
    with pytest.raises(ReIDConfigError, match=r"shape \(…, 25, 2 or 3\), not \(18, 3"):
        flip(np.zeros((18, 3)), 64)
