"""Views of a picture: shifted, mirrored, and the same for every picture."""

import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.models import view, views


def test_views_are_shifted_mirrored_and_the_same_for_all() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 64, 32), dtype=torch.uint8)
    for number in range(4):
        made = view(images, number)
        assert torch.equal(view(images[1:], number), made[1:])
        assert not torch.equal(made, images)
        back = made if number % 2 else made.flip(-1)
        inside = back[..., 8:-8, 8:-8]
        places = [
            (dy, dx)
            for dy in range(17)
            for dx in range(17)
            if torch.equal(images[..., dy : dy + 48, dx : dx + 16], inside)
        ]
        assert len(places) == 1 and max(abs(p - 8) for p in places[0]) <= 3


def test_views_lie_beside_each_other() -> None:
    images = torch.randn(2, 3, 24, 12)
    made = views(images, 3)
    assert made.shape == (2, 3, 3, 24, 12)
    for number in range(3):
        assert torch.equal(made[:, number], view(images, number))


@pytest.mark.parametrize("height", [24, 64, 128])
def test_no_view_comes_twice(height: int) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 3, height, height // 2), dtype=torch.uint8)
    most = 2 * (2 * max(1, height // 20)) ** 2
    made = views(images, min(most, 48))[0]
    assert len({tuple(one.flatten().tolist()) for one in made}) == len(made)
    with pytest.raises(ReIDConfigError, match=f"give 1 to {most} views"):
        views(images, most + 1)
