"""Maps one column wide: as PyTorch computes them in float32."""

import copy

import pytest
import torch
from torch import nn

from reidlib.models import onecolumn
from reidlib.training.precision import has_bf16

CPU = torch.device("cpu")
SHAPES = [
    # kernel, padding, rows and columns of the map that is read
    (3, 1, 4, 2),
    (3, 1, 16, 1),
    (4, 1, 8, 3),
    (4, 1, 8, 2),
    (7, 3, 16, 2),
    (1, 0, 4, 2),
    (3, 1, 4, 3),
    (3, 1, 8, 4),
]


def layer(kernel: int, padding: int, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Conv2d(64, 64, kernel, 2, padding, bias=bias)
    return nn.Sequential(made)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel, padding, rows, columns", SHAPES)
def test_it_is_the_convolution_and_has_its_gradients(
    kernel, padding, rows, columns, bias
):
    plain = layer(kernel, padding, bias)
    mended = copy.deepcopy(plain)
    onecolumn.mend(mended)
    assert type(mended[0]) is onecolumn.OneColumn
    found = []
    for network in (plain, mended):
        x = torch.randn(3, 64, rows, columns, generator=torch.manual_seed(1))
        x.requires_grad_()
        made = network(x)
        (made * torch.linspace(0, 1, made.numel()).view_as(made)).sum().backward()
        found.append([made, x.grad, *(p.grad for p in network.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not has_bf16(CPU), reason="this CPU has no bfloat16 instructions")
@pytest.mark.parametrize("kernel, padding, rows, columns", SHAPES)
def test_bfloat16_is_right_within_rounding(kernel, padding, rows, columns):
    network = layer(kernel, padding).requires_grad_(False)
    x = torch.randn(5, 64, rows, columns, generator=torch.manual_seed(1))
    expected = network(x)
    onecolumn.mend(network)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x).float()
    assert (found - expected).norm() / expected.norm() < 0.01


def test_mending_is_taken_back_and_leaves_other_layers_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3), nn.Linear(4, 4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    onecolumn.mend(network)
    assert [type(m) for m in network] == [onecolumn.OneColumn, nn.Conv2d, nn.Linear]
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    onecolumn.unmend(network)
    assert [type(m) for m in network] == [nn.Conv2d, nn.Conv2d, nn.Linear]


@pytest.mark.parametrize(
    "options", [{"dilation": 2}, {"padding": 1, "padding_mode": "reflect"}]
)
def test_options_that_it_does_not_know_stay_with_pytorch(options):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, **options))
    onecolumn.mend(network)
    assert type(network[0]) is nn.Conv2d
