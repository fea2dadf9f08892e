"""PN-GAN's generator: it sees the source itself, and a picture of the skeleton."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.models.encoder import Encoder
from reidlib.models.layers import (
    Norm,
    ResBlock,
    check_norm,
    check_pictures,
    check_size,
    down_stack,
    start_grey,
    up_stack,
)
from reidlib.models.skeletonmaps import skeleton_image


class ImageGenerator(nn.Module):
    """G(I, S(p)): the source and the picture S of the pose, six channels in all.

    conv1-conv3, residual blocks and deconvolutions are those of `Generator`
    (the authors' code); there is no stage that grows a map from a vector, and R1 is not
    asked. Source and target are laid over each other unaligned: the residual blocks
    have to carry the clothes to where the pose wants them.

    Args:
        ngf: base width.
        blocks: residual blocks.
        size: (height, width) of the pictures, each divisible by 4.
        norm: as in `Generator`.

    Every convolution but the last has a bias, InstanceNorm has no parameters: at the
    defaults 11,387,584 in all (counted by hand).
    """

    kind = "image"

    def __init__(
        self,
        ngf: int = 64,
        blocks: int = 9,
        size: tuple[int, int] = (128, 64),
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        check_norm(norm)
        check_size(size, 4)
        self.ngf, self.blocks, self.norm = ngf, blocks, norm
        self.size = (size[0], size[1])
        self.down = down_stack(6, ngf, norm)
        self.residual = nn.Sequential(*(ResBlock(4 * ngf, norm) for _ in range(blocks)))
        self.up = up_stack(ngf, norm)
        start_grey(self, self.up)

    def config(self) -> dict:
        """The arguments that rebuild this network, and its kind (JSON types)."""
        names = ("kind", "ngf", "blocks", "size", "norm")
        return {name: getattr(self, name) for name in names}

    def look(self, r1: Encoder, images: Tensor) -> Tensor:
        """What G needs of the source: (B, 3, H, W), the pictures themselves."""
        return check_pictures(images, self.size)

    def forward(self, images: Tensor, poses: Tensor) -> Tensor:
        """Redraw.

        Args:
            images: (B, 3, H, W) in [-1, 1], the source pictures.
            poses: (B, 50) target joints in [0, 1], missing = 0.

        Returns:
            (B, 3, H, W) in [-1, 1].
        """
        check_pictures(images, self.size)
        both = torch.cat([images, skeleton_image(poses, self.size)], dim=1)
        return self.up(self.residual(self.down(both)))

    def redraw(self, images: Tensor, poses: Tensor) -> Tensor:
        """Redraw every source in every pose, in evaluation mode.

        The first convolution is linear: its part on a source is computed B times,
        its part on a skeleton K times, and they are added.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            poses: (K, 50).

        Returns:
            (B, K, 3, H, W) in [-1, 1].
        """
        pad, first = self.down[0], cast(nn.Conv2d, self.down[1])
        weights = first.weight.split(3, dim=1)
        padded = pad(check_pictures(images, self.size))
        of_source = F.conv2d(padded, weights[0], first.bias)
        of_pose = F.conv2d(pad(skeleton_image(poses, self.size)), weights[1])
        x = self.down[2:]((of_source[:, None] + of_pose).flatten(0, 1))
        return self.up(self.residual(x)).unflatten(0, (len(images), len(poses)))
