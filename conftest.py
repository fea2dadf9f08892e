"""Tests, and chapters that nbval re-checks: one thread, no bars, inline figures."""

import os
from typing import Any

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TQDM_DELAY", "1000000")  # heeded by notebook bars
os.environ.pop("MPLBACKEND", None)

KERNEL_SILENT = 120  # seconds for a cell's last output; nbval's own 5 fail when busy

TRAINING = ("03_", "04_", "06_", "07_")


class ChaptersInOrder(LoadFileScheduling):
    """A file's tests run in one worker, and so do the chapters that train.

    Each of these waits for what the one before trains; in two workers, both would wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        chapter = file.removeprefix("notebooks/")
        return "training chapters" if chapter.startswith(TRAINING) else file


def _turn(nodeid: str) -> int:
    """When a test comes: first what others wait for, then what takes long."""
    folder, _, name = nodeid.split("::")[0].rpartition("/")
    if folder == "notebooks":
        return 0 if name.startswith(TRAINING) else 2
    return 1 if folder in ("tests", "tests/training") else 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Short files last, so that no worker waits long for the other."""
    items.sort(key=lambda item: _turn(item.nodeid))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Patience with the kernel of a chapter on a machine that has more to do."""
    if hasattr(item.parent, "output_timeout"):
        item.parent.output_timeout = KERNEL_SILENT


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """This scheduler, for ``--dist loadfile``; xdist's own for others."""
    if config.getvalue("dist") == "loadfile":
        return ChaptersInOrder(config, log)
    return None
