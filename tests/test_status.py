"""The page of run times is made from what a run left, and from nothing else."""

import json
from pathlib import Path

import pytest

from book import status

REPOSITORY = Path(__file__).parent.parent
MANIFEST = {
    "dataset": "synthetic",
    "profile": "smoke",
    "seed": 0,
    "device": "x86_64",
    "threads": 1,
    "code": "abc",
    "peak_memory_mb": 1234,
    "versions": {"python": "3.11.7", "torch": "2.14.1"},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    ended = {"seconds": 90, "finished": "2026-01-02"}
    own = MANIFEST | {"dataset": "photos", "peak_memory_mb": 77}
    for name, content in {
        "synthetic/smoke/chapters/01_data.json": ended,
        "synthetic/smoke/results/01_data.json": {"results": {}, "manifest": MANIFEST},
        "synthetic/smoke/chapters/10_your_data.json": ended,
        "photos/smoke/results/10_your_data.json": {"results": {}, "manifest": own},
        "synthetic/smoke/r2/manifest.json": MANIFEST | {"stage": "r2", "wall_s": 41.6},
        "attributes/smoke/r1/manifest.json": MANIFEST | {"stage": "r1", "wall_s": 9},
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path / "synthetic" / "smoke"


def test_a_chapter_shows_time_memory_day_and_versions(run: Path):
    (row,) = [x for x in status.page(status.gathered(run)).splitlines() if "01_" in x]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["1.5", "1,234", "2026-01-02", "3.11.7", "2.14.1"]


def test_a_chapter_that_makes_a_run_of_its_own_is_found_there(run: Path):
    found = status.gathered(run)
    assert [row["memory_mb"] for row in found["chapters"]] == [1234, 77]
    assert "data set `synthetic`, profile" in status.page(found)


def test_a_chapter_without_a_record_is_refused(run: Path):
    (run.parents[1] / "photos/smoke/results/10_your_data.json").unlink()
    with pytest.raises(FileNotFoundError, match="10_your_data"):
        status.gathered(run)


def test_a_stage_shows_what_making_it_took(run: Path):
    page = status.page(status.gathered(run))
    assert "| `r2` | 42 | 1,234 |" in page
    assert "| `r1` | 9 | 1,234 |" in page


def test_a_run_without_chapters_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="make reproduce fills it"):
        status.gathered(tmp_path)


def test_the_committed_page_is_the_one_its_record_makes():
    record = json.loads((REPOSITORY / "book/execution.json").read_text())
    assert (REPOSITORY / "book" / "status.md").read_text("utf-8") == status.page(record)


def test_the_committed_page_names_no_chapter_that_is_gone():
    record = json.loads((REPOSITORY / "book/execution.json").read_text())
    found = {row["chapter"] for row in record["chapters"]}
    assert found
    assert found <= {path.stem for path in (REPOSITORY / "notebooks").glob("*.py")}
