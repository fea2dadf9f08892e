"""The two data sets that training draws from: images, and pairs of them."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset

from reidlib.data.transforms import source_augmentation, to_network
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import flip, pose_vector, torso_valid

Transform = Callable[[Tensor], Tensor]


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
