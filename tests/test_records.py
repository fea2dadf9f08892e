"""Recorded experiments, read and written."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib.errors import ReIDDataError
from reidlib.records import as_rows, recorded

ROWS = [
    {"name": "vector", "ssim": 0.5, "ssim_interval": [0.4, 0.6], "note": "none"},
    {"name": "image", "ssim": 0.7, "fid": 3, "interval": {"ssim": [0.6, 0.8]}},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"manifest": {}, "rows": ROWS}))
    return path


def test_a_record_is_a_table_of_values_with_their_limits(file: Path):
    found = recorded(file)
    assert found is not None
    assert list(found.index) == ["vector", "image"]
    assert found.loc["vector", "ssim"] == "0.50 [0.40, 0.60]"
    assert found.loc["image", "ssim"] == "0.70 [0.60, 0.80]"
    assert list(found["fid"]) == ["", "3.00"]


def test_columns_come_in_the_order_asked_for_as_far_as_recorded(file: Path):
    assert list(recorded(file, ["pck", "fid", "ssim"]).columns) == ["fid", "ssim"]


def test_what_was_not_recorded_is_none(tmp_path: Path):
    assert recorded(tmp_path / "nothing.json") is None


def test_a_record_without_rows_is_refused(tmp_path: Path):
    (tmp_path / "empty.json").write_text('{"manifest": {}}')
    with pytest.raises(ReIDDataError, match="empty.json has no rows; record"):
        recorded(tmp_path / "empty.json")


def test_a_table_of_qualities_becomes_rows_without_gaps():
    ends = pd.MultiIndex.from_product([["rank1", "fid"], ["value", "low", "high"]])
    values = [[0.5, 0.4, 0.6, 9.0, np.nan, np.nan], [np.nan] * 3 + [1.0, 0.5, 1.5]]
    kept = as_rows(pd.DataFrame(values, ["drawn", "truth"], ends))
    assert kept == {
        "drawn": {"rank1": 0.5, "fid": 9.0, "interval": {"rank1": [0.4, 0.6]}},
        "truth": {"fid": 1.0, "interval": {"fid": [0.5, 1.5]}},
    }
