"""What a call costs: milliseconds when warm, and memory beyond what was there."""

import ctypes
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch


def milliseconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median of several calls, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def extra_memory(work: Callable[[], Any]) -> float:
    """MB that a call takes at its highest beyond what was there.

    Of the GPU where there is one; of the process on Linux; else NaN.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    with suppress(OSError, AttributeError):  # memory that is kept for later is not free
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark
    except OSError:
        return float("nan")
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """MB of this process now (VmRSS) or at its highest (VmHWM); NaN where unknown."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(x.split()[1]) for x in lines if x.startswith(field)) / 1024
