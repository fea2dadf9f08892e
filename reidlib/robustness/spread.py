"""Work that falls into independent parts, shared among the cores of a CPU.

Processes and not threads: freezing a network traces it, and a trace replaces
`nn.Module.__call__` of the whole process for as long as it lasts.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partialmethod
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm

from reidlib.data.reading import free_cores
from reidlib.errors import ReIDConfigError

Part = TypeVar("Part")
Answer = TypeVar("Answer")
_work: list[Callable[[Any], Any]] = []  # of a worker, which is a copy of this process


def cores(workers: int | None = None) -> int:
    """So many workers, or those that pay: each core one, where PyTorch uses one thread.

    Processes are copied (forked), which a GPU's context and macOS do not bear. The
    environment's ``REIDLIB_WORKERS`` is the most of them; the pipeline, which runs
    several chapters at a time, sets it.

    Raises:
        ReIDConfigError: fewer than one worker, given or in the environment.
    """
    if workers is not None:
        if workers < 1:
            raise ReIDConfigError(f"{workers} workers do nothing; give 1 or more.")
        return workers
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    if not alone or sys.platform != "linux":
        return 1
    free = free_cores()
    told = os.environ.get("REIDLIB_WORKERS", str(free))
    if not told.isdecimal() or int(told) < 1:
        raise ReIDConfigError(f"REIDLIB_WORKERS is '{told}'; give 1 or more.")
    return min(free, int(told))


def spread(
    work: Callable[[Part], Answer], parts: Sequence[Part], workers: int
) -> Iterator[Answer]:
    """``map(work, parts)`` in order, by several processes.

    Args:
        work: any callable; what it returns is sent back, what else it changes is not.
        parts: of the work.
        workers: processes; 1: this one.

    Raises:
        Exception: what ``work`` raised.
    """
    if workers == 1 or len(parts) < 2:
        yield from map(work, parts)
        return
    with ProcessPoolExecutor(
        min(workers, len(parts)),
        multiprocessing.get_context("fork"),
        initializer=_begin,
        initargs=(work,),
    ) as pool:
        yield from pool.map(_do, parts)


def _begin(work: Callable[[Any], Any]) -> None:
    """Make a worker ready: it draws no bars, which a notebook could not show."""
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)
    _work.append(work)


def _do(part: Any) -> Any:
    return _work[-1](part)
