"""A training set enlarged with generated poses: names, labels, and bad input."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib import runs, stages
from reidlib.cli import main
from reidlib.data import check, load_dataset
from reidlib.data.market import parse_name
from reidlib.enlarge import _market_names, drawer_of, drawings, enlarge, share_of
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import pose_vector
from reidlib.runs import Run
from reidlib.training import to_float, to_uint8


@pytest.fixture(scope="module")
def written(tiny_run: Run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("enlarged") / "out"
    enlarge(tiny_run, out, each=1)
    return out


def test_only_the_main_process_writes_and_tells_the_others(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[enlarge.__module__]
    other = SimpleNamespace(is_main_process=False)
    monkeypatch.setattr(module, "processes", lambda: other)
    told = iter([False, {"drawn": 3}])  # whether the folder is taken, and what is in it
    monkeypatch.setattr(module, "agreed", lambda _: next(told))
    assert enlarge(tiny_run, tmp_path / "out") == {"drawn": 3}
    assert not list(tmp_path.iterdir())


def test_drawings_are_what_g_draws_of_their_sources(tiny_run: Run) -> None:
    drawer, table = drawer_of(tiny_run), tiny_run.data.train
    images = tiny_run.images("train")
    vectors = torch.as_tensor(pose_vector(drawer.poses))
    for each in (0, 1):
        found = drawings(drawer, images, table, each)
        assert len(found.images) == (each or 2) * len(images)
        for k in (0, 5):
            row, pose = found.rows[k], found.poses[k]
            assert found.table.iloc[k].tolist() == [
                table["pid"][row],
                table["camid"][row],
            ]
            with torch.no_grad():
                seen = drawer.generator.look(drawer.encoder, to_float(images[[row]]))
                single = to_uint8(drawer.generator(seen, vectors[[pose]]))[0]
            gap = (single.int() - found.images[k].int()).abs().max()
            assert gap <= 1
    assert found.poses.tolist() == [i % 2 for i in range(len(images))]


def test_a_written_set_is_usable_and_keeps_the_real_pictures(
    tiny_run: Run, written: Path, own_cache
) -> None:
    data, real = load_dataset("market1501", written), tiny_run.data
    assert check("market1501", written, every_image=True).usable
    assert check("", written).usable
    assert len(data.train) == 2 * len(real.train)
    assert set(real.train["path"]) < set(data.train["path"])
    for split in ("query", "gallery"):
        assert getattr(data, split).equals(getattr(real, split))
    for path in (real.train["path"][0], real.query["path"][0]):
        assert (written / path).read_bytes() == (real.root / path).read_bytes()
    counts = [d.train["pid"].value_counts() for d in (data, real)]
    assert (counts[0] == 2 * counts[1]).all()


def test_the_name_of_a_drawing_tells_source_pose_and_labels(
    tiny_run: Run, written: Path
) -> None:
    data, real = load_dataset("market1501", written), tiny_run.data.train
    drawn = data.train[~data.train["path"].isin(real["path"])].reset_index(drop=True)
    parts = drawn["path"].str.extract(r"/(\d+)_c(\d+)s(\d+)_(\d+)_00\.jpg").astype(int)
    source = real.iloc[parts[3]].reset_index(drop=True)
    assert drawn[["pid", "camid"]].equals(source[["pid", "camid"]])
    facts = json.loads((written / "enlarged.json").read_text())
    assert facts["first_sequence"] == 100 and facts["drawn"] == len(drawn)
    asked = stages.poses(tiny_run).network.poses_[parts[2] - 101]
    np.testing.assert_allclose(data.points(drawn), asked, atol=1e-5)
    np.testing.assert_allclose(data.points(real), tiny_run.data.points(real), atol=1e-6)


def test_pictures_with_other_names_are_renamed_with_their_labels(
    tiny_run: Run, tmp_path: Path
) -> None:
    root, table = tmp_path / "people", tiny_run.data.train
    for pid, path in zip(table["pid"], table["path"], strict=True):
        folder = root / f"person{pid}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_run.data.root / path, folder / f"x{Path(path).name}")
    run = runs.begin("tests", dataset="folder", root=str(root), profile="tiny")
    extractor = tiny_run.folder / "extractor.safetensors"
    stages.extractor(tiny_run)
    facts = enlarge(run, tmp_path / "out", extractor=extractor)
    data = load_dataset("market1501", tmp_path / "out")
    for split in ("query", "gallery"):
        found, wanted = getattr(data, split), getattr(run.data, split)
        columns = ["pid", "camid"]
        pairs = [sorted(map(tuple, t[columns].to_numpy())) for t in (found, wanted)]
        assert pairs[0] == pairs[1]
    assert len(data.train) == facts["real"] + facts["drawn"] == 3 * len(run.data.train)


def test_a_share_of_the_identities_is_part_of_a_larger_one(tiny_run: Run) -> None:
    parts = [share_of(tiny_run, ids) for ids in (0.34, 0.67, 1)]
    people = [set(p.data.train["pid"]) for p in parts]
    assert [len(p) for p in people] == [2, 4, 6]
    assert people[0] < people[1] < people[2]
    assert len({p.folder for p in parts}) == 3 and parts[2] is tiny_run
    kept = tiny_run.data.train["pid"].isin(people[0])
    assert torch.equal(
        parts[0].images("train"), tiny_run.images("train")[kept.tolist()]
    )


def test_the_command_writes_and_tells_what_next(
    tiny_run: Run, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    where = ["--root", str(tiny_run.data.root), "--profile", "tiny"]
    words = ["generate", str(out), *where, "--ids", "0.67", "--poses", "3"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "doctor market1501" in printed
    facts = json.loads((out / "enlarged.json").read_text())
    assert facts["identities"] == 4 and facts["poses"] == facts["each"] == 3
    assert facts["drawn"] == 3 * facts["real"]
    picture = next((out / "bounding_box_train").glob("*s103_*.jpg"))
    assert Image.open(picture).size == (32, 64)
    assert main(words) == 2
    assert "is not empty; give a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("choice", "fault", "sentence"),
    [
        ({"ids": 0}, ReIDConfigError, "ids is 0; give a share"),
        ({"ids": 1.5}, ReIDConfigError, "ids is 1.5; give a share"),
        ({"each": 3}, ReIDConfigError, "each is 3, and there are 2 poses"),
        ({"each": -1}, ReIDConfigError, "each is -1"),
        ({"poses": -1}, ReIDConfigError, "poses is -1; give 1 or more"),
        ({"extractor": Path("absent")}, ReIDDataError, "absent"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    tiny_run: Run, tmp_path: Path, choice: dict, fault: type, sentence: str
) -> None:
    with pytest.raises(fault, match=sentence):
        enlarge(tiny_run, tmp_path / "out", **choice)
    assert not [*tmp_path.iterdir()]


def test_an_extractor_has_the_poses_that_it_has(tiny_run: Run, tmp_path: Path) -> None:
    stages.extractor(tiny_run)
    file = tiny_run.folder / "extractor.safetensors"
    with pytest.raises(ReIDConfigError, match="holds 2 poses, not 5; leave poses out"):
        enlarge(tiny_run, tmp_path / "out", poses=5, extractor=file)


def test_a_full_disk_leaves_nothing_behind(
    tiny_run: Run, tmp_path: Path, monkeypatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reidlib.enlarge.write_openpose", full)
    with pytest.raises(ReIDDataError, match="No space left .* make room"):
        enlarge(tiny_run, tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_cameras_that_are_below_zero_get_names_that_are_read_again() -> None:
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "pid": [1, 2], "camid": [-1, 3]})
    names = _market_names(table)
    assert [parse_name(name) for name in names] == [(1, 1), (2, 2)]
