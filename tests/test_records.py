"""Recorded experiments, read and written."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib.errors import ReIDDataError
from reidlib.records import as_rows, intervals, recorded
from reidlib.retrieval import Interval

ROWS = [
    {
        "system": "vector",
        "share": 0.5,
        "ssim": 0.5,
        "fid": 3,
        "interval": {"ssim": [0.4, 0.6], "fid": [None, None]},
        "test": {"mAP": 0.7, "interval": {"mAP": [0.6, 0.8]}},
    },
    {"system": "image", "share": 1, "ssim": None, "interval": {"ssim": [None] * 2}},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"manifest": {}, "rows": ROWS}))
    return path


def test_a_record_is_a_table_of_values_with_their_limits(file: Path):
    found = recorded(file, {"FID": "fid", "SSIM": "ssim", "mAP": "test/mAP"})
    assert found is not None
    assert list(found.index) == ["vector", "image"]
    assert list(found.columns) == ["FID", "SSIM", "mAP"]
    assert list(found["FID"]) == ["3.00", ""]
    assert list(found["SSIM"]) == ["0.50 [0.40, 0.60]", ""]
    assert list(found["mAP"]) == ["0.70 [0.60, 0.80]", ""]


def test_rows_may_be_told_apart_by_two_things(file: Path):
    found = recorded(file, {"SSIM": "ssim"}, ["share", "system"])
    assert found is not None
    assert found.loc[(0.5, "vector"), "SSIM"] == "0.50 [0.40, 0.60]"


def test_a_training_that_broke_says_why(file: Path):
    broken = [*ROWS, {"system": "aligned", "stopped": "loss is nan"}]
    file.write_text(json.dumps({"rows": broken}))
    found = recorded(file, {"SSIM": "ssim"})
    assert found is not None
    assert list(found["stopped"]) == ["", "", "loss is nan"]


def test_a_number_that_no_row_has_is_refused(file: Path):
    with pytest.raises(ReIDDataError, match="no row of record.json .* at 'test/pck'"):
        recorded(file, {"PCK": "test/pck"})


def test_what_was_not_recorded_is_none(tmp_path: Path):
    assert recorded(tmp_path / "nothing.json", {}) is None


def test_a_record_without_rows_is_refused(tmp_path: Path):
    (tmp_path / "empty.json").write_text('{"manifest": {}}')
    with pytest.raises(ReIDDataError, match="empty.json has no rows; record"):
        recorded(tmp_path / "empty.json", {})


def test_a_table_of_qualities_becomes_rows_without_gaps():
    ends = pd.MultiIndex.from_product([["rank1", "fid"], ["value", "low", "high"]])
    values = [[0.5, 0.4, 0.6, 9.0, np.nan, np.nan], [np.nan] * 3 + [1.0, 0.5, 1.5]]
    kept = as_rows(pd.DataFrame(values, ["drawn", "truth"], ends))
    assert kept == {
        "drawn": {"rank1": 0.5, "fid": 9.0, "interval": {"rank1": [0.4, 0.6]}},
        "truth": {"fid": 1.0, "interval": {"fid": [0.5, 1.5]}},
    }


def test_rows_can_be_chosen_by_what_they_say(file: Path):
    found = recorded(file, {"share": "share"}, where={"system": "image"})
    assert found is not None
    assert list(found.index) == ["image"]
    with pytest.raises(ReIDDataError, match="record.json has no rows of share 7"):
        recorded(file, {"share": "share"}, where={"share": 7})


def test_a_recorded_number_comes_back_with_its_limits(file: Path):
    only = {"system": "vector"}
    assert intervals(file, "ssim", where=only) == {"vector": Interval(0.5, 0.4, 0.6)}
    found = intervals(file, "test/mAP", ["share", "system"], only)
    assert found == {(0.5, "vector"): Interval(0.7, 0.6, 0.8)}
