from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.poser import Poser
from reidlib.quality import (
    Asked,
    Gallery,
    causes,
    failures,
    quality,
    readable,
    rivals,
    scores,
)
from reidlib.retrieval import interval

PEOPLE, EACH, SIZE = 10, 2, (32, 16)


def poses(count, seed=0):
    """Upright people, a little apart, nothing missing."""
    rng = np.random.default_rng(seed)
    upright = np.stack([np.full(25, 0.5), np.linspace(0.1, 0.9, 25)], axis=1)
    return (upright + rng.normal(0, 0.03, (count, 25, 2))).clip(0, 1)


@pytest.fixture
def asked():
    count = PEOPLE * EACH
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(PEOPLE, 3, 1, 1, generator=generator).repeat_interleave(
        EACH, 0
    )
    noise = torch.randn(2, count, 3, *SIZE, generator=generator) * 0.2
    source, truth = (colours + noise - 0.5).clamp(-1, 1)
    return Asked(
        source=source,
        truth=truth,
        points=poses(count),
        pids=np.repeat(np.arange(1, PEOPLE + 1), EACH),
        camids=np.tile([1, 2], PEOPLE),
        poses=np.tile([0, 1], PEOPLE),
    )


def features(pictures):
    return torch.nn.functional.adaptive_avg_pool2d(pictures, (2, 1)).flatten(1)


@pytest.fixture
def table(asked):
    gallery = Gallery(features(asked.truth), asked.pids, asked.camids + 2)
    training = torch.randint(0, 256, (8, 3, *SIZE), dtype=torch.uint8)
    systems = {"drawn": asked.truth * 0.5}
    systems |= rivals(asked, training, poses(8, seed=1), np.arange(8) % 2)
    torch.manual_seed(0)
    return quality(
        systems,
        asked,
        judge=Poser(8),
        extractor=features,
        gallery=gallery,
        n_boot=50,
        groups=3,
    )


def test_the_truth_is_the_ceiling_of_every_measure(table):
    truth = table.xs("value", axis=1, level=1).loc["truth"]
    one = ["ssim", "person ssim", "pck share", "over poses", "over persons"]
    one += [
        f"{half} {k}" for half in ("upper", "lower") for k in ("brightness", "chroma")
    ]
    assert truth[one].tolist() == pytest.approx([1] * len(one), abs=1e-5)
    none = truth[["l1", "person l1", "fid"]].tolist()
    assert none == pytest.approx([0] * 3, abs=1e-5)


def test_copies_retain_the_identity_wholly_and_paler_drawings_differ_half_as_much(
    table,
):
    copied = table.loc["copied source"]
    assert copied["rank1 share"].tolist() == [1, 1, 1]
    assert copied["mAP share", "value"] == 1
    drawn = table.loc["drawn"]
    assert drawn["over persons", "value"] == pytest.approx(0.5, abs=1e-5)
    assert drawn["upper chroma", "value"] == pytest.approx(1, abs=1e-5)


def test_the_means_and_intervals_are_those_of_the_single_pictures(table, asked):
    single = scores(asked.source, asked)
    found = table.loc["copied source", "ssim"]
    wanted = interval(single["ssim"].to_numpy(), asked.pids, n_boot=50)
    assert found.tolist() == pytest.approx([wanted.value, wanted.low, wanted.high])
    whole = (asked.source - asked.truth).abs().mean((1, 2, 3)).numpy()
    assert single["l1"].to_numpy() == pytest.approx(whole, rel=1e-5)


def test_the_table_reads_as_values_with_limits(table):
    text = readable(table)
    assert list(text.index) == [
        "drawn", "copied source", "cluster mean", "nearest pose", "truth",
    ]  # fmt: skip
    assert text.loc["truth", "l1"] == "0.00 [0.00, 0.00]"


def test_a_pose_without_joints_is_left_out_of_the_person_measures(asked):
    asked.points[3] = np.nan
    single = scores(asked.source, asked, Poser(8))
    columns = ["person ssim", "person l1", "pck"]
    assert single.loc[3, columns].isna().all()
    assert not single.drop(index=3).isna().any(axis=None)
    table = quality({"truth": asked.truth}, asked, n_boot=20)
    assert table.loc["truth", ("person l1", "value")] == 0


def test_when_no_pose_has_joints_the_whole_pictures_are_still_measured(asked):
    asked.points[:] = np.nan
    table = quality({"truth": asked.truth}, asked, n_boot=20)
    assert table.loc["truth", "person ssim"].isna().all()
    assert table.loc["truth", ("ssim", "value")] == pytest.approx(1, abs=1e-5)


def test_incomplete_questions_are_refused(asked):
    with pytest.raises(ReIDConfigError, match="need the 'truth'"):
        quality({"drawn": asked.truth}, asked)
    one = Asked(
        asked.source[:1], asked.truth[:1], asked.points[:1],
        asked.pids[:1], asked.camids[:1], asked.poses[:1],
    )  # fmt: skip
    assert len(scores(one.source, one, Poser(8))) == 1
    with pytest.raises(ReIDDataError, match="two or more identities"):
        quality({"truth": one.truth}, one)
    with pytest.raises(ReIDConfigError, match="20 sources but 3 pids"):
        Asked(
            asked.source, asked.truth, asked.points,
            asked.pids[:3], asked.camids, asked.poses,
        )  # fmt: skip


def test_the_photographs_serve_the_frechet_distance(asked):
    photo = Asked(**{**vars(asked), "photo": asked.source})
    systems = {"truth": asked.truth, "copied source": asked.source}
    table = quality(systems, photo, extractor=features, n_boot=20, groups=0)
    assert table.loc["copied source", ("fid", "value")] == pytest.approx(0, abs=1e-6)
    assert table.loc["truth", ("fid", "value")] > 1e-4
    assert np.isnan(table.loc["truth", ("fid", "low")])


def hard(count=12):
    source, wanted = poses(count), poses(count, seed=1)
    for points in (source, wanted):  # all face the camera
        points[:, 2, 0], points[:, 5, 0] = 0.3, 0.7
    return source, wanted, np.zeros((count, 2, 3)), np.arange(count)


def test_each_cause_is_found_by_its_own_query():
    source, wanted, colours, pids = hard()
    source[0, [2, 5], 0] = 0.7, 0.3  # shows the back
    wanted[1, [2, 5], 0] = 0.7, 0.3  # the back is asked for
    source[2, [3, 4, 6, 7, 9]] = np.nan
    source[3, [11, 14]] = np.nan
    wanted[4, [9, 10, 11, 12, 13, 14]] = np.nan
    colours[5] = 0.9
    source[6, [11]] = np.nan  # one ankle: not cropped
    found = causes(source, wanted, colours, pids)
    rows = {name: np.flatnonzero(given).tolist() for name, given in found.items()}
    assert rows == {
        "turned away": [0, 1],
        "source occluded": [2],
        "source cropped": [3],
        "pose full of gaps": [4],
        "rare clothes": [5],
    }


def test_clothes_are_rare_among_other_people_only():
    source, wanted, colours, pids = hard()
    colours[:6] = 0.9
    pids[:6] = 0  # one person's six pictures in a colour of their own
    found = causes(source, wanted, colours, pids, rare=0.51)["rare clothes"]
    assert found.tolist() == [True] * 6 + [False] * 6
    colours[:] = np.nan
    assert not causes(source, wanted, colours, pids)["rare clothes"].any()


def test_failures_are_the_worst_drawings_with_what_their_cause_costs():
    errors = np.array([0.9, 0.1, 0.8, 0.2, np.nan, 0.3, 0.2, 0.7])
    dark = np.array([True, False, True, False, True, False, False, True])
    never = np.zeros(8, bool)
    table = failures(
        errors, {"dark": dark, "never": never}, np.arange(8), worst=0.3, n_boot=200
    )
    row = table.loc["dark"]
    assert row["rows"] == [0, 2] and row["failures"] == 2 and row["pictures"] == 3
    assert row["error"] == pytest.approx(0.8) and row["rest"] == pytest.approx(0.2)
    assert row["difference"].value == pytest.approx(0.6)
    assert row["difference"].low > 0
    assert table.loc["never", "rows"] == [] and np.isnan(table.loc["never", "error"])
    assert table.loc["none of these", "pictures"] == 4


def test_failures_of_what_does_not_fit_are_refused():
    with pytest.raises(ReIDConfigError, match="dark has shape"):
        failures(np.ones(3), {"dark": np.ones(2, bool)}, np.arange(3))
    with pytest.raises(ReIDDataError, match="no drawing has an error"):
        failures(np.full(3, np.nan), {}, np.arange(3))
    with pytest.raises(ReIDConfigError, match="worst = 0"):
        failures(np.ones(3), {}, np.arange(3), worst=0)
    with pytest.raises(ReIDConfigError, match="rare is 1"):
        causes(*hard(), rare=1)


def test_where_no_camera_is_known_the_protocol_says_that_all_pictures_count(asked):
    alone = replace(asked, camids=np.zeros(len(asked.pids), int))
    everybody = Gallery(features(asked.truth), alone.pids, alone.camids)
    settings = {"extractor": features, "n_boot": 20, "groups": 0}
    with pytest.raises(ReIDDataError, match="match"):
        quality({"truth": asked.truth}, alone, gallery=everybody, **settings)
    gallery = replace(everybody, protocol="holdout-no-cameras")
    table = quality({"truth": asked.truth}, alone, gallery=gallery, **settings)
    assert table.loc["truth", ("rank1", "value")] == 1  # it finds itself
