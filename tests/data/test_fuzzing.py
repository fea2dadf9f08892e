"""Names, tables and bytes at random: nothing but the project's own errors."""

import csv
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from reidlib.data import load_dataset
from reidlib.errors import ReIDError

FUZZ = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PARTS = ["0001", "_c1s1_", "_c", "001", "002", "1_001_1_01", "-1", "9" * 25, ".png"]
PARTS += [".jpg", ".PNG", "a", " ", ".", "\u0663", "\xe9", "\n", ",", '"', "../", "=1"]
text = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=6).map("".join)
file_names = st.binary(min_size=1, max_size=12) | text.map(
    lambda name: name.encode("utf-8", "surrogatepass")
)
# Where the images lie, and names as they should be: wild ones come among these.
LAYOUTS = {
    "market1501": ("bounding_box_train", "{:04d}_c1s1_000001_01.jpg"),
    "cuhk01": ("campus", "{:04d}001.png"),
    "cuhk03": ("images_detected", "1_{:03d}_1_01.png"),
    "folder": ("", "{}/a.jpg"),
}


@FUZZ
@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.integers(0, 4),
    st.lists(file_names, max_size=2),
)
def test_no_file_name_raises_anything_but_our_errors(name, good, wild):
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, LAYOUTS[name][0])
        names = [LAYOUTS[name][1].format(n).encode() for n in range(1, good + 1)]
        for number, raw in enumerate(wild):
            plain = raw.replace(b"/", b"").replace(b"\0", b"")
            names.append(b"x/" + plain if name == "folder" and number else plain)
        for one in names:
            where = Path(os.fsdecode(os.fsencode(folder) + b"/" + one))
            with suppress(OSError):  # "." and what is there already
                where.parent.mkdir(exist_ok=True)
                where.write_bytes(b"")
        try:
            data = load_dataset(name, home, protocol="holdout", holdout=0.5)
            data.digest()
        except ReIDError:
            event("refused")
            return
        event(f"{name} read")
        assert len(data.train) > 0


IMAGES = ("a.png", "b.png", "c/d.png", "e.png", "f.png")
COLUMNS = ("path", "pid", "camid", "split")


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    root = tmp_path_factory.mktemp("five")
    for path in IMAGES:
        (root / path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 16)).save(root / path)
    return root


wild_cells = st.sampled_from(
    [*COLUMNS, *IMAGES, "", "-1", "../a.png", "c//d.png", "9" * 25, "1e3", "anna"]
) | st.text(max_size=4)
good_rows = st.tuples(
    st.sampled_from(["1", "2", "anna"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["train", "query", "gallery"]),
)


@FUZZ
@given(
    st.permutations(IMAGES),
    st.lists(good_rows, min_size=2, max_size=5),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), wild_cells), max_size=1),
    st.integers(2, 4),
    st.sampled_from([None, "folder", "holdout"]),
)
def test_no_table_raises_anything_but_our_errors(
    five, paths, rows, wild, width, protocol
):
    lines = [list(COLUMNS), *([p, *r] for p, r in zip(paths, rows, strict=False))]
    for row, column, value in wild:
        lines[row % len(lines)][column : column + 1] = [value]
    text = io.StringIO()
    csv.writer(text).writerows([line[:width] for line in lines])
    raw = text.getvalue().encode("utf-8", "surrogatepass")
    (five / "images.csv").write_bytes(raw)
    try:
        data = load_dataset("folder", five, protocol=protocol, holdout=0.5)
    except ReIDError:
        event("refused")
        return
    event("read")
    read = [path for part in data.splits.values() for path in part["path"]]
    assert len(set(read)) == len(read) > 1
    assert data.digest()


@FUZZ
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda t: t.encode("utf-8")))
def test_no_bytes_raise_anything_but_our_errors(five, raw):
    (five / "images.csv").write_bytes(b"path,pid\n" + raw)
    with pytest.raises(ReIDError):
        load_dataset("folder", five, protocol="folder")
