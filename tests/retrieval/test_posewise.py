"""Pose-conditioned metrics against loops over pairs, and `evaluate` for one bin."""

import numpy as np
import pytest

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import (
    by_pose_cluster,
    by_pose_distance,
    evaluate,
    heading_difference,
    pose_distance,
)


def people(seed, n_query=12, n_gallery=60, n_ids=5, cameras=3):
    rng = np.random.default_rng(seed)
    n = n_query + n_gallery
    pids = rng.integers(-1, n_ids, n)
    centres = rng.integers(-2, 3, (n_ids + 2, 4))
    features = centres[pids + 1] + rng.integers(-1, 2, (n, 4)) + 5.0
    camids = rng.integers(0, cameras, n)
    q, g = slice(0, n_query), slice(n_query, n)
    data = (features[q], features[g], pids[q], pids[g], camids[q], camids[g])
    return data, rng


def loop_twin(data, group, n_groups, trapezoid=False):
    """AP and rank-1 of each query and group; irrelevant images first among equals."""
    query, gallery, qp, gp, qc, gc = data
    precision = np.full((len(query), n_groups), np.nan)
    hit = precision.copy()
    for i in range(len(query)):
        distance = ((gallery - query[i]) ** 2).sum(axis=1)
        match = [gp[j] == qp[i] != -1 and gc[j] != qc[i] for j in range(len(gallery))]
        for g in range(n_groups):
            listed = []
            for j in range(len(gallery)):
                if match[j] and group(i, j) == g:
                    listed.append((distance[j], 1))
                elif gp[j] not in (-1, qp[i]):
                    listed.append((distance[j], 0))
            right = [r for _, r in sorted(listed)]
            if sum(right):
                at = np.flatnonzero(right)
                after = [(k + 1) / (r + 1) for k, r in enumerate(at)]
                before = [k / r if r else 1 for k, r in enumerate(at)]
                values = np.mean([before, after], 0) if trapezoid else after
                precision[i, g], hit[i, g] = np.mean(values), right[0]
    return precision, hit


@pytest.mark.parametrize("ap", ["step", "trapezoid"])
@pytest.mark.parametrize("seed", range(6))
def test_bins_of_heading_agree_with_loops(seed, ap):
    data, rng = people(seed)
    a, b = rng.uniform(-400, 400, 12), rng.uniform(-400, 400, 60)
    edges = [10, 60, 120, 150]
    curve = by_pose_distance(
        *data,
        query_headings=a,
        gallery_headings=b,
        bins=edges,
        metric="euclidean",
        ap=ap,
    )

    def group(i, j):
        angle = np.rad2deg(np.arccos(np.cos(np.deg2rad(a[i] - b[j]))))
        return next((g for g in range(3) if edges[g] <= angle < edges[g + 1]), None)

    precision, hit = loop_twin(data, group, 3, ap == "trapezoid")
    np.testing.assert_allclose(curve.average_precision, precision, atol=1e-12)
    np.testing.assert_allclose(curve.hit, hit)
    np.testing.assert_allclose(curve.mAP, np.nanmean(precision, axis=0), atol=1e-12)
    np.testing.assert_allclose(curve.rank1, np.nanmean(hit, axis=0))
    assert curve.unit == "degrees"
    assert curve.n_queries.tolist() == (~np.isnan(precision)).sum(axis=0).tolist()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("protocol", ["market1501", "layumi"])  # of unlike AP
def test_one_bin_over_everything_is_evaluate(metric, protocol):
    data, rng = people(3)
    curve = by_pose_distance(
        *data,
        query_headings=rng.uniform(0, 360, 12),
        gallery_headings=rng.uniform(0, 360, 60),
        bins=[0, 180],
        metric=metric,
        protocol=protocol,
    )
    whole = evaluate(*data, metric=metric, protocol=protocol, orphans="skip")
    np.testing.assert_allclose(curve.average_precision[:, 0], whole.average_precision)
    np.testing.assert_allclose(
        [curve.mAP[0], curve.rank1[0]], [whole.mAP, whole.cmc[0]]
    )
    assert curve.n_unknown == 0
    assert curve.n_queries[0] == whole.n_queries


@pytest.mark.parametrize("seed", range(4))
def test_the_map_of_clusters_agrees_with_loops(seed):
    data, rng = people(seed)
    rows, columns = rng.integers(0, 3, 12), rng.integers(-1, 4, 60)
    found = by_pose_cluster(
        *data, query_clusters=rows, gallery_clusters=columns, metric="euclidean"
    )
    precision, hit = loop_twin(data, lambda i, j: columns[j], 4)
    for k in range(3):
        for j in range(4):
            mine = precision[rows == k, j]
            assert found.n_queries[k, j] == (~np.isnan(mine)).sum()
            if found.n_queries[k, j]:
                assert found.mAP[k, j] == pytest.approx(np.nanmean(mine), abs=1e-12)
                assert found.rank1[k, j] == np.nanmean(hit[rows == k, j])
            else:
                assert np.isnan(found.mAP[k, j])
                assert found.n_matches[k, j] == 0


def body(seed, count):
    rng = np.random.default_rng(seed)
    poses = rng.uniform(0, 100, (count, 25, 3))
    poses[rng.random((count, 25)) < 0.3] = (np.nan, np.nan, 0)
    poses[:, [9, 12, 2, 5], 2] = 1
    poses[:, [9, 12, 2, 5], :2] = rng.uniform(10, 90, (count, 4, 2))
    return poses


def slow_pose_distance(a, b):
    def frame(pose):
        hip, shoulder = (pose[9] + pose[12]) / 2, (pose[2] + pose[5]) / 2
        size = np.hypot(*(shoulder - hip)[:2])
        return [(p[:2] - (hip + shoulder)[:2] / 2) / size for p in pose]

    apart = [np.hypot(*(p - q)) for p, q in zip(frame(a), frame(b), strict=True)]
    return np.nanmean(apart)


def test_pose_distance_agrees_with_a_loop_over_joints():
    poses = body(0, 8)
    for a, b in zip(poses[:4], poses[4:], strict=True):
        assert pose_distance(a, b) == pytest.approx(slow_pose_distance(a, b), abs=1e-12)
    np.testing.assert_allclose(
        pose_distance(poses[0], poses), [pose_distance(poses[0], p) for p in poses]
    )


def test_pose_distance_ignores_where_and_how_large_the_person_is():
    a, b = body(1, 2)
    moved = a * [3, 3, 1] + [40, -7, 0]
    assert pose_distance(moved, a) == pytest.approx(0, abs=1e-12)
    assert pose_distance(moved, b) == pytest.approx(pose_distance(a, b))
    assert pose_distance(a, b) == pose_distance(b, a)


def test_poses_without_a_torso_or_enough_joints_have_no_distance():
    a, b = body(2, 2)
    headless, flat = a.copy(), a.copy()
    headless[2] = (np.nan, np.nan, 0)
    flat[[9, 12, 2, 5], :2] = 5
    few = a.copy()
    few[[i for i in range(25) if i not in (9, 12, 2, 5, 0)]] = (np.nan, np.nan, 0)
    for broken in (headless, flat, few):
        assert np.isnan(pose_distance(broken, b))


def test_matches_without_a_distance_count_for_no_bin():
    data, _ = people(5)
    query, gallery = body(3, 12), body(4, 60)
    query[:6] = np.nan
    curve = by_pose_distance(*data, query_poses=query, gallery_poses=gallery, bins=3)
    assert np.isnan(curve.average_precision[:6]).all()
    result = evaluate(*data)
    relevant = [
        (data[3] == p) & (data[5] != c) & (p != -1)
        for p, c in zip(data[2], data[4], strict=True)
    ]
    total = int(np.sum(relevant))
    assert curve.n_matches.sum() + curve.n_unknown == total
    assert curve.n_unknown == int(np.sum(relevant[:6]))
    assert curve.unit == "torso lengths"
    assert np.ptp(curve.n_matches) <= 2  # quantiles share the matches out
    assert result.n_queries >= curve.n_queries.max()


def test_a_descriptor_that_knows_the_heading_falls_with_the_angle():
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(40), 12)
    heading = rng.uniform(0, 360, 480)
    turn = np.deg2rad(heading)
    who = rng.normal(size=(40, 16))[pids]
    features = np.c_[who, 3 * np.cos(turn), 3 * np.sin(turn)]
    query = np.arange(480) % 12 == 0
    data = (features[query], features[~query], pids[query], pids[~query])
    curve = by_pose_distance(
        *data,
        np.zeros(40),
        np.ones(440),
        query_headings=heading[query],
        gallery_headings=heading[~query],
        bins=[0, 45, 90, 135, 180],
    )
    assert (np.diff(curve.mAP) < 0).all()
    assert list(curve.table()["queries"]) == curve.n_queries.tolist()
    for value, found in zip(curve.mAP, curve.intervals("mAP"), strict=True):
        assert found.value == pytest.approx(value)
        assert found.low <= found.value <= found.high
    assert curve.intervals("rank1")[0].value == pytest.approx(curve.rank1[0])


def test_headings_differ_by_at_most_half_a_turn():
    np.testing.assert_allclose(
        heading_difference([0, 10, 359, 90], [180, -10, 1, -270]), [180, 20, 2, 0]
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "one of the two pairs"),
        ({"query_headings": np.zeros(12)}, "one of the two pairs"),
        (
            {"query_headings": np.zeros(12), "gallery_headings": np.zeros(9)},
            "60 images",
        ),
        (
            {"query_poses": body(0, 12), "gallery_poses": np.zeros((60, 18, 3))},
            "BODY_25",
        ),
        ({"bins": 0}, "1 or more"),
        ({"bins": [1]}, "rising edges"),
        ({"bins": [0, 5, 5]}, "rising edges"),
        ({"ap": "area"}, "ap='area'"),
    ],
)
def test_wrong_arguments_are_refused(wrong, words):
    data, _ = people(0)
    if set(wrong) & {"bins", "ap"}:
        wrong |= {"query_headings": np.zeros(12), "gallery_headings": np.zeros(60)}
    with pytest.raises(ReIDConfigError, match=words):
        by_pose_distance(*data, **wrong)


def test_no_known_distance_at_all_is_refused():
    data, _ = people(0)
    with pytest.raises(ReIDDataError, match="no match has a pose distance"):
        by_pose_distance(
            *data, query_headings=np.full(12, np.nan), gallery_headings=np.zeros(60)
        )


def test_equal_distances_make_one_bin():
    data, _ = people(0)
    curve = by_pose_distance(
        *data, query_headings=np.zeros(12), gallery_headings=np.zeros(60), bins=4
    )
    assert len(curve.mAP) == 1
    assert curve.n_unknown == 0
    assert curve.mAP[0] == pytest.approx(evaluate(*data).mAP)


def test_clusters_of_another_length_are_refused():
    data, _ = people(0)
    with pytest.raises(ReIDConfigError, match="gallery_clusters"):
        by_pose_cluster(
            *data, query_clusters=np.zeros(12), gallery_clusters=np.zeros(3)
        )
