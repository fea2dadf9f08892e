"""CUHK01: one folder, two cameras, and splits that are drawn (Li et al., ACCV 2012).

The paper does not say which split it takes. Ten splits of each kind are drawn here with
the generator of `reidlib.data.splits`: split k tests on `draw(pids, count, k)`, so that
the 100 identities of "cuhk01-100" are among the 486 of "cuhk01" for the same k.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reidlib.data.files import (
    EXTENSIONS,
    check_root,
    elsewhere,
    listing,
    read_by_name,
    stem,
)
from reidlib.data.splits import HOLDOUT_TRIALS, check_split, draw, hold_out_tables
from reidlib.data.tables import ReIDDataset, Row, image_table
from reidlib.errors import ReIDDataError
from reidlib.pose.files import first_few

IMAGES = "campus"
PROTOCOLS = {"cuhk01": 10, "cuhk01-100": 10, "holdout": HOLDOUT_TRIALS}
_NAME = re.compile(r"([0-9]{4})00([1-4])")


def parse_name(name: str) -> tuple[int, int] | None:
    """Identity and camera in a file name, or None where it does not say.

    Images 001 and 002 are camera A (1), 003 and 004 camera B (2).

    >>> parse_name("0971003.png")
    (971, 2)
    """
    found = _NAME.fullmatch(stem(name))
    if found is None or not name.lower().endswith(EXTENSIONS):
        return None
    return int(found[1]), (int(found[2]) + 1) // 2


def split_cuhk01(pids: Sequence[int], protocol: str, trial: int) -> list[int]:
    """The test identities of a trial: 486 of 971 or, under "cuhk01-100", 100.

    The first is the larger half of however many there are.

    Raises:
        ReIDDataError: so few that none would be left to learn from.
    """
    people = len(set(pids))
    count = 100 if protocol == "cuhk01-100" else people - people // 2
    if not 0 < count < people:
        raise ReIDDataError(
            f"{people} identities cannot give {count} to test and one to learn from; "
            "CUHK01 has 971: unpack it again, or choose another protocol."
        )
    return draw(pids, count, trial)


def load_cuhk01(
    root: Path, *, protocol: str | None, trial: int, seed: int, holdout: float
) -> ReIDDataset:
    """Read CUHK01; arguments and errors as in `load_dataset`.

    Query is camera A and gallery camera B, two images each of every test identity.
    `evaluate(..., protocol=data.protocol)` is single-shot: each query meets one gallery
    image of each identity, averaged over all draws. Multi-shot, where the nearer of
    the two images speaks for an identity::

        evaluate(..., protocol="cuhk01", cmc="first-match")  # a rank per image
        nearer = distances.reshape(len(distances), -1, 2).min(axis=2)
        evaluate_distances(nearer, ...)  # a rank per identity, gallery rows [::2]

    and `multi_query="mean"` makes one query of an identity's two.
    """
    check_root(root, IMAGES)
    protocol = protocol or "cuhk01"
    check_split(protocol, trial, PROTOCOLS)
    names = listing(root / IMAGES) if (root / IMAGES).is_dir() else []
    if not names:
        mend = elsewhere(root, lambda folder: (folder / IMAGES).is_dir())
        raise ReIDDataError(
            f"no images in {IMAGES} under {root}. Expected the folder that holds "
            f"{IMAGES}/0001001.png {mend}"
        )
    table = _table(root, names)
    if protocol == "holdout":
        tables = hold_out_tables(table, holdout, seed + trial)
    else:
        tested = table["pid"].isin(split_cuhk01(table["pid"].tolist(), protocol, trial))
        tables = {
            "train": table[~tested].reset_index(drop=True),
            "query": table[tested & (table["camid"] == 1)].reset_index(drop=True),
            "gallery": table[tested & (table["camid"] == 2)].reset_index(drop=True),
        }
    poses, sources = read_by_name(root, names, ())
    return ReIDDataset(
        name="cuhk01",
        root=root,
        protocol=protocol,
        train=tables["train"],
        query=tables["query"],
        gallery=tables["gallery"],
        poses=poses,
        keypoint_files=sources,
        n_trials=PROTOCOLS[protocol],
        trial=trial,
    )


def _table(root: Path, names: Sequence[str]) -> pd.DataFrame:
    """All images; all names that do not parse are reported."""
    rows: list[Row] = []
    faults = []
    for name in names:
        parsed = parse_name(name)
        if parsed is None:
            faults.append(name)
        else:
            rows.append((f"{IMAGES}/{name}", *parsed))
    if faults:
        raise ReIDDataError(
            f"{len(faults):,} files in {root / IMAGES} are not named like 0001001.png "
            f"(identity, image 001 to 004): {first_few(faults)}. Rename them or move "
            "them out."
        )
    return image_table(rows)
