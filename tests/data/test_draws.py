"""The random numbers of a step: pure, unrelated to their neighbours, divisible."""

import time

import numpy as np
import pytest
import torch

from reidlib.data.batches import PairBatches
from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError


def numbers(seed, step, count=1000):
    return Draws(seed, step, count).uniform()


def test_the_same_seed_and_step_draw_the_same_numbers():
    first, second = Draws(3, 7, 5), Draws(3, 7, 5)
    for _ in range(3):
        assert torch.equal(first.uniform(2), second.uniform(2))


def test_one_call_and_the_next_differ():
    draws = Draws(3, 7, 5)
    assert not (draws.uniform(2) == draws.uniform(2)).any()


def test_neighbouring_seeds_and_steps_are_unrelated():
    """Also where seed and step swap, or only the high bits of one differ."""
    keys = [(seed, step) for seed in range(8) for step in range(8)]
    keys += [(2**32, 0), (2**32 + 1, 0), (0, 2**32), (0, 2**40), (2**63, 1)]
    table = torch.stack([numbers(*key) for key in keys])
    related = torch.corrcoef(table) - torch.eye(len(keys))
    # 2,346 coefficients with a standard deviation of 1/sqrt(1000): none beyond 5 of it
    assert related.abs().max() < 5 / 1000**0.5
    first = table[:, 0]  # the first number of each step is no counter either
    assert abs(torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1]) < 0.5
    assert first.unique().numel() == len(keys)


def test_the_first_numbers_of_many_steps_are_uniform():
    drawn = torch.stack([numbers(0, step, 2) for step in range(4000)])
    counts = torch.histc(drawn, 10, 0, 1)
    assert (counts - 800).abs().max() < 5 * (800 * 0.9) ** 0.5


@pytest.mark.parametrize(
    "rows", [slice(None), slice(0, 4), slice(4, 10), slice(1, None, 3), slice(9, 9)]
)
def test_rows_get_the_numbers_of_the_whole_batch(rows):
    whole, part = Draws(1, 2, 10), Draws(1, 2, 10, rows)
    assert len(part) == len(range(10)[rows])
    for shape in [(), (3,), (2, 2)]:
        expected = whole.uniform(*shape, low=-2, high=5)[rows]
        assert torch.equal(part.uniform(*shape, low=-2, high=5), expected)


def test_numbers_fill_their_range():
    drawn = Draws(0, 0, 10_000).uniform(low=-2, high=5)
    assert drawn.dtype == torch.float32
    assert -2 <= drawn.min() < -1.99
    assert 4.99 < drawn.max() <= 5
    assert drawn.mean() == pytest.approx(1.5, abs=0.1)
    assert drawn.std() == pytest.approx(7 / 12**0.5, abs=0.1)


def test_a_step_begins_in_a_tenth_of_a_millisecond():
    def seconds():
        start = time.perf_counter()
        for step in range(100):
            Draws(0, step, 64)
        return (time.perf_counter() - start) / 100

    assert min(seconds() for _ in range(5)) < 1e-4


@pytest.mark.parametrize("key", [(-1, 0), (0, -5)])
def test_a_negative_seed_or_step_is_an_error(key):
    message = rf"seed {key[0]} and step {key[1]}; give both as 0 or more"
    with pytest.raises(ReIDConfigError, match=message):
        Draws(*key, 4)


def test_single_numbers_can_be_wanted_elsewhere():
    draws = Draws(3, 7, 5, device="meta")  # a device that gives nothing back
    assert draws.uniform(2).device.type == "meta"
    here = draws.uniform(2, device="cpu")
    twin = Draws(3, 7, 5)
    twin.uniform(2)
    assert torch.equal(here, twin.uniform(2))


def test_a_batch_of_pairs_brings_nothing_back_from_the_device():
    images = torch.zeros(6, 3, 32, 16, dtype=torch.uint8)
    data = PairBatches(images, [0, 0, 0, 1, 1, 1], np.full((6, 25, 2), 0.5))
    data.to(torch.device("meta"))
    batch = data.batch(torch.arange(4), Draws(0, 1, 4, device="meta"))
    assert {t.device.type for t in batch.values()} == {"meta"}
    assert batch["source"].shape == (4, 3, 32, 16)
