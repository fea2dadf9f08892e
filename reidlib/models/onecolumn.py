"""Convolutions whose maps are one column wide, kept from a fault of oneDNN.

On CPUs with AMX, oneDNN 3.x (in PyTorch 2.14) computes a bfloat16 convolution of stride
two wrongly where the map that it makes is one column wide and several rows high: it
reads memory that nobody wrote, so the numbers are NaN, or differ from call to call. The
last layers of a ResNet that reads 64 by 32 pixels are such. One column needs no stride
across, and without it another kernel computes, which is right.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class OneColumn(nn.Conv2d):
    """Equal to ``nn.Conv2d``; strides across only where there is more than a column."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in, (N, C', H', W') out."""
        _, across = self.kernel_size
        assert not isinstance(self.padding, str)  # `mend` leaves those alone
        (down, step), (above, edge) = self.stride, self.padding
        if x.shape[3] + 2 * edge - across >= step:
            return super().forward(x)
        columns = F.pad(x, (edge, edge))[..., :across]
        return F.conv2d(
            columns,
            self.weight,
            self.bias,
            (down, 1),
            (above, 0),
            self.dilation,
            self.groups,
        )


def mend(network: nn.Module) -> None:
    """Make the strided convolutions of a network ``OneColumn``, in place."""
    _become(network, nn.Conv2d, OneColumn)


def unmend(network: nn.Module) -> None:
    """Make them ``nn.Conv2d`` again, which PyTorch's fusing looks for."""
    _become(network, OneColumn, nn.Conv2d)


def _become(network: nn.Module, old: type[nn.Conv2d], new: type[nn.Conv2d]) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and type(module) is old and _usual(module):
            module.__class__ = new


def _usual(layer: nn.Conv2d) -> bool:
    """Strided across, and with none of the options that ``OneColumn`` does not know."""
    zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return layer.stride[1] > 1 and zeros and layer.dilation == (1, 1)
