"""The command line on the tiny run: what it prints, and how it fails."""

import json
import shutil
from pathlib import Path

import pytest

from reidlib.cli import main
from reidlib.models.files import read_weights
from reidlib.runs import Run


@pytest.fixture(scope="module")
def here(tiny_run: Run) -> list[str]:
    return ["--root", str(tiny_run.data.root), "--profile", "tiny"]


@pytest.fixture(scope="module")
def extractor(tiny_run: Run, here: list[str]) -> Path:
    assert main(["train", "fusion", *here]) == 0
    return tiny_run.folder / "extractor.safetensors"


def test_the_doctor_accepts_a_good_folder(tiny_run: Run, own_cache, capsys) -> None:
    assert main(["doctor", "synthetic", str(tiny_run.data.root)]) == 0
    named = capsys.readouterr().out
    assert "train" in named
    assert main(["doctor", str(tiny_run.data.root), "--quick"]) == 0
    assert capsys.readouterr().out == named


def test_the_doctor_fails_on_an_empty_folder(tmp_path: Path, capsys) -> None:
    assert main(["doctor", "market1501", str(tmp_path)]) == 1
    assert "bounding_box_train" in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["encoder", "ptgan", "poses"])
def test_each_stage_trains_and_tells_where(stage: str, here: list[str], capsys) -> None:
    assert main(["train", stage, *here]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_flags_come_from_the_stage_and_change_what_is_trained(
    here: list[str], tiny_run: Run, capsys
) -> None:
    assert main(["train", "encoder", *here, "--config.steps", "2"]) == 0
    path = Path(capsys.readouterr().out.strip())
    config = json.loads((path.parent / "config.json").read_text())
    assert config["steps"] == 2 and config["batch"] == tiny_run.profile.encoder.batch


def test_evaluate_prints_the_protocol_and_intervals(
    here: list[str], extractor: Path, capsys
) -> None:
    assert main(["evaluate", *here]) == 0
    out = capsys.readouterr().out
    assert "market1501 protocol" in out and "mAP" in out and "[" in out
    assert main(["evaluate", *here, "--features", "r1", "--rerank"]) == 0


def test_extract_then_search_finds_the_same_picture_under_another_name(
    tiny_run: Run, extractor: Path, tmp_path: Path, capsys
) -> None:
    folder, out = tiny_run.data.root / "query", tmp_path / "gallery.safetensors"
    assert main(["extract", str(extractor), str(folder), str(out)]) == 0
    names = json.loads(out.with_suffix(".json").read_text())
    assert read_weights(out)["features"].shape == (len(names), 512)
    capsys.readouterr()
    query = sorted(folder.glob("*.jpg"))[1]
    copied = shutil.copy(query, tmp_path / "somebody.jpg")
    search = ["search", str(extractor), str(copied), str(out), "--top", "3"]
    assert main(search) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].endswith(query.name)
    assert lines[0].split()[:2] == ["1", "0.0000"]
    # A picture of the gallery itself is no find.
    search[2] = str(query)
    assert main(search) == 0
    others = capsys.readouterr().out.splitlines()
    assert len(others) == 3
    assert [line.split()[-1] for line in others[:2]] == [
        line.split()[-1] for line in lines[1:]
    ]
    assert main([*search[:-1], "0"]) == 2
    assert "--top is 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["evaluate", "--profile", "huge"], "There is no profile 'huge'"),
        (["train", "encoder", "--profile", "huge"], "There is no profile 'huge'"),
        (["evaluate", "--dataset", "market1501"], "needs root"),
        (["doctor", "viper", "absent"], "unknown data set 'viper'"),
        (["doctor", "market1501"], "write doctor market1501 ROOT"),
        (["extract", "nowhere.safetensors", ".", "x"], "There is no folder"),
        (["search", "nowhere.safetensors", "q.jpg", "."], "No .jpg or .png"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [w.replace(".", "absent") if words[0] == "extract" else w for w in words]
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error and len(error.splitlines()) == 1
