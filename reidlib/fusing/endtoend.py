"""End to end: fusion, R2 and, if wanted, the generator are trained as one network.

The paper's introduction calls its pipeline end-to-end trainable, and IV-C3 trains it in
parts. Here the identity loss of the descriptor reaches R2's weights through the
pictures, and the generator's through its drawings.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlib.data import class_labels, validation_split
from reidlib.data.batches import TensorBatches
from reidlib.models import Encoder, PoseGenerator
from reidlib.training import FusionConfig, held_out_map, to_float
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.features import serving
from reidlib.training.loop import Batch, Predict, Task, fit
from reidlib.training.losses import step_down


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
        self.encoder, self.fusion, self.drawer = encoder, fusion, drawer
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


def train_descriptor(
    network: nn.Module,
    first: Tensor,
    second: Tensor,
    table: pd.DataFrame,
    config: FusionConfig,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Classify the training identities from a descriptor; all of the network learns.

    Args:
        network: its ``predict`` has a head for the identities that are not held out;
            changed in place, and left with the best weights on those that are.
        first, second: (N, ...), what the network takes: pictures and drawings, or
            features of both.
        table: pid and camid of the N pictures.

    Returns:
        The history.
    """
    out = validation_split(table["pid"], config.held_out, seed)
    inside, outside = torch.as_tensor(~out), torch.as_tensor(out)
    labels = torch.as_tensor(class_labels(table["pid"][~out]))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )

    def validate() -> dict[str, float]:
        found = descriptors(network, first[outside], second[outside])
        return held_out_map(found, table[out])

    def phase(task: Task, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits = task.prepared["whole"](batch["first"], batch["second"])
        loss = F.cross_entropy(logits, batch["labels"])
        return loss, {"loss": loss}

    task = Task(
        {"whole": Predict(network)},
        {"whole": optimizer},
        {"whole": phase},
        validate,
        step_down,
    )
    data = TensorBatches(first=first[inside], second=second[inside], labels=labels)
    return fit(task, data, config, seed=seed, name="fusion", checkpoint=checkpoint)


@torch.no_grad()
def descriptors(
    network: nn.Module, first: Tensor, second: Tensor, batch: int = 64
) -> Tensor:
    """What a network makes of (N, ...) and (N, ...): (N, D) float32 on the CPU."""
    with serving(network) as (device, (net,)):
        pairs = zip(first.split(batch), second.split(batch), strict=True)
        return torch.cat([net(x.to(device), y.to(device)).cpu() for x, y in pairs])
