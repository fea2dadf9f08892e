"""Intervals and comparisons: coverage, seeds, closed forms, refusals."""

import dataclasses

import numpy as np
import pytest

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import (
    Comparison,
    Interval,
    bootstrap,
    evaluate_distances,
    paired_bootstrap,
)


def system(seed=0, n_ids=40, per_id=3, gap=1.0, **options):
    """Random distances in which matches are nearer by gap."""
    rng = np.random.default_rng(seed)
    query_pids = np.repeat(np.arange(1, n_ids + 1), per_id)
    gallery_pids = np.repeat(np.arange(1, n_ids + 1), 4)
    distances = rng.normal(size=(len(query_pids), len(gallery_pids)))
    distances -= gap * (query_pids[:, None] == gallery_pids)
    cams = np.ones(len(query_pids)), np.full(len(gallery_pids), 2)
    return evaluate_distances(distances, query_pids, gallery_pids, *cams, **options)


def part_of(result, chosen):
    """The result of some queries alone; what bootstrap reads of it."""
    return dataclasses.replace(
        result,
        average_precision=result.average_precision[chosen],
        first_match=result.first_match[chosen],
        inp=result.inp[chosen],
        query_pids=result.query_pids[chosen],
    )


def test_intervals_hold_the_values_of_the_result():
    result = system()
    intervals = bootstrap(result)
    assert list(intervals) == ["rank1", "rank5", "rank10", "mAP", "mINP"]
    expected = [
        result.rank(1),
        result.rank(5),
        result.rank(10),
        result.mAP,
        result.mINP,
    ]
    for interval, value in zip(intervals.values(), expected, strict=True):
        assert interval.value == pytest.approx(value)
        assert interval.low < value < interval.high


def test_equal_seeds_give_equal_intervals():
    result = system()
    assert bootstrap(result, seed=3) == bootstrap(result, seed=3)
    assert bootstrap(result, seed=3) != bootstrap(result, seed=4)


def test_interval_agrees_with_a_loop_over_drawn_identities():
    result = system(n_ids=12)
    rng = np.random.default_rng(9)
    pids = np.unique(result.query_pids)
    means = []
    for _ in range(4000):
        drawn = rng.choice(pids, len(pids))
        rows = [np.flatnonzero(result.query_pids == pid) for pid in drawn]
        means.append(result.average_precision[np.concatenate(rows)].mean())
    interval = bootstrap(result, n_boot=4000, level=0.9)["mAP"]
    low, high = np.quantile(means, [0.05, 0.95])
    assert interval.low == pytest.approx(low, abs=0.006)
    assert interval.high == pytest.approx(high, abs=0.006)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth = np.mean([system(seed, n_ids=300).mAP for seed in range(100, 103)])
    # a fixed gallery size, or the task itself would change
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        whole = system(1000 + seed, n_ids=300)
        chosen = np.isin(whole.query_pids, rng.choice(300, 40, replace=False) + 1)
        part = part_of(whole, chosen)
        interval = bootstrap(part, n_boot=400, level=0.9)["mAP"]
        covered += interval.low <= truth <= interval.high
    assert 46 <= covered <= 60  # 54 expected, standard deviation 2.3


def test_queries_of_one_identity_are_drawn_together():
    single = system(n_ids=30, per_id=1)
    tripled = part_of(single, np.repeat(np.arange(30), 3))
    few, many = bootstrap(single)["mAP"], bootstrap(tripled)["mAP"]
    assert many.low == pytest.approx(few.low)  # three copies of a query are no news
    assert many.high == pytest.approx(few.high)


def test_identical_systems_do_not_differ():
    comparison = paired_bootstrap(system(), system())
    assert comparison == Comparison(0.0, 0.0, 0.0, 1.0)


def test_a_better_system_is_found_and_the_sign_favours_a():
    comparison = paired_bootstrap(system(1, gap=2.0), system(2, gap=1.0))
    assert 0 < comparison.low < comparison.difference < comparison.high
    assert comparison.p_value < 0.01
    swapped = paired_bootstrap(system(2, gap=1.0), system(1, gap=2.0))
    assert swapped.difference == pytest.approx(-comparison.difference)
    assert swapped.p_value == comparison.p_value


def test_difference_is_that_of_the_summaries():
    a, b = system(1), system(2)
    for metric, expected in [
        ("mAP", a.mAP - b.mAP),
        ("mINP", a.mINP - b.mINP),
        ("rank5", a.rank(5) - b.rank(5)),
    ]:
        assert paired_bootstrap(a, b, metric).difference == pytest.approx(expected)


def test_p_value_agrees_with_all_sign_flips():
    a, b = system(3, n_ids=8, per_id=2), system(4, n_ids=8, per_id=2)
    gaps = (a.average_precision - b.average_precision).reshape(8, 2).sum(axis=1)
    flips = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    exact = np.mean(np.abs(flips @ gaps) >= abs(gaps.sum()) - 1e-9)
    p_value = paired_bootstrap(a, b, n_boot=20000).p_value
    assert p_value == pytest.approx(exact, abs=0.015)


def test_p_values_of_equal_systems_are_spread_evenly():
    pairs = [(system(2 * i), system(2 * i + 1)) for i in range(100)]
    values = [paired_bootstrap(a, b, n_boot=200).p_value for a, b in pairs]
    assert sum(p <= 0.1 for p in values) <= 20  # 10 expected
    assert 0.35 < np.mean(values) < 0.65


def test_skipped_orphans_take_no_part():
    cams = np.ones(4), np.full(3, 2)
    distances = np.random.default_rng(0).normal(size=(4, 3))
    result = evaluate_distances(distances, [1, 2, 3, 9], [1, 2, 3], *cams)
    assert bootstrap(result)["mAP"].value == pytest.approx(result.mAP)
    assert np.isfinite(bootstrap(result)["rank1"].low)


def test_intervals_and_comparisons_print_on_one_line():
    assert str(Interval(0.612, 0.571, 0.649)) == "0.61 [0.57, 0.65]"
    text = str(Comparison(0.021, -0.004, 0.05, 0.0912))
    assert text == "+0.02 [-0.00, +0.05], p = 0.091"


def test_different_queries_or_conventions_are_refused():
    with pytest.raises(ReIDConfigError, match="different queries"):
        paired_bootstrap(system(), system(n_ids=41))
    with pytest.raises(ReIDConfigError, match="trapezoid AP"):
        paired_bootstrap(system(), system(ap="trapezoid"))
    with pytest.raises(ReIDConfigError, match="dukemtmc"):
        paired_bootstrap(system(), system(protocol="dukemtmc"), "rank1")
    with pytest.raises(ReIDConfigError, match="evaluate both alike"):
        paired_bootstrap(system(), system(ties="best"), "rank1")
    with pytest.raises(ReIDConfigError, match="rank<k>|rank1"):
        paired_bootstrap(system(), system(), "accuracy")


def test_too_little_to_resample_is_refused():
    with pytest.raises(ReIDDataError, match="two or more"):
        bootstrap(system(n_ids=1))
    with pytest.raises(ReIDConfigError, match="n_boot"):
        bootstrap(system(), n_boot=0)
    with pytest.raises(ReIDConfigError, match="level"):
        bootstrap(system(), level=1.0)
