"""What a finished stage leaves on disk, and how it is told from a stale one."""

import hashlib
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import reidlib
from reidlib.errors import ReIDDataError
from reidlib.models.files import read_weights, write_weights

LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "accelerate")
# Code whose change can change what is trained; plots and the command line cannot.
TRAINED_BY = ("pose", "data", "models", "training")


@dataclass(frozen=True)
class Made:
    """What a stage leaves: tensors, how training went, and a few numbers."""

    tensors: Mapping[str, Tensor]
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A stage on disk, made now or reused."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def key(self) -> str:
        """Digest of everything that made it."""
        return self.manifest["key"]

    @property
    def content(self) -> str:
        """Digest of the tensors that it left.

        Two machines may make different tensors under one key; what is built on them
        belongs to these ones.
        """
        return self.manifest["content"]

    @property
    def weights(self) -> Path:
        """Its ``weights.safetensors``.

        Raises:
            ReIDDataError: another run has put other ones in their place meanwhile.
        """
        if _manifest(self.folder).get("content") != self.content:
            raise ReIDDataError(
                f"{self.folder} was made anew by another run; begin this one again, "
                "and let runs of one data set, profile and seed follow each other."
            )
        return _weights(self.folder)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors, read from disk."""
        return read_weights(self.weights)

    @property
    def history(self) -> pd.DataFrame:
        """One row per look at held-out identities; empty where nothing was trained."""
        path = self.folder / "history.csv"
        return pd.read_csv(path) if path.stat().st_size > 1 else pd.DataFrame()

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers it reported."""
        return json.loads((self.folder / "metrics.json").read_text())


def digest(content: Any) -> str:
    """Short SHA-256 of something JSON can hold."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest(parts: tuple[str, ...] = TRAINED_BY) -> str:
    """Of the source that decides what is trained (or of other parts of reidlib)."""
    source = Path(reidlib.__file__).parent
    files = sorted(p for part in parts for p in (source / part).rglob("*.py"))
    sums = hashlib.sha256()
    for path in files:
        sums.update(path.relative_to(source).as_posix().encode())
        sums.update(path.read_bytes())
    return sums.hexdigest()[:16]


def fingerprint(values: Tensor) -> str:
    """Digest of a tensor's shape, type and values."""
    array = values.detach().cpu().contiguous().numpy()
    sums = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    sums.update(array.tobytes())
    return sums.hexdigest()[:16]


def circumstances(wall: float | None = None) -> dict[str, Any]:
    """Versions, device, threads, day, peak memory, and the wall time where known."""
    on_gpu = torch.cuda.is_available()
    found: dict[str, Any] = {
        "versions": {"python": platform.python_version()}
        | {"reidlib": reidlib.__version__}
        | {name: version(name) for name in LIBRARIES},
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).date().isoformat(),
        "peak_memory_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            / (1024**2 if sys.platform == "darwin" else 1024)
        ),
    }
    if wall is not None:
        found["wall_s"] = round(wall, 1)
    return found


def make_folder(path: Path) -> None:
    """The folder that a file will lie in.

    Raises:
        ReIDDataError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReIDDataError(
            f"There can be no folder {path.parent} ({error}); give another name."
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Write to a temporary name, then rename."""
    make_folder(path)
    # two runs may write one file at once: each to a name of its own
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.part")
    text = json.dumps(content, indent=1, sort_keys=True, default=_plain)
    try:
        temporary.write_text(text + "\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def as_plain(content: Any) -> Any:
    """What JSON gives back of something that it can hold."""
    return json.loads(json.dumps(content, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray | Tensor):
        return value.tolist()
    return asdict(value)


def is_made(folder: Path, key: str) -> bool:
    """Whether this folder holds, whole, the finished stage that this key makes."""
    manifest, weights = _manifest(folder), _weights(folder)
    if manifest.get("key") != key or not weights.is_file():
        return False
    return manifest.get("content") == file_digest(weights)


def _manifest(folder: Path) -> dict[str, Any]:
    """Its manifest; empty where there is none, or a broken one."""
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _weights(folder: Path) -> Path:
    return folder / "weights.safetensors"


def file_digest(path: Path) -> str:
    """Short SHA-256 of a file.

    Raises:
        ReIDDataError: there is none.
    """
    if not path.is_file():
        raise ReIDDataError(f"There is no file {path}; give one that there is.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def written(folder: Path) -> Finished:
    """The stage that was just written to this folder."""
    return Finished(folder, _manifest(folder))


def write_stage(target: Path, made: Made, manifest: dict[str, Any]) -> None:
    """Write beside, then swap: a stage is whole or absent.

    Raises:
        ReIDDataError: it cannot be written, for example to a full disk.
    """
    beside = target.with_name(f".{target.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        write_weights(_weights(beside), made.tensors)
        whole = manifest | {"content": file_digest(_weights(beside))}
        whole["cost"] = made.history.attrs.get("cost")
        write_json(beside / "config.json", manifest["config"])
        write_json(beside / "metrics.json", dict(made.metrics))
        made.history.to_csv(beside / "history.csv", index=False)
        write_json(beside / "manifest.json", whole)
    except (OSError, ReIDDataError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise ReIDDataError(
            f"{target} could not be written ({error}); make room and run again: "
            "finished stages are kept, and an unfinished one goes on."
        ) from error
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
