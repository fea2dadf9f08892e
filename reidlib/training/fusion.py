"""Training FusionNet on cached features, with pt-GAN and R2 frozen."""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.data import class_labels, validation_split
from reidlib.data.batches import TensorBatches
from reidlib.data.sampling import Passes
from reidlib.models import FusionNet
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.encoder import check_watched, held_out_map
from reidlib.training.features import serving
from reidlib.training.loop import Batch, LoopConfig, Predict, Task, fit
from reidlib.training.losses import step_down


@dataclass(frozen=True)
class FusionConfig(LoopConfig):
    """How FusionNet is built and trained; defaults are the paper's (paper III-E).

    Attributes:
        hidden: width of fc_1; None: 4 D.
        dropout, batchnorm: regularisation of IV-C3.
        lr, momentum, weight_decay: of SGD with Nesterov momentum.
        held_out: share of the training identities kept for early stopping.
    """

    steps: int = 24_000
    batch: int = 32
    patience: int = 10
    validations: int = 60
    hidden: int | None = None
    dropout: float = 0.6
    batchnorm: bool = True
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    held_out: float = 0.1

    def build(self, features: int, poses: int, identities: int = 0) -> FusionNet:
        """FusionNet for features of so many numbers, and so many pictures."""
        return FusionNet(
            features,
            poses,
            identities,
            hidden=self.hidden,
            dropout=self.dropout,
            batchnorm=self.batchnorm,
        )


def train_fusion(
    source: Tensor,
    generated: Tensor,
    table: pd.DataFrame,
    config: FusionConfig,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[FusionNet, pd.DataFrame]:
    """Classify identities from the fused features; keep the best on held-out ones.

    Args:
        source: (N, D) features of the training pictures.
        generated: (N, K, D) features of the pictures drawn from them; for the
            copied-feature control, the source's own features K times.
        table: ``pid`` and ``camid``.
        checkpoint: where to save, and to go on from.

    Returns:
        The network with the best held-out mAP, and the history.

    Raises:
        ReIDConfigError: a batch larger than the pictures to learn from.
        ReIDDataError: no held-out identity was seen by two cameras.
    """
    inside = ~validation_split(table["pid"], config.held_out, seed)
    torch.manual_seed(seed)
    _, k, d = generated.shape
    network = config.build(d, k, table["pid"][inside].nunique())
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=True,
    )
    history = train_descriptor(
        network,
        source,
        generated,
        table,
        config,
        optimizer,
        seed=seed,
        checkpoint=checkpoint,
    )
    return network, history


def train_descriptor(
    network: nn.Module,
    first: Tensor,
    second: Tensor,
    table: pd.DataFrame,
    config: FusionConfig,
    optimizer: torch.optim.Optimizer,
    *,
    batch: int = 1024,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Classify the training identities from a descriptor of two inputs.

    Args:
        network: called with rows of both; its ``predict`` has a head for the identities
            that are not held out. Left with the best weights on those that are.
        first, second: (N, ...), such as features of pictures and of their drawings.
        table: ``pid`` and ``camid`` of the N pictures.
        optimizer: of all that shall learn.
        batch: rows at a time when it looks at the held-out identities.

    Returns:
        The history.

    Raises:
        ReIDDataError: no held-out identity was seen by two cameras.
    """
    out = validation_split(table["pid"], config.held_out, seed)
    held_out, watched = torch.as_tensor(out), table[out]
    check_watched(watched)
    inside = (~held_out).nonzero().flatten()
    labels = torch.full((len(table),), -1)  # nobody learns from those held out
    labels[inside] = torch.as_tensor(class_labels(table["pid"][~out]))

    def validate() -> dict[str, float]:
        found = describe(network, first[held_out], second[held_out], batch=batch)
        return held_out_map(found, watched)

    def phase(task: Task, rows: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits = task.prepared["fusion"](rows["first"], rows["second"])
        loss = F.cross_entropy(logits, rows["labels"])
        return loss, {"loss": loss}

    task = Task(
        {"fusion": Predict(network)},
        {"fusion": optimizer},
        {"fusion": phase},
        validate,
        step_down,
    )
    # rows are chosen batch by batch: a copy would hold the features twice in memory
    data = TensorBatches(first=first, second=second, labels=labels)
    passes = Passes(len(inside), config.batch, seed)
    return fit(
        task,
        data,
        config,
        seed=seed,
        name="FusionNet",
        sampler=lambda step: inside[passes(step)],
        checkpoint=checkpoint,
    )


@torch.no_grad()
def describe(
    network: nn.Module, first: Tensor, second: Tensor, *, batch: int = 1024
) -> Tensor:
    """What a network makes of (N, ...) and (N, ...): (N, D) float32 on the CPU."""
    pairs = zip(first.split(batch), second.split(batch), strict=True)
    with serving(network) as (device, (net,)):
        return torch.cat([net(x.to(device), y.to(device)).cpu() for x, y in pairs])
