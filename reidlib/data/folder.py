"""Your own images: a folder per identity, or a table of them.

    photos/alice/001.jpg                path,pid,camid,split
    photos/alice/002.jpg                alice/001.jpg,alice,1,query
    photos/bob/001.jpg                  bob/001.jpg,bob,2,gallery

The left form says who is in a picture. The right one, a CSV in UTF-8, may also say
which camera took it (`camid`, a whole number) and what it is for (`split`); both may be
left out. Paths are relative to the folder of the CSV.
"""

import csv
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reidlib.data.files import (
    EXTENSIONS,
    KEYPOINT_FOLDERS,
    LARGEST,
    check_root,
    listing,
    read_by_path,
    tree,
)
from reidlib.data.splits import HOLDOUT_TRIALS, check_split, hold_out_tables
from reidlib.data.tables import ReIDDataset, image_table
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose.files import first_few

JUNK = "-1"  # the name of what is nobody
PROTOCOLS = {"folder": 1, "holdout": HOLDOUT_TRIALS}
NO_CAMERAS = "-no-cameras"
SPLITS = ("train", "query", "gallery")
_WHOLE = re.compile(r"-?[0-9]{1,19}")

logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One image as its folder or CSV describes it; "" where nothing is said."""

    path: str
    name: str
    camid: str = ""
    split: str = ""


def load_folder(
    root: Path, *, protocol: str | None, trial: int, seed: int, holdout: float
) -> ReIDDataset:
    """Read a folder per identity, or a CSV; arguments and errors as in `load_dataset`.

    Identities whose names are different whole numbers of −1 or more keep them; −1 is
    junk, which is neither learned nor held out. Other names are numbered 1, 2, … in
    sorted order, and `identities` says which is which.

    Without cameras (or with a single one) the usual rule, that a match is from another
    camera, would leave nothing to find. Then every gallery image of the query's
    identity is a match, and the protocol is called "folder-no-cameras" or
    "holdout-no-cameras". That is easier than a search across cameras: two pictures
    of one camera may share light, background and the second they were taken in.

    Keypoints of a/001.jpg are in keypoints/a/001_keypoints.json or, where no other
    image is called 001, in keypoints/001_keypoints.json.

    Args:
        root: the folder, or a CSV in it. The one CSV of a folder is read by itself.
        protocol: "folder" for the CSV's split, "holdout" for identities held out (of
            the train rows, where there is a split).
    """
    table_file = root if root.suffix.lower() == ".csv" and root.is_file() else None
    root = root.parent if table_file else root
    check_root(root, "a folder per identity, or a CSV of path and pid")
    notes: list[str] = []
    table_file = table_file or _only_csv(root)
    entries = read_csv(table_file) if table_file else _walk(root, notes)
    divided = any(entry.split for entry in entries)
    protocol = (protocol or ("folder" if divided else "holdout")).removesuffix(
        NO_CAMERAS
    )
    check_split(protocol, trial, PROTOCOLS)
    if protocol == "folder" and not divided:
        raise ReIDConfigError(
            f"protocol 'folder' needs a split, and {table_file or root} has none; add "
            "a column split (train, query, gallery), or choose protocol='holdout'."
        )

    pids, identities = _number([entry.name for entry in entries])
    cameras = [entry.camid for entry in entries]
    has_cameras = len(set(cameras)) > 1
    if not has_cameras:
        known = "all images are of one camera" if any(cameras) else "no cameras"
        notes.append(
            f"{known}: every gallery image of the query's identity is a match, "
            "whichever camera took it. That is easier than across cameras."
        )
        cameras = [str(number) for number in range(1, len(entries) + 1)]
    table = image_table(
        (entry.path, pid, int(camid))
        for entry, pid, camid in zip(entries, pids, cameras, strict=True)
    )
    split = dict.fromkeys(table["path"], "")
    split.update((entry.path, entry.split) for entry in entries)
    tables = _divide(table, table["path"].map(split), protocol, notes)
    if protocol == "holdout":
        tables = hold_out_tables(tables["train"], holdout, seed + trial, has_cameras)
    for note in notes:
        logger.info("%s: %s", root, note)
    poses, sources = read_by_path(
        root, table["path"].tolist(), by_stem=True, all_known=table_file is None
    )
    return ReIDDataset(
        name="folder",
        root=root,
        protocol=protocol + ("" if has_cameras else NO_CAMERAS),
        train=tables["train"],
        query=tables["query"],
        gallery=tables["gallery"],
        poses=poses,
        keypoint_files=sources,
        n_trials=PROTOCOLS[protocol],
        trial=trial,
        pose_keys="path",
        has_cameras=has_cameras,
        identities=identities,
        notes=tuple(notes),
    )


def _only_csv(root: Path) -> Path | None:
    """The CSV of a folder, if it has one."""
    for name in ("bounding_box_train", "campus"):
        if (root / name).is_dir():
            known = "cuhk01" if name == "campus" else "market1501"
            raise ReIDDataError(
                f"{root} holds {name}, which is no identity; read it as {known!r}."
            )
    found = [name for name in listing(root) if name.lower().endswith(".csv")]
    if len(found) > 1:
        raise ReIDDataError(
            f"{len(found)} tables in {root}: {first_few(found)}; give the path of the "
            "one to read instead of the folder."
        )
    return root / found[0] if found else None


def _walk(root: Path, notes: list[str]) -> list[Entry]:
    """The images of every identity's folder, also of folders in it."""
    loose = [name for name in listing(root) if name.lower().endswith(EXTENSIONS)]
    if loose:
        raise ReIDDataError(
            f"{len(loose):,} images in {root} lie in no identity's folder: "
            f"{first_few(loose)}. Move each into a folder with its person's name, or "
            "list them in a CSV with columns path and pid."
        )
    found = [
        path for path in tree(root) if path.partition("/")[0] not in KEYPOINT_FOLDERS
    ]
    images = [p for p in found if p.lower().endswith(EXTENSIONS) and "/" in p]
    if not images:
        raise ReIDDataError(
            f"no images under {root}; expected a folder per identity with .jpg or .png "
            "files in it, or a CSV with columns path and pid."
        )
    if len(found) > len(images):
        notes.append(f"{len(found) - len(images):,} files are no .jpg or .png images.")
    people = {path.partition("/")[0] for path in images} | set(KEYPOINT_FOLDERS)
    bare = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    if bare := [name for name in bare if name not in people]:
        notes.append(f"{len(bare):,} folders hold no image: {first_few(bare)}.")
    return [Entry(path, path.partition("/")[0]) for path in images]


def read_csv(path: Path) -> list[Entry]:
    """The rows of a table of images; paths with / and without . or .. in them.

    Raises:
        ReIDDataError: it cannot be read or has no column path or pid; or rows are at
            fault, by a path that is empty, given twice, outside the folder, no
            image's or no file's, by an identity or camera missing in this row, or
            an unknown split. All faults are reported at once.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if any(cells)]
    except (OSError, ValueError, csv.Error) as fault:
        raise ReIDDataError(
            f"{path} cannot be read ({fault}); expected a table in UTF-8 whose cells "
            "are parted by commas."
        ) from fault
    header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    known = ("path", "pid", "camid", "split")
    missing = [name for name in known[:2] if header.count(name) != 1]
    if missing:
        raise ReIDDataError(
            f"{path} has no single column {' and '.join(missing)} (its first line: "
            f"{', '.join(header) or 'empty'}); name them in the first line, as in "
            "path,pid,camid,split."
        )
    if twice := [name for name in known if header.count(name) > 1]:
        raise ReIDDataError(f"{path} has {', '.join(twice)} twice; leave one.")
    places = {name: header.index(name) for name in header}
    columns = [places.get(name) for name in known]
    return _check_rows(path, lines[1:], len(header), columns)


def _check_rows(
    path: Path,
    lines: Sequence[tuple[int, list[str]]],
    width: int,
    columns: Sequence[int | None],
) -> list[Entry]:
    """The rows with plain paths, or all their faults in one error."""
    rows = []
    for _, cells in lines:
        padded = [cell.strip() for cell in cells] + [""] * width
        rows.append(Entry(*("" if at is None else padded[at] for at in columns)))
    cameras, divided = any(r.camid for r in rows), any(r.split for r in rows)
    entries: list[Entry] = []
    faults = []
    seen: dict[str, int] = {}
    for row, (number, cells) in zip(rows, lines, strict=True):
        plain = os.path.normpath(row.path.replace("\\", "/"))
        whole = _WHOLE.fullmatch(row.camid)
        fault = ""
        if len(cells) > width:
            fault = f"has {len(cells)} cells where the first line has {width}"
        elif not row.path or not row.name:
            fault = f"has no {'pid' if row.path else 'path'}"
        elif plain.startswith(("/", "../")) or plain == ".." or plain[1:2] == ":":
            fault = f"{row.path} leaves {path.parent}"
        elif plain in seen:
            fault = f"{row.path} is also in line {seen[plain]}"
        elif not plain.lower().endswith(EXTENSIONS):
            fault = f"{row.path} is not named like an image"
        elif not _is_file(path.parent / plain):
            fault = f"{row.path} does not exist"
        elif cameras and not (whole and abs(int(row.camid)) <= LARGEST):
            fault = f"camid {row.camid!r} is no whole number"
        elif divided and row.split.lower() not in SPLITS:
            fault = f"split {row.split!r} is none of {', '.join(SPLITS)}"
        seen.setdefault(plain, number)
        if fault:
            faults.append(f"line {number} {fault}")
        else:
            camid = str(int(row.camid)) if cameras else ""
            entries.append(Entry(plain, row.name, camid, row.split.lower()))
    if not rows:
        raise ReIDDataError(f"{path} has no row below its first line; add the images.")
    if faults:
        raise ReIDDataError(
            f"{path}: {len(faults):,} of {len(rows):,} rows cannot be used: "
            f"{first_few(faults, 20)}. Mend or delete them."
        )
    return entries


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no system takes
        return False


def _number(names: Sequence[str]) -> tuple[list[int], pd.DataFrame]:
    """A number for each name, and the table of pid and name where they differ.

    The name -1 is junk whatever the others are.
    """
    unique = sorted(set(names) - {JUNK})
    numbers = [int(name) for name in unique if _WHOLE.fullmatch(name)]
    usable = all(0 <= number <= LARGEST for number in numbers)
    if usable and len(set(numbers)) == len(unique):
        return [int(name) for name in names], pd.DataFrame()
    number = {name: place for place, name in enumerate(unique, start=1)}
    table = pd.DataFrame({"pid": number.values(), "name": number.keys()})
    number[JUNK] = int(JUNK)
    return [number[name] for name in names], table


def _divide(
    table: pd.DataFrame, split: pd.Series, protocol: str, notes: list[str]
) -> dict[str, pd.DataFrame]:
    """The tables of the split column; without one, everything is train."""
    junk = (table["pid"] < 0) & ~split.isin(("query", "gallery"))
    if junk.any():
        notes.append(f"{junk.sum():,} junk images (pid -1) are left out of training.")
    if not split.any():
        split = pd.Series("train", index=table.index)
    tables = {n: table[(split == n) & ~junk].reset_index(drop=True) for n in SPLITS}
    needed = SPLITS if protocol == "folder" else SPLITS[:1]
    empty = [name for name in needed if tables[name].empty]
    if empty:
        raise ReIDDataError(
            f"no image has split {' or '.join(empty)}, which protocol {protocol!r} "
            "needs; mend the column split, or leave it out to hold identities out."
        )
    return tables
