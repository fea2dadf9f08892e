"""Stages that could not be finished: a full disk, a kill, two runs in one folder."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reidlib import stages
from reidlib.errors import ReIDDataError
from reidlib.manifests import Made
from reidlib.models import files
from reidlib.runs import Run

ROOT = Path(__file__).parents[1]
RACER = """
import json, logging, sys, time
from pathlib import Path
import torch
from reidlib import runs
from reidlib.manifests import Made

world, out, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
logging.basicConfig(level=logging.INFO)
run = runs.begin("race", root=world)

def build(_):
    built = out / f"{name}.built"
    built.touch()
    for _ in range(600):  # until the other is about to ask as well
        time.sleep(0.05)
        if len(list(out.glob("ready-*"))) == 2:
            break
    time.sleep(2)
    return Made({"x": torch.full((2,), float(len(built.name)))})

(out / f"ready-{name}").touch()
stage = run.stage("raced", {}, build)
(out / name).write_text(json.dumps(stage.tensors["x"].tolist()))
"""


def full(*_) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def stopped(*_) -> None:
    raise KeyboardInterrupt


def made(value: float) -> Made:
    return Made({"x": torch.full((2,), value)})


def leftovers(run: Run, name: str) -> list[str]:
    found = (p.name for p in run.folder.iterdir() if name in p.name)
    return sorted(n for n in found if not n.endswith(".lock"))


def test_a_full_disk_keeps_the_stage_that_was_there(tiny_run, monkeypatch) -> None:
    before = tiny_run.stage("filled", {}, lambda _: made(1.0))
    with monkeypatch.context() as patch:
        patch.setattr(files, "save_file", full)
        with pytest.raises(ReIDDataError, match="No space left.*make room and run"):
            tiny_run.stage("filled", {"new": 1}, lambda _: made(2.0))
    assert leftovers(tiny_run, "filled") == ["filled"]
    assert before.tensors["x"].tolist() == [1.0, 1.0]
    after = tiny_run.stage("filled", {"new": 1}, lambda _: made(2.0))
    assert after.tensors["x"].tolist() == [2.0, 2.0]


def test_a_stage_on_a_full_disk_goes_on_from_its_checkpoint(
    tiny_run, monkeypatch
) -> None:
    """Killed after its training, before its files: nothing is trained twice."""
    profile = tiny_run.profile
    encoder = replace(profile.encoder, steps=6, validations=3)
    run = replace(tiny_run, profile=replace(profile, encoder=encoder), seed=7)
    run.folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("reidlib.training.checkpoint.Checkpoint.due", True)
    steps = []
    from reidlib.training import loop

    inner = loop._step
    monkeypatch.setattr(loop, "_step", lambda *a: steps.append(1) or inner(*a))
    stages.r1(run)
    steps.clear()
    with monkeypatch.context() as patch:
        patch.setattr("reidlib.manifests.write_weights", full)
        with pytest.raises(ReIDDataError, match="an unfinished one goes on"):
            stages.r2(run)
    assert len(steps) == 6
    assert leftovers(run, "r2") == [".r2.checkpoint"]
    stage = stages.r2(run).stage
    assert len(steps) == 6, "the second call trains nothing"
    assert leftovers(run, "r2") == ["r2"]
    assert stage.metrics["step"] in (2, 4, 6)


def test_two_runs_in_one_folder_make_a_stage_once(tiny_run, caplog) -> None:
    calls, started = [], threading.Event()

    def slowly(_) -> Made:
        calls.append(1)
        started.set()
        time.sleep(0.5)
        return made(3.0)

    first = threading.Thread(target=tiny_run.stage, args=("twice", {}, slowly))
    first.start()
    started.wait(10)
    with caplog.at_level("INFO"):
        second = tiny_run.stage("twice", {}, slowly)
    first.join()
    assert calls == [1]
    assert second.tensors["x"].tolist() == [3.0, 3.0]
    assert "another run is at work on twice; waiting for it" in caplog.text
    assert "twice is reused" in caplog.text


def test_an_interrupted_stage_leaves_nothing_that_looks_finished(tiny_run) -> None:
    with pytest.raises(KeyboardInterrupt):
        tiny_run.stage("stopped", {}, stopped)
    assert leftovers(tiny_run, "stopped") == []
    again = tiny_run.stage("stopped", {}, lambda _: made(1.0))
    assert again.tensors["x"].tolist() == [1.0, 1.0]


def test_two_processes_that_make_one_stage_wait_for_each_other(tmp_path, world) -> None:
    """Started at the same time, on one folder: one builds, the other reuses."""
    command = [sys.executable, "-c", RACER, str(world), str(tmp_path)]
    home = {"REIDLIB_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen(
            [*command, name], env=os.environ | home, stderr=subprocess.PIPE, text=True
        )
        for name in ("first", "second")
    ]
    said = [racer.communicate(timeout=120)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], said
    (builder,) = [p.name for p in tmp_path.glob("*.built")]
    found = [json.loads((tmp_path / n).read_text()) for n in ("first", "second")]
    assert found[0] == found[1] == [float(len(builder))] * 2
    waiter = said[builder == "first.built"]
    assert "another run is at work on raced; waiting for it" in waiter
    assert "raced is reused" in waiter
