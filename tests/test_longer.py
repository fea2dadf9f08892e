"""The longer training of R2 at a tiny scale."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from book import longer
from reidlib.profiles import FULL
from reidlib.records import read_record
from reidlib.runs import Run
from reidlib.training import recipe
from tests.conftest import TINY
from tests.test_experiments import MANIFEST, check_interval

RECORD = longer.RESULTS / "market1501-holdout-longer.json"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiny trainings, and the threads and kernels that the other tests have."""
    modern = replace(recipe("modern", TINY.encoder), each=2)
    monkeypatch.setattr(longer, "LONGER", replace(TINY, name="longer", size=(96, 48)))
    monkeypatch.setattr(longer, "RECIPES", {"plain": TINY.encoder, "modern": modern})
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


def made(run: Run, out: Path, *words: str) -> dict:
    where = ["--root", str(run.data.root), "--profile", "tiny", "--out", str(out)]
    return json.loads(longer.main([*where, *words]).read_text())


def test_a_longer_training_is_recorded_beside_the_short_one(
    tiny_run: Run, tmp_path: Path
) -> None:
    record = made(tiny_run, tmp_path, "--steps", "4")
    assert record["manifest"].keys() >= MANIFEST
    assert record["manifest"]["profile"] == "longer"
    rows = {row["system"]: row for row in record["rows"]}
    assert list(rows) == ["smoke", "plain", "modern"]
    for row in rows.values():
        check_interval(row)
        check_interval(row["mirrored too"])
        check_interval(row["over smoke"])
    assert rows["smoke"]["over smoke"]["mAP"] == 0
    assert (rows["smoke"]["size"], rows["plain"]["size"]) == ([64, 32], [96, 48])
    assert (rows["modern"]["steps"], rows["modern"]["pictures"]) == (4, 32)


def test_one_recipe_is_enough(tiny_run: Run, tmp_path: Path) -> None:
    rows = made(tiny_run, tmp_path, "--steps", "4", "--recipes", "plain")["rows"]
    assert [row["system"] for row in rows] == ["smoke", "plain"]


def test_the_recorded_training_finds_three_of_four_people_at_first_sight() -> None:
    rows = {row["system"]: row for row in read_record(RECORD)["rows"]}
    ours = rows["modern"]
    assert ours["size"] == list(FULL.size)
    assert ours["interval"]["rank1"][0] > 0.75
    assert ours["over smoke"]["interval"]["mAP"][0] > 0
