"""FusionNet: the input's feature and K generated ones become one descriptor."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError
from reidlib.models.layers import kaiming


class FusionNet(nn.Module):
    """Table I of the paper (III-E).

    Args:
        features: D, 2048 for ResNet-50.
        poses: K, the number of generated pictures.
        identities: C of the training head; 0: none.
        hidden: width of fc_1; None: 4 D as in Table I.
        dropout: after fc_1, 0.6 in the paper.
        batchnorm: after fc_1 and fc_2, as the paper's text says (its code has none).

    At D = 2048, K = 12 its linear layers hold 239,075,328 weights.
    """

    def __init__(
        self,
        features: int = 2048,
        poses: int = 12,
        identities: int = 0,
        *,
        hidden: int | None = None,
        dropout: float = 0.6,
        batchnorm: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.poses = features, poses
        self.hidden, self.batchnorm = hidden or 4 * features, batchnorm
        self.fc_1 = nn.Linear((poses + 1) * features, self.hidden)
        self.fc_2 = nn.Linear(self.hidden, features)
        self.output = nn.Linear(features, features)
        self.norm_1 = nn.BatchNorm1d(self.hidden) if batchnorm else nn.Identity()
        self.norm_2 = nn.BatchNorm1d(features) if batchnorm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, identities) if identities else nn.Identity()
        self.apply(kaiming)

    def config(self) -> dict:
        """The arguments that rebuild this network, without its head (JSON types)."""
        names = ("features", "poses", "hidden", "batchnorm")
        return {name: getattr(self, name) for name in names}

    def fuse(self, source: Tensor, generated: Tensor) -> Tensor:
        """add_1: the source's feature plus what the K pictures add, (B, D).

        Raises:
            ReIDConfigError: features of another width or number than it was built for.
        """
        b, k, d = len(source), self.poses, self.features
        if source.shape != (b, d) or generated.shape != (b, k, d):
            raise ReIDConfigError(
                f"This FusionNet was built for {k} poses and features of {d} numbers, "
                f"(B, {d}) and (B, {k}, {d}), and was given {tuple(source.shape)} and "
                f"{tuple(generated.shape)}; give these, or train one for yours."
            )
        x = torch.cat([source[:, None], generated], dim=1).flatten(1)  # (B, (K+1) D)
        x = self.dropout(F.relu(self.norm_1(self.fc_1(x))))
        x = F.relu(self.norm_2(self.fc_2(x)))
        return source + x

    def forward(self, source: Tensor, generated: Tensor) -> Tensor:
        """The descriptor.

        Args:
            source: (B, D) features of the input pictures.
            generated: (B, K, D) features of the pictures drawn from them.

        Returns:
            (B, D), the "output" row of Table I; not normalised.
        """
        return self.output(self.fuse(source, generated))

    def predict(self, source: Tensor, generated: Tensor) -> Tensor:
        """(B, C) identity logits, for training."""
        return self.head(self(source, generated))


class Slots(nn.Module):
    """Features side by side, so that like is compared with like: nothing is learnt.

    The cosine of two such descriptors is a weighted mean of cosines: of picture with
    picture, and of drawing with drawing in the *same* pose,

        (1 - w) cos(x, x') + w / K * sum over k of cos(x_k, x'_k),

    where a sum or a mean of features compares every pose with every other.

    Args:
        weight: w, the drawings' share.

    Raises:
        ReIDConfigError: it is outside [0, 1].
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        check_weight(weight)
        self.weight = weight

    def config(self) -> dict:
        """The argument that rebuilds it (JSON types)."""
        return {"weight": self.weight}

    def forward(self, source: Tensor, generated: Tensor) -> Tensor:
        """(B, D) and (B, K, D) → (B, (K + 1) D), of length one."""
        x = unit_features(source, generated)
        drawn = math.sqrt(self.weight / generated.shape[1])
        parts = [x[:, :1] * math.sqrt(1 - self.weight), x[:, 1:] * drawn]
        return torch.cat(parts, dim=1).flatten(1)


def unit_features(source: Tensor, generated: Tensor) -> Tensor:
    """(B, D) and (B, K, D) → (B, K + 1, D), every feature of length one.

    Raises:
        ReIDConfigError: they do not fit, or K is 0.
    """
    b, k, d = generated.shape if generated.ndim == 3 else (0, 0, 0)
    if source.shape != (b, d) or not k:
        raise ReIDConfigError(
            f"features of shapes {tuple(source.shape)} and {tuple(generated.shape)} do "
            "not fit; give (N, D) of the pictures and (N, K, D) of those drawn from "
            "them, K at least 1."
        )
    return F.normalize(torch.cat([source[:, None], generated], dim=1), dim=-1)


def check_weight(weight: float) -> None:
    """Refuse what is no share.

    Raises:
        ReIDConfigError: it is outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ReIDConfigError(f"weight is {weight}; give a share between 0 and 1.")
