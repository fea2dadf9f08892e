"""What training costs: pictures a second, memory, and the share of the peak used."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from reidlib.training.precision import Precision, measured_peak


class Operations(TorchDispatchMode):
    """Counts floating-point operations of products and convolutions while active.

    torch's own ``FlopCounterMode`` also watches modules, by hooks that do not bear
    ``torch.autograd.grad``, which a gradient penalty needs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the operation, and add its count."""
        made = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flop += count(*args, **(kwargs or {}), out_val=made)
        return made


class Meter:
    """Times the steps (looks apart) and counts the operations of the first.

    Args:
        batch: pictures a step, over all processes.
        precision: that the networks run in.
        state: of the processes.
    """

    def __init__(self, batch: int, precision: Precision, state: PartialState) -> None:
        self.batch, self.precision, self.state = batch, precision, state
        self.steps, self.seconds, self.flop = 0, 0.0, 0
        self._since: float | None = None
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    @contextmanager
    def counted(self, *, counting: bool = True) -> Iterator[None]:
        """Around a step. The first is counted and not timed: it warms up."""
        if self.steps == 0 and counting:
            with Operations() as seen:
                yield
            self.flop = seen.flop * self.state.num_processes
        else:
            yield
        if self.steps == 0:
            self._since = time.perf_counter()
        self.steps += 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around what is not training."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
        yield
        if self._since is not None:
            self._since = time.perf_counter()

    def cost(self) -> dict[str, Any]:
        """For the manifest; empty where there was nothing to time."""
        if self.steps < 2:
            return {}
        timed, device = self.steps - 1, self.state.device
        found: dict[str, Any] = {
            "images_per_s": round(timed * self.batch / self.seconds, 1),
            "precision": self.precision,
            "processes": self.state.num_processes,
            "peak_memory_mb": peak_memory_mb(),
        }
        if self.flop:
            peak = measured_peak(str(device), self.precision, torch.get_num_threads())
            rate = self.flop * timed / self.seconds
            found["gflop_per_image"] = round(self.flop / self.batch / 1e9, 3)
            found["gflop_per_s"] = round(rate / 1e9, 1)
            found["peak_gflop_per_s"] = round(peak / 1e9, 1)
            share = rate / (peak * self.state.num_processes)
            found["flop_utilisation"] = round(share, 3)
        return found


def peak_memory_mb() -> int:
    """Of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (2**20 if sys.platform == "darwin" else 2**10))
