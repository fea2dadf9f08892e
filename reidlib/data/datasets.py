"""One door to every data set."""

from pathlib import Path

from reidlib.data.market import load_market
from reidlib.data.tables import ReIDDataset
from reidlib.errors import ReIDConfigError

NAMES = ("market1501", "dukemtmc", "synthetic")


def load_dataset(
    name: str,
    root: str | Path,
    *,
    protocol: str | None = None,
    trial: int = 0,
    seed: int = 0,
    holdout: float = 0.25,
) -> ReIDDataset:
    """Read a data set's file names, splits and keypoints; no image is opened.

    Args:
        name: "market1501", "dukemtmc" or "synthetic"; all in Market's layout.
        root: folder that holds bounding_box_train (and query, bounding_box_test).
        protocol: "market1501" for the folders as they are; "holdout" to hold whole
            identities of bounding_box_train out as query and gallery; None takes the
            first where query and bounding_box_test exist, else the second.
        trial: which of several splits; added to the seed by "holdout".
        seed: key of the integer generator that splits.
        holdout: share of identities that "holdout" holds out.

    Returns:
        The tables and poses.

    Raises:
        ReIDConfigError: unknown name, protocol or trial.
        ReIDDataError: the folder is not laid out as expected, or files are faulty.
    """
    if name not in NAMES:
        raise ReIDConfigError(
            f"unknown data set {name!r}; reidlib reads {', '.join(NAMES)}."
        )
    return load_market(
        name, Path(root), protocol=protocol, trial=trial, seed=seed, holdout=holdout
    )
