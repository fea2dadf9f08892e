"""The layout of Market-1501, which DukeMTMC-reID and the synthetic world share.

Folders and counts: SPEC 3.1 and 3.2.
"""

import logging
import os
import re
from pathlib import Path

import pandas as pd

from reidlib.data.splits import hold_out, query_rows
from reidlib.data.tables import ReIDDataset, Row, image_table
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import find_arrays, read_annotation_csv, read_openpose
from reidlib.pose.files import first_few
from reidlib.pose.skeletons import Floats

LAYOUT = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
    "multi_query": "gt_bbox",
}
PROTOCOLS = ("market1501", "holdout")
EXTENSIONS = (".jpg", ".jpeg", ".png")
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_KEYPOINT_FOLDERS = ("keypoints", "openpose")
_KEYPOINT_TABLES = ("market-annotation-train.csv", "market-annotation-test.csv")
_SUFFIX = "_keypoints.json"

logger = logging.getLogger(__name__)


def parse_name(name: str) -> tuple[int, int] | None:
    """Identity and camera in a file name, or None where it does not say.

    >>> parse_name("0002_c1s1_000451_03.jpg")
    (2, 1)
    """
    found = _NAME.match(name)
    if found is None or not name.lower().endswith(EXTENSIONS):
        return None
    return int(found[1]), int(found[2])


def _listing(folder: Path) -> list[str]:
    """Names of a folder's files, sorted, without those that systems leave behind."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return sorted(n for n in names if n != "Thumbs.db" and not n.startswith("."))


def _layout_error(root: Path, wanted: list[str]) -> ReIDDataError:
    """Say what is missing under root, and where it may be instead."""
    train = LAYOUT["train"]
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    near = [root / name for name in folders if (root / name / train).is_dir()]
    above = root.absolute().parent
    near += [above] if (above / train).is_dir() else []
    found = ", ".join(folders) or "no folder"
    mend = f"; did you mean {near[0]}?" if near else "."
    return ReIDDataError(
        f"no images in {', '.join(wanted)} under {root} (found: {found}). Expected the "
        f"folder that holds bounding_box_train, query and bounding_box_test{mend}"
    )


def _list_folders(name: str, root: Path) -> dict[str, list[str]]:
    """File names of every folder of the layout that exists."""
    if not root.is_dir():
        fault = "is a file, not a folder" if root.exists() else "does not exist"
        mend = (
            f"make it with: python -m reidlib.data.synthetic {root} --ids 100 --seed 0"
            if name == "synthetic"
            else "give the folder that holds bounding_box_train"
        )
        raise ReIDDataError(f"{root} {fault}; {mend}.")
    return {
        split: _listing(root / folder)
        for split, folder in LAYOUT.items()
        if (root / folder).is_dir()
    }


def _parse(files: dict[str, list[str]], root: Path) -> dict[str, pd.DataFrame]:
    """Tables of the given folders; all names that do not parse are reported."""
    faults: list[str] = []
    tables = {}
    for split, names in files.items():
        rows: list[Row] = []
        for name in names:
            parsed = parse_name(name)
            path = f"{LAYOUT[split]}/{name}"
            if parsed is None:
                faults.append(path)
            else:
                rows.append((path, *parsed))
        tables[split] = image_table(rows)
    if faults:
        raise ReIDDataError(
            f"{len(faults):,} files under {root} are not named like "
            f"0002_c1s1_000451_03.jpg (identity, camera): {first_few(faults)}. "
            "Rename them or move them out."
        )
    return tables


def _read_keypoints(
    root: Path, files: dict[str, list[str]]
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Poses by image name, and their files; JSON goes before arrays before CSV."""
    by_stem = {
        name.rpartition(".")[0]: name for names in files.values() for name in names
    }
    images = set(by_stem.values())
    poses: dict[str, Floats] = {}
    sources, orphans = [], []
    for table in _KEYPOINT_TABLES:
        if (root / table).is_file():
            sources.append(table)
            # The test half's table lies beside the training half alone: that is fine.
            rows = read_annotation_csv(root / table)
            poses.update((name, rows[name]) for name in rows.keys() & images)
    arrays, found = find_arrays(root, _KEYPOINT_FOLDERS)
    sources.extend(found)
    poses.update((by_stem[s], arrays[s]) for s in arrays.keys() & by_stem.keys())
    for folder in _KEYPOINT_FOLDERS:
        if not (root / folder).is_dir():
            continue
        for name in _listing(root / folder):
            if not name.endswith(_SUFFIX):
                continue
            image = by_stem.get(name.removesuffix(_SUFFIX))
            if image is None:
                orphans.append(f"{folder}/{name}")
                continue
            sources.append(f"{folder}/{name}")
            poses[image] = read_openpose(root / folder / name)
    if orphans:
        raise ReIDDataError(
            f"{len(orphans):,} keypoint files under {root} belong to no image: "
            f"{first_few(orphans)}. Delete them or put their images back."
        )
    return poses, tuple(sources)


def _choose_protocol(
    protocol: str | None, trial: int, files: dict[str, list[str]], root: Path
) -> str:
    if protocol is None:
        whole = {"query", "gallery"} & files.keys()
        protocol = "market1501" if whole else "holdout"
    if protocol not in PROTOCOLS:
        raise ReIDConfigError(
            f"unknown protocol {protocol!r}; this data set has {', '.join(PROTOCOLS)}."
        )
    if trial < 0 or (trial and protocol == "market1501"):
        raise ReIDConfigError(
            f"trial={trial} does not exist: the {protocol} protocol "
            + ("counts from 0." if trial < 0 else "has one split, trial=0.")
        )
    needed = ["train", "query", "gallery"] if protocol == "market1501" else ["train"]
    empty = [LAYOUT[split] for split in needed if not files.get(split)]
    if empty:
        raise _layout_error(root, empty)
    return protocol


def load_market(
    name: str,
    root: Path,
    *,
    protocol: str | None,
    trial: int,
    seed: int,
    holdout: float,
) -> ReIDDataset:
    """Read a folder in Market's layout; arguments and errors as in `load_dataset`."""
    files = _list_folders(name, root)
    protocol = _choose_protocol(protocol, trial, files, root)
    used = files if protocol == "market1501" else {"train": files["train"]}
    tables = _parse(used, root)
    train = tables["train"]
    junk = train["pid"] < 0
    if junk.any():
        logger.info("%s: %d junk images left out of training", root, junk.sum())
        train = tables["train"] = train[~junk].reset_index(drop=True)
    if protocol == "holdout":
        key = seed + trial
        out = train["pid"].isin(hold_out(train["pid"].tolist(), holdout, key))
        held = train[out].reset_index(drop=True)
        asked = query_rows(held, key)
        tables = {
            "train": train[~out].reset_index(drop=True),
            "query": held[asked].reset_index(drop=True),
            "gallery": held[~asked].reset_index(drop=True),
        }
    poses, sources = _read_keypoints(root, files)
    return ReIDDataset(
        name=name,
        root=root,
        protocol=protocol,
        train=tables["train"],
        query=tables["query"],
        gallery=tables["gallery"],
        multi_query=tables.get("multi_query", image_table()),
        poses=poses,
        keypoint_files=sources,
        trial=trial,
    )
