"""A modern small generator: every place of the target fetches its part of the source.

The vector generator pours a whole person through 2,048 numbers after average pooling:
which colours a person wears survives, a stripe or a bag's strap does not. PN-GAN's
sees the source, but its convolutions carry a pixel only as far as they reach. Here
maps stay maps, and attention moves them: each cell of the target asks, with what it
knows of the pose there, all cells of the source, and takes over what it finds. The
source's own pose is not given; attention has to recognise an arm by its looks and
its place.
"""

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
    check_norm,
    check_pictures,
    check_size,
    norm_act,
    start_grey,
)
from reidlib.models.skeletonmaps import (
    JOINTS,
    WHERE,
    heat_maps,
    positions,
    skeleton_image,
)

POSE = JOINTS + 3  # maps of a pose: its joints' and its limbs'
PATCH = 3 * 4 * 4  # numbers of the picture in a cell of H/4


class PreBlock(nn.Module):
    """Plus norm-LReLU-Conv, twice: what the norm takes away, the sum keeps.

    A norm after the sum, as in the paper's residual blocks, removes the mean of a map
    and with it the colour that it carries.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *norm_act(channels, norm),
            nn.Conv2d(channels, channels, 3, padding=1),
            *norm_act(channels, norm),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → the same shape."""
        return x + self.body(x)


class Align(nn.Module):
    """Attention from the cells of a target map to the cells of a source map.

    Args:
        target, source, carried: channels of the queries, the keys and the values.
            The values are carried as they are, so that a value that holds the pixels
            of its cell brings them to their new place.
        heads: how many places a cell may look at, each for its share of the values.
        norm: of queries and keys.
    """

    def __init__(
        self, target: int, source: int, carried: int, heads: int, norm: Norm
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(target + WHERE, carried, 1)
        self.key = nn.Conv2d(source + WHERE, carried, 1)
        self.normal = nn.ModuleList(NORMS[norm](n) for n in (target, source))

    def forward(self, target: Tensor, source: Tensor, values: Tensor) -> Tensor:
        """Bring the values where the target wants them.

        Args:
            target: (B or 1, K, T, h, w), K targets of each source, or of all.
            source: (B, S, h, w).
            values: (B, V, h, w).

        Returns:
            (B, K, V, h, w).
        """
        b, k, h, w = source.shape[0], target.shape[1], *target.shape[-2:]
        where = positions((h, w), target)
        flat = self.normal[0](target.flatten(0, 1))
        asked = self.query(
            torch.cat([flat, where.expand(flat.shape[0], -1, -1, -1)], 1)
        )
        seen = self.normal[1](source)
        offered = self.key(torch.cat([seen, where.expand(b, -1, -1, -1)], 1))
        # Queries do not see each other: those of all K poses make one long sequence.
        q = asked.view(-1, k, self.heads, asked.shape[1] // self.heads, h * w)
        q = q.permute(0, 2, 1, 4, 3).flatten(2, 3).expand(b, -1, -1, -1)
        found = F.scaled_dot_product_attention(
            q, self._split(offered), self._split(values)
        )
        found = found.unflatten(2, (k, h * w)).permute(0, 2, 1, 4, 3)
        return found.reshape(b, k, -1, h, w)

    def _split(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, heads, h w, C / heads)."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)


class AlignedGenerator(nn.Module):
    """G(I, p) by attention from the pose's heat-maps to a pyramid of the source.

    ::

        source   I (H) → s2 (H/4, 4 ngf) → s3 (H/8, 4 ngf)
        pose     25 heat-maps and the limbs at H/8, H/4, H/2 and H
        H/8      the pose asks s3 with several heads; two residual blocks
        H/4      up, plus pose; asks s2 with one head and brings s2 and the cells' own
                 4x4 pixels of I; ``blocks`` residual blocks
        H/2      up, plus pose, plus the pixels at their new place; a residual block
        H        up, plus pose, plus the pixels; a residual block; three colours, tanh

    The moved pixels teach the attention: a cell that looks at the right place has the
    right colours. They pass no norm on their way to the last convolution. At every
    level pose and rising map enter with variance 1; unnormalised, the deeper levels
    drown the pose, and bodies stay blurred for hundreds of steps. GroupNorm does not
    depend on the batch's size. R1 is not asked: the pyramid is the generator's own,
    trained with it.

    Args:
        ngf: base width.
        blocks: residual blocks at H/4.
        size: (height, width) of the pictures, each divisible by 8.
        norm: "group", "batch" or "instance".
        heads: of the attention at H/8; 4 ngf is divisible by it.
    """

    kind = "aligned"

    def __init__(
        self,
        ngf: int = 64,
        blocks: int = 3,
        size: tuple[int, int] = (128, 64),
        norm: Norm = "group",
        heads: int = 4,
    ) -> None:
        super().__init__()
        check_norm(norm)
        check_size(size, 8)
        if 4 * ngf % heads:
            raise ReIDConfigError(
                f"The aligned generator cannot share ngf={ngf} among heads={heads}; "
                "choose heads that divide 4 ngf."
            )
        self.ngf, self.blocks, self.norm, self.heads = ngf, blocks, norm, heads
        self.size = (size[0], size[1])
        n, wide = ngf, 4 * ngf
        self.source = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(3, n, 3, padding=1),
                    nn.LeakyReLU(SLOPE_G),
                    nn.Conv2d(n, 2 * n, 4, 2, 1),
                    PreBlock(2 * n, norm),
                    nn.Conv2d(2 * n, wide, 4, 2, 1),
                    PreBlock(wide, norm),
                ),
                nn.Sequential(nn.Conv2d(wide, wide, 4, 2, 1), PreBlock(wide, norm)),
            ]
        )
        widths = (wide, wide, 2 * n, n)  # at H/8, H/4, H/2 and H
        self.pose = nn.ModuleList(
            nn.Sequential(nn.Conv2d(POSE, c, 3, padding=1), NORMS[norm](c))
            for c in widths
        )
        self.plan = nn.Sequential(PreBlock(wide, norm), PreBlock(wide, norm))
        self.align = nn.ModuleList(
            [
                Align(wide, wide, wide, heads, norm),
                Align(wide, wide, wide + PATCH, 1, norm),
            ]
        )
        self.merge = nn.Conv2d(wide + PATCH, wide, 1)
        self.lay = nn.ModuleList(
            [nn.Conv2d(12, 2 * n, 3, padding=1), nn.Conv2d(3, n, 3, padding=1)]
        )
        counts = (2, blocks, 1, 1)
        self.residual = nn.ModuleList(
            nn.Sequential(*(PreBlock(c, norm) for _ in range(count)))
            for c, count in zip(widths, counts, strict=True)
        )
        self.rise = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, 2, 1), NORMS[norm](after)
            )
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        self.up = nn.Sequential(
            nn.LeakyReLU(SLOPE_G), nn.Conv2d(n, 3, 3, padding=1), nn.Tanh()
        )
        start_grey(self, self.up)
        with torch.no_grad():
            for block in self.modules():
                if isinstance(block, PreBlock):  # else each doubles the variance
                    cast(nn.Conv2d, block.body[-1]).weight.mul_(0.1)

    def config(self) -> dict:
        """The arguments that rebuild this network, and its kind (JSON types)."""
        names = ("kind", "ngf", "blocks", "size", "norm", "heads")
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
        plans = [p[:, None] for p in self._plans(poses)]  # one pose of each source
        return self._draw(images, plans)[:, 0]

    def redraw(self, images: Tensor, poses: Tensor) -> Tensor:
        """Redraw every source in every pose, in evaluation mode.

        The pyramid is computed once per source, the pose's maps once per pose.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            poses: (K, 50).

        Returns:
            (B, K, 3, H, W) in [-1, 1].
        """
        return self._draw(images, [p[None] for p in self._plans(poses)])

    def _plans(self, poses: Tensor) -> list[Tensor]:
        """(P, 50) → (P, C, h, w) at H/8, H/4, H/2 and H."""
        h, w = self.size
        sizes = [(h // scale, w // scale) for scale in (8, 4, 2, 1)]
        plans = [
            layer(torch.cat([heat_maps(poses, size), skeleton_image(poses, size)], 1))
            for layer, size in zip(self.pose, sizes, strict=True)
        ]
        return [self.plan(plans[0]), *plans[1:]]

    def _draw(self, images: Tensor, plans: list[Tensor]) -> Tensor:
        """(B, 3, H, W) and plans (B, 1, C, h, w) or (1, K, C, h, w) → (B, K, 3, H, W).

        Between the layers maps are (B K, C, h, w), every source's K poses in a row.
        """
        b, k = images.shape[0], plans[0].shape[1]  # len() would fix b in an export
        s2 = self.source[0](check_pictures(images, self.size))
        s3 = self.source[1](s2)
        x = plans[0] + self.align[0](plans[0], s3, s3)
        x = self.residual[0](x.flatten(0, 1))

        x = self.rise[0](x).unflatten(0, (b, k)) + plans[1]
        values = torch.cat([s2, F.pixel_unshuffle(images, 4)], 1)
        brought = self.align[1](x, s2, values).flatten(0, 1)
        x = self.residual[1](x.flatten(0, 1) + self.merge(brought))

        x = self.rise[1](x).unflatten(0, (b, k)) + plans[2]
        moved = F.pixel_shuffle(brought[:, -PATCH:], 4)  # (B K, 3, H, W)
        x = self.residual[2](x.flatten(0, 1) + self.lay[0](F.pixel_unshuffle(moved, 2)))

        x = self.rise[2](x).unflatten(0, (b, k)) + plans[3]
        x = self.up(self.residual[3](x.flatten(0, 1) + self.lay[1](moved)))
        return x.unflatten(0, (b, k))
