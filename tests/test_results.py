"""What the paper prints, as transcribed, and what full runs recorded."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parent.parent / "book" / "results"
RECORDS = sorted(RESULTS.glob("*/*.json"))
MANIFEST = {"dataset", "protocol", "profile", "seed", "data", "code", "versions"}
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


def measurements(value: object) -> Iterator[dict[str, object]]:
    """Every object inside a record that states a rank-1 or a mAP."""
    if isinstance(value, dict):
        if value.keys() & {"rank1", "mAP"}:
            yield value
        for name, inner in value.items():
            if name != "interval":
                yield from measurements(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from measurements(inner)


def check_record(record: dict[str, dict[str, object]], dataset: str, profile: str):
    """What book/results/README.md promises of a record."""
    assert record
    for chapter in record.values():
        manifest = chapter["manifest"]
        assert manifest.keys() >= MANIFEST
        assert (manifest["dataset"], manifest["profile"]) == (dataset, profile)
        for found in measurements(chapter["results"]):
            for metric in found.keys() & {"rank1", "mAP"}:
                low, high = found["interval"][metric]
                assert 0 <= low <= found[metric] <= high <= 1


def test_recorded_runs_state_protocol_seed_interval_and_manifest():
    for path in RECORDS:
        check_record(json.loads(path.read_text()), path.parent.name, path.stem)


def test_a_number_without_its_interval_is_refused():
    manifest = dict.fromkeys(MANIFEST, "x") | {"dataset": "d", "profile": "full"}
    number = {"rank1": 0.9, "interval": {"rank1": [0.88, 0.92]}}
    record = {"08_benchmarks": {"manifest": manifest, "results": {"R2": number}}}
    check_record(record, "d", "full")
    del number["interval"]
    with pytest.raises(KeyError, match="interval"):
        check_record(record, "d", "full")


@pytest.mark.parametrize("name", ["difficulty", "transfer"])
def test_what_was_measured_about_the_world_is_a_record_too(name: str):
    record = json.loads((RESULTS / f"world-{name}.json").read_text())
    assert record["manifest"].keys() >= {"code", "versions", "device", "wall_s"}
    assert record["protocol"]
    found = list(measurements(record))
    assert len(found) >= 2
    for rates in found:
        for metric in ("rank1", "mAP"):
            low, high = rates["interval"][metric]
            assert 0 <= low <= rates[metric] <= high <= 1


def test_the_world_transfers_to_photographs():
    record = json.loads((RESULTS / "world-transfer.json").read_text())
    whole = record["whole world"]["interval"]
    for baseline in ("untrained", "HSV stripes"):
        for metric in ("rank1", "mAP"):
            assert whole[metric][0] > record[baseline]["interval"][metric][1]
    assert record["whole world"]["rank1"] > 2 * record["untrained"]["rank1"]


def test_the_world_is_hard_for_histograms_and_right_for_a_network():
    record = json.loads((RESULTS / "world-difficulty.json").read_text())
    histograms, network = record["HSV stripes"], record["R2"]
    assert histograms["rank1"] < 0.40
    for metric, low, high in (("rank1", 0.70, 0.97), ("mAP", 0.50, 0.90)):
        assert low < network["interval"][metric][0]
        assert network["interval"][metric][1] < high
    same, other = (
        record[f"R2, matches seen from the {side} side"] for side in ("same", "other")
    )
    assert other["AP"] < same["AP"] - 0.05
