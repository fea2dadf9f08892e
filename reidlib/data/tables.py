"""The one form in which every data set is handed on: tables of images, and poses."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reidlib.data.reading import image_sizes
from reidlib.errors import ReIDDataError
from reidlib.pose import empty_pose, normalise
from reidlib.pose.skeletons import Floats

OUTSIDE = 0.25  # share of joints outside of the picture from which the unit is wrong
CORNER = 0.02  # of the picture: half of the joints nearer to its corner are shares

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
        protocol: under which it is split; also a name that `evaluate` takes.
        train: table of path, pid, camid; identities to learn from.
        query: the same columns; the images to search with.
        gallery: the same columns; the images to search in. Junk (pid −1) and
            distractors (pid 0) stay in; evaluation treats them.
        multi_query: further images of the query identities (gt_bbox); maybe empty.
        poses: (25, 3) pose in pixels, maybe empty; see `pose_keys`.
        keypoint_files: files that the poses were read from, relative to root.
        n_trials: number of splits that the protocol averages over.
        trial: which of them this is.
        pose_keys: poses go by the "name" of the image file or, where two folders may
            hold one name, by its whole "path" as in the tables.
        boxes: "detected" or "labeled" where the data set has two sets of boxes.
        has_cameras: False where nobody says which camera took an image. Each image
            then has a camid of its own, so that no rule about cameras leaves any
            image out but the query itself.
        identities: table of pid and name, where identities are not numbered on disk.
        notes: what a reader of the results must know.
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
    pose_keys: Literal["name", "path"] = "name"
    boxes: str = ""
    has_cameras: bool = True
    identities: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, pd.DataFrame]:
        """The tables by name: train, query, gallery, multi_query."""
        names = ("train", "query", "gallery", "multi_query")
        return {name: getattr(self, name) for name in names}

    @property
    def pooled_rows(self) -> pd.DataFrame:
        """Rows of `multi_query` that share identity and camera with a query.

        Their features, under protocol "market1501-mq", are Market's multi-query
        evaluation (Zheng et al., ICCV 2015).
        """
        columns = ["pid", "camid"]
        asked = self.query[columns].drop_duplicates()
        return self.multi_query.merge(asked, on=columns)

    def image_path(self, path: str) -> Path:
        """Where the image of a table's `path` lies."""
        return self.root / path

    def cameras(self, table: pd.DataFrame) -> pd.Series:
        """The camid of a table's images, (N,); 0 for all where `has_cameras` is not."""
        return table["camid"] * int(self.has_cameras)

    def pose_array(self, table: pd.DataFrame) -> Floats:
        """Poses of a table's images, (N, 25, 3) in pixels; all missing where none."""
        poses = empty_pose(len(table))
        for number, path in enumerate(table["path"]):
            key = path if self.pose_keys == "path" else path.rpartition("/")[2]
            pose = self.poses.get(key)
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
            self._check_unit(points)
        return points

    def _check_unit(self, points: Floats) -> None:
        """Refuse poses that are not in the pixels of their own pictures."""
        seen = points[np.isfinite(points).all(-1)]
        if not len(seen):
            return
        outside = ((seen < 0) | (seen > 1)).any(-1).mean()
        fault = ""
        if outside > OUTSIDE:
            fault = f"{outside:.0%} of the joints lie outside of their picture"
        elif np.median(seen.max(-1)) < CORNER:
            fault = "nearly all joints lie within a pixel or two of a corner"
        if fault:
            raise ReIDDataError(
                f"{self.root}: {fault}; keypoints are in pixels of the picture file as "
                "it lies on disk. Multiply shares by its width and height, and divide "
                "what was found on enlarged pictures."
            )

    def digest(self) -> str:
        """SHA-256 of what was loaded: protocol, splits, sizes of files, keypoints.

        Also identities and cameras, where not the images' names say them. Arrays of
        keypoints count by value: mended ones take as many bytes as before.
        """
        lines = [f"{self.protocol} {self.trial}"]
        for split, table in self.splits.items():
            for path in table["path"]:
                lines.append(f"{split} {path} {(self.root / path).stat().st_size}")
            if self.pose_keys == "path":
                lines += [f"{p} {c}" for p, c in table[["pid", "camid"]].to_numpy()]
        for path in self.keypoint_files:
            file = self.root / path
            lines.append(f"keypoints {path} {file.stat().st_size}")
            if file.suffix in (".npy", ".npz"):
                with file.open("rb") as opened:
                    lines.append(hashlib.file_digest(opened, "sha256").hexdigest())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
