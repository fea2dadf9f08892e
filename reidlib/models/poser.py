"""A small network that finds joints: the judge of whether a pose was obeyed."""

from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError

JOINTS = 25


class Found(NamedTuple):
    """What the network says about B pictures."""

    points: Tensor  # (B, 25, 2) in image units
    visible: Tensor  # (B, 25) logits
    heat: Tensor  # (B, 25, h, w) log-probabilities of each joint's place


class Poser(nn.Module):
    """Joints of a person by heat-maps and their centre of mass (soft-argmax).

    Four halvings and two steps back up, so that the maps have a quarter of the
    picture's height; the centre of mass is finer than their cells. Groups, not
    batches, are normalised: what is found in one picture depends on no other.

    Args:
        width: channels after the first layer, a multiple of 8; the deepest has 8 times
            as many.

    Raises:
        ReIDConfigError: width is no positive multiple of 8.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise ReIDConfigError(f"width is {width}; give a multiple of 8.")
        self.width = width
        self.to_half = _block(3, width, stride=2)
        self.to_quarter = _block(width, 2 * width, stride=2)
        self.to_eighth = _block(2 * width, 4 * width, stride=2)
        self.to_deep = _block(4 * width, 8 * width, stride=2)
        self.up_eighth = _block(12 * width, 4 * width)
        self.up_quarter = _block(6 * width, 2 * width)
        self.heat = nn.Conv2d(2 * width, JOINTS, 1)
        self.visible = nn.Linear(8 * width, JOINTS)

    def forward(self, images: Tensor) -> Found:
        """Find the joints.

        Args:
            images: (B, 3, H, W) in [-1, 1]; H and W at least 16.
        """
        quarter = self.to_quarter(self.to_half(images))  # (B, 2w, H/4, W/4)
        eighth = self.to_eighth(quarter)  # (B, 4w, H/8, W/8)
        deep = self.to_deep(eighth)  # (B, 8w, H/16, W/16)
        x = self.up_eighth(torch.cat([_like(deep, eighth), eighth], 1))
        x = self.up_quarter(torch.cat([_like(x, quarter), quarter], 1))
        scores = self.heat(x).float()
        heat = scores.flatten(2).log_softmax(-1).view_as(scores)
        visible = self.visible(deep.mean((2, 3))).float()
        return Found(centre_of_mass(heat.exp()), visible, heat)


def centre_of_mass(heat: Tensor) -> Tensor:
    """(B, J, h, w) maps that sum to 1 → (B, J, 2) x and y in image units."""
    x, y = _centres(heat.shape[-1], heat), _centres(heat.shape[-2], heat)
    # no matrix products: autocast would round them to 8 bits
    places = [(heat.sum(-2) * x).sum(-1), (heat.sum(-1) * y).sum(-1)]
    return torch.stack(places, dim=-1)


def poser_loss(found: Found, points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """How far the network is from the joints that are known.

    The cross-entropy of the heat-map with a Gaussian of one cell around the joint,
    10 times the absolute error of its place, and the binary cross-entropy of
    visibility. Missing joints count in the last only. Of several processes that train
    together, each divides by the mean of their numbers of joints, so that the mean of
    their losses is the loss of the whole batch.

    Args:
        found: of `Poser`.
        points: (B, 25, 2) in image units, NaN where missing.

    Returns:
        The loss to minimise, and its parts "heat", "place", "visible".
    """
    seen = points.isfinite().all(-1)  # (B, 25)
    known = points.nan_to_num()  # no NaN may meet a gradient
    height, width = found.heat.shape[-2:]
    rows = _bump(known[..., 1], height)
    target = rows[..., :, None] * _bump(known[..., 0], width)[..., None, :]
    count = _count(seen)
    heat = -(target * found.heat).sum((-2, -1))
    place = (found.points - known).abs().sum(-1)
    losses = {
        "heat": (heat * seen).sum() / count,
        "place": (place * seen).sum() / count,
        "visible": F.binary_cross_entropy_with_logits(found.visible, seen.float()),
    }
    return losses["heat"] + 10 * losses["place"] + losses["visible"], losses


def _count(seen: Tensor) -> Tensor:
    """How many joints are known: here, or on average in one of several processes."""
    count = seen.sum()
    if not (distributed.is_available() and distributed.is_initialized()):
        return count.clamp(min=1)
    distributed.all_reduce(count)
    return count.clamp(min=1) / distributed.get_world_size()


def _bump(centre: Tensor, cells: int) -> Tensor:
    """(..., cells): a Gaussian of one cell's spread that sums to 1."""
    gap = (_centres(cells, centre) - centre[..., None]) * cells
    return (-gap.square() / 2).softmax(-1)


def _centres(cells: int, like: Tensor) -> Tensor:
    """Middle of each cell in image units."""
    return (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) / cells


def _like(x: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(x, other.shape[-2:], mode="nearest")


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    )
