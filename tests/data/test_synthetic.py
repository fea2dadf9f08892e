"""The synthetic pedestrian world: who is who, what is where, what is written."""

import dataclasses
import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reidlib.data import synthetic
from reidlib.data.synthetic import ATTRIBUTE_NAMES, Crop, World, true_shot, write_world
from reidlib.data.synthetic.__main__ import main
from reidlib.data.synthetic.body import ACTIVITIES, Pose, draw_pose, skeleton
from reidlib.errors import ReIDConfigError, ReIDDataError

SMALL = (64, 32)
LEFT_RIGHT = [(5, 2), (12, 9), (16, 15)]  # BODY_25, left then right


@pytest.fixture(scope="module")
def world() -> World:
    return World(0)


def posed(world: World, pid: int, yaw: float, **changes) -> synthetic.Shot:
    """A standing person in the middle of camera 1's picture."""
    shot = world.shot(pid, 0)
    pose = Pose(yaw=yaw)
    changes = {"pose": pose, "crop": Crop(), "camera": 1} | changes
    return dataclasses.replace(shot, **changes)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_arguments_give_equal_pictures(world):
    shots = [world.shot(pid, 3) for pid in (1, 2, 3)]
    again = World(0)
    first = world.render(shots, SMALL)
    second = again.render([again.shot(pid, 3) for pid in (1, 2, 3)], SMALL)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.nan_to_num(-1.0), other.nan_to_num(-1.0))


def test_another_seed_gives_other_people():
    assert World(1).person(5) != World(2).person(5)
    assert World(1).person(5) == World(1).person(5)


@pytest.mark.parametrize("nuisance", [True, False])
def test_a_picture_does_not_depend_on_its_batch(world, nuisance):
    shots = [world.shot(pid, index) for pid in range(1, 8) for index in range(3)]
    together = world.render(shots, SMALL, nuisance)
    for row in (0, 4, 11, 20):
        alone = world.render([shots[row]], SMALL, nuisance)
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[row].nan_to_num(-1.0), other[0].nan_to_num(-1.0))


def test_shapes_and_types(world):
    images, keypoints, mask = world.render([world.shot(1, 0)] * 2)
    assert images.shape == (2, 3, 128, 64) and images.dtype == torch.uint8
    assert keypoints.shape == (2, 25, 3) and keypoints.dtype == torch.float32
    assert mask.shape == (2, 128, 64) and mask.dtype == torch.bool
    images, keypoints, mask = world.render([])
    assert images.shape == (0, 3, 128, 64) and keypoints.shape == (0, 25, 3)


def test_joints_lie_on_the_person(world):
    body = [1, 2, 3, 5, 6, 8, 9, 10, 12, 13]
    shots = [posed(world, pid, yaw) for pid in range(1, 13) for yaw in (0.2, 3.0)]
    _, keypoints, mask = world.render(shots, nuisance=False)
    at = keypoints[:, body, :2].long()
    inside = mask[torch.arange(len(shots))[:, None], at[..., 1], at[..., 0]]
    assert inside.float().mean() == 1.0


@pytest.mark.parametrize(("yaw", "sign"), [(0.0, 1), (math.pi, -1)])
def test_left_is_image_right_only_from_the_front(world, yaw, sign):
    _, keypoints, _ = world.render([posed(world, 4, yaw)], nuisance=False)
    for left, right in LEFT_RIGHT:
        assert sign * (keypoints[0, left, 0] - keypoints[0, right, 0]) > 1


def test_heading_turns_the_nose_to_the_image_right(world):
    shot = posed(world, 4, math.pi / 2)
    _, keypoints, _ = world.render([shot], nuisance=False)
    assert keypoints[0, 0, 0] > keypoints[0, 1, 0] + 2
    assert shot.facing == pytest.approx(math.pi / 2)
    assert posed(world, 4, 3 * math.pi).facing == pytest.approx(math.pi)


def test_a_joint_outside_the_crop_is_missing(world):
    shot = posed(world, 4, 0.0, crop=Crop(margin=-0.4, dy=0.3))
    _, keypoints, _ = world.render([shot], nuisance=False)
    ankles = keypoints[0, [11, 14]]
    assert ankles[:, :2].isnan().all() and (ankles[:, 2] == 0).all()


def test_a_chest_print_hides_behind_the_back(world):
    plain = dataclasses.replace(
        world.person(9),
        garment="tee",
        pattern="plain",
        print_="disc",
        upper=(0.9, 0.9, 0.9),
        second=(0.8, 0.05, 0.05),
        backpack=False,
        bag="none",
        hair_style="short",
    )
    shots = [posed(world, 9, yaw, person=plain) for yaw in (0.0, math.pi)]
    images, keypoints, mask = world.render(shots, nuisance=False)
    red = (images[:, 0].int() - images[:, 1].int() > 60) & mask
    neck, hip = keypoints[:, 1, 1].long(), keypoints[:, 8, 1].long()
    counts = [
        int(red[row, neck[row] + 4 : hip[row] - 8, 22:42].sum()) for row in (0, 1)
    ]
    assert counts[0] > 15 and counts[1] == 0


def test_one_person_in_every_camera_and_anyone_in_a_pose(world):
    shots = [posed(world, 3, 0.4, camera=camera.camid) for camera in world.cameras]
    images, keypoints, mask = world.render(shots, nuisance=False)
    assert len(world.cameras) == 6 and mask.flatten(1).any(1).all()
    backgrounds = [images[row].float()[:, ~mask[row]].mean(1) for row in range(6)]
    for row in range(6):
        for other in range(row):
            assert (backgrounds[row] - backgrounds[other]).abs().max() > 3


def test_nuisance_moves_no_joint(world):
    shots = [world.shot(pid, 1) for pid in range(1, 10)]
    with_, without = world.render(shots, SMALL), world.render(shots, SMALL, False)
    assert torch.equal(with_[1].nan_to_num(-1), without[1].nan_to_num(-1))
    assert not torch.equal(with_[0], without[0])
    assert (with_[2] & ~without[2]).sum() == 0  # an occluder only hides


def test_bones_keep_their_length_in_every_pose():
    rng = np.random.default_rng(0)
    for activity in ACTIVITIES:
        for _ in range(20):
            pose = draw_pose(rng, rng.uniform(-3, 3), activity)
            body = skeleton(pose, 1.7, 0.11, 0.05)
            for start, end, share in (
                ("shoulderR", "elbowR", 0.172),
                ("elbowL", "wristL", 0.146),
                ("hipR", "kneeR", 0.245),
            ):
                length = np.linalg.norm(body.points[start] - body.points[end])
                assert length == pytest.approx(share * 1.7, abs=1e-9)
            # nobody sinks into the ground
            assert body.keypoints[:, 1].min() > -0.03


def test_attributes_tell_people_apart(world):
    people = [world.person(pid) for pid in range(1, 201)]
    table = np.stack([person.attributes() for person in people])
    assert table.shape == (200, len(ATTRIBUTE_NAMES)) and table.dtype == np.float32
    assert len(set(ATTRIBUTE_NAMES)) == len(ATTRIBUTE_NAMES)
    assert table.min() >= 0 and table.max() <= 1
    gaps = np.linalg.norm(table[:, None] - table[None], axis=2) + 9 * np.eye(200)
    assert gaps.min() > 0.1
    for kind in ("garment", "pattern", "lower"):
        columns = [
            i
            for i, name in enumerate(ATTRIBUTE_NAMES)
            if re.fullmatch(rf"{kind}_[a-z]{{2,}}", name) and name != "lower_length"
        ]
        assert (table[:, columns].sum(1) == 1).all()


def test_views_are_as_often_frontal_as_in_market(world):
    shots = [world.shot(pid, index) for pid in range(1, 251) for index in range(8)]
    facing = np.array([shot.facing for shot in shots])
    # 8 of 64 pixels against shoulders of about 22
    across = np.cos(facing) * 22
    assert np.mean(across > 8) == pytest.approx(0.54, abs=0.06)
    assert np.mean(across < -8) == pytest.approx(0.41, abs=0.06)
    for person in {shot.person for shot in shots}:
        seen = {shot.camera for shot in shots if shot.person == person}
        assert seen == set(person.cameras) and 2 <= len(seen) <= 6


def test_the_detector_misses_what_openpose_misses(world):
    shots = [world.shot(pid, index) for pid in range(1, 101) for index in range(3)]
    _, poses = world.observe(shots, SMALL)
    missing = poses[..., 0].isnan()
    assert torch.equal(missing, poses[..., 2] == 0)
    assert (poses[..., 2] >= 0).all() and (poses[..., 2] <= 1).all()
    rates = missing.float().mean(0)
    market = {0: 0.41, 1: 0.03, 2: 0.04, 4: 0.42, 7: 0.44, 9: 0.05, 11: 0.24, 15: 0.5}
    for joint, rate in market.items():  # its keypoint tables
        assert rates[joint] == pytest.approx(rate, abs=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "world"
    return write_world(out, ids=6, seed=3, images_per_id=6, size=SMALL)


def test_the_folder_is_market_1501s(folder):
    names = {
        part: {path.name for path in (folder / part).iterdir()}
        for part in ("bounding_box_train", "bounding_box_test", "query", "gt_bbox")
    }
    pattern = re.compile(r"(-1|\d{4})_c[1-6]s1_\d{6}_01\.jpg")
    assert all(pattern.fullmatch(name) for part in names.values() for name in part)
    assert {name[:4] for name in names["bounding_box_train"]} == {
        "0001",
        "0002",
        "0003",
    }
    test = {name for name in names["bounding_box_test"] if name[:4] > "0000"}
    assert names["gt_bbox"] == test | names["query"]
    assert len({name[:7] for name in names["query"]}) == len(names["query"])
    assert any(name.startswith("0000") for name in names["bounding_box_test"])
    assert any(name.startswith("-1_") for name in names["bounding_box_test"])
    facts = json.loads((folder / "world.json").read_text())
    assert facts["counts"] == {part: len(files) for part, files in names.items()}
    assert not list(folder.parent.glob(".*"))
    with Image.open(folder / "query" / min(names["query"])) as image:
        assert image.size == (32, 64) and image.format == "JPEG"


def test_every_image_has_keypoints_in_openpose_form(folder):
    for path in folder.rglob("*.jpg"):
        content = json.loads(
            (folder / "keypoints" / f"{path.stem}_keypoints.json").read_text()
        )
        for person in content["people"]:
            values = np.array(person["pose_keypoints_2d"]).reshape(25, 3)
            seen = values[:, 2] > 0
            assert (values[~seen] == 0).all() and (values[:, 2] <= 1).all()


def test_a_name_leads_back_to_the_shot(folder):
    world = World(3)
    for path in sorted((folder / "bounding_box_test").iterdir()):
        shot = true_shot(world, path.name)
        assert f"_c{shot.camera}s1_{shot.index:06d}_" in path.name
        image = world.render([shot], SMALL)[0][0].permute(1, 2, 0).numpy()
        with Image.open(path) as written:
            gap = np.abs(np.asarray(written, float) - image)
        assert gap.mean() < 4  # the file's own JPEG loss
    with pytest.raises(ReIDDataError, match="photo.jpg is no image"):
        true_shot(world, "photo.jpg")


def test_written_worlds_are_equal_byte_for_byte(folder, tmp_path):
    arguments = ["--ids", "6", "--seed", "3", "--images-per-id", "6", "--size"]
    assert main([str(tmp_path / "again"), *arguments, "64", "32"]) == 0
    assert digests(tmp_path / "again") == digests(folder)


def test_a_larger_world_holds_the_same_people(folder, tmp_path):
    larger = write_world(tmp_path / "big", ids=8, seed=3, images_per_id=6, size=SMALL)
    part = "bounding_box_train"
    small = {name: d for name, d in digests(folder).items() if name.startswith(part)}
    assert small.items() <= digests(larger).items()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ReIDDataError, match="not empty; give a new folder"):
        write_world(tmp_path, ids=4)
    assert main([str(tmp_path), "--ids", "4"]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(World, "take", fail)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / "out", ids=2, images_per_id=4, size=SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: World(-1),
        lambda: World(0).person(-1),
        lambda: World(0).shot(1, -1),
        lambda: World(0).render([World(0).shot(1, 0)], (4, 4)),
        lambda: write_world("unused", ids=1),
        lambda: write_world("unused", ids=4, images_per_id=1),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    with pytest.raises(ReIDConfigError):
        call()
