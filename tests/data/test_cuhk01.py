"""CUHK01: names, ten splits of each kind, both shots; and the real set at hand."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidlib.cli import main
from reidlib.data import load_dataset
from reidlib.data.cuhk01 import split_cuhk01
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose
from reidlib.retrieval import evaluate_distances, over_trials

EVERYONE = range(1, 972)


def write(root: Path, people: int) -> Path:
    (root / "campus").mkdir(parents=True)
    for pid in range(1, people + 1):
        for number in (1, 2, 3, 4):
            Image.new("RGB", (6, 16)).save(root / f"campus/{pid:04d}{number:03d}.png")
    return root


@pytest.fixture
def cuhk01(tmp_path):
    return write(tmp_path / "CUHK01", 4)


def rank_by_hash(key: int, pid: int) -> tuple[int, int]:
    """A twin of the documented generator, written for this test."""
    state = 0
    for number in (key, pid):
        z = (state + number + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        state = z ^ z >> 31
    return state, pid


# SHA-256 of the JSON list of test identities of each trial, first 12 digits.
DIGESTS = {
    "cuhk01": "9c33e26189e6 0a666c3e31f0 aa73b891afb5 148ffee05074 50e7ebd90685 "
    "4813d16ebfc0 afbc6358b514 5a5e7387e983 5dad9e9629fb e344fc70062b",
    "cuhk01-100": "3c72de87adcf 57d698410fb8 d588da9fff42 d551e5fdd78d cce17ec2f1d5 "
    "55faba6a3fa0 80e8689499a6 18daaaed5828 8dbc162cfb65 25ef158b2191",
}


@pytest.mark.parametrize("protocol", DIGESTS)
def test_the_ten_splits_are_pinned_and_follow_the_generator(protocol):
    count = 486 if protocol == "cuhk01" else 100
    found = []
    for trial in range(10):
        test = split_cuhk01(EVERYONE, protocol, trial)
        by_hand = sorted(EVERYONE, key=lambda pid, k=trial: rank_by_hash(k, pid))
        assert test == sorted(by_hand[:count])
        found.append(hashlib.sha256(json.dumps(test).encode()).hexdigest()[:12])
    assert len(set(found)) == 10
    assert found == DIGESTS[protocol].split()


def test_camera_a_asks_and_camera_b_answers(cuhk01):
    data = load_dataset("cuhk01", cuhk01)
    assert (data.protocol, data.n_trials, data.trial) == ("cuhk01", 10, 0)
    assert [len(data.train), len(data.query), len(data.gallery)] == [8, 4, 4]
    assert set(data.query["pid"]) == set(data.gallery["pid"])
    assert not set(data.query["pid"]) & set(data.train["pid"])
    numbers = {
        split: Counter(path[-7:-4] for path in table["path"])
        for split, table in data.splits.items()
    }
    assert numbers["query"] == {"001": 2, "002": 2}
    assert numbers["gallery"] == {"003": 2, "004": 2}
    assert set(data.query["camid"]) == {1}
    assert set(data.gallery["camid"]) == {2}
    held = load_dataset("cuhk01", cuhk01, protocol="holdout", holdout=0.5)
    assert len(held.query) + len(held.gallery) == 8


def test_one_gallery_image_each_and_both_by_hand(cuhk01):
    data = load_dataset("cuhk01", cuhk01)
    # Own images at 1 and 3, the other person's at 2 and 4, for every query.
    own = data.query["pid"].to_numpy()[:, None] == data.gallery["pid"].to_numpy()
    second = data.gallery["path"].str.endswith("004.png").to_numpy()
    distances = np.where(own, 1, 2) + 2 * second
    ids = [
        t[c].to_numpy() for c in ("pid", "camid") for t in (data.query, data.gallery)
    ]
    single = evaluate_distances(distances, *ids, protocol=data.protocol)
    # Drawn: 1 is first; 3 is first against 4 and second against 2.
    assert single.rank(1) == pytest.approx(3 / 4)
    assert single.mAP_single == pytest.approx(3 / 4 + 1 / 4 / 2)
    assert single.mAP == pytest.approx((1 + 2 / 3) / 2)
    both = evaluate_distances(distances, *ids, protocol="cuhk01", cmc="first-match")
    assert both.rank(1) == 1
    nearer = distances.reshape(4, -1, 2).min(axis=2)
    one_each = [column[::2] if len(column) == 4 else column for column in ids]
    one_each[0], one_each[2] = ids[0], ids[2]
    assert evaluate_distances(nearer, *one_each, protocol="cuhk01").mAP == 1


def test_marks_of_trials_have_a_mean_and_a_spread(cuhk01):
    distances = [[[0, 1], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [1, 0]]]
    ids = ([1, 2], [1, 2], [1, 1], [2, 2])
    results = [evaluate_distances(np.array(d), *ids) for d in distances]
    spread = over_trials(results)["rank1"]  # 1/2, 1, 1/2
    assert spread.mean == pytest.approx(2 / 3)
    assert spread.std == pytest.approx(np.sqrt(1 / 12))
    assert str(spread) == "0.67 ± 0.29 (3 trials)"
    assert np.isnan(over_trials(results[:1])["mAP"].std)
    other = evaluate_distances(np.eye(2), *ids, protocol="layumi")
    with pytest.raises(ReIDConfigError, match="by different rules; evaluate all alike"):
        over_trials([*results, other])
    with pytest.raises(ReIDDataError, match="no results; give one for each trial"):
        over_trials([])


def test_what_is_wrong_is_said(cuhk01, tmp_path):
    with pytest.raises(ReIDConfigError, match="cuhk01 protocol counts from 0 to 9"):
        load_dataset("cuhk01", cuhk01, trial=10)
    with pytest.raises(ReIDConfigError, match="counts from 0 to 9"):
        load_dataset("cuhk01", cuhk01, protocol="holdout", trial=-1)
    with pytest.raises(
        ReIDConfigError, match="'np'; this data set has cuhk01, cuhk01-"
    ):
        load_dataset("cuhk01", cuhk01, protocol="np")
    with pytest.raises(
        ReIDConfigError, match="boxes='labeled' is not known; cuhk03 has"
    ):
        load_dataset("cuhk01", cuhk01, boxes="labeled")
    with pytest.raises(ReIDDataError, match="4 identities cannot give 100 to test"):
        load_dataset("cuhk01", cuhk01, protocol="cuhk01-100")
    for wrong in (cuhk01.parent, cuhk01 / "campus"):
        with pytest.raises(ReIDDataError, match="no images in campus under") as caught:
            load_dataset("cuhk01", wrong)
        assert str(caught.value).endswith(f"did you mean {cuhk01}?")
    with pytest.raises(ReIDDataError, match="none does not exist; give the folder"):
        load_dataset("cuhk01", tmp_path / "none")
    for name in ("0001005.png", "001001.png", "0001001.txt"):
        (cuhk01 / "campus" / name).write_bytes(b"")
    with pytest.raises(ReIDDataError, match="^3 files in .*: 0001001.txt, 0001005.png"):
        load_dataset("cuhk01", cuhk01)


def test_keypoints_are_found_by_the_image_name(cuhk01):
    (cuhk01 / "openpose").mkdir()
    pose = np.full((25, 3), 3, np.float32)
    write_openpose(cuhk01 / "openpose" / "0003002_keypoints.json", pose)
    data = load_dataset("cuhk01", cuhk01)
    every = [table for table in data.splits.values() if len(table)]
    seen = {
        path
        for table in every
        for path, one in zip(table["path"], data.pose_array(table), strict=True)
        if one[0, 2]
    }
    assert seen == {"campus/0003002.png"}


@pytest.mark.real_data
def test_every_trial_of_the_real_set_has_its_counts(real_cuhk01, monkeypatch):
    # Keypoints are read by the test below; they are the same in each trial.
    monkeypatch.setattr("reidlib.data.cuhk01.read_by_name", lambda *_: ({}, ()))
    wanted = {"cuhk01": (1940, 972), "cuhk01-100": (3484, 200)}
    for protocol, (train, test) in wanted.items():
        for trial in range(10):
            data = load_dataset("cuhk01", real_cuhk01, protocol=protocol, trial=trial)
            tables = (data.train, data.query, data.gallery)
            assert tuple(map(len, tables)) == (train, test, test)
            people = [set(table["pid"]) for table in tables]
            assert people[1] == people[2]
            assert len(people[0]) == train // 4
            assert people[0] | people[1] == set(EVERYONE)
    for trial in range(10):
        data = load_dataset("cuhk01", real_cuhk01, protocol="holdout", trial=trial)
        assert data.train["pid"].nunique() == 971 - 243  # 242.75
        assert len(data.train) + len(data.query) + len(data.gallery) == 3884


@pytest.mark.real_data
def test_the_real_set_has_a_pose_for_all_images_but_one(real_cuhk01):
    data = load_dataset("cuhk01", real_cuhk01)
    assert len(data.poses) == len(data.keypoint_files) == 3884
    seen = np.stack(list(data.poses.values()))[..., 2] > 0
    assert (~seen.any(axis=1)).sum() == 1
    assert not seen[:, [20, 23]].any()  # small toes
    points = data.points(data.query.head(20))
    assert np.nanmin(points) > -0.5
    assert np.nanmax(points) < 1.5


@pytest.mark.real_data
def test_the_doctor_finds_the_published_counts(real_cuhk01, own_cache, capsys):
    assert main(["doctor", str(real_cuhk01)]) == 0
    shown = capsys.readouterr().out
    counted = "  all           3,884 images    971 identities   2 cameras"
    published = "   published: 3,884 images, 971 identities"
    assert counted + published in shown.splitlines()
