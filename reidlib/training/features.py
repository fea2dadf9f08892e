"""Frozen features, computed once: of pictures, and of what pt-GAN draws from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlib.models import Encoder, Generator, redraw
from reidlib.training.distributed import processes
from reidlib.training.precision import Precision, usable


def to_float(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 → float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """(…, 3, H, W) in [-1, 1] → uint8, for looking at."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@contextmanager
def on_device(
    *networks: nn.Module, precision: Precision = "fp32"
) -> Iterator[torch.device]:
    """Lend networks to the accelerator in evaluation mode, then put them back.

    Inside, products and convolutions run in ``precision`` where the device can.
    """
    device = processes().device
    lower = usable(precision, device) == "bf16"
    homes = [next(network.parameters()).device for network in networks]
    for network in networks:
        network.eval().to(device)
        if lower:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=lower):
            yield device
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


def _shared(
    parts: tuple[Tensor, ...], made_of: Callable[[Tensor], Tensor], title: str
) -> Tensor:
    """Every process computes its share of the parts; all get the whole."""
    state = processes()
    mine = range(state.process_index, len(parts), state.num_processes)
    made = [
        (i, made_of(parts[i]).float().cpu())
        for i in tqdm(mine, title, mininterval=2, leave=False)
    ]
    if state.num_processes > 1:
        made = sorted(gather_object(made), key=lambda pair: pair[0])
    return torch.cat([part for _, part in made])


@torch.no_grad()
def extract(
    network: nn.Module,
    images: Tensor,
    *,
    batch: int = 256,
    flip: bool = False,
    precision: Precision = "fp32",
    compiled: bool = False,
) -> Tensor:
    """Features of many pictures.

    Args:
        network: an Encoder or a PoseInvariantExtractor; used in eval mode.
        images: (N, 3, H, W) uint8.
        flip: add the features of the mirrored pictures (SPEC.md 6).
        precision: "bf16" where the device has the instructions: several times
            faster, and features whose cosine to float32's is above 0.999.
        compiled: by ``torch.compile``, which takes up to a minute first.

    Returns:
        (N, D) float32 on the CPU.
    """
    call = torch.compile(network) if compiled else network

    def describe(part: Tensor) -> Tensor:
        x = to_float(part.to(device))
        return call(x) + call(x.flip(-1)) if flip else call(x)

    with on_device(network, precision=precision) as device:
        return _shared(images.split(batch), describe, "features")


@torch.no_grad()
def extract_generated(
    r1: Encoder,
    generator: Generator,
    r2: Encoder,
    images: Tensor,
    vectors: Tensor,
    *,
    batch: int = 256,
    precision: Precision = "fp32",
) -> Tensor:
    """R2 features of every picture redrawn in every pose.

    Args:
        images: (N, 3, H, W) uint8.
        vectors: (K, 50) pose vectors.
        batch: generated pictures at a time.
        precision: as in ``extract``.

    Returns:
        (N, K, D) float32 on the CPU.
    """
    size = max(1, batch // len(vectors))

    def describe(part: Tensor) -> Tensor:
        drawn = redraw(r1, generator, to_float(part.to(device)), poses)
        return r2(drawn.flatten(0, 1)).unflatten(0, drawn.shape[:2])

    with on_device(r1, generator, r2, precision=precision) as device:
        poses = vectors.to(device)
        return _shared(images.split(size), describe, "redrawing")
