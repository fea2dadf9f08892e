"""CUHK03 from a small file of the original's structure; answers by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from reidlib.data import cuhk03_mat, load_dataset
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose
from reidlib.retrieval import evaluate_distances

h5py = pytest.importorskip("h5py")

# People of each pair, and what a person has in view 1 and view 2.
PEOPLE = (3, 1, 1, 1, 1)
COLUMNS = (1, 2, 6, 10)
TESTS = [[(1, 2), (2, 1)], [(1, 1), (5, 1)]] + [[(1, 3)]] * 18


def pixels(pair: int, person: int, column: int, shift: int) -> np.ndarray:
    """A (4, 3, 3) picture that no turn or swap of axes leaves as it is."""
    rng = np.random.default_rng([pair, person, column, shift])
    return rng.integers(0, 256, (4, 3, 3)).astype(np.uint8)


def write_mat(path: Path) -> Path:
    """Cells of references with every axis in reverse, as MATLAB 7.3 writes them."""
    with h5py.File(path, "w") as file:

        def cell(name, values):
            values = np.atleast_2d(np.array(values, dtype=h5py.ref_dtype))
            return file.create_dataset(name, data=values, dtype=h5py.ref_dtype)

        empty = file.create_dataset("#refs#/empty", data=np.zeros(2, np.uint64))
        empty.attrs["MATLAB_empty"] = 1
        for shift, boxes in enumerate(("detected", "labeled")):
            pairs = []
            for pair, people in enumerate(PEOPLE, start=1):
                grid = np.full((people, 10), empty.ref, dtype=object)
                for person in range(1, people + 1):
                    for column in COLUMNS:
                        one = file.create_dataset(
                            f"#refs#/{boxes}{pair}{person}{column}",
                            data=pixels(pair, person, column, shift).transpose(2, 1, 0),
                        )
                        grid[person - 1, column - 1] = one.ref
                pairs.append(cell(f"#refs#/{boxes}{pair}", grid.T).ref)
            cell(boxes, [pairs])
        sets = [
            file.create_dataset(f"#refs#/t{n}", data=np.array(pairs, float).T).ref
            for n, pairs in enumerate(TESTS)
        ]
        cell("testsets", [sets])
    return path


@pytest.fixture
def cuhk03(tmp_path):
    root = tmp_path / "CUHK03"
    root.mkdir()
    write_mat(root / "cuhk-03.mat")
    return root


def test_images_are_written_once_the_right_way_round(cuhk03):
    data = load_dataset("cuhk03", cuhk03)
    names = [path.name for path in (cuhk03 / "images_detected").iterdir()]
    assert len(names) == sum(PEOPLE) * len(COLUMNS)
    assert not (cuhk03 / "images_labeled").exists()
    assert not (cuhk03 / "images_detected.part").exists()
    with Image.open(cuhk03 / "images_detected/1_003_2_06.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels(1, 3, 6, 0))
    assert (data.boxes, data.n_trials) == ("detected", 20)
    (cuhk03 / "cuhk-03.mat").unlink()  # no longer needed
    again = load_dataset("cuhk03", cuhk03)
    assert again.digest() == data.digest()


def test_labelled_boxes_are_asked_for_and_never_mixed_in(cuhk03):
    detected = load_dataset("cuhk03", cuhk03, trial=1)
    labeled = load_dataset("cuhk03", cuhk03, trial=1, boxes="labeled")
    with Image.open(cuhk03 / "images_labeled/5_001_1_02.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels(5, 1, 2, 1))
    for data in (detected, labeled):
        paths = [path for table in data.splits.values() for path in table["path"]]
        assert {path.split("/")[0] for path in paths} == {f"images_{data.boxes}"}
    assert detected.digest() != labeled.digest()
    with pytest.raises(ReIDConfigError, match="cuhk03 has detected and labeled boxes"):
        load_dataset("cuhk03", cuhk03, boxes="both")


def test_the_classic_split_is_the_files_own(cuhk03):
    data = load_dataset("cuhk03", cuhk03)
    assert set(data.query["pid"]) == {1002, 2001}
    assert data.query.equals(data.gallery)
    assert len(data.query) == 8
    assert set(data.train["pid"]) == {1001, 1003, 3001, 4001, 5001}
    assert set(load_dataset("cuhk03", cuhk03, trial=1).query["pid"]) == {1001, 5001}
    assert set(load_dataset("cuhk03", cuhk03, trial=19).query["pid"]) == {1003}
    held = load_dataset("cuhk03", cuhk03, protocol="holdout")
    assert held.train["pid"].nunique() == 5
    with pytest.raises(
        ReIDConfigError, match="cuhk03-classic protocol counts from 0 to"
    ):
        load_dataset("cuhk03", cuhk03, trial=20)


def test_both_means_of_the_classic_protocol_by_hand(cuhk03):
    data = load_dataset("cuhk03", cuhk03)
    query = data.query
    own = query["pid"].to_numpy()[:, None] == query["pid"].to_numpy()
    # Each view of a person has two images. In the other view own images are at 1 and
    # 3, the other person's at 2 and 4; in the query's view everything is nearer.
    late = query["path"].str.contains("_02.png|_10.png").to_numpy()
    same_view = query["camid"].to_numpy()[:, None] == query["camid"].to_numpy()
    distances = np.where(same_view, 0, np.where(own, 1, 2) + 2 * late)
    ids = [query[c].to_numpy() for c in ("pid", "pid", "camid", "camid")]
    result = evaluate_distances(distances, *ids, protocol=data.protocol)
    assert result.n_queries == 8
    assert result.rank(1) == pytest.approx(3 / 4)
    assert result.mAP_single == pytest.approx(7 / 8)
    assert result.mAP == pytest.approx(5 / 6)  # mAP_all: (1/1 + 2/3) / 2


def write_new_split(root: Path, boxes: str = "detected", **changes) -> Path:
    names = sorted(path.name for path in (root / f"images_{boxes}").iterdir())
    content = {
        "labels": [[100 + int(n[:1]) * 10 + int(n[4])] for n in names],
        "camId": [[int(n[6])] for n in names],
        "train_idx": [[n] for n in range(1, 13)],
        "query_idx": [[13], [17]],
        "gallery_idx": [[n] for n in (14, 15, 16, 18)],
        "filelist": np.array(names, dtype=object)[:, None],
    }
    path = root / f"cuhk03_new_protocol_config_{boxes}.mat"
    savemat(path, content | changes)
    return path


def test_the_767_700_split_is_the_published_files(cuhk03):
    load_dataset("cuhk03", cuhk03)
    write_new_split(cuhk03)
    data = load_dataset("cuhk03", cuhk03, protocol="cuhk03-np")
    assert set(data.train["pid"]) == {111, 112, 113}  # 12 images of pair 1
    assert data.query.values.tolist() == [
        ["images_detected/2_001_1_01.png", 121, 1],
        ["images_detected/3_001_1_01.png", 131, 1],
    ]
    assert data.gallery["path"].str[-14:-4].tolist() == [
        "2_001_1_02",
        "2_001_2_06",
        "2_001_2_10",
        "3_001_1_02",
    ]
    assert (data.n_trials, data.protocol) == (1, "cuhk03-np")
    # Query 1: the match of its own camera goes; matches at 2 and 3 of the rest.
    # Query 2 has no match in another camera and is skipped.
    distances = np.array([[0, 2, 3, 1], [0, 0, 0, 0]])
    tables = (data.query, data.gallery)
    ids = [t[c].to_numpy() for c in ("pid", "camid") for t in tables]
    result = evaluate_distances(distances, *ids, protocol=data.protocol)
    assert (result.n_queries, result.n_orphans, result.rank(1)) == (1, 1, 0)
    assert result.mAP == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_without_the_original_file_the_newer_split_is_the_usual_one(cuhk03):
    load_dataset("cuhk03", cuhk03)
    write_new_split(cuhk03)
    (cuhk03 / "cuhk-03.mat").unlink()
    (cuhk03 / "testsets.json").unlink()
    assert load_dataset("cuhk03", cuhk03).protocol == "cuhk03-np"


def test_a_missing_or_broken_split_file_is_named(cuhk03):
    def fails(match):
        with pytest.raises(ReIDDataError, match=match):
            load_dataset("cuhk03", cuhk03, protocol="cuhk03-np")

    fails("cuhk03_new_protocol_config_detected.mat is missing, which lists the 767/700")
    path = write_new_split(cuhk03)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails("is not a split of CUHK03 .*it must hold labels, camId")
    savemat(path, {"labels": [1]})
    fails("is not a split of CUHK03 .KeyError: 'camId'")
    write_new_split(cuhk03, query_idx=[[99]])
    fails("query_idx is empty or leaves the list of files")
    write_new_split(cuhk03, labels=[[1]])
    fails("differ in length")
    write_new_split(cuhk03)
    for name in ("1_001_1_01.png", "3_001_1_02.png"):
        (cuhk03 / "images_detected" / name).unlink()
    fails("2 images of .*: 1_001_1_01.png, 3_001_1_02.png. Extract")


def test_a_file_cut_short_is_refused_and_leaves_no_folder(cuhk03):
    mat = cuhk03 / "cuhk-03.mat"
    whole = mat.read_bytes()
    for kept in (len(whole) * 3 // 4, 100, 0):
        mat.write_bytes(whole[:kept])
        with pytest.raises(ReIDDataError, match="cut short or not the original"):
            load_dataset("cuhk03", cuhk03)
        assert not (cuhk03 / "images_detected").exists()
    with h5py.File(mat, "w") as file:
        file["something"] = 1
    with pytest.raises(ReIDDataError, match="KeyError.*copy or unpack it again"):
        load_dataset("cuhk03", cuhk03)


def test_a_stopped_extraction_goes_on_where_it_was(cuhk03, monkeypatch):
    write, written = cuhk03_mat._write, []

    def stopping(path, values):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, values)

    monkeypatch.setattr(cuhk03_mat, "_write", stopping)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("cuhk03", cuhk03)
    assert not (cuhk03 / "images_detected").exists()
    first, written[:] = list(written), []
    monkeypatch.setattr(
        cuhk03_mat, "_write", lambda p, v: (written.append(p.name), write(p, v))
    )
    data = load_dataset("cuhk03", cuhk03)
    assert len(written) == sum(PEOPLE) * len(COLUMNS) - 5
    assert not set(first) & set(written)
    assert len(data.train) == 20


def test_a_full_disk_is_not_blamed_on_the_file(cuhk03, monkeypatch):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ReIDDataError, match="cannot be written .*make room for them"):
        load_dataset("cuhk03", cuhk03)
    assert not (cuhk03 / "images_detected").exists()


def test_an_image_of_another_type_is_refused(cuhk03):
    with h5py.File(cuhk03 / "cuhk-03.mat", "r+") as file:
        del file["#refs#/detected111"]
        wrong = file.create_dataset("#refs#/detected111", data=np.zeros((3, 3, 4)))
        file["#refs#/detected1"][0, 0] = wrong.ref
    with pytest.raises(ReIDDataError, match="image 1_001_1_01.png is float64"):
        load_dataset("cuhk03", cuhk03)


def test_what_is_missing_is_said(cuhk03, monkeypatch, tmp_path):
    with pytest.raises(ReIDDataError, match="neither cuhk-03.mat nor") as caught:
        load_dataset("cuhk03", cuhk03.parent)
    assert str(caught.value).endswith(f"did you mean {cuhk03}?")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ReIDConfigError, match=r"needs h5py; .*'reidlib\[data\]'"):
            load_dataset("cuhk03", cuhk03)
    load_dataset("cuhk03", cuhk03)
    tests = cuhk03 / "testsets.json"
    assert json.loads(tests.read_text())[0] == [list(pair) for pair in TESTS[0]]
    tests.write_text("[[1]]")
    with pytest.raises(ReIDDataError, match="holds no list of .pair, identity."):
        load_dataset("cuhk03", cuhk03)
    tests.write_text("[[[1, 2], [9, 1]]]")
    with pytest.raises(ReIDDataError, match="1 test identities of trial 0 .*: 9_001"):
        load_dataset("cuhk03", cuhk03)
    tests.unlink()
    (cuhk03 / "cuhk-03.mat").unlink()
    with pytest.raises(ReIDDataError, match=r"neither cuhk-03.mat nor testsets.json"):
        load_dataset("cuhk03", cuhk03)
    (cuhk03 / "images_detected" / "7_001_1_01.png").write_bytes(b"")
    with pytest.raises(ReIDDataError, match="1 files in .* not named like 1_001_1_01"):
        load_dataset("cuhk03", cuhk03)


def test_keypoints_of_one_kind_of_boxes_are_not_the_others(cuhk03):
    folder = cuhk03 / "keypoints" / "images_detected"
    folder.mkdir(parents=True)
    pose = np.full((25, 3), 1, np.float32)
    write_openpose(folder / "1_001_1_01_keypoints.json", pose)
    assert list(load_dataset("cuhk03", cuhk03).poses) == [
        "images_detected/1_001_1_01.png"
    ]
    assert load_dataset("cuhk03", cuhk03, boxes="labeled").poses == {}
