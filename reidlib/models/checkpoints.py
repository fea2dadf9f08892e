"""Other people's ResNet checkpoints, read into the trunk of an Encoder.

Nothing in a file is ever run: `torch.load(weights_only=True)` and safetensors only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.files import read_weights

if TYPE_CHECKING:
    from reidlib.models.encoder import Encoder

# Where each library keeps the trunk, below the "module." of DataParallel. torchvision
# and torchreid share the empty prefix; the name of the classifier tells them apart.
PREFIXES = {
    "reidlib": "trunk.",
    "fast-reid": "backbone.",
    "layumi": "model.",
    "torchvision": "",
}
_TRUNK = re.compile(r"(trunk\.(conv1|bn1|layer\d+)|neck)\.")
_COUNTER = re.compile(r"\.num_batches_tracked$")  # older files have none
_GLOBAL = re.compile(r"GLOBAL ([\w.]+\w)")  # in torch's refusals to import


@dataclass(frozen=True)
class Matched:
    """What a checkpoint gave to an encoder; printed, it is two lines.

    Attributes:
        layout: whose key names the file has: "torchvision", "torchreid", "fast-reid",
            "layumi" or "reidlib".
        matched: the encoder's keys that were filled.
        missing: the encoder's keys, but for its head's, that the file lacks and that
            stay as they were: step counters of batch norms, or a neck.
        ignored: the file's keys that were not used, such as its classifier's.
    """

    layout: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]

    def __str__(self) -> str:
        """What was taken; what was not, by its first names."""
        return (
            f"{self.layout} layout: {len(self.matched)} tensors matched\n"
            f"missing: {_listed(self.missing)}; ignored: {_listed(self.ignored)}"
        )


def load_checkpoint(encoder: "Encoder", path: Path) -> Matched:
    """Fill the trunk of an encoder, and the neck from our own files; never the head.

    The layout is found from the key names: torchvision, torchreid, fast-reid, layumi's
    baseline, or our own; the number of classes does not matter. Either the whole trunk
    fits, or an error is raised and the encoder stays as it was.

    Args:
        encoder: of the checkpoint's architecture.
        path: a ``.safetensors`` file, or what ``torch.save`` wrote (any other ending).

    Raises:
        ReIDDataError: missing, cut short, with code in it, without a trunk, or of
            another architecture.
        ReIDConfigError: our own file, of another architecture or with a neck where the
            encoder has none.
    """
    state, own = _state(path), encoder.state_dict()
    trunk = [k.removeprefix("trunk.") for k in own if k.startswith("trunk.")]
    layout = max(PREFIXES, key=lambda name: _hits(PREFIXES[name], trunk, state))
    prefix = PREFIXES[layout]
    if not _hits(prefix, trunk, state):
        raise ReIDDataError(
            f"{path} holds no ResNet trunk (its tensors: {_listed(state)}); give a "
            "ResNet checkpoint of torchvision, torchreid, fast-reid, layumi's baseline "
            "or reidlib."
        )
    names = {
        "trunk." + k.removeprefix(prefix): k for k in state if k.startswith(prefix)
    }
    if layout == "reidlib":
        names |= {k: k for k in state if k.startswith("neck.")}
    elif not prefix and any(k.startswith("classifier.") for k in state):
        layout = "torchreid"
    _check(encoder.arch, path, layout, own, {k: state[v] for k, v in names.items()})
    used = {k: v for k, v in names.items() if k in own}
    encoder.load_state_dict({k: state[v] for k, v in used.items()}, strict=False)
    left = (k for k in own if k not in used and not k.startswith("head."))
    ignored = (k for k in state if k not in used.values())
    return Matched(layout, tuple(used), tuple(left), tuple(ignored))


def _hits(prefix: str, trunk: list[str], state: Mapping[str, Tensor]) -> int:
    return sum(prefix + key in state for key in trunk)


def _check(
    arch: str,
    path: Path,
    layout: str,
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
) -> None:
    """Refuse a file whose trunk, under our names, is not the encoder's own."""
    needed = [k for k in own if k.startswith("trunk.") and not _COUNTER.search(k)]
    missing = [k for k in needed if k not in given]
    reshaped = [k for k in given if k in own and given[k].shape != own[k].shape]
    alien = [k for k in given if k not in own and _TRUNK.match(k)]
    surplus = [k for k in alien if not _COUNTER.search(k)]
    fits = not (missing or reshaped)
    if fits and not surplus:
        return
    if fits and all(k.startswith("neck.") for k in surplus):
        raise ReIDConfigError(
            f"{path} holds an encoder with a neck, which its descriptors pass through; "
            "build the Encoder with neck=True."
        )
    counts = (
        f"of {len(needed)} tensors {len(missing)} are missing and {len(reshaped)} have "
        f"another shape; {len(surplus)} have no place"
    )
    if layout == "reidlib":
        raise ReIDConfigError(
            f"{path} does not hold the weights of a {arch} encoder; give the "
            f"weights.safetensors of a run trained with this arch ({counts})."
        )
    raise ReIDDataError(
        f"{path} does not hold the trunk of a {arch} ({counts}, such as "
        f"{_listed([*missing, *reshaped, *surplus], 1)}); give a checkpoint of this "
        "arch, or build the Encoder with that of the file."
    )


def _state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, out of any "state_dict", "model" or "module."."""
    if path.suffix == ".safetensors":
        return read_weights(path)
    held = _unpickled(path)
    for key in ("state_dict", "model"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping):
        raise ReIDDataError(
            f"{path} holds a {type(held).__name__}, not tensors by name; save the "
            "network's state_dict() into it."
        )
    return {
        str(k).removeprefix("module."): v
        for k, v in held.items()
        if isinstance(v, Tensor)
    }


def _unpickled(path: Path) -> Any:
    if not path.is_file():
        raise ReIDDataError(f"No checkpoint at {path}; give the path of one.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may fail anywhere in torch's reader
        if alien := _GLOBAL.search(str(error)):
            raise ReIDDataError(
                f"{path} holds more than tensors, and to read {alien[1]} could run "
                "code; save only the state_dict() of its network, where you trust it, "
                "and give that."
            ) from error
        raise ReIDDataError(
            f"{path} cannot be read as a PyTorch checkpoint: it is cut short, of "
            "another format, or holds more than tensors; fetch it again."
        ) from error


def _listed(names: Iterable[str], most: int = 4) -> str:
    first = list(names)
    rest = f" and {len(first) - most} more" if len(first) > most else ""
    return (", ".join(first[:most]) or "none") + rest
