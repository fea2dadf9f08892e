"""Training R1 on clothing attributes and R2 on identities."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from reidlib.data import class_labels, validation_split
from reidlib.data.augment import encoder_augmentation
from reidlib.data.batches import ImageBatches
from reidlib.errors import ReIDConfigError
from reidlib.models import Encoder
from reidlib.retrieval import evaluate
from reidlib.training.features import extract, to_float
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.loop import Batch, LoopConfig, Predict, Task, fit
from reidlib.training.losses import step_down


@dataclass(frozen=True)
class EncoderConfig(LoopConfig):
    """How an encoder is built and trained; the defaults are R2's (SPEC.md 6).

    Attributes:
        arch, weights, last_stride, input_size, bottleneck, dropout, neck: of
            ``Encoder``.
        optimizer: SGD with Nesterov momentum (paper), or AdamW for short runs.
        lr: of the head; the trunk learns at ``lr * trunk``.
        held_out: share of the training identities kept for validation.
        label_smoothing: share of the target that is spread over all identities.
        augmentation: "shift" moves and mirrors (SPEC.md 6); "strong" also jitters
            colours and erases boxes, for features that must hold in another world.
    """

    steps: int = 24_000  # 60 epochs of Market at batch 32
    batch: int = 32
    arch: str = "resnet50"
    weights: str | None = "imagenet"
    last_stride: int = 2
    input_size: tuple[int, int] | None = (256, 128)
    bottleneck: int = 512
    dropout: float = 0.5
    neck: bool = False
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.05
    trunk: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    held_out: float = 0.1
    label_smoothing: float = 0.0
    augmentation: Literal["shift", "strong"] = "shift"

    def build(self, outputs: int = 0, weights: str | Path | None = None) -> Encoder:
        """The encoder; ``weights`` (a file) goes before the configured ones."""
        return Encoder(
            self.arch,
            weights or self.weights,
            last_stride=self.last_stride,
            input_size=self.input_size,
            outputs=outputs,
            bottleneck=self.bottleneck,
            dropout=self.dropout,
            neck=self.neck,
        )


def train_identities(
    images: Tensor,
    table: pd.DataFrame,
    config: EncoderConfig,
    *,
    weights: Path | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[Encoder, pd.DataFrame]:
    """R2: classify the training identities (SPEC.md 6).

    Args:
        images: (N, 3, H, W) uint8, the training pictures.
        table: their ``pid`` and ``camid``.
        weights: a trained trunk to start from.
        checkpoint: where to save, and to go on from.

    Returns:
        The encoder with the best mAP on held-out training identities; the history.

    Raises:
        ReIDConfigError: fewer than two identities left to learn from.
    """
    held_out = validation_split(table["pid"], config.held_out, seed)
    labels = torch.as_tensor(class_labels(table["pid"][~held_out]))
    if labels.max() < 1:
        raise ReIDConfigError(
            "Fewer than two training identities are left after the validation split; "
            "give more identities or a smaller held_out."
        )
    torch.manual_seed(seed)
    encoder = config.build(int(labels.max()) + 1, weights)
    watched, watched_rows = images[held_out.tolist()], table[held_out]

    def validate() -> dict[str, float]:
        return held_out_map(extract(encoder, watched), watched_rows)

    augment = encoder_augmentation(strong=config.augmentation == "strong")
    data = ImageBatches(images[(~held_out).tolist()], labels, augment)
    loss = partial(F.cross_entropy, label_smoothing=config.label_smoothing)
    task = _task(encoder, loss, validate, config)
    history = fit(task, data, config, seed=seed, name="R2", checkpoint=checkpoint)
    return encoder, history


def train_attributes(
    images: Tensor,
    targets: Tensor,
    persons: Tensor,
    config: EncoderConfig,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[Encoder, pd.DataFrame]:
    """R1 where no ImageNet weights can be had: predict what people wear.

    Args:
        images: (N, 3, H, W) uint8 of synthetic people who appear nowhere else.
        targets: (N, A) float in [0, 1].
        persons: (N,) ids; whole persons are held out for validation.

    Returns:
        The encoder with the lowest validation loss; the history. Its "explained"
        column is the share of the held-out attributes' variance that is predicted.
    """
    held_out = validation_split(pd.Series(persons.numpy()), config.held_out, seed)
    inside, outside = torch.as_tensor(~held_out), torch.as_tensor(held_out)
    torch.manual_seed(seed)
    encoder = config.build(targets.shape[1])

    @torch.no_grad()
    def validate() -> dict[str, float]:
        device = next(encoder.parameters()).device
        logits = encoder.predict(to_float(images[outside].to(device)))
        truth = targets[outside].to(device)
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        residual = (logits.sigmoid() - truth).square().sum()
        spread = (truth - truth.mean(0)).square().sum()
        explained = 1 - float(residual / spread)
        return {"score": -float(loss), "explained": explained}

    data = ImageBatches(images[inside], targets[inside], encoder_augmentation())
    task = _task(encoder, F.binary_cross_entropy_with_logits, validate, config)
    history = fit(task, data, config, seed=seed, name="R1", checkpoint=checkpoint)
    return encoder, history


def _task(encoder: Encoder, loss_of: Any, validate: Any, config: EncoderConfig) -> Task:
    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss = loss_of(task.prepared["encoder"](batch["images"]), batch["labels"])
        return loss, {"loss": loss}

    return Task(
        {"encoder": Predict(encoder)},
        {"encoder": _optimizer(encoder, config)},
        {"encoder": phase},
        validate,
        step_down,
    )


def _optimizer(encoder: Encoder, config: EncoderConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": encoder.trunk.parameters(), "lr": config.lr * config.trunk},
        {"params": encoder.head.parameters(), "lr": config.lr},
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=True,
    )


def held_out_map(features: Tensor, table: pd.DataFrame) -> dict[str, float]:
    """mAP when every held-out picture queries all others under Market's rules."""
    pids, camids = table["pid"].to_numpy(), table["camid"].to_numpy()
    result = evaluate(features, features, pids, pids, camids, camids)
    return {"score": result.mAP, "rank1": result.rank(1)}

