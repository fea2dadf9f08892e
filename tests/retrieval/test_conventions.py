"""Every convention against plain loops over lists, orders and draws."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import (
    PROTOCOLS,
    Conventions,
    Ranking,
    bootstrap,
    evaluate,
    evaluate_distances,
    protocols,
)
from reidlib.retrieval.protocols import CHOICES
from tests.retrieval.twins import lists, marks_of, world

EXACT = {"rtol": 0, "atol": 1e-12}


def toy(seed, n_query=4, n_gallery=12, n_ids=3, n_cams=3, levels=5):
    """Distances with ties, distractors, junk and, by chance, orphans."""
    rng = np.random.default_rng(seed)
    ids = (
        rng.integers(1, n_ids + 1, n_query),
        rng.integers(-1, n_ids + 1, n_gallery),
        rng.integers(1, n_cams + 1, n_query),
        rng.integers(1, n_cams + 1, n_gallery),
    )
    return rng.integers(0, levels, (n_query, n_gallery)).astype(float), ids


def means(found, n_query, orphans):
    """Mean (CMC, AP, INP) of the queries that have a match, or of all with zeros."""
    n = n_query if orphans == "zero" else len(found)
    return [
        sum(np.asarray(part) for part in parts) / n
        for parts in zip(*found, strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_gallery=st.integers(1, 25),
    n_cams=st.integers(1, 3),
    levels=st.sampled_from([1, 3, 8, 1000]),
    ap=st.sampled_from(CHOICES["ap"]),
    cmc=st.sampled_from(["first-match", "all-shots"]),
    ties=st.sampled_from(["worst", "best"]),
    camera=st.sampled_from(CHOICES["same_camera"]),
    junk=st.sampled_from([(-1,), (), (-1, 0), (2,)]),
    orphans=st.sampled_from(["skip", "zero"]),
)
def test_every_convention_equals_plain_loops(
    seed, n_gallery, n_cams, levels, ap, cmc, ties, camera, junk, orphans
):
    distances, ids = toy(seed, 4, n_gallery, 3, n_cams, levels)
    options = {"ap": ap, "cmc": cmc, "ties": ties, "orphans": orphans}
    options |= {"same_camera": camera, "junk_pids": junk}
    ranked = lists(distances, ids, Conventions(**options), ties)
    hits = [[hit for _, hit, _ in row] for row in ranked]
    found = [marks_of(row, ap, cmc) for row in hits if any(row)]
    if not found and orphans == "skip":
        with pytest.raises(ReIDDataError, match="none of the 4 queries"):
            evaluate_distances(distances, *ids, **options)
        return
    result = evaluate_distances(distances, *ids, max_rank=12, **options)
    assert result.n_orphans == 4 - len(found)
    expected = means(found, 4, orphans) if found else [np.zeros(12), 0.0, 0.0]
    for mine, twin in zip((result.cmc, result.mAP, result.mINP), expected, strict=True):
        np.testing.assert_allclose(mine, twin, **EXACT)
    order = np.random.default_rng(seed).permutation(n_gallery)
    moved = (ids[0], ids[1][order], ids[2], ids[3][order])
    shuffled = evaluate_distances(distances[:, order], *moved, max_rank=12, **options)
    np.testing.assert_array_equal(shuffled.cmc, result.cmc)
    assert (shuffled.mAP, shuffled.mINP) == (result.mAP, result.mINP)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    levels=st.integers(1, 4),
    ap=st.sampled_from(CHOICES["ap"]),
    cmc=st.sampled_from(["first-match", "all-shots"]),
)
def test_expected_ties_equal_the_mean_over_all_orders(seed, levels, ap, cmc):
    distances, ids = toy(seed, 2, 6, 2, 3, levels)
    found = []
    for row in lists(distances, ids, Conventions()):
        if any(hit for _, hit, _ in row):
            orders = [
                [item[1] for item in sorted(order, key=lambda item: item[0])]
                for order in permutations(row)
            ]
            marks = [marks_of(order, ap, cmc) for order in orders]
            found.append([np.mean(part, axis=0) for part in zip(*marks, strict=True)])
    options = {"ap": ap, "cmc": cmc, "ties": "expected", "orphans": "zero"}
    result = evaluate_distances(distances, *ids, max_rank=12, **options)
    expected = means(found, 2, "zero") if found else [np.zeros(12), 0.0, 0.0]
    for mine, twin in zip((result.cmc, result.mAP, result.mINP), expected, strict=True):
        np.testing.assert_allclose(mine, twin, **EXACT)


def test_one_tie_of_everything_has_closed_forms():
    n, r = 5000, 40  # of n images in random order r are right
    ids = ([1], np.where(np.arange(n) < r, 1, 2), [1], np.full(n, 2))
    result = evaluate_distances(np.zeros((1, n)), *ids, ties="expected", max_rank=n)
    # E[AP] of a random list: ((r - 1) (n - H) / (n - 1) + H) / n, H = 1 + ... + 1/n
    harmonic = (1 / np.arange(1, n + 1)).sum()
    chance = ((r - 1) * (n - harmonic) / (n - 1) + harmonic) / n
    assert result.mAP == pytest.approx(chance, abs=1e-12)
    assert result.rank(1) == pytest.approx(r / n, abs=1e-12)
    assert result.rank(2) == pytest.approx(1 - (1 - r / n) * (1 - r / (n - 1)))
    assert result.cmc[n - r] == pytest.approx(1, abs=1e-12)


def test_expected_ties_lie_between_the_worst_and_the_best():
    distances, ids = toy(5, 40, 200, 8, 4, 12)
    worst, mean, best = (
        evaluate_distances(distances, *ids, ties=ties)
        for ties in ("worst", "expected", "best")
    )
    assert worst.mAP < mean.mAP < best.mAP
    assert (worst.cmc <= mean.cmc + 1e-12).all()
    assert (mean.cmc <= best.cmc + 1e-12).all()
    assert bootstrap(mean)["rank1"].value == pytest.approx(mean.rank(1))
    for k in (1, 10):
        assert np.nanmean(mean.per_query(f"rank{k}")) == pytest.approx(mean.rank(k))
    with pytest.raises(ReIDConfigError, match="not measured"):
        mean.per_query("rank60")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.integers(1, 20))
def test_together_is_the_average_precision_of_scikit_learn(seed, levels):
    distances, ids = toy(seed, 5, 30, 3, 3, levels)
    result = evaluate_distances(distances, *ids, protocol="open-reid", orphans="zero")
    for value, row in zip(
        result.average_precision, lists(distances, ids, Conventions()), strict=True
    ):
        hits = [hit for _, hit, _ in row]
        if any(hits):
            scores = [-distance for distance, _, _ in row]
            expected = average_precision_score(hits, scores)
            np.testing.assert_allclose(value, expected, **EXACT)


def drawn(row, pids, ties):
    """(CMC, AP) over every draw of one image per identity, orders of ties averaged."""
    people = {}
    for distance, hit, j in row:
        people.setdefault(pids[j], []).append((distance, hit))
    curves, values = [], []
    for draw in product(*people.values()):
        ((score, _),) = [item for item in draw if item[1]]
        below = sum(item[0] < score for item in draw)
        tied = sum(item[0] == score for item in draw) - 1
        spread = {"worst": [tied], "best": [0], "expected": range(tied + 1)}[ties]
        ranks = np.array([below + extra for extra in spread])
        curves.append([(ranks < k).mean() for k in range(1, 13)])
        values.append((1 / (ranks + 1)).mean())
    return np.mean(curves, axis=0), np.mean(values)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([1, 2, 6, 1000]),
    ties=st.sampled_from(["worst", "best", "expected"]),
    camera=st.sampled_from(CHOICES["same_camera"]),
)
def test_single_gallery_shot_equals_the_mean_over_every_draw(
    seed, levels, ties, camera
):
    distances, ids = toy(seed, 3, 10, 4, 2, levels)
    options = {"same_camera": camera, "ties": ties, "orphans": "zero"}
    options["cmc"] = "single-gallery-shot"
    result = evaluate_distances(distances, *ids, max_rank=12, **options)
    ranked = lists(distances, ids, Conventions(**options))
    for query, row in enumerate(ranked):
        curve, ap = np.zeros(12), 0.0
        if any(hit for _, hit, _ in row):
            curve, ap = drawn(row, ids[1], ties)
        np.testing.assert_allclose(result.curves[query], curve, **EXACT)
        single = result.per_query("mAP_single")[query]
        np.testing.assert_allclose(single, ap, **EXACT)
    whole = evaluate_distances(distances, *ids, **options | {"cmc": "first-match"})
    assert result.mAP == whole.mAP


def test_seeded_draws_come_near_the_exact_expectation():
    distances, ids = toy(1, 30, 120, 10, 2, 1000)
    options = {"protocol": "cuhk03-classic"}
    exact = evaluate_distances(distances, *ids, **options)
    ten, again, other = (
        evaluate_distances(distances, *ids, repeats=10, seed=seed, **options)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(ten.cmc, again.cmc)
    assert not np.array_equal(ten.cmc, other.cmc)
    many = evaluate_distances(distances, *ids, repeats=4000, **options)
    np.testing.assert_allclose(many.cmc, exact.cmc, atol=0.01)
    assert many.mAP_single == pytest.approx(exact.mAP_single, abs=0.01)
    order = np.random.default_rng(0).permutation(120)
    moved = (ids[0], ids[1][order], ids[2], ids[3][order])
    shuffled = evaluate_distances(distances[:, order], *moved, repeats=10, **options)
    np.testing.assert_array_equal(shuffled.cmc, ten.cmc)
    assert "10 draws" in str(ten)
    assert "exact" in str(exact)


def test_one_gallery_image_each_gives_map_of_at_least_rank_1():
    data = world(3, n_query=20, n_gallery=60)
    result = evaluate(*data, protocol="cuhk01", junk_pids=(-1, 0))
    assert result.mAP_single >= result.rank(1)
    assert f"mAP_single {result.mAP_single:.1%}" in str(result)
    assert np.isnan(evaluate(*data).mAP_single)


def test_an_orphan_is_left_out_of_single_draws_as_well():
    distances = np.array([[0.1, 0.2], [0.1, 0.2]])
    ids = ([1, 9], [1, 3], [1, 1], [2, 2])
    result = evaluate_distances(distances, *ids, protocol="cuhk01")
    assert (result.rank(1), result.mAP_single, result.n_queries) == (1, 1, 1)
    assert np.isnan(result.per_query("rank1")).tolist() == [False, True]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_is_its_conventions_and_arguments_go_first(protocol):
    distances, ids = toy(7, 6, 40, 3, 3, 1000)
    if PROTOCOLS[protocol].multi_query != "none":
        ids = (np.arange(6) % 3 + 1, ids[1], np.arange(6) // 3 + 1, ids[3])
    result = evaluate_distances(distances, *ids, protocol=protocol)
    rules = PROTOCOLS[protocol]
    assert (result.protocol, result.conventions) == (protocol, rules)
    given_one_by_one = {
        name: getattr(rules, name)
        for name in ("ap", "orphans", "same_camera", "cmc", "ties", "multi_query")
    }
    same = evaluate_distances(distances, *ids, **given_one_by_one)
    np.testing.assert_array_equal(same.cmc, result.cmc)
    assert (same.mAP, same.protocol) == (result.mAP, "market1501")
    changed = evaluate_distances(distances, *ids, protocol=protocol, ap="step")
    assert changed.ap == "step"


def test_the_table_of_protocols_says_what_they_are():
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (protocols.__doc__ or "").splitlines()
        if line.startswith("|")
    ]
    said = {row[0]: row[1:] for row in rows[2:]}
    else_ = {"market1501-mq": "mean pool", "open-reid": "together"}
    assert sorted(said) == sorted(PROTOCOLS)
    for name, rules in PROTOCOLS.items():
        columns = [rules.same_camera, rules.cmc, rules.ap, rules.orphans]
        assert said[name] == [*columns, else_.get(name, "")]
        assert (rules.multi_query == "mean") == (said[name][-1] == "mean pool")
        assert (rules.ties == "together") == (said[name][-1] == "together")


def test_tools_differ_as_their_sources_say():
    assert PROTOCOLS["torchreid"] == PROTOCOLS["market1501"]
    assert (PROTOCOLS["layumi"].ap, PROTOCOLS["layumi"].orphans) == (
        "trapezoid",
        "zero",
    )
    assert PROTOCOLS["open-reid"].cmc == "all-shots"


@pytest.mark.parametrize("camera", CHOICES["same_camera"])
def test_a_ranking_follows_the_same_rules_as_the_marks(camera):
    data = world(6, n_query=10, n_gallery=50)
    options = {"same_camera": camera, "junk_pids": (-1, 3)}
    result = evaluate(*data, orphans="zero", **options)
    ranking = Ranking.from_features(*data, top_k=50, **options)
    for query in range(10):
        hits = ranking.relevant[query][ranking.valid[query]]
        ap = marks_of(hits)[1] if hits.any() else 0
        assert result.average_precision[query] == pytest.approx(ap)


def test_one_image_each_and_all_scores_alike_is_chance():
    # 300 identities in any order: rank 1 to 300, each as likely as the others.
    pids, cams = np.arange(300), np.ones(300, int)
    found = evaluate_distances(
        np.zeros((300, 300)),
        pids,
        pids,
        cams,
        cams + 1,
        cmc="single-gallery-shot",
        ties="expected",
    )
    assert found.rank(1) == pytest.approx(1 / 300)
    assert found.mAP_single == pytest.approx((1 / np.arange(1, 301)).sum() / 300)
