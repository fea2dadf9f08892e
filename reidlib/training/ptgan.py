"""Training pt-GAN: eq. 3-6 of the paper."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from reidlib.data import PairDataset, to_network, validation_split
from reidlib.models import Discriminator, Encoder, Generator
from reidlib.models.ptgan import Norm
from reidlib.training.loop import LoopConfig, Task, fit
from reidlib.training.losses import (
    Adversarial,
    Reconstruction,
    adversarial_loss,
    class_loss,
    constant_then_linear,
    reconstruction_loss,
    smooth_targets,
)

WATCHED = ("source", "pose", "target")


@dataclass(frozen=True)
class PtGANConfig(LoopConfig):
    """Architecture, losses and schedule of pt-GAN; defaults are the paper mode.

    ``code_mode()`` gives the authors' released choices instead (SPEC.md 4.1).

    Attributes:
        ngf, ndf, blocks, native_aspect, norm, d_last_norm: of G and D (SPEC.md 4.2,
            4.3).
        adversarial, reconstruction: forms of eq. 3 and eq. 4.
        lambda_rec, lambda_class: weights of eq. 4 and eq. 5 in eq. 6.
        class_loss_in_g: whether G, too, is told whose picture it must be.
        d_adversarial: weight of the adversarial part of D's loss.
        augment: whether the source is augmented (SPEC.md 4.6); the authors' code,
            and short runs, do without.
        lr, betas: Adam, both players.
        held_out: share of the training identities kept for validation.
        watch: validation pairs.
    """

    steps: int = 80_000
    batch: int = 16
    ngf: int = 64
    ndf: int = 64
    blocks: int = 9
    native_aspect: bool = False
    norm: Norm = "instance"
    d_last_norm: bool = True
    adversarial: Adversarial = "nonsat"
    reconstruction: Reconstruction = "l2_mse"
    lambda_rec: float = 10.0
    lambda_class: float = 1.0
    class_loss_in_g: bool = True
    d_adversarial: float = 1.0
    augment: bool = True
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    held_out: float = 0.067  # 50 of Market's 751 identities, SPEC.md 4.6
    watch: int = 256

    def generator(self, features: int, size: tuple[int, int]) -> Generator:
        """G for sources of so many features and pictures of this size."""
        return Generator(
            features,
            50,
            self.ngf,
            self.blocks,
            size,
            self.native_aspect,
            norm=self.norm,
        )


def code_mode(**changes: Any) -> PtGANConfig:
    """The authors' released losses: LSGAN, L1, class loss in D only (SPEC.md 4.4)."""
    return PtGANConfig(
        adversarial="lsgan",
        reconstruction="l1",
        class_loss_in_g=False,
        d_adversarial=10.0,
        **changes,
    )


def train_ptgan(
    r1: Encoder,
    images: Tensor,
    table: pd.DataFrame,
    points: np.ndarray,
    config: PtGANConfig,
    *,
    seed: int = 0,
) -> tuple[Generator, Discriminator, pd.DataFrame]:
    """Learn to redraw people from pairs of pictures of the same identity.

    Args:
        r1: the frozen encoder of the source.
        images: (N, 3, H, W) uint8 training pictures.
        table: their ``pid``.
        points: (N, 25, 2) in [0, 1], NaN = missing.

    Returns:
        G with the least L1 error on held-out training identities, D, and the history.
    """
    size = (int(images.shape[-2]), int(images.shape[-1]))
    held_out = validation_split(table["pid"], config.held_out, seed)
    pids = table["pid"].to_numpy()
    identities = len(np.unique(pids[~held_out]))
    g = config.generator(r1.features, size)
    d = Discriminator(
        identities,
        config.ndf,
        size,
        last_norm=config.d_last_norm,
        norm=config.norm,
    )
    adam: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(net.parameters(), lr=config.lr, betas=config.betas)
        for name, net in (("g", g), ("d", d))
    }
    r1.eval().requires_grad_(False)
    inside = torch.as_tensor(~held_out)
    augment = None if config.augment else to_network()
    data = PairDataset(
        images[inside], pids[~held_out], points[~held_out], augment=augment
    )
    watched = watched_pairs(
        images[~inside], pids[held_out], points[held_out], config.watch, seed
    )

    @torch.no_grad()
    def validate() -> dict[str, float]:
        device = next(g.parameters()).device
        source, pose, target = (watched[k].to(device) for k in WATCHED)
        drawn = g(r1.to(device)(source), pose)
        error = float((drawn - target).abs().mean())
        similarity = torch.as_tensor(ssim(drawn, target, data_range=2.0))
        # Not by SSIM: it prefers a grey average to a drawing of the right colours.
        return {"score": -error, "l1": error, "ssim": float(similarity)}

    def step(task: Task, batch: Any, backward: Any) -> dict[str, Tensor]:
        return gan_step(r1, task, batch, backward, config)

    task = Task({"g": g, "d": d}, adam, step, validate, constant_then_linear)
    history = fit(task, data, config, seed=seed, name="pt-GAN")
    return g, d, history


def gan_step(
    r1: Encoder,
    task: Task,
    batch: dict[str, Tensor],
    backward: Any,
    config: PtGANConfig,
) -> dict[str, Tensor]:
    """One step of D, then one of G (SPEC.md 4.4, "Implement")."""
    g, d = task.prepared["g"], task.prepared["d"]
    target, labels, mode = batch["target"], batch["label"], config.adversarial
    with torch.no_grad():
        source = r1.to(target.device)(batch["source"])
    drawn = g(source, batch["pose"])

    real_logits, real_class = d(target)
    fake_logits, fake_class = d(drawn.detach())
    d_adv = adversarial_loss(real_logits, smooth_targets(real_logits, mode), mode)
    d_adv = d_adv + adversarial_loss(fake_logits, 0.0, mode)
    d_class = class_loss(real_class, labels) + class_loss(fake_class, labels)
    task.optimizers["d"].zero_grad()
    backward(config.d_adversarial * d_adv + config.lambda_class * d_class)
    task.optimizers["d"].step()

    d.requires_grad_(False)
    fake_logits, fake_class = d(drawn)
    g_adv = adversarial_loss(fake_logits, 1.0, mode)
    g_class = class_loss(fake_class, labels)
    rec = reconstruction_loss(drawn, target, config.reconstruction)
    g_loss = g_adv + config.lambda_rec * rec
    if config.class_loss_in_g:
        g_loss = g_loss + config.lambda_class * g_class
    task.optimizers["g"].zero_grad()
    backward(g_loss)
    task.optimizers["g"].step()
    d.requires_grad_(True)
    return {
        "d_adv": d_adv,
        "d_class": d_class,
        "g_adv": g_adv,
        "g_class": g_class,
        "rec": rec,
    }


def watched_pairs(
    images: Tensor, pids: np.ndarray, points: np.ndarray, count: int, seed: int
) -> dict[str, Tensor]:
    """A fixed draw of clean pairs, the same at every look.

    Returns:
        source and target (P, 3, H, W) in [-1, 1], pose (P, 50); P at most ``count``.
    """
    pairs = PairDataset(images, pids, points, augment=to_network(), flip_target=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(pairs))[:count]
        draws = [pairs[int(i)] for i in order]
    return {k: torch.stack([d[k] for d in draws]) for k in WATCHED}
