"""In which number format networks run, and how fast the machine multiplies."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reidlib.models import products

log = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether this device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        cpu: Any = torch.cpu  # torch has no public question for this
        return cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    return False


def usable(precision: Precision, device: torch.device) -> Precision:
    """The asked precision, or float32 (and a line in the log) without instructions."""
    if precision == "bf16" and not has_bf16(device):
        log.warning("%s has no bfloat16 instructions; float32 is used.", device)
        return "fp32"
    return precision


def prepare(
    network: nn.Module, device: torch.device, precision: Precision, compiled: bool
) -> Callable[..., Any]:
    """Move a network, and return how to call it: float32 in, float32 out.

    Weights stay float32; in "bf16" the products and convolutions run in bfloat16
    (autocast), and on maps whose channels lie together in memory. Not where there
    is InstanceNorm on a CPU: torch's separates them, and every layer would copy.
    """
    network.to(device)
    if precision == "fp32" and not compiled:
        return network
    separate = any(isinstance(m, nn.InstanceNorm2d) for m in network.modules())
    if not (separate and device.type == "cpu"):
        network.to(memory_format=torch.channels_last)
    lower = precision == "bf16"
    if lower and device.type == "cpu":
        products.mend(network)
    call: Any = torch.compile(network) if compiled else network

    def run(*inputs: Any) -> Any:
        with torch.autocast(device.type, torch.bfloat16, enabled=lower):
            return _float(call(*inputs))

    return run


def _float(made: Any) -> Any:
    if isinstance(made, Tensor):
        return made.float()
    parts = [_float(part) for part in made]
    return made._make(parts) if hasattr(made, "_make") else tuple(parts)


@lru_cache
def measured_peak(device: str, precision: Precision, threads: int) -> float:
    """FLOP/s of a bare matrix product on this device, the best of a few."""
    n = 8192 if device.startswith("cuda") else 1024
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    generator = torch.Generator(device).manual_seed(0)
    # Equal numbers would be faster: where no bit changes, a GPU draws less power.
    a = torch.randn(n, n, dtype=dtype, device=device, generator=generator)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        made = a @ a
        float(made[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best
