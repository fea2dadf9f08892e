"""Convolutions as matrix products, where a CPU computes them so faster, or rightly.

In bfloat16, oneDNN (3.x, in PyTorch 2.14) is slow where a convolution has many more
weights than its map has numbers: the gradient of such weights takes a third of a
training step of a ResNet-50 that reads 128 by 64 pixels. And on CPUs with AMX it is
wrong where the stride is two and the map that is made is one column wide and several
rows high: it reads memory that nobody wrote, so the numbers are NaN, or differ from
call to call. A product of windows and weights is neither. A kernel of one cell needs no
windows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Windows cost less than oneDNN's gradient of the weights from this number of weights
# on, if they are this many times the numbers of the map.
HEAVY, SHARE = 2**20, 2


class ProductConv2d(nn.Conv2d):
    """Equal to ``nn.Conv2d``; on a CPU a matrix product where that is better."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in, (N, C', H', W') out."""
        if x.device.type != "cpu" or not self._better(x):
            return super().forward(x)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (C', kernel x C)
        seen = self._windows(x)
        made = F.linear(seen.flatten(0, 2), weight, self.bias)
        return made.unflatten(0, seen.shape[:3]).permute(0, 3, 1, 2)

    def _better(self, x: Tensor) -> bool:
        assert not isinstance(self.padding, str)  # `mend` leaves those alone
        further = x.shape[3] + 2 * self.padding[1] - self.kernel_size[1]
        one_column = self.stride[1] > 1 and further < self.stride[1]
        heavy = self.weight.numel() >= max(HEAVY, SHARE * x.numel())
        return self.kernel_size == (1, 1) or one_column or heavy

    def _windows(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, H', W', kernel x C): what each cell of the output sees."""
        assert not isinstance(self.padding, str)
        (down, across), (above, edge) = self.stride, self.padding
        if above or edge:
            x = F.pad(x, (edge, edge, above, above))
        rows = x.shape[2] - self.kernel_size[0] + 1
        columns = x.shape[3] - self.kernel_size[1] + 1
        seen = [
            x[:, :, i : i + rows : down, j : j + columns : across].permute(0, 2, 3, 1)
            for i in range(self.kernel_size[0])
            for j in range(self.kernel_size[1])
        ]
        return torch.cat(seen, dim=3) if len(seen) > 1 else seen[0]


def mend(network: nn.Module) -> None:
    """Make the convolutions of a network ``ProductConv2d``, in place."""
    _become(network, nn.Conv2d, ProductConv2d)


def unmend(network: nn.Module) -> None:
    """Make them ``nn.Conv2d`` again, which PyTorch's fusing looks for."""
    _become(network, ProductConv2d, nn.Conv2d)


def _become(network: nn.Module, old: type[nn.Conv2d], new: type[nn.Conv2d]) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and type(module) is old and _usual(module):
            module.__class__ = new


def _usual(layer: nn.Conv2d) -> bool:
    """With none of the options that ``ProductConv2d`` does not know."""
    zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return zeros and layer.dilation == (1, 1) and layer.groups == 1
