"""Three generators behind one interface: the paper's, PN-GAN's and the aligned one."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from reidlib.errors import ReIDConfigError
from reidlib.models import (
    AlignedGenerator,
    Encoder,
    Generator,
    ImageGenerator,
    build_generator,
    make_generator,
    redraw,
)
from reidlib.models.aligned import Align
from reidlib.models.generators import KINDS
from reidlib.models.skeletonmaps import positions

SIZE, D = (32, 16), 512
ALL = pytest.mark.parametrize("kind", list(KINDS))
NORM = pytest.mark.parametrize("norm", ["instance", "batch", "group"])


def count(module):
    return sum(p.numel() for p in module.parameters())


def tiny(kind, **options):
    torch.manual_seed(0)
    return make_generator(kind, D, SIZE, **{"ngf": 4, "blocks": 1} | options)


def r1():
    torch.manual_seed(5)
    return Encoder("resnet10", None).eval().requires_grad_(False)


def pictures(n=3, size=SIZE):
    maker = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, *size, generator=maker) * 2 - 1


def vectors(n=3):
    poses = torch.rand(n, 50, generator=torch.Generator().manual_seed(2))
    poses[0, 8:10] = 0  # a missing joint
    return poses


def flops(work, *inputs):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        work(*inputs)
    return counter.get_total_flops()


@ALL
@pytest.mark.parametrize("size", [(32, 16), (64, 32), (128, 64), (160, 56)])
def test_every_kind_draws_pictures_of_its_size(kind, size):
    g = make_generator(kind, D, size, ngf=4, blocks=1).eval()
    assert (g.kind, g.size) == (kind, size)
    with torch.no_grad():
        drawn = g(g.look(r1(), pictures(2, size)), vectors(2))
    assert drawn.shape == (2, 3, *size)
    assert drawn.abs().max() <= 1


def test_the_image_generator_has_pn_gans_parameters():
    with torch.device("meta"):
        g = ImageGenerator()
    assert count(g) == 11_387_584  # counted by hand
    # Worked out by hand: kernels, and a bias in all convolutions but the last.
    ends = 6 * 64 * 49 + 64 + 64 * 3 * 49
    halves = 2 * 9 * (64 * 128 + 128 * 256) + 128 + 256 + 128 + 64
    assert ends + halves + 18 * (256 * 256 * 9 + 256) == 11_387_584


def test_the_kinds_differ_in_what_they_look_at():
    x, encoder = pictures(), r1()
    with torch.no_grad():
        assert torch.equal(tiny("vector").look(encoder, x), encoder(x))
    for kind in ("image", "aligned"):
        assert torch.equal(tiny(kind).look(encoder, x), x)


@ALL
@NORM
@pytest.mark.parametrize("standardise", [True, False])
def test_redrawing_equals_drawing_one_pose_after_the_other(kind, norm, standardise):
    g = tiny(kind, norm=norm)
    if kind == "vector":
        g.standardise = standardise
    with torch.no_grad():
        for _ in range(3):  # let BatchNorm see something
            g.train()(g.look(r1(), pictures(8)), vectors(8))
        g.eval()
        source = g.look(r1(), pictures(3))
        drawn = g.redraw(source, vectors(5))
        slow = [
            [g(source[b : b + 1], p[None])[0] for p in vectors(5)] for b in (0, 1, 2)
        ]
    expected = torch.stack([torch.stack(row) for row in slow])
    assert drawn.shape == (3, 5, 3, *SIZE)
    assert torch.allclose(drawn, expected, atol=1e-5)
    assert (drawn[:, 0] - drawn[:, 1]).abs().max() > 1e-3
    assert (drawn[0] - drawn[1]).abs().max() > 1e-3


@ALL
@torch.no_grad()
def test_redraw_asks_r1_once_and_the_generator_for_all_poses(kind):
    g, encoder, x = tiny(kind).eval(), r1(), pictures(2)
    drawn = redraw(encoder, g, x, vectors(4))
    expected = g.redraw(g.look(encoder, x), vectors(4))
    assert torch.equal(drawn, expected)


@ALL
@torch.no_grad()
def test_twelve_poses_cost_less_than_twelve_drawings(kind):
    g = tiny(kind).eval()
    source = g.look(r1(), pictures(2))
    repeated = source.repeat_interleave(12, 0), vectors(12).repeat(2, 1)
    assert flops(g.redraw, source, vectors(12)) < flops(g, *repeated)


@pytest.mark.parametrize(
    ("kind", "row", "column"), [("vector", D, 50), ("image", 3, 3)]
)
@torch.no_grad()
def test_the_first_layer_costs_b_plus_k_not_b_times_k(kind, row, column):
    """``row`` and ``column``: inputs of the first layer from a source and a pose."""
    g = tiny(kind).eval()
    source, (b, k) = g.look(r1(), pictures(2)), (2, 12)
    # 8 ngf maps of 4x4 cells; or ngf maps, whose cells see 7x7 of the picture's.
    outputs = {"vector": 32 * 16, "image": 4 * SIZE[0] * SIZE[1] * 49}
    each = 2 * outputs[kind]  # a multiplication and an addition
    first = each * (row + column)
    rest = flops(g, source[:1], vectors(1)) - first
    expected = b * k * rest + each * (b * row + k * column)
    assert flops(g.redraw, source, vectors(k)) == expected


@torch.no_grad()
def test_the_aligned_generator_sees_every_source_once_and_every_pose_once():
    g, seen = tiny("aligned").eval(), {}
    parts = {"source": g.source, "pose": g.pose, "plan": g.plan, "rise": g.rise}
    for name, part in parts.items():
        for layer in part:
            layer.register_forward_hook(
                lambda _, inputs, __, name=name: seen.setdefault(name, []).append(
                    len(inputs[0])
                )
            )
    g.redraw(pictures(2), vectors(5))
    assert seen["source"] == [2, 2]
    assert seen["pose"] == [5] * 4
    assert seen["plan"] == [5] * 2
    assert seen["rise"] == [10] * 3


@torch.no_grad()
def test_attention_is_that_of_a_loop():
    torch.manual_seed(0)
    align = Align(4, 6, 8, heads=2, norm="group")
    target, source = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 6, 2, 2)
    values = torch.randn(2, 8, 2, 2)
    found = align(target, source, values)
    assert found.shape == (2, 3, 8, 2, 2)
    where = positions((2, 2), target)
    for b in range(2):
        keys = align.key(torch.cat([align.normal[1](source[b : b + 1]), where], 1))[0]
        for k in range(3):
            asked = align.normal[0](target[b, k][None])
            q = align.query(torch.cat([asked, where], 1))[0]
            for head in (slice(0, 4), slice(4, 8)):
                for row, column in ((0, 0), (1, 0), (0, 1)):
                    scores = torch.einsum("c,chw->hw", q[head, row, column], keys[head])
                    weights = (scores / 2).flatten().softmax(0)  # sqrt(4)
                    expected = values[b, head].flatten(1) @ weights
                    near = torch.allclose(
                        found[b, k, head, row, column], expected, atol=1e-5
                    )
                    assert near


@ALL
def test_every_trained_parameter_gets_a_gradient_and_r1_none(kind):
    g, encoder = tiny(kind), r1()
    x = pictures(4).requires_grad_()
    drawn = g(g.look(encoder, x), vectors(4))
    drawn.square().mean().backward()
    without = [n for n, p in g.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad is None for p in encoder.parameters())
    assert x.grad.abs().max() > 0  # a fine-tuned encoder could learn


@pytest.mark.parametrize("kind", ["image", "aligned"])
def test_every_kind_overfits_four_pictures(kind):
    g = tiny(kind, ngf=8, norm="group")
    colours = torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    wanted = (colours * 1.6 - 0.8).repeat(1, 1, *SIZE)
    wanted[..., :8] *= -1  # two halves
    adam = torch.optim.Adam(g.parameters(), lr=5e-3)
    for _ in range(120):
        loss = F.mse_loss(g(pictures(4), vectors(4)), wanted)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.02


@pytest.mark.parametrize("kind", ["image", "aligned"])
@torch.no_grad()
def test_source_and_pose_both_change_the_drawing(kind):
    g = tiny(kind).eval()
    drawn = g(pictures(), vectors())
    assert not torch.allclose(drawn, g(pictures().flip(0), vectors()), atol=1e-3)
    assert not torch.allclose(drawn, g(pictures(), vectors().flip(0)), atol=1e-3)


@torch.no_grad()
def test_the_aligned_generator_trains_alike_at_any_batch_size():
    g = tiny("aligned").train()
    whole = g(pictures(), vectors())
    assert torch.allclose(g(pictures()[:1], vectors()[:1]), whole[:1], atol=1e-5)
    kinds = [
        m for m in g.modules() if isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d)
    ]
    assert kinds == []


@ALL
@pytest.mark.parametrize("norm", ["batch", "group"])
@torch.no_grad()
def test_the_config_rebuilds_any_generator_through_json(kind, norm):
    g = tiny(kind, norm=norm, blocks=2).eval()
    again = build_generator(json.loads(json.dumps(g.config()))).eval()
    again.load_state_dict(g.state_dict())
    source = g.look(r1(), pictures())
    assert type(again) is type(g)
    assert again.config() == g.config()
    assert torch.equal(again(source, vectors()), g(source, vectors()))


def test_a_config_without_a_kind_is_a_vector_generators():
    config = tiny("vector").config()
    del config["kind"]  # as files from before there were others
    assert isinstance(build_generator(config), Generator)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ReIDConfigError, match="no generator 'text'; choose one of vec"):
        make_generator("text", D, SIZE)


def test_arguments_of_another_kind_are_refused():
    config = tiny("vector").config() | {"kind": "image"}
    with pytest.raises(ReIDConfigError, match="do not describe a generator of kind 'i"):
        build_generator(config)


@pytest.mark.parametrize("kind", ["image", "aligned"])
def test_pictures_of_another_size_are_refused(kind):
    g, other = tiny(kind), pictures(2, (64, 32))
    asked = (lambda: g.look(r1(), other), lambda: g(other, vectors(2)))
    for work in (*asked, lambda: g.redraw(other, vectors(2))):
        with pytest.raises(ReIDConfigError, match=r"\(B, 3, 32, 16\), not \(2, 3, 64"):
            work()


@pytest.mark.parametrize(
    ("kind", "size", "step"), [("image", (64, 30), 4), ("aligned", (64, 36), 8)]
)
def test_a_size_that_cannot_be_drawn_is_refused(kind, size, step):
    with pytest.raises(ReIDConfigError, match=f"x{size[1]} pictures.* by {step}"):
        make_generator(kind, D, size)


@pytest.mark.parametrize("options", [{"ngf": 6, "heads": 5}, {"ngf": 4, "heads": 3}])
def test_heads_that_do_not_divide_the_width_are_refused(options):
    with pytest.raises(ReIDConfigError, match="cannot share ngf="):
        AlignedGenerator(**options, size=SIZE)


@pytest.mark.parametrize("kind", ["image", "aligned"])
def test_an_unknown_norm_is_refused_by_every_kind(kind):
    with pytest.raises(ReIDConfigError, match="no norm 'layer'"):
        make_generator(kind, D, SIZE, norm="layer")
