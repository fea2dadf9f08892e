"""Computing so that a rerun agrees: one thread of a CPU, and kernels that repeat."""

import os
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits

from reidlib.errors import ReIDConfigError
from reidlib.training.distributed import processes

CPU_ONLY = "ACCELERATE_USE_CPU"
_undo: list[Callable[[], object]] = []  # what `repeatable` changed in this process


def repeatable(wanted: bool) -> None:
    """Fix device, threads and kernels of this process, or give them back as they were.

    Args:
        wanted: one thread of a CPU, also beside a GPU, and deterministic kernels:
            outputs are compared with a CPU's, and not all of a GPU's kernels repeat.

    Raises:
        ReIDConfigError: the GPU is wanted again, and this process has already computed
            on the CPU, which cannot be changed.
    """
    if wanted:
        if not _undo:
            threads = torch.get_num_threads()
            exact = torch.are_deterministic_algorithms_enabled()
            _undo.append(lambda: torch.set_num_threads(threads))
            _undo.append(lambda: torch.use_deterministic_algorithms(exact))
            # of scikit-learn, which does not ask torch
            _undo.append(threadpool_limits(1).restore_original_limits)
            if CPU_ONLY not in os.environ:
                _undo.append(lambda: os.environ.pop(CPU_ONLY, None))
        os.environ.setdefault(CPU_ONLY, "1")
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
    elif _undo:
        while _undo:
            _undo.pop()()
        free = os.environ.get(CPU_ONLY, "0") in ("", "0")
        if free and torch.cuda.is_available() and processes().device.type == "cpu":
            raise ReIDConfigError(
                "This process has computed on the CPU, as the smoke profile does, and "
                "cannot go to the GPU any more; begin this run in a new one (in a "
                "notebook, restart the kernel)."
            )
    # let cuDNN try its kernels and keep the fastest
    torch.backends.cudnn.benchmark = not wanted
