"""The synthetic people that R1 learns from: they live in a world of their own."""

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from reidlib.data.synthetic.world import World

POPULATION_SEED = 1


def population(count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures of synthetic people of a world of their own, with what they wear.

    Returns:
        (N, 3, H, W) uint8; (N, A) in [0, 1]; (N,) person ids. One picture a person:
        for clothes, another person teaches more than another picture.
    """
    world = World(seed=POPULATION_SEED)
    pids = range(1, count + 1)
    pictures = []
    for start in tqdm(range(0, count, 64), desc="population", mininterval=2):
        shots = [world.shot(pid, 0) for pid in pids[start : start + 64]]
        pictures.append(world.render(shots, size=size)[0])
    targets = np.stack([world.person(pid).attributes() for pid in pids])
    return torch.cat(pictures), torch.as_tensor(targets), torch.tensor(pids)
