"""The one training loop: every stage brings its losses, the loop brings the rest.

A batch is a pure function of (seed, step): which pictures, how they are augmented,
which units drop out. So a run that was killed goes on to the same result, bit for bit
on one CPU, and several processes compute what one would.
"""

import copy
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from reidlib.data.draws import Draws
from reidlib.data.sampling import Passes
from reidlib.data.splits import integer_hash
from reidlib.errors import ReIDError
from reidlib.training.averaging import Average
from reidlib.training.checkpoint import (
    Checkpoint,
    optimizer_tensors,
    part_of,
    restore_optimizer,
)
from reidlib.training.cost import Meter
from reidlib.training.distributed import (
    average_gradients,
    mean_over_processes,
    processes,
    shared_statistics,
    shares,
)
from reidlib.training.precision import Precision, prepare, usable

log = logging.getLogger(__name__)

Batch = dict[str, Any]
Phase = Callable[["Task", Batch], tuple[Tensor, dict[str, Tensor]]]
Rows = list[dict[str, float]]


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, when to look and stop, and with what means.

    Attributes:
        steps: optimiser steps; the schedule runs over them.
        batch: pictures (or pairs) a step, over all processes.
        validations: how often to look at held-out training identities.
        patience: looks without a gain before stopping; 0: never stop early.
        keep: the weights to keep: of the "best" look, or the "last".
        precision: "bf16" where the device has the instructions.
        compile: by ``torch.compile``: worth its minute in long runs on a GPU.
        accumulate: micro-batches that a step's batch is computed in, to save memory.
    """

    steps: int
    batch: int
    validations: int = 10
    patience: int = 0
    keep: Literal["best", "last"] = "best"
    precision: Precision = "fp32"
    compile: bool = False
    accumulate: int = 1


class Data(Protocol):
    """What the loop trains on; see ``reidlib.data.batches``."""

    def __len__(self) -> int:
        """Number of items."""

    def batch(self, items: Tensor, draws: Draws) -> Batch:
        """The batch of these items, augmented by these random numbers."""

    def to(self, device: torch.device) -> None:
        """Move the pictures to where the networks are."""


@dataclass
class Task:
    """What one stage hands to the loop.

    Attributes:
        networks: name → module to train; the loop moves, saves and restores them.
        optimizers: name → optimiser over their parameters.
        phases: optimiser's name → (the loss it lowers, losses to record) of a batch;
            a step runs them in this order.
        validate: () → numbers, with "score" among them (higher is better).
        schedule: progress in [0, 1] → factor on the learning rate.
        frozen: name → module that the phases use and nobody trains.
        average: name of a network → decay of the exponential moving average of its
            weights, which is then what is validated and kept.
        alarm: told the history after every look; raises where training has collapsed.
        prepared: filled by the loop: name → how a phase must call the network.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    phases: Mapping[str, Phase]
    validate: Callable[[], dict[str, float]]
    schedule: Callable[[float], float]
    frozen: dict[str, nn.Module] = field(default_factory=dict)
    average: dict[str, float] = field(default_factory=dict)
    alarm: Callable[[Rows], None] | None = None
    prepared: dict[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass
class Progress:
    """Where a run is, apart from the state of its networks and optimisers."""

    step: int = 0
    rows: Rows = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    since: int = 0
    best: float = -math.inf
    kept: int = -1
    kept_state: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def kept_row(history: pd.DataFrame) -> dict[str, float]:
    """The numbers of the look whose weights were kept."""
    row = history.iloc[history.attrs["kept"]]
    return {str(name): float(value) for name, value in row.items()}


def fit(
    task: Task,
    data: Data,
    config: LoopConfig,
    *,
    seed: int = 0,
    name: str = "",
    sampler: Callable[[int], Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train, and leave the networks with the weights to keep, on the CPU.

    Runs on whatever ``accelerate launch`` set up: one CPU, one GPU, several.

    Args:
        sampler: step (from 0) → items of the global batch; whole shuffled passes if None.
        checkpoint: where to save, and to go on from.

    Returns:
        One row per look: step, mean losses since the last, validation numbers.
        ``attrs["kept"]`` is the row of the kept weights, ``attrs["cost"]`` the cost.

    Raises:
        ReIDError: a loss is no longer a finite number, or the task's alarm.
        ReIDConfigError: a batch larger than the data, or not divisible.
    """
    state = processes()
    sampler = sampler or Passes(len(data), config.batch, seed)
    rows = shares(config.batch, config.accumulate)
    precision = usable(config.precision, state.device)
    for key, network in (task.networks | task.frozen).items():
        task.prepared[key] = prepare(network, state.device, precision, config.compile)
    for network in task.frozen.values():
        network.eval().requires_grad_(False)
    data.to(state.device)
    averages = {k: Average(task.networks[k], d) for k, d in task.average.items()}
    progress = _resumed(task, averages, checkpoint) if checkpoint else Progress()
    every = max(1, config.steps // config.validations)
    meter = Meter(config.batch, precision, state)
    bar = _bar(name, config.steps, progress.step)
    fresh: list[dict[str, Tensor]] = []
    while progress.step < config.steps and not _enough(progress.rows, config):
        step = progress.step + 1
        for optimizer in task.optimizers.values():
            _slow(optimizer, task.schedule((step - 1) / config.steps))
        items = sampler(step - 1)
        batches = [
            _batch(data, items, Draws(seed, step, len(items), r, state.device))
            for r in rows
        ]
        # What drops out; every process drops its own.
        torch.manual_seed(integer_hash(seed, step, state.process_index) >> 1)
        _mode(task.networks, training=True)
        with (
            meter.counted(counting=not config.compile),
            shared_statistics(task.networks.values()),
        ):
            fresh.append(_step(task, batches))
        for average in averages.values():
            average.update()
        progress.step = step
        bar.update()
        looks = step % every == 0 or step == config.steps
        saves = checkpoint is not None and checkpoint.due
        if looks or saves or state.device.type == "cpu" or len(fresh) == 50:
            _add(progress, fresh, name)  # reading losses makes a GPU wait
            fresh = []
        with meter.paused() if looks or saves else nullcontext():
            if looks:
                _mode(task.networks, training=False)
                with _averaged(averages):
                    _look(task, progress, config, name)
                bar.set_postfix(_shown(progress.rows[-1]), refresh=False)
                if checkpoint and state.is_main_process:
                    checkpoint.tell(progress.rows[-1])
                if task.alarm:
                    task.alarm(progress.rows)
            if checkpoint and saves and state.is_main_process:
                _save(task, averages, progress, checkpoint)
    bar.close()
    if checkpoint:
        checkpoint.close()
    for key, network in task.networks.items():
        network.load_state_dict(progress.kept_state[key])
        network.eval().to("cpu")
    history = pd.DataFrame(progress.rows)
    history.attrs = {"kept": progress.kept, "cost": meter.cost()}
    return history


def _step(task: Task, batches: list[Batch]) -> dict[str, Tensor]:
    """One step of every optimiser; the mean losses over the micro-batches."""
    made: dict[str, Tensor] = {}
    for name, phase in task.phases.items():
        optimizer = task.optimizers[name]
        optimizer.zero_grad()
        for batch in batches:
            loss, shown = phase(task, batch)
            (loss / len(batches)).backward()
            for key, value in shown.items():
                made[key] = made.get(key, 0) + value.detach() / len(batches)
        average_gradients(p for g in optimizer.param_groups for p in g["params"])
        optimizer.step()
    return made


def _batch(data: Data, items: Tensor, draws: Draws) -> Batch:
    """The rows of this process, with the draws that are left for the losses."""
    return data.batch(items[draws.rows], draws) | {"draws": draws}


def _look(task: Task, progress: Progress, config: LoopConfig, name: str) -> None:
    """Validate, and keep the weights if they are the ones to keep."""
    sums = torch.tensor(list(progress.sums.values()), dtype=torch.float64)
    sums = mean_over_processes(sums.to(processes().device))
    means = dict(zip(progress.sums, (sums / progress.since).tolist(), strict=True))
    row = {"step": progress.step, **means, **task.validate()}
    progress.rows.append(row)
    progress.sums, progress.since = {}, 0
    log.info("%s %s", name, row)
    if row["score"] > progress.best or config.keep == "last":
        progress.best = max(row["score"], progress.best)
        progress.kept = len(progress.rows) - 1
        progress.kept_state = {
            k: copy.deepcopy(n.state_dict()) for k, n in task.networks.items()
        }


def _add(progress: Progress, made: list[dict[str, Tensor]], name: str) -> None:
    first = progress.step - len(made) + 1
    for step, losses in enumerate(made, start=first):
        progress.since += 1
        for key, value in losses.items():
            number = float(value)
            if not math.isfinite(number):
                raise ReIDError(
                    f"{name}: the loss '{key}' is {number} at step {step}; "
                    "lower the learning rate or look at the data."
                )
            progress.sums[key] = progress.sums.get(key, 0.0) + number


def _save(
    task: Task,
    averages: Mapping[str, Average],
    progress: Progress,
    checkpoint: Checkpoint,
) -> None:
    tensors: dict[str, Tensor] = {}
    for key, network in task.networks.items():
        found = {"net": network.state_dict()}
        found["kept"] = progress.kept_state.get(key, {})
        if key in averages:
            found["average"] = averages[key].tensors
        for kind, content in found.items():
            tensors |= {f"{kind}.{key}.{k}": v for k, v in content.items()}
    for key, optimizer in task.optimizers.items():
        tensors |= optimizer_tensors(f"optimizer.{key}", optimizer)
    names = ("step", "rows", "sums", "since", "best", "kept")
    checkpoint.save(tensors, {n: getattr(progress, n) for n in names})


def _resumed(
    task: Task, averages: Mapping[str, Average], checkpoint: Checkpoint
) -> Progress:
    found = checkpoint.load()
    processes().wait_for_everyone()  # nobody saves before all have read
    if found is None:
        return Progress()
    tensors, note = found
    progress = Progress(**note)
    for key, network in task.networks.items():
        network.load_state_dict(part_of(f"net.{key}", tensors))
        if progress.rows:
            progress.kept_state[key] = part_of(f"kept.{key}", tensors)
        if key in averages:
            averages[key].load(part_of(f"average.{key}", tensors))
    for key, optimizer in task.optimizers.items():
        restore_optimizer(f"optimizer.{key}", optimizer, tensors)
    log.info("goes on after step %d", progress.step)
    return progress


@contextmanager
def _averaged(averages: Mapping[str, Average]) -> Iterator[None]:
    for average in averages.values():
        average.swap()
    try:
        yield
    finally:
        for average in averages.values():
            average.swap()


def _slow(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        group["lr"] = group["initial_lr"] * factor


def _bar(name: str, total: int, done: int) -> Any:
    quiet = {} if processes().is_main_process else {"disable": True}
    return tqdm(desc=name, total=total, initial=done, mininterval=2, **quiet)


def _shown(row: dict[str, float]) -> dict[str, str]:
    return {key: f"{value:.3g}" for key, value in row.items() if key != "step"}


def _enough(rows: Rows, config: LoopConfig) -> bool:
    """Whether the last ``patience`` looks brought no gain."""
    scores = [row["score"] for row in rows]
    late = len(scores) - 1 - scores.index(max(scores)) if scores else 0
    return bool(config.patience) and late >= config.patience


def _mode(networks: dict[str, nn.Module], *, training: bool) -> None:
    for network in networks.values():
        network.train(training)


class Predict(nn.Module):
    """Makes ``predict`` a forward, so that it can be prepared like any network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of the network's training head."""
        return cast(Any, self.network).predict(*inputs)
