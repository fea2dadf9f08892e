"""The one form in which every data set is handed on: tables of images, and poses."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reidlib.data.images import image_sizes
from reidlib.pose import empty_pose, normalise
from reidlib.pose.skeletons import Floats

Row = tuple[str, int, int]


def image_table(rows: Iterable[Row] = ()) -> pd.DataFrame:
    """A table of images from (path, pid, camid), sorted by path."""
    table = pd.DataFrame(sorted(rows), columns=["path", "pid", "camid"])
    return table.astype({"path": "str", "pid": "int64", "camid": "int64"})


def class_labels(pids: ArrayLike) -> NDArray[np.int64]:
    """Number the identities 0 … C−1 in ascending order of pid; (N,) → (N,)."""
    return np.unique(np.asarray(pids), return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class ReIDDataset:
    """A data set under one protocol.

    Attributes:
        name: name given to `load_dataset`.
        root: folder that the paths are relative to.
        protocol: "market1501" or "holdout".
        train: table of path, pid, camid; identities to learn from.
        query: the same columns; the images to search with.
        gallery: the same columns; the images to search in. Junk (pid −1) and
            distractors (pid 0) stay in; evaluation treats them.
        multi_query: further images of the query identities (gt_bbox); maybe empty.
        poses: (25, 3) pose in pixels by image file name; maybe empty.
        keypoint_files: files that the poses were read from, relative to root.
        n_trials: number of splits that the protocol averages over.
        trial: which of them this is.
    """

    name: str
    root: Path
    protocol: str
    train: pd.DataFrame = field(repr=False)
    query: pd.DataFrame = field(repr=False)
    gallery: pd.DataFrame = field(repr=False)
    multi_query: pd.DataFrame = field(default_factory=image_table, repr=False)
    poses: dict[str, Floats] = field(default_factory=dict, repr=False)
    keypoint_files: tuple[str, ...] = field(default=(), repr=False)
    n_trials: int = 1
    trial: int = 0

    @property
    def splits(self) -> dict[str, pd.DataFrame]:
        """The tables by name: train, query, gallery, multi_query."""
        names = ("train", "query", "gallery", "multi_query")
        return {name: getattr(self, name) for name in names}

    def image_path(self, path: str) -> Path:
        """Where the image of a table's `path` lies."""
        return self.root / path

    def pose_array(self, table: pd.DataFrame) -> Floats:
        """Poses of a table's images, (N, 25, 3) in pixels; all missing where none."""
        poses = empty_pose(len(table))
        for number, path in enumerate(table["path"]):
            pose = self.poses.get(path.rpartition("/")[2])
            if pose is not None:
                poses[number] = pose
        return poses

    def points(self, table: pd.DataFrame) -> Floats:
        """Poses of a table's images in image units, (N, 25, 2), NaN where missing.

        Each pose is divided by the size of its own file, which is read from the
        file's header: pixels of a keypoint file belong to the image as it lies on
        disk, whatever size it is later resized to.
        """
        points = self.pose_array(table)[..., :2]
        if self.poses:
            sizes = image_sizes(table, self.root)
            for number, (height, width) in enumerate(sizes.tolist()):
                points[number] = normalise(points[number], (height, width))
        return points

    def digest(self) -> str:
        """SHA-256 of what was loaded: protocol, splits, file sizes, keypoint files."""
        lines = [f"{self.protocol} {self.trial}"]
        for split, table in self.splits.items():
            for path in table["path"]:
                lines.append(f"{split} {path} {(self.root / path).stat().st_size}")
        for path in self.keypoint_files:
            lines.append(f"keypoints {path} {(self.root / path).stat().st_size}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
