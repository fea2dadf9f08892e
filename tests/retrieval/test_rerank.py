"""k-reciprocal re-ranking against a brute force that follows the paper in loops."""

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import (
    evaluate_distances,
    k_reciprocal_distance,
    ranking,
    reranked_distance,
)
from reidlib.retrieval.rerank import PRESETS


def brute_force(query, gallery, k1, k2, lambda_value):
    """Steps 1-8 with Python sets and lists, in float64."""
    items = np.concatenate([query, gallery]).astype(float)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    n = len(items)
    distance = np.array([[((a - b) ** 2).sum() for b in items] for a in items])
    distance = np.array([row / row.max() for row in distance])
    rank = [
        sorted(range(n), key=lambda j, i=i: (distance[i, j], j != i, j))
        for i in range(n)
    ]

    def reciprocal(i, k):
        return {j for j in rank[i][: k + 1] if i in rank[j][: k + 1]}

    half = int(np.around(k1 / 2))
    vectors = np.zeros((n, n))
    for i in range(n):
        base = reciprocal(i, k1)
        grown = set(base)
        for q in base:
            near = reciprocal(q, half)
            if 3 * len(near & base) > 2 * len(near):
                grown |= near
        for j in grown:
            vectors[i, j] = np.exp(-distance[i, j])
        vectors[i] /= vectors[i].sum()
    if k2 > 1:
        vectors = np.array(
            [np.mean([vectors[j] for j in r[:k2]], axis=0) for r in rank]
        )
    result = np.zeros((len(query), len(gallery)))
    for i in range(len(query)):
        for j in range(len(query), n):
            shared = sum(min(a, b) for a, b in zip(vectors[i], vectors[j], strict=True))
            jaccard = 1 - shared / (2 - shared)
            result[i, j - len(query)] = (
                1 - lambda_value
            ) * jaccard + lambda_value * distance[i, j]
    return result


def clusters(seed, n_query=15, n_gallery=40, n_ids=6, noise=0.7):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_ids, 8))
    pids = rng.integers(0, n_ids, n_query + n_gallery)
    features = centres[pids] + noise * rng.normal(size=(len(pids), 8))
    return features[:n_query], features[n_query:], pids[:n_query], pids[n_query:]


@pytest.mark.parametrize("lambda_value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("k1", "k2"), [(20, 6), (7, 3), (5, 1), (1, 1), (6, 12), (3, 2)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_brute_force(seed, k1, k2, lambda_value):
    query, gallery, _, _ = clusters(seed)
    fast = k_reciprocal_distance(query, gallery, k1, k2, lambda_value)
    slow = brute_force(query, gallery, k1, k2, lambda_value)
    assert fast.dtype == np.float32
    assert fast.shape == (15, 40)
    np.testing.assert_allclose(fast, slow, atol=1e-5)


@pytest.mark.parametrize("n_gallery", [1, 3, 12])
def test_fewer_images_than_k1_agree_with_brute_force(n_gallery):
    query, gallery, _, _ = clusters(2, n_query=4, n_gallery=n_gallery)
    np.testing.assert_allclose(
        k_reciprocal_distance(query, gallery),
        brute_force(query, gallery, 20, 6, 0.3),
        atol=1e-5,
    )


def test_blocks_do_not_change_the_result(monkeypatch):
    query, gallery, _, _ = clusters(3)
    whole = k_reciprocal_distance(query, gallery)
    monkeypatch.setattr("reidlib.retrieval.rerank.BLOCK_ITEMS", 300)
    monkeypatch.setattr("reidlib.retrieval.neighbours.BLOCK_ROWS", 7)
    np.testing.assert_allclose(k_reciprocal_distance(query, gallery), whole, atol=1e-6)
    assert ranking.BLOCK_ITEMS > 300


def test_lambda_1_keeps_the_original_order():
    query, gallery, _, _ = clusters(4)
    distance = k_reciprocal_distance(query, gallery, lambda_value=1)
    q, g = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery))
    np.testing.assert_array_equal(np.argsort(distance), np.argsort(-q @ g.T))
    assert distance.max() <= 1


def test_copies_of_a_query_stay_on_top():
    query, gallery, _, _ = clusters(5, n_query=6, n_gallery=30)
    crowd = np.concatenate([gallery, np.repeat(query, 4, axis=0)])
    distance = k_reciprocal_distance(query, crowd, k1=4, k2=2)
    for i, row in enumerate(distance):
        assert set(np.argsort(row)[:4]) == set(range(30 + 4 * i, 34 + 4 * i))


def test_equal_features_give_finite_equal_distances():
    distance = k_reciprocal_distance(np.ones((3, 5)), np.ones((9, 5)), k1=20)
    np.testing.assert_allclose(distance, 0, atol=1e-5)


@pytest.mark.parametrize(("k1", "k2"), [(3, 2), (4, 1), (6, 3)])
def test_ties_put_the_image_itself_first_then_the_lower_index(k1, k2):
    labels = np.random.default_rng(8).integers(0, 3, 36)
    features = np.eye(3)[labels]  # more copies than k1, exact distances
    np.testing.assert_allclose(
        k_reciprocal_distance(features[24:], features[:24], k1, k2),
        brute_force(features[24:], features[:24], k1, k2, 0.3),
        atol=1e-5,
    )


def test_scale_of_the_features_and_their_container_do_not_matter():
    query, gallery, _, _ = clusters(6)
    whole = k_reciprocal_distance(query, gallery)
    scaled = k_reciprocal_distance(
        torch.from_numpy(query * 8), torch.from_numpy(gallery / 4)
    )
    np.testing.assert_allclose(scaled, whole, atol=1e-6)


def test_reranking_helps_where_neighbours_share_identity():
    query, gallery, query_pids, gallery_pids = clusters(7, 30, 300, 20, noise=0.8)
    ids = (query_pids, gallery_pids, np.ones(30), np.full(300, 2))
    before = evaluate_distances(k_reciprocal_distance(query, gallery, 9, 3, 1), *ids)
    after = evaluate_distances(k_reciprocal_distance(query, gallery, 9, 3, 0.3), *ids)
    assert after.mAP > before.mAP + 0.02


@pytest.mark.parametrize("name", ["large", "small"])
def test_a_preset_is_the_setting_of_the_specification(name):
    k1, k2, lambda_value = {"large": (20, 6, 0.3), "small": (7, 3, 0.85)}[name]
    query, gallery, _, _ = clusters(9)
    np.testing.assert_array_equal(
        k_reciprocal_distance(query, gallery, **PRESETS[name]),
        k_reciprocal_distance(query, gallery, k1, k2, lambda_value),
    )
    assert PRESETS[name] == {"k1": k1, "k2": k2, "lambda_value": lambda_value}


@pytest.mark.parametrize("rows", [3, 16, 64, 1024])
def test_many_blocks_agree_with_brute_force(rows, monkeypatch):
    monkeypatch.setattr("reidlib.retrieval.neighbours.BLOCK_ROWS", rows)
    monkeypatch.setattr("reidlib.retrieval.neighbours.PATIENCE", rows // 64)
    query, gallery, _, _ = clusters(10)
    np.testing.assert_allclose(
        k_reciprocal_distance(query, gallery),
        brute_force(query, gallery, 20, 6, 0.3),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"k1": 0},
        {"k1": -3},
        {"k1": 2.5},
        {"k2": 0},
        {"k2": -1},
        {"lambda_value": 1.1},
        {"lambda_value": -0.1},
        {"lambda_value": float("nan")},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    query, gallery, _, _ = clusters(0)
    with pytest.raises(ReIDConfigError, match=next(iter(wrong))):
        k_reciprocal_distance(query, gallery, **wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_numbers_are_refused(value):
    query, gallery, _, _ = clusters(0)
    gallery[3, 1] = value
    with pytest.raises(ReIDDataError, match="1 of 40 rows"):
        k_reciprocal_distance(query, gallery)


def test_features_of_zeros_are_refused():
    query, gallery, _, _ = clusters(0)
    query[2] = 0
    with pytest.raises(ReIDDataError, match="1 of 55 images have features of zeros"):
        k_reciprocal_distance(query, gallery)


def test_features_of_two_encoders_are_refused():
    query, gallery, _, _ = clusters(0)
    with pytest.raises(ReIDConfigError, match="same encoder"):
        k_reciprocal_distance(query, gallery[:, :5])


def test_junk_takes_part_in_no_neighbourhood_and_is_farthest():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(6, 8)), rng.normal(size=(30, 8))
    junk = np.arange(30) % 7 == 3
    found = reranked_distance(query, gallery, junk, **PRESETS["small"])
    alone = k_reciprocal_distance(query, gallery[~junk], **PRESETS["small"])
    np.testing.assert_array_equal(found[:, ~junk], alone)
    assert (found[:, junk] > alone.max()).all()
    moved = reranked_distance(query, gallery, junk & False, **PRESETS["small"])
    assert np.abs(moved[:, ~junk] - alone).max() > 0.01
