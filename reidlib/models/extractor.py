"""Φ of eq. 2: picture in, pose-invariant descriptor out, one saved artefact."""

import json
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.encoder import Encoder
from reidlib.models.files import read_metadata, read_weights, write_weights
from reidlib.models.fusion import FusionNet, Slots
from reidlib.models.generators import PoseGenerator, build_generator
from reidlib.models.views import views
from reidlib.pose.clustering import image_units

FORMAT = "reidlib.PoseInvariantExtractor/3"
OLDER = (
    "reidlib.PoseInvariantExtractor/1",  # FusionNet, and R2 looks at drawings
    "reidlib.PoseInvariantExtractor/2",  # drawings only, no views
)
FUSIONS: dict[str, type[FusionNet] | type[Slots]] = {
    "fusionnet": FusionNet,
    "slots": Slots,
}


class PoseInvariantExtractor(nn.Module):
    """f = fusion(R2(I), E(G(R1(I), p_1)), …, E(G(R1(I), p_K))), and E is R2 (eq. 2).

    Args:
        r1: encoder whose features the vector generator was trained on; the other
            kinds do not ask it, and it may be None.
        generator: the pt-GAN's G, of any kind.
        r2: encoder of the input and of the generated pictures.
        fusion: Slots, or FusionNet for as many pictures as there are poses and views.
        poses: (K, 25, 2) in [0, 1], NaN = missing; the same for every picture.
        drawn_encoder: E, where the generated pictures have an encoder of their own.
        views: shifted and mirrored views of the input (`reidlib.models.views`) that E
            sees before the generated pictures, and that are fused like these.

    Raises:
        ReIDConfigError: fewer views than none; poses of another shape, in pixels, or
            without a joint; FusionNet was built for another number of pictures, or for
            other features; the two encoders differ in width; R1 is missing where it is
            asked, or of another width than G was built for.
    """

    poses: Tensor

    def __init__(
        self,
        r1: Encoder | None,
        generator: PoseGenerator,
        r2: Encoder,
        fusion: FusionNet | Slots,
        poses: Tensor,
        drawn_encoder: Encoder | None = None,
        views: int = 0,
    ) -> None:
        super().__init__()
        if views < 0:
            raise ReIDConfigError(f"views is {views}; give 0 or more.")
        poses = torch.as_tensor(image_units(torch.as_tensor(poses).cpu()))
        if not len(poses) or not poses.isfinite().any(2).any(1).all():
            raise ReIDConfigError(
                "There is no pose, or one without a joint; give the poses_ of a "
                "PoseClusterer."
            )
        _check(r1, generator, r2, fusion, len(poses) + views, drawn_encoder)
        self.r1, self.generator, self.r2, self.fusion = r1, generator, r2, fusion
        self.second = None if drawn_encoder is r2 else drawn_encoder
        self.views = views
        self.register_buffer("poses", poses)
        self.eval()

    @property
    def drawn_encoder(self) -> Encoder:
        """E, the encoder of the generated pictures: R2 unless they have their own."""
        return self.second or self.r2

    def generate(self, images: Tensor) -> Tensor:
        """Redraw every picture in the K poses: (B, 3, H, W) → (B, K, 3, H, W)."""
        # `pose_vector` without the way to the CPU, for which a GPU would wait
        vectors = self.poses.nan_to_num().flatten(1).to(images.device)
        return redraw(self.r1, self.generator, images, vectors)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) of the input; (B, V + K, D) of views and generated pictures."""
        shown = self.generate(images)
        if self.views:
            shown = torch.cat([views(images, self.views), shown], dim=1)
        own, seen = self.r2(images), self.drawn_encoder(shown.flatten(0, 1))
        return own, seen.unflatten(0, shown.shape[:2])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, D); of Slots (B, (1 + V + K) D).

        Raises:
            ReIDConfigError: the pictures are bytes.
        """
        if not images.is_floating_point():
            raise ReIDConfigError(
                f"The pictures are {images.dtype}, where numbers in [-1, 1] are meant; "
                "reidlib.training.to_float makes these."
            )
        return self.fusion(*self.features(images))

    def save(self, path: Path, *, half: bool = False) -> None:
        """Write everything, architecture included, to one safetensors file.

        Args:
            path: of the file.
            half: hold the numbers in 16 bits, in a file of half the size; what is read
                back computes in 32 again.

        Raises:
            ReIDConfigError: a fusion that is none of ``FUSIONS``.
            ReIDDataError: it cannot be written.
        """
        if type(self.fusion) not in FUSIONS.values():
            raise ReIDConfigError(
                f"A file can hold {' or '.join(FUSIONS)}, and no "
                f"{type(self.fusion).__name__}; add it to FUSIONS of "
                "reidlib.models.extractor, with a config() that rebuilds it."
            )
        fusions = {kind: name for name, kind in FUSIONS.items()}
        config = {
            "r1": self.r1 and self.r1.config(),
            "generator": self.generator.config(),
            "r2": self.r2.config(),
            "second": self.second and self.second.config(),
            "fusion": {"kind": fusions[type(self.fusion)]} | self.fusion.config(),
            "views": self.views,
        }
        tensors = {k: v for k, v in self.state_dict().items() if ".head." not in k}
        if half:
            lower = torch.float16
            tensors = {
                k: v.to(lower) if v.is_floating_point() else v
                for k, v in tensors.items()
            }
        meta = {"format": FORMAT, "config": json.dumps(config)}
        write_weights(path, tensors, meta)

    @classmethod
    def load(cls, path: Path) -> "PoseInvariantExtractor":
        """Read a saved extractor.

        Raises:
            ReIDDataError: missing file, not an extractor's, or not all of one.
            ReIDConfigError: a kind of generator or fusion that there is not.
        """
        meta = read_metadata(path)
        if meta.get("format") not in (FORMAT, *OLDER):
            raise ReIDDataError(
                f"{path} is not a saved extractor; give the extractor.safetensors "
                "that the fusion stage wrote."
            )
        tensors = read_weights(path)
        try:
            config = json.loads(meta["config"])
            extractor = cls(
                _encoder(config["r1"]),
                build_generator(config["generator"]),
                cast(Encoder, _encoder(config["r2"])),
                _fusion(config["fusion"]),
                tensors["poses"],
                _encoder(config.get("second")),
                config.get("views", 0),
            )
            extractor.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ReIDDataError(
                f"{path} does not hold a whole extractor ({error}); save it again."
            ) from error
        return extractor


def _check(
    r1: Encoder | None,
    generator: PoseGenerator,
    r2: Encoder,
    fusion: FusionNet | Slots,
    count: int,
    second: Encoder | None,
) -> None:
    """Refuse parts that do not fit; ``count`` features are fused with the input's."""
    if isinstance(fusion, FusionNet):
        built, given = (fusion.poses, fusion.features), (count, r2.features)
        if built != given:
            raise ReIDConfigError(
                f"FusionNet was built for {built[0]} poses and features of {built[1]} "
                f"numbers, and there are {given[0]} poses and features of {given[1]}; "
                "train it on these."
            )
    if second is not None and second.features != r2.features:
        raise ReIDConfigError(
            f"The encoder of drawings gives {second.features} numbers and R2 "
            f"{r2.features}; give two of one width."
        )
    if r1 is None and generator.kind == "vector":
        raise ReIDConfigError("The vector generator looks with R1; give it.")
    asked = generator.config().get("features")
    if r1 is not None and asked not in (None, r1.features):
        raise ReIDConfigError(
            f"The generator was built for features of {asked} numbers, and R1 gives "
            f"{r1.features}; give the R1 that it was trained with."
        )


def redraw(
    r1: Encoder | None, generator: PoseGenerator, images: Tensor, vectors: Tensor
) -> Tensor:
    """Every picture in every pose, by a generator in evaluation mode.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        vectors: (K, 50) pose vectors.

    Returns:
        (B, K, 3, H, W) in [-1, 1].
    """
    return generator.redraw(generator.look(cast(Encoder, r1), images), vectors)


def _encoder(config: dict | None) -> Encoder | None:
    if config is None:
        return None
    size = config.pop("input_size")
    return Encoder(**config, weights=None, input_size=tuple(size) if size else None)


def _fusion(config: dict) -> FusionNet | Slots:
    """The fusion that was saved; the first form of the file knew FusionNet alone."""
    kind = config.pop("kind", "fusionnet")
    if kind not in FUSIONS:
        raise ReIDConfigError(
            f"There is no fusion '{kind}'; choose one of {', '.join(FUSIONS)}."
        )
    return FUSIONS[kind](**config)
