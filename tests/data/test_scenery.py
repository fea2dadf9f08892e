"""What stands behind people: sizes, ranges, seams and variety."""

import numpy as np
import pytest

from reidlib.data.synthetic.scenery import GROUND, SCENES, WALL, scenery


def made(name: str, seed: int = 0):
    return scenery(name, np.random.default_rng(seed))


@pytest.mark.parametrize("name", SCENES)
def test_both_surfaces_are_float32_pictures_of_the_promised_size(name):
    for seed in range(3):
        drawn = made(name, seed)
        for image, shape in ((drawn.wall, WALL), (drawn.ground, GROUND)):
            assert image.shape == (3, *shape)
            assert image.dtype == np.float32
            assert image.flags.c_contiguous
            assert 0 <= image.min() <= image.max() <= 1
            assert image.std() > 0.02  # not a flat colour
            assert 0.08 < image.mean() < 0.85


@pytest.mark.parametrize("name", SCENES)
def test_equal_seeds_give_equal_scenery_and_others_do_not(name):
    first, again, other = made(name, 1), made(name, 1), made(name, 2)
    for one, same, different in zip(first, again, other, strict=True):
        assert np.array_equal(one, same)
        assert np.abs(one - different).mean() > 0.01


def test_every_scene_differs_from_the_others():
    drawn = [made(name) for name in SCENES]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert np.abs(one.wall - other.wall).mean() > 0.02
            assert np.abs(one.ground - other.ground).mean() > 0.02


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("part", ["rows", "columns", "wall"])
def test_no_seam_is_stronger_than_the_steps_inside(name, part):
    """A tile's edge may hold a joint or a kerb, but no step without a fellow."""
    for seed in range(4):
        drawn = made(name, seed)
        image = drawn.wall if part == "wall" else drawn.ground
        axis = 1 if part == "rows" else 2
        step = np.abs(image - np.roll(image, 1, axis))  # entry 0 crosses the edge
        step = step.mean((0, 3 - axis))
        assert step[0] <= 1.25 * step[1:].max()


def test_the_random_scene_varies_in_brightness_and_hue():
    means = np.array([made("random", seed).ground.mean((1, 2)) for seed in range(40)])
    assert means.mean(1).std() > 0.05
    assert (means[:, 0] / means[:, 2]).std() > 0.05


def test_an_unknown_scene_is_refused():
    with pytest.raises(KeyError):
        made("moon")
