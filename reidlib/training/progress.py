"""Where a run is, and how that is saved and restored."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.optim import Optimizer

from reidlib.training.averaging import Average
from reidlib.training.checkpoint import (
    Checkpoint,
    below,
    optimizer_tensors,
    restore_optimizer,
)

log = logging.getLogger(__name__)

Rows = list[dict[str, float]]


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


def save(
    checkpoint: Checkpoint,
    progress: Progress,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    averages: Mapping[str, Average],
) -> None:
    """Everything that a run needs to go on."""
    tensors: dict[str, Tensor] = {}
    for key, network in networks.items():
        found = {"net": network.state_dict()}
        found["kept"] = progress.kept_state.get(key, {})
        if key in averages:
            found["average"] = averages[key].tensors
        for kind, content in found.items():
            tensors |= {f"{kind}.{key}.{k}": v for k, v in content.items()}
    for key, optimizer in optimizers.items():
        tensors |= optimizer_tensors(f"optimizer.{key}", optimizer)
    names = ("step", "rows", "sums", "since", "best", "kept")
    checkpoint.save(tensors, {n: getattr(progress, n) for n in names})


def resumed(
    checkpoint: Checkpoint,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    averages: Mapping[str, Average],
) -> Progress:
    """Put everything back as it was saved; a fresh start where nothing was."""
    found = checkpoint.load()
    if found is None:
        return Progress()
    tensors, note = found
    progress = Progress(**note)
    for key, network in networks.items():
        network.load_state_dict(below(f"net.{key}", tensors))
        if progress.rows:
            progress.kept_state[key] = below(f"kept.{key}", tensors)
        if key in averages:
            averages[key].load(below(f"average.{key}", tensors))
    for key, optimizer in optimizers.items():
        restore_optimizer(f"optimizer.{key}", optimizer, tensors)
    log.info("goes on after step %d", progress.step)
    return progress
