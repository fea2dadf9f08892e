"""Stamps of old records, and the cards that are written from records."""

import json
import subprocess
from pathlib import Path

import pytest

from book import glance, records
from book.cards import model_card
from reidlib.errors import ReIDDataError
from reidlib.records import read_record, read_records, write_record
from tests.test_records import MANIFEST

OLD = {k: v for k, v in MANIFEST.items() if k != "date"}
ROWS = [{"system": "R2", "mAP": 0.577136320968297, "interval": {"mAP": [0.5, 0.6]}}]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*words: str) -> None:
        name = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=0"]
        day = {"GIT_COMMITTER_DATE": "2021-05-03T12:00:00Z"}
        path = {"PATH": "/usr/bin:/bin:/usr/local/bin"}
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, env=day | path)

    old = {"manifest": OLD | {"command": "recipes"}, "rows": ROWS}
    (tmp_path / "old.json").write_text(json.dumps(old))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "Record")
    return tmp_path


def test_a_stamp_adds_the_day_of_the_commit_and_changes_no_number(repository: Path):
    file = repository / "old.json"
    with pytest.raises(ReIDDataError, match="old.json follows schema 1"):
        read_record(file)
    assert records.stamp(file)
    found = read_record(file)
    assert found["rows"] == ROWS
    assert found["manifest"] == OLD | {"command": "recipes", "date": "2021-05-03"}
    before = file.read_bytes()
    assert not records.stamp(file)
    assert file.read_bytes() == before


def test_a_stamp_mends_no_record_that_was_edited_by_hand(repository: Path):
    file = repository / "old.json"
    records.stamp(file)
    file.write_text(file.read_text().replace("0.577", "0.677"))
    with pytest.raises(ReIDDataError, match="was changed after it was recorded"):
        records.stamp(file)


def test_what_lacks_more_than_a_day_is_left_as_it_was(repository: Path, capsys):
    file = repository / "old.json"
    lacking = {k: v for k, v in OLD.items() if k != "code"}
    file.write_text(json.dumps({"manifest": lacking, "rows": ROWS}))
    before = file.read_bytes()
    assert records.main(["stamp", str(file)]) == 1
    assert "old.json lacks code" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_file_of_no_commit_cannot_be_stamped(tmp_path: Path):
    (tmp_path / "new.json").write_text(json.dumps({"manifest": OLD}))
    with pytest.raises(ReIDDataError, match="new.json is in no commit"):
        records.stamp(tmp_path / "new.json")


def test_the_cards_of_the_book_are_those_that_its_records_make():
    pages = records.cards()
    assert {p.name for p in pages} == {p.name for p in records.CARDS.glob("*.md")}
    for path, text in pages.items():
        assert path.read_text("utf-8") == text, "run python -m book.records cards"


def test_the_first_pages_hold_the_table_that_the_records_make():
    for page, text in glance.first_pages(read_records(records.RESULTS)).items():
        assert page.read_text("utf-8") == text, "run python -m book.records cards"


def test_the_table_averages_over_trials_and_marks_what_is_missing():
    def row(system: str, trial: int, value: float) -> dict:
        over = {"mAP": value - 0.5, "interval": {"mAP": [0.0, 0.1]}}
        limits = {"mAP": [value - 0.1, value + 0.1]}
        return {
            "system": system,
            "group": "as retrieved",
            "seed": 0,
            "trial": trial,
            "mAP": value,
            "interval": limits,
            "over R2": over,
        }

    rows = [row("R2", 0, 0.5), row("full model", 0, 0.6), row("full model", 1, 0.8)]
    broken = {"system": "R1", "group": "as retrieved", "seed": 0, "stopped": "why"}
    entry = {"manifest": {"seeds": [0]}, "rows": [*rows, broken]}
    line = glance.glance({"cuhk01-systems": entry}).splitlines()[2]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == ["–", "0.50 [0.40, 0.60]", "–"]
    assert cells[4] == "0.70 ± 0.14 (+0.20 ± 0.14)"


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ReIDDataError, match="lacks one of the marks"):
        glance.placed("a page", "a table")


def test_a_card_states_every_number_with_its_limits_and_its_part(tmp_path: Path):
    limits = {"rank1": [0.5, 0.6], "mAP": [0.3, 0.45]}
    row = {"rank1": 0.55, "mAP": 0.4, "interval": limits}
    part = {"manifest": MANIFEST, "results": {"rows": {"R2": row}}}
    counts = {"identities": 9, "images": 90, "distractors": 0, "junk": 1}
    data = {
        "counts": {"train": counts},
        "images_per_identity": {"min": 2, "mean": 10.0, "max": 20},
        "missing": {"Nose": 0.25},
        "torso": 0.9,
        "views": {"front": 0.5},
    }
    run = {"01_data": {"manifest": MANIFEST, "results": data}, "08_benchmarks": part}
    write_record(tmp_path / "synthetic" / "smoke.json", run)
    every, model, about = records.cards(tmp_path, tmp_path).values()
    assert "## `synthetic/smoke.json`" in every
    assert "| chapters | 01_data, 08_benchmarks |" in every
    assert "| R2 | 0.550 [0.500, 0.600] | 0.400 [0.300, 0.450] | `08_benc" in model
    assert "| `08_benchmarks` | 2021-05-03 | c1 | 0 | abacus | 1 | – |" in model
    assert "| train | 9 | 90 | 0 | 1 |" in about
    assert "| Nose | 25.0% |" in about


def test_a_model_card_shows_the_comparison_of_systems_of_the_same_scale(tmp_path: Path):
    limits = {"rank1": [0.5, 0.6], "mAP": [0.3, 0.45]}
    row = {"system": "R1", "group": "re-ranked", "seed": 0, "trial": 1, "kind": "dots"}
    row |= {"rank1": 0.55, "mAP": 0.4, "interval": limits}
    broken = {"system": "full", "seed": 0, "trial": 1, "stopped": "the loss is NaN"}
    entry = {"manifest": MANIFEST | {"seeds": [0]}, "rows": [row, broken]}
    run = {"06_fusionnet": {"manifest": MANIFEST, "results": {}}}
    card = model_card("cuhk01/smoke", run, entry)
    line = "| R1, re-ranked, trial 1 | 0.550 [0.500, 0.600] | 0.400 [0.300, 0.450] | "
    assert line + "`cuhk01-systems` |" in card
    assert "R1 learnt\nfrom: dots." in card
    assert "the loss is NaN" not in card
    assert "R1, re-ranked" not in model_card("cuhk01/smoke", run)
