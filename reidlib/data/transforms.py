"""From a uint8 image to what a network takes: float32 in [−1, 1].

All work on one (3, H, W) tensor and draw from torch's generator.
"""

import torch
from torchvision.transforms import v2


def to_network() -> v2.Transform:
    """Scale 0 … 255 to [−1, 1], float32."""
    return v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    )


def _shift(size: tuple[int, int]) -> list[v2.Transform]:
    """Pad with black and crop back: 10 pixels at a height of 256 (SPEC 4.6)."""
    return [v2.Pad(max(1, round(10 * size[0] / 256))), v2.RandomCrop(size)]


def encoder_augmentation(size: tuple[int, int], strong: bool = False) -> v2.Transform:
    """Augmentation for training an encoder: shift and mirror (SPEC 6).

    Args:
        size: (height, width) of the images.
        strong: jitter colours, blur and erase as well.
    """
    steps: list[v2.Transform] = [*_shift(size), v2.RandomHorizontalFlip()]
    if not strong:
        return v2.Compose([*steps, to_network()])
    jitter = v2.ColorJitter(0.35, 0.35, 0.35, 0.05)
    blur = v2.GaussianBlur(3, (0.3, 1.2))
    erase = v2.RandomErasing(p=0.5, scale=(0.02, 0.3), ratio=(0.3, 1 / 0.3))
    steps += [v2.RandomApply([jitter], p=0.8), v2.RandomApply([blur], p=0.3)]
    return v2.Compose([*steps, to_network(), erase])


def source_augmentation(size: tuple[int, int]) -> v2.Transform:
    """What befalls a source image of the pt-GAN, for it to undo (SPEC 4.6).

    Colour jitter, rotation, perspective, shift, mirror and erasing. The source may be
    mirrored freely, since only the target's pose is given to the generator. Erasing
    comes after scaling, so that its value 0 is mid-grey.

    Args:
        size: (height, width) of the images.
    """
    bilinear = v2.InterpolationMode.BILINEAR
    return v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(0.2, 0.2, 0.2, 0.05)], p=0.8),
            v2.RandomRotation(20, interpolation=bilinear),
            v2.RandomPerspective(0.2, p=0.3),
            *_shift(size),
            v2.RandomHorizontalFlip(),
            to_network(),
            v2.RandomErasing(p=0.5, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3)),
        ]
    )
