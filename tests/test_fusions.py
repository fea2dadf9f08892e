"""The comparison of fusions at a tiny scale, and the record that the book keeps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from book import fusions, rivals, scoring
from reidlib import fusing
from reidlib.models import FusionNet
from reidlib.retrieval import paired_bootstrap
from reidlib.runs import Run
from reidlib.systems import full_model
from reidlib.training import extract
from tests.test_experiments import MANIFEST, check_interval

RECORDS = Path(__file__).parent.parent / "book" / "results"
TOGETHER = rivals.TOGETHER.values()
GROUPS = {"input", "paper's generator", "aligned generator", "control", "ceiling"}


def made(command: str, run: Run, out: Path, seeds: list[int]) -> dict:
    words = [command, "--root", str(run.data.root), "--profile", "tiny", "--seeds"]
    words += [*map(str, seeds), "--counts", "1", "--out", str(out)]
    return json.loads(fusions.main(words).read_text())


def check_rows(rows: list[dict]) -> None:
    for row in rows:
        check_interval(row)
        check_interval(row["over R2"])
        if "sides" in row:
            check_interval(row["sides"])


def test_fusions_are_compared_with_r2_and_their_controls_over_seeds(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = made("fusions", tiny_run, tmp_path, [0, 1])
    assert record["manifest"].keys() >= MANIFEST | {"seeds", "code of fusing"}
    rows = record["rows"]
    check_rows(rows)
    assert {row["group"] for row in rows} == GROUPS
    by_seed = {
        seed: {(r["group"], r["system"]): r for r in rows if r["seed"] == seed}
        for seed in (0, 1, "all")
    }
    assert by_seed[0].keys() == by_seed[1].keys() == by_seed["all"].keys()
    for key, row in by_seed["all"].items():
        each = [by_seed[s][key]["mAP"] for s in (0, 1)]
        assert row["mAP"] == pytest.approx(np.mean(each))
        gains = [by_seed[s][key]["over R2"]["mAP"] for s in (0, 1)]
        assert row["over R2"]["mAP of each seed"] == pytest.approx(gains)
    kept = json.loads((RECORDS / "synthetic-fusions.json").read_text())["rows"]
    assert {(r["group"], r["system"]) for r in kept} == by_seed[0].keys()
    alone = by_seed[0]["input", "R2"]
    assert alone["over R2"]["mAP"] == 0
    assert (alone["encoded"], alone["drawn"]) == (1, 0)
    slots = by_seed[0]["aligned generator", "slots"]
    assert (slots["encoded"], slots["drawn"]) == (3, 2)
    assert slots["numbers"] == 3 * alone["numbers"]
    assert 0 <= slots["weight"] <= 0.8


@pytest.mark.parametrize(
    ("command", "count"),
    [("settings", 1 + 2 * 4), ("generators", 1 + 2 * 4), ("poses", 1 + 2 * 2 + 1)],
)
def test_settings_generators_and_poses_are_compared_too(
    command: str, count: int, tiny_run: Run, tmp_path: Path
) -> None:
    rows = made(command, tiny_run, tmp_path, [0])["rows"]
    check_rows(rows)
    assert len(rows) == 2 * count
    assert len({(r["group"], r["system"], r["seed"]) for r in rows}) == 2 * count


def test_a_gain_over_r2_is_that_of_the_paired_bootstrap(tiny_run: Run) -> None:
    found = fusing.evidence(tiny_run)
    systems = {
        "R2": scoring.ruled(tiny_run, "R2", "input", found, fusing.input_only),
        "mean": scoring.ruled(tiny_run, "mean", "rules", found, fusing.mean),
    }
    facing = [scoring.headings(tiny_run, split) for split in scoring.FOUND]
    scored = {n: scoring.scored(tiny_run, s, facing) for n, s in systems.items()}
    _, row = scoring.rows_of(0, scored)
    wanted = paired_bootstrap(scored["mean"].result, scored["R2"].result)
    assert row["over R2"]["mAP"] == pytest.approx(wanted.difference)
    assert row["over R2"]["interval"]["mAP"] == pytest.approx([wanted.low, wanted.high])


def test_the_sides_are_those_from_which_the_world_was_seen(tiny_run: Run) -> None:
    facing = scoring.headings(tiny_run, "query")
    assert facing is not None
    # a detected left shoulder to the right of the right one: towards the camera
    points = tiny_run.data.points(tiny_run.data.query)
    seen = points[:, 5, 0] - points[:, 2, 0]
    clear = np.abs(seen) > 0.2
    assert clear.any()
    assert ((np.abs(facing[clear]) < 90) == (seen[clear] > 0)).all()


def test_every_evidence_has_an_encoder_of_its_own_and_is_set_beside_drawings(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = made("encoders", tiny_run, tmp_path, [0, 1])["rows"]
    check_rows(rows)
    assert {row["system"] for row in rows} == {"R2", *rivals.EVIDENCE, *TOGETHER}
    for seed in (0, 1, "all"):
        own = {row["system"]: row for row in rows if row["seed"] == seed}
        assert own["drawn"]["over drawings"]["mAP"] == 0
        for row in own.values():
            check_interval(row["over drawings"])
            gap = row["mAP"] - own["drawn"]["mAP"]
            assert row["over drawings"]["mAP"] == pytest.approx(gap)
    assert (own["copies"]["group"], own["cleaned"]["group"]) == ("control", "ceiling")


def test_one_encoder_learns_views_and_drawings(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = made("mixed", tiny_run, tmp_path, [0])["rows"]
    rows = {r["system"]: r for r in found if r["seed"] == 0}
    assert rows.keys() == {"R2", *rivals.MIXED}
    counts = {name: (r["encoded"], r["drawn"]) for name, r in rows.items()}
    assert counts == {
        "R2": (1, 0),
        "drawn": (3, 2),
        "augmented": (3, 0),
        "more views": (5, 0),
        "views and drawings": (5, 2),
    }
    over = rows["views and drawings"]["over more views"]
    check_interval(over)
    gap = rows["views and drawings"]["mAP"] - rows["more views"]["mAP"]
    assert over["mAP"] == pytest.approx(gap)


def test_fusionnet_is_taken_apart(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = made("fusionnet", tiny_run, tmp_path, [0])["rows"]
    check_rows(rows)
    own = {row["system"]: row for row in rows if row["seed"] == 0}
    assert len(own) == 8
    assert own["as printed"]["over FusionNet"]["mAP"] == 0
    for row in own.values():
        for known in ("fitted", "held out"):
            check_interval(row[known])


def test_without_the_skip_the_network_sees_the_same_and_adds_it_to_nothing(
    tiny_run: Run,
) -> None:
    found = fusing.evidence(tiny_run)
    bare = rivals.without_skip(found)
    network = FusionNet(found.source["query"].shape[1], bare.count, hidden=4).eval()
    with torch.no_grad():
        made = network.fuse(bare.source["query"], bare.drawn["query"])
        network.fc_1.weight.zero_()
        constant = network.fuse(bare.source["query"], bare.drawn["query"])
    assert torch.equal(bare.drawn["query"][:, 0], found.source["query"])
    assert torch.equal(bare.drawn["query"][:, 1:], found.drawn["query"])
    assert made.std(dim=0).max() > 0  # it does see the source
    assert constant.std(dim=0).max() == 0  # and there is no other way for it


def recorded(name: str, seed: object = "all") -> dict[tuple[str, str], dict]:
    rows = json.loads((RECORDS / f"{name}.json").read_text())["rows"]
    check_rows(rows)
    return {(r["group"], r["system"]): r for r in rows if r["seed"] == seed}


def gain(row: dict) -> float:
    """Lower limit of what it gains over R2 in mAP."""
    return row["over R2"]["interval"]["mAP"][0]


def test_the_recorded_full_model_beats_r2_and_every_control() -> None:
    rows = recorded("synthetic-fusions")
    ours = rows["aligned generator", "slots, second encoder"]
    assert ours["seeds"] >= 3
    assert min(ours["over R2"]["mAP of each seed"]) >= 0.03
    assert gain(ours) > 0
    others = [r for (group, _), r in rows.items() if group == "control"]
    assert all(r["mAP"] < ours["mAP"] for r in others)
    assert rows["ceiling", "slots, true"]["mAP"] > ours["mAP"]


def test_the_recorded_fusionnet_pays_with_drawings_that_keep_the_person() -> None:
    rows = recorded("synthetic-fusions")
    assert gain(rows["aligned generator", "FusionNet"]) > 0
    assert gain(rows["paper's generator", "FusionNet"]) <= 0


def test_the_recorded_gain_but_no_control_is_larger_for_the_other_side() -> None:
    rows = recorded("synthetic-fusions-larger")
    more = {
        name: row["sides"]["interval"]["other gains more by"]
        for (_, name), row in rows.items()
    }
    assert more["slots, second encoder"][0] > 0
    assert more["slots, true"][0] > more["slots, second encoder"][1]
    assert more["slots, augmented"][0] < 0
    assert more["slots, cleaned"][0] < 0


def test_the_recorded_drawings_are_not_told_from_views_with_their_own_encoder() -> None:
    rows = recorded("synthetic-fusions-encoders")
    assert {name for _, name in rows} == {"R2", *rivals.EVIDENCE, *TOGETHER}
    drawn = rows["aligned generator", "drawn"]
    assert drawn["seeds"] >= 3
    assert min(drawn["over R2"]["mAP of each seed"]) >= 0.03
    assert gain(drawn) > 0
    over = rows["control", "copies"]["over drawings"]["interval"]["mAP"]
    assert over[1] < 0
    over = rows["control", "augmented"]["over drawings"]["interval"]["mAP"]
    assert over[0] < 0 < over[1]  # what the chapter says
    both = rows["aligned generator", "augmented and drawn"]
    for rival in ("views", "views and copies"):
        assert both[f"over {rival}"]["interval"]["mAP"][0] > 0
    assert gain(rows["control", "augmented"]) > 0


def test_the_recorded_views_and_drawings_need_one_encoder_only() -> None:
    rows = recorded("synthetic-fusions-mixed")
    both = rows["aligned generator", "views and drawings"]
    assert gain(both) >= 0.03
    for rival in ("views", "more views"):
        assert both[f"over {rival}"]["interval"]["mAP"][0] > 0
    low, high = both["over drawings"]["interval"]["mAP"]
    assert low < 0 < high  # what the chapter says
    for seed in range(3):
        each = recorded("synthetic-fusions-mixed", seed)
        assert gain(each["aligned generator", "views and drawings"]) >= 0.03


def test_the_recorded_skip_is_what_fusionnet_lives_by() -> None:
    rows = recorded("synthetic-fusions-fusionnet")
    whole = rows["FusionNet", "as printed"]
    assert gain(whole) > 0
    bare = rows["FusionNet", "without the skip"]
    assert bare["over FusionNet"]["interval"]["mAP"][1] < 0
    assert bare["mAP"] < rows["input", "R2"]["mAP"]


def test_the_recorded_settings_are_those_of_table_two() -> None:
    rows = recorded("synthetic-fusions-settings", 0)
    groups = {
        f"{target}, {algorithm}, {count}"
        for target, algorithm in fusions.METHODS
        for count in (2, 4)
    }
    assert {group for group, _ in rows} == groups | {"input"}


def test_a_larger_world_asks_the_full_model_its_parts_and_the_truth(
    tiny_run: Run, tmp_path: Path
) -> None:
    rows = made("larger", tiny_run, tmp_path, [0])["rows"]
    check_rows(rows)
    own = {row["system"]: row for row in rows if row["seed"] == 0}
    assert own.keys() == {
        "R2",
        *(f"{rule}, second encoder" for rule in ("mean", "maximum", "weighted sum")),
        "slots, second encoder",
        *(f"slots{kind}" for kind in ("", ", augmented", ", cleaned", ", true")),
    }
    assert own["slots, true"]["group"] == "ceiling"
    network, _ = full_model(tiny_run)
    expected = tiny_run.evaluate(
        *(extract(network, tiny_run.images(s)) for s in ("query", "gallery"))
    )
    assert own["slots, second encoder"]["mAP"] == pytest.approx(expected.mAP, abs=1e-6)
