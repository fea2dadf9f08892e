"""The synthetic world on disk: sizes, presets, joints, tables, processes."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reidlib.data.synthetic import PRESETS, World, open_world, true_shot, write_world
from reidlib.data.synthetic.__main__ import main
from reidlib.data.synthetic.plan import FEWEST, MOST, plan
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import read_openpose

SMALL = (64, 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("files") / "world"
    return write_world(
        out, ids=8, seed=2, images_per_id=6, size=SMALL, cameras=7, occluders=0.6
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_market_preset_has_the_sizes_of_market_1501():
    preset = PRESETS["market"]
    entries = plan(World(0), preset["ids"], preset["images_per_id"], preset["split"])
    folders = Counter(entry.folders[0] for entry in entries)
    assert folders["bounding_box_train"] == 12_936  # Zheng et al., ICCV 2015
    assert folders["query"] == 3_368
    assert folders["bounding_box_test"] == 19_732
    train = Counter(e.pid for e in entries if "bounding_box_train" in e.folders)
    test = Counter(e.pid for e in entries if len(e.folders) == 2)
    assert len(train) == 751 and len(test) == 750
    for counts in (train, test):
        numbers = np.array([*counts.values()])
        assert numbers.min() >= FEWEST and numbers.max() <= MOST
    # quartiles of Market's training half: 9, 15, 22 (counted)
    quartiles = np.percentile([*train.values()], [25, 50, 75])
    assert np.abs(quartiles - [9, 15, 22]).max() <= 1.5


def test_every_query_finds_its_person_in_another_camera():
    preset = PRESETS["market"]
    world = World(0)
    entries = plan(world, preset["ids"], preset["images_per_id"], preset["split"])
    gallery: dict[int, set[int]] = {}
    for entry in entries:
        if entry.folders == ("bounding_box_test", "gt_bbox"):
            seen = gallery.setdefault(entry.pid, set())
            seen.add(world.camera(entry.pid, entry.number))
    for entry in entries:
        if entry.folders[0] == "query":
            own = world.camera(entry.pid, entry.number)
            assert gallery[entry.pid] - {own}


def test_processes_change_no_byte(folder, tmp_path):
    again = write_world(
        tmp_path / "again",
        ids=8,
        seed=2,
        images_per_id=6,
        size=SMALL,
        cameras=7,
        occluders=0.6,
        jobs=2,
    )
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*.*"))
    for name in files:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_a_folder_leads_back_to_its_world(folder, tmp_path):
    world = open_world(folder)
    assert len(world.cameras) == 7 and world.occluders == 0.6 and world.seed == 2
    name = min(path.name for path in (folder / "query").iterdir())
    assert true_shot(world, name).person == world.person(int(name[:4]))
    with pytest.raises(ReIDDataError, match=r"world.json: not a world"):
        open_world(tmp_path)


def test_exact_joints_are_the_renderers(folder):
    world = open_world(folder)
    for path in sorted((folder / "bounding_box_train").iterdir())[:6]:
        name = f"{path.stem}_keypoints.json"
        _, exact, _ = world.render([true_shot(world, path.name)], SMALL)
        written = read_openpose(folder / "keypoints_exact" / name)
        np.testing.assert_allclose(written, exact[0], atol=1e-5)


def test_a_person_in_front_is_a_second_person_in_the_file(folder):
    checked = 0
    for row in rows(folder / "images.csv"):
        stem = Path(row["name"]).stem
        text = (folder / "keypoints" / f"{stem}_keypoints.json").read_text()
        people = json.loads(text)["people"]
        assert len(people) <= 1 + row["in_front"].startswith("person")
        checked += len(people) == 2
    assert checked > 3


def test_the_tables_say_what_was_rendered(folder):
    world = open_world(folder)
    pictures = rows(folder / "images.csv")
    assert len(pictures) == len(list((folder / "keypoints").iterdir()))
    for row in pictures[::7]:
        shot = true_shot(world, row["name"])
        assert (int(row["person"]), int(row["camera"])) == (
            shot.person.pid,
            shot.camera,
        )
        assert float(row["heading"]) == pytest.approx(np.degrees(shot.facing), abs=0.06)
        assert row["activity"] == shot.pose.activity
    kinds = {row["in_front"].split(" ")[0] for row in pictures}
    assert kinds == {"", "railing", "bicycle", "person"}
    people = rows(folder / "attributes.csv")
    assert [int(row["pid"]) for row in people] == [*range(1, 9)]
    for row in people:
        assert row["garment"] == world.person(int(row["pid"])).garment
        assert row["upper"].startswith("#") and len(row["upper"]) == 7


def test_the_command_takes_a_preset(tmp_path, capsys):
    out = tmp_path / "tiny"
    assert main([str(out), "--preset", "tiny", "--size", "32", "16", "--plain"]) == 0
    facts = json.loads((out / "world.json").read_text())
    assert facts["ids"] == PRESETS["tiny"]["ids"]
    assert facts["options"] == {"plain": True}
    with pytest.raises(SystemExit):
        main([str(out), "--preset", "huge"])


@pytest.mark.parametrize(
    "options", [{"lookalikes": 2.0}, {"occluders": -0.1}, {"cameras": 1}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ReIDConfigError):
        World(0, **options)
