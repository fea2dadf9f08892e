"""What is wrong with a data set, and what to do next."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.datasets import load_dataset
from reidlib.data.images import read_images
from reidlib.data.tables import ReIDDataset
from reidlib.errors import ReIDDataError
from reidlib.pose import torso_valid

# Images and identities as published; Market's queries are one set (SPEC 3.1, 3.2).
# Identities leave junk (−1) and distractors (0) out.
PUBLISHED = {
    "market1501": {
        "train": (12_936, 751),
        "query": (3_368, 750),
        "gallery": (19_732, 750),
    },
    "dukemtmc": {
        "train": (16_522, 702),
        "query": (2_228, 702),
        "gallery": (17_661, 1_110),
    },
}
_SAMPLE = 256  # images decoded when not all are asked for


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        name: the data set's name.
        root: the folder looked at.
        protocol: the protocol that fits, "" where nothing could be read.
        counts: images, identities and cameras of each split.
        keypoints: share of images with any joint, and with a whole torso.
        problems: what makes the data set unusable.
        notes: what is unusual, but can be worked with.
        next_command: what to run next.
    """

    name: str
    root: Path
    protocol: str = ""
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    keypoints: tuple[float, float] = (0.0, 0.0)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    next_command: str = ""

    @property
    def usable(self) -> bool:
        """Whether nothing stands in the way of training and evaluation."""
        return not self.problems

    def __str__(self) -> str:
        """The report as lines of text."""
        lines = [f"{self.name} at {self.root}: protocol {self.protocol or 'unknown'}"]
        for split, (images, people, cameras) in self.counts.items():
            line = f"  {split:<12}{images:>7,} images {people:>6,} identities"
            line += f" {cameras:>3} cameras"
            known = PUBLISHED.get(self.name, {}).get(split)
            if known and self.protocol == "market1501":
                line += f"   published: {known[0]:,} images, {known[1]:,} identities"
            lines.append(line)
        if self.counts:
            some, torso = self.keypoints
            lines.append(f"  keypoints in {some:.1%} of images, torso in {torso:.1%}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  problem: {problem}" for problem in self.problems]
        lines.append("  usable" if self.usable else "  not usable")
        lines.append(f"  next: {self.next_command}")
        return "\n".join(lines)


def check(name: str, root: str | Path, *, every_image: bool = False) -> Report:
    """Look a data set over; what is wrong is reported, not raised.

    Args:
        name: as for `load_dataset`.
        root: its folder.
        every_image: decode all images, not only a sample spread over the splits.

    Returns:
        The report; `usable` is False when training or evaluation cannot work.

    Raises:
        ReIDConfigError: unknown name.
    """
    root = Path(root)
    try:
        data = load_dataset(name, root)
        images = pd.concat([table for table in data.splits.values() if len(table)])
        poses = data.pose_array(images)
    except (ReIDDataError, OSError) as fault:
        return Report(
            name,
            root,
            problems=(str(fault),),
            next_command="mend the problem, then run doctor again",
        )
    problems, notes = _matches(data)
    notes += _compare(data)
    step = 1 if every_image else max(1, len(images) // _SAMPLE)
    try:
        read_images(images.iloc[::step], (16, 8), root)  # size is of no matter here
    except ReIDDataError as fault:
        problems.append(str(fault))
    if not data.poses:
        notes.append("no keypoints: put OpenPose JSON into keypoints/ to train pt-GAN.")
    some = float(np.isfinite(poses[..., 0]).any(axis=1).mean())
    notebook = "papermill notebooks/01_data.ipynb out.ipynb"
    return Report(
        name,
        root,
        data.protocol,
        {split: _count(table) for split, table in data.splits.items() if len(table)},
        (some, float(torso_valid(poses).mean())),
        tuple(problems),
        tuple(notes),
        "mend the problems, then run doctor again"
        if problems
        else f"{notebook} -p dataset {name} -p root {root}",
    )


def _count(table: pd.DataFrame) -> tuple[int, int, int]:
    people = table["pid"][table["pid"] > 0]
    return len(table), people.nunique(), table["camid"].nunique()


def _matches(data: ReIDDataset) -> tuple[list[str], list[str]]:
    """Problems and notes about queries that have nothing to find."""
    problems, notes = [], []
    cameras = {camid for table in data.splits.values() for camid in table["camid"]}
    pairs = data.query[["pid", "camid"]].merge(
        data.gallery[["pid", "camid"]].drop_duplicates(), on="pid"
    )
    other = pairs[pairs["camid_x"] != pairs["camid_y"]]
    found = len(other[["pid", "camid_x"]].drop_duplicates())
    asked = len(data.query[["pid", "camid"]].drop_duplicates())
    if len(cameras) == 1:
        problems.append(
            "all images come from one camera, and the protocol looks for a person in "
            "another; add images of a second camera."
        )
    elif not found:
        problems.append(
            "no query has an image of another camera in the gallery; check the "
            "identities and cameras in the file names."
        )
    elif found < asked:
        notes.append(
            f"{asked - found:,} of {asked:,} pairs of query identity and camera have "
            "no image of another camera in the gallery; evaluation leaves them out."
        )
    shared = set(data.train["pid"]) & {p for p in data.query["pid"] if p > 0}
    if shared:
        notes.append(
            f"{len(shared):,} identities are in both train and query; results will "
            "look better than they are."
        )
    return problems, notes


def _compare(data: ReIDDataset) -> list[str]:
    """Notes about counts that differ from the published ones."""
    known = PUBLISHED.get(data.name)
    if known is None:
        return []
    if data.protocol != "market1501":
        images = len(data.train) + len(data.query) + len(data.gallery)
        return [
            f"only bounding_box_train is here ({images:,} images, published are "
            f"{known['train'][0]:,}), so whole identities are held out to evaluate "
            "with; results do not compare with published ones."
        ]
    notes = []
    for split, (images, people) in known.items():
        found, identities, _ = _count(data.splits[split])
        if (found, identities) != (images, people):
            notes.append(
                f"{split} has {found:,} images of {identities:,} identities, published "
                f"are {images:,} of {people:,}; results do not compare."
            )
    return notes
