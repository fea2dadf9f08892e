"""What training draws its batches from: pictures, pairs of them, and features.

Everything lies in memory as one tensor, on the GPU where there is one (Market-1501 at
128x64 is 0.3 GB), and a batch is indexed and augmented at once: no worker processes,
nothing to prefetch.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from reidlib.data.augment import Augment, source_augmentation, to_network
from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import flip, pose_vector, torso_valid


class TensorBatches:
    """Rows of named tensors of equal length.

    Raises:
        ReIDConfigError: they differ in length.
    """

    def __init__(self, **tensors: Tensor) -> None:
        lengths = {name: len(t) for name, t in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ReIDConfigError(
                f"The tensors differ in length ({lengths}); give one row per picture."
            )
        self.tensors = tensors

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.tensors.values())))

    def to(self, device: torch.device) -> None:
        """Move them."""
        self.tensors = {name: t.to(device) for name, t in self.tensors.items()}

    def batch(self, items: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Rows ``items`` (b,) of every tensor."""
        device = next(iter(self.tensors.values())).device
        rows = items.to(device, non_blocking=True)
        return {name: tensor[rows] for name, tensor in self.tensors.items()}


class ImageBatches(TensorBatches):
    """Pictures with their labels.

    Args:
        images: (N, 3, H, W) uint8.
        labels: (N,) classes, or (N, A) targets in [0, 1].
        augment: `to_network` if None.
    """

    def __init__(
        self, images: Tensor, labels: ArrayLike, augment: Augment | None = None
    ) -> None:
        super().__init__(images=images, labels=torch.as_tensor(np.asarray(labels)))
        self.augment = augment or to_network

    def batch(self, items: Tensor, draws: Draws) -> dict[str, Tensor]:
        """images (b, 3, H, W) float32 in [-1, 1], labels (b,) or (b, A)."""
        found = super().batch(items, draws)
        return found | {"images": self.augment(found["images"], draws)}


class PairBatches(TensorBatches):
    """Pairs of images of one person: a source, and a target in another pose (III-C).

    Item i is the i-th image that has a partner, so whole passes draw sources uniformly
    over images. The partner is drawn anew each time, uniformly over the person's other
    images with a whole torso. Only the source is augmented. The target is
    mirrored, together with its pose, half the time.

    Args:
        images: (N, 3, H, W) uint8.
        pids: (N,) identity of each image; negative means nobody and is left out.
        points: (N, 25, 2) joints in image units, NaN where missing
            (`ReIDDataset.points`).
        augment: for the source; `source_augmentation()` if None.
        flip_target: chance to mirror target and pose.

    Attributes:
        sources: (len,) image number of each item.
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
        augment: Augment | None = None,
        flip_target: float = 0.5,
    ) -> None:
        people = np.asarray(pids)
        joints = np.asarray(points, dtype=np.float32)
        if joints.shape != (len(images), 25, 2) or people.shape != (len(images),):
            raise ReIDConfigError(
                f"{len(images)} images, pids {people.shape} and points {joints.shape} "
                "do not fit; give (N, 3, H, W), (N,) and (N, 25, 2) in image units."
            )
        labels = np.unique(people, return_inverse=True)[1]
        super().__init__(
            images=images,
            vectors=torch.from_numpy(pose_vector(joints)),
            mirrored=torch.from_numpy(pose_vector(flip(joints, 1.0))),
            labels=torch.from_numpy(labels),
        )
        self.augment = augment or source_augmentation()
        self.flip_target = flip_target
        valid = torso_valid(joints) & (people >= 0)
        # Targets of all people in one row, person after person.
        numbers = np.flatnonzero(valid)
        order = numbers[np.argsort(labels[numbers], kind="stable")]
        counts = np.bincount(labels[valid], minlength=len(people))
        place = np.full(len(people), -1)  # of an image among its person's targets
        first = np.concatenate([[0], np.cumsum(counts)])[:-1]
        place[order] = np.arange(len(order)) - first[labels[order]]
        partners = counts[labels] - valid  # valid images other than itself
        self.sources = np.flatnonzero(partners > 0)
        self.n_pairs = int(partners[self.sources].sum())
        if not len(self.sources):
            raise ReIDDataError(
                f"none of the {len(images):,} images has a second image of its person "
                "with both hips and both shoulders visible; give keypoints, or more "
                "images per person."
            )
        chosen = {
            "first": first[labels[self.sources]],
            "place": place[self.sources],
            "partners": partners[self.sources],
        }
        self._order = torch.from_numpy(order)
        self._items = {k: torch.from_numpy(v) for k, v in chosen.items()}

    def __len__(self) -> int:
        """Number of images that have a partner."""
        return len(self.sources)

    def partners(self, items: Tensor, uniform: Tensor) -> Tensor:
        """The image that each item is paired with, for draws (b,) in [0, 1)."""
        found = {k: v[items] for k, v in self._items.items()}
        drawn = (uniform.double() * found["partners"]).long()
        drawn = torch.minimum(drawn, found["partners"] - 1)
        itself = (found["place"] >= 0) & (drawn >= found["place"])
        return self._order[found["first"] + drawn + itself.long()]

    def batch(self, items: Tensor, draws: Draws) -> dict[str, Tensor]:
        """One pair for each item.

        Returns:
            source and target (b, 3, H, W) float32 in [-1, 1], pose (b, 50) of the
            target in image units with 0 where missing, labels (b,).
        """
        sources = torch.as_tensor(self.sources)[items]
        targets = self.partners(items, draws.uniform(device="cpu"))
        source, target = (
            super(PairBatches, self).batch(i, draws) for i in (sources, targets)
        )
        mirror = draws.uniform() < self.flip_target
        image = torch.where(
            mirror[:, None, None, None], target["images"].flip(-1), target["images"]
        )
        return {
            "source": self.augment(source["images"], draws),
            "target": to_network(image),
            "pose": torch.where(mirror[:, None], target["mirrored"], target["vectors"]),
            "labels": target["labels"],
        }
