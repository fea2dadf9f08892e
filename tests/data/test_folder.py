"""One's own images: folders, tables, cameras that nobody knows; bad tables."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidlib.data import load_dataset
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose
from reidlib.retrieval import evaluate, evaluate_distances

POSE = np.full((25, 3), 2, np.float32)


def add(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16)).save(root / path)
    return root


def table(root: Path, text: str) -> Path:
    (root / "images.csv").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def people(tmp_path):
    """Three people of three pictures, the names of which repeat."""
    names = ("bob", "alice", "zoë")
    return add(
        tmp_path / "own", *(f"{n}/{k:03d}.jpg" for n in names for k in (1, 2, 3))
    )


def test_folders_are_identities_in_sorted_order(people):
    data = load_dataset("folder", people, holdout=0.3)
    assert data.identities.values.tolist() == [[1, "alice"], [2, "bob"], [3, "zoë"]]
    assert data.protocol == "holdout-no-cameras"
    assert not data.has_cameras
    assert data.cameras(data.train).tolist() == [0] * 6
    assert "no cameras: every gallery image of the query's identity" in data.notes[0]
    assert (len(data.train), len(data.query), len(data.gallery)) == (6, 1, 2)
    everything = [row for t in data.splits.values() for row in t.values.tolist()]
    assert len({path for path, _, _ in everything}) == 9
    number = dict(zip(data.identities["name"], data.identities["pid"], strict=True))
    assert all(number[path.split("/")[0]] == pid for path, pid, _ in everything)
    assert load_dataset("folder", people, protocol=data.protocol).n_trials == 10
    queries = {
        load_dataset("folder", people, trial=k).query["path"][0] for k in range(10)
    }
    assert len(queries) > 2


def test_without_cameras_matches_count_and_the_query_is_no_match(people):
    data = load_dataset("folder", people, holdout=0.6)
    tables = (data.query, data.gallery)
    ids = [t[c].to_numpy() for c in ("pid", "camid") for t in tables]
    assert (len(data.query), len(data.gallery)) == (2, 4)
    assert not set(data.query["path"]) & set(data.gallery["path"])
    own = ids[0][:, None] == ids[1]
    result = evaluate_distances(~own * 1.0, *ids, protocol=data.protocol)
    assert (result.rank(1), result.mAP, result.n_orphans) == (1, 1, 0)
    # The training identities searched in themselves: no picture finds itself.
    train = [data.train[c].to_numpy() for c in ("pid", "pid", "camid", "camid")]
    alone = evaluate(np.eye(3), np.eye(3), *train)
    assert alone.mAP == pytest.approx((1 / 1 + 2 / 2) / 2)
    distances = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]]) * 1.0
    assert evaluate_distances(distances, *train).n_orphans == 0


def test_a_table_says_camera_and_split(tmp_path):
    add(tmp_path, "x/1.png", "x/2.png", "y/1.png", "y/2.png", "left out.png")
    table(
        tmp_path,
        "\ufeffSplit,path,note,camid,pid\n"
        "train,x/1.png,,1,7\ntrain,./x//2.png,,2,7\n\n"
        'query,y/1.png,"a, b",1,0009\nGallery, y\\2.png ,,2,0009\n',
    )
    data = load_dataset("folder", tmp_path)
    assert (data.protocol, data.has_cameras, data.notes) == ("folder", True, ())
    assert data.train.values.tolist() == [["x/1.png", 7, 1], ["x/2.png", 7, 2]]
    assert data.query.values.tolist() == [["y/1.png", 9, 1]]
    assert data.gallery.values.tolist() == [["y/2.png", 9, 2]]
    assert data.identities.empty
    assert data.root == tmp_path
    by_file = load_dataset("folder", tmp_path / "images.csv")
    assert by_file.digest() == data.digest()
    with pytest.raises(ReIDDataError, match="1 identities cannot be split"):
        load_dataset("folder", tmp_path, protocol="holdout")  # of the train rows


def test_the_digest_sees_who_a_table_says_is_in_a_picture(tmp_path):
    add(tmp_path, "a.png", "b.png", "c.png", "d.png")
    text = (
        "path,pid,split\na.png,1,train\nb.png,2,train\nc.png,3,query\nd.png,3,gallery\n"
    )
    first = load_dataset("folder", table(tmp_path, text)).digest()
    again = load_dataset("folder", table(tmp_path, text.replace("b.png,2", "b.png,1")))
    assert again.digest() != first


def test_a_single_camera_is_as_good_as_none(tmp_path):
    add(tmp_path, "a.png", "b.png", "c.png", "d.png")
    table(tmp_path, "path,pid,camid\na.png,1,4\nb.png,1,4\nc.png,2,4\nd.png,2,4\n")
    data = load_dataset("folder", tmp_path)
    assert data.protocol == "holdout-no-cameras"
    assert data.notes[0].startswith("all images are of one camera: every gallery")
    assert len(data.query) == len(data.gallery) == 1


def test_known_cameras_are_held_out_as_in_market(tmp_path):
    rows = [f"{p}_{c}.png,{p},{c}" for p in range(4) for c in (1, 2, 3)]
    add(tmp_path, *(row.split(",")[0] for row in rows), "junk.png")
    table(tmp_path, "path,pid,camid\njunk.png,-1,1\n" + "\n".join(rows))
    data = load_dataset("folder", tmp_path)
    assert data.protocol == "holdout"
    assert (len(data.train), len(data.query), len(data.gallery)) == (9, 2, 1)
    assert data.notes == ("1 junk images (pid -1) are left out of training.",)


BAD_ROWS = """path,pid,camid,split
ok.png,1,1,train
,1,1,train
ok2.png,,1,train
../ok.png,1,1,train
/etc/hosts.png,1,1,train
x/../ok.png,1,1,train
notes.txt,1,1,train
gone.png,1,1,train
ok3.png,1,left,train
ok4.png,1,,train
ok5.png,1,2,test
ok6.png,1,2,train,more
"""


def test_all_bad_rows_are_in_one_error(tmp_path):
    add(tmp_path, "ok.png", *(f"ok{n}.png" for n in range(2, 7)))
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ReIDDataError) as caught:
        load_dataset("folder", table(tmp_path, BAD_ROWS))
    assert str(caught.value) == (
        f"{tmp_path / 'images.csv'}: 11 of 12 rows cannot be used: "
        "line 3 has no path, line 4 has no pid, "
        f"line 5 ../ok.png leaves {tmp_path}, line 6 /etc/hosts.png leaves {tmp_path}, "
        "line 7 x/../ok.png is also in line 2, "
        "line 8 notes.txt is not named like an image, line 9 gone.png does not exist, "
        "line 10 camid 'left' is no whole number, line 11 camid '' is no whole number, "
        "line 12 split 'test' is none of train, query, gallery, "
        "line 13 has 5 cells where the first line has 4. Mend or delete them."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path;pid\na.png;1\n", r"no single column path and pid .*: path;pid\)"),
        ("path,name\na.png,1\n", r"no single column pid \(its first line: path, name"),
        ("path,pid,path\n", "no single column path"),
        ("", "its first line: empty"),
        ("path,pid\n", "no row below its first line; add the images"),
        ('path,pid\n"a.png', "cannot be read .*a table in UTF-8"),
        ("path,pid,split\na.png,1,train\n", "no image has split query or gallery, wh"),
        ("path,pid\na.png,1\n", "1 identities cannot be split in two"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, message):
    add(tmp_path, "a.png")
    with pytest.raises(ReIDDataError, match=message):
        load_dataset("folder", table(tmp_path, text))


def test_a_folder_that_is_no_data_set_is_refused(people, tmp_path):
    def fails(root, match, kind=ReIDDataError, **options):
        with pytest.raises(kind, match=match):
            load_dataset("folder", root, **options)

    fails(
        people,
        "needs a split, and .* has none; add",
        ReIDConfigError,
        protocol="folder",
    )
    fails(people, "'np'; this data set has folder", ReIDConfigError, protocol="np")
    fails(people, "counts from 0 to 9", ReIDConfigError, trial=10)
    fails(people / "bob", "3 images in .* lie in no identity's folder: 001.jpg")
    fails(tmp_path / "none", "does not exist; give the folder that holds a folder per")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "no images under .* expected a folder per identity")
    (people / "campus").mkdir()
    fails(people, "holds campus, which is no identity; read it as 'cuhk01'")
    (people / "campus").rmdir()
    (people / "a.csv").write_text("")
    (people / "b.csv").write_text("")
    fails(people, r"2 tables in .*: a.csv, b.csv; give the path of the one")
    (people / "a.csv").write_bytes(b"path,pid\n\xff.png,1\n")
    fails(people / "a.csv", "cannot be read .*UTF-8")
    with pytest.raises(ReIDDataError, match="^1 names in .* are not UTF-8"):
        Path(os.fsdecode(os.fsencode(people) + b"/bob/\xff.jpg")).write_bytes(b"")
        (people / "a.csv").unlink()
        (people / "b.csv").unlink()
        load_dataset("folder", people)


def test_a_person_without_a_picture_is_named(people):
    for name in ("zoe", "adam", ".thumbnails"):
        (people / name).mkdir()
    data = load_dataset("folder", people)
    assert "2 folders hold no image: adam, zoe." in data.notes


def test_keypoints_mirror_the_folders_or_have_a_name_of_their_own(people):
    add(people, "bob/only.jpg")
    (people / "bob" / "readme.txt").write_text("not a picture")
    (people / "keypoints" / "alice").mkdir(parents=True)
    write_openpose(people / "keypoints/alice/001_keypoints.json", POSE)
    write_openpose(people / "keypoints/only_keypoints.json", POSE)
    data = load_dataset("folder", people)
    assert sorted(data.poses) == ["alice/001.jpg", "bob/only.jpg"]
    assert data.notes[0] == "1 files are no .jpg or .png images."
    every = [t for t in data.splits.values() if len(t)]
    for part in every:  # bob/001.jpg has alice's file name and not her pose
        seen = data.pose_array(part)[:, 0, 2] > 0
        assert set(part["path"][seen]) == set(part["path"]) & set(data.poses)
    write_openpose(people / "keypoints/002_keypoints.json", POSE)
    with pytest.raises(ReIDDataError, match="1 keypoint files .* fit more than one"):
        load_dataset("folder", people)
    (people / "keypoints/002_keypoints.json").unlink()
    write_openpose(people / "keypoints/gone_keypoints.json", POSE)
    with pytest.raises(ReIDDataError, match="belong to no image: keypoints/gone_keyp"):
        load_dataset("folder", people)


def test_a_link_to_a_folder_is_followed_once(people, tmp_path):
    add(tmp_path / "other", "1.png", "2.png")
    (people / "linked").symlink_to(tmp_path / "other")
    (people / "bob" / "loop").symlink_to(people / "bob")
    data = load_dataset("folder", people)
    assert sum(map(len, data.splits.values())) == 11


def test_junk_is_junk_also_beside_people_who_have_names(people):
    add(people, "-1/001.jpg", "-1/002.jpg")
    data = load_dataset("folder", people, holdout=0.3)
    assert "-1" not in data.identities["name"].tolist()
    everyone = [*data.train["pid"], *data.query["pid"], *data.gallery["pid"]]
    assert min(everyone) > 0 and len(everyone) == 9
    assert any("2 junk images (pid -1)" in note for note in data.notes)


def test_a_column_that_is_there_twice_is_refused(people):
    place = table(people, "path,pid,camid,camid\nbob/001.jpg,bob,1,2\n")
    with pytest.raises(ReIDDataError, match="has camid twice; leave one"):
        load_dataset("folder", place / "images.csv")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["img0", "img1"], "2 keypoint files .* belong to no image: img0 .of an array"),
        (["001", "002"], "2 keypoint files .* fit more than one image: 001 .of an arr"),
    ],
)
def test_arrays_that_fit_no_picture_or_several_are_refused(people, names, said):
    poses = np.stack([POSE, POSE])[..., :2]
    np.savez(people / "keypoints.npz", poses=poses, names=names)
    with pytest.raises(ReIDDataError, match=said):
        load_dataset("folder", people)
