"""Systems of `book.systems` as networks from picture to descriptor, to be timed."""

from typing import Any

import torch
from torch import Tensor, nn

from reidlib import runs, stages
from reidlib.models import redraw, views
from reidlib.pose import pose_vector
from reidlib.training import to_float, to_uint8


class Drawings(nn.Module):
    """The pictures that a generator draws in a run's K poses."""

    def __init__(self, run: runs.Run, drawer: Any) -> None:
        super().__init__()
        self.g = drawer.network
        vector = self.g.kind == "vector"  # the other kinds do not ask R1
        self.look = stages.source_encoder(run, drawer) if vector else None
        poses = stages.poses(run).network.poses_
        self.vectors = nn.Buffer(torch.as_tensor(pose_vector(poses)))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, K, 3, H, W), rounded as a file's."""
        return to_float(to_uint8(redraw(self.look, self.g, images, self.vectors)))


class Views(nn.Module):
    """What the controls put there: shifted and mirrored, or (K = 0) the picture."""

    def __init__(self, k: int = 0) -> None:
        super().__init__()
        self.k = k

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, K or 1, 3, H, W)."""
        return views(images, self.k) if self.k else images[:, None]


class Both(nn.Module):
    """What one gives, and after it what the other gives."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, K + L, 3, H, W)."""
        return torch.cat([self.one(images), self.other(images)], 1)


class Fused(nn.Module):
    """A picture and more of it, described and joined by a rule.

    Args:
        own: encoder of the picture.
        more: (B, 3, H, W) → (B, K, 3, H, W).
        eye: encoder of these; None: ``own``.
        rule: (B, D), (B, K, D) → (B, D').
    """

    def __init__(
        self, own: nn.Module, more: nn.Module, eye: nn.Module | None, rule: Any
    ) -> None:
        super().__init__()
        self.own, self.more, self.second, self.rule = own, more, eye, rule

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, D')."""
        more = self.more(images)
        eye = self.second or self.own
        seen = eye(more.flatten(0, 1)).unflatten(0, more.shape[:2])
        return self.rule(self.own(images), seen)
