"""What spoils a picture: a function of pixels, a severity and a random generator.

A corruption maps (N, 3, H, W) uint8 pictures to as many of the same size. `corrupt`
calls it for one picture at a time, with a generator that depends on seed, factor and
picture alone: what happens to a picture does not depend on those beside it. Severity
0 leaves every picture as it is, so that a curve starts at the clean result exactly.
"""

import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from reidlib.errors import ReIDConfigError

Corruption = Callable[[Tensor, float, Generator], Tensor]
SEVERITIES = (0.25, 0.5, 0.75, 1.0)  # of a corruption that states none
BILINEAR = InterpolationMode.BILINEAR


Apply = TypeVar("Apply")


@dataclass(frozen=True)
class Factor(Generic[Apply]):
    """One thing that can go wrong, and how far.

    Attributes:
        apply: makes it of pictures (a `Corruption`), or of a shot (a `Change`).
        unit: of its severity.
        severities: what a grid asks for, rising, each above 0.
        most: the largest severity that it knows.
    """

    apply: Apply
    unit: str = ""
    severities: tuple[float, ...] = SEVERITIES
    most: float = math.inf

    @property
    def middle(self) -> float:
        """The severity in the middle of its list, the upper one of two."""
        return self.severities[len(self.severities) // 2]


def corrupt(
    images: Tensor,
    name: str,
    severity: float,
    seed: int = 0,
    *,
    factor: Factor[Corruption] | None = None,
    keys: Sequence[int] | None = None,
) -> Tensor:
    """Spoil every picture.

    Args:
        images: (N, 3, H, W) uint8.
        name: of the factor; one of `FACTORS` where no factor is given.
        severity: in the factor's unit; 0 changes nothing.
        seed: of what is drawn.
        factor: of your own.
        keys: (N,) a number of each picture, from which its draws follow; None: its row.

    Raises:
        ReIDConfigError: an unknown factor, a severity that it does not have, other
            pictures, or a corruption that returns no such pictures.
    """
    factor = factor or known(name)
    check_severity(name, factor, severity)
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ReIDConfigError(
            f"the pictures are {images.dtype} of shape {tuple(images.shape)}; give "
            "uint8 of shape (N, 3, H, W)."
        )
    if severity == 0 or len(images) == 0:
        return images.clone()
    out = torch.empty_like(images)
    for row, key in enumerate(range(len(images)) if keys is None else keys):
        made = factor.apply(images[row : row + 1], severity, draws(name, seed, key))
        if made.shape != images[:1].shape or made.dtype != torch.uint8:
            raise ReIDConfigError(
                f"the corruption '{name}' made {made.dtype} of shape "
                f"{tuple(made.shape)} of uint8 {tuple(images[:1].shape)}; return "
                "uint8 of the shape that was given."
            )
        out[row] = made[0]
    return out


def draws(name: str, seed: int, key: int) -> Generator:
    """The random numbers of one picture under one factor."""
    words = [zlib.crc32(name.encode()), seed, int(key)]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return Generator().manual_seed(int(state[0] >> np.uint64(1)))


def known(name: str) -> Factor[Corruption]:
    """The factor of this name.

    Raises:
        ReIDConfigError: there is none.
    """
    if name not in FACTORS:
        raise ReIDConfigError(
            f"There is no factor '{name}' of pictures; choose one of "
            f"{', '.join(FACTORS)}, or give a corruption of your own."
        )
    return FACTORS[name]


def check_severity(name: str, factor: Factor, severity: float) -> None:
    """Refuse what the factor does not know.

    Raises:
        ReIDConfigError: it is negative, too large, or no number.
    """
    if not 0 <= severity <= factor.most or not math.isfinite(severity):
        unit = f" {factor.unit}" if factor.unit else ""
        raise ReIDConfigError(
            f"the severity of '{name}' is {severity}; give 0 to {factor.most:g}{unit}."
        )


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))


def _sign(generator: Generator) -> int:
    return 1 if _uniform(generator) < 0.5 else -1


def rotation(images: Tensor, degrees: float, generator: Generator) -> Tensor:
    """Turned by this angle to either side; the edge's colours fill the corners."""
    turn = degrees * _sign(generator)
    return _moved(images, turn, (0, 0), 1.0)


def shift(images: Tensor, share: float, generator: Generator) -> Tensor:
    """A box that missed: moved by this share of its size, sideways and up or down."""
    height, width = images.shape[-2:]
    offset = [round(share * n * _sign(generator)) for n in (width, height)]
    return _moved(images, 0.0, (offset[0], offset[1]), 1.0)


def shrink(images: Tensor, halvings: float, generator: Generator) -> Tensor:
    """A box that is too large: the person is 2^halvings times smaller in it."""
    return _moved(images, 0.0, (0, 0), 2**-halvings)


def _moved(
    images: Tensor, degrees: float, offset: tuple[int, int], scale: float
) -> Tensor:
    """Rotated, translated and scaled about the middle, on a ground of edge colours."""
    size = list(images.shape[-2:])
    wide = F.pad(images, [max(size)] * 4, padding_mode="edge")
    kept = {"interpolation": BILINEAR}
    made = F.affine(wide, degrees, list(offset), scale, [0.0, 0.0], **kept)
    return F.center_crop(made, size)


def erasing(images: Tensor, share: float, generator: Generator) -> Tensor:
    """A rectangle of noise over this share of the area, somewhere in the picture."""
    height, width = images.shape[-2:]
    low, high = (min(max(share, share**0.5 * f), 1.0) for f in (0.7, 1.4))
    rows = max(1, round(height * (low + (high - low) * _uniform(generator))))
    columns = min(round(share * height * width / rows), width)
    top = round((height - rows) * _uniform(generator))
    left = round((width - columns) * _uniform(generator))
    noise = torch.randint(
        256, (1, 3, rows, columns), generator=generator, dtype=torch.uint8
    )
    return F.erase(images, top, left, rows, columns, noise)


def darker(images: Tensor, stops: float, generator: Generator) -> Tensor:
    """Each stop halves the values."""
    return F.adjust_brightness(images, 2.0**-stops)


def brighter(images: Tensor, stops: float, generator: Generator) -> Tensor:
    """Each stop doubles the values, up to white."""
    return F.adjust_brightness(images, 2.0**stops)  # an integer would wrap


def gamma(images: Tensor, halvings: float, generator: Generator) -> Tensor:
    """Middle tones lifted or lowered: the power of 2 or 1/2 to this number."""
    return F.adjust_gamma(images, 2.0 ** (halvings * _sign(generator)))


def cast(images: Tensor, stops: float, generator: Generator) -> Tensor:
    """So many stops from red to blue, half of it each, in either direction."""
    gain = cast_gains(stops, _sign(generator))
    tinted = images.float() * torch.tensor(gain)[:, None, None]
    return tinted.round().clamp(0, 255).to(torch.uint8)


def cast_gains(stops: float, sign: int) -> tuple[float, float, float]:
    """Gains of red, green and blue."""
    half = 2 ** (sign * stops / 2)
    return half, 1.0, 1 / half


def resolution(images: Tensor, halvings: float, generator: Generator) -> Tensor:
    """Taken 2^halvings times smaller, and enlarged again."""
    size = list(images.shape[-2:])
    small = [max(2, round(n * 2**-halvings)) for n in size]
    return F.resize(F.resize(images, small, antialias=True), size, antialias=True)


def blur(images: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Gaussian; sigma in pixels of a picture that is 64 high."""
    pixels = sigma * images.shape[-2] / 64
    reach = min(math.ceil(3 * pixels), min(images.shape[-2:]) - 1)
    return F.gaussian_blur(images, [2 * reach + 1] * 2, [pixels] * 2)


def jpeg(images: Tensor, loss: float, generator: Generator) -> Tensor:
    """Stored as JPEG of quality 100 - loss."""
    made = []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=max(1, round(100 - loss)))
        made.append(torch.from_numpy(np.array(Image.open(file))))
    return torch.stack(made).permute(0, 3, 1, 2)


FACTORS: dict[str, Factor[Corruption]] = {
    "rotation": Factor(rotation, "degrees", (10, 20, 45, 90), 180),
    "bad crop": Factor(shift, "share of the box", (0.1, 0.2, 0.3), 1),
    "far away": Factor(shrink, "halvings of the size", (0.25, 0.5, 1), 4),
    "erasing": Factor(erasing, "share of the area", (0.1, 0.25, 0.5), 1),
    "darker": Factor(darker, "stops", (0.5, 1, 2), 8),
    "brighter": Factor(brighter, "stops", (0.5, 1, 2), 8),
    "gamma": Factor(gamma, "halvings of the power", (0.5, 1, 2), 4),
    "colour cast": Factor(cast, "stops from red to blue", (0.5, 1, 2), 8),
    "resolution": Factor(resolution, "halvings of the size", (0.5, 1, 2), 8),
    "blur": Factor(blur, "sigma, px of 64", (0.5, 1, 2), 16),
    "JPEG": Factor(jpeg, "100 - quality", (50, 80, 95), 99),
}
