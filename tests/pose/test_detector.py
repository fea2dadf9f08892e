"""The detector with a stand-in for the network, and the real network untrained."""

import json
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from reidlib import posecli
from reidlib.cli import main
from reidlib.data import load_dataset
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import convert, read_openpose
from reidlib.pose.detector import (
    WEIGHTS,
    best_person,
    detect_poses,
    keypoint_files,
    load_detector,
)

SCORE = 5.0  # of every joint: confidence 1 / (1 + exp(-3)) = 0.9526


def person(box, score=0.9, label=1, joints=SCORE):
    """Joint j of COCO-17 lies j/17 down the diagonal of the box."""
    left, top, right, bottom = box
    along = torch.arange(17) / 17
    xy = [left + along * (right - left), top + along * (bottom - top)]
    return {
        "boxes": torch.tensor([box], dtype=torch.float32),
        "labels": torch.tensor([label]),
        "scores": torch.tensor([score]),
        "keypoints": torch.stack([*xy, torch.ones(17)], dim=1)[None],
        "keypoints_scores": torch.full((1, 17), joints),
    }


def together(*people):
    return {key: torch.cat([one[key] for one in people]) for key in people[0]}


NOBODY = {key: value[:0] for key, value in person((0, 0, 1, 1)).items()}


class StandIn(nn.Module):
    """Finds whoever fills a picture, and nobody in a black one; counts its batches."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        assert all(
            i.dtype == torch.float32 and 0 <= i.min() <= i.max() <= 1 for i in images
        )
        whole = [(0, 0, image.shape[2], image.shape[1]) for image in images]
        return [
            person(box) if image.any() else NOBODY
            for box, image in zip(whole, images, strict=True)
        ]


@pytest.fixture
def pictures(tmp_path):
    """Five pictures of three sizes in two folders; the last shows nobody."""
    sizes = [(64, 128), (34, 170), (64, 128), (51, 68), (64, 128)]
    for k, size in enumerate(sizes):
        folder = tmp_path / ("train" if k < 3 else "query")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", size, "black" if k == 4 else "red").save(folder / f"{k}.png")
    return tmp_path


def test_score_times_area_chooses_the_person():
    small, large = person((0, 0, 10, 10), 0.9), person((0, 0, 40, 40), 0.5)
    table, unsure = person((0, 0, 60, 60), 0.9, label=2), person((0, 0, 90, 90), 0.2)
    pose = best_person(together(small, large, table, unsure))
    np.testing.assert_allclose(pose[9, :2], 40 * 12 / 17, rtol=1e-6)  # RHip is 12
    assert not best_person(together(table, unsure))[:, 2].any()
    assert best_person(unsure, min_score=0.1)[:, 2].any()


def test_scores_become_confidences_and_low_ones_are_missing():
    found = person((0, 0, 17, 17))
    found["keypoints_scores"][0, :4] = torch.tensor([2.0, 1.9, 200.0, -300.0])
    pose = best_person(found)
    np.testing.assert_allclose(pose[0], (0, 0, 0.5))  # the nose, at the limit
    np.testing.assert_array_equal(pose[16], (np.nan, np.nan, 0))  # LEye, below
    np.testing.assert_allclose(pose[15], (2, 2, 1))  # REye
    np.testing.assert_allclose(pose[2, 2], 1 / (1 + np.exp(-3)), rtol=1e-6)
    np.testing.assert_allclose(pose[1], (5.5, 5.5, 0.952574), rtol=1e-6)  # the neck
    assert not pose[19:, 2].any()


def test_each_picture_gets_its_file_in_its_own_pixels(pictures):
    network = StandIn()
    found = detect_poses(keypoint_files(pictures), network, batch=2)
    assert network.batches == [2, 2, 1]
    assert (found.images, found.new, found.people, found.torsos) == (5, 5, 4, 4)
    assert str(found).endswith("4 with a whole torso (80.0%)")
    pose = read_openpose(pictures / "keypoints" / "1_keypoints.json")
    coco = convert(pose, "body25", "coco17")
    np.testing.assert_allclose(coco[:, 0], np.arange(17) * 2, rtol=1e-6)
    np.testing.assert_allclose(coco[:, 1], np.arange(17) * 10, rtol=1e-6)
    black = json.loads((pictures / "keypoints" / "4_keypoints.json").read_text())
    assert black["people"] == []


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(pictures, tmp_path):
    whole = detect_poses(keypoint_files(pictures, tmp_path / "whole"), StandIn())
    out = tmp_path / "cut"
    files = keypoint_files(pictures, out)
    detect_poses(dict(list(files.items())[:2]), StandIn())
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    network = StandIn()
    rest = detect_poses(files, network, batch=2)
    assert network.batches == [2, 1] and rest.new == 3
    assert (rest.images, rest.torsos) == (whole.images, whole.torsos)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    next(iter(before)).unlink()
    assert detect_poses(files, network, batch=2).new == 1
    assert network.batches == [2, 1, 2]  # its batch as it was in the first run
    assert detect_poses(files, network).new == 0


def test_broken_pictures_are_reported_at_the_end_and_the_others_done(pictures):
    (pictures / "query" / "5.png").write_bytes(b"")
    Image.new("I;16", (64, 128)).save(pictures / "query" / "6.png")
    Image.new("RGB", (2, 128)).save(pictures / "query" / "7.png")
    with pytest.raises(ReIDDataError, match="3 of 8 images cannot be read") as caught:
        detect_poses(keypoint_files(pictures), StandIn())
    for said in (
        "5.png (cannot identify",
        "more than 8 bits",
        "7.png (2 × 128 pixels)",
    ):
        assert said in str(caught.value)
    names = {path.name[0] for path in (pictures / "keypoints").iterdir()}
    assert names == set("01234")


def test_one_keypoint_file_cannot_serve_two_pictures(pictures):
    (pictures / "gt_bbox").mkdir()
    for folder in ("gt_bbox", ".cache"):  # the first repeats the queries' names
        (pictures / folder).mkdir(exist_ok=True)
        Image.new("RGB", (64, 128)).save(pictures / folder / "3.png")
    files = keypoint_files(pictures)
    assert files[pictures / "keypoints/3_keypoints.json"].parent.name == "query"
    Image.new("RGB", (64, 128)).save(pictures / "query" / "3.jpg")
    with pytest.raises(ReIDDataError, match=r"1 pictures share .* \(query/3\.png\)"):
        keypoint_files(pictures)


def test_where_folders_share_names_keypoints_lie_as_the_pictures_do(tmp_path):
    for person in ("alice", "bob"):
        for number in ("001", "002"):
            (tmp_path / person).mkdir(exist_ok=True)
            Image.new("RGB", (64, 128)).save(tmp_path / person / f"{number}.jpg")
    detect_poses(keypoint_files(tmp_path), StandIn())
    data = load_dataset("folder", tmp_path)
    assert len(data.keypoint_files) == 4
    assert set(data.poses) == {
        f"{p}/{n}.jpg" for p in ("alice", "bob") for n in ("001", "002")
    }


def test_pictures_behind_a_link_are_found(pictures, tmp_path):
    """The doctor itself tells users to link their pictures into a layout."""
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "bounding_box_train").symlink_to(pictures.resolve())
    found = keypoint_files(tmp_path / "layout")
    assert sorted(p.name for p in found) == sorted(
        p.name for p in keypoint_files(pictures)
    )


@pytest.mark.parametrize("size", [(64, 128), (40, 20)])
def test_the_real_network_runs_untrained(tmp_path, size, torch_seed):
    network = load_network(height=64)
    with torch.inference_mode():
        (answer,) = network([torch.rand(3, *size[::-1])])
    inside, _ = network.transform([torch.rand(3, *size[::-1])])
    assert max(inside.image_sizes[0]) == 64  # a crop of 40 px is enlarged, 128 reduced
    assert len(answer["boxes"]) and answer["keypoints"].shape[1:] == (17, 3)
    limits = torch.tensor([size[0], size[1]])
    assert (answer["keypoints"][..., :2] <= limits).all()
    pose = best_person(answer, min_score=0.0, min_confidence=0.0)
    assert pose.shape == (25, 3) and np.isfinite(pose[:9]).all()
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    assert detect_poses(keypoint_files(tmp_path), network).images == 1


@pytest.fixture
def torch_seed():
    torch.manual_seed(0)


def load_network(**options):
    """`load_detector` with its random weights kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        patch.setattr("reidlib.pose.detector._weights", lambda _: {})
        return load_detector(**options)


def test_the_network_is_torchvisions_and_takes_its_weights():
    theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    shapes = {
        name: value.shape
        for name, value in theirs.items()
        if not name.endswith("num_batches_tracked")  # of layers that are not frozen
    }
    ours = load_network()
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
    assert sum(p.numel() for p in ours.parameters()) == WEIGHTS.meta["num_params"]


def test_weights_that_cannot_be_had_or_used_are_named(tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    Image.new("RGB", (64, 128)).save(tmp_path / "a.png")
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, said in {
        "": "cannot be downloaded (<urlopen error no route to host>); fetch https://",
        "none.pth": "none.pth: no such file; download https://",
        "text.pth": "text.pth: not a PyTorch file of weights (UnpicklingError)",
        "other.pth": "other.pth: not the weights of keypointrcnn_resnet50_fpn (Error",
        "list.pth": "list.pth: not the weights of keypointrcnn_resnet50_fpn",
    }.items():
        flags = ["--weights", str(tmp_path / name)] if name else []
        assert main(["poses", "detect", str(tmp_path), *flags]) == 2
        error = capsys.readouterr().err.strip()
        assert said in error and len(error.splitlines()) == 1
    assert not (tmp_path / "keypoints").exists()


def test_settings_that_cannot_work_are_named():
    with pytest.raises(ReIDConfigError, match="height=8 is too small to see joints"):
        load_detector(height=8)
    with pytest.raises(ReIDConfigError, match="batch=0 holds no picture"):
        detect_poses({}, StandIn(), batch=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reidlib.pose.detector._weights", lambda _: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        with pytest.raises(ReIDConfigError, match="device 'abacus' cannot be used"):
            load_detector(device="abacus")


def test_the_command_writes_the_files_and_a_summary(pictures, monkeypatch, capsys):
    asked = []

    def stand_in(weights, **options):
        asked.append((weights, options))
        return StandIn()

    monkeypatch.setattr(posecli, "load_detector", stand_in)
    words = ["poses", "detect", str(pictures), "--batch", "3", "--out"]
    assert main([*words, str(pictures / "there")]) == 0
    assert asked == [(None, {"height": 512, "device": "cpu"})]
    out = capsys.readouterr().out
    assert out == ("5 images (5 new), 4 with a person, 4 with a whole torso (80.0%)\n")
    assert len(list((pictures / "there").iterdir())) == 5
    assert main(words[:-1]) == 0  # where the doctor looks, so that it is next
    command = f".venv/bin/python -m reidlib doctor {pictures}"
    assert capsys.readouterr().out.splitlines()[1] == f"next: {command}"
    assert main(["poses", "detect", str(pictures / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert main(["poses", "detect", str(pictures / "there")]) == 2
    assert "No .jpg or .png picture" in capsys.readouterr().err
