"""End to end: fusion, R2 and, if wanted, the generator are trained as one network.

The paper's introduction calls its pipeline end-to-end trainable, and IV-C3 trains it in
parts. Here the identity loss of the descriptor reaches R2's weights through the
pictures, and the generator's through its drawings.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reidlib.models import Encoder, PoseGenerator
from reidlib.training import FusionConfig, to_float


@dataclass(frozen=True)
class JointConfig(FusionConfig):
    """How the whole is fine-tuned; ``lr`` is small, since all parts are trained.

    Attributes:
        generator: whether the generator is trained too, and not only R2 and fusion.
    """

    steps: int = 6_000
    lr: float = 1e-4
    generator: bool = False


class Joint(nn.Module):
    """Pictures and their drawings, or pictures and a generator → descriptors.

    The networks are copied: training this one leaves the caller's as they are.

    Args:
        encoder: of pictures and drawings.
        fusion: (B, D), (B, K, D) → (B, D).
        identities: C of the training head.
        drawer: the generator; None: the drawings are given.
        vectors: (K, 50), the poses that it draws.
    """

    vectors: Tensor

    def __init__(
        self,
        encoder: Encoder,
        fusion: nn.Module,
        identities: int,
        drawer: PoseGenerator | None = None,
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.fusion = copy.deepcopy(encoder), copy.deepcopy(fusion)
        self.drawer = copy.deepcopy(drawer)
        self.register_buffer("vectors", torch.zeros(0) if vectors is None else vectors)
        self.head = nn.Linear(encoder.features, identities)

    def forward(self, images: Tensor, given: Tensor) -> Tensor:
        """The descriptor.

        Args:
            images: (B, 3, H, W) uint8.
            given: (B, K, 3, H, W) uint8 drawings or, for a generator, what it knows of
                the source beside the picture, (B, ...).

        Returns:
            (B, D).
        """
        if self.drawer is None:
            drawn = to_float(given)
        else:
            drawn = self.drawer.redraw(given, self.vectors)
        seen = self.encoder(torch.cat([to_float(images), drawn.flatten(0, 1)]))
        source, rest = seen[: len(images)], seen[len(images) :]
        return self.fusion(source, rest.unflatten(0, drawn.shape[:2]))

    def predict(self, images: Tensor, given: Tensor) -> Tensor:
        """(B, C) identity logits."""
        return self.head(self(images, given))
