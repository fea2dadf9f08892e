"""What corruptions do to pixels, where a closed form says it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from reidlib.errors import ReIDConfigError
from reidlib.robustness import FACTORS, Factor, corrupt
from reidlib.runs import Run


@pytest.fixture(scope="module")
def pictures(tiny_run: Run) -> Tensor:
    return tiny_run.images("query")[:12]


def damage(images: Tensor, name: str, severity: float, seed: int = 0) -> float:
    """Mean absolute change in grey levels."""
    spoiled = corrupt(images, name, severity, seed)
    return float((spoiled.float() - images.float()).abs().mean())


@pytest.mark.parametrize("name", FACTORS)
def test_severity_zero_changes_nothing(pictures: Tensor, name: str) -> None:
    made = corrupt(pictures, name, 0)
    assert torch.equal(made, pictures)
    assert made.data_ptr() != pictures.data_ptr()


@pytest.mark.parametrize("name", FACTORS)
def test_a_picture_does_not_depend_on_those_beside_it(
    pictures: Tensor, name: str
) -> None:
    severity = FACTORS[name].middle
    whole = corrupt(pictures, name, severity, 3)
    last = corrupt(pictures[7:], name, severity, 3, keys=range(7, len(pictures)))
    assert torch.equal(whole[7:], last)
    assert torch.equal(whole, corrupt(pictures, name, severity, 3))


@pytest.mark.parametrize("name", ["rotation", "bad crop", "erasing", "gamma"])
def test_another_seed_draws_anew(pictures: Tensor, name: str) -> None:
    severity = FACTORS[name].middle
    one, other = (corrupt(pictures, name, severity, seed) for seed in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", [n for n in FACTORS if n != "rotation"])
def test_more_severity_is_more_damage(pictures: Tensor, name: str) -> None:
    steps = FACTORS[name].severities
    found = [damage(pictures, name, severity) for severity in steps]
    assert found[0] > 0.2
    assert found == sorted(found)


def test_a_quarter_turn_is_that_of_the_array() -> None:
    square = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    made = corrupt(square, "rotation", 90)
    turns = [torch.rot90(square, k, (2, 3)) for k in (1, -1)]
    sides = [[torch.equal(m, t[i]) for i, m in enumerate(made)] for t in turns]
    assert all(a != b for a, b in zip(*sides, strict=True))
    assert any(sides[0]) and any(sides[1])


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 0.95), st.integers(0, 99))
def test_erasing_hides_the_share_that_it_says(share: float, seed: int) -> None:
    grey = torch.full((1, 3, 64, 32), 77, dtype=torch.uint8)
    hidden = (corrupt(grey, "erasing", share, seed)[0] != 77).any(0)
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.03)
    rows, columns = hidden.any(1), hidden.any(0)
    filled = hidden[rows][:, columns]
    assert float(filled.float().mean()) > 0.98  # one rectangle


def test_a_stop_doubles_or_halves_the_values_up_to_white() -> None:
    values = torch.arange(256, dtype=torch.uint8).expand(1, 3, 2, 256).contiguous()
    up = corrupt(values, "brighter", 1)[0, 0, 0].int()
    assert up.tolist() == [min(2 * v, 255) for v in range(256)]
    down = corrupt(values, "darker", 1)[0, 0, 0].int()
    assert (down - torch.arange(256) / 2).abs().max() <= 0.5


def test_gamma_keeps_black_and_white_and_moves_the_middle() -> None:
    values = torch.tensor([0, 64, 128, 255], dtype=torch.uint8).expand(20, 3, 1, 4)
    made = corrupt(values.contiguous(), "gamma", 1)[:, 0, 0].int()
    assert (made[:, 0] == 0).all()
    assert (made[:, 3] == 255).all()
    wanted = [round(255 * (128 / 255) ** power) for power in (0.5, 2)]
    for value in wanted:
        assert ((made[:, 2] - value).abs() <= 1).any()


def test_a_cast_of_two_stops_doubles_one_end_and_halves_the_other() -> None:
    grey = torch.full((20, 3, 4, 4), 100, dtype=torch.uint8)
    made = corrupt(grey, "colour cast", 2)[:, :, 0, 0]
    assert {tuple(colour) for colour in made.tolist()} == {
        (200, 100, 50),
        (50, 100, 200),
    }


def test_a_shifted_box_shows_the_same_pixels_elsewhere(pictures: Tensor) -> None:
    made = corrupt(pictures, "bad crop", 0.25)
    height, width = pictures.shape[-2:]
    down, right = height // 4, width // 4
    for before, after in zip(pictures, made, strict=True):
        placed = [
            torch.equal(
                after[:, max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)],
                before[
                    :, max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
                ],
            )
            for y in (down, -down)
            for x in (right, -right)
        ]
        assert sum(placed) == 1


def test_a_person_twice_as_far_is_half_as_high() -> None:
    bar = torch.zeros(1, 3, 64, 32, dtype=torch.uint8)
    bar[..., 8:56, 12:20] = 255
    made = corrupt(bar, "far away", 1)[0, 0] > 127
    assert int(made.any(1).sum()) == pytest.approx(24, abs=1)
    assert int(made.any(0).sum()) == pytest.approx(4, abs=1)


def test_jpeg_is_that_of_the_quality_asked(pictures: Tensor) -> None:
    made = corrupt(pictures[:1], "JPEG", 80)[0]
    apart = {
        quality: (made.int() - decoded(pictures[0], quality).int()).abs().sum()
        for quality in (10, 20, 30)
    }
    assert apart[20] < min(apart[10], apart[30]) / 2


def decoded(picture: Tensor, quality: int) -> Tensor:
    """What torchvision's encoder leaves of a picture."""
    return F.jpeg(picture, quality)


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (256, 128)])
def test_the_lowest_resolution_of_all_is_a_picture_still(size: tuple[int, int]) -> None:
    """Down to one pixel, torchvision's resizing once failed an assertion of its own."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    for severity in (5.5, FACTORS["resolution"].most):
        made = corrupt(images, "resolution", severity)
        assert made.shape == images.shape and made.dtype == torch.uint8


def test_blur_and_resolution_leave_the_mean_and_take_the_detail() -> None:
    noise = torch.randint(256, (4, 3, 64, 32), dtype=torch.uint8)
    for name in ("blur", "resolution"):
        made = corrupt(noise, name, 2).float()
        assert float(made.mean()) == pytest.approx(float(noise.float().mean()), abs=2)
        assert float(made.std()) < 0.4 * float(noise.float().std())


def test_a_blur_spreads_a_point_as_a_gaussian_of_its_sigma() -> None:
    point = torch.zeros(1, 3, 65, 65, dtype=torch.uint8)
    point[..., 32, 32] = 255
    made = corrupt(point, "blur", 1)[0, 0].float()
    offsets = torch.arange(65) - 32.0
    spread = (made.sum(0) * offsets**2).sum() / made.sum()
    assert float(spread) == pytest.approx((65 / 64) ** 2, abs=0.35)  # rounded pixels


def test_an_unknown_factor_names_those_that_there_are(pictures: Tensor) -> None:
    with pytest.raises(ReIDConfigError, match="no factor 'fog'.*rotation.*JPEG"):
        corrupt(pictures, "fog", 1)


@pytest.mark.parametrize("severity", [-0.1, 181, float("nan"), float("inf")])
def test_a_severity_out_of_range_is_refused(pictures: Tensor, severity: float) -> None:
    with pytest.raises(ReIDConfigError, match="give 0 to 180 degrees"):
        corrupt(pictures, "rotation", severity)


def test_pictures_that_are_not_bytes_are_refused(pictures: Tensor) -> None:
    with pytest.raises(ReIDConfigError, match="give uint8"):
        corrupt(pictures.float(), "rotation", 10)


def test_a_corruption_that_changes_the_shape_is_refused(pictures: Tensor) -> None:
    mine = Factor(lambda images, severity, generator: images[..., ::2])
    with pytest.raises(ReIDConfigError, match="'mine' made .* return uint8"):
        corrupt(pictures, "mine", 1, factor=mine)
