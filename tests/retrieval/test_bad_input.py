"""Every wrong argument is refused with one sentence, or has a defined meaning."""

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import Ranking, evaluate, evaluate_distances
from tests.retrieval.twins import world


@pytest.mark.parametrize(
    ("option", "value", "listed_names"),
    [
        ("protocol", "viper", "market1501, dukemtmc, holdout"),
        ("metric", "hamming", "cosine, euclidean"),
        ("ap", "11-point", "step, trapezoid"),
        ("orphans", "ignore", "skip, zero, error"),
        ("max_rank", 0, "1 or more"),
    ],
)
def test_unknown_options_are_refused_with_the_choices(option, value, listed_names):
    with pytest.raises(ReIDConfigError, match=listed_names):
        evaluate(*world(), **{option: value})


def changed(position, value):
    data = list(world())
    data[position] = value
    return data


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (changed(0, np.zeros((0, 8))), ReIDDataError, "query_features is empty"),
        (changed(1, np.zeros((0, 8))), ReIDDataError, "gallery_features is empty"),
        (changed(0, np.zeros((30, 9))), ReIDConfigError, "9 columns"),
        (changed(0, np.zeros(30)), ReIDConfigError, r"shape \(30,\)"),
        (changed(1, np.full((200, 8), np.nan)), ReIDDataError, "200 of 200 rows"),
        (changed(2, np.ones(29)), ReIDConfigError, "query_pids has shape"),
        (changed(5, np.ones(9)), ReIDConfigError, "gallery_camids has shape"),
        (changed(3, np.full(200, 1.5)), ReIDConfigError, "whole numbers"),
        (changed(3, np.full(200, "a")), ReIDConfigError, "whole numbers"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(data, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate(*data)


def test_huge_features_are_refused_under_the_euclidean_metric():
    data = changed(1, np.full((200, 8), 1e30))
    with pytest.raises(ReIDDataError, match="too large"):
        evaluate(*data, metric="euclidean")


@pytest.mark.parametrize(
    ("matrix", "error", "sentence"),
    [
        (np.zeros((30, 0)), ReIDDataError, "empty"),
        (np.zeros(30), ReIDConfigError, "shape"),
        (np.full((30, 200), np.nan), ReIDDataError, "NaN"),
        (np.zeros((30, 199)), ReIDConfigError, "gallery_pids"),
    ],
)
def test_bad_distances_are_refused_with_a_sentence(matrix, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate_distances(matrix, *world()[2:])


def test_zero_vectors_have_cosine_0_and_so_a_place_in_the_list():
    query = np.array([[1.0, 0.0]])
    gallery = np.array([[0.0, 0.0], [-1.0, 0.0], [0.6, 0.8]])
    ids = ([1], [1, 2, 3], [1], [2, 2, 2])
    assert evaluate(query, gallery, *ids).first_match.tolist() == [1]
    zeros = evaluate(0 * query, gallery, *ids)
    assert zeros.first_match.tolist() == [2]  # all tie: the worst place
    assert zeros.mAP == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 1])
def test_one_value_that_is_not_finite_is_found_among_all(position, value):
    data = world()
    data[position][7, 3] = value
    with pytest.raises(ReIDDataError, match=r"NaN or infinity in 1 of .* rows"):
        evaluate(*data)
    with pytest.raises(ReIDDataError, match="NaN or infinity"):
        evaluate(*[torch.from_numpy(part) for part in data])


def test_huge_features_are_refused_under_the_cosine_too():
    with pytest.raises(ReIDDataError, match="query_features is too large"):
        evaluate(*changed(0, np.full((30, 8), 1e25)))


def test_features_that_are_no_numbers_are_refused():
    for wrong in ([["a"] * 8] * 30, [[1.0], [1.0, 2.0]]):
        with pytest.raises(ReIDConfigError, match="cannot be read as numbers"):
            evaluate(*changed(0, wrong))


@pytest.mark.parametrize("pid", [np.nan, np.inf])
def test_ids_that_are_not_finite_are_refused(pid):
    with pytest.raises(ReIDConfigError, match="query_pids must be whole numbers"):
        evaluate(*changed(2, np.full(30, pid)))


def test_distances_that_are_no_numbers_are_refused():
    with pytest.raises(ReIDConfigError, match="real numbers"):
        evaluate_distances(np.full((30, 200), "a"), *world()[2:])


@pytest.mark.parametrize("wrong", [-3, 0, 2.5, True, "5", None])
def test_lengths_must_be_whole_and_positive(wrong):
    data = world()
    with pytest.raises(ReIDConfigError, match="max_rank is .*; give a whole number"):
        evaluate(*data, max_rank=wrong)
    with pytest.raises(ReIDConfigError, match="top_k is"):
        Ranking.from_features(*data, top_k=wrong)
    with pytest.raises(ReIDConfigError, match="k is"):
        Ranking.from_features(*data).top(0, wrong)
    if wrong is not None:
        with pytest.raises(ReIDConfigError, match="repeats is"):
            evaluate(*data, cmc="single-gallery-shot", repeats=wrong)


@pytest.mark.parametrize("k", [-1, 0, 51])
def test_ranks_that_were_not_measured_are_refused(k):
    with pytest.raises(ReIDConfigError, match="was not measured"):
        evaluate(*world()).rank(k)


def test_queries_that_a_ranking_does_not_hold_are_refused():
    with pytest.raises(ReIDConfigError, match="query 30 does not exist"):
        Ranking.from_features(*world()).top(30, 1)


def test_a_gallery_smaller_than_max_rank_or_top_k_is_ranked_to_its_end():
    data = world(n_gallery=9, n_ids=2)
    result = evaluate(*data, max_rank=30)
    assert result.cmc.shape == (30,)
    np.testing.assert_array_equal(result.cmc[8:], result.cmc[8])
    assert Ranking.from_features(*data, top_k=30).indices.shape == (30, 9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"same_camera": "remove"}, "drop, keep, drop-all"),
        ({"cmc": "cuhk03"}, "first-match, single-gallery-shot, all-shots"),
        ({"ties": "average"}, "worst, best, expected, together"),
        ({"multi_query": "min"}, "none, mean, max"),
        ({"precision": "float16"}, "float32, bfloat16"),
        ({"junk_pids": (0.5,)}, "tuple of whole numbers"),
        ({"junk_pids": -1}, "tuple of whole numbers"),
        ({"ties": "together", "ap": "trapezoid"}, "no trapezoidal AP"),
        ({"orphan": "skip"}, "option='orphan' is not known"),
    ],
)
def test_unknown_conventions_are_refused_with_the_choices(options, sentence):
    with pytest.raises(ReIDConfigError, match=sentence):
        evaluate(*world(), **options)


def test_distances_cannot_be_pooled():
    with pytest.raises(ReIDConfigError, match="pool_queries"):
        evaluate_distances(
            np.ones((2, 2)), [1, 1], [1, 2], [1, 1], [2, 2], protocol="market1501-mq"
        )


def test_a_smaller_distance_is_nearer_and_no_sign_is_guessed():
    distances = np.array([[-3.0, -1.0]])  # as of negated similarities
    ids = ([5], [5, 6], [1], [2, 2])
    assert evaluate_distances(distances, *ids).mAP == 1
    assert evaluate_distances(-distances, *ids).mAP == 0.5
