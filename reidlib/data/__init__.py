"""What is on disk becomes tables and tensors.

The renderer of `reidlib.data.synthetic` is not imported here; its folders are read
like any other data set.
"""

from reidlib.data.augment import (
    encoder_augmentation,
    source_augmentation,
    to_network,
)
from reidlib.data.batches import ImageBatches, PairBatches, TensorBatches
from reidlib.data.datasets import load_dataset
from reidlib.data.doctor import Report, check
from reidlib.data.draws import Draws
from reidlib.data.reading import read_images
from reidlib.data.sampling import Passes, Persons
from reidlib.data.splits import validation_split
from reidlib.data.tables import ReIDDataset, class_labels

__all__ = [
    "Draws",
    "ImageBatches",
    "PairBatches",
    "Passes",
    "Persons",
    "ReIDDataset",
    "Report",
    "TensorBatches",
    "check",
    "class_labels",
    "encoder_augmentation",
    "load_dataset",
    "read_images",
    "source_augmentation",
    "to_network",
    "validation_split",
]
