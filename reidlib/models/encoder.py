"""R1 and R2: residual networks that turn a picture into one feature vector."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ResNet, get_model, get_model_weights
from torchvision.models.resnet import BasicBlock

from reidlib.errors import ReIDConfigError
from reidlib.models.files import read_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """A torchvision ResNet cut after global average pooling (SPEC.md 6).

    The same class is R1 (a general encoder) and R2 (fine-tuned on identities);
    what it was trained on is what tells them apart.

    Args:
        arch: "resnet18" … "resnet152", or "resnet10" (one basic block a stage),
            small enough for a laptop.
        weights: "imagenet" (torchvision downloads them), a path to a
            ``.safetensors`` file of an Encoder, or None for a network that is
            about to be trained from scratch.
        last_stride: stride of the last stage; 1 keeps a finer map.
        input_size: (height, width) that pictures are resized to first, or None.
        outputs: width of the training head, identities C or attributes A; 0: none.
        bottleneck: hidden width of the head (512 in SPEC.md 6); 0: a plain
            linear head.

    Raises:
        ReIDConfigError: unknown architecture, or weights that cannot be had.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        arch: str = "resnet50",
        weights: str | Path | None = "imagenet",
        *,
        last_stride: int = 2,
        input_size: tuple[int, int] | None = None,
        outputs: int = 0,
        bottleneck: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.arch, self.last_stride, self.input_size = arch, last_stride, input_size
        self.trunk = _trunk(arch, weights == "imagenet")
        self.features = int(self.trunk.fc.in_features)
        self.trunk.fc = nn.Identity()
        if last_stride == 1:
            _keep_resolution(self.trunk.layer4)
        self.head = _head(self.features, outputs, bottleneck, dropout)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), False)
        if weights not in (None, "imagenet"):
            self.load_trunk(Path(str(weights)))

    def config(self) -> dict:
        """The arguments that rebuild this trunk (JSON types)."""
        return {
            "arch": self.arch,
            "last_stride": self.last_stride,
            "input_size": self.input_size,
        }

    def forward(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, D), D = 2048 for ResNet-50; not normalised.
        """
        x = ((images + 1) / 2 - self.mean) / self.std
        if self.input_size is not None and tuple(x.shape[-2:]) != self.input_size:
            x = F.interpolate(
                x, self.input_size, mode="bilinear", align_corners=False, antialias=True
            )
        return self.trunk(x)

    def predict(self, images: Tensor) -> Tensor:
        """(B, outputs) logits of the training head."""
        return self.head(self(images))

    def load_trunk(self, path: Path) -> None:
        """Take the trunk, not the head, from an Encoder's weights file."""
        tensors = read_weights(path)
        trunk = {
            k.removeprefix("trunk."): v
            for k, v in tensors.items()
            if k.startswith("trunk.")
        }
        try:
            self.trunk.load_state_dict(trunk)
        except RuntimeError as error:
            raise ReIDConfigError(
                f"{path} does not hold the weights of a {self.arch} encoder; "
                "give the weights.safetensors of a run trained with this arch."
            ) from error


def _trunk(arch: str, imagenet: bool) -> ResNet:
    if arch == "resnet10":
        if imagenet:
            raise ReIDConfigError(
                "There are no ImageNet weights for resnet10; use weights=None and "
                "train it, or arch='resnet18'."
            )
        return ResNet(BasicBlock, [1, 1, 1, 1])
    known = [f"resnet{n}" for n in (18, 34, 50, 101, 152)]
    if arch not in known:
        raise ReIDConfigError(
            f"Unknown arch '{arch}'; choose resnet10 or one of {known}."
        )
    # V1 are the weights of the paper's time; V2 come from a newer recipe.
    chosen = get_model_weights(arch).IMAGENET1K_V1 if imagenet else None
    try:
        return get_model(arch, weights=chosen)
    except OSError as error:
        raise ReIDConfigError(
            f"The ImageNet weights of {arch} could not be downloaded ({error}); "
            "give weights='path/to/weights.safetensors', or train R1 on attributes."
        ) from error


def _keep_resolution(stage: nn.Module) -> None:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (1, 1)


def _head(features: int, outputs: int, hidden: int, dropout: float) -> nn.Module:
    """Linear, BN, dropout, linear (SPEC.md 6, ClassBlock), or one linear layer."""
    if outputs == 0:
        return nn.Identity()
    if hidden == 0:
        return nn.Linear(features, outputs)
    first, norm = nn.Linear(features, hidden), nn.BatchNorm1d(hidden)
    last = nn.Linear(hidden, outputs)
    nn.init.kaiming_normal_(first.weight, mode="fan_out")
    nn.init.zeros_(first.bias)
    nn.init.normal_(norm.weight, 1.0, 0.02)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, norm, nn.Dropout(dropout), last)
