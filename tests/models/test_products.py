"""Convolutions as matrix products: as PyTorch computes them in float32."""

import copy

import pytest
import torch
from torch import nn

from reidlib.models import products
from reidlib.training.precision import has_bf16

CPU = torch.device("cpu")
SHAPES = [
    # kernel, stride, padding, rows and columns of the map that is read
    (3, 2, 1, 4, 2),
    (3, 2, 1, 16, 1),
    (4, 2, 1, 8, 3),
    (4, 2, 1, 8, 2),
    (7, 2, 3, 16, 2),
    (3, 2, (0, 1), 8, 2),
    (1, 2, 0, 4, 2),
    (1, 2, 0, 9, 5),
    (1, 1, 0, 4, 2),
    (1, 1, 1, 4, 2),
    (3, 2, 1, 4, 3),
    (3, 2, 1, 8, 4),
    (3, (1, 2), 1, 5, 3),
    (3, (2, 1), (2, 0), 5, 3),
    (2, (3, 1), 0, 8, 4),
]


@pytest.fixture(autouse=True, params=["usual", "heavy"])
def weight(request, monkeypatch):
    """By the usual rule, and as if the weights outweighed every map."""
    if request.param == "heavy":
        monkeypatch.setattr(products, "HEAVY", 0)
        monkeypatch.setattr(products, "SHARE", 0)


def layer(kernel, stride, padding, bias=True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(64, 48, kernel, stride, padding, bias=bias))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel, stride, padding, rows, columns", SHAPES)
def test_it_is_the_convolution_and_has_its_gradients(
    kernel, stride, padding, rows, columns, bias
):
    plain = layer(kernel, stride, padding, bias)
    mended = copy.deepcopy(plain)
    products.mend(mended)
    assert type(mended[0]) is products.ProductConv2d
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
@pytest.mark.parametrize("kernel, stride, padding, rows, columns", SHAPES)
def test_bfloat16_is_right_within_rounding(kernel, stride, padding, rows, columns):
    network = layer(kernel, stride, padding).requires_grad_(False)
    x = torch.randn(5, 64, rows, columns, generator=torch.manual_seed(1))
    expected = network(x)
    products.mend(network)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x).float()
    assert (found - expected).norm() / expected.norm() < 0.01


def test_mending_is_taken_back_and_leaves_other_layers_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3), nn.Linear(4, 4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    products.mend(network)
    assert [type(m) for m in network] == [
        products.ProductConv2d,
        products.ProductConv2d,
        nn.Linear,
    ]
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    products.unmend(network)
    assert [type(m) for m in network] == [nn.Conv2d, nn.Conv2d, nn.Linear]


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 2},
        {"groups": 3},
        {"padding": "same"},
        {"padding": 1, "padding_mode": "reflect"},
    ],
)
def test_options_that_it_does_not_know_stay_with_pytorch(options):
    network = nn.Sequential(nn.Conv2d(3, 6, 3, **options))
    products.mend(network)
    assert type(network[0]) is nn.Conv2d
