"""What is on disk becomes tables and tensors.

The renderer of `reidlib.data.synthetic` is not imported here; its folders are read
like any other data set.
"""

from reidlib.data.datasets import load_dataset
from reidlib.data.doctor import Report, check
from reidlib.data.images import ImageDataset, PairDataset
from reidlib.data.reading import read_images
from reidlib.data.sampling import Passes, Persons
from reidlib.data.splits import validation_split
from reidlib.data.tables import ReIDDataset, class_labels
from reidlib.data.transforms import (
    encoder_augmentation,
    source_augmentation,
    to_network,
)

__all__ = [
    "ImageDataset",
    "PairDataset",
    "Passes",
    "Persons",
    "ReIDDataset",
    "Report",
    "check",
    "class_labels",
    "encoder_augmentation",
    "load_dataset",
    "read_images",
    "source_augmentation",
    "to_network",
    "validation_split",
]
