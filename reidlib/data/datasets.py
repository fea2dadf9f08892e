"""One door to every data set."""

from pathlib import Path

from reidlib.data.cuhk01 import load_cuhk01
from reidlib.data.cuhk03 import BOXES, load_cuhk03
from reidlib.data.folder import load_folder
from reidlib.data.market import load_market
from reidlib.data.tables import ReIDDataset
from reidlib.errors import ReIDConfigError

NAMES = ("market1501", "dukemtmc", "synthetic", "cuhk03", "cuhk01", "folder")


def load_dataset(
    name: str,
    root: str | Path,
    *,
    protocol: str | None = None,
    trial: int = 0,
    seed: int = 0,
    holdout: float = 0.25,
    boxes: str = "detected",
) -> ReIDDataset:
    """Read a data set's file names, splits and keypoints; no image is opened.

    (Images of `cuhk-03.mat` are written as files first, once.) The protocols, their
    number of trials and what `evaluate` makes of them:

    | name                          | protocol           | trials | rules             |
    |-------------------------------|--------------------|--------|-------------------|
    | market1501 dukemtmc synthetic | market1501         | 1      | Market's          |
    | cuhk03                        | cuhk03-classic     | 20     | one gallery image |
    |                               | cuhk03-np          | 1      | Market's          |
    | cuhk01                        | cuhk01, cuhk01-100 | 10     | one gallery image |
    | folder                        | folder             | 1      | Market's          |
    | any                           | holdout            | 10     | Market's          |

    Where a folder knows no cameras, "-no-cameras" is added to the protocol's name, and
    every gallery image of the query's identity is a match.

    Args:
        name: "market1501", "dukemtmc" or "synthetic", in Market's layout; "cuhk03" or
            "cuhk01", as published; "folder", your own images (`load_folder`).
        root: folder that holds bounding_box_train (and query, bounding_box_test),
            cuhk-03.mat, campus, a folder per identity, or a CSV (or that CSV itself).
        protocol: as above; "holdout" holds whole identities out as query and gallery,
            where there is a training half those of it. None takes the first of the
            data set's for which the files are there.
        trial: which of the protocol's splits; added to the seed by "holdout".
        seed: key of the integer generator that splits under "holdout". The other
            splits are the same for everybody.
        holdout: share of identities that "holdout" holds out.
        boxes: of cuhk03, "detected" or "labeled"; never both.

    Returns:
        The tables and poses.

    Raises:
        ReIDConfigError: unknown name, protocol, trial or boxes.
        ReIDDataError: the folder is not laid out as expected, or files are faulty.
    """
    if name not in NAMES:
        raise ReIDConfigError(
            f"unknown data set {name!r}; reidlib reads {', '.join(NAMES)}."
        )
    if boxes not in (BOXES if name == "cuhk03" else BOXES[:1]):
        raise ReIDConfigError(
            f"boxes={boxes!r} is not known; cuhk03 has {' and '.join(BOXES)} boxes, "
            "other data sets have one kind."
        )
    root = Path(root)
    if name == "cuhk03":
        return load_cuhk03(
            root,
            protocol=protocol,
            trial=trial,
            seed=seed,
            holdout=holdout,
            boxes=boxes,
        )
    if name == "cuhk01":
        return load_cuhk01(
            root, protocol=protocol, trial=trial, seed=seed, holdout=holdout
        )
    if name == "folder":
        return load_folder(
            root, protocol=protocol, trial=trial, seed=seed, holdout=holdout
        )
    return load_market(
        name, root, protocol=protocol, trial=trial, seed=seed, holdout=holdout
    )
