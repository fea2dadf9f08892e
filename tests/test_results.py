"""What the paper prints, as transcribed, and what full runs recorded."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from book import experiments, fusions
from reidlib.profiles import PROFILES
from reidlib.records import (
    Record,
    manifests_of,
    measurements,
    read_record,
    read_records,
)
from reidlib.retrieval import PROTOCOLS

RESULTS = Path(__file__).parent.parent / "book" / "results"
BASELINE, FINAL = "ResNet50-1 (Baseline-1)", "Ours (rerank)"


def table(number: int) -> pd.DataFrame:
    return pd.read_csv(RESULTS / "paper" / f"table{number}.csv")


def rows(number: int) -> pd.DataFrame:
    return table(number).set_index("method")


def gain(number: int, metric: str) -> float:
    """Per cent of the baseline that the paper's final row adds."""
    column = rows(number)[metric]
    return 100 * (column[FINAL] / column[BASELINE] - 1)


@pytest.mark.parametrize(
    ("number", "count"), [(2, 16), (3, 24), (4, 17), (5, 16), (6, 14), (7, 22)]
)
def test_a_table_has_all_its_rows_and_only_rates(number: int, count: int):
    rates = table(number).drop(columns=["poses", "reference"], errors="ignore")
    rates = rates.select_dtypes("number")
    assert len(rates) == count
    assert rates.min().min() >= 0
    assert rates.max().max() <= 100


def test_the_percentages_of_table_7_follow_from_its_own_columns():
    printed = table(7)
    again = 100 * (printed["final"] / printed["baseline"] - 1)
    assert (again - printed["improvement"]).abs().max() < 0.006


@pytest.mark.parametrize(
    ("dataset", "number"), [("Market-1501", 3), ("DukeMTMC-reID", 4), ("CUHK03", 5)]
)
def test_table_7_takes_its_last_row_from_the_table_of_the_data_set(dataset, number):
    last = table(7).query("dataset == @dataset and method == 'Ours'").iloc[0]
    column = rows(number)["rank1"]
    assert (last["baseline"], last["final"]) == (column[BASELINE], column[FINAL])


@pytest.mark.parametrize(
    ("number", "metric", "percent"),
    [
        (3, "rank1", 9.64),
        (3, "mAP", 16.03),
        (4, "rank1", 12.80),
        (5, "rank1", 10.73),
        (6, "rank1", 13.96),
    ],
)
def test_the_gains_in_the_text_follow_from_the_tables(number, metric, percent):
    assert gain(number, metric) == pytest.approx(percent, abs=0.006)


def test_the_final_setting_of_table_2_is_the_final_row_of_table_3():
    setting = "target == 'body' and algorithm == 'gmm' and poses == 12"
    (chosen,) = table(2).query(setting)[["rank1", "mAP"]].to_numpy().tolist()
    assert chosen == [90.87, 82.67]
    assert chosen == rows(3).loc["Ours", ["rank1", "mAP"]].tolist()


def test_joint_wise_mixtures_are_the_worst_at_every_number_of_poses():
    ablation = table(2)
    for _, settings in ablation.groupby("poses"):
        worst = settings.loc[settings["rank1"].idxmin()]
        assert (worst["target"], worst["algorithm"]) == ("joint", "gmm")


@pytest.fixture(scope="module")
def kept() -> dict[str, dict[str, Any]]:
    return read_records(RESULTS)


def test_recorded_runs_hold_what_each_chapter_measured(kept):
    runs = {name: record for name, record in kept.items() if "/" in name}
    assert {"synthetic/smoke", "market1501-holdout/smoke"} <= runs.keys()
    for record in runs.values():
        for part in record.values():
            for found in measurements(part["results"]):
                for metric in found.keys() & {"rank1", "mAP"}:
                    assert 0 <= found[metric] <= 1


KNOWN = {
    "chapter": {p.stem for p in (RESULTS.parents[1] / "notebooks").glob("*.py")},
    "profile": set(PROFILES),
    "protocol": set(PROTOCOLS),
    "command": {*experiments.COMMANDS, *fusions.COMMANDS}
    | {"poses", "transfer", "difficulty", "systems", "robustness"},
}


def gone(record: Record) -> list[tuple[str, str]]:
    """What a record names that there is no longer."""
    found = []
    for chapter, manifest in manifests_of(record).items():
        said = manifest | ({"chapter": chapter} if chapter else {})
        found += [(k, said[k]) for k in KNOWN if k in said and said[k] not in KNOWN[k]]
    return found


def test_recorded_results_name_chapters_protocols_and_profiles_that_exist(kept):
    assert {name: gone(record) for name, record in kept.items() if gone(record)} == {}


def test_a_result_of_what_is_gone_is_found():
    old = {"profile": "huge", "protocol": "market1501", "command": "recipes"}
    assert gone({"00_gone": {"manifest": old}}) == [
        ("chapter", "00_gone"),
        ("profile", "huge"),
    ]
    assert gone({"manifest": {"protocol": "viper", "command": "guess"}}) == [
        ("protocol", "viper"),
        ("command", "guess"),
    ]


@pytest.mark.parametrize("name", ["difficulty", "transfer"])
def test_what_was_measured_about_the_world_is_a_record_too(name: str):
    record = read_record(RESULTS / f"world-{name}.json")
    assert record["manifest"]["wall_s"] > 0
    assert record["protocol"]
    found = list(measurements(record))
    assert len(found) >= 2
    for rates in found:
        for metric in ("rank1", "mAP"):
            low, high = rates["interval"][metric]
            assert 0 <= low <= rates[metric] <= high <= 1


def test_the_world_transfers_to_photographs():
    record = read_record(RESULTS / "world-transfer.json")
    whole = record["whole world"]["interval"]
    for baseline in ("untrained", "HSV stripes"):
        for metric in ("rank1", "mAP"):
            assert whole[metric][0] > record[baseline]["interval"][metric][1]
    assert record["whole world"]["rank1"] > 2 * record["untrained"]["rank1"]


def test_the_world_is_hard_for_histograms_and_right_for_a_network():
    record = read_record(RESULTS / "world-difficulty.json")
    histograms, network = record["HSV stripes"], record["R2"]
    assert histograms["rank1"] < 0.40
    for metric, low, high in (("rank1", 0.70, 0.97), ("mAP", 0.50, 0.90)):
        assert low < network["interval"][metric][0]
        assert network["interval"][metric][1] < high
    same, other = (
        record[f"R2, matches seen from the {side} side"] for side in ("same", "other")
    )
    assert other["AP"] < same["AP"] - 0.05
