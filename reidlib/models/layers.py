"""Layers that the generators and the discriminator share (the authors' code)."""

from collections.abc import Callable
from math import gcd
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError

SLOPE_G = 0.1  # LeakyReLU slope in the generator of the authors' code
Norm = Literal["instance", "batch", "group"]


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm over groups of about eight channels."""
    return nn.GroupNorm(gcd(channels, max(1, channels // 8)), channels)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,
    "batch": nn.BatchNorm2d,
    "group": group_norm,
}


class ResBlock(nn.Module):
    """Conv-norm-LReLU-Conv-norm plus the input, then LReLU (the authors' code)."""

    def __init__(self, channels: int, norm: Norm = "instance") -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            *norm_act(channels, norm),
            nn.Conv2d(channels, channels, 3, padding=1),
            NORMS[norm](channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.leaky_relu(self.body(x) + x, SLOPE_G)


def norm_act(channels: int, norm: Norm) -> tuple[nn.Module, nn.Module]:
    """The norm of this name and the generator's activation."""
    return NORMS[norm](channels), nn.LeakyReLU(SLOPE_G)


def down_stack(inputs: int, ngf: int, norm: Norm) -> nn.Sequential:
    """conv1-conv3 of the authors' code: (B, inputs, H, W) → (B, 4 ngf, H/4, W/4)."""
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(inputs, ngf, 7),
        *norm_act(ngf, norm),  # H x W
        nn.Conv2d(ngf, 2 * ngf, 3, 2, 1),
        *norm_act(2 * ngf, norm),  # H/2 x W/2
        nn.Conv2d(2 * ngf, 4 * ngf, 3, 2, 1),
        *norm_act(4 * ngf, norm),  # H/4 x W/4
    )


def up_stack(ngf: int, norm: Norm) -> nn.Sequential:
    """deconv3-deconv1 of the authors' code: (B, 4 ngf, H/4, W/4) → (B, 3, H, W)."""
    paint = nn.Conv2d(ngf, 3, 7, bias=False)
    return nn.Sequential(
        nn.ConvTranspose2d(4 * ngf, 2 * ngf, 3, 2, 1, 1),
        *norm_act(2 * ngf, norm),  # H/2 x W/2
        nn.ConvTranspose2d(2 * ngf, ngf, 3, 2, 1, 1),
        *norm_act(ngf, norm),  # H x W
        nn.ReflectionPad2d(3),
        paint,
        nn.Tanh(),
    )


def kaiming(module: nn.Module) -> None:
    """Kaiming-normal initialisation, as the paper has it (IV-C2)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=SLOPE_G)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def start_grey(network: nn.Module, up: nn.Sequential) -> None:
    """Initialise a generator whose last layers are ``up``: paint, then tanh.

    Kaiming alone starts from full noise; a tenth of it in the last convolution
    starts from grey.
    """
    network.apply(kaiming)
    with torch.no_grad():
        cast(nn.Conv2d, up[-2]).weight.mul_(0.1)


def check_norm(norm: str) -> None:
    """Refuse a norm that there is not.

    Raises:
        ReIDConfigError: unknown name.
    """
    if norm not in NORMS:
        raise ReIDConfigError(
            f"There is no norm '{norm}'; choose one of {', '.join(NORMS)}."
        )


def check_size(size: tuple[int, int], step: int) -> None:
    """Refuse a picture that the generator cannot draw.

    Raises:
        ReIDConfigError: a side that is no multiple of ``step``, or a height below 32.
    """
    if size[0] % step or size[1] % step or size[0] < 32:
        raise ReIDConfigError(
            f"The generator cannot draw {size[0]}x{size[1]} pictures; both sides "
            f"must be divisible by {step} and the height at least 32."
        )


def check_pictures(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 3, H, W) as they came, if they are pictures of this size.

    Raises:
        ReIDConfigError: another shape.
    """
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, *size):
        raise ReIDConfigError(
            f"The generator redraws pictures of shape (B, 3, {size[0]}, {size[1]}), "
            f"not {tuple(images.shape)}; resize them, or make a generator of their "
            "size."
        )
    return images
