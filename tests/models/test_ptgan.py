"""Generator and discriminator: counts and shapes of the paper, and learning."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError
from reidlib.models import Discriminator, Generator, build_generator
from reidlib.models.ptgan import SLOPE_D, SLOPE_G, ResBlock


def count(module):
    return sum(p.numel() for p in module.parameters())


def on_meta(kind, *args, **options):
    with torch.device("meta"):
        return kind(*args, **options)


def tiny_generator(**options):
    torch.manual_seed(0)
    return Generator(8, 50, **{"ngf": 8, "blocks": 1, "size": (32, 16)} | options)


def inputs(n=4):
    maker = torch.Generator().manual_seed(1)
    return torch.randn(n, 8, generator=maker), torch.rand(n, 50, generator=maker)


def test_the_generator_has_the_papers_parameters():
    assert count(on_meta(Generator)) == 34_198_464  # counted by hand


def test_the_stages_of_the_generator_have_the_papers_parameters():
    g = on_meta(Generator)
    sizes = [count(g.prepare), count(g.down), count(g.residual)]
    assert sizes == [22_628_992, 569_792, 10_621_440]  # the authors' code
    assert count(g.up) == 378_240


@pytest.mark.parametrize(
    ("size", "stride_two", "parameters", "cells"),
    [
        ((256, 128), None, 22_927_471, (7, 3)),
        ((128, 64), 5, 13_490_287, (3, 1)),
        ((128, 64), None, 18_208_879, (6, 2)),
    ],
)
def test_the_discriminator_has_the_papers_parameters(
    size, stride_two, parameters, cells
):
    d = on_meta(Discriminator, 751, size=size, stride_two=stride_two)
    assert count(d) == parameters  # counted by hand
    real, identity = d(torch.empty(2, 3, *size, device="meta"))
    assert real.shape == (2, 1, *cells)
    assert identity.shape == (2, 751)


def test_the_last_norm_of_the_discriminator_can_be_left_out():
    def norms(network):
        return [type(m) for m in network.modules()].count(nn.InstanceNorm2d)

    with_norm = on_meta(Discriminator, 751)
    without = on_meta(Discriminator, 751, last_norm=False)
    assert (norms(with_norm), norms(without)) == (5, 4)
    assert count(with_norm) == count(without)  # InstanceNorm has no parameters


def test_the_layers_use_the_slopes_of_the_code():
    def slopes(network):
        found = [m for m in network.modules() if isinstance(m, nn.LeakyReLU)]
        return {m.negative_slope for m in found}

    assert slopes(on_meta(Generator)) == {SLOPE_G} == {0.1}
    assert slopes(on_meta(Discriminator, 3)) == {SLOPE_D} == {0.2}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("size", [(32, 16), (64, 32), (128, 64), (256, 128), (160, 60)])
def test_the_generator_draws_any_size_it_accepts(size, native):
    g = on_meta(Generator, 8, 50, 4, 1, size, native).eval()
    drawn = g(torch.empty(2, 8, device="meta"), torch.empty(2, 50, device="meta"))
    assert drawn.shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(30, 16), (64, 30), (16, 8)])
def test_the_generator_refuses_sizes_it_cannot_draw(size):
    with pytest.raises(ReIDConfigError, match=f"cannot draw {size[0]}x{size[1]}"):
        Generator(8, size=size)


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (256, 128)])
def test_the_native_aspect_needs_no_interpolation(size, monkeypatch):
    asked = []
    monkeypatch.setattr(F, "interpolate", lambda *a, **k: asked.append(a))
    g = on_meta(Generator, 8, 50, 4, 1, size, True).eval()
    drawn = (g.prepare(torch.empty(1, 58, 1, 1, device="meta"))).shape
    if size[0] <= 128:  # the code's six layers end at 128 rows
        assert drawn[-2:] == size
    assert asked == []


def test_a_drawing_stays_between_minus_one_and_one():
    drawn = tiny_generator()(*inputs())
    assert drawn.abs().max() <= 1
    assert drawn.std() > 0


def test_the_generator_is_deterministic():
    g = tiny_generator().eval()
    assert torch.equal(g(*inputs()), g(*inputs()))


def test_standardising_takes_the_scale_of_the_features_away():
    features, poses = inputs(8)
    for standardise in (True, False):
        g = tiny_generator(standardise=standardise).train()
        with torch.no_grad():
            drawn = g(features, poses)
            scaled = g(features * 40 + 3, poses)
        assert torch.allclose(drawn, scaled, atol=1e-2) is standardise


def test_standardising_puts_a_missing_joint_in_the_middle():
    features, _ = inputs(8)
    missing, middle = torch.zeros(8, 50), torch.full((8, 50), 0.5)
    for standardise in (True, False):
        g = tiny_generator(standardise=standardise).train()
        with torch.no_grad():
            same = torch.allclose(g(features, missing), g(features, middle), atol=1e-6)
        assert same is standardise


def test_standardising_adds_no_parameters():
    assert count(on_meta(Generator)) == count(on_meta(Generator, standardise=False))


def test_feature_and_pose_both_change_the_drawing():
    g = tiny_generator().eval()
    features, poses = inputs()
    drawn = g(features, poses)
    assert not torch.allclose(drawn, g(features.flip(0), poses))
    assert not torch.allclose(drawn, g(features, poses.flip(0)))


def test_one_picture_is_drawn_alike_alone_and_in_a_batch():
    g = tiny_generator().eval()
    features, poses = inputs()
    alone = g(features[:1], poses[:1])
    assert torch.allclose(alone, g(features, poses)[:1], atol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_config_rebuilds_the_generator(norm):
    g = tiny_generator(native_aspect=True, norm=norm).eval()
    again = build_generator(g.config()).eval()
    again.load_state_dict(g.state_dict())
    assert torch.equal(again(*inputs()), g(*inputs()))


def test_a_residual_block_adds_to_its_input():
    block = ResBlock(4)
    for layer in block.body:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    x = torch.randn(2, 4, 6, 6)
    assert torch.allclose(block(x), F.leaky_relu(x, 0.1))


@pytest.mark.parametrize(("norm", "kept"), [("instance", False), ("batch", True)])
def test_only_batch_norm_keeps_how_two_pictures_differ_in_the_mean(norm, kept):
    torch.manual_seed(0)
    g = tiny_generator(norm=norm).train()
    x = torch.rand(2, 8, 32, 16)
    with torch.no_grad():
        means = g.down[2](g.down[1](g.down[0](x))).mean((2, 3))
    differ = (means[0] - means[1]).abs().max() > 1e-3
    assert bool(differ) is kept


def test_an_unknown_norm_is_refused():
    with pytest.raises(ReIDConfigError, match="no norm 'layer'; choose one of inst"):
        Generator(8, norm="layer")
    with pytest.raises(ReIDConfigError, match="no norm 'layer'"):
        Discriminator(5, norm="layer")


@pytest.mark.parametrize(("norm", "sees"), [("instance", False), ("batch", True)])
def test_only_with_batch_norm_does_d_see_that_a_picture_is_paler(norm, sees):
    torch.manual_seed(0)
    d = Discriminator(5, 4, (64, 32), norm=norm)
    bright = torch.rand(4, 3, 64, 32) + 0.5
    with torch.no_grad():
        maps = d.trunk[:4](torch.cat([bright, bright * 0.3]))
    assert torch.allclose(maps[:4], maps[4:], atol=0.05) is not sees


def test_weights_start_kaiming_normal():
    torch.manual_seed(0)
    layer = Generator(100, 50, ngf=32, blocks=1).residual[0].body[0]
    expected = (2 / (1 + 0.1**2) / (128 * 9)) ** 0.5  # fan in 128 x 3 x 3
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert layer.bias.abs().max() == 0


def test_every_parameter_of_both_players_gets_a_gradient():
    g, d = tiny_generator(size=(64, 32)), Discriminator(5, 4, (64, 32))
    real, identity = d(g(*inputs()))
    (real.square().mean() + identity.square().mean()).backward()
    for network in (g, d):
        assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_the_generator_overfits_four_pictures():
    g = tiny_generator(native_aspect=True)
    features, poses = inputs()
    wanted = torch.rand(4, 3, 1, 1).expand(4, 3, 32, 16) * 1.6 - 0.8
    adam = torch.optim.Adam(g.parameters(), lr=3e-3)
    for _ in range(150):
        loss = F.mse_loss(g(features, poses), wanted)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.01


def test_the_discriminator_overfits_four_pictures():
    torch.manual_seed(0)
    d = Discriminator(4, 8, (64, 32))
    x = torch.rand(4, 3, 64, 32) * 2 - 1
    truth = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(4, 1, 1, 1)
    adam = torch.optim.Adam(d.parameters(), lr=3e-3)
    for _ in range(150):
        real, identity = d(x)
        loss = F.binary_cross_entropy_with_logits(real, truth.expand_as(real))
        loss = loss + F.cross_entropy(identity, torch.arange(4))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.3
    assert torch.equal(real > 0, truth.expand_as(real) > 0)
    assert torch.equal(identity.argmax(1), torch.arange(4))
