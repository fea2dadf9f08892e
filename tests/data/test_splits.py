"""The integer generator and the splits made with it, pinned."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reidlib.data import validation_split
from reidlib.data.splits import hold_out, integer_hash
from reidlib.errors import ReIDConfigError, ReIDDataError


def test_the_generator_is_splitmix64():
    # First outputs for seed 1234567, as published with the reference program.
    golden, state, found = 0x9E3779B97F4A7C15, 1234567, []
    for step in range(3):
        found.append(integer_hash((state + step * golden) % 2**64))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_split_of_one_hundred_identities_is_pinned():
    held = hold_out(range(1, 101), 0.25, 0)
    assert len(held) == 25
    digest = hashlib.sha256(json.dumps(held).encode()).hexdigest()
    assert digest.startswith("f3ad24292b91bbba")


@given(
    st.sets(st.integers(-1, 2000), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_a_split_ignores_order_and_keeps_identities_whole(pids, fraction, seed):
    rows = np.array(sorted(pids) * 2)
    mask = validation_split(rows, fraction, seed)
    assert mask.shape == rows.shape
    assert set(rows[mask]).isdisjoint(rows[~mask])
    assert 0 < mask.sum() < len(rows)
    backwards = validation_split(rows[::-1], fraction, seed)
    np.testing.assert_array_equal(backwards[::-1], mask)


@pytest.mark.parametrize(
    ("people", "fraction", "out"),
    [(2, 0.1, 1), (3, 0.1, 1), (4, 0.1, 2), (14, 0.1, 2), (40, 0.1, 4), (3, 0.9, 2)],
)
def test_a_gallery_of_held_out_people_has_two_where_two_remain(people, fraction, out):
    rows = np.repeat(np.arange(people), 3)
    assert validation_split(rows, fraction).sum() == 3 * out


def test_half_an_identity_is_rounded_up():
    assert len(hold_out(range(751), 0.25, 0)) == 188  # 187.75
    assert len(hold_out(range(10), 0.25, 0)) == 3


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(ReIDConfigError, match=r"1\.0 leaves no split"):
        validation_split([1, 2], 1.0)
    with pytest.raises(ReIDDataError, match="1 identities cannot be split"):
        validation_split([4, 4], 0.5)
