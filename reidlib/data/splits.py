"""Splits from an integer generator that no library version can change.

The generator is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014):
plain 64-bit arithmetic on (key, number), written out below.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError

HOLDOUT_TRIALS = 10  # splits of "holdout" on any data set; more by another seed
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


def draw(pids: Iterable[int], count: int, key: int) -> list[int]:
    """The first `count` identities when ordered by `integer_hash(key, pid)`, sorted.

    pids may come in any order and repeat. Equal keys give equal draws, and a smaller
    draw is part of a larger one.
    """
    people = sorted({int(pid) for pid in pids})
    return sorted(sorted(people, key=lambda pid: (integer_hash(key, pid), pid))[:count])


def hold_out(
    pids: Iterable[int], fraction: float, key: int, *, least: int = 1
) -> list[int]:
    """The identities to hold out: the first of all when ordered by their hash.

    Args:
        pids: identities, in any order, repeats allowed.
        fraction: share to hold out, in (0, 1); rounded half up, at least one.
        key: seed; equal keys give equal splits.
        least: identities to hold out at least, where as many remain.

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
    fewest = max(1, min(least, len(people) // 2))
    count = min(max(int(fraction * len(people) + 0.5), fewest), len(people) - 1)
    return draw(people, count, key)


def validation_split(
    pids: ArrayLike, fraction: float, seed: int = 0
) -> NDArray[np.bool_]:
    """Which rows belong to training identities held out for early stopping.

    Of four identities or more at least two are: a gallery of one person has a mAP of 1,
    whatever was learned.

    Args:
        pids: (N,) identity of each training image.
        fraction: share of the identities, in (0, 1).
        seed: key of the integer generator.

    Returns:
        (N,) bool, True = held out. Whole identities, never part of one.
    """
    values = np.asarray(pids)
    return np.isin(values, hold_out(values.tolist(), fraction, seed, least=2))


def query_rows(
    table: pd.DataFrame, key: int, cameras: bool = True
) -> NDArray[np.bool_]:
    """Which images become queries: one per identity and camera.

    Within an identity and camera the images are ordered by path, and number
    `integer_hash(key, pid, camid) mod n` is the query. Cameras are taken in order,
    and one gives a query only if all queries of the identity, this one included,
    keep an image of another camera in the gallery. So an identity of one camera has
    no query. Where cameras are unknown, all images count as one camera's, and one
    image of each identity that has two or more becomes its query.

    Args:
        table: images of the held-out identities, with path, pid and camid.
        key: seed of the split.
        cameras: whether camid says which camera took an image.

    Returns:
        (N,) bool, True = query.
    """
    chosen: list[str] = []
    if not cameras:
        table = table.assign(camid=0)
    for pid, person in table.groupby("pid", sort=True):
        left = Counter(person["camid"].tolist())
        asked: list[int] = []
        for camid in sorted(left):
            left[camid] -= 1
            total = sum(left.values())
            alone = (left[camera] if cameras else 0 for camera in [*asked, camid])
            if any(total == found for found in alone):
                left[camid] += 1
                continue
            asked.append(camid)
            paths: Sequence[str] = sorted(person["path"][person["camid"] == camid])
            number = integer_hash(key, int(str(pid)), camid) % len(paths)
            chosen.append(paths[number])
    return np.asarray(table["path"].isin(chosen), dtype=bool)


def hold_out_tables(
    table: pd.DataFrame, fraction: float, key: int, cameras: bool = True
) -> dict[str, pd.DataFrame]:
    """The "holdout" protocol: train, query and gallery from one table of images.

    Whole identities are held out (`hold_out`); `query_rows` of theirs are queries,
    the others the gallery. Arguments and errors as in both.
    """
    out = table["pid"].isin(hold_out(table["pid"].tolist(), fraction, key))
    held = table[out].reset_index(drop=True)
    asked = query_rows(held, key, cameras)
    return {
        "train": table[~out].reset_index(drop=True),
        "query": held[asked].reset_index(drop=True),
        "gallery": held[~asked].reset_index(drop=True),
    }


def check_split(protocol: str, trial: int, known: Mapping[str, int]) -> None:
    """Refuse a protocol that is not known, or a trial that it does not have.

    Args:
        protocol: what was asked for.
        trial: what was asked for.
        known: number of trials of each protocol.

    Raises:
        ReIDConfigError: with the protocols, or the number of trials, that there are.
    """
    if protocol not in known:
        raise ReIDConfigError(
            f"unknown protocol {protocol!r}; this data set has {', '.join(known)}."
        )
    if trial not in range(known[protocol]):
        last = known[protocol] - 1
        raise ReIDConfigError(
            f"trial={trial} does not exist: the {protocol} protocol "
            + (f"counts from 0 to {last}." if last else "has one split, trial=0.")
        )
