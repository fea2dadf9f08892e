"""Which items each step takes: pure functions of (seed, step), so that a run resumes.

Steps count from 0. No state is kept but a cache of the last shuffles, so any step may
be asked for at any time, in any process, with the same answer.
"""

from functools import lru_cache

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from reidlib.data.splits import integer_hash
from reidlib.data.tables import class_labels
from reidlib.errors import ReIDConfigError, ReIDDataError

_PASS, _STEP = 0, 1  # two streams of random numbers from one seed


class Passes:
    """Whole shuffled passes over all items, one after another.

    Step s takes the items s * batch … (s + 1) * batch - 1 of the endless row of
    passes. A batch may end one pass and begin the next; only such a one may hold an
    item twice.

    Args:
        count: number of items.
        batch: items a step, at most `count`.
        seed: key of the shuffles.

    Raises:
        ReIDConfigError: a batch of no items, or of more than there are.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if not 1 <= batch <= count:
            raise ReIDConfigError(
                f"a batch of {batch:,} cannot be drawn from {count:,} items; set batch "
                "(--config.batch) to between 1 and that number, or give more data."
            )
        self.count, self.batch, self.seed = count, batch, seed

    def __call__(self, step: int) -> Tensor:
        """(batch,) int64 item numbers of one step."""
        number, start = divmod(step * self.batch, self.count)
        stop = start + self.batch
        now = _shuffled(self.count, self.seed, number)[start:stop]
        after = _shuffled(self.count, self.seed, number + 1)
        return torch.cat([now, after[: max(0, stop - self.count)]])


class Persons:
    """A few images of each of a few identities: the P x K batches of a triplet loss.

    Identities come in shuffled passes of whole steps, so none repeats within a pass;
    those left over, fewer than `persons`, sit out until the next pass. Images of one
    identity do not repeat while it has `each` of them; with fewer, all are used before
    one returns. An identity of one image has no positive pair and is left out, as is
    nobody (a negative pid).

    Args:
        pids: (N,) identity of each image.
        persons: identities a step (P), at least 2.
        each: images of each (K), at least 2.
        seed: key of the draws.

    Raises:
        ReIDConfigError: fewer than two persons or images of each are asked for.
        ReIDDataError: fewer than `persons` identities have two images.

    Source: Hermans, Beyer and Leibe, "In defense of the triplet loss", 2017, section 2.
    """

    def __init__(self, pids: ArrayLike, persons: int, each: int, seed: int) -> None:
        if persons < 2 or each < 2:
            raise ReIDConfigError(
                f"{each} images of each of {persons} persons make no triplets; choose "
                "at least 2 of both."
            )
        people = torch.as_tensor(pids)
        labels = torch.from_numpy(class_labels(people.numpy()))
        counts = labels.bincount()
        known = labels[people >= 0].unique()
        self._people = known[counts[known] > 1]
        if len(self._people) < persons:
            raise ReIDDataError(
                f"{len(self._people):,} identities have two images or more, and a step "
                f"takes {persons:,} of them; lower persons (--config.batch over "
                "--config.each), or give more images per identity."
            )
        self._counts, self._starts = counts, counts.cumsum(0) - counts
        self._items = labels.argsort(stable=True)  # the images, identity by identity
        self.persons, self.each, self.seed = persons, each, seed

    def __call__(self, step: int) -> Tensor:
        """(persons * each,) int64 image numbers of one step, identity by identity."""
        number, place = divmod(step, len(self._people) // self.persons)
        order = _shuffled(len(self._people), self.seed, number)
        chosen = self._people[order[place * self.persons :][: self.persons]]
        counts = self._counts[chosen, None]
        columns = torch.arange(max(int(counts.max()), self.each))
        generator = _generator(self.seed, _STEP, step)
        keys = torch.rand(self.persons, len(columns), generator=generator)
        shuffled = keys.masked_fill(columns >= counts, 2.0).argsort(1)
        rank = shuffled.gather(1, columns[: self.each] % counts)
        return self._items[self._starts[chosen, None] + rank].flatten()


@lru_cache(maxsize=8)
def _shuffled(count: int, seed: int, number: int) -> Tensor:
    """The order of pass `number`; shared by all callers, so never changed in place."""
    return torch.randperm(count, generator=_generator(seed, _PASS, number))


def _generator(seed: int, stream: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(integer_hash(seed, stream, number))
