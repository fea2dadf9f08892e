"""The one training loop: every stage brings its step, the loop brings the rest."""

import copy
import logging
import math
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, RandomSampler
from tqdm.auto import tqdm

from reidlib.errors import ReIDError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, and when to look and stop.

    Attributes:
        steps: optimiser steps; the schedule runs over them.
        batch: pictures (or pairs) a step.
        validations: how often to look at held-out training identities.
        patience: looks without a gain before stopping; 0: never stop early.
    """

    steps: int
    batch: int
    validations: int = 10
    patience: int = 0


@dataclass
class Task:
    """What one stage hands to the loop.

    Attributes:
        networks: name → module to train; the loop wraps and restores them.
        optimizers: name → optimiser over their parameters.
        step: (networks, batch, backward) → optimisers' losses by name. It must call
            ``backward(loss)`` and step its optimisers itself.
        validate: () → numbers, with "score" among them (higher is better).
        schedule: progress in [0, 1] → factor on the learning rate.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    step: Callable[["Task", Any, Callable[[Tensor], None]], dict[str, Tensor]]
    validate: Callable[[], dict[str, float]]
    schedule: Callable[[float], float]
    prepared: dict[str, Any] = field(default_factory=dict)


def best_row(history: pd.DataFrame) -> dict[str, float]:
    """The numbers at the highest score, the ones the kept weights have."""
    best = history.iloc[int(history["score"].to_numpy().argmax())]
    return {str(name): float(value) for name, value in best.items()}


def fit(
    task: Task, dataset: Dataset, config: LoopConfig, *, seed: int = 0, name: str = ""
) -> pd.DataFrame:
    """Train, and leave the networks with their best validated weights.

    Runs on whatever ``accelerate launch`` set up: one CPU, one GPU, several.

    Returns:
        One row per validation: step, mean losses since the last, validation numbers.

    Raises:
        ReIDError: a loss is no longer a finite number.
    """
    set_seed(seed)
    accelerator = Accelerator()
    loader = accelerator.prepare(_endless(dataset, config, seed))
    for key, network in task.networks.items():
        task.prepared[key] = accelerator.prepare(network)
    task.optimizers = {k: accelerator.prepare(o) for k, o in task.optimizers.items()}
    schedulers = [
        LambdaLR(o, lambda s: task.schedule(s / config.steps))
        for o in task.optimizers.values()
    ]
    every = max(1, config.steps // config.validations)
    rows: list[dict[str, float]] = []
    best, best_state, losses = -math.inf, {}, []
    with tqdm(desc=name, total=config.steps, mininterval=2) as bar:
        for step, batch in enumerate(loader, start=1):
            _mode(task.networks, training=True)
            made = task.step(task, batch, accelerator.backward)
            losses.append(_finite(made, name, step))
            for scheduler in schedulers:
                scheduler.step()
            bar.update()
            if step % every and step != config.steps:
                continue
            _mode(task.networks, training=False)
            row = {"step": step, **_means(losses), **task.validate()}
            rows.append(row)
            losses = []
            bar.set_postfix(_shown(row), refresh=False)
            log.info("%s %s", name, row)
            if row["score"] > best:
                best, best_state = row["score"], _state(task.networks)
            elif config.patience and _looks_without_gain(rows) >= config.patience:
                log.info("%s stops early at step %d", name, step)
                break
    for key, network in task.networks.items():
        network.load_state_dict(best_state[key])
        network.eval()
    return pd.DataFrame(rows)


def _endless(dataset: Dataset, config: LoopConfig, seed: int) -> DataLoader:
    """Whole shuffled passes one after another, exactly ``steps`` batches."""
    generator = torch.Generator().manual_seed(seed)
    count = config.steps * config.batch
    sized = cast(Sized, dataset)
    sampler = RandomSampler(sized, num_samples=count, generator=generator)
    return DataLoader(dataset, config.batch, sampler=sampler)


def _finite(losses: dict[str, Tensor], name: str, step: int) -> dict[str, float]:
    values = {k: float(v.detach()) for k, v in losses.items()}
    for key, value in values.items():
        if not math.isfinite(value):
            raise ReIDError(
                f"{name}: the loss '{key}' is {value} at step {step}; "
                "lower the learning rate or look at the data."
            )
    return values


def _shown(row: dict[str, float]) -> dict[str, str]:
    return {key: f"{value:.3g}" for key, value in row.items() if key != "step"}


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in losses])) for key in losses[0]}


def _looks_without_gain(rows: list[dict[str, float]]) -> int:
    scores = [row["score"] for row in rows]
    return len(scores) - 1 - int(np.argmax(scores))


def _mode(networks: dict[str, nn.Module], *, training: bool) -> None:
    for network in networks.values():
        network.train(training)


def _state(networks: dict[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    return {k: copy.deepcopy(n.state_dict()) for k, n in networks.items()}


class Predict(nn.Module):
    """Makes ``predict`` a forward, so that several GPUs see it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of the network's training head."""
        return cast(Any, self.network).predict(*inputs)
