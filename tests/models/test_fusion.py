"""FusionNet: Table I, the skip connection, and what its switches do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError
from reidlib.models import FusionNet


def count(module):
    return sum(p.numel() for p in module.parameters())


def tiny(**options):
    torch.manual_seed(0)
    return FusionNet(6, 3, **options)


def features(n=4):
    maker = torch.Generator().manual_seed(1)
    source = torch.randn(n, 6, generator=maker)
    return source, torch.randn(n, 3, 6, generator=maker)


@pytest.mark.parametrize(
    ("poses", "millions"), [(8, 171.966), (12, 239.075), (16, 306.184), (24, 440.402)]
)
def test_its_weights_are_those_of_table_one(poses, millions):
    with torch.device("meta"):
        network = FusionNet(poses=poses, batchnorm=False)
    weights = sum(p.numel() for p in network.parameters() if p.dim() == 2)
    assert weights == (poses + 1) * 2048 * 8192 + 8192 * 2048 + 2048 * 2048
    assert round(weights / 1e6, 3) == millions  # counted by hand


def test_the_papers_best_setting_has_the_published_parameters():
    with torch.device("meta"):
        network = FusionNet(identities=751, batchnorm=False)
        plain = FusionNet(batchnorm=False)
    assert count(plain) == 239_087_616  # counted by hand, with biases
    assert count(network) == 240_626_415  # and with the classifier


@pytest.mark.parametrize(("d", "k", "c"), [(4, 1, 2), (8, 5, 3), (16, 24, 9)])
def test_shapes_follow_features_poses_and_identities(d, k, c):
    network = FusionNet(d, k, c).eval()
    source, generated = torch.randn(2, d), torch.randn(2, k, d)
    assert network(source, generated).shape == (2, d)
    assert network.fuse(source, generated).shape == (2, d)
    assert network.predict(source, generated).shape == (2, c)


def test_the_skip_adds_the_source_to_what_fc_2_made():
    network = tiny(batchnorm=False).eval()
    source, generated = features()
    x = torch.cat([source, generated[:, 0], generated[:, 1], generated[:, 2]], 1)
    x = (x @ network.fc_1.weight.T + network.fc_1.bias).clamp(min=0)
    x = (x @ network.fc_2.weight.T + network.fc_2.bias).clamp(min=0) + source
    assert torch.allclose(network.fuse(source, generated), x, atol=1e-5)
    x = x @ network.output.weight.T + network.output.bias
    assert torch.allclose(network(source, generated), x, atol=1e-5)


def test_a_silent_fc_2_passes_the_source_through():
    network = tiny().eval()
    nn.init.zeros_(network.fc_2.weight)
    source, generated = features()
    assert torch.equal(network.fuse(source, generated), source)


def test_the_order_of_the_poses_matters():
    network = tiny().eval()
    source, generated = features()
    turned = network(source, generated.flip(1))
    assert not torch.allclose(network(source, generated), turned)


def test_dropout_works_in_training_only():
    network = tiny(dropout=0.6)
    source, generated = features()
    assert not torch.equal(network(source, generated), network(source, generated))
    network.eval()
    assert torch.equal(network(source, generated), network(source, generated))


def test_without_batch_norm_there_is_none():
    kinds = [type(m) for m in tiny(batchnorm=False).modules()]
    assert nn.BatchNorm1d not in kinds
    assert [type(m) for m in tiny().modules()].count(nn.BatchNorm1d) == 2


def test_the_config_rebuilds_it_without_its_head():
    network = tiny(hidden=10, identities=5, batchnorm=False).eval()
    again = FusionNet(**network.config()).eval()
    state = {k: v for k, v in network.state_dict().items() if "head." not in k}
    again.load_state_dict(state)
    assert torch.equal(again(*features()), network(*features()))


def test_every_parameter_gets_a_gradient():
    network = tiny(identities=4)
    F.cross_entropy(network.predict(*features()), torch.arange(4)).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_it_overfits_four_pictures():
    network = tiny(identities=4, dropout=0.0)
    adam = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(40):
        loss = F.cross_entropy(network.predict(*features()), torch.arange(4))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize(
    ("source", "generated"),
    [((4, 6), (4, 2, 6)), ((4, 5), (4, 3, 5)), ((4, 6), (4, 6))],
)
def test_features_that_it_was_not_built_for_are_refused(source, generated):
    said = r"built for 3 poses and features of 6 .* train one for yours"
    with pytest.raises(ReIDConfigError, match=said):
        tiny()(torch.zeros(source), torch.zeros(generated))
