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
    for name, content in {
        "chapters/01_data.json": {"seconds": 90, "finished": "2026-01-02"},
        "results/01_data.json": {"results": {}, "manifest": MANIFEST},
        "r2/manifest.json": MANIFEST | {"stage": "r2", "wall_s": 41.6},
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path


def test_a_chapter_shows_time_memory_day_and_versions(run: Path):
    (row,) = [x for x in status.page(status.gathered(run)).splitlines() if "01_" in x]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["1.5", "1,234", "2026-01-02", "3.11.7", "2.14.1"]


def test_a_stage_shows_what_making_it_took(run: Path):
    assert "| `r2` | 42 | 1,234 |" in status.page(status.gathered(run))


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
