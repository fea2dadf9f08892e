"""Images as tensors: reading them, and the two data sets that training draws from."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from reidlib.data.transforms import source_augmentation, to_network
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import flip, pose_vector, torso_valid
from reidlib.pose.files import first_few

Transform = Callable[[Tensor], Tensor]
Paths = pd.DataFrame | Sequence[str | Path]


T = TypeVar("T")


def _open_all(
    paths: Paths, root: str | Path | None, use: Callable[[Image.Image], T]
) -> Iterator[T]:
    """Use every image file in turn; raise at the end if some could not be read."""
    listed = paths["path"] if isinstance(paths, pd.DataFrame) else paths
    faults = []
    # A bar only where there is something to wait for: a few thousand per second.
    for path in tqdm(listed, "reading images", leave=False):
        try:
            with Image.open(Path(root or "", path)) as image:
                if image.mode.startswith(("I", "F")):
                    raise OSError("more than 8 bits per channel")
                yield use(image)
        except (OSError, SyntaxError, ValueError) as fault:  # Pillow raises all three
            name = Path(root or "", path)
            faults.append(f"{name} ({str(fault).replace(repr(str(name)), 'it')})")
    if faults:
        raise ReIDDataError(
            f"{len(faults):,} of {len(listed):,} images cannot be read: "
            f"{first_few(faults)}. Copy these files again or take them out."
        )


def read_images(
    paths: Paths, size: tuple[int, int], root: str | Path | None = None
) -> Tensor:
    """Read and resize images, bilinear with antialiasing.

    Args:
        paths: a table with a `path` column, or a list of paths.
        size: (height, width) of the result.
        root: folder that the paths are relative to.

    Returns:
        (N, 3, H, W) uint8, in the order given.

    Raises:
        ReIDDataError: files are missing or broken; all are reported at once.
    """
    height, width = size
    pixels = np.empty((len(paths), height, width, 3), dtype=np.uint8)

    def resize(image: Image.Image) -> NDArray[np.uint8]:
        rgb = image.convert("RGB")
        return np.asarray(rgb.resize((width, height), Image.Resampling.BILINEAR))

    for number, image in enumerate(_open_all(paths, root, resize)):
        pixels[number] = image
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def image_sizes(paths: Paths, root: str | Path | None = None) -> NDArray[np.int64]:
    """Height and width of image files in pixels, (N, 2), from their headers.

    Raises:
        ReIDDataError: files are missing or no images; all are reported at once.
    """
    sizes = _open_all(paths, root, lambda image: (image.height, image.width))
    return np.array(list(sizes), dtype=np.int64).reshape(-1, 2)


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with their labels.

    Args:
        images: (N, 3, H, W) uint8.
        labels: (N,) classes, or (N, A) targets in [0, 1].
        transform: from a uint8 image to what the network takes; `to_network()` if None.
    """

    def __init__(
        self, images: Tensor, labels: ArrayLike, transform: Transform | None = None
    ) -> None:
        self.images = images
        self.labels = torch.as_tensor(np.asarray(labels))
        if len(self.images) != len(self.labels):
            raise ReIDConfigError(
                f"{len(self.images)} images with {len(self.labels)} labels; "
                "give one label per image."
            )
        self.transform = transform or to_network()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One transformed image (3, H, W) and its label ()."""
        return self.transform(self.images[index]), self.labels[index]


class PairDataset(Dataset[dict[str, Tensor]]):
    """Pairs of images of one person: a source, and a target in another pose (SPEC 4.6).

    Item i is the i-th image that has a partner, so a shuffled loader draws sources
    uniformly over images. The partner is drawn at each access, from torch's generator,
    uniformly over the person's other images with a whole torso (SPEC 2.2). Only the
    source is augmented. The target is mirrored, together with its pose, half the time.

    Args:
        images: (N, 3, H, W) uint8.
        pids: (N,) identity of each image; negative means nobody and is left out.
        points: (N, 25, 2) joints in image units, NaN where missing
            (`ReIDDataset.points`).
        augment: for the source; `source_augmentation` of the images' size if None.
        flip_target: chance to mirror target and pose.

    Attributes:
        sources: (len,) image number of each item.
        labels: (N,) class 0 … C−1 of each image, as by `class_labels(pids)`.
        n_pairs: number of different (source, target) pairs.

    Raises:
        ReIDConfigError: the arguments differ in length or shape.
        ReIDDataError: no image has a partner.
    """

    def __init__(
        self,
        images: Tensor,
        pids: ArrayLike,
        points: ArrayLike,
        *,
        augment: Transform | None = None,
        flip_target: float = 0.5,
    ) -> None:
        people = np.asarray(pids)
        joints = np.asarray(points, dtype=np.float32)
        if joints.shape != (len(images), 25, 2) or people.shape != (len(images),):
            raise ReIDConfigError(
                f"{len(images)} images, pids {people.shape} and points {joints.shape} "
                "do not fit; give (N, 3, H, W), (N,) and (N, 25, 2) in image units."
            )
        self.images = images
        self.vectors = torch.from_numpy(pose_vector(joints))
        self.mirrored = torch.from_numpy(pose_vector(flip(joints, 1.0)))
        height, width = images.shape[-2:]
        self.augment = augment or source_augmentation((height, width))
        self.flip_target = flip_target
        self._finish = to_network()

        labels = np.unique(people, return_inverse=True)[1]
        self.labels = torch.from_numpy(labels)
        valid = torso_valid(joints) & (people >= 0)
        self._targets = {
            int(label): torch.from_numpy(np.flatnonzero(valid & (labels == label)))
            for label in np.unique(labels[valid])
        }
        counts = np.bincount(labels[valid], minlength=len(people))
        partners = counts[labels] - valid  # (N,) valid images other than itself
        self.sources = np.flatnonzero(partners > 0)
        self.n_pairs = int(partners[self.sources].sum())
        if not len(self.sources):
            raise ReIDDataError(
                f"none of the {len(images):,} images has a second image of its person "
                "with both hips and both shoulders visible; give keypoints, or more "
                "images per person."
            )

    def __len__(self) -> int:
        """Number of images that have a partner."""
        return len(self.sources)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One pair.

        Returns:
            source (3, H, W) and target (3, H, W) float32 in [−1, 1], pose (50,) of the
            target in image units with 0 where missing, label ().
        """
        source = int(self.sources[index])
        label = self.labels[source]
        targets = self._targets[int(label)]
        targets = targets[targets != source]
        target = int(targets[torch.randint(len(targets), ())])
        image, pose = self.images[target], self.vectors[target]
        if torch.rand(()) < self.flip_target:
            image, pose = image.flip(-1), self.mirrored[target]
        return {
            "source": self.augment(self.images[source]),
            "target": self._finish(image),
            "pose": pose,
            "label": label,
        }
