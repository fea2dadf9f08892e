"""Pose clustering on poses made from known clusters."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import PoseClusterer, clustering

KINDS = [(t, a) for t in ("body", "joint") for a in ("kmeans", "gmm")]
SEEN = 19  # the joints below this number are visible in most of the made poses


def made_poses(count=240, noise=0.01, seed=0):
    """Poses around three bodies; toes never, joint 7 in a tenth of body 0 only."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.2, 0.8, (3, 25, 2))
    kind = np.arange(count) % 3
    points = centres[kind] + rng.normal(0, noise, (count, 25, 2))
    points[:, SEEN:] = np.nan
    points[(kind == 0) & (np.arange(count) % 10 != 0), 7] = np.nan
    return points.astype(np.float32), centres, kind


@pytest.mark.parametrize("algorithm", ["kmeans", "gmm"])
def test_known_bodies_are_found_again(algorithm):
    points, centres, kind = made_poses()
    clusterer = PoseClusterer("body", algorithm, 3, mode="means").fit(points)
    assert clusterer.poses_.shape == (3, 25, 2)
    order = clusterer.predict(centres)
    assert sorted(order) == [0, 1, 2]
    found = clusterer.poses_[order]
    others = [joint for joint in range(SEEN) if joint != 7]
    np.testing.assert_allclose(found[:, others], centres[:, others], atol=0.01)
    assert (clusterer.predict(points) == order[kind]).all()


@pytest.mark.parametrize("algorithm", ["kmeans", "gmm"])
def test_a_joint_that_a_cluster_seldom_sees_is_missing_there_only(algorithm):
    points, centres, _ = made_poses()
    clusterer = PoseClusterer("body", algorithm, 3, mode="means").fit(points)
    missing = np.isnan(clusterer.poses_[clusterer.predict(centres), :, 0])
    assert missing[:, SEEN:].all()
    assert missing[:, 7].tolist() == [True, False, False]
    assert missing[:, :SEEN].sum() == 1
    kept = clone(clusterer).set_params(min_visible=0.0).fit(points)
    assert np.isfinite(kept.poses_[:, 7]).all()
    assert np.isnan(kept.poses_[:, SEEN:]).all()


@pytest.mark.parametrize(("target", "algorithm"), KINDS)
def test_every_method_gives_k_poses_inside_the_image_and_again(target, algorithm):
    points, _, _ = made_poses(noise=0.3)
    clusterer = PoseClusterer(target, algorithm, n_poses=5, random_state=3)
    poses = clusterer.fit(points).poses_
    assert poses.shape == (5, 25, 2)
    assert poses.dtype == np.float32
    assert np.nanmin(poses) >= 0
    assert np.nanmax(poses) <= 1
    assert np.isnan(poses[:, SEEN:]).all()
    again = clone(clusterer).fit(points)
    np.testing.assert_array_equal(again.poses_, poses)
    np.testing.assert_array_equal(again.sample(4), clusterer.sample(4))
    other = clusterer.sample(4, random_state=9)
    assert other.shape == (4, 25, 2)
    assert not np.array_equal(other, clusterer.sample(4), equal_nan=True)


def test_drawn_bodies_have_the_mean_and_spread_of_the_data():
    points, _, _ = made_poses(count=900, noise=0.05)
    clusterer = PoseClusterer("body", "gmm", 3, min_visible=0.0).fit(points)
    drawn = clusterer.sample(20_000, clip=False)[:, :7]
    np.testing.assert_allclose(drawn.mean(0), points[:, :7].mean(0), atol=0.01)
    np.testing.assert_allclose(drawn.std(0), points[:, :7].std(0), atol=0.01)


def test_drawn_bodies_are_not_grouped_by_cluster():
    points, _, _ = made_poses()
    clusterer = PoseClusterer("body", "gmm", 3).fit(points)
    order = clusterer.predict(clusterer.sample(60))
    assert (np.diff(order) != 0).sum() > 20


def test_joint_clusters_are_drawn_independently_of_each_other():
    points, centres, _ = made_poses(noise=0.001)
    drawn = PoseClusterer("joint", "kmeans").fit(points).sample(600)
    gaps = np.linalg.norm(drawn[:, None, :2] - centres[None, :, :2], axis=-1)
    first, second = gaps.argmin(axis=1).T  # which body each of two joints came from
    table = np.histogram2d(first, second, bins=3)[0]
    assert table.min() > 600 / 9 / 2


def test_a_pose_that_shares_no_joint_is_nobodys():
    points, _, _ = made_poses()
    clusterer = PoseClusterer("body", "kmeans", 3).fit(points)
    assert clusterer.predict(np.full((1, 25, 2), np.nan)).tolist() == [-1]


def test_poses_without_a_torso_are_left_out():
    points, _, _ = made_poses(count=30)
    points[:12, 2] = np.nan
    assert PoseClusterer("body", "kmeans", 2).fit(points).n_used_ == 18


def test_impossible_requests_say_what_to_change():
    points, _, _ = made_poses(count=9)
    with pytest.raises(ReIDConfigError, match=r"n_poses=10 is more than the 9 diff"):
        PoseClusterer("body", "gmm", 10).fit(points)
    with pytest.raises(ReIDConfigError, match="algorithm='dbscan' is not one of"):
        PoseClusterer("body", "dbscan").fit(points)
    with pytest.raises(ReIDConfigError, match="n_poses=0 must be a whole number of at"):
        PoseClusterer(n_poses=0).fit(points)
    with pytest.raises(ReIDConfigError, match=r"not \(N, 25, 2\)"):
        PoseClusterer().fit(np.zeros((4, 25, 3)))
    for target in ("body", "joint"):
        with pytest.raises(ReIDConfigError, match="outside their pictures, as pixels"):
            PoseClusterer(target, n_poses=2).fit(128 * points)
    zeros = np.nan_to_num(128 * points)
    zeros[:, 12:] = 0  # as other programs write what is missing
    with pytest.raises(ReIDConfigError, match="outside their pictures, as pixels"):
        PoseClusterer(n_poses=2).fit(zeros)
    for setting, words in (
        ({"n_poses": 2.0}, "n_poses=2.0 must be a whole number"),
        ({"min_visible": 30}, "min_visible=30 is no share"),
        ({"reg_covar": 0}, "reg_covar=0 must be above 0"),
    ):
        with pytest.raises(ReIDConfigError, match=words):
            PoseClusterer(**setting).fit(points)
    points[:, 9] = np.nan
    with pytest.raises(ReIDDataError, match="none of the 9 poses shows both hips"):
        PoseClusterer().fit(points)


@pytest.mark.parametrize("mode", ["sample", "means"])
def test_a_centre_that_lost_all_its_poses_is_no_pose(mode, monkeypatch):
    points, _, _ = made_poses(count=9)

    class Emptied(KMeans):
        def fit(self, rows):
            super().fit(rows)
            self.labels_ = np.minimum(self.labels_, self.n_clusters - 2)
            return self

    monkeypatch.setattr(clustering, "KMeans", Emptied)
    with pytest.raises(ReIDDataError, match="1 of 3 clusters lost all their poses"):
        PoseClusterer("body", "kmeans", 3, mode=mode).fit(points)


@pytest.mark.parametrize("bad", [(np.nan, 0.5), (0.5, np.nan), (np.inf, 0.5)])
@pytest.mark.parametrize("target", ["body", "joint"])
def test_a_joint_without_both_numbers_is_missing(target, bad):
    points, _, _ = made_poses(count=30)
    points[:12, 7] = bad
    made = PoseClusterer(target, "kmeans", 2).fit(points)
    points[:12, 7] = np.nan
    other = PoseClusterer(target, "kmeans", 2).fit(points)
    assert np.array_equal(made.poses_, other.poses_, equal_nan=True)
    assert np.array_equal(made.visible_, other.visible_)
