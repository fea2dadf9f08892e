"""An extractor as one file for programs without PyTorch (ONNX), or without reidlib."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import make_folder
from reidlib.models import PoseInvariantExtractor
from reidlib.models.frozen import frozen

FORMATS = (".onnx", ".pt2")
TOLERANCE = 1e-3  # of a descriptor's direction: 1 - cosine


class _Pictures(nn.Module):
    """From what a decoder gives to descriptors of length one."""

    def __init__(self, extractor: PoseInvariantExtractor) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 255] → (B, D')."""
        made = self.extractor(images / 127.5 - 1)
        return nn.functional.normalize(made, dim=-1)


def export(extractor: PoseInvariantExtractor, path: Path) -> float:
    """Write an extractor as ``.onnx`` or as ``.pt2`` (`torch.export`), and check it.

    The file takes pictures (B, 3, H, W), float32 in [0, 255], any B, and gives
    descriptors (B, D') of length one. It is run on pictures of noise before it gets
    its name, and must agree with PyTorch.

    Returns:
        The largest 1 - cosine between its descriptors and PyTorch's.

    Raises:
        ReIDConfigError: another ending, or a package of the extra ``export`` missing.
        ReIDDataError: what was written does not agree, or there can be no such file.
    """
    if path.suffix not in FORMATS:
        raise ReIDConfigError(
            f"{path} ends in '{path.suffix}'; give a name in {' or '.join(FORMATS)}."
        )
    network = _Pictures(frozen(extractor).to(memory_format=torch.contiguous_format))
    height, width = extractor.generator.size
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 3, height, width, generator=rng) * 255
    with (
        torch.no_grad()
    ):  # first: tables that networks keep must not be made in a trace
        expected = network(noise)
    dynamic = {"images": {0: torch.export.Dim("batch", min=1, max=4096)}}
    program = torch.export.export(network, (noise[:2],), dynamic_shapes=dynamic)
    temporary = path.with_name(f".part-{path.name}")
    make_folder(path)
    write = _onnx if path.suffix == ".onnx" else _pt2
    try:
        made = write(program, temporary, noise)
        gap = float((1 - (torch.as_tensor(made) * expected).sum(-1)).abs().max())
        if not gap < TOLERANCE:
            raise ReIDDataError(
                f"The exported file differs from PyTorch by {gap:.1e} (1 - cosine), "
                f"more than {TOLERANCE:.0e}; it was not kept."
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return gap


def _onnx(
    program: torch.export.ExportedProgram, path: Path, noise: Tensor
) -> np.ndarray:
    """Write, and what onnxruntime makes of the noise."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ReIDConfigError(
            f"ONNX needs {error.name}; pip install 'reidlib[export]'."
        ) from error
    made = torch.onnx.export(
        program,
        (),
        dynamo=True,
        optimize=False,
        verbose=False,
        input_names=["images"],
        output_names=["descriptors"],
    )
    assert made is not None
    made.save(str(path))
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3  # it would tell of constants that it cannot fold
    session = onnxruntime.InferenceSession(
        str(path), quiet, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"images": noise.numpy()})[0]


def _pt2(
    program: torch.export.ExportedProgram, path: Path, noise: Tensor
) -> np.ndarray:
    """Write, and what the file makes of the noise when it is read back."""
    torch.export.save(program, path)
    with torch.no_grad():
        return torch.export.load(path).module()(noise).numpy()
