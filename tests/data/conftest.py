"""The real data sets, where they are at hand: unpacked, or as archives."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ARCHIVES = Path(__file__).parents[2].parent / "shared" / "data"


def real_root(
    variable: str, archive: str, holds: str, factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder that holds `holds`: the variable's, or the archive's, unpacked.

    The test is skipped where neither is there. What was unpacked is deleted at the
    end of the session.
    """
    if given := os.environ.get(variable):
        if not Path(given, holds).is_dir():
            pytest.fail(f"{variable} is {given}, which does not hold {holds}.")
        yield Path(given)
        return
    packed = ARCHIVES / archive
    if not packed.is_file():
        pytest.skip(
            f"needs real photographs: set {variable} to the folder that holds {holds}, "
            f"or put {archive} into ../shared/data beside the repository"
        )
    place = factory.mktemp("real").resolve()
    with zipfile.ZipFile(packed) as members:
        for name in members.namelist():
            if not (place / name).resolve().is_relative_to(place):
                pytest.fail(f"{archive} has the member {name}, which leaves its folder")
        members.extractall(place)
    yield next(path for path in place.rglob(holds) if path.is_dir()).parent
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def real_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Market-1501's training half with its keypoint tables."""
    holds = "bounding_box_train"
    yield from real_root(
        "REIDLIB_MARKET", "market1501-train.zip", holds, tmp_path_factory
    )


@pytest.fixture(scope="session")
def real_cuhk01(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The whole of CUHK01 with its OpenPose JSON."""
    yield from real_root("REIDLIB_CUHK01", "cuhk01.zip", "campus", tmp_path_factory)
