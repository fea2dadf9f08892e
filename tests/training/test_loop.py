"""The training loop, on a problem whose answer is known."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from reidlib.errors import ReIDError
from reidlib.training.loop import LoopConfig, Task, best_row, fit


def line_task(lr: float = 0.1, score=None) -> tuple[Task, nn.Linear, TensorDataset]:
    """Learn y = 3 x from points of that line."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 64)[:, None]
    network = nn.Linear(1, 1, bias=False)

    def step(task, batch, backward):
        loss = (task.prepared["line"](batch[0]) - batch[1]).square().mean()
        task.optimizers["line"].zero_grad()
        backward(loss)
        task.optimizers["line"].step()
        return {"loss": loss}

    def validate() -> dict[str, float]:
        return {"score": -abs(float(network.weight.detach()) - 3)}

    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    task = Task(
        {"line": network}, {"line": optimizer}, step, score or validate, lambda p: 1.0
    )
    return task, network, TensorDataset(x, 3 * x)


def test_the_loop_finds_the_slope_of_a_line() -> None:
    task, network, data = line_task()
    history = fit(task, data, LoopConfig(steps=200, batch=16, validations=4))
    assert float(network.weight.detach()) == pytest.approx(3, abs=1e-3)
    assert history["step"].tolist() == [50, 100, 150, 200]
    assert history["loss"].is_monotonic_decreasing


def test_equal_seeds_give_equal_weights_and_other_seeds_others() -> None:
    found = []
    for seed in (0, 0, 1):
        task, network, data = line_task(lr=0.01)
        fit(task, data, LoopConfig(steps=10, batch=4, validations=1), seed=seed)
        found.append(float(network.weight.detach()))
    assert found[0] == found[1] != found[2]


def test_the_weights_with_the_best_score_are_kept() -> None:
    scores, weights = iter([1.0, 5.0, 2.0, 3.0]), []
    task, network, data = line_task(lr=0.05)

    def validate() -> dict[str, float]:
        weights.append(float(network.weight.detach()))
        return {"score": next(scores)}

    task.validate = validate
    history = fit(task, data, LoopConfig(steps=40, batch=4, validations=4))
    assert float(network.weight.detach()) == weights[1]
    assert best_row(history)["step"] == 20


def test_patience_stops_after_so_many_looks_without_a_gain() -> None:
    task, _, data = line_task()
    scores = iter([1.0, 2.0, 1.5, 1.4, 9.0, 9.0])
    task.validate = lambda: {"score": next(scores)}
    config = LoopConfig(steps=60, batch=4, validations=6, patience=2)
    assert fit(task, data, config)["step"].tolist() == [10, 20, 30, 40]


def test_networks_train_in_training_mode_and_are_left_in_evaluation_mode() -> None:
    task, network, data = line_task()
    modes = []
    inner = task.step

    def step(*arguments):
        modes.append(network.training)
        return inner(*arguments)

    task.step = step
    fit(task, data, LoopConfig(steps=4, batch=4, validations=2))
    assert all(modes) and len(modes) == 4 and not network.training


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    task, _, data = line_task(lr=math.inf)
    with pytest.raises(ReIDError, match=r"toy: the loss 'loss' is (inf|nan) at step 2"):
        fit(task, data, LoopConfig(steps=9, batch=4), name="toy")


def test_the_best_row_is_plain_numbers() -> None:
    history = pd.DataFrame({"step": [1, 2], "score": [0.5, 0.25]})
    assert best_row(history) == {"step": 1.0, "score": 0.5}
