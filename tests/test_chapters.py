"""The chapters on pictures of one's own: folders of people, and no cameras."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

REPOSITORY = Path(__file__).parent.parent
RUN = 'dataset = "synthetic"\nroot = ""\nprofile = "smoke"\n'


@pytest.fixture(scope="session")
def photographs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world's pictures as a person would have them, with their keypoints."""
    root = tmp_path_factory.mktemp("my photographs")
    seen: Counter[str] = Counter()
    splits = ("bounding_box_train", "query", "bounding_box_test")
    for path in sorted(p for split in splits for p in (world / split).glob("*.jpg")):
        person = path.name.split("_")[0]
        if person in ("0000", "-1"):
            continue
        seen[person] += 1
        own = f"person {person}/{seen[person]:03d}"
        pose = world / "keypoints" / f"{path.stem}_keypoints.json"
        for source, target in (
            (path, root / f"{own}.jpg"),
            (pose, root / "keypoints" / f"{own}_keypoints.json"),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return root


def read(chapter: str, root: Path) -> dict[str, Any]:
    """Run a chapter's source at the tiny profile; what it has defined."""
    source = (REPOSITORY / "notebooks" / f"{chapter}.py").read_text("utf-8")
    assert source.count(RUN) == 1
    chosen = f'dataset = "folder"\nroot = {str(root)!r}\nprofile = "tiny"\n'
    names: dict[str, Any] = {"__name__": chapter}
    exec(compile(source.replace(RUN, chosen), chapter, "exec"), names)
    return names


@pytest.fixture
def chapter(photographs: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`read` on the photographs, with the book's recorded numbers at hand."""
    if not (tiny_home / "book").exists():
        (tiny_home / "book").symlink_to(REPOSITORY / "book")
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    yield lambda name: read(name, photographs)
    plt.close("all")


def test_data_counts_unknown_cameras_as_one(chapter):
    found = chapter("01_data")
    assert found["by_camera"].columns.tolist() == [0]
    assert found["seen_by"].index.tolist() == [1]
    assert found["facing"].index.tolist() == [0, "all", "Market-1501"]
    # One query for each held-out person, not one for each picture.
    held, chosen = found["held"], found["chosen"]
    assert held["pid"][chosen].is_unique
    assert chosen.sum() == held["pid"].nunique()


def test_baselines_take_no_picture_for_a_camera(chapter):
    found = chapter("03_baselines")
    assert set(found["cams"]["gallery"]) == {0}
    # With all pictures of one camera its mean is the mean of all.
    assert found["by_level"].mAP == pytest.approx(found["by_colour"].mAP)


@pytest.mark.parametrize(
    "name",
    [
        "02_retrieval",
        "04_ptgan",
        "05_pose_clustering",
        "06_fusionnet",
        "08_benchmarks",
        "09_robustness",
        pytest.param("07_ablations", marks=pytest.mark.slow),
    ],
)
def test_the_other_chapters_come_to_their_end(chapter, name):
    assert chapter(name)["run"].data.protocol == "holdout-no-cameras"
