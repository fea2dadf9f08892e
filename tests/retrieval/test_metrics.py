"""CMC, mAP and mINP against loop twins, scikit-learn and numbers by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import evaluate, evaluate_distances, metrics, scores
from tests.retrieval.twins import cosine_distances, loop_twin, world


@pytest.mark.parametrize("ap", ["step", "trapezoid"])
@pytest.mark.parametrize("seed", range(5))
def test_evaluate_agrees_with_plain_loops(seed, ap):
    data = world(seed)
    result = evaluate(*data, ap=ap)
    cmc, mean_ap, mean_inp = loop_twin(cosine_distances(*data[:2]), *data[2:], ap)
    np.testing.assert_allclose(result.cmc, cmc)
    assert result.mAP == pytest.approx(mean_ap)
    assert result.mINP == pytest.approx(mean_inp)


@pytest.mark.parametrize("ap", ["step", "trapezoid"])
def test_tied_distances_agree_with_plain_loops_in_the_worst_order(ap):
    data = world(3)
    distances = np.random.default_rng(3).integers(0, 9, (30, 200))
    result = evaluate_distances(distances, *data[2:], ap=ap)
    cmc, mean_ap, mean_inp = loop_twin(distances, *data[2:], ap)
    np.testing.assert_allclose(result.cmc, cmc)
    assert (result.mAP, result.mINP) == pytest.approx((mean_ap, mean_inp))


@pytest.mark.parametrize(("ap", "value"), [("step", 0.805556), ("trapezoid", 0.763889)])
def test_toy_list_of_the_specification(ap, value):
    distances = np.array([[0.1, 0.2, 0.3, 0.4, 0.5]])
    result = evaluate_distances(
        distances, [7], [7, 8, 7, 7, 0], [1], [2, 2, 3, 4, 5], ap=ap
    )
    assert result.mAP == pytest.approx(value, abs=1e-6)
    assert result.mINP == pytest.approx(3 / 4)
    assert metrics.average_precision(np.array([0, 2, 3]), ap) == pytest.approx(
        value, abs=1e-6
    )


def test_step_ap_agrees_with_scikit_learn_without_ties():
    data = world(1)
    result = evaluate(*data)
    scores = -cosine_distances(*data[:2])
    _, _, query_pids, gallery_pids, query_cams, gallery_cams = data
    for i, pid in enumerate(query_pids):
        same = gallery_pids == pid
        kept = (gallery_pids != -1) & ~(same & (gallery_cams == query_cams[i]))
        expected = average_precision_score(same[kept], scores[i, kept])
        assert result.average_precision[i] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_evaluate_equals_evaluate_distances(metric):
    data = world(2)
    gaps = data[0][:, None].astype(float) - data[1][None]
    euclidean = np.linalg.norm(gaps, axis=2)
    distances = cosine_distances(*data[:2]) if metric == "cosine" else euclidean
    result = evaluate(*data, metric=metric)
    given_result = evaluate_distances(distances, *data[2:])
    np.testing.assert_array_equal(result.first_match, given_result.first_match)
    np.testing.assert_allclose(result.average_precision, given_result.average_precision)
    assert (result.metric, given_result.metric) == (metric, "given distances")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.integers(1, 30))
def test_order_of_the_gallery_changes_nothing(seed, levels):
    _, _, *ids = world(seed, n_query=6, n_gallery=40, n_ids=4)
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, levels, (6, 40))
    order = rng.permutation(40)
    whole = evaluate_distances(distances, *ids, orphans="zero")
    ids[1], ids[3] = ids[1][order], ids[3][order]
    shuffled = evaluate_distances(distances[:, order], *ids, orphans="zero")
    np.testing.assert_array_equal(whole.cmc, shuffled.cmc)
    np.testing.assert_array_equal(whole.average_precision, shuffled.average_precision)
    np.testing.assert_array_equal(whole.inp, shuffled.inp)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cmc_never_falls_and_values_stay_in_order(seed):
    result = evaluate(*world(seed, n_query=6, n_gallery=40), orphans="zero")
    assert (np.diff(result.cmc) >= 0).all()
    values = [*result.cmc, result.mAP, result.mINP, *result.average_precision]
    assert min(values) >= 0
    assert max(values) <= 1


def test_junk_images_never_count():
    query, gallery, query_pids, gallery_pids, query_cams, gallery_cams = world(4)
    whole = evaluate(query, gallery, query_pids, gallery_pids, query_cams, gallery_cams)
    for i, (pid, cam) in enumerate(zip(query_pids, query_cams, strict=True)):
        # two copies of the query: its own camera's image, and one nobody can name
        crowded = evaluate(
            query[i : i + 1],
            np.concatenate([gallery, query[[i, i]]]),
            [pid],
            [*gallery_pids, pid, -1],
            [cam],
            [*gallery_cams, cam, cam + 1],
        )
        assert crowded.mAP == pytest.approx(whole.average_precision[i])
        assert crowded.first_match[0] == whole.first_match[i]


def test_distractors_stay_as_negatives():
    distances = np.array([[0.1, 0.2]])
    result = evaluate_distances(distances, [5], [0, 5], [1], [2, 2])
    assert result.mAP == pytest.approx(1 / 2)
    assert result.first_match.tolist() == [1]


def test_constant_features_earn_the_worst_case():
    ones = np.ones((1, 4), "f")
    gallery = np.ones((10, 4), "f")
    pids = np.arange(10)
    result = evaluate(ones, gallery, [3], pids, [1], np.full(10, 2))
    assert result.first_match.tolist() == [9]
    assert result.mAP == pytest.approx(1 / 10)


def test_one_match_per_query_gives_map_of_at_least_rank_1():
    rng = np.random.default_rng(0)
    pids = np.arange(50)
    result = evaluate_distances(
        rng.normal(size=(50, 50)), pids, pids, np.ones(50), np.full(50, 2)
    )
    np.testing.assert_allclose(result.average_precision, 1 / (result.first_match + 1))
    assert result.mAP >= result.rank(1)


def test_small_gallery_carries_the_last_cmc_value():
    result = evaluate_distances(
        [[0.1, 0.2], [0.2, 0.1]] * np.ones((2, 2)), [1, 2], [1, 2], [1, 1], [2, 2]
    )
    np.testing.assert_array_equal(result.cmc, np.ones(50))
    assert len(evaluate(*world(), max_rank=7).cmc) == 7


ORPHANED = (np.array([[0.1, 0.2], [0.1, 0.2]]), [1, 9], [1, 3], [1, 1], [2, 2])


def test_orphans_are_skipped_unless_asked_otherwise():
    result = evaluate_distances(*ORPHANED)
    assert (result.mAP, result.rank(1), result.mINP) == (1, 1, 1)
    assert np.isnan(result.average_precision).tolist() == [False, True]
    assert np.isnan(result.inp).tolist() == [False, True]
    assert result.first_match.tolist() == [0, -1]
    assert (result.n_queries, result.n_orphans) == (1, 1)


def test_orphans_can_count_as_zero():
    result = evaluate_distances(*ORPHANED, orphans="zero")
    assert (result.mAP, result.rank(1), result.mINP) == (0.5, 0.5, 0.5)
    assert (result.n_queries, result.n_orphans) == (2, 1)
    np.testing.assert_array_equal(result.per_query("rank1"), [1, 0])


def test_orphans_can_be_an_error_that_names_them():
    with pytest.raises(ReIDDataError, match=r"1 of 2 queries .* pid 9"):
        evaluate_distances(*ORPHANED, orphans="error")


def test_one_camera_leaves_no_query_and_says_so():
    data = (*world()[:4], np.ones(30), np.ones(200))
    with pytest.raises(ReIDDataError, match="two or more cameras"):
        evaluate(*data)
    with pytest.raises(ReIDDataError, match="30 of 30 queries"):
        evaluate(*data, orphans="error")
    result = evaluate(*data, orphans="zero")
    assert (result.mAP, result.rank(50), result.n_queries) == (0, 0, 30)


def test_torch_numpy_and_lists_give_the_same_result():
    data = world()
    whole = evaluate(*data)
    tensors = [torch.from_numpy(np.asarray(part)) for part in data]
    tensors[0].requires_grad_()
    locked = data[0].copy()
    locked.flags.writeable = False
    for same in (
        evaluate(*tensors),
        evaluate(locked, data[1].tolist(), *[part.tolist() for part in data[2:]]),
    ):
        np.testing.assert_array_equal(whole.average_precision, same.average_precision)


def test_autocast_does_not_round_the_scores():
    data = [torch.from_numpy(part) for part in world(n_gallery=2000)]
    whole = evaluate(*data)
    with torch.autocast("cpu", torch.bfloat16):
        inside = evaluate(*data)
    np.testing.assert_array_equal(whole.average_precision, inside.average_precision)


def test_blocks_of_queries_do_not_change_the_result(monkeypatch):
    data = world()
    whole = evaluate(*data)
    monkeypatch.setattr(scores, "BLOCK_ITEMS", 700)
    monkeypatch.setattr(scores, "BLOCK_ROWS", 1)
    for blocked in (
        evaluate(*data),
        evaluate_distances(cosine_distances(*data[:2]), *data[2:]),
    ):
        np.testing.assert_allclose(whole.average_precision, blocked.average_precision)


def test_distances_of_any_number_type_are_read_and_left_alone():
    ids = world()[2:]
    whole = np.random.default_rng(0).integers(0, 100, (30, 200))
    expected = evaluate_distances(whole, *ids)
    for kind in (np.float16, np.float32, np.float64, np.uint8):
        matrix = whole.astype(kind)
        assert evaluate_distances(matrix, *ids).mAP == expected.mAP
        np.testing.assert_array_equal(matrix, whole)
    half = torch.from_numpy(whole).bfloat16()
    assert evaluate_distances(half, *ids).mAP == expected.mAP


def test_zero_features_are_ranked_and_not_refused():
    data = world()
    data[0][0] = 0
    assert np.isfinite(evaluate(*data).average_precision[0])


def test_result_prints_its_conventions():
    line = str(evaluate(*world(), ap="trapezoid", protocol="dukemtmc", max_rank=5))
    assert "\n" not in line
    for part in ("rank-1 ", "rank-5 ", "mAP ", "dukemtmc", "trapezoid AP", "cosine"):
        assert part in line
    assert "rank-10" not in line


def test_result_is_frozen_and_refuses_unmeasured_ranks():
    result = evaluate(*world())
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mAP = 1.0
    for k in (0, 51):
        with pytest.raises(ReIDConfigError, match="not measured"):
            result.rank(k)
    with pytest.raises(ReIDConfigError, match="rank0"):
        result.per_query("rank0")


def test_per_query_values_average_to_the_summary():
    result = evaluate(*world(n_query=60, n_gallery=60))
    assert np.nanmean(result.per_query("mAP")) == pytest.approx(result.mAP)
    assert np.nanmean(result.per_query("mINP")) == pytest.approx(result.mINP)
    assert np.nanmean(result.per_query("rank5")) == pytest.approx(result.rank(5))
