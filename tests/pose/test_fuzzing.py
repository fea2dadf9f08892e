"""Whatever the bytes are, readers answer with poses or with reidlib's own error."""

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reidlib.errors import ReIDDataError
from reidlib.pose import read_keypoints

pytestmark = pytest.mark.filterwarnings("ignore")
many = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values = st.recursive(
    numbers | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["people", "pose_keypoints_2d", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
enough = st.lists(numbers, min_size=1, max_size=5).map(lambda few: (few * 75)[:75])
people = st.builds(
    lambda all_: {"people": [{"pose_keypoints_2d": one} for one in all_]},
    st.lists(enough | values, max_size=2),
)


def answers(path):
    """True for poses of the right shape, False for reidlib's error."""
    try:
        poses = read_keypoints(path, sizes=(128, 64))
    except ReIDDataError as error:
        assert path.name in str(error)
        return False
    for pose in poses.values():
        assert pose.shape == (25, 3) and pose.dtype == np.float32
        seen = pose[:, 2] > 0
        assert np.isfinite(pose[seen]).all() and np.isnan(pose[~seen, :2]).all()
    return True


@many
@given(st.binary(max_size=60) | (values | people).map(lambda v: json.dumps(v).encode()))
def test_json_files(tmp_path, content):
    path = tmp_path / "a_keypoints.json"
    path.write_bytes(content)
    answers(path)


def test_json_files_nested_too_deep(tmp_path):
    path = tmp_path / "a_keypoints.json"
    path.write_text("[" * 200_000)
    assert not answers(path)


cells = st.lists(st.integers(-1, 130), min_size=18, max_size=18).map(str) | st.text()
rows = st.tuples(st.text(max_size=6), cells, cells).map(": ".join)


@many
@given(st.lists(rows | st.text(max_size=20), max_size=4), st.binary(max_size=8))
def test_annotation_tables(tmp_path, lines, tail):
    path = tmp_path / "a.csv"
    text = "\n".join(["name:keypoints_y:keypoints_x", *lines])
    path.write_bytes(text.encode(errors="replace") + tail)
    answers(path)


def saved(write, **content):
    file = io.BytesIO()
    write(file, **content)
    return file.getvalue()


WHOLE = np.linspace(1, 60, 150).reshape(3, 50)
FILES = [
    saved(np.save, arr=WHOLE.astype(kind)) for kind in ("f4", "f8", "i2", "U4", "c8")
] + [
    saved(np.savez, poses=WHOLE, names=["a", "b", "c"]),
    saved(np.savez_compressed, poses=WHOLE.reshape(3, 25, 2), names=["a", "b", "c"]),
]


@st.composite
def damaged(draw):
    """A file with bytes changed, cut or added; now and then one left whole."""
    content = bytearray(draw(st.sampled_from(FILES) | st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 3)) if content else 0):
        place = draw(st.integers(0, min(len(content) - 1, 400)))
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.none() | st.integers(0, len(content)))])


@many
@given(damaged(), st.sampled_from([".npy", ".npz"]))
def test_array_files(tmp_path, content, ending):
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    (tmp_path / "a.txt").write_text("a\nb\nc")
    answers(path)


@many
@given(
    st.lists(st.integers(0, 3) | st.sampled_from([25, 50, 75]), max_size=3),
    st.sampled_from([0, -1, 1, 0.5, 60, 1e300, np.nan, np.inf]),
    st.sampled_from(["f8", "f4", "f2", "i4", "u1", "?", "c8", "S3", "M8[s]"]),
)
def test_arrays_of_any_shape_and_kind(tmp_path, shape, value, kind):
    path = tmp_path / "a.npy"
    array = np.full(shape, value, "f8")
    np.save(
        path, array.astype("i8").astype(kind) if kind == "M8[s]" else array.astype(kind)
    )
    (tmp_path / "a.txt").write_text("\n".join("abc"[: shape[0]] if shape else "a"))
    answers(path)


def test_whole_files_are_read(tmp_path):
    (tmp_path / "a.txt").write_text("a\nb\nc")
    for content, readable in zip(FILES, [1, 1, 1, 0, 0, 1, 1], strict=True):
        path = tmp_path / "a.npy"
        path.write_bytes(content)
        assert answers(path) == readable
