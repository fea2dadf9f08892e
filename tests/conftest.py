"""A tiny world and a tiny run that several test files share."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # results are those of a CPU

from reidlib import runs
from reidlib.data.synthetic import write_world
from reidlib.profiles import SMOKE, Profile

TINY: Profile = replace(
    SMOKE,
    name="tiny",
    size=(64, 32),
    population=24,
    attributes=replace(SMOKE.attributes, steps=3, batch=8, validations=1),
    encoder=replace(SMOKE.encoder, steps=3, batch=8, validations=1, held_out=0.3),
    ptgan=replace(
        SMOKE.ptgan,
        steps=2,
        batch=4,
        ngf=2,
        ndf=4,
        blocks=1,
        validations=1,
        held_out=0.3,
        watch=4,
    ),
    fusion=replace(SMOKE.fusion, steps=3, batch=8, validations=1, held_out=0.3),
    poser=replace(SMOKE.poser, steps=2, batch=8, width=8, validations=1, held_out=0.3),
    poses=2,
    ablation_ids=4,
    ablation_fusion=replace(
        SMOKE.ablation_fusion, steps=3, batch=8, validations=1, held_out=0.3
    ),
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written world of 12 people."""
    folder = tmp_path_factory.mktemp("world") / "world"
    write_world(folder, ids=12, seed=0, images_per_id=6)
    return folder


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own, so that no test touches the repository's runs."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REIDLIB_HOME", str(home))
        patch.setitem(__import__("reidlib.profiles").profiles.PROFILES, "tiny", TINY)
        yield home


@pytest.fixture(scope="session")
def tiny_run(world: Path, tiny_home: Path) -> runs.Run:
    """A run of the tiny profile on the tiny world."""
    return runs.begin("tests", root=str(world), profile="tiny")


@pytest.fixture
def own_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A cache folder for the doctor, so that no test writes into the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("reidlib.data.opened.cache_folder", lambda: folder)
    return folder
