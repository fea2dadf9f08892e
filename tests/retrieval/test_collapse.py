"""Collapsed and healthy features, and the numbers behind the verdict."""

import numpy as np
import pytest

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import detect_collapse


def healthy(n=200, d=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_spread_features_have_not_collapsed():
    found = detect_collapse(healthy())
    assert not found.collapsed
    assert found.reasons == ()
    assert found.effective_dimensions > 30
    assert "not collapsed" in str(found)


def test_positive_features_of_many_people_have_not_collapsed():
    found = detect_collapse(np.maximum(healthy(), 0) + 1)
    assert found.mean_cosine > 0.7
    assert not found.collapsed


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.ones((50, 8)), "pairs"),
        (1 + 1e-4 * healthy(50, 8), "pairs"),
        (np.zeros((50, 8)), "rows are zero"),
        (np.repeat(healthy(5, 8), 10, axis=0), "repeat another"),
        (
            np.linspace(-1, 2, 50)[:, None] * healthy(1, 8) + healthy(1, 8, 1),
            "of 8 dimensions",
        ),
    ],
)
def test_collapsed_features_are_told_with_the_reason(features, words):
    found = detect_collapse(features)
    assert found.collapsed
    assert any(words in reason for reason in found.reasons)
    assert str(found).startswith("collapsed: ")


def test_the_numbers_agree_with_loops():
    rows = healthy(12, 5, 3)
    rows[4] = rows[3]
    rows[:, 2] = 7
    rows[9] = 0
    found = detect_collapse(rows, alike=0.9)
    unit = [r / (np.linalg.norm(r) or 1) for r in rows]
    cosines = [a @ b for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
    assert found.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-6)
    assert found.alike == np.mean(np.array(cosines) >= 0.9)
    assert found.copies == pytest.approx(1 / 12)
    assert found.zeros == pytest.approx(1 / 12)
    assert found.dead_columns == 0  # the row of zeros differs
    values = np.linalg.eigvalsh(np.cov(np.array(unit).T))
    wanted = values.sum() ** 2 / (values**2).sum()
    assert found.effective_dimensions == pytest.approx(wanted, rel=1e-5)
    wide = detect_collapse(healthy(10, 40)).effective_dimensions
    assert 5 < wide <= 9


def test_rows_are_drawn_by_the_seed():
    a, b = (detect_collapse(healthy(500), max_rows=100, seed=s) for s in (0, 1))
    assert a.n_rows == b.n_rows == 100
    assert a.mean_cosine != b.mean_cosine
    assert a == detect_collapse(healthy(500), max_rows=100, seed=0)


def test_few_columns_are_no_collapse_but_a_line_in_them_is():
    assert not detect_collapse(healthy(100, 2)).collapsed
    line = detect_collapse(np.r_[np.ones((50, 2)), np.tile([2.0, -1], (50, 1))])
    assert line.effective_dimensions == pytest.approx(1)
    assert line.collapsed


@pytest.mark.parametrize(
    ("features", "options", "error", "words"),
    [
        (np.ones((1, 4)), {}, ReIDConfigError, "1 row says nothing"),
        (np.ones((5, 4)), {"few": 0}, ReIDConfigError, "few=0"),
        (np.ones((5, 4)), {"alike": 1.5}, ReIDConfigError, "alike=1.5"),
        (np.full((5, 4), np.nan), {}, ReIDDataError, "NaN"),
    ],
)
def test_wrong_input_is_refused(features, options, error, words):
    with pytest.raises(error, match=words):
        detect_collapse(features, **options)
