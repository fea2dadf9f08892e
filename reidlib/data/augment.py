"""Augmentation of whole batches, every picture with its own random numbers.

The first half takes its parameters as arguments, one per picture; the second draws
them. Pictures (b, 3, H, W) are float32 in [0, 1] unless it says otherwise. Nothing here
multiplies matrices or convolves, so autocast coarsens no picture, and no picture's
result depends on the others in its batch.
"""

from collections.abc import Callable
from functools import partial
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError

Augment = Callable[[Tensor, Draws], Tensor]  # (b, 3, H, W) uint8 → float32 in [−1, 1]

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))  # clockwise


def to_network(images: Tensor, draws: Draws | None = None) -> Tensor:
    """Scale uint8 to float32 in [−1, 1]; the `Augment` that changes nothing."""
    if images.dtype != torch.uint8:
        raise ReIDConfigError(
            f"pictures of {images.dtype} cannot be scaled; give uint8 in 0 … 255."
        )
    return (images / 127.5).sub_(1)


def _each(values: Tensor) -> Tensor:
    """From one number per picture (b,) to what multiplies pictures (b, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def move(images: Tensor, pad: int, top: Tensor, left: Tensor, mirror: Tensor) -> Tensor:
    """Mirror, pad with black and crop back at (top, left); any dtype, exact pixels.

    Args:
        images: (b, 3, H, W).
        pad: pixels of black on every side.
        top, left: (b,) int64 in 0 … 2·pad.
        mirror: (b,) bool.
    """
    number, _, height, width = images.shape
    images = F.pad(torch.cat([images, images.flip(-1)]), (pad,) * 4)
    # a row of the result is a stretch of this memory: only where it starts is computed
    count, planes, rows = (
        torch.arange(n, device=images.device) for n in (number, 3, height)
    )
    chosen = 3 * (count + number * mirror)[:, None, None] + planes[:, None]
    rows = rows + top[:, None, None] + chosen * images.shape[2]
    starts = rows * images.shape[3] + left[:, None, None]
    return images.flatten().unfold(0, width, 1)[starts]


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV, with value and saturation kept.

    With d the distance (in turns) from a channel's opposite on the colour wheel, the
    channel is max − (max − min)·t, where t is 2 − 6·|d| clamped to 0 … 1.
    """
    red, green, blue = images.split(1, dim=1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    spread = high - low
    sixths = torch.where(
        red == high,
        green - blue,
        torch.where(green == high, blue - red + 2 * spread, red - green + 4 * spread),
    ) / spread.clamp(min=1e-8)  # grey stays grey, whatever its hue
    opposite = torch.arange(3, 8, 2, device=images.device).view(3, 1, 1) / 6
    d = (sixths / 6).add_(_each(turns)) - opposite
    t = d.sub_(d.round()).abs_().mul_(-6).add_(2).clamp_(0, 1)
    return t.mul_(-spread).add_(high)


def _grey(images: Tensor) -> Tensor:
    """The luma (b, 1, H, W) of ITU-R BT.601, as torchvision rounds it."""
    red, green, blue = images.split(1, dim=1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def recolour(images: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, by torchvision's formulas.

    Args:
        images: (b, 3, H, W).
        factors: (b, 4) of the four in this order, which is always the same (torchvision
            shuffles it per picture). Hue in turns; (1, 1, 1, 0) changes nothing.
    """
    brightness, contrast, saturation, turns = map(_each, factors.unbind(1))
    images = (images * brightness).clamp_(0, 1)
    mean = _grey(images).mean((2, 3), keepdim=True)
    images = (images * contrast).add_(mean * (1 - contrast)).clamp_(0, 1)
    grey = _grey(images) * (1 - saturation)
    return _hue((images * saturation).add_(grey).clamp_(0, 1), turns)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Smooth with a Gaussian of 3×3 pixels; the border is reflected.

    Args:
        images: (b, 3, H, W).
        sigma: (b,) in pixels; 0 changes nothing.
    """
    edge = torch.exp(-0.5 / sigma**2)
    side = _each(edge / (1 + 2 * edge))
    centre = 1 - 2 * side
    row = F.pad(images, (1, 1, 1, 1), mode="reflect")
    row = (row[..., :-2] + row[..., 2:]).mul_(side).add_(row[..., 1:-1] * centre)
    column = row[..., :-2, :] + row[..., 2:, :]
    return column.mul_(side).add_(row[..., 1:-1, :] * centre)


def _frame(corners: Tensor) -> Tensor:
    """The homographies (b, 3, 3) from the projective base to four points (b, 4, 2)."""
    points = F.pad(corners, (0, 1), value=1.0).mT
    first = points[..., :3]
    return first * torch.linalg.solve_ex(first, points[..., 3])[0][:, None]


def warp(images: Tensor, degrees: Tensor, corners: Tensor) -> Tensor:
    """Rotate about the centre, then move the corners; sampled once, bilinearly.

    What neither part covers is black. What the rotation takes out of the frame and the
    perspective brings back is kept: there is no frame in between.

    Args:
        images: (b, 3, H, W).
        degrees: (b,) anti-clockwise.
        corners: (b, 4, 2) where the frame's corners go, (x, y) in [−1, 1], from the
            upper left clockwise; `CORNERS` moves nothing.
    """
    height, width = images.shape[-2:]
    # from a place (x, y, 1) in the result to the one before the perspective, by B·A⁻¹
    # with A the frame of the corners and B that of `CORNERS`, which is all 1 and −1; …
    one, two, three = torch.linalg.inv_ex(_frame(corners))[0].unbind(1)
    x, y, z = three - one - two, three - one + two, three + one - two
    # … from there to the one before the rotation, whose lengths are pixels
    angle = degrees.deg2rad()[:, None]
    cos, sin = angle.cos(), angle.sin()
    x, y = cos * x - sin * height / width * y, sin * width / height * x + cos * y
    across = (torch.arange(width, device=images.device) * 2 + 1) / width - 1
    down = (torch.arange(height, device=images.device) * 2 + 1)[:, None] / height - 1
    x, y, z = (
        a * across + (b * down + c)
        for a, b, c in (row[:, :, None, None].unbind(1) for row in (x, y, z))
    )
    grid = torch.stack([x / z, y / z], -1)
    return F.grid_sample(images, grid, align_corners=False)


def erase(images: Tensor, boxes: Tensor) -> Tensor:
    """Set a box to 0, which is mid-grey after scaling to [−1, 1].

    Args:
        images: (b, 3, H, W) of any range.
        boxes: (b, 4) top, left, height and width in pixels; no height erases nothing.
    """
    top, left, height, width = boxes[:, :, None].unbind(1)
    rows = torch.arange(images.shape[2], device=images.device) - top
    columns = torch.arange(images.shape[3], device=images.device) - left
    down = (rows >= 0) & (rows < height)
    across = (columns >= 0) & (columns < width)
    inside = (down[:, :, None] & across[:, None])[:, None]
    return torch.where(inside, 0.0, images)


def _moved(images: Tensor, draws: Draws) -> Tensor:
    """Shift by up to 10 pixels at a height of 256 (paper IV-C), mirror half of all."""
    pad = max(1, round(10 * images.shape[2] / 256))
    top, left, mirror = draws.uniform(3).unbind(1)
    top, left = (top * (2 * pad + 1)).long(), (left * (2 * pad + 1)).long()
    return move(images, pad, top, left, mirror < 0.5)


def _recoloured(images: Tensor, draws: Draws, strengths: tuple[float, ...]) -> Tensor:
    """Jitter the colours of 80 %, each property by ± its strength."""
    *numbers, chance = draws.uniform(5).unbind(1)
    spans = [
        (chance < 0.8) * strength * (2 * number - 1)
        for number, strength in zip(numbers, strengths, strict=True)
    ]
    brightness, contrast, saturation, turns = spans
    return recolour(
        images, torch.stack([1 + brightness, 1 + contrast, 1 + saturation, turns], 1)
    )


def _blurred(images: Tensor, draws: Draws) -> Tensor:
    """Blur 30 % with a sigma of 0.3 to 1.2 pixels."""
    sigma, chance = draws.uniform(2).unbind(1)
    return blur(images, (0.3 + 0.9 * sigma) * (chance < 0.3))


def _warped(images: Tensor, draws: Draws) -> Tensor:
    """Rotate by up to 20°; in 30 % corners move inwards by up to a tenth of a side."""
    numbers = draws.uniform(10)
    inwards = 0.2 * numbers[:, 2:].view(-1, 4, 2) * (numbers[:, 1, None, None] < 0.3)
    corners = torch.tensor(CORNERS).to(images.device, non_blocking=True)
    return warp(images, 20 * (2 * numbers[:, 0] - 1), corners * (1 - inwards))


def _erased(
    images: Tensor, draws: Draws, chance: float, largest: float, tries: int = 10
) -> Tensor:
    """Random erasing (Zhong et al., 2020) of 2 % to `largest` of the area.

    The first of ten boxes that fits is taken, as by torchvision.
    """
    height, width = images.shape[2:]
    area, shape = draws.uniform(tries, 2).unbind(2)
    area = height * width * (0.02 + (largest - 0.02) * area)
    aspect = torch.exp(log(0.3) * (2 * shape - 1))  # 0.3 … 1/0.3
    tall, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (tall < height) & (wide < width)
    first = fits.byte().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    erased, top, left = draws.uniform(3).unbind(1)
    top, left = (top * (height - tall + 1)).floor(), (left * (width - wide + 1)).floor()
    tall = tall * (fits.any(1) & (erased < chance))
    return erase(images, torch.stack([top, left, tall, wide], 1))


def _scaled(images: Tensor) -> Tensor:
    """From [0, 1] to [−1, 1]; rounding may have left the range by a hair."""
    return (2 * images).sub_(1).clamp_(-1, 1)


def _check(images: Tensor, draws: Draws) -> None:
    if images.dtype != torch.uint8 or len(images) != len(draws):
        raise ReIDConfigError(
            f"{len(images)} pictures of {images.dtype} with random numbers for "
            f"{len(draws)} cannot be augmented; give as many uint8 pictures."
        )


def _encoder(images: Tensor, draws: Draws, strong: bool, erasing: float) -> Tensor:
    _check(images, draws)
    images = _moved(images, draws)
    if strong:
        images = _recoloured(images / 255, draws, (0.35, 0.35, 0.35, 0.05))
        images = _erased(_scaled(_blurred(images, draws)), draws, 0.5, 0.3)
    else:
        images = to_network(images)
    return _erased(images, draws, erasing, 0.4) if erasing else images


def encoder_augmentation(strong: bool = False, erasing: float = 0.0) -> Augment:
    """Augmentation for training an encoder: shift and mirror (the authors' code).

    Args:
        strong: jitter the colours of 80 %, blur 30 % and erase a box in 50 %, too.
        erasing: share of the pictures that lose a box, besides those of `strong`.

    Raises:
        ReIDConfigError: `erasing` is no probability.
    """
    if not 0 <= erasing <= 1:
        raise ReIDConfigError(
            f"erasing={erasing} is no probability; give 0 (never) to 1 (always)."
        )
    return partial(_encoder, strong=strong, erasing=erasing)


def _source(images: Tensor, draws: Draws) -> Tensor:
    _check(images, draws)
    images = _recoloured(images / 255, draws, (0.2, 0.2, 0.2, 0.05))
    images = _moved(_warped(images, draws), draws)
    return _erased(_scaled(images), draws, 0.5, 0.4)


def source_augmentation() -> Augment:
    """What befalls a source image of the pt-GAN, for it to undo (paper IV-C).

    Colour jitter, rotation, perspective, shift, mirror and erasing. The source may be
    mirrored freely, since only the target's pose is given to the generator. Erasing
    comes after scaling, so that its value 0 is mid-grey.
    """
    return _source
