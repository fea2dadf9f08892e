"""The losses of eq. 3-6, and the schedules, each a plain function."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError

Adversarial = Literal["nonsat", "lsgan"]
Reconstruction = Literal["l2_mse", "l1", "l2_norm"]

# D's target for real pictures is drawn from here. With BCE a target above 1 would
# make the loss unbounded below, so only LSGAN keeps the code's 1.1.
SMOOTH_REAL = {"nonsat": (0.8, 1.0), "lsgan": (0.8, 1.1)}


def smooth_targets(logits: Tensor, mode: Adversarial, draws: Draws) -> Tensor:
    """D's targets for real pictures, noise per map element (the authors' code)."""
    low, high = SMOOTH_REAL[mode]
    return draws.uniform(*logits.shape[1:], low=low, high=high)


def adversarial_loss(
    logits: Tensor, target: Tensor | float, mode: Adversarial
) -> Tensor:
    """How far D's opinion is from the target (eq. 3, non-saturating, or LSGAN).

    Args:
        logits: (B, 1, h, w) raw output of D.
        target: the same shape, or one number for all; 1 = real.
        mode: "nonsat" is binary cross-entropy (paper), "lsgan" squared error (code).
    """
    wanted = (
        target.to(logits).expand_as(logits)
        if isinstance(target, Tensor)
        else torch.full_like(logits, target)
    )
    if mode == "lsgan":
        return F.mse_loss(logits, wanted)
    return F.binary_cross_entropy_with_logits(logits, wanted)


def reconstruction_loss(drawn: Tensor, target: Tensor, kind: Reconstruction) -> Tensor:
    """Distance of the drawn picture from the true one (eq. 4).

    Args:
        drawn, target: (B, 3, H, W) in [-1, 1].
        kind: "l2_mse" is the mean square per value (default), "l1" the authors'
            code, "l2_norm" eq. 4 read literally, the norm over a whole picture.
    """
    if kind == "l1":
        return F.l1_loss(drawn, target)
    if kind == "l2_mse":
        return F.mse_loss(drawn, target)
    return (drawn - target).flatten(1).norm(dim=1).mean()


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the identity branch (eq. 5), mean over the batch."""
    return F.cross_entropy(logits, labels)


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared norm of D's gradient at its input (R1 of Mescheder et al. 2018).

    Args:
        logits: (B, 1, h, w) of ``images``, which require gradients.
        images: (B, 3, H, W).
    """
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


def constant_then_linear(progress: float) -> float:
    """Learning-rate factor: 1 in the first half, then linearly to 0 (the authors')."""
    return 1.0 - max(0.0, progress - 0.5) / 0.5


def step_down(progress: float) -> float:
    """Learning-rate factor: x 0.1 after two thirds (epoch 40 of 60, as the authors)."""
    return 1.0 if progress < 2 / 3 else 0.1


def warmup_cosine(warmup: float) -> Callable[[float], float]:
    """Learning-rate factor: linear from 1 % to 1, then half a cosine down to 0.

    Args:
        warmup: share of the run for the rise, in [0, 1); 0: none.

    Returns:
        Progress in [0, 1] → factor, as `step_down`.

    Raises:
        ReIDConfigError: a share outside [0, 1).

    Source: Goyal et al. 2017 (warm-up); Loshchilov and Hutter 2017, eq. 5 (cosine).
    """
    if not 0 <= warmup < 1:
        raise ReIDConfigError(
            f"a warm-up of {warmup} of the run leaves nothing to train with; choose a "
            "share from 0 to below 1, such as 0.1."
        )

    def factor(progress: float) -> float:
        if progress < warmup:
            return 0.01 + 0.99 * progress / warmup
        return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))

    return factor
