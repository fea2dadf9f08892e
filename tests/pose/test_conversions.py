"""Every conversion keeps the joints it can, and none invents one; pictures agree."""

from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import to_hex

from reidlib import plots
from reidlib.pose import SKELETONS, convert, flip

# Typed from OpenPose's MPI model; None where BODY_25 has no such joint.
POINTS14_TO_BODY25 = [None, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]
PAIRS = list(permutations(SKELETONS, 2))


@st.composite
def poses(draw):
    """A pose, its skeleton and another; whole pixels, so that mirrors are exact."""
    pair = draw(st.sampled_from(PAIRS))
    count = len(SKELETONS[pair[0]].joints)
    xy = draw(hnp.arrays(np.int32, (count, 2), elements=st.integers(0, 128)))
    seen = draw(hnp.arrays(np.bool_, count))
    pose = np.concatenate([xy, seen[:, None]], axis=1).astype(np.float32)
    pose[~seen, :2] = np.nan
    return pose, *pair


@given(poses())
def test_there_and_back_keeps_shared_joints_bit_for_bit(drawn):
    pose, one, other = drawn
    joints = SKELETONS[one].joints
    shared = [joints.index(j) for j in joints if j in SKELETONS[other].joints]
    back = convert(convert(pose, one, other), other, one)
    assert back[shared].tobytes() == pose[shared].tobytes()


@given(poses())
def test_a_mirror_undoes_itself_and_commutes_with_every_conversion(drawn):
    pose, one, other = drawn
    np.testing.assert_array_equal(flip(flip(pose, 64, one), 64, one), pose)
    np.testing.assert_array_equal(
        convert(flip(pose, 64, one), one, other),
        flip(convert(pose, one, other), 64, other),
    )


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_conversion_keeps_all_joints_of_one_name_and_makes_only_middles(one, other):
    numbers = np.arange(1, len(SKELETONS[one].joints) + 1, dtype=np.float32)
    result = convert(np.stack([numbers] * 3, axis=1), one, other)
    for joint, (x, _, _) in zip(SKELETONS[other].joints, result, strict=True):
        if joint in SKELETONS[one].joints:
            assert x == SKELETONS[one].joints.index(joint) + 1
        elif joint not in ("Neck", "MidHip"):
            assert np.isnan(x)


def test_points14_goes_to_body25_by_the_table():
    pose = np.arange(1, 43, dtype=np.float32).reshape(14, 3)
    body = convert(pose, "points14", "body25")
    for number, place in enumerate(POINTS14_TO_BODY25):
        if place is not None:
            np.testing.assert_array_equal(body[place], pose[number])
    np.testing.assert_array_equal(
        body[8], (pose[8] + pose[11]) / 2 * [1, 1, 0] + [0, 0, pose[8, 2]]
    )


@pytest.mark.parametrize("other", ["body25", "coco17", "coco18"])
def test_a_head_top_is_no_nose_and_a_nose_no_head_top(other):
    assert np.isnan(convert(np.ones((14, 3)), "points14", other)[0, :2]).all()
    count = len(SKELETONS[other].joints)
    head = convert(np.ones((count, 3)), other, "points14")[0]
    np.testing.assert_array_equal(head, (np.nan, np.nan, 0))


@pytest.mark.parametrize("name", SKELETONS)
def test_mirrored_limbs_belong_to_the_other_side(name):
    kind = SKELETONS[name]
    other = dict(kind.swaps) | {b: a for a, b in kind.swaps}
    side = {frozenset(limb): s for limb, s in zip(kind.limbs, kind.sides, strict=True)}
    for limb, letter in side.items():
        mirrored = side[frozenset(other.get(end, end) for end in limb)]
        assert mirrored == {"R": "L", "L": "R", "": ""}[letter]
    right = [joint for joint in kind.joints if joint.startswith("R")]
    assert list(side.values()).count("R") >= len(right) - 2  # a face may have fewer


# Two limbs of the right arm and one of the left, in a picture of 128 × 64.
ARMS = {2: (20, 30), 3: (20, 60), 4: (20, 90), 5: (44, 30), 6: (44, 60)}


def arms():
    pose = np.full((25, 3), np.nan, np.float32)
    pose[:, 2] = 0
    for joint, xy in ARMS.items():
        pose[joint] = (*xy, 1)
    return pose


def test_a_painted_skeleton_is_coloured_by_side_and_leaves_the_image_alone():
    image = np.full((128, 64, 3), 255, np.uint8)
    painted = plots.paint_pose(image, arms())
    assert (image == 255).all()
    assert painted.shape == image.shape and painted.dtype == np.uint8
    assert to_hex(painted[75, 19] / 255) == plots.ORANGE
    assert to_hex(painted[45, 43] / 255) == plots.BLUE
    touched = np.argwhere((painted != 255).any(axis=2))
    assert set(touched[:, 1]) <= {*range(17, 23), *range(41, 47)}  # no line between


def test_missing_joints_draw_nothing():
    image = np.zeros((128, 64, 3), np.uint8)
    nobody = np.full((14, 3), np.nan, np.float32)
    np.testing.assert_array_equal(plots.paint_pose(image, nobody, "points14"), image)


def test_both_ways_of_drawing_show_the_same_limbs():
    figure, ax = plt.subplots()
    plots.draw_pose(ax, arms())
    lines = [(to_hex(line.get_color()), line.get_xdata()[0]) for line in ax.lines[:-1]]
    assert lines == [(plots.ORANGE, 20), (plots.ORANGE, 20), (plots.BLUE, 44)]
    plt.close(figure)
