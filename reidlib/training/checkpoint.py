"""A run that is still being made, on disk: killed at any moment, it goes on."""

import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.files import read_metadata, read_weights, write_weights

log = logging.getLogger(__name__)


class Checkpoint:
    """One safetensors file, written in the background and renamed when whole.

    Args:
        path: of the file.
        key: of what is being made; a file with another key is not gone on from.
        every: seconds between two saves.
        events: a folder for TensorBoard, or None.
    """

    def __init__(
        self,
        path: Path,
        key: str = "",
        *,
        every: float = 60.0,
        events: Path | None = None,
    ) -> None:
        self.path, self.key, self.every, self.events = path, key, every, events
        self._saved = time.monotonic()
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._events: Any = None

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and note of the last save under this key; None if there is none."""
        if not self.path.is_file():
            return None
        try:
            meta = read_metadata(self.path)
        except ReIDDataError as error:
            log.warning("%s The stage starts anew.", error)
            return None
        if meta.get("key") != self.key:
            return None
        return read_weights(self.path), json.loads(meta["note"])

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self.every

    def save(self, tensors: Mapping[str, Tensor], note: Any) -> None:
        """Copy now, write in the background; the file before stays until then.

        A save that fails (a full disk) is told in the log and tried again at the
        next; training goes on, and the last whole file stays.
        """
        self._collect()
        self._saved = time.monotonic()
        copied = {k: v.detach().to("cpu", copy=True) for k, v in tensors.items()}
        meta = {"key": self.key, "note": json.dumps(note)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._pending = self._writer.submit(write_weights, self.path, copied, meta)

    def tell(self, row: Mapping[str, float]) -> None:
        """Hand the numbers of a look to TensorBoard, where it was asked for.

        Raises:
            ReIDConfigError: it is not installed.
        """
        if self.events is None:
            return
        if self._events is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ReIDConfigError(
                    "TensorBoard is not installed; pip install 'reidlib[tensorboard]'."
                ) from error
            self._events = SummaryWriter(self.events)
        for name, value in row.items():
            self._events.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Wait for the save that is being written."""
        self._collect()
        if self._events is not None:
            self._events.close()

    def discard(self) -> None:
        """What was being made is finished: the file is no longer needed."""
        self._collect()
        self.path.unlink(missing_ok=True)
        for cut_short in self.path.parent.glob(f"{self.path.name}.*.part"):
            cut_short.unlink(missing_ok=True)  # of a process that was killed

    def _collect(self) -> None:
        if self._pending is None:
            return
        try:
            self._pending.result()
        except ReIDDataError as error:
            log.warning("No checkpoint was saved: %s", error)
        self._pending = None


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as named tensors."""
    return {
        f"{name}.{number}.{key}": torch.as_tensor(value)
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimizer(
    name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put the tensors of ``optimizer_tensors`` back."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in below(name, tensors).items():
        number, _, what = key.partition(".")
        like = parameters[int(number)]
        if value.shape == like.shape:  # a fused step needs the parameter's own layout
            value = torch.empty_like(like, device="cpu").copy_(value)
        state.setdefault(int(number), {})[what] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``name.``, without it."""
    head = name + "."
    return {k[len(head) :]: v for k, v in tensors.items() if k.startswith(head)}
