"""R1 and R2: residual networks that turn a picture into one feature vector."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ResNet, get_model, get_model_weights
from torchvision.models.resnet import BasicBlock

from reidlib.errors import ReIDConfigError
from reidlib.models.checkpoints import Matched, load_checkpoint

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """A torchvision ResNet cut after global average pooling (the authors' code).

    The same class is R1 (a general encoder) and R2 (fine-tuned on identities);
    what it was trained on is what tells them apart.

    Args:
        arch: "resnet18" … "resnet152", or small enough for a laptop: "resnet10" (one
            basic block a stage), or "resnet8", the same without its last stage, which
            holds three quarters of the weights (D = 256).
        weights: "imagenet" (torchvision downloads them), a path to a
            ``.safetensors`` file of an Encoder or to another library's checkpoint
            (``load_checkpoint``), or None for a network that is about to be trained
            from scratch.
        last_stride: stride of the last stage; 1 keeps a finer map.
        input_size: (height, width) that pictures are resized to first, or None.
        outputs: width of the training head, identities C or attributes A; 0: none.
        bottleneck: hidden width of the head (512 in the authors' code); 0: a plain
            linear head.
        neck: a batch norm without shift between pooling and head, the BNNeck of Luo
            et al. (CVPR workshops 2019). A triplet loss takes the features before it,
            the classifier those after it; these are also the descriptor, as in that
            paper, to be compared by cosine. The head is then one linear layer without
            bias, whatever ``bottleneck`` and ``dropout`` say.

    Raises:
        ReIDConfigError: unknown architecture, or weights that cannot be had.
        ReIDDataError: a weights file that is missing, broken or of another network.
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
        neck: bool = False,
    ) -> None:
        super().__init__()
        self.arch, self.last_stride, self.input_size = arch, last_stride, input_size
        self.trunk = _trunk(arch, weights == "imagenet")
        self.features = int(self.trunk.fc.in_features)
        self.trunk.fc = nn.Identity()
        if last_stride == 1:
            _keep_resolution(
                self.trunk.layer3 if arch == "resnet8" else self.trunk.layer4
            )
        self.neck = _neck(self.features) if neck else nn.Identity()
        self.head = _head(self.features, outputs, bottleneck, dropout, neck)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), False)
        if weights not in (None, "imagenet"):
            self.load_trunk(Path(str(weights)))

    def config(self) -> dict:
        """The arguments that rebuild this trunk and neck (JSON types)."""
        return {
            "arch": self.arch,
            "last_stride": self.last_stride,
            "input_size": self.input_size,
            "neck": isinstance(self.neck, nn.BatchNorm1d),
        }

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors of pictures: the pooled features, after the neck if there is one.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, D), D = 2048 for ResNet-50; not normalised.
        """
        return self.neck(self.pooled(images))

    def pooled(self, images: Tensor) -> Tensor:
        """(B, D) pooled features before any neck; arguments as ``forward``."""
        x = ((images + 1) / 2 - self.mean) / self.std
        if self.input_size is not None and tuple(x.shape[-2:]) != self.input_size:
            x = F.interpolate(
                x, self.input_size, mode="bilinear", align_corners=False, antialias=True
            )
        return self.trunk(x)

    def predict(self, images: Tensor) -> Tensor:
        """(B, outputs) logits of the training head."""
        return self.head(self(images))

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) for a triplet loss, before any neck, and (B, outputs) logits."""
        features = self.pooled(images)
        return features, self.head(self.neck(features))

    def load_trunk(self, path: Path) -> Matched:
        """Take the trunk and the neck, not the head, from a file (`load_checkpoint`).

        A neck that the file lacks stays new: it must then be trained.
        """
        return load_checkpoint(self, path)


def _trunk(arch: str, imagenet: bool) -> ResNet:
    if arch in ("resnet8", "resnet10"):
        if imagenet:
            raise ReIDConfigError(
                f"There are no ImageNet weights for {arch}; use weights=None and "
                "train it, or arch='resnet18'."
            )
        small = ResNet(BasicBlock, [1, 1, 1, 1])
        if arch == "resnet8":
            small.layer4 = nn.Identity()
            small.fc = nn.Linear(256, 1)  # as wide as what layer3 gives
        return small
    known = [f"resnet{n}" for n in (18, 34, 50, 101, 152)]
    if arch not in known:
        raise ReIDConfigError(
            f"Unknown arch '{arch}'; choose resnet8, resnet10 or one of {known}."
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


def _neck(features: int) -> nn.Module:
    norm = nn.BatchNorm1d(features)
    norm.bias.requires_grad_(False)  # stays 0, so that the origin stays the centre
    return norm


def _head(
    features: int, outputs: int, hidden: int, dropout: float, neck: bool
) -> nn.Module:
    """Linear, BN, dropout, linear (the authors' ClassBlock), or one linear layer."""
    if outputs == 0:
        return nn.Identity()
    if neck:
        classifier = nn.Linear(features, outputs, bias=False)
        nn.init.normal_(classifier.weight, std=0.001)
        return classifier
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
