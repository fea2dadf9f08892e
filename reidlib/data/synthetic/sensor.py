"""From light to a file: camera colour, exposure, blur, resolution, noise and JPEG."""

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .cameras import Camera

if TYPE_CHECKING:
    from .world import Shot


# Darkest level and share of the colour that a lens leaves: measured on Market.
_VEIL, _COLOUR = 0.055, 0.72


def develop(
    image: Tensor,
    shots: "list[Shot]",
    cameras: list[Camera],
    native: np.ndarray,
    nuisance: bool,
) -> Tensor:
    """(B, 3, H, W) float light to uint8 pixels on the CPU.

    Args:
        image: light, about 0 to 1.
        shots: B shots.
        cameras: B cameras.
        native: (B,) rows that the sensor had for the picture; one that had fewer than
            H is taken small and enlarged.
        nuisance: False leaves everything out but the camera's colour.
    """
    device = image.device
    gain = torch.tensor([c.cast for c in cameras], device=device)
    if nuisance:
        tint = [[n.gain * t for t in n.tint] for n in (s.nuisance for s in shots)]
        gain = gain * torch.tensor(tint, device=device)
    out = image * gain[:, :, None, None]
    grey = (out[:, 0:1] + out[:, 1:2] + out[:, 2:3]) * (1 / 3)
    out = _VEIL + (grey + (out - grey) * _COLOUR) * (1 - _VEIL)
    if not nuisance:
        return _quantise(out).cpu()

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, device=device)[:, None, None, None]

    out = 0.45 + (out - 0.45) * column([s.nuisance.contrast for s in shots])
    out = out + (_soften(out) - out) * column([s.nuisance.blur for s in shots])
    levels = out.permute(0, 2, 3, 1).cpu().numpy() * 255
    pictures = np.empty(levels.shape, np.uint8)
    parts = zip(levels, shots, cameras, strict=True)
    for row, (values, shot, camera) in enumerate(parts):
        rng = np.random.default_rng(shot.nuisance.noise_seed)
        grain = rng.standard_normal(values.shape, dtype=np.float32)
        values += grain * camera.noise + 0.5
        pixels = values.clip(0, 255).astype(np.uint8)
        pictures[row] = _jpeg(pixels, shot.nuisance.quality, float(native[row]))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def _quantise(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _soften(image: Tensor) -> Tensor:
    """Binomial blur 1-2-1 in both directions, edges repeated."""
    for axis in (2, 3):
        size = image.shape[axis]
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, size - 1, 1)
        before = torch.cat([first, image.narrow(axis, 0, size - 1)], axis)
        after = torch.cat([image.narrow(axis, 1, size - 1), last], axis)
        image = (before + after) * 0.25 + image * 0.5
    return image


def _jpeg(pixels: np.ndarray, quality: int, native: float) -> np.ndarray:
    """What is left of (H, W, 3) uint8 after the camera's resolution and JPEG."""
    picture = Image.fromarray(pixels)
    size = picture.size
    share = native / size[1]
    if share < 1:
        small = (max(8, round(size[0] * share)), max(16, round(size[1] * share)))
        picture = picture.resize(small, Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    picture = Image.open(buffer)
    if share < 1:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)
