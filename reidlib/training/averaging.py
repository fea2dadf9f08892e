"""The exponential moving average of a network's weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """A slow copy of a network: a <- decay * a + (1 - decay) * w after every step.

    Adversarial players circle around each other, and the middle of the circle is a
    better place than where they happen to be. Early on the decay is smaller,
    (1 + step) / (10 + step), so that the first weights are soon forgotten. What a
    BatchNorm counts is averaged too.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.tensors = {k: v.clone() for k, v in network.state_dict().items()}
        self.tensors["steps"] = torch.zeros(())

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights in."""
        steps = float(self.tensors["steps"].add_(1))
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for key, value in self.network.state_dict().items():
            mine = self.tensors[key]
            if mine.is_floating_point():
                mine.lerp_(value, weight)
            else:
                mine.copy_(value)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the network's weights; twice is nothing."""
        for key, value in self.network.state_dict().items():
            mine = self.tensors[key]
            held = mine.clone()
            mine.copy_(value)
            value.copy_(held)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take saved tensors."""
        for key, value in tensors.items():
            self.tensors[key].copy_(value)
