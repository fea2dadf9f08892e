"""Keypoint files: OpenPose JSON and the annotation CSV of Market-1501; pictures."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reidlib.errors import ReIDDataError
from reidlib.pose.skeletons import Floats, convert, empty_pose

PICTURES = (".jpg", ".jpeg", ".png")
_BY_LENGTH = {75: "body25", 54: "coco18"}  # OpenPose's two body models
_SURROGATE = re.compile("[\ud800-\udfff]")  # what os makes of bytes that are no text


def first_few(items: Sequence[str], count: int = 5) -> str:
    """The first items in one line, and how many there are beyond them."""
    rest = len(items) - count
    return ", ".join(items[:count]) + (f" and {rest:,} more" if rest > 0 else "")


def check_text(names: Iterable[str], folder: Path) -> None:
    """Raise ReIDDataError for names whose bytes are not UTF-8; all are reported."""
    bad = [ascii(n) for n in names if not n.isascii() and _SURROGATE.search(n)]
    if bad:
        raise ReIDDataError(
            f"{len(bad):,} names in {ascii(str(folder))} are not UTF-8: "
            f"{first_few(sorted(bad))}. Rename them."
        )


def tree(folder: Path) -> list[str]:
    """Files below a folder as sorted paths relative to it; no hidden ones.

    Links to folders are followed, but no folder is entered twice.
    """
    found: list[str] = []
    entered: set[Path] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        below, real = Path(where).relative_to(folder), Path(where).resolve()
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        check_text([*folders, *names], Path(where))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            (below / name).as_posix()
            for name in names
            if name != "Thumbs.db" and not name.startswith(".")
        ]
    return sorted(found)


def pictures(folder: Path) -> list[Path]:
    """The pictures at any depth of a folder, as `tree` lists them.

    Raises:
        ReIDDataError: no such folder, or no picture in it or below it.
    """
    if not folder.is_dir():
        raise ReIDDataError(f"There is no folder {folder}; give one with pictures.")
    paths = (folder / name for name in tree(folder))
    found = [p for p in paths if p.suffix.lower() in PICTURES and p.is_file()]
    if not found:
        raise ReIDDataError(f"No .jpg or .png picture in {folder} or below it.")
    return found


def rgb(path: Path) -> Image.Image:
    """A picture in RGB, turned as its EXIF data says.

    Raises:
        OSError: it has more than 8 bits per channel.
        OSError, SyntaxError, ValueError, Image.DecompressionBombError: Pillow's own.
    """
    with Image.open(path) as image:
        if image.mode.startswith(("I", "F")):
            raise OSError("more than 8 bits per channel")
        ImageOps.exif_transpose(image, in_place=True)
        return image.convert("RGB")


def _person(values: object, path: Path) -> Floats:
    """One person of an OpenPose file as a (25, 3) pose."""
    try:
        with np.errstate(over="ignore"):  # becomes infinite, and is refused below
            flat = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as fault:
        raise ReIDDataError(
            f"{path}: pose_keypoints_2d holds something other than numbers ({fault}); "
            "run OpenPose on this image again."
        ) from fault
    if flat.ndim != 1 or flat.size not in _BY_LENGTH:
        raise ReIDDataError(
            f"{path}: pose_keypoints_2d holds {flat.size} values where BODY_25 has 75; "
            "run OpenPose with --model_pose BODY_25."
        )
    if not np.isfinite(flat).all():
        raise ReIDDataError(
            f"{path}: pose_keypoints_2d holds NaN or infinity; write 0, 0, 0 for a "
            "missing joint."
        )
    pose = flat.reshape(-1, 3)
    pose[pose[:, 2] <= 0] = (np.nan, np.nan, 0)
    return convert(pose, _BY_LENGTH[flat.size], "body25")


def _prominence(pose: Floats) -> float:
    """Mean confidence over all joints × area of the box around the visible ones."""
    seen = pose[pose[:, 2] > 0, :2]
    if not len(seen):
        return -1.0
    return float(pose[:, 2].mean() * np.prod(seen.max(axis=0) - seen.min(axis=0)))


def read_openpose(path: str | Path) -> Floats:
    """The most prominent person of an OpenPose JSON file (BODY_25).

    Prominence is mean confidence × box area; the earlier person wins a tie.

    Args:
        path: a file written with `--write_json`, BODY_25 or COCO (18 joints).

    Returns:
        (25, 3) x, y in the file's pixels and confidence; all missing when the file
        holds no person.

    Raises:
        ReIDDataError: the file cannot be read, or is not OpenPose's.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
        people = [person["pose_keypoints_2d"] for person in content["people"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ReIDDataError(
            f"{path}: not an OpenPose JSON file ({type(fault).__name__}: {fault}); "
            "write it again with --write_json."
        ) from fault
    poses = [_person(values, path) for values in people]
    return max(poses, key=_prominence, default=empty_pose())


def write_openpose(path: str | Path, pose: Floats) -> None:
    """Write the people of one image as an OpenPose BODY_25 JSON file, in one step.

    Args:
        path: `<image stem>_keypoints.json`; its folder must exist.
        pose: (25, 3), or (P, 25, 3) for several people. Missing joints become 0, 0, 0;
            people without a joint are left out.
    """
    path = Path(path)
    values = np.asarray(pose, dtype=np.float32).reshape(-1, 25, 3).copy()
    seen = np.isfinite(values).all(axis=2) & (values[..., 2] > 0)
    values[~seen] = 0
    # str() of a float32 is the shortest text that reads back as the same float32.
    people = [
        {"person_id": [-1], "pose_keypoints_2d": [float(str(v)) for v in one.ravel()]}
        for one in values[seen.any(axis=1)]
    ]
    text = json.dumps({"version": 1.3, "people": people}, separators=(",", ":"))
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def read_annotation_csv(path: str | Path) -> dict[str, Floats]:
    """The poses of a Market-1501 annotation file, by image name.

    Each row is `name: [18 y]: [18 x]`, y before x, −1 where missing, COCO-18 order
    with the right eye and ear first. Visible joints get confidence 1.

    Returns:
        Image file name to (25, 3) pose, in the order of the file.

    Raises:
        ReIDDataError: the file cannot be read, or rows cannot; all are reported.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise ReIDDataError(
            f"{path}: cannot be read ({fault}); expected a text file."
        ) from fault
    if not lines or lines[0].strip() != "name:keypoints_y:keypoints_x":
        raise ReIDDataError(
            f"{path}: the first line is not 'name:keypoints_y:keypoints_x'; "
            "expected market-annotation-train.csv or -test.csv."
        )
    names, rows, faults = [], [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            name, ys, xs = line.split(":")
            with np.errstate(over="ignore"):
                row = np.array([json.loads(xs), json.loads(ys)], dtype=np.float32)
        except (ValueError, TypeError, OverflowError, RecursionError):
            row = np.zeros(0, dtype=np.float32)
        if row.shape != (2, 18) or not np.isfinite(row).all():
            faults.append(str(number))
            continue
        names.append(name.strip())
        rows.append(row)
    if faults:
        raise ReIDDataError(
            f"{path}: {len(faults):,} rows are not 'name: [18 y]: [18 x]' "
            f"(lines {first_few(faults)}); mend or delete them."
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ReIDDataError(
            f"{path}: {len(twice):,} images have more than one row "
            f"({first_few(twice)}); delete all but one."
        )
    xy = np.array(rows, dtype=np.float32).reshape(-1, 2, 18).transpose(0, 2, 1)
    seen = (xy >= 0).all(axis=-1, keepdims=True)
    poses = np.concatenate([np.where(seen, xy, np.nan), seen], axis=-1)
    return dict(zip(names, convert(poses, "coco18", "body25"), strict=True))
