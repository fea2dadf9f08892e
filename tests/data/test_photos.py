"""The example folder of photographs of chapter 10."""

import filecmp

import pytest

from reidlib.data import check, load_dataset
from reidlib.data.synthetic import write_photos
from reidlib.errors import ReIDConfigError, ReIDDataError


def test_a_folder_of_photographs_is_one_that_the_loader_takes(tmp_path):
    root = write_photos(tmp_path / "photos", people=5, each=4)
    data = load_dataset("folder", root)
    assert data.protocol == "holdout-no-cameras"
    assert not data.has_cameras
    assert len(data.train) + len(data.query) + len(data.gallery) == 20
    assert sorted(p.name for p in root.iterdir()) == [
        "keypoints",
        *(f"person-{k:03d}" for k in range(1, 6)),
    ]
    assert len(data.poses) == 20
    assert check("folder", root, every_image=True).usable


def test_a_table_tells_the_cameras(tmp_path):
    root = write_photos(tmp_path / "photos", people=6, each=6, cameras=True)
    data = load_dataset("folder", root)
    assert data.has_cameras
    assert data.protocol == "holdout"


def test_equal_arguments_give_equal_bytes(tmp_path):
    one, two = (
        write_photos(tmp_path / name, people=2, each=3, keypoints=False)
        for name in ("one", "two")
    )
    names = [str(p.relative_to(one)) for p in one.rglob("*.jpg")]
    same, other, failed = filecmp.cmpfiles(one, two, names, shallow=False)
    assert (len(same), other, failed) == (6, [], [])
    assert not (one / "keypoints").exists()


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ReIDDataError, match="exists; give a new folder"):
        write_photos(tmp_path)
    with pytest.raises(ReIDConfigError, match="at least 2 of both"):
        write_photos(tmp_path / "photos", people=1)
    assert list(tmp_path.iterdir()) == []
