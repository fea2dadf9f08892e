"""The symmetric pass against a sort of the whole matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.retrieval import neighbours
from reidlib.retrieval.neighbours import mutual_neighbours


def loop_twin(features, n_query, width):
    """Sort every row of the whole matrix: the row itself, score, index."""
    scores = features @ features.T
    lists = [
        sorted(range(len(row)), key=lambda j, i=i, row=row: (j != i, -row[j], j))
        for i, row in enumerate(scores)
    ]
    return np.array(lists)[:, :width], scores.min(axis=1), scores[:n_query, n_query:]


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 40),
    rows=st.integers(1, 16),
    width=st.integers(1, 12),
    levels=st.integers(1, 6),
    patience=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_lists_minima_and_block_agree_with_a_full_sort(
    n, rows, width, levels, patience, seed
):
    rng = np.random.default_rng(seed)
    features = rng.integers(-levels, levels + 1, (n, 3)).astype("f4")  # exact, ties
    n_query = int(rng.integers(0, n + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_ROWS", rows)
        patch.setattr(neighbours, "PATIENCE", patience)
        lists, scores, lowest, between = mutual_neighbours(
            torch.from_numpy(features), n_query, width
        )
    wanted, minima, block = loop_twin(features, n_query, width)
    np.testing.assert_array_equal(lists, wanted)
    np.testing.assert_array_equal(lowest, minima)
    np.testing.assert_array_equal(between, block)
    assert np.isposinf(scores[:, 0]).all()
    picked = np.take_along_axis(features @ features.T, lists, axis=1)
    np.testing.assert_array_equal(scores[:, 1:], picked[:, 1:])


def test_a_score_and_its_key_turn_into_each_other():
    scores = np.array([np.inf, 3.5, 1e-30, 0, -1e-30, -2, -np.inf], "f4")
    keys = neighbours._falling(scores)
    assert (np.diff(keys.astype(float)) > 0).all()
    np.testing.assert_array_equal(neighbours._rising(keys), scores)
    negative_zero = np.array([-0.0], "f4")
    assert neighbours._falling(negative_zero) == neighbours._falling(scores[3:4])
