"""The command line on the tiny run: what it prints, and how it fails."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reidlib import runs
from reidlib.cli import main
from reidlib.models.files import read_weights, write_weights
from reidlib.retrieval.rerank import reranked_distance
from reidlib.runs import Run
from reidlib.shipped import WEIGHTS


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


def test_what_was_trained_by_other_flags_is_what_later_commands_ask(
    here: list[str], tiny_run: Run, tmp_path: Path, monkeypatch, capsys, caplog
) -> None:
    """Once, `evaluate` trained R2 anew by the profile, in the place of the other."""
    other = [*here, "--seed", "5"]
    assert main(["train", "encoder", *other, "--config.steps", "2"]) == 0
    weights = Path(capsys.readouterr().out.strip())
    before = weights.read_bytes()
    caplog.set_level("INFO")
    assert main(["evaluate", *other, "--features", "r2"]) == 0
    assert weights.read_bytes() == before
    assert " r2 is being made" not in caplog.text
    assert "r2 as it was trained here, with other steps" in caplog.text
    assert main(["train", "encoder", *other]) == 0  # one's own flags still count
    config = json.loads((weights.parent / "config.json").read_text())
    assert config["steps"] == tiny_run.profile.encoder.steps


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
    search[1] = str(WEIGHTS)
    assert main(search) == 2
    assert "by extract with other weights" in capsys.readouterr().err
    inside = out / "below.safetensors"
    assert main(["extract", str(extractor), str(folder), str(inside)]) == 2
    assert "There can be no folder" in capsys.readouterr().err


def test_a_gallery_that_extract_did_not_write_is_refused(
    extractor: Path, tmp_path: Path, capsys
) -> None:
    held = {"features": torch.zeros(2, 512)}
    names: dict[str, object] = {"alone": None, "few": ["a.jpg"], "text": "a.jpg"}
    for name, told in names.items():
        path = tmp_path / f"{name}.safetensors"
        write_weights(path, held)
        if told is not None:
            path.with_suffix(".json").write_text(json.dumps(told))
        assert main(["search", str(extractor), "q.jpg", str(path)]) == 2
        assert "not what extract wrote" in capsys.readouterr().err
    write_weights(path, {"other": held["features"]})
    assert main(["search", str(extractor), "q.jpg", str(path)]) == 2
    assert "not what extract wrote" in capsys.readouterr().err


def test_extract_follows_links_and_search_knows_the_query_from_anywhere(
    tiny_run: Run, extractor: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "linked").symlink_to((tiny_run.data.root / "query").resolve())
    monkeypatch.chdir(tmp_path)
    words = ["extract", str(extractor), ".", "gallery.safetensors"]
    assert main(words) == 0
    names = json.loads(Path("gallery.json").read_text())
    monkeypatch.chdir(extractor.parent)
    capsys.readouterr()
    found = str(tmp_path / "gallery.safetensors")
    assert main(["search", str(extractor), names[0], found, "--top", "1"]) == 0
    assert not capsys.readouterr().out.strip().endswith(Path(names[0]).name)


def test_reranking_leaves_junk_out_and_knows_small_galleries(
    here: list[str], extractor: Path, tiny_run: Run, monkeypatch, capsys
) -> None:
    """Junk once voted here, and CUHK01 had the settings of large galleries."""
    assert tiny_run.reranking["k1"] == 20
    one = replace(tiny_run.data, protocol="cuhk01")
    assert replace(tiny_run, data=one).reranking["k1"] == 7
    asked = []

    def listening(query, gallery, junk, **settings):
        asked.append((len(junk), settings))
        return reranked_distance(query, gallery, junk, **settings)

    monkeypatch.setattr(runs, "reranked_distance", listening)
    assert main(["evaluate", *here, "--features", "r1", "--rerank"]) == 0
    assert asked == [(len(tiny_run.data.gallery), tiny_run.reranking)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["evaluate", "--profile", "huge"], "There is no profile 'huge'"),
        (["train", "encoder", "--profile", "huge"], "There is no profile 'huge'"),
        (["evaluate", "--dataset", "market1501"], "needs root"),
        (["doctor", "viper", "absent"], "unknown data set 'viper'"),
        (["doctor", "market1501"], "write doctor market1501 ROOT"),
        (["extract", "w.safetensors", ".", "x.safetensors"], "There is no folder"),
        (["extract", "w.safetensors", ".", "x.json"], "must end in .safetensors"),
        (["search", "w.safetensors", "q.jpg", "g.safetensors"], "No weights at"),
        (["train", "poses", "--seed", "-1"], "seed is -1"),
        (["demo", "--out", "demo.txt"], "give a name in .png"),
        (["search", "nowhere.safetensors", "q.jpg", "."], "No .jpg or .png"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["absent" if w == "." and words[0] == "extract" else w for w in words]
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error and len(error.splitlines()) == 1
