"""Keypoint files: round trips, choice of person, and errors that name the mend."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reidlib.errors import ReIDDataError
from reidlib.pose import read_annotation_csv, read_openpose, write_openpose

HEADER = "name:keypoints_y:keypoints_x\n"


def person(confidence, side, joints=25):
    """A person whose joints lie on the diagonal of a box of the given side."""
    along = np.linspace(1, 1 + side, joints)
    return np.stack([along, along, np.full(joints, confidence)], 1).ravel().tolist()


def write_people(path, *people):
    content = {"people": [{"pose_keypoints_2d": values} for values in people]}
    path.write_text(json.dumps(content))
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.arrays(np.float32, (25, 3), elements=st.floats(2**-9, 500, width=32)),
    hnp.arrays(np.bool_, 25),
)
def test_a_pose_survives_the_json_round_trip_exactly(tmp_path, pose, seen):
    pose[~seen] = (np.nan, np.nan, 0)
    write_openpose(tmp_path / "a_keypoints.json", pose)
    np.testing.assert_array_equal(read_openpose(tmp_path / "a_keypoints.json"), pose)
    assert [path.name for path in tmp_path.iterdir()] == ["a_keypoints.json"]


def test_missing_joints_are_written_as_openpose_writes_them(tmp_path):
    pose = np.full((25, 3), np.nan, np.float32)
    pose[0] = (3, 4, 0.5)
    write_openpose(tmp_path / "a.json", pose)
    people = json.loads((tmp_path / "a.json").read_text())["people"]
    assert people[0]["pose_keypoints_2d"] == [3, 4, 0.5] + [0] * 72


def test_a_picture_without_people_has_only_missing_joints(tmp_path):
    pose = read_openpose(write_people(tmp_path / "a.json"))
    assert np.isnan(pose[:, :2]).all()
    assert not pose[:, 2].any()


def test_confidence_times_box_area_chooses_the_person(tmp_path):
    small, large = person(0.9, 10), person(0.3, 60)  # 0.9 · 100 < 0.3 · 3600
    path = write_people(tmp_path / "a.json", small, large, [0] * 75)
    assert read_openpose(path)[0, 2] == pytest.approx(0.3)


def test_a_coco_file_of_openpose_becomes_body25(tmp_path):
    path = write_people(tmp_path / "a.json", person(1.0, 17, joints=18))
    pose = read_openpose(path)
    assert pose[9, 0] == pytest.approx(9)  # RHip is number 8 in COCO-18
    assert np.isnan(pose[19:, 0]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not an OpenPose JSON file"),
        ("[]", "not an OpenPose JSON file"),
        ('{"people": [{}]}', "KeyError: 'pose_keypoints_2d'"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "--model_pose BODY_25"),
        ('{"people": [{"pose_keypoints_2d": ["x"]}]}', "other than numbers"),
    ],
)
def test_a_broken_json_file_is_named(tmp_path, text, said):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ReIDDataError, match=r"bad\.json") as caught:
        read_openpose(tmp_path / "bad.json")
    assert said in str(caught.value)


def test_the_annotation_table_puts_y_before_x_and_right_eye_first(tmp_path):
    ys = [-1, *range(101, 118)]
    xs = [-1, *range(1, 18)]
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}0002_c1s1_000451_03.jpg: {ys}: {xs}\n")
    poses = read_annotation_csv(path)
    assert list(poses) == ["0002_c1s1_000451_03.jpg"]
    pose = poses["0002_c1s1_000451_03.jpg"]
    np.testing.assert_array_equal(pose[0], (np.nan, np.nan, 0))
    np.testing.assert_array_equal(pose[1], (1, 101, 1))
    np.testing.assert_array_equal(pose[8], ((8 + 11) / 2, (108 + 111) / 2, 1))
    np.testing.assert_array_equal(pose[15], (14, 114, 1))  # REye is 14 in the file


def test_all_bad_rows_of_the_annotation_table_are_reported_together(tmp_path):
    path = tmp_path / "a.csv"
    good = f"a.jpg: {[1] * 18}: {[1] * 18}\n"
    path.write_text(HEADER + good + "b.jpg: [1]: [2]\n\n" + good + "c.jpg\n")
    with pytest.raises(ReIDDataError, match=r"2 rows .* \(lines 3, 6\)"):
        read_annotation_csv(path)


def test_another_table_is_not_taken_for_annotations(tmp_path):
    (tmp_path / "a.csv").write_text("from,to\n")
    with pytest.raises(ReIDDataError, match="the first line is not"):
        read_annotation_csv(tmp_path / "a.csv")
    with pytest.raises(ReIDDataError, match="cannot be read"):
        read_annotation_csv(tmp_path / "none.csv")
