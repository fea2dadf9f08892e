"""What every data set does with a folder: list it, and find its keypoint files."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from reidlib.errors import ReIDDataError
from reidlib.pose import find_arrays, read_annotation_csv, read_openpose
from reidlib.pose.files import check_text, first_few, tree
from reidlib.pose.skeletons import Floats

EXTENSIONS = (".jpg", ".jpeg", ".png")
KEYPOINT_FOLDERS = ("keypoints", "openpose")
SUFFIX = "_keypoints.json"
LARGEST = 2**63 - 1  # an identity or camera must fit an int64

Poses = tuple[dict[str, Floats], tuple[str, ...]]


def listing(folder: Path) -> list[str]:
    """Names of a folder's files, sorted, without those that systems leave behind.

    Raises:
        ReIDDataError: names that are not UTF-8; no table could hold them.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    check_text(names, folder)
    return sorted(n for n in names if n != "Thumbs.db" and not n.startswith("."))


def stem(path: str) -> str:
    """A path or name without its last extension."""
    return path.rpartition(".")[0]


def check_root(root: Path, wanted: str) -> None:
    """Raise ReIDDataError unless root is a folder; wanted says what it must hold."""
    if not root.is_dir():
        fault = "is a file, not a folder" if root.exists() else "does not exist"
        raise ReIDDataError(f"{root} {fault}; give the folder that holds {wanted}.")


def elsewhere(root: Path, holds: Callable[[Path], bool]) -> str:
    """What root holds, and which folder a level up or down may be meant."""
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    near = [root / name for name in folders if holds(root / name)]
    above = root.absolute().parent
    near += [above] if holds(above) else []
    mend = f"; did you mean {near[0]}?" if near else "."
    return f"(found: {first_few(folders) or 'no folder'}){mend}"


def _orphans(root: Path, orphans: Sequence[str]) -> None:
    if orphans:
        raise ReIDDataError(
            f"{len(orphans):,} keypoint files under {root} belong to no image: "
            f"{first_few(orphans)}. Delete them or put their images back."
        )


def read_by_name(root: Path, images: Sequence[str], tables: Sequence[str]) -> Poses:
    """Poses by the name of the image, and the files they came from.

    Args:
        root: folder that holds the tables, `keypoints/` and `openpose/`.
        images: names of all image files. Where a keypoint file lies below its folder
            does not matter: one name is one image.
        tables: names of annotation files in Market's form. JSON goes before arrays
            (`find_arrays`), and arrays before these.

    Raises:
        ReIDDataError: keypoint files are faulty, or JSON belongs to no image.
    """
    by_stem = {stem(name): name for name in images}
    known = set(by_stem.values())
    poses: dict[str, Floats] = {}
    sources, orphans = [], []
    for table in tables:
        if (root / table).is_file():
            sources.append(table)
            # The test half's table lies beside the training half alone: that is fine.
            rows = read_annotation_csv(root / table)
            poses.update((name, rows[name]) for name in rows.keys() & known)
    arrays, found = find_arrays(root, KEYPOINT_FOLDERS)
    sources.extend(found)
    poses.update((by_stem[s], arrays[s]) for s in arrays.keys() & by_stem.keys())
    for folder in KEYPOINT_FOLDERS:
        if not (root / folder).is_dir():
            continue
        for name in tree(root / folder):
            if not name.endswith(SUFFIX):
                continue
            image = by_stem.get(name.rpartition("/")[2].removesuffix(SUFFIX))
            if image is None:
                orphans.append(f"{folder}/{name}")
                continue
            sources.append(f"{folder}/{name}")
            poses[image] = read_openpose(root / folder / name)
    _orphans(root, orphans)
    return poses, tuple(sources)


def read_by_path(
    root: Path, images: Sequence[str], *, by_stem: bool, all_known: bool
) -> Poses:
    """Poses by the path of the image, and the files they came from.

    The keypoints of `a/001.jpg` are `keypoints/a/001_keypoints.json` (or `openpose/…`).

    Args:
        root: folder that the paths are relative to.
        images: their paths.
        by_stem: a JSON that mirrors no image goes to the one image of its name, and
            so do arrays (`find_arrays`).
        all_known: every image is in `images`, so JSON of another is a fault.

    Raises:
        ReIDDataError: keypoint files are faulty, fit two images, or fit none.
    """
    mirrored, named = defaultdict(list), defaultdict(list)
    for path in images:
        mirrored[stem(path)].append(path)
        named[stem(path.rpartition("/")[2])].append(path)
    arrays, found = find_arrays(root, KEYPOINT_FOLDERS) if by_stem else ({}, ())
    poses = {named[key][0]: arrays[key] for key in arrays if len(named[key]) == 1}
    sources = list(found)
    orphans = [f"{key} (of an array)" for key in arrays if not named[key]]
    unclear = [f"{key} (of an array)" for key in arrays if len(named[key]) > 1]
    for folder in KEYPOINT_FOLDERS:
        for name in tree(root / folder):
            if not name.endswith(SUFFIX):
                continue
            key = name.removesuffix(SUFFIX)
            fits = mirrored.get(key, [])
            if not fits and by_stem:
                fits = named.get(key.rpartition("/")[2], [])
            if len(fits) != 1:
                (unclear if fits else orphans).append(f"{folder}/{name}")
                continue
            sources.append(f"{folder}/{name}")
            poses[fits[0]] = read_openpose(root / folder / name)
    if unclear:
        raise ReIDDataError(
            f"{len(unclear):,} keypoint files under {root} fit more than one image: "
            f"{first_few(unclear)}. Put each where its image lies, as in "
            f"{KEYPOINT_FOLDERS[0]}/a/001{SUFFIX} for a/001.jpg."
        )
    if all_known:
        _orphans(root, orphans)
    return poses, tuple(sources)
