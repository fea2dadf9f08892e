"""What the doctor remembers of the images that it opened."""

import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from reidlib.data import opened
from reidlib.data.opened import open_images

PATHS = ["a/one.jpg", "a/two.jpg", "three.jpg"]


@pytest.fixture
def root(tmp_path, own_cache) -> Path:
    (tmp_path / "a").mkdir()
    for path in PATHS:
        Image.new("RGB", (8, 16), (120, 60, 30)).save(tmp_path / path)
    return tmp_path


def test_only_changed_files_are_opened_again(root, monkeypatch):
    looked: list[str] = []

    def spy(path: Path) -> tuple[int, int, str]:
        looked.append(path.name)
        return true(path)

    true = opened.fault_of
    monkeypatch.setattr(opened, "fault_of", spy)
    for expected in (3, 0):
        looked.clear()
        found = open_images(root, PATHS)
        assert (len(looked), found.remembered) == (expected, 3 - expected)
        assert found.sizes == dict.fromkeys(PATHS, (8, 16))
    whole = (root / PATHS[0]).read_bytes()
    (root / PATHS[0]).write_bytes(b"broken")
    assert list(open_images(root, PATHS).faults) == [PATHS[0]]
    assert looked == ["one.jpg"]
    (root / PATHS[0]).write_bytes(whole)
    assert not open_images(root, PATHS).faults
    looked.clear()
    os.utime(root / PATHS[2], ns=(1, 1))  # the same bytes, another time
    open_images(root, PATHS)
    assert looked == ["three.jpg"]


def test_a_missing_file_is_a_fault_even_after_it_was_known(root):
    open_images(root, PATHS)
    (root / PATHS[1]).unlink()
    assert "No such file" in open_images(root, PATHS).faults[PATHS[1]]


def test_what_is_remembered_survives_damage_and_an_unwritable_folder(
    root, own_cache, monkeypatch, caplog
):
    assert open_images(root, PATHS).remembered == 0
    (book,) = (own_cache / "doctor").iterdir()
    whole = json.loads(book.read_text())
    for damage in (b"", b"[1]", b'{"version": 1}', b'{"files": {}}'):
        book.write_bytes(damage)
        assert open_images(root, PATHS).remembered == 0
    for rows in ([1], {PATHS[0]: [1, 2]}, {PATHS[0]: 5}):
        book.write_text(json.dumps(whole | {"files": rows}))
        assert open_images(root, PATHS).remembered == 0
    book.write_text(json.dumps(whole | {"version": "of another Pillow"}))
    assert open_images(root, PATHS).remembered == 0
    assert open_images(root, PATHS).remembered == 3
    monkeypatch.setattr(opened, "cache_folder", lambda: root / PATHS[0])
    assert not open_images(root, PATHS).faults
    assert "what was opened is not remembered" in caplog.text


def test_what_was_opened_before_an_interruption_is_kept(root, monkeypatch):
    def stop(path: Path) -> tuple[int, int, str]:
        if path.name == "three.jpg":
            raise KeyboardInterrupt
        return 8, 16, ""

    with monkeypatch.context() as patch:
        patch.setattr(opened, "fault_of", stop)
        with pytest.raises(KeyboardInterrupt):
            open_images(root, PATHS)
    assert open_images(root, PATHS).remembered == 2


def test_the_cache_lies_where_the_system_keeps_such_files(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert opened.cache_folder() == tmp_path / "reidlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened.cache_folder() == tmp_path / ".cache" / "reidlib"
