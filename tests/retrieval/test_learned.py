"""Learned distances against pair loops and scikit-learn's own transforms."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import LearnedMetric, evaluate, fit_metric


def people(seed=0, n=90, n_ids=15, d=5, cameras=3):
    """Identity in the first columns, loud noise in the last two."""
    rng = np.random.default_rng(seed)
    pids, camids = np.arange(n) % n_ids + 1, rng.integers(0, cameras, n)
    noise = rng.normal(size=(n, d)) * np.r_[np.full(d - 2, 0.4), 6, 6]
    features = rng.normal(size=(n_ids + 1, d))[pids] + noise
    return features.astype("f4"), pids, camids


def loop_xqda(features, pids, camids, shrinkage):
    """Covariances of differences pair by pair, then the quadratic form by inverses."""
    x = features.astype(float)
    same, other = [], []
    for i in range(len(x)):
        for j in range(i):
            if camids[i] != camids[j]:
                d = x[i] - x[j]
                (same if pids[i] == pids[j] else other).append(np.outer(d, d))
    same, other = np.mean(same, axis=0), np.mean(other, axis=0)
    same = (1 - shrinkage) * same + shrinkage * np.trace(same) / len(same) * np.eye(
        len(same)
    )
    values, w = np.linalg.eig(np.linalg.solve(same, other))
    w = w[:, values > 1].real
    kernel = np.linalg.inv(w.T @ same @ w) - np.linalg.inv(w.T @ other @ w)
    return w @ kernel @ w.T


@pytest.mark.parametrize("shrinkage", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_xqda_is_the_quadratic_form_of_the_paper(seed, shrinkage):
    features, pids, camids = people(seed)
    found = fit_metric(features, pids, camids, shrinkage=shrinkage).transform(features)
    kernel = loop_xqda(features, pids, camids, shrinkage)
    for i, j in [(0, 1), (3, 18), (40, 7), (2, 80)]:
        d = features[i].astype(float) - features[j]
        mine = ((found[i].astype(float) - found[j]) ** 2).sum()
        assert mine == pytest.approx(d @ kernel @ d, rel=1e-4, abs=1e-5)


def test_lda_and_pca_are_those_of_scikit_learn():
    features, pids, camids = people()
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.01)
    wanted = lda.fit(features, pids).transform(features)
    found = fit_metric(features, pids, camids, method="lda").transform(features)
    shift = wanted - found  # only differences matter
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-3)
    pca = fit_metric(features, pids, method="pca", n_components=3).transform(features)
    wanted = PCA(3, whiten=True, random_state=0).fit_transform(features)
    np.testing.assert_allclose(pca, wanted, atol=1e-3)


@pytest.mark.parametrize("method", ["xqda", "lda"])
def test_a_learned_metric_retrieves_other_people_better(method):
    features, pids, camids = people(3, n=900, n_ids=150)
    train = pids <= 100
    metric = fit_metric(features[train], pids[train], camids[train], method=method)
    test = np.flatnonzero(~train)
    ask, rest = test[::3], np.setdiff1d(test, test[::3])
    ids = (pids[ask], pids[rest], camids[ask], camids[rest])
    plain = evaluate(features[ask], features[rest], *ids, metric="euclidean")
    after = [metric.transform(features[part]) for part in (ask, rest)]
    learned = evaluate(*after, *ids, metric="euclidean")
    assert learned.mAP > plain.mAP + 0.1


@pytest.mark.parametrize("method", ["xqda", "lda", "pca"])
def test_a_saved_metric_is_the_same(method, tmp_path):
    features, pids, camids = people()
    metric = fit_metric(features, pids, camids, method=method, n_components=2)
    metric.save(tmp_path / "deep" / "metric.safetensors")
    again = LearnedMetric.load(tmp_path / "deep" / "metric.safetensors")
    assert again.method == method
    assert metric.transform(features).shape == (90, 2)
    assert metric.transform(features).dtype == np.float32
    np.testing.assert_array_equal(again.transform(features), metric.transform(features))


def test_more_columns_than_images_need_shrinkage():
    features, pids, camids = people(d=120)
    for method in ("xqda", "lda"):
        found = fit_metric(features, pids, camids, method=method, shrinkage=0.1)
        assert np.isfinite(found.transform(features)).all()
        with pytest.raises(ReIDDataError, match="singular at shrinkage=0"):
            fit_metric(
                np.c_[features, np.zeros(90)], pids, camids, method=method, shrinkage=0
            )


def test_junk_and_distractors_teach_nothing():
    features, pids, camids = people()
    more = np.r_[features, 50 * np.ones((4, 5), "f4")]
    a = fit_metric(features, pids, camids)
    b = fit_metric(more, np.r_[pids, 0, 0, -1, -1], np.r_[camids, 0, 1, 0, 1])
    np.testing.assert_array_equal(a.projection, b.projection)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "kissme"}, ReIDConfigError, "method='kissme'"),
        ({"camids": None}, ReIDConfigError, "across cameras"),
        ({"shrinkage": 2}, ReIDConfigError, "shrinkage is 2"),
        ({"n_components": 0}, ReIDConfigError, "n_components is 0"),
        ({"pids": np.ones(4)}, ReIDConfigError, "pids has shape"),
        ({"camids": np.zeros(90)}, ReIDDataError, "different cameras"),
        ({"pids": np.ones(90)}, ReIDDataError, "90 images of 1 identities"),
        ({"pids": np.arange(90) + 1}, ReIDDataError, "teach no distance"),
        ({"features": np.full((90, 5), np.nan)}, ReIDDataError, "NaN"),
    ],
)
def test_wrong_input_is_refused(change, error, words):
    features, pids, camids = people()
    given = {"features": features, "pids": pids, "camids": camids} | change
    with pytest.raises(error, match=words):
        fit_metric(**given)


def test_features_without_identity_teach_nothing():
    base = np.random.default_rng(0).normal(size=(6, 3))
    features, pids = np.tile(base, (2, 1)), np.repeat([1, 2], 6)
    with pytest.raises(ReIDDataError, match="nothing for xqda"):
        fit_metric(features, pids, np.tile([0, 0, 0, 1, 1, 1], 2), shrinkage=0)


def test_other_files_and_widths_are_refused(tmp_path):
    metric = fit_metric(*people())
    with pytest.raises(ReIDConfigError, match="learned on 5"):
        metric.transform(np.ones((2, 4)))
    with pytest.raises(ReIDDataError, match="cannot be read"):
        LearnedMetric.load(tmp_path / "none.safetensors")
    from safetensors.numpy import save_file

    save_file({"mean": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ReIDDataError, match="not a learned metric"):
        LearnedMetric.load(tmp_path / "other.safetensors")
