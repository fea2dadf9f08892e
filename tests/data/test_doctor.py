"""The doctor: bad input one by one, what it remembers, and what it prints."""

import io
import json
import os
import shlex
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tqdm.auto import tqdm

from reidlib.cli import main
from reidlib.data import check, load_dataset, opened
from reidlib.data.doctor import _next
from reidlib.pose import empty_pose, write_openpose

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (8, 16)  # width, height
BODY = np.stack([np.arange(25), np.arange(25) * 2, np.ones(25)], 1).astype(np.float32)


def picture(mode: str = "RGB", kind: str = "JPEG") -> bytes:
    """A small picture with something on it, as a file's bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


@pytest.fixture
def market(tmp_path) -> Path:
    """Two people to learn, two to find, a distractor and junk."""
    root = tmp_path / "my data" / "Market"
    names = {
        "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0007_c3s3_077419_03.jpg"],
        "query": ["0001_c1s1_001051_00.jpg", "0003_c4s6_015641_00.jpg"],
        "bounding_box_test": [
            "0001_c2s1_000001_01.jpg",
            "0003_c5s1_000001_01.jpg",
            "0000_c1s1_000151_01.jpg",
            "-1_c1s1_000401_03.jpg",
        ],
    }
    for folder, files in names.items():
        (root / folder).mkdir(parents=True)
        for name in files:
            (root / folder / name).write_bytes(picture())
    return root


@pytest.fixture
def query(market) -> Path:
    return market / "query" / "0001_c1s1_001051_00.jpg"


def only_problem(root: Path, name: str = "market1501") -> str:
    report = check(name, root, every_image=True)
    assert not report.usable
    assert len(report.problems) == 1
    return report.problems[0]


def unreadable(query: Path, why: str) -> str:
    return (
        f"1 of 8 images cannot be read: query/{query.name} ({why}). "
        "Copy these files again or take them out."
    )


def test_a_missing_and_an_empty_folder(tmp_path):
    none = tmp_path / "none"
    assert only_problem(none) == (
        f"{none} does not exist; give the folder that holds bounding_box_train."
    )
    assert only_problem(none, "") == f"{none} does not exist; check its spelling."
    none.mkdir()
    assert only_problem(none).startswith(
        f"no images in bounding_box_train under {none} (found: no folder). Expected"
    )
    assert only_problem(none, "").endswith(
        "is empty; put the data set's files into it."
    )


@pytest.mark.parametrize("part", ["", "query"])
def test_a_folder_one_level_off_leads_to_the_command_for_the_right_one(market, part):
    asked = market / part if part else market.parent
    relation = "is a part of" if part else "is one level too high"
    for name, fault in (
        ("market1501", f"did you mean {market}?"),
        ("", f"{asked} {relation}"),
    ):
        report = check(name, asked)
        assert fault in only_problem(asked, name)
        words = shlex.split(report.next_command)
        assert words[3:] == ["doctor", "market1501", str(market)]


def test_a_name_that_does_not_parse(market):
    (market / "query" / "photo.jpg").write_bytes(picture())
    assert only_problem(market) == (
        f"1 files under {market} are not named like 0002_c1s1_000451_03.jpg "
        "(identity, camera): query/photo.jpg. Rename them or move them out."
    )


def test_an_image_of_zero_bytes(market, query):
    query.write_bytes(b"")
    assert only_problem(market) == unreadable(query, "0 bytes")


def test_a_jpeg_cut_short(market, query):
    query.write_bytes(picture()[:-40])
    problem = only_problem(market)
    assert problem.startswith(unreadable(query, "image file is truncated")[:80])
    assert f"query/{query.name} (image file is truncated (" in problem


def test_text_in_place_of_an_image(market, query):
    query.write_text("hello")
    assert only_problem(market) == unreadable(query, "no image of a known format")


def test_a_cmyk_jpeg_is_fine(market, query):
    query.write_bytes(picture("CMYK"))
    report = check("market1501", market, every_image=True)
    assert report.usable
    assert report.opened == 8
    assert not any("header" in note for note in report.notes)


def test_a_png_of_16_bits(market, query):
    deep = query.with_suffix(".png")
    Image.fromarray(np.ones((16, 8), np.uint16)).save(deep)
    query.unlink()
    assert only_problem(market) == unreadable(deep, "more than 8 bits per channel")


def lying(height: int, width: int) -> bytes:
    """A JPEG whose frame header says another size: SOF0, length, bits, then both."""
    content = bytearray(picture())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(content)


@pytest.mark.parametrize("side", [60_000, 10_000])  # Pillow refuses one, warns of one
def test_a_header_that_claims_a_giant(market, query, side):
    query.write_bytes(lying(side, side))
    claim = (
        f"its header claims a size that cannot be true: Image size ({side**2} pixels)"
    )
    assert claim in only_problem(market)


def test_a_header_that_lies_a_little_is_noted_among_images_of_one_size(market, query):
    for number in range(200):
        name = f"0001_c3s1_{number:06d}_01.jpg"
        (market / "bounding_box_test" / name).write_bytes(picture())
    query.write_bytes(lying(32, 16))  # decodes, the lower part grey
    report = check("market1501", market, every_image=True)
    assert report.usable
    assert (
        "1 images are of another size than all others, and their headers may lie: "
        f"query/{query.name} (16×32)."
    ) in report.notes


def test_keypoints_of_no_image(market):
    (market / "keypoints").mkdir()
    write_openpose(market / "keypoints" / "gone_keypoints.json", BODY)
    assert only_problem(market) == (
        f"1 keypoint files under {market} belong to no image: "
        "keypoints/gone_keypoints.json. Delete them or put their images back."
    )


def test_one_camera_only(tmp_path):
    (tmp_path / "bounding_box_train").mkdir()
    for pid in range(8):
        for number in range(3):
            name = f"{pid + 1:04d}_c1s1_{number:06d}_01.jpg"
            (tmp_path / "bounding_box_train" / name).write_bytes(picture())
    assert only_problem(tmp_path) == (
        "all images come from one camera, and the protocol looks for a person in "
        "another; add images of a second camera."
    )


def test_three_broken_files_of_20_000_are_one_report(tmp_path, own_cache):
    folder = tmp_path / "bounding_box_train"
    folder.mkdir()
    (tmp_path / "one.jpg").write_bytes(picture())
    for number in range(20_000):
        name = f"{number // 20:04d}_c{number % 4 + 1}s1_{number:06d}_01.jpg"
        os.link(tmp_path / "one.jpg", folder / name)
    broken = sorted(path.name for path in folder.iterdir())[5_000::5_000]
    for name, content in zip(broken, (b"", picture()[:99], b"GIF"), strict=True):
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    start = time.perf_counter()
    report = check("market1501", tmp_path, every_image=True)
    first = time.perf_counter() - start
    assert report.problems[0].startswith("3 of 20,000 images cannot be read: ")
    assert sorted(report.broken) == [f"bounding_box_train/{name}" for name in broken]
    assert all(name in str(report) for name in broken)
    again = check("market1501", tmp_path, every_image=True)
    assert again.remembered == 20_000
    assert again.problems == report.problems
    assert first < 20


def test_a_zip_is_named_with_the_command_that_unpacks_it(market, tmp_path, capsys):
    packed = shutil.make_archive(str(tmp_path / "Market"), "zip", market.parent)
    assert main(["doctor", packed]) == 1
    shown = capsys.readouterr().out
    fault = f"{packed} is a zip of 8 files with Market-1501; unpack it"
    assert f"problem: {fault}" in shown
    assert "next: .venv/bin/python -m zipfile -e" in shown


def test_a_quick_look_writes_nothing_down(market, own_cache):
    assert check("market1501", market).opened == 8
    assert not list(own_cache.iterdir())


def test_progress_goes_to_stderr_and_the_report_to_stdout(market, monkeypatch, capsys):
    monkeypatch.setattr(opened, "tqdm", partial(tqdm, disable=False, delay=0))
    assert main(["doctor", str(market)]) == 0
    shown = capsys.readouterr()
    assert "opening images" in shown.err
    assert "opening images" not in shown.out
    assert shown.out.splitlines()[0] == f"market1501 at {market}: protocol market1501"
    assert "gallery is 2 good + 1 distractors + 1 junk   published: 13,115" in shown.out
    assert shown.out.splitlines()[-2] == "  usable"
    command = shown.out.splitlines()[-1].removeprefix("  next: ")
    assert shlex.split(command)[-1] == str(market)  # quoted: it has a space
    assert main(["doctor", str(market)]) == 0
    assert capsys.readouterr().err == ""  # all is known: nothing to wait for


def test_json_has_the_keys_that_scripts_read(market, query, capsys):
    query.write_bytes(b"")
    assert main(["doctor", "market1501", str(market), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["gallery"] == {"images": 4, "identities": 2, "cameras": 3}
    assert found["published"]["train"] == {"images": 12_936, "identities": 751}
    assert found["gallery"] == {"good": 2, "distractors": 1, "junk": 1}
    assert found["images"] == {
        "opened": 8,
        "remembered": 0,
        "broken": [{"path": f"query/{query.name}", "fault": "0 bytes"}],
    }
    assert found["keypoints"] == {"any": 0, "torso": 0}
    assert (found["name"], found["root"]) == ("market1501", str(market))
    assert (found["layout"], found["protocol"]) == ("Market-1501", "market1501")
    assert found["usable"] is False
    assert found["next"].endswith(f"doctor market1501 '{market}'")
    rest = {"problems", "notes", "usable", "counts", "published", "gallery", "images"}
    rest |= {"keypoints", "name", "root", "layout", "protocol", "next"}
    assert set(found) == rest


def test_missing_protocol_files_cameras_and_keypoints_are_noted(market):
    notes = check("market1501", market).notes
    assert "missing: gt_bbox, for multi-query evaluation." in notes
    assert "there are 5 cameras, published are 6." in notes
    assert any(note.startswith("no keypoints: ") for note in notes)
    (market / "keypoints").mkdir()
    name = "0002_c1s1_000451_03_keypoints.json"
    write_openpose(market / "keypoints" / name, BODY)
    report = check("market1501", market)
    assert report.keypoints == (1 / 8, 1 / 8)
    without = "7 of 8 images of train, query and gallery have no keypoints."
    assert without in report.notes
    half = BODY.copy()
    half[9:] = (np.nan, np.nan, 0)  # no hips
    write_openpose(market / "keypoints" / name, half)
    notes = check("market1501", market).notes
    assert notes[-1].startswith("no training image has both hips and both shoulders")


def test_another_data_set_than_the_name_says_is_noted(market):
    report = check("dukemtmc", market)
    command = f".venv/bin/python -m reidlib doctor market1501 '{market}'"
    assert f"this looks like Market-1501; if it is: {command}" in report.notes


def test_the_training_half_alone_is_held_against_its_own_counts(market):
    for folder in ("query", "bounding_box_test"):
        (market / folder).rename(market.parent / folder)
    report = check("market1501", market)
    assert report.counts["all"] == (2, 2, 2)
    assert report.published == {"all": (12_936, 751)}
    assert [note for note in report.notes if note.startswith("missing")] == [
        "missing: query, for the published protocol's queries.",
        "missing: bounding_box_test, for the published protocol's gallery.",
        "missing: gt_bbox, for multi-query evaluation.",
    ]


def test_a_name_that_is_not_text_can_be_printed(tmp_path, capsys):
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    assert main(["doctor", str(tmp_path)]) == 1
    assert "(found: caf?/)" in capsys.readouterr().out
    assert main(["doctor", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["usable"] is False


def test_own_pictures_lead_to_keypoints_and_then_to_a_rank_list(market):
    data = replace(load_dataset("market1501", market), name="folder")
    start = ".venv/bin/python -m reidlib"
    assert _next(data, market) == f"{start} poses detect '{market}'"
    seen = replace(data, poses={"0002_c1s1_000451_03.jpg": BODY})
    train = f"{start} train fusion --dataset folder --root '{market}'"
    query = market / data.query["path"][0]
    search = f"{start} search \"$extractor\" '{query}' '{market}'"
    assert _next(seen, market) == f'extractor="$({train})" && {search}'
    # Without a torso there is no pt-GAN; what there is can be scored.
    half = replace(data, poses={"0002_c1s1_000451_03.jpg": empty_pose(1)[0]})
    score = f"{start} evaluate --features r2 --dataset folder --root '{market}'"
    assert _next(half, market) == score


def test_people_without_cameras_need_two_pictures(tmp_path):
    for person in "abcd":
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.jpg").write_bytes(picture())
    report = check("", tmp_path)
    assert report.problems == (
        "no query has another image of its person in the gallery; give people two "
        "images or more.",
    )
    table = "path,pid,split\na/1.jpg,1,train\nb/1.jpg,2,query\n"
    table += "b/2.jpg,2,gallery\nc/1.jpg,3,query\nd/1.jpg,4,gallery\n"
    (tmp_path / "b" / "2.jpg").write_bytes(picture())
    (tmp_path / "images.csv").write_text(table)
    report = check("folder", tmp_path)
    said = "1 of 2 queries have no image of their person in the gallery; evaluation "
    assert said + "leaves them out." in report.notes
    assert report.usable
