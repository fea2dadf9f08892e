"""Weights on disk: safetensors only, so that nothing is ever unpickled."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reidlib.errors import ReIDDataError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Name → tensor on the CPU.

    Raises:
        ReIDDataError: the file is missing or is not a safetensors file.
    """
    with _opened(path) as file:
        return {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """The strings that were saved beside the tensors, which are not read.

    Raises:
        ReIDDataError: the file is missing or is not a whole safetensors file.
    """
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ReIDDataError(f"No weights at {path}; train the stage first.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ReIDDataError(
            f"{path} is not a whole safetensors file ({error}); give one that is, or "
            "write it again."
        ) from error


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write to a temporary name, then rename: never a half-written file.

    Raises:
        ReIDDataError: it cannot be written, for example to a full disk.
    """
    whole: dict[str, Tensor] = {}
    places = set()
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu().contiguous()
        # a network that stands in two places is written twice
        whole[name] = kept.clone() if kept.data_ptr() in places else kept
        places.add(kept.data_ptr())
    # a name of one's own: another process may be writing the same
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}.part")
    try:
        save_file(whole, temporary, metadata)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise ReIDDataError(
            f"{path} could not be written ({error}); make room, and run again."
        ) from error
