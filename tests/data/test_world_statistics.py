"""Do the poses of the synthetic world look like Market's? Numbers against numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib.data.synthetic import World
from reidlib.pose import joint_statistics, torso_valid, views

RECORD = Path(__file__).parents[2] / "book" / "results" / "world-poses.json"
SIZE = (64, 32)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """(N, 25, 2) what a detector reports on 900 pictures of 300 people."""
    world = World(0)
    shots = [world.shot(pid, k) for pid in range(1, 301) for k in range(3)]
    _, reported = world.observe(shots, SIZE)
    return reported[..., :2].numpy() / [SIZE[1], SIZE[0]]


@pytest.fixture(scope="module")
def market() -> dict:
    return json.loads(RECORD.read_text())


def test_the_record_agrees_with_what_is_published(market):
    assert market["images"] == 12_936  # Market's keypoint tables
    rates = pd.DataFrame(market["joints"]).T["missing"]
    published = {"Nose": 0.41, "Neck": 0.03, "RWrist": 0.42, "LAnkle": 0.24}
    for joint, rate in published.items():
        assert rates[joint] == pytest.approx(rate, abs=0.005)


def test_joints_are_missing_as_often_as_in_market(points, market):
    real = pd.DataFrame(market["joints"]).T
    gap = (joint_statistics(points)["missing"] - real["missing"]).dropna()
    assert len(gap) == 19  # 18 of the annotation and the middle of the hips
    assert gap.abs().max() <= 0.05, gap[gap.abs() > 0.05]


def test_joints_are_where_they_are_in_market(points, market):
    real = pd.DataFrame(market["joints"]).T
    ours = joint_statistics(points).loc[real.index]
    for column in ("x_mean", "y_mean", "x_std", "y_std"):
        ratio = ours[column] / real[column]
        assert (ratio - 1).abs().max() <= 0.15, (column, ratio.round(2).to_dict())


def test_views_are_as_frequent_as_in_market(points, market):
    def shares(counts: pd.Series) -> pd.Series:
        known = counts.drop("unknown")
        return known / known.sum()

    ours = shares(pd.Series(views(points)).value_counts())
    real = shares(pd.Series(market["views"]))
    assert (ours - real).abs().max() <= 0.05, ours


def test_joints_are_missed_together_as_in_market(points, market):
    assert torso_valid(points).mean() == pytest.approx(market["whole_torso"], abs=0.03)
    nothing = np.isnan(points[..., 0]).all(1).mean()
    assert nothing == pytest.approx(market["nothing"], abs=0.02)
