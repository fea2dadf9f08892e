"""Several processes that train as one: who computes what, and what they share."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env
from filelock import FileLock, Timeout
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reidlib.errors import ReIDConfigError

log = logging.getLogger(__name__)


def processes() -> PartialState:
    """The processes of this run: as many as ``accelerate launch`` started, or one.

    Accelerate looks for GPUs first, and forms no group on a machine without them
    unless it is told.
    """
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not gpu)


def shares(batch: int, parts: int) -> list[slice]:
    """This process's rows of a global batch, in ``parts`` equal micro-batches.

    Raises:
        ReIDConfigError: the batch cannot be divided equally.
    """
    state = processes()
    pieces = state.num_processes * parts
    if batch % pieces:
        raise ReIDConfigError(
            f"A batch of {batch} cannot be divided equally among "
            f"{state.num_processes} processes with {parts} micro-batches each; set "
            f"batch (--config.batch) to a multiple of {pieces}."
        )
    size, first = batch // pieces, state.process_index * parts
    return [slice(i * size, (i + 1) * size) for i in range(first, first + parts)]


def check_norms(networks: Mapping[str, nn.Module], batch: int, parts: int) -> None:
    """Refuse batch normalisation of one picture.

    Raises:
        ReIDConfigError: a network has it, and the micro-batches hold one picture.
    """
    modules = (m for network in networks.values() for m in network.modules())
    if batch // parts < 2 and any(isinstance(m, _BatchNorm) for m in modules):
        raise ReIDConfigError(
            f"A batch of {batch} in {parts} parts has parts of one picture, which "
            "cannot be batch-normalised; set --config.batch to at least twice "
            "--config.accumulate."
        )


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes.

    One all-reduce of one long vector. DistributedDataParallel would hide part of its
    time behind the backward pass, but it forbids what a GAN does: freezing D while G
    learns, and two forward passes before one backward.
    """
    if processes().num_processes == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= processes().num_processes
    for gradient, mean in zip(
        gradients, flat.split([g.numel() for g in gradients]), strict=True
    ):
        gradient.copy_(mean.view_as(gradient))


class _Total(torch.autograd.Function):
    """The sum over the processes: of values, and on the way back of gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        # by itself, so that a gradient penalty can go back twice
        return _Total.apply(gradient)


def everyone(values: Tensor) -> Tensor:
    """(b, …) of this process → (B, …) of all, with gradients; as it is for one."""
    state = processes()
    if state.num_processes == 1:
        return values
    parts = [torch.zeros_like(values) for _ in range(state.num_processes)]
    parts[state.process_index] = values
    return _Total.apply(torch.cat(parts))


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor that every process has."""
    state = processes()
    if state.num_processes == 1:
        return values  # where they are: Apple's GPUs hold no float64
    total = values.to(state.device, copy=True)
    distributed.all_reduce(total)
    return total / state.num_processes


def agreed(answer: Any) -> Any:
    """The answer of the main process, for all."""
    return broadcast_object_list([answer])[0]


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keep other runs out while this one, with all its processes, is inside."""
    state, lock, waits = processes(), FileLock(path), False
    # all ask again and again: those that wait silently for the main one are cut off
    while not agreed(state.is_main_process and _taken(lock, 5 if waits else 0)):
        if not waits:
            log.info("another run is at work on %s; waiting for it", path.stem[1:])
        waits = True
    try:
        yield
    finally:
        lock.release()


def _taken(lock: FileLock, timeout: float) -> bool:
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    return True


@contextmanager
def shared_statistics(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Let every BatchNorm take its mean and variance over the whole global batch.

    ``nn.SyncBatchNorm`` does the same, but on GPUs only.
    """
    if processes().num_processes == 1:
        yield
        return
    layers = [m for n in networks for m in n.modules() if isinstance(m, _BatchNorm)]
    for layer in layers:
        layer.__dict__["forward"] = MethodType(_shared_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def _shared_forward(self: _BatchNorm, x: Tensor) -> Tensor:
    if not self.training:
        return type(self).forward(self, x)
    over = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    local = x.float()
    n = local.numel() // local.shape[1]
    sums = torch.cat([local.sum(over), local.square().sum(over), local.new_tensor([n])])
    total, squares, count = _Total.apply(sums).tensor_split(
        [x.shape[1], 2 * x.shape[1]]
    )
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    with torch.no_grad():
        if (
            self.track_running_stats
            and self.running_mean is not None
            and self.running_var is not None
            and self.num_batches_tracked is not None
        ):
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean, self.momentum or 0.1)
            self.running_var.lerp_(unbiased, self.momentum or 0.1)
            self.num_batches_tracked.add_(1)
    made = (local - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
    if self.affine:
        made = made * self.weight.view(shape) + self.bias.view(shape)
    return made.to(x.dtype)
