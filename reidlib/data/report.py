"""What the doctor found: as lines of text, and for scripts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Images and identities as published; Market's queries are one set.
# Identities leave junk (−1) and distractors (0) out. "all" is every image once.
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
    "cuhk03": {"all": (14_097, 1_467)},  # as detected; labelled are 14,096
    "cuhk01": {"all": (3_884, 971)},
}
PUBLISHED_GALLERY = {"market1501": (13_115, 2_798, 3_819)}  # good, distractors, junk
CAMERAS = {"market1501": 6, "dukemtmc": 8, "cuhk01": 2}

# What needs which files or folders beside the images to learn from; of several, one.
_NEW = "cuhk03_new_protocol_config"
_MARKET: dict[str, tuple[str, ...]] = {
    "the published protocol's queries": ("query",),
    "the published protocol's gallery": ("bounding_box_test",),
}
PROTOCOL_FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "market1501": {**_MARKET, "multi-query evaluation": ("gt_bbox",)},
    "dukemtmc": _MARKET,
    "cuhk03": {
        "the classic protocol with its 20 splits": (
            "cuhk-03.mat",
            "cuhk03_release/cuhk-03.mat",
            "testsets.json",
        ),
        "the 767/700 protocol on detected boxes": (f"{_NEW}_detected.mat",),
        "the 767/700 protocol on labelled boxes": (f"{_NEW}_labeled.mat",),
    },
}


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        name: the data set's name, "unknown" where none was given or recognised.
        root: the folder looked at.
        protocol: the protocol that fits, "" where nothing could be read.
        counts: images, identities and cameras of each split; "all" is every image
            once, where the published counts are of the whole.
        keypoints: share of images with any joint, and with a whole torso.
        problems: what makes the data set unusable.
        notes: what is unusual, but can be worked with.
        next_command: what to run next, for a shell.
        gallery: images of people, of distractors (pid 0) and of junk (pid −1).
        layout: the data set in words, as its folders look.
        opened: images that were decoded, now or the last time.
        remembered: how many of them were known from the last time.
        broken: why each image that cannot be read cannot, by path.
    """

    name: str
    root: Path
    protocol: str = ""
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    keypoints: tuple[float, float] = (0.0, 0.0)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    next_command: str = ""
    gallery: tuple[int, int, int] = (0, 0, 0)
    layout: str = ""
    opened: int = 0
    remembered: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether nothing stands in the way of training and evaluation."""
        return not self.problems

    @property
    def published(self) -> dict[str, tuple[int, int]]:
        """Published images and identities of the splits that `counts` has."""
        known = PUBLISHED.get(self.name, {})
        if self.protocol == "holdout" and "train" in known:
            return {"all": known["train"]}  # only bounding_box_train is here
        return {split: known[split] for split in self.counts if split in known}

    def __str__(self) -> str:
        """The report as lines of text."""
        lines = [f"{self.name} at {self.root}: protocol {self.protocol or 'unknown'}"]
        for split, (images, people, cameras) in self.counts.items():
            line = f"  {split:<12}{images:>7,} images {people:>6,} identities"
            line += f" {cameras:>3} cameras"
            if known := self.published.get(split):
                line += f"   published: {known[0]:,} images, {known[1]:,} identities"
            lines.append(line)
        known_parts = PUBLISHED_GALLERY.get(self.name)
        if known_parts and self.protocol == "market1501":
            found, known_line = _parts(self.gallery), _parts(known_parts)
            lines.append(f"  gallery is {found}   published: {known_line}")
        if self.counts:
            some, torso = self.keypoints
            lines.append(f"  keypoints in {some:.1%} of images, torso in {torso:.1%}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  problem: {problem}" for problem in self.problems]
        mend = "mend the problems, then run the next command"
        lines.append("  usable" if self.usable else f"  not usable: {mend}")
        lines.append(f"  next: {self.next_command}")
        # Names of files need not be text; what cannot be printed becomes "?".
        return "\n".join(lines).encode("utf-8", "replace").decode()

    def as_dict(self) -> dict[str, Any]:
        """The report for scripts, of what JSON can hold; `doctor --json` prints it.

        Keys: name, root, layout, protocol, usable; counts (by split: images,
        identities, cameras), published (by split: images, identities), gallery
        (good, distractors, junk); keypoints (any, torso: shares in [0, 1]); images
        (opened, remembered, broken: a list of path and fault); problems, notes (lists
        of sentences); next (a command line).
        """
        counts = {
            split: {"images": images, "identities": people, "cameras": cameras}
            for split, (images, people, cameras) in self.counts.items()
        }
        published = {
            split: {"images": images, "identities": people}
            for split, (images, people) in self.published.items()
        }
        parts = dict(zip(("good", "distractors", "junk"), self.gallery, strict=True))
        broken = [{"path": path, "fault": why} for path, why in self.broken.items()]
        return {
            "name": self.name,
            "root": str(self.root),
            "layout": self.layout,
            "protocol": self.protocol,
            "usable": self.usable,
            "counts": counts,
            "published": published,
            "gallery": parts,
            "keypoints": dict(zip(("any", "torso"), self.keypoints, strict=True)),
            "images": {
                "opened": self.opened,
                "remembered": self.remembered,
                "broken": broken,
            },
            "problems": list(self.problems),
            "notes": list(self.notes),
            "next": self.next_command,
        }


def _parts(gallery: Sequence[int]) -> str:
    return "{:,} good + {:,} distractors + {:,} junk".format(*gallery)
