"""The layout of Market-1501, which DukeMTMC-reID and the synthetic world share.

Folders and counts: Zheng et al., ICCV 2015, and Ristani et al., ECCV 2016.
"""

import logging
import re
from pathlib import Path

import pandas as pd

from reidlib.data.files import EXTENSIONS, LARGEST, listing, read_by_name
from reidlib.data.splits import HOLDOUT_TRIALS, check_split, hold_out_tables
from reidlib.data.tables import ReIDDataset, Row, image_table
from reidlib.errors import ReIDDataError
from reidlib.pose.files import first_few

LAYOUT = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
    "multi_query": "gt_bbox",
}
PROTOCOLS = {"market1501": 1, "holdout": HOLDOUT_TRIALS}  # and their trials
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_KEYPOINT_TABLES = ("market-annotation-train.csv", "market-annotation-test.csv")

logger = logging.getLogger(__name__)


def parse_name(name: str) -> tuple[int, int] | None:
    """Identity and camera in a file name, or None where it does not say.

    >>> parse_name("0002_c1s1_000451_03.jpg")
    (2, 1)
    """
    found = _NAME.match(name)
    if found is None or not name.lower().endswith(EXTENSIONS):
        return None
    pid, camid = int(found[1]), int(found[2])
    return (pid, camid) if max(abs(pid), camid) <= LARGEST else None


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
        split: listing(root / folder)
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


def _choose_protocol(
    protocol: str | None, trial: int, files: dict[str, list[str]], root: Path
) -> str:
    if protocol is None:
        whole = {"query", "gallery"} <= files.keys()
        protocol = "market1501" if whole else "holdout"
    check_split(protocol, trial, PROTOCOLS)
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
        tables = hold_out_tables(train, holdout, seed + trial)
    everyone = [name for names in files.values() for name in names]
    poses, sources = read_by_name(root, everyone, _KEYPOINT_TABLES)
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
        n_trials=PROTOCOLS[protocol],
        trial=trial,
    )
