"""pt-GAN: the generator that redraws a person in a pose, and its judge."""

from math import log2
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError
from reidlib.models.encoder import Encoder
from reidlib.models.layers import (
    NORMS,
    SLOPE_G,
    Norm,
    ResBlock,
    check_norm,
    check_size,
    down_stack,
    kaiming,
    start_grey,
    up_stack,
)

SLOPE_D = 0.2  # LeakyReLU slope in the discriminator of the authors' code
SPREAD = 16.0  # a joint strays about 1/16 of the picture's height from its mean
PREPARE_WIDTHS = (8, 6, 4, 2, 1, 1)  # of the first stage, in units of ngf


class Generator(nn.Module):
    """G(F_R1(I), p): a picture from a feature vector and a pose (the authors' code).

    Args:
        features: width D of the source's features, 2048 for ResNet-50.
        pose: length of the pose vector, 50 = 25 joints x (x, y).
        ngf: base width, 64 in the paper's code.
        blocks: residual blocks, 9 in the paper's code.
        size: (height, width) of the picture, each divisible by 4.
        native_aspect: grow the first map in the picture's own aspect 2:1, so that
            nothing is interpolated; the paper's code grows a square and squeezes it.
        standardise: bring every feature to mean 0 and variance 1 (BatchNorm without
            parameters) and spread the coordinates; a missing joint becomes 0, the
            middle. Concatenated raw, as in the paper, the 50 coordinates are drowned
            by the features, and colours, which sit in directions of small variance,
            are learned last.
        norm: "instance", the paper's code, "batch" or "group". InstanceNorm takes the
            mean of every map away, picture by picture, and with it most of what says
            which colour a coat has; BatchNorm takes away the mean of the batch only,
            GroupNorm that of eight maps together.

    At the defaults it has 34,198,464 parameters.
    """

    kind = "vector"

    def __init__(
        self,
        features: int = 2048,
        pose: int = 50,
        ngf: int = 64,
        blocks: int = 9,
        size: tuple[int, int] = (128, 64),
        native_aspect: bool = False,
        standardise: bool = True,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        check_norm(norm)
        check_size(size, 4)
        self.features, self.pose, self.ngf = features, pose, ngf
        self.blocks, self.size = blocks, (size[0], size[1])
        self.native_aspect, self.standardise = native_aspect, standardise
        self.norm = norm
        self.scale = nn.BatchNorm1d(features, affine=False)
        start = (4, 2) if native_aspect else (4, 4)
        self.prepare = _prepare(features + pose, ngf, size[0], start)
        self.down = down_stack(ngf, ngf, norm)
        self.residual = nn.Sequential(*(ResBlock(4 * ngf, norm) for _ in range(blocks)))
        self.up = up_stack(ngf, norm)
        start_grey(self, self.up)

    def config(self) -> dict:
        """The arguments that rebuild this network, and its kind (JSON types)."""
        names = ["kind", "features", "pose", "ngf", "blocks", "size"]
        names += ["native_aspect", "standardise", "norm"]
        return {name: getattr(self, name) for name in names}

    def look(self, r1: Encoder, images: Tensor) -> Tensor:
        """What G needs of the source: (B, 3, H, W) → (B, D), R1's features."""
        return r1(images)

    def forward(self, features: Tensor, poses: Tensor) -> Tensor:
        """Redraw.

        Args:
            features: (B, D), F_R1 of the source pictures.
            poses: (B, 50) target joints in [0, 1], missing = 0.

        Returns:
            (B, 3, H, W) in [-1, 1].
        """
        z = torch.cat(self._standard(features, poses), dim=1)[:, :, None, None]
        return self._paint(self.prepare(z))

    def redraw(self, features: Tensor, poses: Tensor) -> Tensor:
        """Redraw every source in every pose, in evaluation mode.

        The first transposed convolution is linear and its input is one cell, so what
        the D rows of its weight make of a source and the 50 others of a pose is
        computed B + K times, not B K times, and added.

        Args:
            features: (B, D), F_R1 of the source pictures.
            poses: (K, 50) target joints in [0, 1], missing = 0.

        Returns:
            (B, K, 3, H, W) in [-1, 1].
        """
        features, poses = self._standard(features, poses)
        first = cast(nn.ConvTranspose2d, self.prepare[0])
        rows = first.weight.split([self.features, self.pose])
        shape = first.weight.shape[1:]
        of_source = (features @ rows[0].flatten(1)).unflatten(1, shape)  # (B, C, h, w)
        of_pose = (poses @ rows[1].flatten(1)).unflatten(1, shape)  # (K, C, h, w)
        x = self.prepare[1:]((of_source[:, None] + of_pose).flatten(0, 1))
        return self._paint(x).unflatten(0, (len(features), len(poses)))

    def _standard(self, features: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
        if not self.standardise:
            return features, poses
        return self.scale(features), torch.where(
            poses == 0, 0.0, (poses - 0.5) * SPREAD
        )

    def _paint(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return self.up(self.residual(self.down(x)))


def _prepare(
    inputs: int, ngf: int, height: int, start: tuple[int, int]
) -> nn.Sequential:
    """1x1 → a map of min(height, 128) rows, by transposed convolutions.

    The paper's code has six of them (4, 8, … 128); a lower picture needs fewer.
    """
    count = min(int(log2(height / 4)) + 1, len(PREPARE_WIDTHS))
    widths = [ngf * w for w in PREPARE_WIDTHS[:count]]
    widths[-1] = ngf
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(inputs, widths[0], start, 1, 0, bias=False)
    ]
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.BatchNorm2d(before), nn.LeakyReLU(SLOPE_G)]
        layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """Real or drawn, and whose picture it is (the authors' code, AC-GAN head).

    Args:
        identities: C, the training identities of the class branch.
        ndf: base width, 64 in the paper's code.
        size: (height, width) of the pictures.
        stride_two: how many of the first five convolutions halve the map. None:
            as many as leave an 8-row map before the last stride-1 layers, which
            is the paper's code at 256x128 and our mend at 128x64, where the
            unchanged stack (5) would end in a 3x1 map.
        last_norm: normalise the last map. Turn it off where that map is tiny: over
            5 cells InstanceNorm removes what tells real from drawn.
        norm: "instance", the paper's code, or "batch", which lets a short stack over
            small pictures see what InstanceNorm removes.
    """

    def __init__(
        self,
        identities: int,
        ndf: int = 64,
        size: tuple[int, int] = (128, 64),
        stride_two: int | None = None,
        last_norm: bool = True,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        check_norm(norm)
        self.identities, self.ndf, self.size = identities, ndf, size
        if size[0] < 64 or size[1] < 32:
            raise ReIDConfigError(
                f"The discriminator cannot judge {size[0]}x{size[1]} pictures; they "
                "must be at least 64x32."
            )
        halvings = stride_two or min(5, int(log2(size[0] / 8)))
        widths = [3, ndf, 2 * ndf, 4 * ndf, 8 * ndf, 8 * ndf]
        layers: list[nn.Module] = [
            nn.Conv2d(3, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(SLOPE_D),
        ]
        for i in range(1, 6):
            before, after = widths[i], widths[min(i + 1, 5)]
            stride = 2 if i < halvings else 1
            layers.append(nn.Conv2d(before, after, 4, stride, 1))
            if i < 5 or last_norm:
                layers.append(NORMS[norm](after))
            layers.append(nn.LeakyReLU(SLOPE_D))
        self.trunk = nn.Sequential(*layers)
        self.real = nn.Conv2d(8 * ndf, 1, 1, bias=False)
        with torch.no_grad():
            cells = self.trunk.eval()(torch.zeros(1, 3, *size)).shape[-2:].numel()
        self.identity = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * ndf * cells, 16 * ndf),
            nn.ReLU(),
            nn.Linear(16 * ndf, identities),
        )
        self.train().apply(kaiming)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Judge.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, 1, h, w) logits of "real", one per patch; (B, C) identity logits.
        """
        x = self.trunk(images)
        return self.real(x), self.identity(x)
