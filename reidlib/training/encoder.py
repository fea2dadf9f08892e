"""Training R1 on clothing attributes and R2 on identities."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.data import class_labels, validation_split
from reidlib.data.augment import encoder_augmentation
from reidlib.data.batches import ImageBatches
from reidlib.data.sampling import Passes, Persons
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models import Encoder
from reidlib.retrieval import evaluate
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.distributed import everyone
from reidlib.training.features import extract, to_float
from reidlib.training.loop import Batch, LoopConfig, Phase, Task, fit
from reidlib.training.losses import step_down, warmup_cosine
from reidlib.training.triplet import batch_hard_triplet

LOOKED = 1024  # pictures that R1's validation holds on the device at a time

# What R2's recipes differ in; everything else is the profile's.
RECIPES: dict[str, dict[str, Any]] = {
    "paper": {  # the authors' code
        "optimizer": "sgd",
        "lr": 0.05,
        "trunk": 0.1,
        "weight_decay": 5e-4,
        "schedule": "step",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "augmentation": "shift",
        "erasing": 0.0,
        "neck": False,
        "last_stride": 2,
        "each": 0,
        "triplet": 0.0,
    },
    "modern": {  # Luo et al. 2019, with a cosine
        "optimizer": "adamw",
        "lr": 3.5e-4,
        "trunk": 1.0,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "warmup": 0.08,
        "label_smoothing": 0.1,
        "augmentation": "shift",
        "erasing": 0.5,
        "neck": True,
        "last_stride": 1,
        "each": 4,
        "triplet": 1.0,
    },
}


@dataclass(frozen=True)
class EncoderConfig(LoopConfig):
    """How an encoder is built and trained; the defaults are R2's recipe "paper".

    Attributes:
        arch, weights, last_stride, input_size, bottleneck, dropout, neck: of
            ``Encoder``.
        optimizer: SGD with Nesterov momentum (paper), or AdamW.
        lr: of the head; the trunk learns at ``lr * trunk``.
        momentum, weight_decay: of the optimiser; momentum of SGD only.
        schedule: "step" falls to a tenth after two thirds, "cosine" to 0; ``warmup``
            is the share of the run in which a cosine's learning rate rises.
        held_out: share of the training identities kept for validation.
        label_smoothing: share of the target that is spread over all identities.
        augmentation: "shift" moves and mirrors (the authors); "strong" also jitters
            colours and erases boxes, for features that must hold in another world.
        erasing: chance that a box of a picture is erased.
        each: pictures of each identity in a batch of ``batch / each`` identities;
            0: whole shuffled passes over all pictures.
        triplet, margin: weight of the batch-hard triplet loss, which needs ``each``,
            and its margin.
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
    schedule: Literal["step", "cosine"] = "step"
    warmup: float = 0.0
    held_out: float = 0.1
    label_smoothing: float = 0.0
    augmentation: Literal["shift", "strong"] = "shift"
    erasing: float = 0.0
    each: int = 0
    triplet: float = 0.0
    margin: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last_stride > 2:
            raise ReIDConfigError("last_stride is 1 or 2: set --config.last_stride.")
        if self.input_size and min(self.input_size) < 1:
            raise ReIDConfigError("input_size needs 1 or more: --config.input_size.")

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


def recipe(name: str, config: EncoderConfig) -> EncoderConfig:
    """This configuration with the recipe "paper" or "modern" (``RECIPES``).

    Raises:
        ReIDConfigError: there is none of this name.
    """
    if name not in RECIPES:
        raise ReIDConfigError(
            f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}."
        )
    return replace(config, **RECIPES[name])


def train_identities(
    images: Tensor,
    table: pd.DataFrame,
    config: EncoderConfig,
    *,
    weights: Path | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[Encoder, pd.DataFrame]:
    """R2: classify the training identities (the authors' code).

    Args:
        images: (N, 3, H, W) uint8, the training pictures.
        table: their ``pid`` and ``camid``.
        weights: a trained trunk to start from.
        checkpoint: where to save, and to go on from.

    Returns:
        The encoder with the best mAP on held-out training identities; the history.

    Raises:
        ReIDConfigError: fewer than two identities left to learn from, or a batch that
            does not fit them.
        ReIDDataError: no held-out identity was seen by two cameras.
    """
    held_out = validation_split(table["pid"], config.held_out, seed)
    labels = torch.as_tensor(class_labels(table["pid"][~held_out]))
    if labels.max() < 1:
        raise ReIDConfigError(
            "Fewer than two training identities are left after the validation split; "
            "give more identities, or a smaller held_out (--config.held-out)."
        )
    check_watched(table[held_out])
    torch.manual_seed(seed)
    encoder = config.build(int(labels.max()) + 1, weights)
    watched, watched_rows = images[held_out.tolist()], table[held_out]

    def validate() -> dict[str, float]:
        return held_out_map(extract(encoder, watched), watched_rows)

    augment = encoder_augmentation(config.augmentation == "strong", config.erasing)
    data = ImageBatches(images[(~held_out).tolist()], labels, augment)
    history = fit(
        _task(encoder, identity_loss(config), validate, config),
        data,
        config,
        seed=seed,
        name="R2",
        sampler=_sampler(labels, config, seed),
        checkpoint=checkpoint,
    )
    return encoder, history


def identity_loss(config: EncoderConfig) -> Phase:
    """R2's loss: cross-entropy over the identities, and the triplet loss if wanted."""

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        features, logits = task.prepared["encoder"](batch["images"])
        labels, smoothing = batch["labels"], config.label_smoothing
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        if not config.triplet:
            return loss, {"loss": loss}
        hard = batch_hard_triplet(everyone(features), everyone(labels), config.margin)
        return loss + config.triplet * hard, {"loss": loss, "triplet": hard}

    return phase


def _sampler(
    labels: Tensor, config: EncoderConfig, seed: int
) -> Callable[[int], Tensor]:
    if not config.each:
        if config.triplet:
            raise ReIDConfigError(
                "A triplet loss needs several pictures of each identity in a batch; "
                "set each (--config.each), for example to 4."
            )
        return Passes(len(labels), config.batch, seed)
    if config.batch % config.each:
        raise ReIDConfigError(
            f"A batch of {config.batch} does not hold whole identities of "
            f"{config.each} pictures; set batch (--config.batch) to a multiple of "
            "each (--config.each)."
        )
    part = config.batch // config.accumulate
    if part % config.each or (config.triplet and part < 2 * config.each):
        raise ReIDConfigError(
            f"Micro-batches of {part} do not hold whole identities of {config.each} "
            "pictures, two at least for triplets; give a larger --config.batch, or a "
            "smaller --config.each or --config.accumulate."
        )
    return Persons(labels.numpy(), config.batch // config.each, config.each, seed)


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

    Raises:
        ReIDConfigError: a batch larger than the pictures to learn from.
    """
    held_out = validation_split(pd.Series(persons.numpy()), config.held_out, seed)
    inside, outside = torch.as_tensor(~held_out), torch.as_tensor(held_out)
    torch.manual_seed(seed)
    encoder = config.build(targets.shape[1])

    @torch.no_grad()
    def validate() -> dict[str, float]:
        device = next(encoder.parameters()).device
        parts = (to_float(p.to(device)) for p in images[outside].split(LOOKED))
        logits = torch.cat([encoder.predict(part) for part in parts])
        truth = targets[outside].to(device)
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        residual = (logits.sigmoid() - truth).square().sum()
        spread = (truth - truth.mean(0)).square().sum()
        explained = 1 - float(residual / spread)
        return {"score": -float(loss), "explained": explained}

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits = task.prepared["encoder"](batch["images"])[1]
        loss = F.binary_cross_entropy_with_logits(logits, batch["labels"])
        return loss, {"loss": loss}

    data = ImageBatches(images[inside], targets[inside], encoder_augmentation())
    task = _task(encoder, phase, validate, config)
    history = fit(task, data, config, seed=seed, name="R1", checkpoint=checkpoint)
    return encoder, history


class _Both(nn.Module):
    """``Encoder.both`` as a forward."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder.both(images)


def _task(encoder: Encoder, phase: Phase, validate: Any, config: EncoderConfig) -> Task:
    falls = config.schedule == "cosine"
    return Task(
        {"encoder": _Both(encoder)},
        {"encoder": _optimizer(encoder, config)},
        {"encoder": phase},
        validate,
        warmup_cosine(config.warmup) if falls else step_down,
    )


def _optimizer(encoder: Encoder, config: EncoderConfig) -> torch.optim.Optimizer:
    new = [*encoder.neck.parameters(), *encoder.head.parameters()]
    groups = [
        {"params": encoder.trunk.parameters(), "lr": config.lr * config.trunk},
        {"params": [p for p in new if p.requires_grad], "lr": config.lr},
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


def check_watched(table: pd.DataFrame) -> None:
    """Refuse held-out training identities of whom nobody can be found again.

    Args:
        table: ``pid`` and ``camid`` of their pictures.

    Raises:
        ReIDDataError: none of them was seen by two cameras.
    """
    cameras = table.groupby("pid")["camid"]
    if (cameras.min() == cameras.max()).all():
        raise ReIDDataError(
            f"None of the {table['pid'].nunique()} held-out training identities was "
            "seen by two cameras, so nobody can watch what training brings; hold out "
            "more (--config.held-out), or choose another --seed."
        )


def held_out_map(features: Tensor, table: pd.DataFrame) -> dict[str, float]:
    """mAP when every held-out picture queries all others under Market's rules."""
    pids, camids = table["pid"].to_numpy(), table["camid"].to_numpy()
    result = evaluate(features, features, pids, pids, camids, camids)
    return {"score": result.mAP, "rank1": result.rank(1)}
