"""CUHK03: its two sets of boxes, its twenty splits and the 767/700 split.

What may lie under root:

| file or folder                          | what it is                               |
|-----------------------------------------|------------------------------------------|
| cuhk-03.mat                             | the original; or in cuhk03_release/      |
| images_detected, images_labeled         | its images, as 1_001_1_01.png            |
| testsets.json                           | its splits, kept when first read         |
| cuhk03_new_protocol_config_detected.mat | the 767/700 split, published by itself;  |
|                                         | ..._labeled.mat for the labelled boxes   |

The image's name says pair of cameras, identity in the pair, view, number. Detected and
labelled boxes are cut from the same photographs: a set that mixes them, as a folder
`images` of some tools does, asks for a picture it also holds.
"""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reidlib.data.cuhk03_mat import extract, read_testsets
from reidlib.data.files import check_root, elsewhere, listing, read_by_path
from reidlib.data.splits import HOLDOUT_TRIALS, check_split, hold_out_tables
from reidlib.data.tables import ReIDDataset, Row, image_table
from reidlib.errors import ReIDDataError
from reidlib.pose.files import first_few

BOXES = ("detected", "labeled")
MAT = "cuhk-03.mat"
TESTSETS = "testsets.json"
NEW_SPLIT = "cuhk03_new_protocol_config_{}.mat"
PROTOCOLS = {"cuhk03-classic": 20, "cuhk03-np": 1, "holdout": HOLDOUT_TRIALS}
_NAME = re.compile(r"([1-5])_([0-9]{3})_([12])_([0-9]{2})\.png")
_INNER = "cuhk03_release"  # the folder in the original archive


def parse_name(name: str) -> tuple[int, int] | None:
    """Identity and view in an image's name, or None where it does not say.

    The identity is 1000 × pair + number in the pair, the camera the view, 1 or 2: a
    person was seen by one pair of cameras only.

    >>> parse_name("1_843_2_07.png")
    (1843, 2)
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return 1000 * int(found[1]) + int(found[2]), int(found[3])


def load_cuhk03(
    root: Path,
    *,
    protocol: str | None,
    trial: int,
    seed: int,
    holdout: float,
    boxes: str,
) -> ReIDDataset:
    """Read CUHK03; arguments and errors as in `load_dataset`.

    The images of `cuhk-03.mat` are written into images_detected or images_labeled
    beside it, the first time they are asked for.

    "cuhk03-classic": 100 test identities of each of 20 fixed splits, 1,367 to learn
    from. Query and gallery are the same images, those of the test identities;
    `evaluate(..., protocol="cuhk03-classic")` shows each query the other view alone.
    Its CMC and `mAP_single` are those of one gallery image of each identity, and its
    `mAP` is `mAP_all`, of all images. The means over trials: `over_trials`.

    "cuhk03-np": 767 identities to learn from and 700 to test on, as in the published
    file of the boxes; scored as Market-1501.

    "holdout" takes identities of all 1,467.
    """
    check_root(root, MAT)
    protocol = protocol or _usual(root, boxes)
    check_split(protocol, trial, PROTOCOLS)
    folder = _images(root, boxes)
    table = _table(folder)
    if protocol == "cuhk03-np":
        tables = _new_split(root / NEW_SPLIT.format(boxes), folder.name, table)
    elif protocol == "holdout":
        tables = hold_out_tables(table, holdout, seed + trial)
    else:
        tables = _classic(table, _testsets(root, trial), trial)
    poses, sources = read_by_path(
        root, table["path"].tolist(), by_stem=False, all_known=False
    )
    return ReIDDataset(
        name="cuhk03",
        root=root,
        protocol=protocol,
        train=tables["train"],
        query=tables["query"],
        gallery=tables["gallery"],
        poses=poses,
        keypoint_files=sources,
        n_trials=PROTOCOLS[protocol],
        trial=trial,
        pose_keys="path",
        boxes=boxes,
    )


def _usual(root: Path, boxes: str) -> str:
    """The first protocol whose files are there; the classic one where none are."""
    if _mat(root) or (root / TESTSETS).is_file():
        return "cuhk03-classic"
    newer = (root / NEW_SPLIT.format(boxes)).is_file()
    return "cuhk03-np" if newer else "cuhk03-classic"


def _mat(root: Path) -> Path | None:
    """The original file, if it is there."""
    places = (root / MAT, root / _INNER / MAT)
    return next((path for path in places if path.is_file()), None)


def _images(root: Path, boxes: str) -> Path:
    """The folder of images of these boxes, written now if it is not whole."""
    folder = root / f"images_{boxes}"
    mat = _mat(root)
    if mat:
        extract(mat, boxes, folder)
    if not folder.is_dir() or not listing(folder):
        mend = elsewhere(root, lambda place: bool(_mat(place)))
        raise ReIDDataError(
            f"neither {MAT} nor {boxes} images in {folder.name} under {root}. Expected "
            f"the folder that holds one of them {mend}"
        )
    return folder


def _table(folder: Path) -> pd.DataFrame:
    """All images; all names that do not parse are reported."""
    rows: list[Row] = []
    faults = []
    for name in listing(folder):
        parsed = parse_name(name)
        if parsed is None:
            faults.append(name)
        else:
            rows.append((f"{folder.name}/{name}", *parsed))
    if faults:
        raise ReIDDataError(
            f"{len(faults):,} files in {folder} are not named like 1_001_1_01.png "
            f"(pair, identity, view, number): {first_few(faults)}. Rename them or move "
            "them out."
        )
    return image_table(rows)


def _testsets(root: Path, trial: int) -> set[int]:
    """Test identities of a trial, from the original file or what was kept of it."""
    kept, mat = root / TESTSETS, _mat(root)
    if mat and not kept.is_file():
        sets = read_testsets(mat)
        temporary = kept.with_name(kept.name + ".part")
        with suppress(OSError):  # where nothing may be written, read it each time
            temporary.write_text(json.dumps(sets), encoding="utf-8")
            temporary.replace(kept)
        return _test_pids(sets[trial])
    if not kept.is_file():
        raise ReIDDataError(
            f"{root} has images but neither {MAT} nor {TESTSETS}, so the 20 test sets "
            f"are unknown; put {MAT} beside them, or choose protocol='cuhk03-np'."
        )
    try:
        return _test_pids(json.loads(kept.read_bytes())[trial])
    except (OSError, ValueError, TypeError, IndexError, KeyError) as fault:
        raise ReIDDataError(
            f"{kept} holds no list of [pair, identity] for trial {trial} ({fault}); "
            f"delete it, and it is written again from {MAT}."
        ) from fault


def _test_pids(pairs: list[list[int]]) -> set[int]:
    """Identities as in `parse_name` from [pair, identity in the pair]."""
    return set((np.array(pairs, dtype=np.int64) @ [1000, 1]).tolist())


def _classic(
    table: pd.DataFrame, wanted: set[int], trial: int
) -> dict[str, pd.DataFrame]:
    """Test identities' images as query and gallery, the others' as train."""
    absent = sorted(wanted - set(table["pid"]))
    if absent:
        names = first_few([f"{pid // 1000}_{pid % 1000:03d}" for pid in absent])
        raise ReIDDataError(
            f"{len(absent):,} test identities of trial {trial} have no image: {names}. "
            f"Extract the images again from {MAT}."
        )
    tested = table["pid"].isin(wanted)
    asked = table[tested].reset_index(drop=True)
    train = table[~tested].reset_index(drop=True)
    return {"train": train, "query": asked, "gallery": asked}


def _new_split(path: Path, folder: str, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The published 767/700 split; identities and cameras are the file's."""
    from scipy.io import loadmat

    if not path.is_file():
        raise ReIDDataError(
            f"{path} is missing, which lists the 767/700 split; put the file of that "
            "name, published with the split, there or choose another protocol."
        )
    try:
        content = loadmat(path, simplify_cells=True)
        columns = {name: _vector(content[name]) for name in _KEYS}
        numbers = {name: columns[name].astype(np.int64) for name in _KEYS[:-1]}
        names = [str(name) for name in columns["filelist"]]
        if not len(names) == len(numbers["labels"]) == len(numbers["camId"]):
            raise ValueError("labels, camId and filelist differ in length")
        rows = {}
        for split in ("train", "query", "gallery"):
            chosen = numbers[f"{split}_idx"] - 1
            if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= len(names):
                raise ValueError(f"{split}_idx is empty or leaves the list of files")
            rows[split] = chosen
    except Exception as fault:  # a broken file fails in many ways inside scipy
        raise ReIDDataError(
            f"{path} is not a split of CUHK03 ({type(fault).__name__}: {fault}); it "
            f"must hold {', '.join(_KEYS)}."
        ) from fault
    here = set(table["path"])
    used = np.unique(np.concatenate(list(rows.values())))
    absent = [names[row] for row in used if f"{folder}/{names[row]}" not in here]
    if absent:
        raise ReIDDataError(
            f"{len(absent):,} images of {path.name} are not in {folder}: "
            f"{first_few(absent)}. Extract them again from {MAT}, and take the split "
            "of the same boxes."
        )
    return {
        split: image_table(
            (
                f"{folder}/{names[row]}",
                int(numbers["labels"][row]),
                int(numbers["camId"][row]),
            )
            for row in chosen
        )
        for split, chosen in rows.items()
    }


_KEYS = ("labels", "camId", "train_idx", "query_idx", "gallery_idx", "filelist")


def _vector(values: Any) -> NDArray[Any]:
    """A column or row of MATLAB as a vector."""
    return np.atleast_1d(np.asarray(values)).ravel()
