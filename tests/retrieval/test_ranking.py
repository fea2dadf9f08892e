"""The shared ranking: agreement with the metrics, ties, junk, tables."""

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.retrieval import Ranking, evaluate, evaluate_distances


def labelled(seed=0, n_query=20, n_gallery=90):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_query + n_gallery, 6)).astype("f")
    ids = (
        rng.integers(1, 6, n_query),
        rng.integers(-1, 6, n_gallery),
        rng.integers(1, 4, n_query),
        rng.integers(1, 4, n_gallery),
    )
    return features[:n_query], features[n_query:], ids


def precision_of(ranking, query):
    hits = ranking.relevant[query][ranking.valid[query]]
    places = np.flatnonzero(hits)
    return np.mean([(i + 1) / (place + 1) for i, place in enumerate(places)])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_metrics_agree_with_the_ranking(metric):
    query, gallery, ids = labelled()
    ranking = Ranking.from_features(query, gallery, *ids, metric=metric, top_k=90)
    result = evaluate(query, gallery, *ids, metric=metric)
    for i in range(len(query)):
        assert precision_of(ranking, i) == pytest.approx(result.average_precision[i])
        hits = ranking.relevant[i][ranking.valid[i]]
        assert hits.argmax() == result.first_match[i]


def test_metrics_agree_with_the_ranking_under_ties():
    _, _, ids = labelled(1)
    distances = np.random.default_rng(1).integers(0, 5, (20, 90))
    ranking = Ranking.from_distances(distances, *ids, top_k=90)
    result = evaluate_distances(distances, *ids)
    for i in range(len(distances)):
        assert precision_of(ranking, i) == pytest.approx(result.average_precision[i])


def test_ties_put_irrelevant_images_first_then_the_lower_index():
    ranking = Ranking.from_distances(
        np.array([[1.0, 1.0, 1.0, 0.5]]), [4], [4, 7, 8, 9], [1], [2, 2, 2, 2], top_k=3
    )
    assert ranking.indices.tolist() == [[3, 1, 2]]


def test_ranking_equals_a_full_sort():
    query, gallery, ids = labelled(2)
    gaps = np.linalg.norm(query[:, None] - gallery[None], axis=2)
    ranking = Ranking.from_features(query, gallery, *ids, metric="euclidean", top_k=15)
    np.testing.assert_array_equal(ranking.indices, np.argsort(gaps, axis=1)[:, :15])
    np.testing.assert_allclose(
        ranking.distances, np.sort(gaps, axis=1)[:, :15], atol=1e-5
    )
    cosine = Ranking.from_features(query, gallery, *ids, top_k=1)
    best = torch.cosine_similarity(
        torch.from_numpy(query)[:, None], torch.from_numpy(gallery)[None], dim=2
    ).amax(dim=1)
    np.testing.assert_allclose(cosine.distances[:, 0], 1 - best.numpy(), atol=1e-6)


def test_valid_and_relevant_follow_the_rules():
    query, gallery, ids = labelled(3)
    ranking = Ranking.from_features(query, gallery, *ids, top_k=90)
    query_pids, gallery_pids, query_cams, gallery_cams = ids
    for i in range(len(query)):
        pids, cams = gallery_pids[ranking.indices[i]], gallery_cams[ranking.indices[i]]
        same, here = pids == query_pids[i], cams == query_cams[i]
        np.testing.assert_array_equal(ranking.valid[i], (pids != -1) & ~(same & here))
        np.testing.assert_array_equal(ranking.relevant[i], same & ~here)


def test_top_leaves_junk_out_and_keeps_the_order():
    query, gallery, ids = labelled(4)
    ranking = Ranking.from_features(query, gallery, *ids, top_k=90)
    for i in range(len(query)):
        table = ranking.top(i, 10)
        assert list(table.columns) == ["rank", "index", "distance", "relevant"]
        assert table["rank"].tolist() == list(range(1, 11))
        assert table["distance"].is_monotonic_increasing
        np.testing.assert_array_equal(
            table["index"], ranking.indices[i][ranking.valid[i]][:10]
        )


def test_top_with_junk_keeps_what_does_not_count_in_its_place():
    query, gallery, ids = labelled(4)
    ranking = Ranking.from_features(query, gallery, *ids, top_k=90)
    shown = 0
    for i in range(len(query)):
        table = ranking.top(i, 10, junk=True)
        np.testing.assert_array_equal(table["index"], ranking.indices[i][:10])
        counts = ranking.valid[i][:10]
        np.testing.assert_array_equal(table["rank"] == 0, ~counts)
        assert table["rank"][counts].tolist() == list(range(1, counts.sum() + 1))
        shown += (~counts).sum()
    assert shown > 0


def test_top_is_short_only_when_the_gallery_is():
    query, gallery, ids = labelled(5)
    n_valid = Ranking.from_features(query, gallery, *ids, top_k=500).valid[0].sum()
    whole = Ranking.from_features(query, gallery, *ids, top_k=500)
    assert len(whole.top(0, 500)) == n_valid
    short = Ranking.from_features(query, gallery, *ids, top_k=5)
    with pytest.raises(ReIDConfigError, match="larger top_k"):
        short.top(0, 6)


def test_search_without_labels_has_everything_valid():
    query, gallery, _ = labelled(6)
    ranking = Ranking.from_features(query, gallery, top_k=4)
    assert ranking.valid.all()
    assert not ranking.relevant.any()
    assert ranking.indices.shape == (20, 4)
    assert ranking.n_gallery == 90


def test_impossible_requests_are_refused():
    query, gallery, ids = labelled()
    with pytest.raises(ReIDConfigError, match="top_k"):
        Ranking.from_features(query, gallery, *ids, top_k=0)
    with pytest.raises(ReIDConfigError, match="gallery_pids"):
        Ranking.from_features(query, gallery, ids[0])
    with pytest.raises(ReIDConfigError, match="market1501, dukemtmc, holdout"):
        Ranking.from_distances(np.zeros((20, 90)), *ids, protocol="x")
