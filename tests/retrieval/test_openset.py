"""Operating curves against loops over trials and scikit-learn's ROC."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import identification, openset, verification


def people(seed, n_query=14, n_gallery=70, n_ids=6, noise=1.0, cameras=3):
    rng = np.random.default_rng(seed)
    n = n_query + n_gallery
    pids = rng.integers(-1, n_ids, n)
    pids[:n_query] = np.abs(pids[:n_query])
    features = rng.normal(size=(n_ids + 2, 6))[pids + 1] + noise * rng.normal(
        size=(n, 6)
    )
    camids = rng.integers(0, cameras, n)
    q, g = slice(0, n_query), slice(n_query, n)
    return features[q], features[g], pids[q], pids[g], camids[q], camids[g]


def trials(data, metric):
    """Lists of genuine and impostor distances of each query."""
    query, gallery, qp, gp, qc, gc = data
    for i, f in enumerate(query):
        genuine, impostor = [], []
        for j, g in enumerate(gallery):
            d = np.linalg.norm(f - g)
            if metric == "cosine":
                d = 1 - f @ g / np.linalg.norm(f) / np.linalg.norm(g)
            if gp[j] == -1 or (gp[j] == qp[i] and gc[j] == qc[i]):
                continue
            (genuine if gp[j] == qp[i] else impostor).append(d)
        yield genuine, impostor


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("view", ["pairs", "queries"])
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_that_of_scikit_learn(seed, view, metric):
    data = people(seed)
    curve = verification(*data, view=view, metric=metric)
    genuine, impostor = [], []
    for mine, others in trials(data, metric):
        if view == "pairs":
            genuine += mine
            impostor += others
        elif mine:
            genuine.append(min(mine))
            impostor.append(min(others))
    assert (curve.n_genuine, curve.n_impostor) == (len(genuine), len(impostor))
    truth = [1] * len(genuine) + [0] * len(impostor)
    scores = -np.array(genuine + impostor)
    assert curve.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    fpr, tpr, cut = roc_curve(truth, scores)
    for f, t, c in zip(fpr[1:], tpr[1:], -cut[1:], strict=True):
        low, high = curve.rates(c - 2e-6), curve.rates(c + 2e-6)
        assert low[0] <= f + 1e-12 and f <= high[0] + 1e-12
        assert low[1] <= t + 1e-12 and t <= high[1] + 1e-12
    for wanted in (0.1, 0.3):
        found = curve.threshold(wanted, n_boot=5).value
        assert np.mean(np.array(impostor) <= found - 2e-6) <= wanted + 1e-9
        best = max(t for f, t in zip(fpr, tpr, strict=True) if f <= wanted + 1e-12)
        assert curve.tpr_at(wanted, n_boot=5).value == pytest.approx(best)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_counting_agrees_with_keeping_every_distance(metric, monkeypatch):
    data = people(4, noise=0.8)
    kept = verification(*data, metric=metric)
    monkeypatch.setattr(openset, "EXACT_PAIRS", 10)
    counted = verification(*data, metric=metric)
    assert kept.resolution == 0 < counted.resolution < 0.01
    assert counted.auc == pytest.approx(kept.auc, abs=2e-3)
    assert counted.eer == pytest.approx(kept.eer, abs=5e-3)
    for wanted in (0.05, 0.2):
        a, b = kept.threshold(wanted), counted.threshold(wanted)
        for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high)):
            assert x == pytest.approx(y, abs=0.05)
    for cut in kept.thresholds[::50]:
        # a threshold of the coarse curve lies at most one step below
        low, high = kept.rates(cut - counted.resolution - 1e-6), kept.rates(cut + 1e-6)
        for x, y, z in zip(low, counted.rates(cut), high, strict=True):
            assert x <= y <= z


def loop_identification(data, away):
    """Distances at which known queries are found, and unknown ones raise an alarm."""
    found, alarms = [], []
    query, gallery, qp, gp, qc, gc = data
    keep = ~np.isin(gp, away)
    data = (query, gallery[keep], qp, gp[keep], qc, gc[keep])
    for mine, others in trials(data, "cosine"):
        if mine:
            found.append(min(mine) if min(mine) < min(others) else np.inf)
        else:
            alarms.append(min(others))
    return np.array(found), np.array(alarms)


@pytest.mark.parametrize("away", [[0, 2], [1, 3, 5]])
@pytest.mark.parametrize("seed", range(3))
def test_identification_agrees_with_loops(seed, away):
    data = people(seed, n_query=30)
    curve = identification(*data, unknown=away)
    found, alarms = loop_identification(data, away)
    assert (curve.n_genuine, curve.n_impostor) == (len(found), len(alarms))
    for cut in np.linspace(0, 1.2, 13):
        wanted = (np.mean(alarms <= cut), np.mean(found <= cut))
        np.testing.assert_allclose(curve.rates(cut), wanted)
    assert curve.tpr[-1] == np.mean(np.isfinite(found))  # rank-1 without a threshold


def test_a_share_of_unknown_people_is_drawn_by_the_seed():
    data = people(1, n_query=40)
    a, b = (identification(*data, unknown=0.5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.tpr, b.tpr)
    others = {identification(*data, unknown=0.5, seed=s).n_impostor for s in range(9)}
    assert len(others) > 1


def test_queries_of_nobody_in_the_gallery_are_unknown_without_asking():
    data = list(people(2))
    data[2] = np.where(data[2] == 3, 99, data[2])
    curve = identification(*data)
    assert curve.n_impostor >= (data[2] == 99).sum() > 0


def test_people_who_are_apart_can_be_told_without_error():
    data = people(5, noise=0.001)
    curve = verification(*data, metric="euclidean")
    assert curve.auc == pytest.approx(1)
    assert curve.eer == 0
    assert curve.tpr_at(0.01).low == 1


def test_equal_features_accept_all_or_nothing():
    _, _, *ids = people(6)
    curve = verification(np.ones((14, 3)), np.ones((70, 3)), *ids)
    assert curve.threshold(0.1).value == -np.inf
    assert curve.tpr_at(0.1).value == 0
    assert curve.auc == pytest.approx(0.5)


def test_the_interval_covers_the_threshold_of_a_larger_world():
    truth = verification(*people(7, 400, 400, 60)).threshold(0.05, n_boot=1).value
    held = 0
    for seed in range(20):
        data = people(7, 400, 400, 60)
        some = np.isin(data[2], np.random.default_rng(seed).permutation(60)[:20])
        data = tuple(v[some] if i % 2 == 0 else v for i, v in enumerate(data))
        found = verification(*data).threshold(0.05, n_boot=200)
        held += found.low <= truth <= found.high
    assert held >= 15  # 95 % in the long run, and the 20 are drawn without replacement


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fpr": 0}, "fpr=0"),
        ({"fpr": 1e-9}, "cannot be measured"),
        ({"fpr": 1.0}, "less than 1"),
        ({"fpr": float("nan")}, "fpr=nan"),
        ({"fpr": 0.1, "n_boot": 0}, "n_boot"),
        ({"fpr": 0.1, "level": 1}, "level"),
    ],
)
def test_impossible_questions_are_refused(wrong, words):
    with pytest.raises(ReIDConfigError, match=words):
        verification(*people(0)).threshold(**wrong)


def test_one_identity_has_no_interval():
    data = list(people(0))
    data[2] = np.zeros(14, int)
    with pytest.raises(ReIDDataError, match="an interval needs two"):
        verification(*data).threshold(0.1)


def test_wrong_arguments_are_refused():
    data = people(0)
    with pytest.raises(ReIDConfigError, match="view='faces'"):
        verification(*data, view="faces")
    with pytest.raises(ReIDConfigError, match="unknown is 1.5"):
        identification(*data, unknown=1.5)
    with pytest.raises(ReIDConfigError, match="pid 77"):
        identification(*data, unknown=[77])
    with pytest.raises(ReIDDataError, match="no genuine trial"):
        verification(*data[:3], np.full(70, 50), *data[4:])


def test_no_unknown_person_is_refused():
    data = list(people(0, cameras=1))
    data[5] = data[5] + 1
    with pytest.raises(ReIDDataError, match="no impostor trial"):
        identification(*data)
