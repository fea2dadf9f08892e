"""Recorded experiments, read and written."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib import manifests
from reidlib.errors import ReIDDataError
from reidlib.records import (
    as_rows,
    intervals,
    provenance,
    read_record,
    read_records,
    recorded,
    summary,
    write_record,
)
from reidlib.retrieval import Interval

MANIFEST = {
    "dataset": "synthetic",
    "protocol": "market1501",
    "profile": "smoke",
    "seed": 0,
    "data": "d1",
    "code": "c1",
    "date": "2021-05-03",
    "device": "abacus",
    "threads": 1,
    "versions": {},
}
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
    write_record(path, {"manifest": MANIFEST, "rows": ROWS})
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
    write_record(file, {"manifest": MANIFEST, "rows": broken})
    found = recorded(file, {"SSIM": "ssim"})
    assert found is not None
    assert list(found["stopped"]) == ["", "", "loss is nan"]


def test_a_number_that_no_row_has_is_refused(file: Path):
    with pytest.raises(ReIDDataError, match="no row of record.json .* at 'test/pck'"):
        recorded(file, {"PCK": "test/pck"})


def test_what_was_not_recorded_is_none(tmp_path: Path):
    assert recorded(tmp_path / "nothing.json", {}) is None


def test_a_record_without_rows_is_refused(tmp_path: Path):
    write_record(tmp_path / "empty.json", {"manifest": MANIFEST})
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


def test_a_record_comes_back_as_it_was_written_and_says_where_it_is_from(file: Path):
    assert read_record(file) == {"manifest": MANIFEST, "rows": ROWS}
    stated = json.loads(file.read_text())["digest"]
    assert provenance(file) == (
        f"Source: {file.parent.name}/record.json (digest {stated}); code c1, protocol "
        "market1501, profile smoke, seed 0, abacus, 1 thread(s), 2021-05-03"
    )
    with pytest.raises(ReIDDataError, match="has no part '08_benchmarks'"):
        provenance(file, "08_benchmarks")


def test_a_digest_is_the_sha256_of_the_content_in_one_spelling(file: Path):
    raw = json.loads(file.read_text())
    stated = raw.pop("digest")
    spelt = json.dumps(raw, sort_keys=True).encode()
    assert stated == hashlib.sha256(spelt).hexdigest()[:16]


def test_a_record_edited_by_hand_is_refused(file: Path):
    file.write_text(file.read_text().replace("0.7", "0.71"))
    with pytest.raises(ReIDDataError, match=r"record.json was changed after it was"):
        read_record(file)
    file.write_text(file.read_text().replace("0.71", "0.7"))
    assert read_record(file)["rows"] == ROWS  # the same content again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "follows schema 1, and this is 2; run python -m book.records"),
        ({"schema": 3}, "follows schema 3, and this is 2; update reidlib"),
    ],
)
def test_a_record_of_another_schema_is_refused(file: Path, change, message):
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ReIDDataError, match=message):
        read_record(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": ROWS}, "record.json has no manifest; record it again"),
        ({"03_baselines": {"results": {}}}, "03_baselines, has no manifest"),
        ({}, "record.json is empty"),
        (
            {
                "manifest": {
                    k: v for k, v in MANIFEST.items() if k not in ("code", "data")
                }
            }
            | {"rows": ROWS},
            "the manifest of record.json lacks code, data; record it again",
        ),
        (
            {"manifest": MANIFEST, "rows": [{"system": "R2", "mAP": 0.5}]},
            r"states a mAP of 0.5 without an interval around it \(None\)",
        ),
        (
            {"manifest": MANIFEST}
            | {"rows": [{"rank1": 0.5, "interval": {"rank1": [0.6, 0.7]}}]},
            r"states a rank1 of 0.5 without an interval around it \(\[0.6, 0.7\]\)",
        ),
    ],
)
def test_a_record_that_lacks_something_is_refused(tmp_path: Path, content, message):
    write_record(tmp_path / "record.json", content)
    with pytest.raises(ReIDDataError, match=message):
        read_record(tmp_path / "record.json")


def test_what_is_no_json_or_not_there_is_refused(tmp_path: Path):
    (tmp_path / "half.json").write_text('{"schema": 2, ')
    with pytest.raises(ReIDDataError, match="half.json is no JSON"):
        read_record(tmp_path / "half.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ReIDDataError, match="list.json follows schema None"):
        read_record(tmp_path / "list.json")
    with pytest.raises(ReIDDataError, match="gone.json is not recorded"):
        read_record(tmp_path / "gone.json")


def test_two_results_for_one_cell_are_refused(tmp_path: Path):
    rows = {"manifest": MANIFEST | {"command": "recipes"}, "rows": [{"system": "R2"}]}
    write_record(tmp_path / "synthetic-recipes.json", rows)
    assert [*read_records(tmp_path)] == ["synthetic-recipes"]
    write_record(tmp_path / "synthetic-recipes-copy.json", rows)
    both = "synthetic-recipes-copy.json and synthetic-recipes.json both claim synthetic"
    with pytest.raises(ReIDDataError, match=f"{both}, market1501, smoke, recipes, R2"):
        read_records(tmp_path)
    (tmp_path / "synthetic-recipes-copy.json").unlink()
    write_record(tmp_path / "synthetic-recipes.json", rows | {"rows": 2 * rows["rows"]})
    with pytest.raises(ReIDDataError, match="both claim"):
        read_records(tmp_path)


def test_a_record_in_the_place_of_another_run_is_refused(tmp_path: Path):
    part = {"manifest": MANIFEST, "results": {}}
    write_record(tmp_path / "cuhk01" / "smoke.json", {"01_data": part})
    with pytest.raises(ReIDDataError, match="cuhk01/smoke.json holds results of synth"):
        read_records(tmp_path)


def test_numbers_of_every_kind_are_written_as_json_holds_them(tmp_path: Path):
    found = {"manifest": MANIFEST, "n": np.float64(0.5), "pair": (1, np.arange(2))}
    write_record(tmp_path / "kinds.json", found)
    kept = read_record(tmp_path / "kinds.json")
    assert kept == {"manifest": MANIFEST, "n": 0.5, "pair": [1, [0, 1]]}
    assert manifests.as_plain((1,)) == [1]


def test_systems_of_all_records_stand_side_by_side_in_per_cent():
    row = {"mAP": 0.5, "rank1": 0.62, "interval": {"mAP": [0.4, 0.6]}}
    row["interval"]["rank1"] = [0.5, 0.7]
    part = {"manifest": MANIFEST, "results": {"rows": {"R2": row}}}
    many = MANIFEST | {"command": "systems", "seeds": [0], "trials": [0, 1]}
    tried = {"system": "R2", "group": "re-ranked", "trial": 0} | row
    spread = {"mAP": {"mean": 0.5, "std": 0.012}}
    every = {"system": "R2", "group": "re-ranked", "trial": "all", "spread": spread}
    every |= {"trials": 2}
    lone = {"mAP": {"mean": 0.4, "std": float("nan")}}
    alone = every | {"system": "full model", "trials": 1, "spread": lone}
    broken = {"system": "full", "seed": 0, "stopped": "the loss is NaN"}
    table = summary(
        {
            "synthetic/smoke": {"01_data": part, "08_benchmarks": part},
            "cuhk01-systems": {"manifest": many, "rows": [tried, every, alone, broken]},
            "world-poses": {"manifest": MANIFEST, "joints": {}},
        }
    )
    assert table["record"].tolist() == ["synthetic/smoke", *["cuhk01-systems"] * 2]
    assert table["system"].tolist() == ["R2", "R2, re-ranked", "full model, re-ranked"]
    marks = ["50.0 [40.0, 60.0]", "50.0 ± 1.2", "40.0 (one trial)"]
    assert table["mAP"].tolist() == marks
    assert table["rank1"].tolist() == ["62.0 [50.0, 70.0]", "–", "–"]
    assert table["rank5"].tolist() == ["–", "–", "–"]


def test_a_record_of_another_protocol_is_in_the_wrong_place(tmp_path: Path):
    content = {"manifest": MANIFEST | {"dataset": "market1501"}, "rows": ROWS}
    write_record(tmp_path / "market1501-systems.json", content)
    assert len(read_records(tmp_path)) == 1
    (tmp_path / "market1501-systems.json").unlink()
    write_record(tmp_path / "market1501-holdout-systems.json", content)
    with pytest.raises(ReIDDataError, match="holds results of market1501; move it"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    "change", [{"schema": "2"}, {"rows": [{"mAP": 0.5, "interval": [0.4, 0.6]}]}]
)
def test_a_record_that_was_written_by_hand_is_refused(file: Path, change: dict):
    content = json.loads(file.read_text()) | change
    content.pop("digest")
    content["digest"] = manifests.digest(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ReIDDataError, match="record.json"):
        read_record(file)


def test_rows_without_a_number_are_left_out_of_its_intervals(file: Path):
    assert list(intervals(file, "test/mAP")) == ["vector"]
    with pytest.raises(ReIDDataError, match="has a number at 'test/rank1'"):
        intervals(file, "test/rank1")
