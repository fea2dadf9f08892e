"""Φ of eq. 2: picture in, pose-invariant descriptor out, one saved artefact."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.encoder import Encoder
from reidlib.models.files import read_metadata, read_weights, write_weights
from reidlib.models.fusion import FusionNet
from reidlib.models.generators import PoseGenerator, build_generator

FORMAT = "reidlib.PoseInvariantExtractor/1"


class PoseInvariantExtractor(nn.Module):
    """f = FusionNet(R2(I), R2(G(R1(I), p_1)), …, R2(G(R1(I), p_K))).

    Args:
        r1: encoder whose features the vector generator was trained on; the other
            kinds do not ask it.
        generator: the pt-GAN's G, of any kind.
        r2: encoder of the input and of the generated pictures.
        fusion: FusionNet for K pictures.
        poses: (K, 25, 2) in [0, 1], NaN = missing; the same for every picture.

    Raises:
        ReIDConfigError: FusionNet was built for another K, or for other features.
    """

    poses: Tensor

    def __init__(
        self,
        r1: Encoder,
        generator: PoseGenerator,
        r2: Encoder,
        fusion: FusionNet,
        poses: Tensor,
    ) -> None:
        super().__init__()
        built, given = (fusion.poses, fusion.features), (len(poses), r2.features)
        if built != given:
            raise ReIDConfigError(
                f"FusionNet was built for {built[0]} poses and features of {built[1]} "
                f"numbers, and there are {given[0]} poses and features of {given[1]}; "
                "train it on these."
            )
        self.r1, self.generator, self.r2, self.fusion = r1, generator, r2, fusion
        self.register_buffer("poses", torch.as_tensor(poses, dtype=torch.float32))
        self.eval()

    def generate(self, images: Tensor) -> Tensor:
        """Redraw every picture in the K poses: (B, 3, H, W) → (B, K, 3, H, W)."""
        # `pose_vector` without the way to the CPU, for which a GPU would wait
        vectors = self.poses.nan_to_num().flatten(1).to(images.device)
        return redraw(self.r1, self.generator, images, vectors)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) of the input and (B, K, D) of the generated pictures."""
        drawn = self.generate(images)
        return self.r2(images), self.r2(drawn.flatten(0, 1)).unflatten(
            0, drawn.shape[:2]
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, D) descriptors."""
        return self.fusion(*self.features(images))

    def save(self, path: Path) -> None:
        """Write everything, architecture included, to one safetensors file."""
        config = {
            "r1": self.r1.config(),
            "generator": self.generator.config(),
            "r2": self.r2.config(),
            "fusion": self.fusion.config(),
        }
        tensors = {k: v for k, v in self.state_dict().items() if ".head." not in k}
        meta = {"format": FORMAT, "config": json.dumps(config)}
        write_weights(path, tensors, meta)

    @classmethod
    def load(cls, path: Path) -> "PoseInvariantExtractor":
        """Read a saved extractor.

        Raises:
            ReIDDataError: missing file, or not an extractor's.
            ReIDConfigError: a kind of generator that there is not.
        """
        meta = read_metadata(path)
        if meta.get("format") != FORMAT:
            raise ReIDDataError(
                f"{path} is not a saved extractor; give the extractor.safetensors "
                "that the fusion stage wrote."
            )
        config, tensors = json.loads(meta["config"]), read_weights(path)
        extractor = cls(
            _encoder(config["r1"]),
            build_generator(config["generator"]),
            _encoder(config["r2"]),
            FusionNet(**config["fusion"]),
            tensors["poses"],
        )
        extractor.load_state_dict(tensors)
        return extractor


def redraw(
    r1: Encoder, generator: PoseGenerator, images: Tensor, vectors: Tensor
) -> Tensor:
    """Every picture in every pose, by a generator in evaluation mode.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        vectors: (K, 50) pose vectors.

    Returns:
        (B, K, 3, H, W) in [-1, 1].
    """
    return generator.redraw(generator.look(r1, images), vectors)


def _encoder(config: dict) -> Encoder:
    size = config.pop("input_size")
    return Encoder(**config, weights=None, input_size=tuple(size) if size else None)
