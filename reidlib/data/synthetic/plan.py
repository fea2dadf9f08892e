"""Which pictures a data set holds: counts per identity, splits, and presets."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .world import DISTRACTORS, JUNK, World

FEWEST, MOST = 2, 72  # images of one identity, as in Market
SHARE = 0.1  # distractors, and junk, against the gallery's good images
_COUNT = 9  # stream of random numbers for images per identity


class Split(NamedTuple):
    """Exact sizes of a data set."""

    train_ids: int
    train: int
    query: int
    gallery: int  # good images
    distractors: int
    junk: int


# Sizes: `write_world(out, **PRESETS["market"])`. "market" has the split sizes of
# Market-1501; "large" is for training on the synthetic world alone.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"ids": 12, "images_per_id": 6},
    "small": {"ids": 100, "images_per_id": 10},
    "market": {
        "ids": 1501,
        "images_per_id": 17.2,
        "split": Split(751, 12_936, 3_368, 13_115, 2_798, 3_819),
    },
    "large": {"ids": 8000, "images_per_id": 17.2, "cameras": 24},
}


class Entry(NamedTuple):
    """One picture: the folders that hold it, and the shot `(pid, number)`."""

    folders: tuple[str, ...]
    pid: int
    number: int


def image_count(seed: int, pid: int, mean: float) -> int:
    """How many images an identity has; depends on nothing else.

    A gamma distribution of shape 2 has the quartiles of Market-1501 (9, 15, 22).
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, _COUNT, pid]))
    extra = rng.gamma(2.0, max(mean - FEWEST, 0) / 2.0)
    return int(np.clip(round(FEWEST + extra), FEWEST, MOST))


def plan(world: World, ids: int, mean: float, split: Split | None) -> list[Entry]:
    """Every picture of a data set, in the order of writing."""
    half = split.train_ids if split else ids // 2
    counts = {pid: image_count(world.seed, pid, mean) for pid in range(1, ids + 1)}
    train = {pid: counts[pid] for pid in counts if pid <= half}
    test = {pid: counts[pid] for pid in counts if pid > half}
    if split:
        _fit(train, split.train)
        _fit(test, split.gallery + split.query)
    queries = {pid: _queries(_cameras(world, pid, n)) for pid, n in test.items()}
    if split:
        _trim(queries, split.query)
    entries = [*_entries(train, {}, "bounding_box_train")]
    entries += _entries(test, queries, "bounding_box_test")
    extra = max(1, round(SHARE * (sum(test.values()) - _total(queries))))
    more = (split.distractors, split.junk) if split else (extra, extra)
    for first, number in zip((DISTRACTORS, JUNK), more, strict=True):
        entries += [Entry(("bounding_box_test",), first + k, k) for k in range(number)]
    return entries


def _entries(
    counts: dict[int, int], queries: dict[int, list[int]], folder: str
) -> Iterator[Entry]:
    for pid, count in counts.items():
        asked = set(queries.get(pid, ()))
        for index in range(count):
            if folder == "bounding_box_train":
                yield Entry((folder,), pid, index)
            else:
                place = "query" if index in asked else folder
                yield Entry((place, "gt_bbox"), pid, index)


def _cameras(world: World, pid: int, count: int) -> list[int]:
    return [world.camera(pid, index) for index in range(count)]


def _queries(cameras: list[int]) -> list[int]:
    """Numbers of the query images: the first of each camera that can be asked.

    Every query of the person, this one included, keeps an image of another camera.
    """
    left = Counter(cameras)
    asked: dict[int, int] = {}
    for index, camera in enumerate(cameras):
        if camera in asked:
            continue
        left[camera] -= 1
        if any(left.total() == left[other] for other in (*asked, camera)):
            left[camera] += 1
        else:
            asked[camera] = index
    return sorted(asked.values())


def _total(queries: dict[int, list[int]]) -> int:
    return sum(map(len, queries.values()))


def _trim(queries: dict[int, list[int]], total: int) -> None:
    """Drop last queries, of those who have most, until `total` are left."""
    surplus = _total(queries) - total
    while surplus > 0:
        most = max(map(len, queries.values()))
        for asked in queries.values():
            if surplus > 0 and len(asked) == most:
                asked.pop()
                surplus -= 1


def _fit(counts: dict[int, int], total: int) -> None:
    """Add or take one image of each person in turn until they sum to `total`."""
    while gap := total - sum(counts.values()):
        step = 1 if gap > 0 else -1
        for pid in counts:
            if gap and FEWEST <= counts[pid] + step <= MOST:
                counts[pid] += step
                gap -= step
