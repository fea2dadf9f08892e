"""Counting by rows, by threads, by tensor: one result; products of full precision."""

import numpy as np
import pytest
import torch

from reidlib.retrieval import evaluate, scores
from reidlib.retrieval.counting import count_block, workers
from reidlib.retrieval.truth import Truth
from tests.retrieval.twins import world


def truth_and_scores(seed, levels, n_ids=12, n_gallery=200):
    _, _, *ids = world(seed, n_ids=n_ids, n_gallery=n_gallery)
    values = np.random.default_rng(seed).integers(0, levels, (30, n_gallery))
    return Truth((30, n_gallery), tuple(ids), "market1501"), values.astype(np.float32)


def brute_force(truth, values, query):
    """Irrelevant scores above each match, and those at least as high."""
    matches, junk = truth.split(query)
    rest = np.delete(values[query], np.concatenate([matches, junk, truth.junk]))
    hits = sorted(values[query][matches], reverse=True)
    return [[(rest > h).sum() for h in hits], [(rest >= h).sum() for h in hits]]


@pytest.mark.parametrize("levels", [1, 7, 10**6])
@pytest.mark.parametrize("way", ["rows", "sorted rows", "small steps", "tensor"])
def test_all_ways_of_counting_equal_brute_force(way, levels, monkeypatch):
    if way == "sorted rows":
        monkeypatch.setattr("reidlib.retrieval.counting.MANY", 2)
    if way == "small steps":
        monkeypatch.setattr("reidlib.retrieval.counting.FEW", 0)
        monkeypatch.setattr("reidlib.retrieval.counting.SHRINK", 1)
    if way == "tensor":  # what a GPU does
        monkeypatch.setattr("reidlib.retrieval.counting.on_host", torch.from_numpy)
    truth, values = truth_and_scores(1, levels)
    counts = count_block(values.copy(), truth, 0)
    for query in range(30):
        part = slice(counts.starts[query], counts.starts[query + 1])
        above, upto = brute_force(truth, values, query)
        assert counts.above[part].tolist() == above
        assert counts.upto[part].tolist() == upto


def test_threads_do_not_change_the_counts(monkeypatch):
    monkeypatch.setattr("reidlib.retrieval.counting.WORTH_A_THREAD", 0)
    truth, values = truth_and_scores(2, 9)
    alone = count_block(values.copy(), truth, 0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with workers() as pool:
            assert pool is not None
            both = count_block(values.copy(), truth, 0, pool)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(alone.above, both.above)
    np.testing.assert_array_equal(alone.upto, both.upto)


@pytest.mark.parametrize("n_query", [1, 3, 20])
@pytest.mark.parametrize("n_gallery", [7, 300])
@pytest.mark.parametrize("width", [100, 512, 2048])
def test_collapsed_features_tie_and_earn_the_worst_case(n_query, n_gallery, width):
    query = np.full((n_query, width), 0.37, "f")
    gallery = np.full((n_gallery, width), 0.37, "f")
    ids = (np.ones(n_query), np.arange(n_gallery), np.ones(n_query))
    for metric in ("cosine", "euclidean"):
        result = evaluate(query, gallery, *ids, np.full(n_gallery, 2), metric=metric)
        assert set(result.first_match) == {n_gallery - 1}


def test_bfloat16_products_keep_scores_in_float32_and_the_setting_as_it_was():
    data = world(3, n_query=200, n_gallery=2000, width=64, n_ids=50)
    before = torch.get_float32_matmul_precision()
    exact = evaluate(*data)
    fast = evaluate(*data, precision="bfloat16")
    assert torch.get_float32_matmul_precision() == before
    assert fast.mAP == pytest.approx(exact.mAP, abs=2e-3)  # wider features: 1e-4
    query, gallery = (torch.from_numpy(part) for part in data[:2])
    with scores.products_in("bfloat16"):
        _, block = next(scores.score_blocks(query, gallery, "cosine"))
        assert block.dtype == torch.float32
        assert len(block[0].unique()) > 1900  # bfloat16 scores would tie


def test_the_setting_comes_back_after_an_error():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ValueError, match="inside"), scores.products_in("bfloat16"):
        raise ValueError("inside")
    assert torch.get_float32_matmul_precision() == before


def test_features_are_left_alone():
    data = world(4)
    copies = [part.copy() for part in data]
    evaluate(*data)
    evaluate(*data, metric="euclidean")
    for part, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_junk_at_the_ends_of_the_gallery_changes_nothing():
    query, gallery, qp, gp, qc, gc = world(5)
    order = np.argsort(gp, kind="stable")  # as the files of Market: junk comes first
    whole = evaluate(query, gallery, qp, gp, qc, gc)
    moved = evaluate(query, gallery[order], qp, gp[order], qc, gc[order])
    np.testing.assert_array_equal(whole.first_match, moved.first_match)
    only = evaluate(query, gallery, qp, np.full(200, -1), qc, gc, orphans="zero")
    assert only.mAP == 0
