"""Facts of the real Market-1501 training half, where it is at hand."""

import numpy as np
import pytest
import torch

from reidlib.cli import main
from reidlib.data import PairBatches, check, load_dataset, read_images
from reidlib.pose import PoseClusterer, normalise, read_annotation_csv, torso_valid

pytestmark = pytest.mark.real_data
# Nose Neck RSho RElb RWri LSho LElb LWri (MidHip) RHip RKne RAnk LHip LKne LAnk
# REye LEye REar LEar: share of training images without the joint.
MISSING = [0.41, 0.03, 0.04, 0.23, 0.42, 0.04, 0.26, 0.44, 0.05, 0.05, 0.11, 0.24]
MISSING += [0.05, 0.11, 0.24, 0.50, 0.52, 0.47, 0.47]


@pytest.fixture(scope="module")
def data(real_market):
    return load_dataset("market1501", real_market)


@pytest.fixture(scope="module")
def annotated(real_market):
    return read_annotation_csv(real_market / "market-annotation-train.csv")


def identities(names):
    return np.array([int(name.split("_")[0]) for name in names])


def test_every_name_is_read_and_the_split_is_pinned(data):
    assert data.protocol == "holdout"
    tables = [data.train, data.query, data.gallery]
    assert sum(map(len, tables)) == 12_936
    assert data.train["pid"].nunique() + data.gallery["pid"].nunique() == 751
    assert data.gallery["pid"].nunique() == 188
    assert data.digest().startswith("274e492f252f5c19")


def test_pair_counts_are_the_published_ones(annotated):
    points = normalise(np.stack(list(annotated.values())), (128, 64))
    pids = identities(annotated)
    pixel = torch.zeros((1, 3, 1, 1), dtype=torch.uint8)
    whole = np.full_like(points, 0.5)
    everyone = PairBatches(pixel.expand(len(pids), 3, 1, 1), pids, whole)
    assert everyone.n_pairs == 296_938
    valid = torso_valid(points)
    assert valid.sum() == 12_116
    some = PairBatches(pixel.expand(valid.sum(), 3, 1, 1), pids[valid], points[valid])
    assert some.n_pairs == 263_632


def test_joints_are_missing_as_often_as_counted(annotated):
    gone = np.isnan(np.stack(list(annotated.values()))[:, :, 0]).mean(axis=0)
    np.testing.assert_allclose(gone[:19], MISSING, atol=0.006)
    assert (gone[19:] == 1).all()


def test_the_test_half_has_its_torsos_too(real_market):
    poses = read_annotation_csv(real_market / "market-annotation-test.csv")
    pids = identities(poses)
    assert (len(poses), (pids == 0).sum(), (pids == -1).sum()) == (19_732, 2_798, 3_819)
    valid = torso_valid(np.stack(list(poses.values()))) & (pids > 0)
    assert valid.sum() == 12_344
    counts = np.unique(pids[valid], return_counts=True)[1]
    assert (counts * (counts - 1)).sum() == 257_198


def test_drawn_joints_seldom_leave_the_image(annotated):
    points = normalise(np.stack(list(annotated.values())), (128, 64))
    clusterer = PoseClusterer("body", "gmm", 12, min_visible=0.0).fit(points)
    drawn = clusterer.sample(20_000, clip=False)[:, clusterer._joints]
    outside = ((drawn < 0) | (drawn > 1)).any(axis=-1).mean()
    # Counted apart: 2.1 % without MidHip, and 18.9 % with zeros for missing joints.
    assert outside == pytest.approx(0.021, abs=0.01)


def test_joint_clusters_are_left_middle_and_right(annotated):
    points = normalise(np.stack(list(annotated.values())), (128, 64))
    drawn = PoseClusterer("joint", "kmeans").fit(points).sample(200)[:, 4]
    centres = np.unique((drawn * [64, 128]).round(), axis=0)  # RWrist, sorted by x
    np.testing.assert_allclose(centres, [(8, 58), (27, 49), (54, 57)], atol=2)


def test_every_picture_can_be_read(data):
    images = read_images(data.query.head(50), (128, 64), data.root)
    assert images.shape == (50, 3, 128, 64)


def test_the_doctor_finds_the_published_counts(real_market, own_cache, capsys):
    assert main(["doctor", str(real_market)]) == 0
    shown = capsys.readouterr().out
    counted = "  all          12,936 images    751 identities   6 cameras"
    published = "   published: 12,936 images, 751 identities"
    assert counted + published in shown.splitlines()
    assert "only bounding_box_train is here (12,936 images, as published), so" in shown
    report = check("market1501", real_market)
    assert report.keypoints[0] == pytest.approx(1 - 419 / 12_936)
    assert report.usable
