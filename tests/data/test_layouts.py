"""What the doctor makes of a folder, from the names in it alone."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from reidlib.data.layouts import detect

MARKET = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0007_c6s3_077419_03.jpg"],
    "query": ["0001_c1s1_001051_00.jpg"],
    "bounding_box_test": ["-1_c1s1_000401_03.jpg", "0001_c2s1_000001_01.jpg"],
}
PEOPLE = {"anna": ["1.jpg", "2.jpg"], "otto": ["1.png"]}


def put(root: Path, tree: dict[str, list[str]]) -> Path:
    """Empty files by folder; "" is the root itself."""
    for folder, names in tree.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / folder / name).touch()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Below an empty folder of its own, for nothing may lie above by chance."""
    return tmp_path / "a" / "b" / "c"


@pytest.mark.parametrize(
    ("tree", "name", "what"),
    [
        (MARKET, "market1501", "Market-1501"),
        ({"bounding_box_train": ["0005_c2_f0046985.jpg"]}, "dukemtmc", "DukeMTMC-reID"),
        (
            {"bounding_box_train": [f"000{c}_c{c}.jpg" for c in range(1, 9)]},
            "dukemtmc",
            "DukeMTMC-reID",
        ),
        (
            {"bounding_box_train": [f"000{c}_c{c}.jpg" for c in range(1, 7)]},
            "market1501",
            "Market-1501's layout",
        ),
        ({"": ["world.json"], **MARKET}, "synthetic", "a synthetic world"),
        ({"campus": ["0001001.png", "0001003.png"]}, "cuhk01", "CUHK01"),
        ({"": ["cuhk-03.mat", "README.md"]}, "cuhk03", "CUHK03"),
        ({"images_detected": ["1_001_1_01.png"]}, "cuhk03", "CUHK03"),
        ({"images_labeled": ["1_001_1_01.png"]}, "cuhk03", "CUHK03"),
        (PEOPLE, "folder", "a folder of 2 directories, one for a person"),
        (
            {**PEOPLE, "keypoints": ["1_keypoints.json"]},
            "folder",
            "a folder of 2 directories, one for a person",
        ),
    ],
)
def test_each_layout_is_known_by_its_names(root, tree, name, what):
    found = detect(put(root, tree))
    assert (found.name, found.root, found.what) == (name, root, what)
    assert found.advice == ""
    assert found.command == f".venv/bin/python -m reidlib doctor {name} {root}"


def test_a_table_of_paths_and_people_is_a_folder(root):
    put(root, {"pictures": ["a.jpg", "b.jpg"]})
    (root / "notes.csv").write_text("camera,place\n1,door\n")
    assert detect(root).name == ""
    (root / "people.csv").write_text("path, pid,camid\npictures/a.jpg,1,1\n")
    assert detect(root).what == "a folder of pictures with people.csv"
    table = detect(root / "people.csv")
    assert (table.name, table.root, table.advice) == ("folder", root / "people.csv", "")
    assert detect(root / "notes.csv").advice.endswith("give the folder that holds it.")


def test_a_missing_an_empty_and_an_unknown_folder_say_what_is_wrong(root):
    assert detect(root).advice == f"{root} does not exist; check its spelling."
    root.mkdir(parents=True)
    assert detect(root).advice == (
        f"{root} is empty; put the data set's files into it."
    )
    put(root, {"": ["readme.txt"], "docs": []})
    found = detect(root)
    assert found.advice == (
        f"{root} holds no data set known to reidlib (found: docs/, readme.txt); "
        "expected bounding_box_train, campus, cuhk-03.mat, images_detected, a "
        "directory for each person or a CSV of path,pid,camid."
    )
    assert found.name == ""
    put(root, {"": ["a.jpg", "b.jpg", "c.png"]})
    assert detect(root).advice.startswith(
        f"{root} holds 3 pictures and does not say who is on them; make a directory"
    )


def test_one_or_two_levels_too_high_is_answered_with_the_right_folder(root):
    below = put(root / "Market-1501-v15.09.15", MARKET)
    found = detect(root)
    assert (found.name, found.root) == ("market1501", below)
    assert found.advice == (
        f"{root} is one level too high: Market-1501 is in {below}; give that folder."
    )
    assert found.command == f".venv/bin/python -m reidlib doctor market1501 {below}"
    assert "is 2 levels too high" in detect(root.parent).advice
    put(root / "CUHK01", {"campus": ["0001001.png"]})
    assert detect(root).advice == (
        f"{root} holds 2 data sets (CUHK01 in {root / 'CUHK01'}, "
        f"Market-1501 in {below}); give one of them."
    )


def test_one_level_too_low_is_answered_with_the_right_folder(root):
    put(root, MARKET)
    found = detect(root / "query")
    assert (found.name, found.root) == ("market1501", root)
    assert found.advice == (
        f"{root / 'query'} is a part of {root} (Market-1501); give that folder."
    )


def test_people_one_level_off_are_found_too(root):
    put(root / "photos", PEOPLE)
    assert detect(root).root == root / "photos"
    assert "is one level too high" in detect(root).advice
    assert detect(root / "photos" / "anna").root == root / "photos"


def test_a_relative_folder_is_understood(root, monkeypatch):
    put(root, MARKET)
    monkeypatch.chdir(root)
    assert detect(".").name == "market1501"
    monkeypatch.chdir(root / "query")
    assert detect(".").root == root


def test_the_folder_of_torchreid_is_named(root):
    place = put(root / "market1501" / "Market-1501-v15.09.15", MARKET)
    for asked in (root, root / "market1501"):
        assert detect(asked).root == place
        assert "Market-1501, as torchreid keeps it" in detect(asked).advice


def test_the_copy_of_layumi_is_told_from_people(root):
    copy = {"train_all/0002": ["0002_c1s1_000451_03.jpg"]}
    copy |= {"train_all/0007": ["0007_c6s3_077419_03.jpg"]}
    copy |= {"query/0001": ["0001_c1s1_001051_00.jpg"], "gallery/-1": ["x.jpg"]}
    put(root / "pytorch", copy)
    for asked in (root, root / "pytorch"):
        found = detect(asked)
        assert found.name == ""
        assert found.advice == (
            f"{asked} is layumi's copy (a directory for each person in train_all, "
            "query, gallery); the protocol needs the original folder with "
            "bounding_box_train, query and bounding_box_test; give that, or "
            f"{root / 'pytorch' / 'train_all'} as a folder of people."
        )
    put(root, MARKET)  # as his script leaves it, inside of the original
    assert detect(root).advice == ""
    assert detect(root / "pytorch").advice == (
        f"{root / 'pytorch'} is layumi's copy (a directory for each person in "
        f"train_all, query, gallery); the original (Market-1501) is in {root}; give "
        "that folder."
    )


def test_the_copy_of_open_reid_leads_to_the_download_it_keeps(root):
    put(root, {"": ["meta.json", "splits.json"], "images": ["00000000_00_0000.jpg"]})
    start = f"{root} is open-reid's copy (images/ and meta.json); "
    assert detect(root).advice == (
        f"{start}its own splits are not the published ones; give the original "
        "download, which open-reid keeps in raw/."
    )
    raw = put(root / "raw" / "Market-1501-v15.09.15", MARKET)
    packed = shutil.make_archive(str(raw), "zip", raw.parent, raw.name)
    assert detect(root).advice == (
        f"{start}the original (Market-1501) is in {raw}; give that folder."
    )
    shutil.rmtree(raw)
    assert detect(root).advice.startswith(f"{start}{packed} is a zip of")


def test_a_zip_is_named_and_its_command_unpacks_it(root, tmp_path):
    put(root / "Market-1501-v15.09.15", MARKET)
    packed = Path(shutil.make_archive(str(tmp_path / "my data"), "zip", root))
    shutil.rmtree(root)
    found = detect(packed)
    place = tmp_path / "my data" / "Market-1501-v15.09.15"
    assert (found.name, found.root) == ("market1501", place)
    assert "is a zip of 5 files with Market-1501; unpack it and give" in found.advice
    assert detect(tmp_path).root == place  # the folder that holds the zip
    unpack, then = found.command.split(" && ")
    words = shlex.split(unpack)
    subprocess.run(["python", *words[1:]], check=True)
    assert detect(place).advice == ""
    assert shlex.split(then)[-2:] == ["market1501", str(place)]


def test_a_zip_of_people_of_nothing_and_a_broken_one(root, tmp_path):
    put(root, PEOPLE)
    (root / "list.csv").write_text("x,y\n")
    people = Path(shutil.make_archive(str(tmp_path / "p"), "zip", root))
    assert detect(people).name == "folder"
    (root / "list.csv").write_text("path,pid\n")
    table = Path(shutil.make_archive(str(tmp_path / "t"), "zip", root))
    assert detect(table).what == "a folder of pictures with list.csv"
    shutil.rmtree(root)
    put(root, {"": ["readme.txt"]})
    other = Path(shutil.make_archive(str(tmp_path / "o"), "zip", root))
    assert "with no data set known to reidlib" in detect(other).advice
    other.write_bytes(people.read_bytes()[:-30])
    assert detect(other).advice == (
        f"{other} is no whole zip file (File is not a zip file); download it again."
    )


def test_other_archives_and_other_files_are_not_folders(root):
    put(root, {**MARKET, "": ["a.tar.gz", "readme.txt"]})
    assert detect(root / "a.tar.gz").advice == (
        f"{root / 'a.tar.gz'} is still packed; unpack it and give the folder."
    )
    found = detect(root / "readme.txt")
    assert found.root == root
    assert found.advice == (
        f"{root / 'readme.txt'} is a file; give the folder that holds it."
    )


@pytest.mark.parametrize(
    ("picture", "name", "folder"),
    [
        ("0002_c1s1_000451_03.jpg", "market1501", "bounding_box_train"),
        ("0001001.png", "cuhk01", "campus"),
    ],
)
def test_pictures_outside_of_their_folder_get_one(root, picture, name, folder):
    put(root, {"": [picture]})
    found = detect(root)
    assert found.advice.endswith(f"give a folder that holds them as {folder}.")
    make, link, _ = (shlex.split(part) for part in found.command.split(" && "))
    subprocess.run(make, check=True)
    subprocess.run(link, check=True)
    assert detect(found.root).name == name
    assert detect(found.root).advice == ""


def test_a_zip_with_a_damaged_table_and_a_folder_of_two_zips(root, tmp_path):
    put(root, {"campus": ["0001001.png"]})
    (root / "a.csv").write_text("path,pid\n" * 50)
    packed = Path(shutil.make_archive(str(tmp_path / "p"), "zip", root))
    content = bytearray(packed.read_bytes())
    at = content.index(b"a.csv") + 5
    content[at : at + 8] = bytes(8)
    packed.write_bytes(content)
    assert detect(packed).name == "cuhk01"
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "q.zip").write_bytes(content)
    assert detect(tmp_path).advice.startswith(
        f"{tmp_path} holds 2 archives, the first: {packed} is a zip of 2 files"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the superuser")
def test_a_folder_closed_to_the_user_is_not_called_empty(root):
    put(root, MARKET).chmod(0)
    assert detect(root).advice == f"{root} may not be read; change its permissions."
    root.chmod(0o700)
