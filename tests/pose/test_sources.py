"""Every source of keypoints through one door, and a sentence for each bad one."""

import json

import numpy as np
import pytest

from reidlib.data import load_dataset
from reidlib.errors import ReIDDataError
from reidlib.pose import (
    check_inside,
    find_arrays,
    read_annotation_csv,
    read_keypoints,
    write_openpose,
)

ALONG = np.arange(2, 52, dtype=np.float32).reshape(25, 2)  # joint j at (2j + 2, 2j + 3)


def expected():
    pose = np.concatenate([ALONG, np.ones((25, 1), np.float32)], axis=1)
    pose[3] = (np.nan, np.nan, 0)
    return pose


def vector():
    values = ALONG.copy()
    values[3] = 0
    return values.ravel()


def save(path, values, names=("a.jpg", "b.jpg")):
    np.save(path, values)
    path.with_suffix(".txt").write_text("\n".join(names))
    return path


@pytest.mark.parametrize("missing", [0, -1, np.nan])
@pytest.mark.parametrize("shape", [(50,), (25, 2)])
def test_vectors_read_back_with_each_mark_for_missing(tmp_path, missing, shape):
    values = ALONG.copy()
    values[3] = missing
    path = save(tmp_path / "k.npy", np.stack([values.reshape(shape)] * 2))
    poses = read_keypoints(path)
    assert list(poses) == ["a", "b"]
    np.testing.assert_array_equal(poses["b"], expected())


def test_the_same_pose_comes_out_of_every_source(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    write_openpose(folder / "a_keypoints.json", expected())
    np.save(folder / "b.npy", vector())
    three = expected()
    three[3] = 0
    np.savez(tmp_path / "k.npz", poses=three[None], names=["x/y/a.png"])
    np.save(tmp_path / "a.npy", vector())
    for path in [folder, folder / "a_keypoints.json", "k.npz", "a.npy"]:
        poses = read_keypoints(tmp_path / path, sizes=(128, 64))
        for pose in poses.values():
            np.testing.assert_array_equal(pose, expected())
    assert list(read_keypoints(folder)) == ["b", "a"]


def test_an_annotation_table_is_keyed_by_stem(tmp_path):
    row = f"a.jpg: {list(range(1, 19))}: {list(range(1, 19))}\n"
    (tmp_path / "a.csv").write_text("name:keypoints_y:keypoints_x\n" + row)
    np.testing.assert_array_equal(
        read_keypoints(tmp_path / "a.csv")["a"],
        read_annotation_csv(tmp_path / "a.csv")["a.jpg"],
    )


def test_the_most_prominent_of_two_people_is_read_and_none_is_missing(tmp_path):
    small, large = expected(), expected()
    small[:, :2] /= 4
    write_openpose(tmp_path / "two_keypoints.json", np.stack([small, large]))
    (tmp_path / "none_keypoints.json").write_text('{"people": []}')
    poses = read_keypoints(tmp_path)
    np.testing.assert_array_equal(poses["two"], large)
    assert not poses["none"][:, 2].any()


def two(values):
    return np.stack([values, values])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 36)), "shape (2, 36) where BODY_25 has (N, 50), (N, 25, 2)"),
        (np.zeros((2, 17, 3)), "convert other skeletons with reidlib.pose.convert"),
        (np.array(7.0), "shape () where"),
        (two(vector()).astype(str), "where coordinates are numbers"),
        (two(vector() + np.inf), "holds infinity"),
        (two(vector() / 64), "multiply x by the width and y by the height"),
        (np.full((2, 25, 3), 2.0), "the third column goes up to 2 where"),
        (np.zeros((2, 50)), "all joints of all 2 images are missing"),
        (np.zeros((3, 50)), "3 poses but 2 names"),
        (np.array([None, {}], dtype=object), "not a whole .npy or .npz file"),
    ],
)
def test_a_bad_array_is_named(tmp_path, values, said):
    with pytest.raises(ReIDDataError, match=r"k\.npy") as caught:
        read_keypoints(save(tmp_path / "k.npy", values))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_names_must_be_there_and_differ(tmp_path):
    with pytest.raises(ReIDDataError, match="1 images are named more than once .a.;"):
        read_keypoints(save(tmp_path / "k.npy", two(vector()), ("a.jpg", "x/a.png")))
    (tmp_path / "k.txt").unlink()
    with pytest.raises(ReIDDataError, match=r"write them into k\.txt, one a line"):
        read_keypoints(tmp_path / "k.npy")
    np.savez(tmp_path / "k.npz", one=vector(), two=vector())
    with pytest.raises(ReIDDataError, match="holds the arrays one, two where one of"):
        read_keypoints(tmp_path / "k.npz")


def test_keypoints_of_another_picture_size_are_refused_and_a_stray_joint_is_not():
    far = expected()
    far[:, 0] += 100
    poses = {"good": expected(), "far": far, "empty": expected() * np.nan}
    poses["good"][0, 0] = -3
    with pytest.raises(ReIDDataError, match=r"in 1 of 3 .* \(far\); .* another size"):
        check_inside(poses, (128, 64))
    check_inside(poses, {"good": (128, 64), "far": (128, 200)})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0] * 74, "holds 74 values where BODY_25 has 75"),
        ([float("nan")] * 75, "holds NaN or infinity; write 0, 0, 0 for a missing"),
        ([10**400] * 75, "other than numbers"),
        ([1e300] * 75, "holds NaN or infinity"),
    ],
)
def test_a_bad_number_in_a_json_file_is_named(tmp_path, values, said):
    path = tmp_path / "a_keypoints.json"
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": values}]}))
    with pytest.raises(ReIDDataError, match=r"a_keypoints\.json: pose") as caught:
        read_keypoints(tmp_path)
    assert said in str(caught.value)


def test_all_broken_files_of_a_folder_are_reported_together(tmp_path):
    for k in range(20):
        write_openpose(tmp_path / f"{k:02}_keypoints.json", expected())
    for k in (3, 7):
        (tmp_path / f"{k:02}_keypoints.json").write_text("{")
    np.save(tmp_path / "x.npy", np.zeros((4, 50)))
    with pytest.raises(ReIDDataError) as caught:
        read_keypoints(tmp_path)
    said = str(caught.value)
    assert said.startswith("3 of 21 keypoint files cannot be used: x.npy, 03_keyp")
    assert "07_keypoints.json" in said and "one image has (50,)" in said


def test_what_is_no_source_is_named(tmp_path):
    with pytest.raises(ReIDDataError, match=r"k\.xml: no source of keypoints"):
        read_keypoints(tmp_path / "k.xml")
    with pytest.raises(ReIDDataError, match="poses detect ROOT"):
        read_keypoints(tmp_path)
    with pytest.raises(ReIDDataError, match="not a whole .npy"):
        read_keypoints(tmp_path / "none.npy")


def test_rows_of_a_table_must_be_finite_and_differ(tmp_path):
    path, header = tmp_path / "a.csv", "name:keypoints_y:keypoints_x\n"
    good = f"a.jpg: {[1] * 18}: {[1] * 18}\n"
    path.write_text(header + good + good)
    with pytest.raises(ReIDDataError, match=r"1 images have more .* \(a\.jpg\); del"):
        read_keypoints(path)
    path.write_text(header + good + f"b.jpg: {[1e300] * 18}: {['NaN'] * 18}\n")
    with pytest.raises(ReIDDataError, match=r"1 rows are not .* \(lines 3\)"):
        read_keypoints(path)


def test_a_data_set_finds_its_arrays(world, tmp_path):
    image = "0001_c1s1_000001_00.jpg"
    folder = tmp_path / "bounding_box_train"
    folder.mkdir()
    images = [image, *(f"{k:04}_c1s1_000001_00.jpg" for k in range(2, 13))]
    source = next((world / "bounding_box_train").iterdir()).read_bytes()
    for name in images:
        (folder / name).write_bytes(source)
    save(tmp_path / "keypoints.npy", two(vector()), (images[0], "unknown.jpg"))
    (tmp_path / "keypoints").mkdir()
    np.save(tmp_path / "keypoints" / f"{images[1][:-4]}.npy", vector())
    data = load_dataset("market1501", tmp_path)
    assert set(data.poses) == set(images[:2])
    np.testing.assert_array_equal(data.poses[images[1]], expected())
    files = ("keypoints.npy", "keypoints.txt", "keypoints/0002_c1s1_000001_00.npy")
    assert data.keypoint_files == files
    assert find_arrays(folder) == ({}, ())
