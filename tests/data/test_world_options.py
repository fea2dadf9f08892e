"""What can be changed about the synthetic world, and what perspective does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlib.data.synthetic import Crop, Nuisance, Pose, World
from reidlib.data.synthetic.cameras import CAMERAS

SMALL = (64, 32)


@pytest.fixture(scope="module")
def world() -> World:
    return World(0)


def test_more_cameras_leave_the_first_ones_as_they_are(world):
    larger = World(0, cameras=9)
    assert larger.cameras[:6] == CAMERAS == world.cameras
    assert [camera.camid for camera in larger.cameras] == [*range(1, 10)]
    assert World(0, cameras=8).cameras[6] == larger.cameras[6]
    assert World(1, cameras=8).cameras[6] != larger.cameras[6]
    shots = [replace(world.shot(4, 0), camera=k) for k in (7, 8, 9)]
    images, _, mask = larger.render(shots, SMALL)
    assert len(images) == 3 and mask.flatten(1).any(1).all()


def test_plain_people_keep_everything_but_patterns(world):
    for pid in range(1, 40):
        person, plain = world.person(pid), World(0, plain=True).person(pid)
        assert (plain.pattern, plain.print_) == ("plain", "none")
        kept = replace(plain, pattern=person.pattern, print_=person.print_)
        assert kept == person


def test_look_alikes_are_as_many_as_asked(world):
    share = np.mean([world.model(pid) > 0 for pid in range(2, 2002)])
    assert share == pytest.approx(0.15, abs=0.03)
    none = World(0, lookalikes=0.0)
    assert all(none.model(pid) == -1 for pid in range(2, 200))
    twin = next(pid for pid in range(2, 99) if world.model(pid) > 0)
    model, own = world.person(world.model(twin)), world.person(twin)
    assert own.garment == model.garment and own.lower_type == model.lower_type
    assert np.abs(np.subtract(own.upper, model.upper)).max() < 0.12
    assert own != replace(model, pid=own.pid)
    assert none.person(twin).garment == none.person(twin).garment
    assert none.person(twin) != own


def test_occluders_are_as_many_as_asked():
    for share in (0.0, 0.12, 0.5):
        world = World(0, occluders=share)
        shots = [world.shot(pid, k) for pid in range(1, 201) for k in range(4)]
        spoiled = [
            bool(n.rail) or n.passer >= 0 or n.bicycle >= 0
            for n in (shot.nuisance for shot in shots)
        ]
        assert np.mean(spoiled) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    "what",
    [
        {"rail": 0.8},
        {"bicycle": 5},
        {"passer": 300_001, "passer_x": 0.3},
    ],
)
def test_each_occluder_hides_some_of_the_person(world, what):
    shot = replace(world.shot(4, 0), crop=Crop(), pose=Pose())
    free, spoiled = (replace(shot, nuisance=Nuisance(**w)) for w in ({}, what))
    mask = world.render([free, spoiled])[2].flatten(1).sum(1)
    assert 0.3 * mask[0] < mask[1] < 0.97 * mask[0]
    # the truth behind a spoiled picture is the free one
    truth = world.render([free, spoiled], nuisance=False)[0]
    assert torch.equal(truth[0], truth[1])


def test_nearer_people_are_larger_and_seen_from_further_above():
    for camera in CAMERAS:
        near, far = camera.view(0.0), camera.view(1.0)
        assert near.scale > 1.2 * far.scale
        assert near.axes[1, 1] < far.axes[1, 1]  # the vertical is foreshortened
        assert near.distance == pytest.approx(camera.near)
        # the lower edge of the field of view meets the ground at the nearest feet
        down = np.arctan2(camera.height, near.distance)
        assert down == pytest.approx(camera.pitch + camera.fov / 2)


def test_perspective_makes_the_upper_half_larger(world):
    """Seen from above, what is nearer the camera is drawn larger."""
    shot = replace(world.shot(4, 0), crop=Crop(), pose=Pose())
    spans = []
    for share in (0.0, 1.0):
        _, joints, _ = world.render([replace(shot, place=(0.5, share))], nuisance=False)
        neck, hip, ankle = joints[0, 1, 1], joints[0, 8, 1], joints[0, [11, 14], 1]
        spans.append(float((hip - neck) / (ankle.mean() - hip)))
    assert spans[0] > 1.03 * spans[1]


def test_the_camera_with_few_rows_is_less_sharp(world):
    """Camera 6 takes a person with less than half the rows of camera 1."""
    far = (0.5, 0.9)
    shots = [
        replace(world.shot(pid, 0), camera=k, place=far, nuisance=Nuisance())
        for k in (1, 6)
        for pid in range(1, 9)
    ]
    image = world.render(shots)[0].float()
    steps = (image[..., 1:] - image[..., :-1]).abs().flatten(1).mean(1)
    assert steps[8:].mean() < 0.8 * steps[:8].mean()


def test_a_true_picture_of_anyone_in_any_pose(world):
    person = world.person(11)
    front, back = (world.picture(person, Pose(yaw=yaw)) for yaw in (0.0, 3.14))
    assert front.shape == (3, 128, 64) and front.dtype == torch.uint8
    assert not torch.equal(front, back)
    assert torch.equal(front, world.picture(person, Pose(yaw=0.0)))
    assert world.picture(person, Pose(), camera=3, size=SMALL).shape == (3, *SMALL)


def test_left_and_right_are_seldom_reported_the_wrong_way_round(world):
    shots = [world.shot(pid, k) for pid in range(1, 401) for k in range(3)]
    picture = world.take(shots, SMALL)
    found, exact = world.detections(shots, picture).numpy(), picture.keypoints.numpy()
    sides = exact[:, 5, 0] - exact[:, 2, 0], found[:, 5, 0] - found[:, 2, 0]
    clear = np.abs(sides[0]) > 4
    swapped = np.mean(sides[0][clear] * sides[1][clear] < 0)
    assert 0 < swapped < 0.02
