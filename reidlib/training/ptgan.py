"""Training pt-GAN: eq. 3-6 of the paper."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from reidlib.data import validation_split
from reidlib.data.augment import to_network
from reidlib.data.batches import PairBatches
from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError
from reidlib.models import Discriminator, Encoder, PoseGenerator, build_generator
from reidlib.models.generators import Kind
from reidlib.models.layers import Norm
from reidlib.training.alarms import LOST, LOST_SQUARES, gan_alarm
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.loop import Batch, LoopConfig, Phase, Task, fit
from reidlib.training.losses import (
    Adversarial,
    Reconstruction,
    adversarial_loss,
    class_loss,
    constant_then_linear,
    gradient_penalty,
    reconstruction_loss,
    smooth_targets,
)

WATCHED = ("source", "pose", "target")
CROSSED = 8  # people and poses that are crossed to see whether drawings differ


@dataclass(frozen=True)
class PtGANConfig(LoopConfig):
    """Architecture, losses and schedule of pt-GAN; defaults are the paper mode.

    ``code_mode()`` gives the authors' released choices instead.

    Attributes:
        kind: of G, the paper's "vector", or "image" or "aligned" (``PoseGenerator``).
        ngf, ndf, blocks, native_aspect, standardise, norm, d_last_norm: of G and D
            (the authors' code); native_aspect and standardise of the vector G only.
        initial: "kaiming" (paper), or torch's "default" (code).
        adversarial, reconstruction: forms of eq. 3 and eq. 4.
        lambda_rec, lambda_class: weights of eq. 4 and eq. 5 in eq. 6; a weight of 0
            leaves the term out.
        class_loss_in_g: whether G, too, is told whose picture it must be.
        d_adversarial: weight of the adversarial part of D's loss.
        smooth_labels: noise below D's target for photographs.
        real: the photograph that D is shown, the "target" (eq. 3) or the "source"
            (code).
        augment: whether the source is augmented (paper IV-C); the authors' code,
            and short runs, do without.
        finetune_encoder: R1 learns with G (code), instead of being frozen (paper).
        spectral: spectral normalisation of D (Miyato et al. 2018).
        penalty: weight of the squared gradient of D at photographs (R1 penalty of
            Mescheder et al. 2018; nothing to do with the encoder R1).
        average: decay of the moving average of G's weights that is kept; 0: none.
        alarms: stop a run that has collapsed.
        lr, betas: Adam, both players.
        held_out: share of the training identities kept for validation.
        watch: validation pairs.
    """

    steps: int = 80_000
    batch: int = 16
    keep: Literal["best", "last"] = "last"
    kind: Kind = "vector"
    ngf: int = 64
    ndf: int = 64
    blocks: int = 9
    native_aspect: bool = False
    standardise: bool = True
    norm: Norm = "instance"
    d_last_norm: bool = True
    initial: Literal["kaiming", "default"] = "kaiming"
    adversarial: Adversarial = "nonsat"
    reconstruction: Reconstruction = "l2_mse"
    lambda_rec: float = 10.0
    lambda_class: float = 1.0
    class_loss_in_g: bool = True
    d_adversarial: float = 1.0
    smooth_labels: bool = True
    real: Literal["target", "source"] = "target"
    augment: bool = True
    finetune_encoder: bool = False
    spectral: bool = False
    penalty: float = 0.0
    average: float = 0.0
    alarms: bool = True
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    held_out: float = 0.067  # 50 of Market's 751 identities
    watch: int = 256

    def generator(self, features: int, size: tuple[int, int]) -> PoseGenerator:
        """G for sources of so many features and pictures of this size."""
        chosen: dict[str, Any] = {"kind": self.kind, "ngf": self.ngf, "size": size}
        chosen |= {"blocks": self.blocks, "norm": self.norm}
        if self.kind == "vector":
            chosen |= {
                "features": features,
                "native_aspect": self.native_aspect,
                "standardise": self.standardise,
            }
        return build_generator(chosen)


def code_mode(**changes: Any) -> PtGANConfig:
    """The authors' released choices where they differ.

    LSGAN, L1, class loss in D only and its adversarial part ten times; D is shown the
    source; R1 learns with G; features and poses enter as they are; no augmentation;
    torch's own initial weights.
    """
    chosen: dict[str, Any] = {
        "adversarial": "lsgan",
        "reconstruction": "l1",
        "class_loss_in_g": False,
        "d_adversarial": 10.0,
        "real": "source",
        "finetune_encoder": True,
        "standardise": False,
        "augment": False,
        "initial": "default",
    }
    return PtGANConfig(**(chosen | changes))


def train_ptgan(
    r1: Encoder,
    images: Tensor,
    table: pd.DataFrame,
    points: np.ndarray,
    config: PtGANConfig,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[PoseGenerator, Discriminator, pd.DataFrame]:
    """Learn to redraw people from pairs of pictures of the same identity.

    Args:
        r1: the encoder of the source; frozen, or changed with ``finetune_encoder``.
        images: (N, 3, H, W) uint8 training pictures.
        table: their ``pid``.
        points: (N, 25, 2) in [0, 1], NaN = missing.
        checkpoint: where to save, and to go on from.

    Returns:
        G, D, and the history, whose "score" is minus the L1 error on held-out
        training identities.

    Raises:
        ReIDError: the players have collapsed (``gan_alarm``).
        ReIDConfigError: a penalty in compiled networks, or a batch that does not fit.
        ReIDDataError: nobody has a second picture with a whole torso.
    """
    if config.compile and config.penalty:
        raise ReIDConfigError(
            "A gradient penalty needs second derivatives, which compiled networks do "
            "not have; set penalty to 0 (--config.penalty) or compile off "
            "(--config.no-compile)."
        )
    size = (int(images.shape[-2]), int(images.shape[-1]))
    held_out = validation_split(table["pid"], config.held_out, seed)
    pids = table["pid"].to_numpy()
    inside = torch.as_tensor(~held_out)
    augment = None if config.augment else to_network
    data = PairBatches(
        images[inside], pids[~held_out], points[~held_out], augment=augment
    )
    watched = watched_pairs(
        images[~inside], pids[held_out], points[held_out], config.watch, seed
    )
    torch.manual_seed(seed)
    g, d = players(r1, config, len(np.unique(pids[~held_out])), size)
    task = gan_task(r1, g, d, config)
    task.validate = lambda: looked_at(r1, g, watched)
    history = fit(task, data, config, seed=seed, name="pt-GAN", checkpoint=checkpoint)
    if config.spectral:
        for module in list(d.modules()):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
    return g, d, history


def players(
    r1: Encoder, config: PtGANConfig, identities: int, size: tuple[int, int]
) -> tuple[PoseGenerator, Discriminator]:
    """Fresh G and D as the configuration wants them."""
    g = config.generator(r1.features, size)
    d = Discriminator(
        identities, config.ndf, size, last_norm=config.d_last_norm, norm=config.norm
    )
    for network in (g, d):
        for module in network.modules():
            layer = isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
            if layer and config.initial == "default":
                cast(Any, module).reset_parameters()
            if layer and config.spectral and network is d:
                parametrizations.spectral_norm(module)
    return g, d


def gan_task(
    r1: Encoder, g: PoseGenerator, d: Discriminator, config: PtGANConfig
) -> Task:
    """The game of eq. 3-6 for the loop: D moves, then G."""
    networks: dict[str, nn.Module] = {"g": g, "d": d}
    learns = {"g": list(g.parameters()), "d": list(d.parameters())}
    lost = LOST_SQUARES if config.adversarial == "lsgan" else LOST
    if config.finetune_encoder:
        networks["r1"] = r1
        learns["g"] += list(r1.trunk.parameters())
    return Task(
        networks,
        {
            name: torch.optim.Adam(p, config.lr, config.betas, fused=True)
            for name, p in learns.items()
        },
        {"d": judging(d, config), "g": drawing(d, config)},
        lambda: {},
        constant_then_linear,
        frozen={} if config.finetune_encoder else {"r1": r1},
        average={"g": config.average} if config.average else {},
        alarm=partial(gan_alarm, lost=lost) if config.alarms else None,
    )


def _drawn(task: Task, batch: Batch, config: PtGANConfig) -> Tensor:
    with torch.set_grad_enabled(config.finetune_encoder and torch.is_grad_enabled()):
        look = cast(PoseGenerator, task.networks["g"]).look
        seen = look(cast(Encoder, task.prepared["r1"]), batch["source"])
    return task.prepared["g"](seen, batch["pose"])


def judging(d: Discriminator, config: PtGANConfig) -> Phase:
    """D's loss: eq. 3 and eq. 5 (paper III-C)."""
    mode = config.adversarial

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        once = config.accumulate == 1  # then G's phase uses the same drawing
        with torch.set_grad_enabled(once):
            drawn = _drawn(task, batch, config)
        if once:
            batch["drawn"] = drawn
        d.requires_grad_(True)
        real = batch[config.real].requires_grad_(config.penalty > 0)
        real_logits, real_class = task.prepared["d"](real)
        fake_logits, fake_class = task.prepared["d"](drawn.detach())
        wanted: Tensor | float = 1.0
        if config.smooth_labels:
            wanted = smooth_targets(real_logits, mode, batch["draws"])
        adversarial = adversarial_loss(real_logits, wanted, mode)
        adversarial = adversarial + adversarial_loss(fake_logits, 0.0, mode)
        classes = class_loss(real_class, batch["labels"])
        classes = classes + class_loss(fake_class, batch["labels"])
        loss = config.d_adversarial * adversarial + config.lambda_class * classes
        middle = 0.5 if mode == "lsgan" else 0.0
        right = (real_logits > middle).float().mean() + (
            fake_logits < middle
        ).float().mean()
        shown = {"d_adv": adversarial, "d_class": classes, "d_right": right / 2}
        if config.penalty:
            steep = gradient_penalty(real_logits, real)
            loss, shown["steep"] = loss + config.penalty / 2 * steep, steep
        return loss, shown

    return phase


def drawing(d: Discriminator, config: PtGANConfig) -> Phase:
    """G's loss: eq. 3 turned round, eq. 4 and eq. 5 (paper III-C)."""

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        drawn = batch["drawn"] if "drawn" in batch else _drawn(task, batch, config)
        d.requires_grad_(False)
        logits, classes = task.prepared["d"](drawn)
        adversarial = adversarial_loss(logits, 1.0, config.adversarial)
        named = class_loss(classes, batch["labels"])
        rec = reconstruction_loss(drawn, batch["target"], config.reconstruction)
        loss = adversarial + config.lambda_rec * rec
        if config.class_loss_in_g:
            loss = loss + config.lambda_class * named
        return loss, {"g_adv": adversarial, "g_class": named, "rec": rec}

    return phase


@torch.no_grad()
def looked_at(
    r1: Encoder, g: PoseGenerator, watched: dict[str, Tensor]
) -> dict[str, float]:
    """How well held-out people are drawn, and whether the drawings differ.

    Returns:
        l1, ssim, score (minus l1); ``by_pose`` and ``by_person``: the mean absolute
        difference of drawings of one person in different poses, and of different
        people in one pose, as shares of that of photographs of different people.
    """
    device = next(g.parameters()).device
    source, pose, target = (watched[k].to(device) for k in WATCHED)
    seen = g.look(r1.eval().to(device), source)
    drawn = g(seen, pose)
    error = float((drawn - target).abs().mean())
    similarity = torch.as_tensor(ssim(drawn, target, data_range=2.0))
    n = min(CROSSED, len(source))
    crossed = g.redraw(seen[:n], pose[:n])  # (person, pose, 3, H, W)
    usual = (target[:n, None] - target[None, :n]).abs().mean()
    by_pose = (crossed[:, :, None] - crossed[:, None]).abs().mean() / usual
    by_person = (crossed[:, None] - crossed[None]).abs().mean() / usual
    return {
        # Not by SSIM: it prefers a grey average to a drawing of the right colours.
        "score": -error,
        "l1": error,
        "ssim": float(similarity),
        "by_pose": float(by_pose),
        "by_person": float(by_person),
    }


def watched_pairs(
    images: Tensor, pids: np.ndarray, points: np.ndarray, count: int, seed: int
) -> dict[str, Tensor]:
    """A fixed draw of clean pairs, the same at every look.

    Returns:
        source and target (P, 3, H, W) in [-1, 1], pose (P, 50); P at most ``count``.
    """
    pairs = PairBatches(images, pids, points, augment=to_network, flip_target=0.0)
    generator = torch.Generator().manual_seed(seed)
    items = torch.randperm(len(pairs), generator=generator)[:count]
    found = pairs.batch(items, Draws(seed, 0, len(items)))
    return {k: found[k] for k in WATCHED}
