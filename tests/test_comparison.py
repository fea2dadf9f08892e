"""The comparison of systems at a tiny scale: what it scores is what it times."""

from pathlib import Path

import numpy as np
import pytest
import torch

from book import systems
from reidlib.profiles import PROFILES
from reidlib.records import read_record
from reidlib.runs import Run
from reidlib.training.features import describer

NAMES = ["r1", "r2-paper", "r2-modern", "paper", "maximum", "sum", "full"]
NAMES += ["views", "own-views", "full-views", "twice"]


def made(run: Run, out: Path, *words: str) -> dict:
    given = ["--root", str(run.data.root), "--profile", "tiny", "--out", str(out)]
    return read_record(systems.main([*given, *words]))


def test_systems_are_compared_as_retrieved_and_re_ranked_with_their_costs(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = made(tiny_run, tmp_path, "--systems", *NAMES)
    rows = record["rows"]
    assert (tmp_path / "synthetic-systems-tiny.json").is_file()
    assert record["manifest"]["reranking"]["k1"] == 20
    assert {row["group"] for row in rows} == set(systems.GROUPS)
    by = {(r["group"], r["system"]): r for r in rows}
    assert len(by) == len(rows) == 2 * (1 + len(NAMES))
    for group in systems.GROUPS:
        alone, whole = by[group, "R2"], by[group, "full model"]
        assert alone["over R2"]["mAP"] == 0
        assert (alone["encoded"], alone["drawn"]) == (1, 0)
        assert (whole["encoded"], whole["drawn"]) == (3, 2)
        assert whole["numbers"] == 3 * alone["numbers"]
        more = by[group, "full model with views"]
        assert (more["encoded"], more["drawn"]) == (5, 2)
        for control, looks in (
            ("shifted views", 3),
            ("shifted views, own encoder", 3),
            ("second encoder on copies", 2),
        ):
            row = by[group, f"control: {control}"]
            assert (row["encoded"], row["drawn"]) == (looks, 0)
            assert row["numbers"] == looks * alone["numbers"]
        gap = whole["over R2"]["mAP"] - whole["over control"]["mAP"]
        assert gap == pytest.approx(row["over R2"]["mAP"])
        assert row["over control"]["mAP"] == 0
        assert whole["ms"] > alone["ms"] > 0
        assert whole["parameters"] > alone["parameters"]
        views = by[group, "control: shifted views"]
        assert views["parameters"] == alone["parameters"]
        drawer = by[group, "maximum, as PN-GAN"]["parameters"] - alone["parameters"]
        assert whole["parameters"] == 2 * alone["parameters"] + drawer
        assert whole["rank1"] <= whole["rank5"] <= whole["rank10"]
    assert by["re-ranked", "R2"]["re-ranking ms"] > 0
    assert "re-ranking ms" not in by["as retrieved", "R2"]


def test_another_profile_has_a_file_of_its_own(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROFILES, "smoke", PROFILES["tiny"])
    words = ["--root", str(tiny_run.data.root), "--systems", "r1"]
    for profile, name in (("smoke", "systems"), ("tiny", "systems-tiny")):
        out = ["--profile", profile, "--out", str(tmp_path)]
        assert systems.main([*words, *out]).name == f"synthetic-{name}.json"


def test_several_seeds_are_averaged(tiny_run: Run, tmp_path: Path, capsys) -> None:
    words = ["--seeds", "0", "1", "--systems", "r1"]
    rows = made(tiny_run, tmp_path, *words)["rows"]
    by = {(r["group"], r["system"], r["seed"]): r["mAP"] for r in rows}
    for key in [(group, name) for group in systems.GROUPS for name in ("R1", "R2")]:
        each = [by[*key, seed] for seed in (0, 1)]
        assert by[*key, "all"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize("name", ["r2-modern", "paper", *NAMES[6:]])
def test_the_network_that_is_timed_makes_the_descriptors_that_are_scored(
    tiny_run: Run, name: str
) -> None:
    subject = systems.SYSTEMS[name](tiny_run)
    found = describer(subject.network)(tiny_run.images("query")[:4])
    scored = subject.system.made["query"][:4]
    likeness = torch.cosine_similarity(found, scored)
    assert likeness.min() > 0.9999


def breaks(monkeypatch: pytest.MonkeyPatch, name: str, seed: int = 0) -> None:
    """Let the training of a system break on one seed."""
    whole = systems.SYSTEMS[name]

    def broken(run: Run) -> systems.Subject:
        if run.seed == seed:
            raise systems.ReIDConfigError("the loss is NaN.")
        return whole(run)

    monkeypatch.setitem(systems.SYSTEMS, name, broken)


def test_a_training_that_broke_says_why_and_the_others_go_on(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, "full")
    record = made(tiny_run, tmp_path, "--systems", "full", "r1")
    stopped = [row for row in record["rows"] if "stopped" in row]
    assert stopped == [{"system": "full", "seed": 0, "stopped": "the loss is NaN."}]
    assert {r["system"] for r in record["rows"]} == {"full", "R1", "R2"}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_system_that_broke_on_one_seed_is_averaged_over_the_others(
    lost: int, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, "r1", lost)
    rows = made(tiny_run, tmp_path, "--systems", "r1", "--seeds", "0", "1")["rows"]
    by = {(r["system"], r["seed"]): r for r in rows if r.get("group") == "re-ranked"}
    assert by["R2", "all"]["seeds"] == 2
    assert by["R1", "all"]["seeds"] == 1
    left = by["R1", 1 - lost]
    assert by["R1", "all"]["mAP"] == pytest.approx(left["mAP"])
    over = by["R1", "all"]["over R2"]["mAP"]
    assert over == pytest.approx(left["over R2"]["mAP"])
    assert by["R1", "all"]["parameters"] == left["parameters"]


def test_nothing_is_compared_where_r2_broke(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, "r2")
    with pytest.raises(systems.ReIDConfigError, match="loss is NaN"):
        made(tiny_run, tmp_path, "--systems", "r1")
    assert not list(tmp_path.iterdir())


def test_trials_have_a_mean_and_a_deviation(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = systems.runs.begin

    def held_out(*words, **choice):
        return begin(*words, **choice, protocol="holdout")

    monkeypatch.setattr(systems.runs, "begin", held_out)
    words = ["--systems", "r2", "--trials", "0", "1", "--seeds", "0", "1"]
    record = made(tiny_run, tmp_path, *words)
    assert record["manifest"]["dataset"] == "synthetic-holdout"
    assert (tmp_path / "synthetic-holdout-systems-tiny.json").is_file()
    rows = [r for r in record["rows"] if r["group"] == "as retrieved"]
    first = [r for r in rows if r.get("seed") == 0]
    each = [r["mAP"] for r in first if r["trial"] in (0, 1)]
    (whole,) = (r for r in rows if r["trial"] == "all")
    spread = whole["spread"]
    assert whole["trials"] == len(each) == 2  # seeds are no trials
    assert spread["mAP"]["mean"] == pytest.approx(np.mean(each))
    assert spread["mAP"]["std"] == pytest.approx(np.std(each, ddof=1))
