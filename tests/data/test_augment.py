"""Batched augmentation, beside torchvision's functions on one picture at a time."""

import pickle

import pytest
import torch
from torch.nn.functional import pad as pad_with
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

from reidlib.data import augment
from reidlib.data.augment import encoder_augmentation, source_augmentation, to_network
from reidlib.data.draws import Draws
from reidlib.errors import ReIDConfigError

SIZES = [(128, 64), (64, 32), (16, 8)]
RECIPES = {
    "plain": encoder_augmentation(),
    "strong": encoder_augmentation(strong=True),
    "erasing": encoder_augmentation(erasing=0.7),
    "source": source_augmentation(),
}
BILINEAR = InterpolationMode.BILINEAR


def noise(count=16, size=(32, 16), seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, *size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def smooth(count=8, size=(64, 32)):
    """Floats in [0, 1] without edges, which forgive no shift but forgive rounding."""
    return V.resize(noise(count, (6, 4)).float() / 255, size, antialias=False)


def spread(count, low, high, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, generator=generator)


def test_the_network_sees_minus_one_to_one():
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([-1.0, 1.0, -0.6]).view(1, 3, 1, 1)
    torch.testing.assert_close(to_network(images), expected)
    with pytest.raises(ReIDConfigError, match="float32 cannot be scaled; give uint8"):
        to_network(images.float())


def test_a_move_is_padding_and_cropping():
    images = noise(50)
    top, left, mirror = torch.cartesian_prod(
        torch.arange(5), torch.arange(5), torch.arange(2)
    ).T
    moved = augment.move(images, 2, top, left, mirror.bool())
    assert moved.dtype == torch.uint8
    for i, image in enumerate(images):
        expected = pad_with(image.flip(-1) if mirror[i] else image, (2, 2, 2, 2))
        assert torch.equal(moved[i], V.crop(expected, top[i], left[i], 32, 16))


def test_colours_change_as_by_torchvision():
    images = noise(40) / 255
    images[::4, 1] = images[::4, 0]  # ties between the channels, …
    images[1::4] = images[1::4, :1]  # … grey, …
    images[2::4] = images[2::4].round()  # … black, white and the six full colours
    factors = torch.stack([spread(40, 0.6, 1.4, seed) for seed in range(3)], 1)
    factors = torch.cat([factors, spread(40, -0.5, 0.5, 3)[:, None]], 1)
    changes = [V.adjust_brightness, V.adjust_contrast, V.adjust_saturation]
    changes += [V.adjust_hue]
    for column, change in enumerate(changes):
        alone = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(40, 1)
        alone[:, column] = factors[:, column]
        result = augment.recolour(images, alone)
        for one, image, factor in zip(result, images, factors[:, column], strict=True):
            expected = change(image, factor.item())
            torch.testing.assert_close(one, expected, rtol=0, atol=1e-5)
    together = augment.recolour(images, factors)
    for one, image, values in zip(together, images, factors.tolist(), strict=True):
        for change, value in zip(changes, values, strict=True):
            image = change(image, value)
        torch.testing.assert_close(one, image, rtol=0, atol=1e-4)


def test_colours_of_bytes_change_as_by_torchvision():
    images = noise(20)
    factors = torch.stack([spread(20, 0.65, 1.35, seed) for seed in range(4)], 1)
    factors[:, 3] = spread(20, -0.05, 0.05)
    changes = [V.adjust_brightness, V.adjust_contrast, V.adjust_saturation]
    for column, change in enumerate([*changes, V.adjust_hue]):
        alone = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(20, 1)
        alone[:, column] = factors[:, column]
        result = augment.recolour(images / 255, alone) * 255
        for one, image, factor in zip(result, images, factors[:, column], strict=True):
            expected = change(image, factor.item()).float()
            torch.testing.assert_close(one, expected, rtol=0, atol=2)


def test_blur_is_torchvisions_gaussian():
    images = noise(10) / 255
    sigma = spread(10, 0.3, 1.2)
    for one, image, value in zip(
        augment.blur(images, sigma), images, sigma, strict=True
    ):
        expected = V.gaussian_blur(image, [3, 3], [value.item()] * 2)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-5)
    assert torch.equal(augment.blur(images, torch.zeros(10)), images)


def test_rotation_is_torchvisions():
    images, degrees = smooth(), spread(8, -20, 20)
    corners = torch.tensor(augment.CORNERS).repeat(8, 1, 1)
    turned = augment.warp(images, degrees, corners)
    for one, image, angle in zip(turned, images, degrees, strict=True):
        expected = V.rotate(image, angle.item(), BILINEAR)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-3)
    unmoved = augment.warp(images, torch.zeros(8), corners)
    torch.testing.assert_close(unmoved, images, rtol=0, atol=1e-4)


def test_perspective_is_torchvisions_and_black_outside():
    images, (height, width) = smooth() + 0.1, (64, 32)
    inwards = spread(64, 0, 0.2).view(8, 4, 2)
    corners = torch.tensor(augment.CORNERS) * (1 - inwards)
    warped = augment.warp(images, torch.zeros(8), corners)
    size = torch.tensor([width, height])
    frame = ((torch.tensor(augment.CORNERS) + 1) / 2 * size).tolist()
    for one, image, ends in zip(warped, images, (corners + 1) / 2 * size, strict=True):
        expected = V.perspective(image, frame, ends.tolist(), BILINEAR)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-3)
    assert (warped == 0).any()


def test_rotation_comes_before_perspective():
    """Sampling twice blurs more, so the middle of smooth pictures is compared."""
    images, degrees = smooth(), spread(8, -20, 20)
    frame = torch.tensor(augment.CORNERS).repeat(8, 1, 1)
    corners = frame * (1 - spread(64, 0, 0.2).view(8, 4, 2))
    both = augment.warp(images, degrees, corners)
    expected = augment.warp(augment.warp(images, degrees, frame), 0 * degrees, corners)
    middle = (..., slice(22, 42), slice(11, 21))
    torch.testing.assert_close(both[middle], expected[middle], rtol=0, atol=0.05)
    swapped = augment.warp(augment.warp(images, 0 * degrees, corners), degrees, frame)
    assert (both - expected)[middle].abs().mean() < (
        0.2 * (both - swapped)[middle].abs().mean()
    )


def test_a_box_is_erased_and_nothing_else():
    images = noise(3) / 255 + 0.1
    boxes = torch.tensor([[0, 0, 5, 4], [20, 10, 12, 6], [3, 3, 0, 8]])
    expected = images.clone()
    expected[0, :, :5, :4] = 0
    expected[1, :, 20:, 10:] = 0
    assert torch.equal(augment.erase(images, boxes), expected)


@pytest.mark.parametrize("largest", [0.3, 0.4])
def test_erasing_keeps_its_chance_area_and_aspect(largest):
    height, width = 128, 64
    ones = torch.ones(2000, 1, height, width)
    holes = augment._erased(ones, Draws(0, 0, 2000), 0.5, largest)[:, 0] == 0
    erased = holes.any(2).any(1)
    assert 900 < erased.sum() < 1100
    tall = holes.any(2).sum(1)[erased]
    wide = holes.any(1).sum(1)[erased]
    assert torch.equal(holes.sum((1, 2))[erased], tall * wide)  # one box each
    # the asked sides are within half a pixel of the rounded ones
    assert ((tall + 0.5) * (wide + 0.5) >= 0.02 * height * width).all()
    assert ((tall - 0.5) * (wide - 0.5) <= largest * height * width).all()
    assert ((tall + 0.5) / (wide - 0.5) >= 0.3).all()
    assert ((tall - 0.5) / (wide + 0.5) <= 1 / 0.3).all()
    assert (tall * wide).max() > (largest - 0.02) * height * width
    assert (tall * wide).min() < 0.03 * height * width
    assert (tall < height).all()
    assert (wide < width).all()
    for axis, side, length in ((2, tall, height), (1, wide, width)):
        start = holes.any(axis)[erased].byte().argmax(1)
        assert start.min() == 0
        assert (start + side).max() == length
        assert (start / (length - side)).mean() == pytest.approx(0.5, abs=0.05)


def test_moves_are_uniform_over_ten_pixels_at_a_height_of_256():
    marked = torch.zeros((2000, 3, 128, 64), dtype=torch.uint8)
    marked[:, :, 64, 20] = 255
    places = RECIPES["plain"](marked, Draws(1, 1, 2000))[:, 0].flatten(1).argmax(1)
    rows, columns = places // 64 - 64, places % 64
    mirrored = columns > 31
    assert 900 < mirrored.sum() < 1100
    columns = torch.where(mirrored, 63 - columns, columns) - 20
    for offsets in (rows, columns):
        counts = torch.bincount(offsets + 5, minlength=11)
        assert len(counts) == 11
        assert counts.min() > 0.7 * 2000 / 11
    assert abs(torch.corrcoef(torch.stack([rows, columns]).float())[0, 1]) < 0.1


def parameters(monkeypatch, name, images, run):
    """What `run` hands to a function of `augment`, which then does nothing."""
    caught = []
    monkeypatch.setattr(
        augment, name, lambda images, *given: caught.append(given) or images
    )
    run(images, Draws(5, 0, len(images)))
    return caught[0]


def uniform(values, low, high):
    """Whether values fill a range evenly: a tenth of them in each tenth of it."""
    counts = torch.histc(values, 10, low, high)
    expected = len(values) / 10
    inside = low - 1e-5 <= values.min() and values.max() <= high + 1e-5
    return inside and (counts - expected).abs().max() < 5 * expected**0.5


def test_colour_jitter_keeps_its_chance_and_ranges(monkeypatch):
    images = noise(2000, (4, 4))
    (factors,) = parameters(monkeypatch, "recolour", images, RECIPES["strong"])
    changed = (factors != torch.tensor([1.0, 1.0, 1.0, 0.0])).any(1)
    assert 1530 < changed.sum() < 1670
    for column, (low, high) in enumerate([(0.65, 1.35)] * 3 + [(-0.05, 0.05)]):
        assert uniform(factors[changed, column], low, high)
    related = torch.corrcoef(factors[changed].T) - torch.eye(4)
    assert related.abs().max() < 0.13
    (factors,) = parameters(monkeypatch, "recolour", images, RECIPES["source"])
    changed = factors[:, 0] != 1
    for column, (low, high) in enumerate([(0.8, 1.2)] * 3 + [(-0.05, 0.05)]):
        assert uniform(factors[changed, column], low, high)


def test_blur_keeps_its_chance_and_range(monkeypatch):
    images = noise(2000, (4, 4))
    (sigma,) = parameters(monkeypatch, "blur", images, RECIPES["strong"])
    assert 500 < (sigma > 0).sum() < 700
    assert uniform(sigma[sigma > 0], 0.3, 1.2)


def test_rotation_and_perspective_keep_their_chances_and_ranges(monkeypatch):
    images = noise(2000, (4, 4))
    degrees, corners = parameters(monkeypatch, "warp", images, RECIPES["source"])
    assert uniform(degrees, -20, 20)
    inwards = 1 - corners / torch.tensor(augment.CORNERS)
    changed = (inwards != 0).flatten(1).any(1)
    assert 500 < changed.sum() < 700
    for values in inwards[changed].flatten(1).unbind(1):
        assert uniform(values, 0, 0.2)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("size", SIZES)
def test_recipes_keep_size_and_range_and_follow_seed_and_step(recipe, size):
    images = noise(32, size)
    before = images.clone()
    results = [recipe(images, Draws(4, step, 32)) for step in (0, 0, 1)]
    assert torch.equal(images, before)
    for result in results:
        assert result.shape == images.shape
        assert result.dtype == torch.float32
        assert result.isfinite().all()
        assert result.min() >= -1
        assert result.max() <= 1
    assert torch.equal(results[0], results[1])
    changed = (results[0] != results[2]).flatten(1).any(1)
    assert changed.sum() >= 28  # a step may by chance move a picture as the last did


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [1, 4, 8])
def test_a_divided_batch_has_the_same_pictures(recipe, size, share):
    images = noise(16, size)
    whole = recipe(images, Draws(2, 9, 16))
    shares = [slice(i, i + share) for i in range(0, 16, share)]
    parts = [recipe(images[rows], Draws(2, 9, 16, rows)) for rows in shares]
    assert torch.equal(torch.cat(parts), whole)


def test_equal_pictures_become_different_ones():
    images = noise(1).repeat(20, 1, 1, 1)
    for recipe in (RECIPES["strong"], RECIPES["source"]):
        assert len(recipe(images, Draws(0, 0, 20)).unique(dim=0)) == 20


@pytest.mark.parametrize("value", [0, 255, 128])
def test_flat_pictures_stay_in_range(value):
    images = torch.full((64, 3, 16, 8), value, dtype=torch.uint8)
    for recipe in RECIPES.values():
        result = recipe(images, Draws(0, 0, 64))
        assert result.isfinite().all()
        assert result.abs().max() <= 1


def test_autocast_coarsens_no_picture():
    images = noise(16)
    for recipe in RECIPES.values():
        expected = recipe(images, Draws(0, 0, 16))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(recipe(images, Draws(0, 0, 16)), expected)


def test_recipes_do_what_their_arguments_say(monkeypatch):
    images = torch.full((2000, 3, 16, 8), 255, dtype=torch.uint8)
    plain = RECIPES["plain"](images, Draws(0, 0, 2000))
    assert set(plain.unique().tolist()) == {-1.0, 1.0}  # black comes in, no grey
    grey = encoder_augmentation(erasing=0.7)(images, Draws(0, 0, 2000)) == 0
    assert 1330 < grey.flatten(1).any(1).sum() < 1470


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("plain", ["move"]),
        ("erasing", ["move", "erase"]),
        ("strong", ["move", "recolour", "blur", "erase"]),
        ("source", ["recolour", "warp", "move", "erase"]),
    ],
)
def test_operations_follow_in_the_order_of_the_recipe(monkeypatch, recipe, expected):
    names = []
    for name in ("move", "recolour", "blur", "warp", "erase"):
        monkeypatch.setattr(
            augment, name, lambda images, *_, name=name: names.append(name) or images
        )
    RECIPES[recipe](noise(4), Draws(0, 0, 4))
    assert names == expected


def test_recipes_can_be_sent_to_another_process():
    images = noise(4)
    for recipe in RECIPES.values():
        copy = pickle.loads(pickle.dumps(recipe))
        assert torch.equal(copy(images, Draws(0, 0, 4)), recipe(images, Draws(0, 0, 4)))


@pytest.mark.parametrize("erasing", [-0.1, 1.5, float("nan")])
def test_a_chance_outside_0_and_1_is_an_error(erasing):
    with pytest.raises(ReIDConfigError, match="is no probability; give 0"):
        encoder_augmentation(erasing=erasing)


def test_pictures_must_be_bytes_and_as_many_as_the_draws():
    with pytest.raises(ReIDConfigError, match="1 pictures of torch.uint8 .* for 8 "):
        RECIPES["plain"](noise(1), Draws(0, 0, 8))
    with pytest.raises(ReIDConfigError, match="8 pictures of torch.float32"):
        RECIPES["source"](noise(8).float(), Draws(0, 0, 8))
