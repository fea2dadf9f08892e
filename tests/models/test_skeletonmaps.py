"""A pose as maps: drawn where the joints are, and nothing for a missing one."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from reidlib.errors import ReIDConfigError
from reidlib.models.skeletonmaps import BODY, heat_maps, positions, skeleton_image

SIZE = (64, 32)
RKNEE, RANKLE, RWRIST, RELBOW, LWRIST = 10, 11, 4, 3, 7


def vectors(n=3):
    points = torch.rand(n, 25, 2, generator=torch.Generator().manual_seed(1))
    return (points * 0.8 + 0.1).flatten(1)


def pose(**joints):
    points = torch.zeros(1, 25, 2)
    for name, at in joints.items():
        points[0, BODY.joints.index(name)] = torch.tensor(at)
    return points.flatten(1)


def without(poses, joint):
    kept = poses.clone()
    kept[:, 2 * joint : 2 * joint + 2] = 0
    return kept


def slow_skeleton(vector, size):
    """The same picture, pixel by pixel."""
    height, width = size
    points = vector.reshape(25, 2).numpy() * [width, height]
    picture = np.full((3, height, width), -1.0)
    for limb, side in zip(BODY.limbs, BODY.sides, strict=True):
        a, b = points[list(limb)]
        if not a.any() or not b.any():
            continue
        channel = {"R": 0, "": 1, "L": 2}[side]
        for row in range(height):
            for column in range(width):
                p = np.array([column + 0.5, row + 0.5])
                share = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                distance = np.linalg.norm(p - a - share * (b - a))
                ink = np.clip(height / 64 + 0.5 - distance, 0, 1)
                old = picture[channel, row, column]
                picture[channel, row, column] = max(old, 2 * ink - 1)
    return picture


def test_the_skeleton_is_that_of_a_loop_over_limbs_and_pixels():
    poses = without(vectors(2), RKNEE)
    drawn = skeleton_image(poses, (32, 16))
    for one, vector in zip(drawn, poses, strict=True):
        assert np.allclose(one, slow_skeleton(vector, (32, 16)), atol=1e-4)


def test_a_limb_has_the_colour_of_its_side():
    right = pose(RElbow=(0.2, 0.25), RWrist=(0.2, 0.75))
    left = pose(LElbow=(0.2, 0.25), LWrist=(0.2, 0.75))
    middle = pose(Neck=(0.2, 0.25), MidHip=(0.2, 0.75))
    for channel, one in enumerate((right, middle, left)):
        drawn = skeleton_image(one, SIZE)[0]
        assert drawn[channel, 32, 6] == 1  # on the line at x = 6.4
        assert drawn[channel, 32, 16] == -1  # and far from it
        others = [c for c in range(3) if c != channel]
        assert (drawn[others] == -1).all()


def test_a_limb_ends_at_its_joints():
    drawn = skeleton_image(pose(RElbow=(0.5, 0.25), RWrist=(0.5, 0.75)), SIZE)[0, 0]
    rows = (drawn > -1).any(1).nonzero().flatten()
    assert (rows.min(), rows.max()) == (15, 48)  # 16 … 48, 1.5 pixels further


def test_a_missing_joint_takes_away_its_limbs_and_nothing_else():
    whole = vectors()
    fewer = without(whole, RKNEE)
    alone = torch.zeros_like(whole)  # a skeleton of the two lost limbs only
    for joint in (9, RKNEE, RANKLE):
        alone[:, 2 * joint : 2 * joint + 2] = whole[:, 2 * joint : 2 * joint + 2]
    changed = skeleton_image(whole, SIZE) != skeleton_image(fewer, SIZE)
    assert changed.any()
    assert not (changed & (skeleton_image(alone, SIZE) == -1)).any()


def test_a_missing_joint_empties_its_heat_map_only():
    whole, fewer = heat_maps(vectors(), SIZE), heat_maps(without(vectors(), 10), SIZE)
    assert (fewer[:, RKNEE] == 0).all()
    others = [j for j in range(25) if j != RKNEE]
    assert torch.equal(whole[:, others], fewer[:, others])


def test_no_joint_at_all_is_an_empty_picture():
    nobody = torch.zeros(2, 50)
    assert (skeleton_image(nobody, SIZE) == -1).all()
    assert (heat_maps(nobody, SIZE) == 0).all()


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (8, 4)])
def test_a_heat_map_is_a_gaussian_around_its_joint(size):
    maps = heat_maps(pose(RWrist=(0.375, 0.25)), size)[0, RWRIST].double()
    spread = max(1, size[0] / 32)
    for row, column in ((0, 0), (size[0] // 4, size[1] // 2)):
        x, y = column + 0.5 - 0.375 * size[1], row + 0.5 - 0.25 * size[0]
        expected = np.exp(-(x**2 + y**2) / (2 * spread**2))
        assert maps[row, column].item() == pytest.approx(expected, rel=1e-4)
    assert maps.argmax() in [
        (size[0] // 4 - i) * size[1] + int(0.375 * size[1]) - j
        for i in (0, 1)
        for j in (0, 1)
    ]


def test_poses_are_drawn_alike_alone_and_in_a_batch():
    for draw in (heat_maps, skeleton_image):
        whole = draw(vectors(), SIZE)
        assert torch.equal(draw(vectors()[1:2], SIZE), whole[1:2])


class Sent(TorchDispatchMode):
    """Notes tensors that are made of Python's numbers, which are sent to a GPU."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._overloadpacket in (torch.ops.aten.lift_fresh, torch.ops.aten._to_copy):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("draw", [heat_maps, skeleton_image])
def test_a_second_drawing_sends_nothing_to_the_device(draw):
    draw(vectors(), SIZE)
    poses = vectors()
    with Sent() as sent:
        draw(poses, SIZE)
    assert sent.seen == []


def test_both_ends_of_a_limb_in_one_place_draw_a_dot():
    drawn = skeleton_image(pose(RElbow=(0.5, 0.5), RWrist=(0.5, 0.5)), SIZE)
    assert drawn.isfinite().all()
    assert 0 < (drawn > -1).sum() < 20


def test_a_joint_outside_the_picture_is_no_error():
    drawn = skeleton_image(pose(RElbow=(-0.5, 0.5), RWrist=(0.5, 0.5)), SIZE)
    assert drawn.isfinite().all()
    assert drawn[0, 0, 32, 0] == 1


def test_positions_tell_cells_apart():
    cells = positions((16, 8), torch.zeros(1))[0].flatten(1).T
    distances = torch.cdist(cells, cells) + torch.eye(len(cells)) * 9
    assert distances.min() > 0.1


@pytest.mark.parametrize("shape", [(2, 49), (50,), (2, 25, 2)])
def test_something_that_is_no_pose_vector_is_refused(shape):
    with pytest.raises(ReIDConfigError, match=r"Poses are vectors of shape \(B, 50\)"):
        heat_maps(torch.zeros(shape), SIZE)
