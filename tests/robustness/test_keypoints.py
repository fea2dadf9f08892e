"""Faults of keypoints, and causes of failure, against what the world knows."""

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.pose import flip
from reidlib.robustness import KEYPOINTS, asked, one_each, query_causes, spoil
from reidlib.runs import Run


@pytest.fixture(scope="module")
def points(tiny_run: Run) -> np.ndarray:
    return tiny_run.data.points(tiny_run.data.train)


@pytest.mark.parametrize("name", KEYPOINTS)
def test_no_severity_no_fault_and_one_seed_one_fault(
    points: np.ndarray, name: str
) -> None:
    assert np.array_equal(spoil(points, name, 0), points, equal_nan=True)
    severity = KEYPOINTS[name].middle
    made = [spoil(points, name, severity, seed) for seed in (0, 0, 1)]
    assert np.array_equal(made[0], made[1], equal_nan=True)
    assert not np.array_equal(made[0], made[2], equal_nan=True)


def test_jitter_is_as_wide_as_it_says_and_finds_no_joints(points: np.ndarray) -> None:
    off = spoil(points, "jitter", 0.05) - points
    assert np.nanstd(off) == pytest.approx(0.05, rel=0.1)
    assert np.array_equal(np.isnan(off), np.isnan(points))


def test_dropped_joints_are_missing_whole(points: np.ndarray) -> None:
    made = spoil(points, "dropped joints", 0.3)
    seen, left = (np.isfinite(p) for p in (points, made))
    assert (left[..., 0] == left[..., 1]).all()
    assert left.sum() / seen.sum() == pytest.approx(0.7, abs=0.06)
    more = np.isfinite(spoil(points, "dropped joints", 0.6))
    assert not (more & ~left).any()


def test_swapped_sides_are_those_of_a_mirror_that_is_turned_back(
    points: np.ndarray,
) -> None:
    made = spoil(points, "sides swapped", 1)
    back = flip(made, 1.0)
    back[..., 0] = 1 - back[..., 0]
    assert np.allclose(back, points, equal_nan=True)


def test_a_copy_draws_in_other_poses_and_the_original_does_not(points) -> None:
    class Drawer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("poses", torch.zeros(2, 25, 2))

    phi = Drawer()
    other = asked(phi, points[:2])
    assert np.allclose(other.poses.numpy(), points[:2], atol=1e-6, equal_nan=True)
    assert (phi.poses == 0).all()
    with pytest.raises(ReIDConfigError, match="give as many"):
        asked(phi, points[:3])


def test_faults_that_there_are_not_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ReIDConfigError, match="'fog'; choose one of jitter"):
        spoil(points, "fog", 1)
    with pytest.raises(ReIDConfigError, match="give 0 to 1 share of the joints"):
        spoil(points, "dropped joints", 1.5)
    with pytest.raises(ReIDConfigError, match="give BODY_25"):
        spoil(points[:, :17], "jitter", 0.1)


def test_causes_are_those_that_the_world_wrote_beside_its_pictures(
    tiny_run: Run,
) -> None:
    rows = np.arange(len(tiny_run.data.query))
    found = query_causes(tiny_run, rows)
    table = np.genfromtxt(
        tiny_run.data.root / "images.csv",
        delimiter=",",
        names=True,
        dtype=None,
        encoding="utf-8",
    )
    written = {row["name"]: row["in_front"] != "" for row in table}
    names = [path.rpartition("/")[2] for path in tiny_run.data.query["path"]]
    assert found["something in front"].tolist() == [bool(written[n]) for n in names]
    assert {flags.shape for flags in found.values()} == {(len(rows),)}


def test_one_match_only_is_one_match(tiny_run: Run) -> None:
    rows = one_each(tiny_run, 3)
    pids, gallery_pids, camids, gallery_camids = tiny_run.ids
    counts = [
        ((gallery_pids == pids[row]) & (gallery_camids != camids[row])).sum()
        for row in rows
    ]
    flags = query_causes(tiny_run, rows)["one match only"]
    assert flags.tolist() == [count == 1 for count in counts]
