"""A scene taken again: the same where nothing changes, another where something does."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch

from reidlib.data import load_dataset
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.robustness import FACTORS, SCENES, scene
from reidlib.robustness.scenes import scenes_of, taken
from reidlib.runs import Run

ROWS = [0, 3, 5]


def test_a_scene_taken_again_is_the_file_to_the_last_bit(tiny_run: Run) -> None:
    world, shots = scenes_of(tiny_run, ROWS)
    again = taken(tiny_run, world, shots)
    assert torch.equal(again, tiny_run.images("query")[ROWS])


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_drawn_by_seed_and_query_alone(tiny_run: Run, name: str) -> None:
    clean = tiny_run.images("query")
    assert torch.equal(scene(tiny_run, name, 0, rows=ROWS), clean[ROWS])
    severity = SCENES[name].middle
    three = scene(tiny_run, name, severity, 1, rows=ROWS)
    assert torch.equal(three[1:2], scene(tiny_run, name, severity, 1, rows=[3]))
    assert (three != clean[ROWS]).flatten(1).any(1).all()


def test_each_factor_changes_its_own_part_of_the_shot(tiny_run: Run) -> None:
    _, (shot, *_) = scenes_of(tiny_run, ROWS)
    parts = {
        "railing": "nuisance",
        "person in front": "nuisance",
        "turned": "pose",
        "bad crop": "crop",
        "far away": "crop",
        "darker": "nuisance",
        "brighter": "nuisance",
        "colour cast": "nuisance",
    }
    assert parts.keys() == SCENES.keys()
    for name, part in parts.items():
        changed = SCENES[name].apply(shot, 0.5, np.random.default_rng(0))
        assert getattr(changed, part) != getattr(shot, part), name
        assert replace(changed, **{part: getattr(shot, part)}) == shot, name


def test_a_turn_is_a_turn(tiny_run: Run) -> None:
    _, (shot, *_) = scenes_of(tiny_run, ROWS)
    turned = SCENES["turned"].apply(shot, 90, np.random.default_rng(0))
    assert abs(turned.pose.yaw - shot.pose.yaw) == pytest.approx(pi / 2)


def test_a_box_twice_as_high_halves_the_person_in_it(tiny_run: Run) -> None:
    world, shots = scenes_of(tiny_run, range(8))
    calm = [replace(s, nuisance=replace(s.nuisance, passer=-1)) for s in shots]
    far = [SCENES["far away"].apply(s, 1, np.random.default_rng(0)) for s in calm]
    near = world.render(calm, nuisance=False)[1]
    away = world.render(far, nuisance=False)[1]
    ends = [1, 11, 14]  # neck and ankles
    both = (near[:, ends, 2] * away[:, ends, 2]).bool().all(1)
    assert both.sum() >= 3
    heights = [p[both][:, 11, 1] - p[both][:, 1, 1] for p in (near, away)]
    assert torch.allclose(heights[1] / heights[0], torch.tensor(0.5), atol=0.01)
    middle = 64  # rows of 128: what is there stays there
    moved = (away[both][:, ends, 1] - middle) / (near[both][:, ends, 1] - middle)
    assert torch.allclose(moved, torch.tensor(0.5), atol=0.02)


def test_a_person_in_front_hides_more_the_further_inwards(tiny_run: Run) -> None:
    world, shots = scenes_of(tiny_run, range(12))
    free = [replace(s, nuisance=replace(s.nuisance, passer=-1)) for s in shots]
    seen = []
    for severity in SCENES["person in front"].severities:
        rngs = [np.random.default_rng(i) for i in range(len(free))]
        change = SCENES["person in front"].apply
        hidden = [change(s, severity, r) for s, r in zip(free, rngs, strict=True)]
        seen.append(int(world.render(hidden)[2].sum()))
    whole = int(world.render(free)[2].sum())
    assert whole > seen[0] > seen[1] > seen[2]
    assert seen[2] < 0.75 * whole


def test_half_the_light_halves_the_light_of_the_sensor(tiny_run: Run) -> None:
    _, (shot, *_) = scenes_of(tiny_run, ROWS)
    dark = SCENES["darker"].apply(shot, 1, np.random.default_rng(0))
    assert dark.nuisance.gain == pytest.approx(shot.nuisance.gain / 2)


def test_scenes_and_pictures_measure_alike_what_both_know() -> None:
    shared = FACTORS.keys() & SCENES.keys()
    assert shared == {"bad crop", "far away", "darker", "brighter", "colour cast"}
    for name in shared:
        assert FACTORS[name].unit == SCENES[name].unit
        assert FACTORS[name].severities == SCENES[name].severities


def test_a_world_that_is_not_rendered_is_refused(tiny_run: Run, tmp_path) -> None:
    folder = tmp_path / "photographs"
    folder.symlink_to(tiny_run.data.root)
    data = load_dataset("market1501", folder)
    other = replace(tiny_run, data=replace(data, root=tmp_path))
    with pytest.raises(ReIDDataError, match="no rendered world"):
        scene(other, "railing", 1)


def test_an_unknown_scene_and_a_severity_too_high_are_refused(tiny_run: Run) -> None:
    with pytest.raises(ReIDConfigError, match="no factor 'fog' of scenes.*railing"):
        scene(tiny_run, "fog", 1)
    with pytest.raises(ReIDConfigError, match="'railing' is 3; give 0 to 2.5 m high"):
        scene(tiny_run, "railing", 3)
