"""The script that records robustness, at a tiny scale."""

import json
from pathlib import Path

import pytest

from book import robustness
from reidlib import runs
from reidlib.retrieval import bootstrap
from reidlib.runs import Run
from reidlib.systems import systems
from tests.test_experiments import MANIFEST, check_interval

FACTORS = ["turned", "JPEG"]


def test_a_record_has_every_system_at_every_severity(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--root", str(tiny_run.data.root), "--profile", "tiny", "--people", "4"]
    words += ["--seeds", "0", "1", "--each", "2", "--out", str(tmp_path)]
    path = robustness.main([*words, "--factors", *FACTORS])
    assert path.name == "synthetic-robustness.json"
    record = json.loads(path.read_text())
    assert record["manifest"].keys() >= MANIFEST | {"seeds", "queries", "systems"}
    rows = {(r["system"], r["factor"], r["severity"]): r for r in record["rows"]}
    assert len(rows) == len(record["rows"]) == 3 * 2 * 4
    for row in rows.values():
        check_interval(row)
        check_interval(row["over R2"])
    for system, factor, severity in rows:
        row, base = rows[system, factor, severity], rows["R2", factor, severity]
        gap = row["mAP"] - base["mAP"]
        assert row["over R2"]["mAP"] == pytest.approx(gap)
        if severity == 0:
            assert row["mAP"] == rows[system, FACTORS[0], 0]["mAP"]


def test_the_clean_row_of_all_queries_is_the_chapters_own(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--root", str(tiny_run.data.root), "--profile", "tiny"]
    words += ["--each", "99", "--out", str(tmp_path), "--factors", "JPEG"]
    record = json.loads(robustness.main(words).read_text())
    run = runs.begin("tests", root=str(tiny_run.data.root), profile="tiny")
    r2 = systems(run)["R2"]
    parts = [r2.describe(run.images(split)) for split in ("query", "gallery")]
    wanted = bootstrap(run.evaluate(*parts))["mAP"]
    (row,) = [r for r in record["rows"] if (r["system"], r["severity"]) == ("R2", 0)]
    assert row["mAP"] == pytest.approx(wanted.value)
    assert row["interval"]["mAP"] == pytest.approx([wanted.low, wanted.high])
