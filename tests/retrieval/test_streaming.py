"""A gallery in blocks earns what the whole gallery earns; multi-query pooling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import Ranking, evaluate, evaluate_stream, pool_queries
from tests.retrieval.twins import world


def blocks_of(gallery, pids, camids, cuts):
    """The gallery cut at some places."""
    edges = [0, *sorted(cuts), len(gallery)]
    return [
        (gallery[a:b], pids[a:b], camids[a:b])
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def integers(data):
    """Features whose float32 products are exact, so that ties are ties anywhere."""
    query, gallery, *ids = data
    return np.round(query), np.round(gallery), *ids


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, 199), max_size=6),
    metric=st.sampled_from(["cosine", "euclidean"]),
    protocol=st.sampled_from(["market1501", "layumi", "open-reid", "market1501-mq"]),
    ties=st.sampled_from(["worst", "best", "expected"]),
)
def test_a_gallery_in_blocks_equals_the_whole(seed, cuts, metric, protocol, ties):
    query, gallery, qp, gp, qc, gc = integers(world(seed))
    options = {"metric": metric, "protocol": protocol, "ties": ties, "ap": "step"}
    whole = evaluate(query, gallery, qp, gp, qc, gc, **options)
    blocks = blocks_of(gallery, gp, gc, cuts)
    parts = evaluate_stream(query, blocks, qp, qc, **options)
    if metric == "euclidean" and protocol != "market1501-mq":  # exact arithmetic
        np.testing.assert_array_equal(parts.cmc, whole.cmc)
        np.testing.assert_array_equal(parts.average_precision, whole.average_precision)
    np.testing.assert_allclose(parts.mAP, whole.mAP, atol=0.01)
    assert parts.query_pids.tolist() == whole.query_pids.tolist()
    assert (parts.protocol, parts.metric) == (protocol, metric)


def test_permuting_exact_features_changes_nothing():
    query, gallery, qp, gp, qc, gc = integers(world(1))
    order = np.random.default_rng(1).permutation(200)
    whole = evaluate(query, gallery, qp, gp, qc, gc, metric="euclidean")
    moved = evaluate(
        query, gallery[order], qp, gp[order], qc, gc[order], metric="euclidean"
    )
    np.testing.assert_array_equal(whole.average_precision, moved.average_precision)
    np.testing.assert_array_equal(whole.inp, moved.inp)


def test_only_blocks_with_a_match_are_multiplied_twice():
    query, gallery, qp, gp, qc, gc = world(2)
    calls = []

    def blocks():
        yield gallery, gp, gc
        for number in range(3):

            def features(number=number):
                calls.append(number)
                return np.random.default_rng(number).normal(size=(50, 8))

            yield features, np.zeros(50, int), np.full(50, 9)

    result = evaluate_stream(torch.from_numpy(query), blocks, qp, qc)
    assert calls == [0, 1, 2]
    away = [np.random.default_rng(n).normal(size=(50, 8)) for n in range(3)]
    whole = evaluate(
        query,
        np.concatenate([gallery, *away]),
        qp,
        np.append(gp, np.zeros(150)),
        qc,
        np.append(gc, np.full(150, 9)),
    )
    np.testing.assert_array_equal(result.first_match, whole.first_match)
    assert result.mAP == pytest.approx(whole.mAP, abs=1e-12)


def test_bad_streams_are_refused_with_a_sentence():
    query, gallery, qp, gp, qc, gc = world()
    good = blocks_of(gallery, gp, gc, [70])
    walks = iter([good, good[:1]])
    for blocks, error, sentence in (
        (iter(good), ReIDConfigError, "can be walked once"),
        ([], ReIDDataError, "hold no image"),
        (lambda: next(walks), ReIDDataError, "200 images first and 70 then"),
        ([(gallery[:9], gp, gc)], ReIDConfigError, "9 features and 200 pids"),
        ([(gallery[:, :3], gp, gc)], ReIDConfigError, "3"),
        ([(gallery, gp, gc[:9])], ReIDConfigError, "gallery_camids"),
        ([(gallery * np.nan, gp, gc)], ReIDDataError, "gallery_features holds NaN"),
        ([(gallery, gp)], ReIDConfigError, "features, pids and camids"),
    ):
        with pytest.raises(error, match=sentence):
            evaluate_stream(query, blocks, qp, qc)
    with pytest.raises(ReIDConfigError, match="draws from the whole gallery"):
        evaluate_stream(query, good, qp, qc, protocol="cuhk01")
    with pytest.raises(ReIDConfigError, match="cosine, euclidean"):
        evaluate_stream(query, good, qp, qc, metric="l1")


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooling_equals_a_loop_over_identities_and_cameras(pooling):
    query, _, pids, _, camids, _ = world(4)
    pooled = pool_queries(query, pids, camids, pooling)
    pairs = list(dict.fromkeys(zip(pids.tolist(), camids.tolist(), strict=True)))
    assert list(zip(pooled.pids, pooled.camids, strict=True)) == pairs
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    for row, (pid, cam) in enumerate(pairs):
        mine = (pids == pid) & (camids == cam)
        expected = getattr(np, pooling)(unit[mine], axis=0)
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(pooled.features[row], expected, atol=1e-6)
        assert (pooled.group == row).tolist() == mine.tolist()
    twice = pool_queries(*pooled[:3], pooling)
    np.testing.assert_allclose(twice.features, pooled.features, atol=1e-6)


def test_pooling_without_normalisation_is_the_plain_mean():
    pooled = pool_queries([[1.0, 3.0], [3.0, 5.0]], [7, 7], [1, 1], normalize=False)
    assert pooled.features.tolist() == [[2.0, 4.0]]


def test_multi_query_evaluates_pooled_queries():
    query, gallery, qp, gp, qc, gc = world(5)
    by_protocol = evaluate(query, gallery, qp, gp, qc, gc, protocol="market1501-mq")
    features, pids, camids, _ = pool_queries(query, qp, qc)
    by_hand = evaluate(features, gallery, pids, gp, camids, gc)
    assert by_protocol.mAP == pytest.approx(by_hand.mAP, abs=1e-9)
    assert len(by_protocol.query_pids) == len(set(zip(qp, qc, strict=True)))
    ranking = Ranking.from_features(
        query, gallery, qp, gp, qc, gc, protocol="market1501-mq", top_k=200
    )
    rows = zip(ranking.relevant, ranking.valid, strict=True)
    first = [hits[kept].argmax() for hits, kept in rows]
    found = by_protocol.first_match >= 0
    assert np.array(first)[found].tolist() == by_protocol.first_match[found].tolist()


def test_bad_pooling_is_refused():
    with pytest.raises(ReIDConfigError, match="mean, max"):
        pool_queries([[1.0]], [1], [1], "sum")
    with pytest.raises(ReIDConfigError, match="query_camids"):
        pool_queries([[1.0]], [1], [1, 2])
    with pytest.raises(ReIDDataError, match="NaN"):
        pool_queries([[np.nan]], [1], [1])
