"""Attention over poses: the picture asks its drawings for what it lacks."""

import torch
from torch import Tensor, nn

from reidlib.errors import ReIDConfigError


class AttentionFusion(nn.Module):
    """f = x + what attention finds among x and its K drawings.

    The alternative to FusionNet's fixed places: which drawing counts may differ from
    picture to picture. It starts as x itself, since its last layer starts at zero.

    Args:
        features: D.
        poses: K.
        identities: C of the training head; 0: none.
        heads: of the attention; D is divided among them.
        dropout: of the attention's weights.

    Raises:
        ReIDConfigError: D is not divisible by the heads; features of another width or
            number than it was built for.
    """

    def __init__(
        self,
        features: int,
        poses: int,
        identities: int = 0,
        *,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if features % heads:
            raise ReIDConfigError(
                f"{features} features are not divisible among {heads} heads; choose "
                "heads that divide them."
            )
        self.places = nn.Parameter(torch.zeros(poses + 1, features))
        self.norm = nn.LayerNorm(features)
        self.attention = nn.MultiheadAttention(
            features, heads, dropout, batch_first=True
        )
        self.head = nn.Linear(features, identities) if identities else nn.Identity()
        nn.init.zeros_(self.attention.out_proj.weight)

    def forward(self, source: Tensor, drawn: Tensor) -> Tensor:
        """(B, D) and (B, K, D) → (B, D)."""
        places, features = self.places.shape
        if source.shape[1:] != (features,) or drawn.shape[1:] != (places - 1, features):
            raise ReIDConfigError(
                f"This attention was built for {places - 1} poses and features of "
                f"{features} numbers, and was given {tuple(source.shape)} and "
                f"{tuple(drawn.shape)}; give these, or train one for yours."
            )
        x = self.norm(torch.cat([source[:, None], drawn], dim=1)) + self.places
        found, _ = self.attention(x[:, :1], x, x, need_weights=False)
        return source + found[:, 0]

    def predict(self, source: Tensor, drawn: Tensor) -> Tensor:
        """(B, C) identity logits, for training."""
        return self.head(self(source, drawn))
