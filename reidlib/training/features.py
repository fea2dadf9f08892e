"""Frozen features, computed once: of pictures, and of what pt-GAN draws from them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import PartialState
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlib.models import Encoder, PoseGenerator, redraw


def to_float(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 → float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """(…, 3, H, W) in [-1, 1] → uint8, for looking at."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@contextmanager
def on_device(*networks: nn.Module) -> Iterator[torch.device]:
    """Lend networks to the accelerator in evaluation mode, then put them back."""
    device = PartialState().device
    homes = [next(network.parameters()).device for network in networks]
    for network in networks:
        network.eval().to(device)
    try:
        yield device
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


@torch.no_grad()
def extract(
    network: nn.Module, images: Tensor, *, batch: int = 256, flip: bool = False
) -> Tensor:
    """Features of many pictures.

    Args:
        network: an Encoder or a PoseInvariantExtractor; used in eval mode.
        images: (N, 3, H, W) uint8.
        flip: add the features of the mirrored pictures (SPEC.md 6).

    Returns:
        (N, D) float32 on the CPU.
    """
    parts = []
    with on_device(network) as device:
        for part in tqdm(images.split(batch), "features", mininterval=2, leave=False):
            x = to_float(part.to(device))
            made = network(x)
            if flip:
                made = made + network(x.flip(-1))
            parts.append(made.float().cpu())
    return torch.cat(parts)


@torch.no_grad()
def extract_generated(
    r1: Encoder,
    generator: PoseGenerator,
    r2: Encoder,
    images: Tensor,
    vectors: Tensor,
    *,
    batch: int = 256,
) -> Tensor:
    """R2 features of every picture redrawn in every pose.

    Args:
        images: (N, 3, H, W) uint8.
        vectors: (K, 50) pose vectors.
        batch: generated pictures at a time.

    Returns:
        (N, K, D) float32 on the CPU.
    """
    size = max(1, batch // len(vectors))
    parts = []
    with on_device(r1, generator, r2) as device:
        poses = vectors.to(device)
        for part in tqdm(images.split(size), "redrawing", mininterval=2, leave=False):
            drawn = redraw(r1, generator, to_float(part.to(device)), poses)
            made = r2(drawn.flatten(0, 1)).unflatten(0, drawn.shape[:2])
            parts.append(made.float().cpu())
    return torch.cat(parts)
