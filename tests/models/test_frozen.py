"""Networks as they serve, against the networks as they were trained."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlib.models import Encoder, FusionNet, PoseInvariantExtractor, make_generator
from reidlib.models.frozen import frozen
from reidlib.training import extract, to_float
from reidlib.training.precision import has_bf16, prepare, usable

CPU = torch.device("cpu")
needs_bf16 = pytest.mark.skipif(
    not has_bf16(CPU), reason="this CPU has no bfloat16 instructions"
)


def lived_in(network):
    """The network with batch norms that have seen something."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            shape = module.running_mean.shape
            module.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
    return network


def encoder(arch="resnet10", **more):
    torch.manual_seed(0)
    return lived_in(Encoder(arch, None, **more))


def extractor(kind="vector"):
    r1, r2 = encoder(), encoder(neck=True)
    generator = make_generator(kind, r1.features, (64, 32), ngf=4, blocks=1)
    fusion = FusionNet(r2.features, 2, hidden=16)
    return lived_in(
        PoseInvariantExtractor(r1, generator, r2, fusion, torch.rand(2, 25, 2))
    )


NETWORKS = {
    "r1": encoder,
    "r2 with a neck": lambda: encoder(neck=True, last_stride=1),
    "resnet50": lambda: encoder("resnet50"),
    "extractor": extractor,
    "extractor, image": lambda: extractor("image"),
    "extractor, aligned": lambda: extractor("aligned"),
}


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(2)
    return torch.randint(256, (5, 3, 64, 32), generator=generator, dtype=torch.uint8)


@torch.no_grad()
def plainly(network, images):
    return copy.deepcopy(network).eval()(to_float(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_copy_equals_the_network_within_rounding(name, images):
    network = NETWORKS[name]()
    expected = plainly(network, images)
    with torch.no_grad():
        found = frozen(network)(to_float(images))
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, atol=1e-4, rtol=0)


def test_freezing_leaves_the_network_as_it_was_and_trainable():
    network = encoder().train()
    before = copy.deepcopy(network.state_dict())
    made = frozen(network, bf16=True)
    assert network.training
    assert not made.training
    assert all(p.requires_grad for p in network.parameters())
    assert not any(p.requires_grad for p in made.parameters())
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in made.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert value.dtype == before[name].dtype
    network(torch.zeros(2, 3, 64, 32)).sum().backward()
    assert network.trunk.conv1.weight.grad is not None


@needs_bf16
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_features_point_where_those_of_float32_do(name, images):
    network = NETWORKS[name]()
    found = extract(network, images, precision="bf16")
    assert found.dtype == torch.float32
    assert F.cosine_similarity(found, plainly(network, images)).min() > 0.999


@pytest.mark.parametrize("batch", [1, 4, 9, None])
@pytest.mark.parametrize("name", ["r1", "extractor"])
def test_features_do_not_depend_on_how_many_pictures_are_taken_at_a_time(
    name, batch, images
):
    network = NETWORKS[name]()
    expected = plainly(network, images)
    found = extract(network, images, batch=batch)
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, atol=1e-4, rtol=0)


def test_an_extractor_counts_its_drawings_as_pictures_at_a_time(images):
    network, seen = extractor(), []
    network.r2.forward = lambda x: seen.append(len(x)) or x.new_zeros(len(x), 512)
    network.fusion.forward = lambda source, generated: source
    extract(network, images, batch=6)  # each picture is three: itself and two poses
    assert seen == [2, 4, 2, 4, 1, 2]


def test_mirrored_features_are_added(images):
    network = encoder()
    expected = plainly(network, images) + plainly(network, images.flip(-1))
    torch.testing.assert_close(
        extract(network, images, flip=True), expected, atol=1e-4, rtol=1e-4
    )


@needs_bf16
def test_compiled_features_are_the_same_though_the_last_part_is_short(images):
    torch._dynamo.reset()
    network = encoder()
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = extract(network, images, batch=3, precision="bf16", compiled=True)
    assert found.shape == (5, 512)
    assert F.cosine_similarity(found, plainly(network, images)).min() > 0.999


def test_float32_training_calls_the_network_itself():
    network = encoder()
    weight = network.trunk.conv1.weight
    assert prepare(network, CPU, "fp32", compiled=False) is network
    assert weight.is_contiguous()


@needs_bf16
def test_bfloat16_training_keeps_the_weights_and_gives_float32(images):
    network = encoder()
    made = prepare(network, CPU, "bf16", compiled=False)(to_float(images))
    assert made.dtype == torch.float32
    made.sum().backward()
    weight = network.trunk.conv1.weight
    assert weight.dtype == weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("norm", "together"), [("instance", False), ("batch", True)])
def test_bfloat16_training_lays_maps_out_as_their_norm_wants_them(norm, together):
    network = make_generator("vector", 8, (64, 32), ngf=4, blocks=1, norm=norm)
    prepare(network, CPU, "bf16", compiled=False)
    weight = network.down[1].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == together
    assert weight.is_contiguous() != together


def test_a_device_without_the_instructions_falls_back_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr("reidlib.training.precision.has_bf16", lambda _: False)
    assert usable("bf16", CPU) == "fp32"
    assert "cpu has no bfloat16 instructions; float32 is used." in caplog.text
