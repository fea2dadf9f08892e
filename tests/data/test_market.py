"""The Market layout: names, splits, keypoints and errors, on small made-up folders."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidlib.data import check, load_dataset
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose
from reidlib.retrieval import evaluate, pool_queries

ALONG = np.arange(25) / 4  # within a picture of 8 by 16
BODY = np.stack([ALONG, ALONG * 2, np.ones(25)], 1).astype(np.float32)


def add(folder: Path, *names: str, size=(8, 16)) -> None:
    """Write one small JPEG or PNG per name; size is (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", size, (120, 60, 30)).save(folder / name)


@pytest.fixture
def market(tmp_path):
    """Two training identities, two queries, a gallery with junk and a distractor."""
    root = tmp_path / "Market"
    add(root / "bounding_box_train", "0002_c1s1_000451_03.jpg")
    add(
        root / "bounding_box_train",
        "0002_c2s1_000001_01.jpg",
        "0007_c3s3_077419_03.jpg",
    )
    add(root / "query", "0001_c1s1_001051_00.jpg", "0003_c4s6_015641_00.jpg")
    add(root / "bounding_box_test", "0001_c2s1_000001_01.jpg", "-1_c1s1_000401_03.jpg")
    add(
        root / "bounding_box_test", "0000_c1s1_000151_01.jpg", "0003_c5s1_000001_01.png"
    )
    (root / "bounding_box_train" / "Thumbs.db").write_bytes(b"x")
    return root


@pytest.fixture
def half(tmp_path):
    """Eight identities in a training folder alone: three cameras, two images each."""
    root = tmp_path / "half"
    for pid in range(1, 9):
        for camera in (1, 2, 3):
            names = [f"{pid:04d}_c{camera}s1_{n:06d}_01.jpg" for n in range(2)]
            add(root / "bounding_box_train", *names)
    return root


def test_names_become_identities_and_cameras(market):
    data = load_dataset("market1501", market)
    assert data.protocol == "market1501"
    assert data.train[["pid", "camid"]].values.tolist() == [[2, 1], [2, 2], [7, 3]]
    assert data.train["path"][0] == "bounding_box_train/0002_c1s1_000451_03.jpg"
    assert sorted(data.gallery["pid"]) == [-1, 0, 1, 3]
    assert data.query[["pid", "camid"]].values.tolist() == [[1, 1], [3, 4]]
    assert data.image_path(data.query["path"][0]).is_file()
    assert data.multi_query.empty


def test_the_names_of_duke_are_read_by_the_same_rule(tmp_path):
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        add(tmp_path / folder, "0005_c2_f0046985.jpg")
    table = load_dataset("dukemtmc", tmp_path).train
    assert table[["pid", "camid"]].values.tolist() == [[5, 2]]


def test_all_files_that_do_not_parse_are_reported_at_once(market):
    for number in range(6):
        (market / "query" / f"photo{number}.jpg").write_bytes(b"")
    (market / "bounding_box_train" / "0009_c1.txt").write_bytes(b"")
    with pytest.raises(
        ReIDDataError, match=r"^7 files under .* and 2 more\."
    ) as caught:
        load_dataset("market1501", market)
    assert "bounding_box_train/0009_c1.txt, query/photo0.jpg" in str(caught.value)


def test_a_folder_at_the_wrong_level_is_answered_with_the_right_one(market):
    with pytest.raises(ReIDDataError) as below:
        load_dataset("market1501", market.parent)
    assert str(below.value) == (
        f"no images in bounding_box_train under {market.parent} (found: Market). "
        "Expected the folder that holds bounding_box_train, query and "
        f"bounding_box_test; did you mean {market}?"
    )
    with pytest.raises(ReIDDataError, match="did you mean") as above:
        load_dataset("market1501", market / "query")
    assert str(above.value).endswith(f"did you mean {market}?")


def test_empty_and_missing_folders_are_named(market, tmp_path):
    for path in (market / "bounding_box_test").iterdir():
        path.unlink()
    with pytest.raises(ReIDDataError, match="no images in bounding_box_test under"):
        load_dataset("market1501", market)
    with pytest.raises(ReIDDataError, match="none does not exist; give the folder"):
        load_dataset("market1501", tmp_path / "none")
    with pytest.raises(ReIDDataError, match=r"reidlib\.data\.synthetic .* --ids 100"):
        load_dataset("synthetic", tmp_path / "none")
    with pytest.raises(ReIDDataError, match="is a file"):
        load_dataset("market1501", market / "bounding_box_train" / "Thumbs.db")


def test_unknown_names_and_protocols_list_the_known_ones(market):
    with pytest.raises(
        ReIDConfigError, match="'viper'; reidlib reads market1501, duke"
    ):
        load_dataset("viper", market)
    with pytest.raises(
        ReIDConfigError, match="'np'; this data set has market1501, hol"
    ):
        load_dataset("market1501", market, protocol="np")
    with pytest.raises(ReIDConfigError, match="has one split, trial=0"):
        load_dataset("market1501", market, trial=1)


def test_json_keypoints_reach_the_right_image_in_image_units(market):
    (market / "keypoints").mkdir()
    write_openpose(market / "keypoints" / "0002_c2s1_000001_01_keypoints.json", BODY)
    data = load_dataset("market1501", market)
    poses = data.pose_array(data.train)
    np.testing.assert_array_equal(poses[1], BODY)
    assert np.isnan(poses[[0, 2], :, :2]).all()
    assert not poses[[0, 2], :, 2].any()
    # The files are 8 wide and 16 high: x / 8, y / 16.
    points = data.points(data.train)
    np.testing.assert_allclose(points[1], BODY[:, :2] / [8, 16])


def test_rows_for_absent_images_are_fine_but_json_without_image_is_not(market):
    row = f": {[5] * 18}: {[3] * 18}\n"
    (market / "market-annotation-test.csv").write_text(
        f"name:keypoints_y:keypoints_x\nnobody.jpg{row}-1_c1s1_000401_03.jpg{row}"
    )
    data = load_dataset("market1501", market)
    assert list(data.poses) == ["-1_c1s1_000401_03.jpg"]
    assert data.poses["-1_c1s1_000401_03.jpg"][2].tolist() == [3, 5, 1]
    (market / "openpose").mkdir()
    write_openpose(market / "openpose" / "gone_keypoints.json", BODY)
    with pytest.raises(ReIDDataError, match=r"1 keypoint files .* openpose/gone_keyp"):
        load_dataset("market1501", market)


def test_holding_out_keeps_identities_whole_and_queries_answerable(half):
    data = load_dataset("market1501", half)
    assert data.protocol == "holdout"
    train, held = set(data.train["pid"]), set(data.gallery["pid"])
    assert len(train) == 6
    assert len(held) == 2
    assert not train & held
    assert set(data.query["pid"]) == held
    assert len(data.query) == 2 * 3
    paths = [path for table in data.splits.values() for path in table["path"]]
    assert len(paths) == len(set(paths)) == 48
    other = load_dataset("market1501", half, trial=1)
    same = load_dataset("market1501", half, seed=1)
    assert other.digest() != data.digest()
    assert other.query.equals(same.query)


def test_a_query_always_leaves_a_match_in_another_camera(tmp_path):
    names = [f"{pid:04d}_c{cam}s1_000001_01.jpg" for pid in (1, 2) for cam in (1, 2)]
    add(tmp_path / "bounding_box_train", *names)
    data = load_dataset("market1501", tmp_path, holdout=0.5)
    assert len(data.query) == len(data.gallery) == 1
    assert data.query["camid"][0] != data.gallery["camid"][0]


def test_a_data_set_with_one_camera_loads_and_the_doctor_says_no(tmp_path):
    names = [f"{pid:04d}_c1s1_00000{n}_01.jpg" for pid in range(4) for n in range(3)]
    add(tmp_path / "bounding_box_train", *names)
    data = load_dataset("market1501", tmp_path)
    assert data.query.empty
    assert len(data.train) + len(data.gallery) == 12
    report = check("market1501", tmp_path)
    assert not report.usable
    assert "all images come from one camera" in str(report)


def test_a_multi_query_is_the_mean_of_its_boxes_by_hand(market):
    for path in (market / "query").iterdir():
        path.unlink()
    add(market / "query", "0001_c1s1_001051_00.jpg")
    # Two boxes of the query's camera; another camera's, and a training identity's.
    boxes = ["0001_c1s1_000001_01.jpg", "0001_c1s1_000002_01.jpg"]
    add(market / "gt_bbox", *boxes, "0001_c3s1_000001_01.jpg")
    add(market / "gt_bbox", "0002_c1s1_000451_03.jpg")
    data = load_dataset("market1501", market)
    assert data.pooled_rows["path"].tolist() == [f"gt_bbox/{name}" for name in boxes]
    assert len(data.multi_query) == 4

    def at(*degrees):
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)

    # By name: junk, a distractor, the match at 80 degrees, another person.
    gallery, g = at(0, -20, 80, -30), data.gallery
    gallery_ids = g["pid"].to_numpy(), g["camid"].to_numpy()

    def marks(features, rows, protocol):
        ids = rows["pid"].to_numpy(), gallery_ids[0], rows["camid"].to_numpy()
        return evaluate(features, gallery, *ids, gallery_ids[1], protocol=protocol)

    # One query at 0: the others, 20 and 30 away, go before the match.
    assert marks(at(0), data.query, "market1501").mAP == pytest.approx(1 / 3)
    # Boxes at 0 and 90 make one query at 45: the match is 35 away, the next 65.
    pooled = marks(at(0, 90), data.pooled_rows, "market1501-mq")
    assert (pooled.n_queries, pooled.mAP, pooled.rank(1)) == (1, 1, 1)
    found = pool_queries(
        at(0, 90), *(data.pooled_rows[c].to_numpy() for c in ("pid", "camid"))
    )
    np.testing.assert_allclose(found.features, at(45), atol=1e-6)


def test_holding_out_has_ten_trials_and_the_folders_one(half, market):
    assert load_dataset("market1501", half, trial=9).n_trials == 10
    assert load_dataset("market1501", market).n_trials == 1
    with pytest.raises(ReIDConfigError, match="holdout protocol counts from 0 to 9"):
        load_dataset("market1501", half, trial=10)


def test_junk_is_never_trained_on(market):
    add(market / "bounding_box_train", "-1_c1s1_000001_01.jpg")
    assert load_dataset("market1501", market).train["pid"].min() == 2


def test_the_digest_sees_names_sizes_and_keypoints(market):
    first = load_dataset("market1501", market).digest()
    assert first == load_dataset("market1501", market).digest()
    add(market / "query", "0001_c1s1_001051_00.jpg", size=(9, 30))
    second = load_dataset("market1501", market).digest()
    (market / "keypoints").mkdir()
    write_openpose(market / "keypoints" / "0001_c1s1_001051_00_keypoints.json", BODY)
    third = load_dataset("market1501", market).digest()
    assert len({first, second, third}) == 3
    lines = ["market1501 0"]
    for split, folder in [
        ("train", "bounding_box_train"),
        ("query", "query"),
        ("gallery", "bounding_box_test"),
    ]:
        for path in sorted((market / folder).glob("*_c*")):
            lines.append(f"{split} {folder}/{path.name} {path.stat().st_size}")
    kept = market / "keypoints" / "0001_c1s1_001051_00_keypoints.json"
    lines.append(f"keypoints keypoints/{kept.name} {kept.stat().st_size}")
    assert third == hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_mended_keypoints_are_other_data_though_the_file_is_as_long(market):
    poses = np.repeat(BODY[None], 1, axis=0)
    digests = []
    for scale in (0.5, 1.0):
        np.savez(
            market / "keypoints.npz",
            poses=poses * [scale, scale, 1],
            names=["0002_c2s1_000001_01"],
        )
        data = load_dataset("market1501", market)
        digests.append((data.digest(), (market / "keypoints.npz").stat().st_size))
    assert digests[0][0] != digests[1][0] and digests[0][1] == digests[1][1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda xy: xy * 4, "of the joints lie outside of their picture"),
        (lambda xy: xy / [64, 128], "within a pixel or two of a corner"),
    ],
)
def test_keypoints_in_another_unit_are_refused(market, change, said):
    """Those of pictures four times as large; and OpenPose's --keypoint_scale 3."""
    (market / "keypoints").mkdir()
    add(market / "bounding_box_train", "0002_c2s1_000001_01.jpg", size=(64, 128))
    wrong = BODY.copy()
    wrong[:, :2] = change(wrong[:, :2] * 8)
    name = "0002_c2s1_000001_01_keypoints.json"
    write_openpose(market / "keypoints" / name, wrong)
    data = load_dataset("market1501", market)
    with pytest.raises(ReIDDataError, match=f"{said}; keypoints are in pixels"):
        data.points(data.train)


def test_keypoints_that_lie_as_the_pictures_do_are_read_by_name(market):
    """As `poses detect` writes them where copies of the pictures share their names."""
    folder = market / "keypoints" / "bounding_box_train"
    folder.mkdir(parents=True)
    write_openpose(folder / "0002_c2s1_000001_01_keypoints.json", BODY)
    data = load_dataset("market1501", market)
    np.testing.assert_array_equal(data.pose_array(data.train)[1], BODY)


def test_queries_without_a_gallery_leave_the_holdout(half):
    add(half / "query", "0001_c1s1_001051_00.jpg")
    assert load_dataset("market1501", half).protocol == "holdout"


def test_the_doctor_reports_faults_and_raises_none(market, tmp_path, own_cache):
    report = check("market1501", market)
    assert report.usable
    assert report.counts["gallery"] == (4, 2, 3)
    assert "published: 12,936 images, 751 identities" in str(report)
    assert any("train has 3 images" in note for note in report.notes)
    (market / "query" / "0003_c4s6_015641_00.jpg").write_bytes(b"no picture")
    report = check("market1501", market, every_image=True)
    assert "1 of 9 images cannot be read" in report.problems[0]
    again = f"next: .venv/bin/python -m reidlib doctor market1501 {market}"
    assert str(report).endswith(again)
    assert not check("market1501", tmp_path / "none").usable


def test_the_doctor_sees_unanswerable_queries_and_shared_identities(market):
    add(market / "query", "0002_c1s1_000001_00.jpg")
    notes = check("market1501", market).notes
    assert any("1 of 3 pairs of query identity and camera" in note for note in notes)
    assert any("1 identities are in both train and query" in note for note in notes)
    for name in ("0001_c2s1_000001_01.jpg", "0003_c5s1_000001_01.png"):
        (market / "bounding_box_test" / name).unlink()
    assert "no query has an image of another" in check("market1501", market).problems[0]
