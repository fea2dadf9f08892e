"""The training loop, on a problem whose answer is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from reidlib.data.batches import TensorBatches
from reidlib.errors import ReIDConfigError, ReIDError
from reidlib.training import loop
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.loop import LoopConfig, Task, fit, kept_row


def line_task(lr: float = 0.1, score=None) -> tuple[Task, nn.Linear, TensorBatches]:
    """Learn y = 3 x from points of that line."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 64)[:, None]
    network = nn.Linear(1, 1, bias=False)

    def phase(task, batch):
        loss = (task.prepared["line"](batch["x"]) - batch["y"]).square().mean()
        return loss, {"loss": loss}

    def validate() -> dict[str, float]:
        return {"score": -abs(float(network.weight.detach()) - 3)}

    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    task = Task(
        {"line": network},
        {"line": optimizer},
        {"line": phase},
        score or validate,
        lambda p: 1.0,
    )
    return task, network, TensorBatches(x=x, y=3 * x)


def test_the_loop_finds_the_slope_of_a_line() -> None:
    task, network, data = line_task()
    history = fit(task, data, LoopConfig(steps=200, batch=16, validations=4))
    assert float(network.weight.detach()) == pytest.approx(3, abs=1e-3)
    assert history["step"].tolist() == [50, 100, 150, 200]
    assert history["loss"].is_monotonic_decreasing


def test_one_step_is_the_gradient_step_done_by_hand() -> None:
    task, network, data = line_task(lr=0.5)
    start = float(network.weight.detach())
    fit(task, data, LoopConfig(steps=1, batch=64, validations=1))
    x = torch.linspace(-1, 1, 64)
    slope = float((2 * (start * x - 3 * x) * x).mean())
    assert float(network.weight.detach()) == pytest.approx(start - 0.5 * slope)


def test_equal_seeds_give_equal_weights_and_other_seeds_others() -> None:
    found = []
    for seed in (0, 0, 1):
        task, network, data = line_task(lr=0.01)
        fit(task, data, LoopConfig(steps=10, batch=4, validations=1), seed=seed)
        found.append(float(network.weight.detach()))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("keep", "row"), [("best", 1), ("last", 3)])
def test_the_weights_of_the_best_or_of_the_last_look_are_kept(keep, row) -> None:
    scores, weights = iter([1.0, 5.0, 2.0, 3.0]), []
    task, network, data = line_task(lr=0.05)

    def validate() -> dict[str, float]:
        weights.append(float(network.weight.detach()))
        return {"score": next(scores)}

    task.validate = validate
    config = LoopConfig(steps=40, batch=4, validations=4, keep=keep)
    history = fit(task, data, config)
    assert float(network.weight.detach()) == weights[row]
    assert kept_row(history)["step"] == 10 * (row + 1)


def test_patience_stops_after_so_many_looks_without_a_gain() -> None:
    task, _, data = line_task()
    scores = iter([1.0, 2.0, 1.5, 1.4, 9.0, 9.0])
    task.validate = lambda: {"score": next(scores)}
    config = LoopConfig(steps=60, batch=4, validations=6, patience=2)
    assert fit(task, data, config)["step"].tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize(
    ("scores", "best"), [([math.nan] * 3, 0), ([math.nan, 1.0, 0.5], 1)]
)
def test_a_score_that_is_no_number_never_beats_one(scores, best, keep) -> None:
    task, _, data = line_task()
    told = iter(scores)
    task.validate = lambda: {"score": next(told)}
    config = LoopConfig(steps=6, batch=4, validations=3, keep=keep)
    history = fit(task, data, config)
    assert history.attrs["kept"] == (best if keep == "best" else 2)


def test_networks_train_in_training_mode_and_are_left_in_evaluation_mode() -> None:
    task, network, data = line_task()
    modes = []
    inner = task.phases["line"]

    def phase(*arguments):
        modes.append(network.training)
        return inner(*arguments)

    task.phases = {"line": phase}
    fit(task, data, LoopConfig(steps=4, batch=4, validations=2))
    assert all(modes) and len(modes) == 4 and not network.training


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    task, _, data = line_task(lr=math.inf)
    with pytest.raises(ReIDError, match=r"toy: the loss 'loss' is (inf|nan) at step 2"):
        fit(task, data, LoopConfig(steps=9, batch=4), name="toy")


def test_micro_batches_add_up_to_the_whole_batch() -> None:
    found = []
    for parts in (1, 4):
        task, network, data = line_task(lr=0.05)
        config = LoopConfig(steps=5, batch=16, validations=1, accumulate=parts)
        history = fit(task, data, config)
        found.append((float(network.weight.detach()), history["loss"][0]))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_batch_that_cannot_be_divided_or_is_too_large_is_refused() -> None:
    task, _, data = line_task()
    with pytest.raises(ReIDConfigError, match="batch of 10 cannot be divided equally"):
        fit(task, data, LoopConfig(steps=2, batch=10, accumulate=4))
    with pytest.raises(ReIDConfigError, match="65"):
        fit(task, data, LoopConfig(steps=2, batch=65))


def test_the_average_of_the_weights_is_what_is_validated_and_kept() -> None:
    task, network, data = line_task(lr=0.05)
    weights, looked = [float(network.weight.detach())], []
    inner = task.phases["line"]

    def phase(*arguments):
        weights.append(float(network.weight.detach()))
        return inner(*arguments)

    task.phases = {"line": phase}
    task.average = {"line": 0.9}

    def validate() -> dict[str, float]:
        looked.append(float(network.weight.detach()))
        return {"score": 0.0}

    task.validate = validate
    fit(task, data, LoopConfig(steps=6, batch=8, validations=2, keep="last"))
    # By hand: the weights before step 2, 3, ... are those after step 1, 2, ...
    average = weights[0]
    for step, weight in enumerate(weights[2:], start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
        if step == 3:
            assert looked[0] == pytest.approx(average, rel=1e-5)
    assert float(network.weight.detach()) == looked[1] != weights[-1]


def test_an_alarm_sees_every_look_and_stops_the_run() -> None:
    task, _, data = line_task()

    def alarm(rows):
        if len(rows) == 2:
            raise ReIDError(f"collapsed at step {rows[-1]['step']}")

    task.alarm = alarm
    with pytest.raises(ReIDError, match="collapsed at step 4"):
        fit(task, data, LoopConfig(steps=8, batch=4, validations=4))


@pytest.mark.parametrize("error", [ReIDError, KeyboardInterrupt])
def test_a_run_that_is_stopped_closes_its_bar_and_its_checkpoint(
    error, tmp_path, monkeypatch
) -> None:
    closed = []

    class Bar(loop.tqdm):
        def close(self) -> None:
            closed.append("bar")
            super().close()

    class Kept(Checkpoint):
        def close(self) -> None:
            super().close()
            closed.append("checkpoint")

    def alarm(rows):
        raise error

    monkeypatch.setattr(loop, "tqdm", Bar)
    task, _, data = line_task()
    task.alarm = alarm
    config = LoopConfig(steps=8, batch=4, validations=4)
    checkpoint = Kept(tmp_path / "c", every=0.0)
    with pytest.raises(error):
        fit(task, data, config, checkpoint=checkpoint)
    assert {"bar", "checkpoint"} <= set(closed)
    assert Checkpoint(tmp_path / "c").load()[1]["step"] == 1  # before the alarm


def test_no_number_in_double_precision_is_sent_to_the_device(monkeypatch) -> None:
    """Apple's GPUs do not take it."""
    inner = torch.Tensor.to

    def to(tensor, *arguments, **named):
        assert tensor.dtype != torch.float64
        return inner(tensor, *arguments, **named)

    monkeypatch.setattr(torch.Tensor, "to", to)
    task, _, data = line_task()
    history = fit(task, data, LoopConfig(steps=4, batch=4, validations=2))
    assert history["loss"].notna().all()


def test_the_cost_counts_the_operations_of_a_step() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3000, 500, bias=False)

    def phase(task, batch):
        loss = task.prepared["net"](batch["x"]).square().mean()
        return loss, {"loss": loss}

    task = Task(
        {"net": network},
        {"net": torch.optim.SGD(network.parameters(), 1e-6)},
        {"net": phase},
        lambda: {"score": 0.0},
        lambda p: 1.0,
    )
    data = TensorBatches(x=torch.randn(64, 3000))
    history = fit(task, data, LoopConfig(steps=20, batch=8, validations=1))
    cost = history.attrs["cost"]
    # Forward and the gradient of the weights: two products of 2 x 3000 x 500 each.
    assert cost["gflop_per_image"] == round(2 * 2 * 3000 * 500 / 1e9, 3) > 0
    assert cost["images_per_s"] > 0 and cost["peak_memory_mb"] > 0
    assert 0 <= cost["flop_utilisation"] <= 1.5


def test_bfloat16_trains_where_the_machine_has_it_and_says_so_where_not(caplog) -> None:
    from reidlib.training.precision import has_bf16

    task, network, data = line_task()
    config = LoopConfig(steps=200, batch=16, validations=1, precision="bf16")
    with caplog.at_level("WARNING"):
        history = fit(task, data, config)
    there = has_bf16(torch.device("cpu"))
    assert float(network.weight.detach()) == pytest.approx(3, abs=0.05)
    assert history.attrs["cost"]["precision"] == ("bf16" if there else "fp32")
    assert ("no bfloat16 instructions" in caplog.text) is not there


def test_a_process_that_does_not_save_pauses_for_looks_only(
    tmp_path, monkeypatch
) -> None:
    other = SimpleNamespace(
        device=torch.device("cpu"), is_main_process=False, process_index=0,
        num_processes=1, wait_for_everyone=lambda: None,
    )  # fmt: skip
    pauses, inner = [], loop.Meter.paused
    monkeypatch.setattr(loop, "processes", lambda: other)
    monkeypatch.setattr(loop.Meter, "paused", lambda m: pauses.append(1) or inner(m))
    task, _, data = line_task()
    checkpoint = Checkpoint(tmp_path / "c", every=0.0)
    config = LoopConfig(steps=12, batch=4, validations=2)
    fit(task, data, config, checkpoint=checkpoint)
    assert len(pauses) == 2
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("name", ["steps", "batch", "validations", "accumulate"])
def test_a_setting_below_one_is_refused_by_its_name(name) -> None:
    settings = {"steps": 4, "batch": 4, name: 0}
    with pytest.raises(ReIDConfigError, match=f"{name} is 0; set --config.{name} to 1"):
        LoopConfig(**settings)


def test_negative_patience_is_refused() -> None:
    with pytest.raises(
        ReIDConfigError, match=r"patience is -1; set --config\.patience"
    ):
        LoopConfig(steps=4, batch=4, patience=-1)


@pytest.mark.parametrize(("batch", "parts"), [(1, 1), (4, 4)])
def test_one_picture_is_not_batch_normalised(batch: int, parts: int) -> None:
    task, network, data = line_task()
    config = LoopConfig(steps=1, batch=batch, accumulate=parts, validations=1)
    fit(task, data, config)  # without such a layer it may be one
    task.networks["line"] = nn.Sequential(network, nn.BatchNorm1d(1))
    with pytest.raises(ReIDConfigError, match="cannot be batch-normalised; set"):
        fit(task, data, config)
