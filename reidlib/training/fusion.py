"""Training FusionNet on cached features, with pt-GAN and R2 frozen."""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from reidlib.data import class_labels, validation_split
from reidlib.data.batches import TensorBatches
from reidlib.models import FusionNet
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.encoder import held_out_map
from reidlib.training.features import serving
from reidlib.training.loop import Batch, LoopConfig, Predict, Task, fit
from reidlib.training.losses import step_down


@dataclass(frozen=True)
class FusionConfig(LoopConfig):
    """How FusionNet is built and trained; defaults are the paper's (SPEC.md 7).

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
    """
    held_out = torch.as_tensor(validation_split(table["pid"], config.held_out, seed))
    labels = torch.as_tensor(class_labels(table["pid"][(~held_out).numpy()]))
    torch.manual_seed(seed)
    network = FusionNet(
        source.shape[1],
        generated.shape[1],
        int(labels.max()) + 1,
        hidden=config.hidden,
        dropout=config.dropout,
        batchnorm=config.batchnorm,
    )
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=True,
        fused=True,
    )
    watched_rows = table[held_out.numpy()]

    def validate() -> dict[str, float]:
        found = describe(network, source[held_out], generated[held_out])
        return held_out_map(found, watched_rows)

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits = task.prepared["fusion"](batch["source"], batch["generated"])
        loss = F.cross_entropy(logits, batch["labels"])
        return loss, {"loss": loss}

    task = Task(
        {"fusion": Predict(network)},
        {"fusion": optimizer},
        {"fusion": phase},
        validate,
        step_down,
    )
    data = TensorBatches(
        source=source[~held_out], generated=generated[~held_out], labels=labels
    )
    history = fit(
        task, data, config, seed=seed, name="FusionNet", checkpoint=checkpoint
    )
    return network, history


@torch.no_grad()
def describe(network: FusionNet, source: Tensor, generated: Tensor) -> Tensor:
    """Descriptors of cached features, (N, D) float32 on the CPU."""
    pairs = zip(source.split(1024), generated.split(1024), strict=True)
    with serving(network) as (device, (net,)):
        return torch.cat([net(x.to(device), y.to(device)).cpu() for x, y in pairs])
