"""Two processes that train as one (gloo, on CPUs)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.launch import train_on
from reidlib.training import distributed
from reidlib.training.distributed import everyone, shares

SCRIPT = Path(__file__).with_name("processes.py")
ROOT = SCRIPT.parents[2]


def launched(processes: int, what: str, out: Path, *more: str) -> list[dict]:
    """What every process of ``processes.py`` found."""
    out.mkdir(exist_ok=True)
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "accelerate.commands.launch", "--multi_gpu"]
        command += ["--num_processes", str(processes), "--num_machines", "1"]
        command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
        command += ["--main_process_port", "0"]
    home = {"REIDLIB_HOME": str(out / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(SCRIPT), what, str(out), *more],
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(p.read_text()) for p in sorted(out.glob(f"{what}-*.json"))]
    assert [f["processes"] for f in found] == [processes] * processes
    return [f["found"] for f in found]


def close(one, other) -> bool:
    """Equal but for rounding, which Adam makes larger where gradients are tiny.

    Measures of pictures are small after four steps: 1e-4 is a twenty-thousandth of the
    pictures' range.
    """
    if isinstance(one, dict):
        return list(one) == list(other) and all(close(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, str):
        return one == other
    return one == pytest.approx(other, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("what", ["gan", "gathered", "judge"])
def test_two_processes_lose_what_one_does(tmp_path, what) -> None:
    (alone,) = launched(1, what, tmp_path / "one")
    first, second = launched(2, what, tmp_path / "two")
    assert first == second
    assert close(alone, first), (alone, first)


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_wait_for_another_run_however_long(tmp_path, processes) -> None:
    found = launched(processes, "queue", tmp_path)
    assert found == [{"waited": True}] * processes


def test_two_processes_make_every_stage_once_and_agree(tmp_path, world) -> None:
    (alone,) = launched(1, "stage", tmp_path / "one", str(world))
    first, second = launched(2, "stage", tmp_path / "two", str(world))
    assert first == second
    assert first["left"] == alone["left"]
    assert not [n for n in first["left"] if n.endswith((".part", ".checkpoint"))]


def test_a_notebook_finds_what_its_processes_have_made(tmp_path, world) -> None:
    launch = launched(2, "stage", tmp_path / "one", str(world))[0]
    (found,) = launched(1, "notebook", tmp_path / "two", str(world))
    assert found["workers"] == ["worker-0-of-2", "worker-1-of-2"]
    assert "ptgan is reused" in found["log"] and "is being made" not in found["log"]
    assert close(launch, {name: found[name] for name in launch})
    assert "A process of train_on has failed: ReIDDataError: " in found["failed"]
    assert "absent does not exist" in found["failed"]


def test_processes_that_cannot_be_started_are_refused(monkeypatch) -> None:
    with pytest.raises(ReIDConfigError, match="no stage 'r3'; choose one of r1, r2"):
        train_on(2, stage="r3")
    with pytest.raises(ReIDConfigError, match="0 processes cannot .* give 1 or more"):
        train_on(0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ReIDConfigError, match="give 1 to 2, one for each GPU"):
        train_on(3)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(ReIDConfigError, match="restart the notebook and call train_on"):
        train_on(2)


def test_one_process_trains_where_it_is_called(tiny_run) -> None:
    train_on(1, root=str(tiny_run.data.root), profile="tiny", stage="poses")
    assert (tiny_run.folder / "poses-body-gmm-2" / "manifest.json").is_file()


def test_a_batch_is_divided_equally_or_refused() -> None:
    assert shares(12, 3) == [slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(ReIDConfigError, match="multiple of 5"):
        shares(12, 5)


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "cpu"),
    [
        ("", False, False, True), ("", True, False, False), ("", False, True, False),
        ("1", True, False, True), ("1", False, True, True),
    ],
)  # fmt: skip
def test_the_cpu_serves_where_it_is_asked_for_or_alone(
    asked, cuda, mps, cpu, monkeypatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", asked or "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(distributed, "PartialState", lambda cpu: cpu)
    assert distributed.processes() is cpu


def test_one_process_gathers_nothing() -> None:
    values = torch.randn(3, 2, requires_grad=True)
    assert everyone(values) is values
