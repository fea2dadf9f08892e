"""Splits from an integer generator that no library version can change.

The generator is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014):
plain 64-bit arithmetic on (key, number), written out below.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError

_MASK = (1 << 64) - 1


def _mix(state: int) -> int:
    """One output of SplitMix64 from a 64-bit state."""
    z = (state + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def integer_hash(*numbers: int) -> int:
    """A 64-bit number from whole numbers, equal on every machine.

    >>> integer_hash(0)
    16294208416658607535
    """
    state = 0
    for number in numbers:
        state = _mix((state + number) & _MASK)
    return state


def hold_out(pids: Iterable[int], fraction: float, key: int) -> list[int]:
    """The identities to hold out: the first of all when ordered by their hash.

    Args:
        pids: identities, in any order, repeats allowed.
        fraction: share to hold out, in (0, 1); rounded half up, at least one.
        key: seed; equal keys give equal splits.

    Returns:
        The held-out identities, sorted.

    Raises:
        ReIDConfigError: fraction outside (0, 1).
        ReIDDataError: fewer than two identities, so none could remain.
    """
    if not 0 < fraction < 1:
        raise ReIDConfigError(
            f"a held-out fraction of {fraction} leaves no split; choose one between "
            "0 and 1, such as 0.25."
        )
    people = sorted({int(pid) for pid in pids})
    if len(people) < 2:
        raise ReIDDataError(
            f"{len(people)} identities cannot be split in two; give at least 2."
        )
    count = min(max(int(fraction * len(people) + 0.5), 1), len(people) - 1)
    order = sorted(people, key=lambda pid: (integer_hash(key, pid), pid))
    return sorted(order[:count])


def validation_split(
    pids: ArrayLike, fraction: float, seed: int = 0
) -> NDArray[np.bool_]:
    """Which rows belong to training identities held out for early stopping.

    Args:
        pids: (N,) identity of each training image.
        fraction: share of the identities, in (0, 1).
        seed: key of the integer generator.

    Returns:
        (N,) bool, True = held out. Whole identities, never part of one.
    """
    values = np.asarray(pids)
    return np.isin(values, hold_out(values.tolist(), fraction, seed))


def query_rows(table: pd.DataFrame, key: int) -> NDArray[np.bool_]:
    """Which images become queries: one per identity and camera.

    Within an identity and camera the images are ordered by path, and number
    `integer_hash(key, pid, camid) mod n` is the query. Cameras are taken in order,
    and one gives a query only if all queries of the identity, this one included,
    keep an image of another camera in the gallery. So an identity of one camera has
    no query.

    Args:
        table: images of the held-out identities, with path, pid and camid.
        key: seed of the split.

    Returns:
        (N,) bool, True = query.
    """
    chosen: list[str] = []
    for pid, person in table.groupby("pid", sort=True):
        left = Counter(person["camid"].tolist())
        asked: list[int] = []
        for camid in sorted(left):
            left[camid] -= 1
            total = sum(left.values())
            if any(total == left[camera] for camera in [*asked, camid]):
                left[camid] += 1
                continue
            asked.append(camid)
            paths: Sequence[str] = sorted(person["path"][person["camid"] == camid])
            number = integer_hash(key, int(str(pid)), camid) % len(paths)
            chosen.append(paths[number])
    return np.asarray(table["path"].isin(chosen), dtype=bool)
