"""What each step draws: whole passes, and a few images of each of a few persons."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reidlib.data import Passes, Persons
from reidlib.data.sampling import _shuffled
from reidlib.errors import ReIDConfigError, ReIDDataError


def endless(count, seed):
    number = 0
    while True:
        yield from _shuffled(count, seed, number).tolist()
        number += 1


@given(st.integers(1, 40), st.data())
def test_passes_cut_an_endless_row_of_shuffles_into_batches(count, data):
    batch = data.draw(st.integers(1, count))
    draw, row = Passes(count, batch, 3), endless(count, 3)
    for step in range(2 * count // batch + 2):
        assert draw(step).tolist() == list(islice(row, batch))


@pytest.mark.parametrize("batch", [1, 3, 4, 10])
def test_every_item_comes_once_a_pass_also_across_the_borders_of_batches(batch):
    draw = Passes(10, batch, 0)
    row = torch.cat([draw(step) for step in range(50)])
    passes = [p.tolist() for p in row.split(10) if len(p) == 10]
    assert all(sorted(p) == list(range(10)) for p in passes)
    assert len({tuple(p) for p in passes}) == len(passes)


def samplers(seed):
    pids = np.repeat(np.arange(9), 5)
    return Passes(45, 7, seed), Persons(pids, 4, 3, seed)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_step_depends_on_seed_and_number_alone(kind):
    draw = samplers(5)[kind]
    asked_in_order = [draw(step) for step in range(30)]
    _shuffled.cache_clear()
    torch.manual_seed(99)  # the global generator has no say
    other = samplers(5)[kind]
    for step in reversed(range(30)):
        assert torch.equal(other(step), asked_in_order[step])
    changed = samplers(6)[kind]
    assert not any(torch.equal(changed(s), asked_in_order[s]) for s in range(30))


@pytest.mark.parametrize("kind", [0, 1])
def test_a_batch_may_be_changed_in_place_without_harm(kind):
    draw = samplers(0)[kind]
    first = draw(0).clone()
    draw(0).zero_()
    assert torch.equal(draw(0), first)
    assert first.dtype == torch.int64


@pytest.mark.parametrize("batch", [0, 11])
def test_a_batch_larger_than_the_data_or_empty_is_refused(batch):
    with pytest.raises(ReIDConfigError, match=f"batch of {batch} cannot.* 10 items"):
        Passes(10, batch, 0)


def test_no_items_make_no_batch():
    with pytest.raises(ReIDConfigError, match="0 items.*more data"):
        Passes(0, 1, 0)


@given(
    st.lists(st.integers(-1, 8), min_size=1, max_size=60),
    st.integers(2, 4),
    st.integers(2, 5),
)
def test_persons_are_as_a_slow_count_says(pids, persons, each):
    images = {p: [i for i, q in enumerate(pids) if q == p] for p in set(pids)}
    eligible = {p for p, i in images.items() if p >= 0 and len(i) > 1}
    if len(eligible) < persons:
        with pytest.raises(ReIDDataError):
            Persons(pids, persons, each, 0)
        return
    draw, a_pass = Persons(pids, persons, each, 0), len(eligible) // persons
    for first in (0, a_pass):
        seen = []
        for step in range(first, first + a_pass):
            rows = draw(step).view(persons, each).tolist()
            for row in rows:
                (person,) = {pids[i] for i in row}
                seen.append(person)
                fair = -(-each // len(images[person]))  # rounds over all images
                assert max(Counter(row).values()) <= fair
                assert len(set(row)) == min(each, len(images[person]))
        assert len(seen) == len(set(seen)) == a_pass * persons
        assert set(seen) <= eligible


def test_persons_and_their_images_are_all_drawn_alike():
    pids = [3, 3, 3, 7, 7, 9, 9, 9, 9, 9, 4]
    draw = Persons(pids, 2, 2, 0)
    counts = torch.cat([draw(step) for step in range(3000)]).bincount(minlength=11)
    people = [counts[:3].sum(), counts[3:5].sum(), counts[5:10].sum()]
    assert [int(p) for p in people] == pytest.approx([4000] * 3, rel=0.1)
    expected = [4000 / 3] * 3 + [2000] * 2 + [800] * 5
    assert counts[:10].tolist() == pytest.approx(expected, rel=0.15)
    assert counts[10] == 0  # a single image has no positive


def test_persons_with_single_images_are_counted_out():
    with pytest.raises(ReIDDataError, match="1 identities have two.*takes 2.*lower"):
        Persons([0, 0, 1, 2, 3], 2, 2, 0)


@pytest.mark.parametrize(("persons", "each"), [(1, 4), (4, 1)])
def test_one_person_or_one_image_makes_no_triplet(persons, each):
    with pytest.raises(ReIDConfigError, match="make no triplets"):
        Persons([0, 0, 1, 1], persons, each, 0)
