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
from reidlib.errors import ReIDConfigError, ReIDError
from reidlib.training.averaging import Average
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.cost import Meter
from reidlib.training.distributed import (
    agreed,
    average_gradients,
    check_norms,
    mean_over_processes,
    processes,
    shared_statistics,
    shares,
)
from reidlib.training.precision import Precision, prepare, usable
from reidlib.training.progress import Progress, Rows, resumed, save

log = logging.getLogger(__name__)

Batch = dict[str, Any]
Phase = Callable[["Task", Batch], tuple[Tensor, dict[str, Tensor]]]


# of the settings of all trainings, those that one has
LEAST = {"steps": 1, "batch": 1, "validations": 1, "accumulate": 1, "patience": 0}
LEAST |= {"hidden": 1, "width": 1, "ngf": 1, "ndf": 1, "blocks": 0, "last_stride": 1}
LEAST |= {"bottleneck": 0, "each": 0, "triplet": 0, "margin": 0, "trunk": 0}
LEAST |= {"lr": 0, "weight_decay": 0, "penalty": 0, "lambda_rec": 0, "lambda_class": 0}
SHARES = ("momentum", "dropout", "label_smoothing", "warmup", "erasing")


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, when to look and stop, and with what means.

    Attributes:
        steps: optimiser steps; the schedule runs over them.
        batch: pictures (or pairs) a step, over all processes.
        validations: how often, nearly, to look at held-out training identities: after
            each ``steps // validations`` steps, and at the end.
        patience: looks without a gain before stopping; 0: never stop early.
        keep: the weights to keep: of the "best" look, or the "last".
        precision: "bf16" where the device has the instructions.
        compile: by ``torch.compile``: worth its minute in long runs on a GPU.
        accumulate: micro-batches that a step's batch is computed in, to save memory.
            Batch normalisation, and a search for hard triplets, see one at a time.
    """

    steps: int
    batch: int
    validations: int = 10
    patience: int = 0
    keep: Literal["best", "last"] = "best"
    precision: Precision = "fp32"
    compile: bool = False
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name, None)
            if value is not None and not value >= least:
                raise ReIDConfigError(
                    f"{name} is {value}; set --config.{name} to {least} or more."
                )
        for name in SHARES:
            if not 0 <= (value := getattr(self, name, 0)) < 1:
                raise ReIDConfigError(
                    f"{name} is {value}; set --config.{name} to a share below 1."
                )


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
        seed, name: of the batches and what drops out; of the stage, for its messages.
        sampler: step, from 0 → items of the global batch; ``Passes`` if None.
        checkpoint: where to save, and to go on from.

    Returns:
        One row per look: step, mean losses since the last, validation numbers.
        ``attrs["kept"]`` is the row of the kept weights, ``attrs["cost"]`` the cost.

    Raises:
        ReIDError: a loss is no longer a finite number, or the task's alarm.
        ReIDConfigError: a batch larger than the data, or not divisible.
    """
    loop = _Loop(task, data, config, seed, name, sampler, checkpoint)
    try:
        while not loop.done:
            loop.advance()
        return loop.finish()
    finally:
        loop.bar.close()
        if checkpoint:
            checkpoint.close()


class _Loop:
    """The parts of ``fit``, whose arguments it takes."""

    def __init__(
        self,
        task: Task,
        data: Data,
        config: LoopConfig,
        seed: int,
        name: str,
        sampler: Callable[[int], Tensor] | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.task, self.data, self.config = task, data, config
        self.seed, self.name, self.checkpoint = seed, name, checkpoint
        self.state = processes()
        self.sampler = sampler or Passes(len(data), config.batch, seed)
        self.rows = shares(config.batch, config.accumulate)
        check_norms(task.networks, config.batch, config.accumulate)
        device = self.state.device
        precision = usable(config.precision, device)
        for key, network in (task.networks | task.frozen).items():
            task.prepared[key] = prepare(network, device, precision, config.compile)
        for network in task.frozen.values():
            network.eval().requires_grad_(False)
        data.to(device)
        averages = {k: Average(task.networks[k], d) for k, d in task.average.items()}
        self.parts = (task.networks, task.optimizers, averages)
        self.averages = averages
        self.progress = resumed(checkpoint, *self.parts) if checkpoint else Progress()
        self.state.wait_for_everyone()  # nobody saves before all have read
        self.meter = Meter(config.batch, precision, self.state)
        quiet = {} if self.state.is_main_process else {"disable": True}
        steps, done = config.steps, self.progress.step
        self.bar = tqdm(desc=name, total=steps, initial=done, mininterval=2, **quiet)
        self.fresh: list[dict[str, Tensor]] = []  # losses that were not yet read

    @property
    def done(self) -> bool:
        """All steps are made, or the last ``patience`` looks brought no gain."""
        scores = [row["score"] for row in self.progress.rows]
        late = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        patience = self.config.patience
        finished = self.progress.step >= self.config.steps
        return finished or bool(patience) and late >= patience

    def advance(self) -> None:
        """One step, and the look and the save that are due after it."""
        task, config, progress = self.task, self.config, self.progress
        step = progress.step + 1
        for optimizer in task.optimizers.values():
            _slow(optimizer, task.schedule((step - 1) / config.steps))
        batches = self._batches(step)
        # What drops out; every process drops its own.
        torch.manual_seed(integer_hash(self.seed, step, self.state.process_index) >> 1)
        _mode(task.networks, training=True)
        with (
            self.meter.counted(counting=not config.compile),
            shared_statistics(task.networks.values()),
        ):
            self.fresh.append(_step(task, batches))
        for average in self.averages.values():
            average.update()
        progress.step = step
        self.bar.update()
        every = max(1, config.steps // config.validations)
        looks = step % every == 0 or step == config.steps
        saves = self.state.is_main_process and self.checkpoint and self.checkpoint.due
        # Reading losses makes a GPU wait, so it is done now and then.
        if looks or saves or self.state.device.type == "cpu" or len(self.fresh) == 50:
            _add(progress, self.fresh, self.name)
            self.fresh = []
        with self.meter.paused() if looks or saves else nullcontext():
            if looks:
                self._look()
            if self.checkpoint and saves:
                save(self.checkpoint, progress, *self.parts)

    def finish(self) -> pd.DataFrame:
        """Put the kept weights in, and everything back on the CPU."""
        for key, network in self.task.networks.items():
            network.load_state_dict(self.progress.kept_state[key])
        for network in (self.task.networks | self.task.frozen).values():
            network.eval().to("cpu")
        history = pd.DataFrame(self.progress.rows)
        history.attrs = {"kept": self.progress.kept, "cost": self.meter.cost()}
        return history

    def _batches(self, step: int) -> list[Batch]:
        """The micro-batches of this process, with draws left for the losses."""
        items, device = self.sampler(step - 1), self.state.device
        made = []
        for rows in self.rows:
            draws = Draws(self.seed, step, len(items), rows, device)
            made.append(self.data.batch(items[rows], draws) | {"draws": draws})
        return made

    def _look(self) -> None:
        """Validate, and keep the weights if they are the ones to keep."""
        task, progress = self.task, self.progress
        sums = torch.tensor(list(progress.sums.values()), dtype=torch.float64)
        means = (mean_over_processes(sums) / progress.since).tolist()
        row = {"step": progress.step} | dict(zip(progress.sums, means, strict=True))
        _mode(task.networks, training=False)
        with _averaged(self.averages):
            row |= agreed(task.validate())  # or one would stop and the others wait
            first = progress.kept < 0  # kept also where its score is no number
            better = first or row["score"] > progress.best
            if better or self.config.keep == "last":
                progress.best = max(progress.best, row["score"])
                progress.kept = len(progress.rows)
                progress.kept_state = {
                    k: copy.deepcopy(n.state_dict()) for k, n in task.networks.items()
                }
        progress.rows.append(row)
        progress.sums, progress.since = {}, 0
        log.info("%s %s", self.name, row)
        shown = {k: f"{v:.3g}" for k, v in row.items() if k != "step"}
        self.bar.set_postfix(shown, refresh=False)
        if self.checkpoint and self.state.is_main_process:
            self.checkpoint.tell(row)
        if task.alarm:
            task.alarm(progress.rows)


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


def _add(progress: Progress, made: list[dict[str, Tensor]], name: str) -> None:
    first = progress.step - len(made) + 1
    for step, losses in enumerate(made, start=first):
        progress.since += 1
        for key, value in losses.items():
            number = float(value)
            if not math.isfinite(number):
                raise ReIDError(
                    f"{name}: the loss '{key}' is {number} at step {step}; "
                    "lower lr (--config.lr) or look at the data."
                )
            progress.sums[key] = progress.sums.get(key, 0.0) + number


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
