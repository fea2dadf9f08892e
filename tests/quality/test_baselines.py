import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.quality import cluster_means, nearest_pictures, pose_gaps

SIZE = (128, 64)


def poses(count, seed=0, missing=0.3):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (count, 25, 2))
    points[rng.random((count, 25)) < missing] = np.nan
    return points


def gap_by_loops(a, b):
    squares, either, shared = 0.0, 0, 0
    for one, other in zip(a, b, strict=True):
        seen = [not np.isnan(p).any() for p in (one, other)]
        either += any(seen)
        shared += all(seen)
        if all(seen):
            x, y = (one - other) * (0.5, 1.0)  # in heights
            squares += x * x + y * y
        elif any(seen):
            squares += 0.1**2
    return (squares / either) ** 0.5 if shared else np.inf


def test_pose_gaps_equal_loops_over_joints():
    asked, points = poses(4), poses(6, seed=1)
    wanted = [[gap_by_loops(a, b) for b in points] for a in asked]
    np.testing.assert_allclose(pose_gaps(asked, points, SIZE).numpy(), wanted)


def test_a_pose_is_nearest_to_itself():
    points = poses(9)
    found = nearest_pictures(points[[4, 2]], points, SIZE)
    assert found.tolist() == [4, 2]
    assert float(pose_gaps(points[:1], points[:1], SIZE)) == pytest.approx(0, abs=1e-7)


def test_poses_without_a_shared_joint_are_infinitely_far():
    nothing = np.full((1, 25, 2), np.nan)
    assert torch.isinf(pose_gaps(nothing, poses(3), SIZE)).all()
    assert nearest_pictures(nothing, poses(3), SIZE).tolist() == [0]


def test_asked_poses_in_chunks_find_the_same(monkeypatch):
    asked, points = poses(5), poses(9, seed=1)
    whole = nearest_pictures(asked, points, SIZE)
    monkeypatch.setattr("reidlib.quality.baselines.CHUNK", 2)
    assert nearest_pictures(asked, points, SIZE).tolist() == whole.tolist()


def test_among_the_nearest_poses_the_likeliest_look_is_taken():
    asked, points = poses(3), poses(30, seed=1)
    features = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    sources = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    found = nearest_pictures(
        asked, points, SIZE, sources=sources, features=features, among=5
    )
    for row, pose, look in zip(found, asked, sources, strict=True):
        near = np.argsort([gap_by_loops(pose, b) for b in points])[:5]
        cosines = [float(torch.cosine_similarity(look, features[i], 0)) for i in near]
        assert row == near[int(np.argmax(cosines))]


def test_a_cluster_mean_is_the_mean_of_its_pictures():
    images = torch.tensor([0, 255, 51, 102], dtype=torch.uint8)
    images = images[:, None, None, None].expand(4, 3, 2, 2)
    made = cluster_means(images, [0, 0, 1, -1], [1, 0, 2, -1])
    everything = (0 + 255 + 51 + 102) / 4
    wanted = torch.tensor([51, 127.5, everything, everything]) / 127.5 - 1
    torch.testing.assert_close(made[:, 0, 0, 0], wanted)
    assert made.shape == (4, 3, 2, 2)


def test_a_cluster_without_pictures_is_an_error_without_fallback():
    images = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    with pytest.raises(ReIDDataError, match="no training picture is in pose cluster 3"):
        cluster_means(images, [0, 1], [3], fallback=False)
    with pytest.raises(ReIDConfigError, match="give each its cluster"):
        cluster_means(images, [0], [0])


def test_half_of_the_features_is_refused():
    with pytest.raises(ReIDConfigError, match="needs sources and features"):
        nearest_pictures(poses(1), poses(2), SIZE, features=torch.ones(2, 3))
    with pytest.raises(ReIDDataError, match="no training pictures"):
        nearest_pictures(poses(1), poses(0), SIZE)
