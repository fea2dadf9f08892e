"""What is wrong with a data set, and what to do next."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.datasets import load_dataset
from reidlib.data.layouts import PYTHON, Layout, detect, doctor_command
from reidlib.data.opened import Opened, open_images
from reidlib.data.report import CAMERAS, PROTOCOL_FILES, PUBLISHED, Report
from reidlib.data.tables import ReIDDataset
from reidlib.errors import ReIDDataError
from reidlib.pose import torso_valid
from reidlib.pose.files import first_few

_LABELLED = (14_096, 1_467)  # CUHK03's boxes drawn by hand
_SAMPLE = 256  # images decoded when not all are asked for
_NAMED = 20  # broken files named in the text; `as_dict` has all
_SEARCHED = ("train", "query", "gallery")


def check(name: str, root: str | Path, *, every_image: bool = False) -> Report:
    """Look a data set over; what is wrong is reported, not raised.

    Args:
        name: as for `load_dataset`; "" to take the one that the layout tells.
        root: its folder.
        every_image: decode all images, not only a sample spread over the splits. What
            was decoded is remembered (`open_images`), and decoded again only after
            the file changed.

    Returns:
        The report; `usable` is False when training or evaluation cannot work.

    Raises:
        ReIDConfigError: unknown name.
    """
    root = Path(root)
    layout = detect(root)
    if not name and layout.advice:
        return _not_loaded(layout.name or "unknown", root, layout, layout.advice)
    name = name or layout.name
    try:
        data = load_dataset(name, root)
        images = pd.concat([table for table in data.splits.values() if len(table)])
        poses = data.pose_array(images)
    except (ReIDDataError, OSError) as fault:
        return _not_loaded(name, root, layout, str(fault))
    paths = images["path"].tolist()
    step = 1 if every_image else max(1, len(paths) // _SAMPLE)
    opened = open_images(data.root, paths[::step], remember=every_image)
    problems, notes = _matches(data)
    counts = {
        split: _count(data, table) for split, table in data.splits.items() if len(table)
    }
    known = PUBLISHED.get(name, {})
    if "all" in known or (known and data.protocol == "holdout"):
        counts["all"] = _count(data, images.drop_duplicates("path"))
    notes += [*data.notes, *_compare(data, counts), *_incomplete(data)]
    if layout.name and layout.name != name:
        notes.append(
            f"this looks like {layout.what}; if it is: {layout.command or layout.root}"
        )
    if odd := opened.unusual:
        notes.append(
            f"{len(odd):,} images are of another size than all others, and their "
            f"headers may lie: {first_few(odd)}."
        )
    if opened.faults:
        problems.append(_broken(opened))
    some = float(np.isfinite(poses[..., 0]).any(axis=1).mean())
    pids = data.gallery["pid"]
    again = doctor_command(name, root)
    return Report(
        name,
        root,
        data.protocol,
        counts,
        (some, float(torso_valid(poses).mean())),
        tuple(problems),
        tuple(notes),
        again if problems else _next(data, root),
        (int((pids > 0).sum()), int((pids == 0).sum()), int((pids < 0).sum())),
        layout.what,
        len(opened.sizes) + len(opened.faults),
        opened.remembered,
        opened.faults,
    )


def _not_loaded(name: str, root: Path, layout: Layout, fault: str) -> Report:
    """The report on what `load_dataset` does not take."""
    notes = (layout.advice,) if layout.name and layout.advice not in ("", fault) else ()
    command = layout.command if layout.advice else doctor_command(name, root)
    return Report(
        name,
        root,
        problems=(fault,),
        notes=notes,
        next_command=command,
        layout=layout.what,
    )


def _next(data: ReIDDataset, given: Path) -> str:
    """The command that uses the data set; for one's own pictures, up to a rank list.

    What was given may be a table in the data set's root.
    """
    name, root = data.name, str(given)
    if name != "folder":
        words = [".venv/bin/papermill", "notebooks/01_data.ipynb", "out.ipynb"]
        return shlex.join([*words, "-r", "dataset", name, "-r", "root", root])
    reidlib = [PYTHON, "-m", "reidlib"]
    if not data.poses:
        return shlex.join([*reidlib, "poses", "detect", str(data.root)])
    where = ["--dataset", name, "--root", root]
    if not _has_torso(data):  # what can be had without pt-GAN
        return shlex.join([*reidlib, "evaluate", "--features", "r2", *where])
    train = shlex.join([*reidlib, "train", "fusion", *where])
    pictures = [str(data.image_path(data.query["path"].iloc[0])), str(data.root)]
    search = shlex.join([*reidlib, "search"])
    # Training prints where the extractor lies.
    return f'extractor="$({train})" && {search} "$extractor" {shlex.join(pictures)}'


def _has_torso(data: ReIDDataset) -> bool:
    """Whether pt-GAN has a picture to learn from."""
    return bool(torso_valid(data.pose_array(data.train)).any())


def _broken(opened: Opened) -> str:
    faults = [f"{path} ({why})" for path, why in opened.faults.items()]
    total = len(faults) + len(opened.sizes)
    return (
        f"{len(faults):,} of {total:,} images cannot be read: "
        f"{first_few(faults, _NAMED)}. Copy these files again or take them out."
    )


def _count(data: ReIDDataset, table: pd.DataFrame) -> tuple[int, int, int]:
    people = table["pid"][table["pid"] > 0]
    cameras = table["camid"].nunique() if data.has_cameras else 0
    return len(table), people.nunique(), cameras


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
    elif not data.has_cameras and not found:
        problems.append(
            "no query has another image of its person in the gallery; give people two "
            "images or more."
        )
    elif not data.has_cameras and found < asked:
        notes.append(
            f"{asked - found:,} of {asked:,} queries have no image of their person in "
            "the gallery; evaluation leaves them out."
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


def _compare(data: ReIDDataset, counts: dict[str, tuple[int, int, int]]) -> list[str]:
    """Notes about counts that differ from the published ones."""
    known = PUBLISHED.get(data.name)
    if known is None:
        return []
    notes = []
    if "all" not in known and data.protocol == "holdout":
        images, published = counts["all"][0], known["train"][0]
        agree = "as published" if images == published else f"published: {published:,}"
        notes.append(
            f"only bounding_box_train is here ({images:,} images, {agree}), so whole "
            "identities are held out to evaluate with; results do not compare with "
            "published ones."
        )
        known = {}
    for split, (images, people) in known.items():
        found, identities, _ = counts.get(split, (0, 0, 0))
        labelled = data.name == "cuhk03" and (found, identities) == _LABELLED
        if (found, identities) != (images, people) and not labelled:
            notes.append(
                f"{split} has {found:,} images of {identities:,} identities, published "
                f"are {images:,} of {people:,}; results do not compare."
            )
    cameras = len({c for split in _SEARCHED for c in data.splits[split]["camid"]})
    if cameras != CAMERAS.get(data.name, cameras):
        notes.append(
            f"there are {cameras} cameras, published are {CAMERAS[data.name]}."
        )
    return notes


def _incomplete(data: ReIDDataset) -> list[str]:
    """Notes about keypoints and protocol files that are not here."""
    notes = []
    for use, files in PROTOCOL_FILES.get(data.name, {}).items():
        if not any((data.root / file).exists() for file in files):
            notes.append(f"missing: {files[0]}, for {use}.")
    if not data.poses:
        notes.append(
            "no keypoints: put OpenPose JSON into keypoints/ to train pt-GAN, or let "
            f"{PYTHON} -m reidlib poses detect write it."
        )
        return notes
    searched = pd.concat([data.splits[split] for split in _SEARCHED])
    asked = searched["path"].drop_duplicates()
    names = asked.str.rpartition("/")[2]  # poses go by name, or by path
    without = ~(names.isin(data.poses.keys()) | asked.isin(data.poses.keys()))
    if without.any():
        notes.append(
            f"{without.sum():,} of {len(asked):,} images of train, query and gallery "
            "have no keypoints."
        )
    if len(data.train) and not _has_torso(data):
        notes.append(
            "no training image has both hips and both shoulders; pt-GAN cannot train."
        )
    return notes
