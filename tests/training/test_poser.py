import numpy as np
import pytest
import torch

from reidlib.data.synthetic import World
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import normalise
from reidlib.training.poser import PoserConfig, train_poser

TINY = PoserConfig(steps=4, batch=4, width=8, validations=2, held_out=0.3)


@pytest.fixture(scope="module")
def people():
    world = World(seed=3)
    shots = [world.shot(pid, index) for pid in range(1, 7) for index in range(2)]
    images, keypoints, _ = world.render(shots, (64, 32))
    return images, normalise(keypoints, (64, 32)), np.repeat(np.arange(1, 7), 2)


def test_training_is_the_same_for_the_same_seed(people):
    (one, history), (other, _) = (train_poser(*people, TINY, seed=1) for _ in range(2))
    assert list(history["step"]) == [2, 4]
    assert {"heat", "place", "visible", "score"} <= set(history.columns)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_pictures_without_keypoints_are_left_out(people):
    images, points, pids = people
    bare = np.concatenate([points, np.full_like(points, np.nan)])
    more = torch.cat([images, torch.zeros_like(images)])
    plain, _ = train_poser(*people, TINY)
    judge, _ = train_poser(more, bare, np.tile(pids, 2), TINY)
    for a, b in zip(plain.parameters(), judge.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_keypoints_there_is_no_judge(people):
    images, points, pids = people
    with pytest.raises(
        ReIDDataError, match="no picture with keypoints is left to learn"
    ):
        train_poser(images, np.full_like(points, np.nan), pids, TINY)
    with pytest.raises(ReIDConfigError, match="do not fit"):
        train_poser(images, points[:3], pids, TINY)
