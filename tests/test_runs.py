"""Run folders: parameters checked, stages reused only when nothing changed."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from reidlib import manifests, repeatable, runs
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import Made
from reidlib.profiles import PROFILES
from reidlib.runs import Run
from reidlib.training import distributed


def counted(calls: list[int]) -> Made:
    calls.append(1)
    return Made({"x": torch.full((2,), float(len(calls)))}, metrics={"y": 0.5})


def test_a_finished_stage_is_reused_and_a_changed_config_is_not(tiny_run: Run) -> None:
    calls: list[int] = []
    first = tiny_run.stage("reuse", {"lr": 1}, lambda _: counted(calls))
    again = tiny_run.stage("reuse", {"lr": 1}, lambda _: counted(calls))
    assert len(calls) == 1 and first.key == again.key
    other = tiny_run.stage("reuse", {"lr": 2}, lambda _: counted(calls))
    assert len(calls) == 2 and other.key != first.key
    assert other.tensors["x"].tolist() == [2.0, 2.0]
    assert other.metrics == {"y": 0.5}


@pytest.mark.parametrize("changed", ["seed", "data", "code", "inputs"])
def test_seed_data_code_and_inputs_each_make_a_stage_stale(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    calls: list[int] = []
    name = f"stale-{changed}"
    source = tiny_run.stage("source", {}, lambda _: counted([]))
    tiny_run.stage(name, {}, lambda _: counted(calls), folder=tiny_run.folder)
    run, options = tiny_run, {}
    if changed == "seed":
        run = replace(tiny_run, seed=1)
    if changed == "data":
        options = {"data": "another"}
    if changed == "code":
        monkeypatch.setattr(runs, "code_digest", lambda: "another")
    if changed == "inputs":
        options = {"inputs": (source,)}
    run.stage(name, {}, lambda _: counted(calls), folder=tiny_run.folder, **options)
    assert len(calls) == 2


def test_a_stage_belongs_to_the_very_weights_that_it_was_made_from(
    tiny_run: Run,
) -> None:
    """Training on another machine gives other weights, though nothing else differs."""
    calls: list[int] = []

    def source(value: float) -> Made:
        return Made({"x": torch.full((2,), value)})

    one = tiny_run.stage("weights", {}, lambda _: source(1.0))
    made = tiny_run.stage("above", {}, lambda _: counted(calls), inputs=(one,))
    shutil.rmtree(one.folder)
    other = tiny_run.stage("weights", {}, lambda _: source(1.001))
    assert other.key == one.key
    again = tiny_run.stage("above", {}, lambda _: counted(calls), inputs=(other,))
    assert len(calls) == 2 and again.key != made.key


def test_a_stage_that_fails_leaves_nothing_and_keeps_what_was_there(
    tiny_run: Run,
) -> None:
    def fails(_) -> Made:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        tiny_run.stage("fails", {}, fails)
    assert not (tiny_run.folder / "fails").exists()
    kept = tiny_run.stage("kept", {}, lambda _: counted([]))
    with pytest.raises(RuntimeError):
        tiny_run.stage("kept", {"new": 1}, fails)
    assert kept.tensors["x"].tolist() == [1.0, 1.0]


def test_a_manifest_says_from_what_and_where(tiny_run: Run) -> None:
    stage = tiny_run.stage("told", {"lr": 1}, lambda _: counted([]))
    wanted = {"config", "data", "code", "inputs", "seed", "versions", "device"}
    assert wanted <= stage.manifest.keys()
    assert {"wall_s", "peak_memory_mb", "threads"} <= stage.manifest.keys()
    on_disk = json.loads((stage.folder / "manifest.json").read_text())
    assert on_disk == stage.manifest


def test_a_profile_that_must_repeat_computes_on_the_cpu_beside_a_gpu(
    world: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "")  # and back as it was after the test
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    monkeypatch.setattr(repeatable, "_undo", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(distributed, "PartialState", lambda cpu: cpu)
    assert not distributed.processes()
    runs.begin("tests", root=str(world), profile="tiny")
    assert distributed.processes()


@pytest.mark.parametrize("repeats", [True, False])
def test_a_gpu_tries_its_kernels_where_a_rerun_need_not_agree(
    world: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch, repeats: bool
) -> None:
    other = replace(PROFILES["tiny"], deterministic=repeats)
    monkeypatch.setitem(PROFILES, "tiny", other)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", repeats)  # put back after
    monkeypatch.setattr(repeatable, "_undo", [])
    runs.begin("tests", root=str(world), profile="tiny")
    assert torch.backends.cudnn.benchmark is not repeats


def test_an_unknown_papermill_parameter_is_refused(world: Path) -> None:
    cells = {"dataset": "synthetic", "rooot": "x", "In": [], "_private": 1, "np": runs}
    with pytest.raises(ReIDConfigError, match="04_x has no parameter rooot; it takes"):
        runs.begin("04_x", root=str(world), namespace=cells)


def test_a_profile_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ReIDConfigError, match="no profile 'huge'; choose one of smoke"):
        runs.begin("x", profile="huge")


def test_a_real_data_set_needs_its_root() -> None:
    with pytest.raises(ReIDConfigError, match="market1501 needs root"):
        runs.begin("x", dataset="market1501")


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReIDDataError, match="nowhere"):
        runs.begin("x", dataset="market1501", root=str(tmp_path / "nowhere"))


def test_results_carry_protocol_seed_and_versions(tiny_run: Run) -> None:
    path = tiny_run.record("00_test", {"mAP": torch.tensor(0.5)})
    written = json.loads(path.read_text())
    assert written["results"] == {"mAP": 0.5}
    manifest = written["manifest"]
    assert manifest["protocol"] == "market1501" and manifest["seed"] == 0
    assert "torch" in manifest["versions"]


def test_the_code_digest_ignores_what_cannot_change_training() -> None:
    trained = manifests.code_digest()
    assert trained != manifests.code_digest(("retrieval",))
    assert "plots" not in manifests.TRAINED_BY


def test_the_holdout_protocol_gets_a_folder_of_its_own() -> None:
    assert runs.dataset_key("market1501", "holdout") == "market1501-holdout"
    assert runs.dataset_key("market1501", "market1501") == "market1501"


def test_every_protocol_and_trial_has_a_folder_of_its_own(tmp_path, tiny_home) -> None:
    assert runs.dataset_key("dukemtmc", "market1501") == "dukemtmc"
    assert runs.dataset_key("cuhk01", "cuhk01-100") == "cuhk01-100"
    assert runs.dataset_key("cuhk03", "holdout") == "cuhk03-holdout"
    key = runs.dataset_key("folder-a", "holdout-no-cameras")
    assert key == "folder-a-holdout-no-cameras"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        for folder in ("our hall", "court"):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 8)).save(path)
    home = {"dataset": "folder", "profile": "tiny"}
    run = runs.begin("x", root=str(tmp_path / "court"), **home)
    assert run.folder.parts[-2:] == ("folder-court-holdout-no-cameras", "tiny")
    run = runs.begin("x", root=str(tmp_path / "our hall"), trial=3, **home)
    place = "folder-our-hall-holdout-no-cameras-trial3"
    assert run.folder.parts[-2:] == (place, "tiny")
    features = {
        s: torch.eye(2)[: len(getattr(run.data, s))] for s in ("query", "gallery")
    }
    assert run.evaluate(features["query"], features["gallery"]).mAP == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").write_text('{"key": "abc'),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        lambda folder: (folder / "weights.safetensors").unlink(),
        lambda folder: (folder / "weights.safetensors").write_bytes(b"cut"),
    ],
)
def test_a_damaged_stage_is_made_again(damage, tiny_run: Run) -> None:
    calls: list[int] = []
    stage = tiny_run.stage("damaged", {}, lambda _: counted(calls))
    made = len(calls)
    damage(stage.folder)
    again = tiny_run.stage("damaged", {}, lambda _: counted(calls))
    assert len(calls) == made + 1
    assert again.tensors["x"].tolist() == [float(len(calls))] * 2


def test_weights_that_another_run_replaced_are_not_taken_for_ones_own(
    tiny_run: Run,
) -> None:
    mine = tiny_run.stage("both", {"lr": 1}, lambda _: counted([]))
    tiny_run.stage("both", {"lr": 2}, lambda _: counted([1]))
    with pytest.raises(ReIDDataError, match="was made anew by another run"):
        _ = mine.tensors


def test_two_writers_of_one_record_leave_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    contents = [{"x": [n] * 2000} for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            list(pool.map(lambda c: manifests.write_json(path, c), contents))
            assert json.loads(path.read_text()) in contents
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_a_run_that_need_not_repeat_gets_back_what_another_had_fixed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeatable, "_undo", [])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "")
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    try:
        for _ in range(2):
            repeatable.repeatable(True)
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            assert os.environ["ACCELERATE_USE_CPU"] == "1"
        repeatable.repeatable(False)
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        assert "ACCELERATE_USE_CPU" not in os.environ
        repeatable.repeatable(True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        cpu = SimpleNamespace(device=torch.device("cpu"))
        monkeypatch.setattr(repeatable, "processes", lambda: cpu)
        with pytest.raises(ReIDConfigError, match="restart the kernel"):
            repeatable.repeatable(False)
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


@pytest.mark.parametrize("name", [*PROFILES])
def test_nobody_is_judged_whom_another_stage_has_learned_from(name: str) -> None:
    profile = PROFILES[name]
    configs = [profile.encoder, profile.ptgan, profile.fusion, profile.ablation_fusion]
    configs += [profile.second] if profile.second else []
    assert len({config.held_out for config in configs}) == 1
