"""Clustering quality against loops over pairs and closed cases."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import cluster_quality


def people(noise, n=60, n_ids=5, seed=0):
    rng = np.random.default_rng(seed)
    pids = np.arange(n) % n_ids + 1
    return rng.normal(size=(n_ids + 1, 6))[pids] + noise * rng.normal(size=(n, 6)), pids


@pytest.mark.parametrize("method", ["kmeans", "agglomerative"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_people_far_apart_are_clusters(method, metric):
    found = cluster_quality(*people(0.01), method=method, metric=metric)
    assert (found.nmi, found.ari) == pytest.approx((1, 1))
    assert found.precision == found.recall == found.f_score == 1
    assert found.silhouette > 0.9
    assert (found.n_images, found.n_identities) == (60, 5)


def test_pairs_are_counted_as_a_loop_counts_them():
    features, pids = people(1.2)
    found = cluster_quality(features, pids, metric="euclidean")
    rows = features.astype("f4")
    labels = KMeans(5, n_init=3, random_state=0).fit_predict(rows)
    pairs = list(combinations(range(60), 2))
    together = [labels[i] == labels[j] for i, j in pairs]
    same = [pids[i] == pids[j] for i, j in pairs]
    both = np.sum(np.array(together) & np.array(same))
    assert found.precision == both / np.sum(together)
    assert found.recall == both / np.sum(same)
    wanted = 2 * both / (np.sum(together) + np.sum(same))
    assert found.f_score == pytest.approx(wanted)
    assert found.silhouette == pytest.approx(silhouette_score(features, pids), abs=1e-5)


def test_noise_is_near_chance():
    rng = np.random.default_rng(0)
    found = cluster_quality(rng.normal(size=(200, 8)), rng.integers(1, 6, 200))
    assert abs(found.ari) < 0.05
    assert found.silhouette < 0.05


def test_junk_and_distractors_take_no_part():
    features, pids = people(0.5)
    more = np.concatenate([features, 9 * np.ones((7, 6))])
    labels = np.concatenate([pids, [0, 0, 0, 0, -1, -1, -1]])
    assert cluster_quality(more, labels) == cluster_quality(features, pids)


def test_whole_identities_are_drawn():
    features, pids = people(0.5, n=100, n_ids=10)
    found = cluster_quality(features, pids, max_images=45)
    assert (found.n_images, found.n_identities) == (40, 4)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "dbscan"}, ReIDConfigError, "method='dbscan'"),
        ({"metric": "l1"}, ReIDConfigError, "metric='l1'"),
        ({"pids": np.zeros(3)}, ReIDConfigError, "pids has shape"),
        ({"pids": np.ones(60)}, ReIDDataError, "60 images of 1 identities"),
        ({"pids": np.arange(60) + 1}, ReIDDataError, "make no clusters"),
        ({"max_images": 20_000, "method": "agglomerative"}, ReIDConfigError, "kmeans"),
    ],
)
def test_wrong_input_is_refused(change, error, words):
    features, pids = people(0.5)
    with pytest.raises(error, match=words):
        cluster_quality(**{"features": features, "pids": pids} | change)
