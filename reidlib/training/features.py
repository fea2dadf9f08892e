"""Frozen features, computed once: of pictures, and of what pt-GAN draws from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlib.models import Encoder, PoseGenerator, redraw
from reidlib.models.frozen import frozen
from reidlib.training.distributed import processes
from reidlib.training.precision import Precision, usable


def to_float(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 → float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """(…, 3, H, W) in [-1, 1] → uint8, for looking at."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@contextmanager
def serving(
    *networks: nn.Module | None, precision: Precision = "fp32"
) -> Iterator[tuple[torch.device, list[Any]]]:
    """Copies of networks, fit for inference, on the accelerator; None stays None.

    Inside, products and convolutions run in ``precision`` where the device can.
    """
    device = processes().device
    lower = usable(precision, device) == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=lower):
        yield (
            device,
            [n if n is None else frozen(n, bf16=lower).to(device) for n in networks],
        )


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


def describer(
    network: nn.Module,
    *,
    flip: bool = False,
    precision: Precision = "fp32",
    compiled: bool = False,
) -> Callable[[Tensor], Tensor]:
    """How ``extract`` describes one part of the pictures; arguments as there.

    Returns:
        A function: (b, 3, H, W) uint8 → (b, D) on the accelerator.
    """
    device = processes().device
    lower = usable(precision, device) == "bf16"
    call: Any = frozen(network, bf16=lower).to(device)
    if compiled:  # on a CPU, weights that stay are laid out for its products once
        freezing = {"freezing": device.type == "cpu"}
        call = torch.compile(call, dynamic=False, options=freezing)

    @torch.no_grad()
    def describe(part: Tensor) -> Tensor:
        x = to_float(part.to(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=lower):
            return call(x) + call(x.flip(-1)) if flip else call(x)

    return describe


def extract(
    network: nn.Module,
    images: Tensor,
    *,
    batch: int | None = None,
    flip: bool = False,
    precision: Precision = "fp32",
    compiled: bool = False,
) -> Tensor:
    """Features of many pictures, in memory that does not grow with them.

    Args:
        network: an Encoder or a PoseInvariantExtractor; used in eval mode.
        images: (N, 3, H, W) uint8.
        batch: pictures at a time, an extractor's drawings and views counted too.
            None: 256, or on a CPU 64, whose maps stay nearer its caches.
        flip: add the features of the mirrored pictures (the authors' code).
        precision: "bf16" where the device has the instructions: several times
            faster, and features whose cosine to float32's is above 0.999.
        compiled: by ``torch.compile``, which takes up to a minute first.

    Returns:
        (N, D) float32 on the CPU.
    """
    batch = batch or (64 if processes().device.type == "cpu" else 256)
    more = len(getattr(network, "poses", ())) + getattr(network, "views", 0)
    size = max(1, batch // (1 + more))
    parts = list(images.split(size))
    if compiled and len(parts) > 1:  # another size would be compiled anew
        lacking = size - len(parts[-1])
        parts[-1] = torch.cat([parts[-1], images[:lacking]])
    describe = describer(network, flip=flip, precision=precision, compiled=compiled)
    return _shared(tuple(parts), describe, "features")[: len(images)]


@torch.no_grad()
def extract_generated(
    r1: Encoder | None,
    generator: PoseGenerator,
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
    with serving(r1, generator, r2, precision=precision) as (device, made):
        poses = vectors.to(device)

        def describe(part: Tensor) -> Tensor:
            drawn = redraw(made[0], made[1], to_float(part.to(device)), poses)
            return made[2](drawn.flatten(0, 1)).unflatten(0, drawn.shape[:2])

        return _shared(images.split(size), describe, "redrawing")
