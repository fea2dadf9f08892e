"""What comes through to drawings, with generators whose answer is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reidlib.errors import ReIDConfigError
from reidlib.robustness import drawn, removal, spoiled, truths
from reidlib.runs import Run, train_points
from reidlib.training import to_float

ROWS = [0, 2, 4]


class Copier(nn.Module):
    """Draws the source itself, twice."""

    def __init__(self, points: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("poses", torch.as_tensor(points, dtype=torch.float32))

    def generate(self, images: Tensor) -> Tensor:
        return images[:, None].repeat(1, 2, 1, 1, 1)


class Painter(Copier):
    """Draws one grey for everybody."""

    def generate(self, images: Tensor) -> Tensor:
        return torch.zeros_like(super().generate(images))


@pytest.fixture(scope="module")
def poses(tiny_run: Run) -> np.ndarray:
    points = train_points(tiny_run)
    joints = np.isfinite(points).all(-1).sum(1)
    return points[np.argsort(-joints, kind="stable")[[0, 5]]]


def test_drawings_are_the_generators_in_any_batch(tiny_run: Run, poses) -> None:
    images = tiny_run.images("query")[:5]
    made = drawn(Copier(poses), images, batch=2)
    assert torch.equal(made[:, 1], to_float(images))


def test_a_copier_passes_on_what_spoils_and_a_painter_nothing(
    tiny_run: Run, poses: np.ndarray
) -> None:
    asked = {"railing": 1.0, "erasing": 0.25}
    copied = removal(tiny_run, Copier(poses), ROWS, asked)
    assert copied["factor"].unique().tolist() == ["none", *asked]
    assert copied["input"].to_numpy() == pytest.approx(copied["drawing"].to_numpy())
    clean = copied[copied["factor"] == "none"]
    assert clean["input"].to_numpy() == pytest.approx(1)
    assert (copied["input"][3:] < 0.95).all()
    painted = removal(tiny_run, Painter(poses), ROWS, asked)
    assert painted["drawing"].to_numpy() == pytest.approx(1)
    assert np.ptp(painted["truth"].to_numpy().reshape(3, -1), axis=0).max() < 1e-6
    assert painted["pid"].tolist() == 3 * tiny_run.ids[0][ROWS].tolist()


def test_true_pictures_show_one_person_in_two_poses(tiny_run: Run, poses) -> None:
    pictures, masks = truths(tiny_run, ROWS, poses)
    assert pictures.shape == (3, 2, 3, 64, 32)
    assert (masks.flatten(2).float().mean(2) > 0.1).all()
    assert not torch.equal(masks[:, 0], masks[:, 1])
    again, _ = truths(tiny_run, ROWS[1:], poses)
    assert torch.equal(again, pictures[1:])


def test_a_world_takes_the_scene_again_where_both_are_known(tiny_run: Run) -> None:
    taken = spoiled(tiny_run, "darker", 1, 0, ROWS)
    clean = tiny_run.images("query")[ROWS]
    share = float(taken.float().mean() / clean.float().mean())
    # a lens leaves some light, of which a corruption of pixels does not know
    assert 0.5 < share < 0.7


def test_nobody_to_draw_is_refused(tiny_run: Run, poses: np.ndarray) -> None:
    with pytest.raises(ReIDConfigError, match="no queries to draw"):
        removal(tiny_run, Copier(poses), [], {})
