"""R1 and R2: parameter counts, shapes, weights on disk, and refusals."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models import Encoder, encoder
from reidlib.models.files import read_metadata, read_weights, write_weights


def count(module):
    return sum(p.numel() for p in module.parameters())


def tiny(**options):
    torch.manual_seed(0)
    return Encoder("resnet10", None, **options)


def pictures(n=4, size=(32, 16)):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_paper_sizes_have_the_published_parameter_counts():
    with torch.device("meta"):
        network = Encoder("resnet50", None, outputs=751)
    assert count(network.trunk) == 23_508_032  # counted by hand
    assert count(network.head) == 1_435_375  # counted by hand, with its batch norm
    assert network.features == 2048


@pytest.mark.parametrize("last_stride", [1, 2])
@pytest.mark.parametrize("size", [(64, 32), (48, 48), (33, 17)])
def test_any_picture_becomes_one_vector(size, last_stride):
    network = tiny(last_stride=last_stride, outputs=7, bottleneck=16).eval()
    with torch.no_grad():
        assert network(pictures(2, size)).shape == (2, 512)
        assert network.predict(pictures(2, size)).shape == (2, 7)


def test_stride_one_keeps_a_finer_last_map():
    maps = {}
    for stride in (1, 2):
        network = tiny(last_stride=stride).eval()
        network.trunk.layer4.register_forward_hook(
            lambda _, __, out, stride=stride: maps.update({stride: out.shape[-2:]})
        )
        network(pictures(1, (64, 32)))
    assert maps == {1: (4, 2), 2: (2, 1)}


def test_last_stride_one_adds_no_parameters():
    assert count(tiny(last_stride=1)) == count(tiny(last_stride=2))


def test_pictures_are_normalised_with_the_imagenet_numbers():
    network = tiny().eval()
    seen = []
    network.trunk.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    network(torch.ones(1, 3, 32, 16))  # white
    mean, spread = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    assert torch.allclose(seen[0].mean((0, 2, 3)), (1 - mean) / spread)


def test_pictures_are_resized_first_where_a_size_is_given():
    network = tiny(input_size=(48, 24)).eval()
    seen = []
    network.trunk.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape))
    network(pictures(1))
    network(pictures(1, (48, 24)))
    assert seen == [(1, 3, 48, 24)] * 2


def test_without_outputs_there_is_no_head():
    network = tiny().eval()
    x = pictures()
    assert count(network.head) == 0
    assert torch.equal(network.predict(x), network(x))


def test_a_head_without_bottleneck_is_one_linear_layer():
    head = tiny(outputs=5, bottleneck=0).head
    assert isinstance(head, nn.Linear)
    assert count(head) == 512 * 5 + 5


def test_it_overfits_four_pictures():
    network = tiny(outputs=4, bottleneck=0)
    x, labels = pictures(), torch.arange(4)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(15):
        loss = F.cross_entropy(network.predict(x), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05


def test_every_parameter_gets_a_gradient():
    network = tiny(outputs=4, bottleneck=16)
    F.cross_entropy(network.predict(pictures()), torch.arange(4)).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_with_a_neck_descriptors_are_the_pooled_features_normalised():
    network = tiny(neck=True, outputs=3).eval()
    generator = torch.Generator().manual_seed(5)
    mean, spread, weight = torch.rand(3, 512, generator=generator) + 0.5
    network.neck.running_mean.copy_(mean)
    network.neck.running_var.copy_(spread**2)
    network.neck.weight.data.copy_(weight)
    x = pictures()
    pooled, logits = network.both(x)
    assert torch.equal(pooled, network.pooled(x))
    assert torch.equal(pooled, tiny().eval()(x))  # the trunk is that without a neck
    expected = (pooled - mean) / spread * weight
    assert torch.allclose(network(x), expected, atol=1e-4)
    assert torch.allclose(logits, expected @ network.head.weight.T, atol=1e-4)
    assert torch.equal(network.predict(x), logits)


def test_a_neck_has_no_shift_and_its_classifier_neither_bias_nor_bottleneck():
    network = tiny(neck=True, outputs=7, bottleneck=16)
    learn = {n for n, p in network.named_parameters() if p.requires_grad}
    assert {n for n in learn if "trunk" not in n} == {"neck.weight", "head.weight"}
    assert network.head.weight.shape == (7, 512)
    F.cross_entropy(network.predict(pictures()), torch.arange(4)).backward()
    assert {n for n, p in network.named_parameters() if p.grad is not None} == learn
    assert network.neck.bias.abs().max() == 0


def test_without_a_neck_both_are_the_descriptor_and_the_logits():
    network = tiny(outputs=3).eval()
    x = pictures()
    features, logits = network.both(x)
    assert torch.equal(features, network(x))
    assert torch.equal(logits, network.predict(x))
    assert [k for k in network.state_dict() if "neck" in k] == []


def test_a_saved_trunk_is_taken_without_its_head(tmp_path):
    trained = tiny(outputs=9).eval()
    write_weights(tmp_path / "r1.safetensors", trained.state_dict())
    again = Encoder("resnet10", tmp_path / "r1.safetensors", outputs=3).eval()
    x = pictures()
    assert torch.equal(again(x), trained(x))
    assert again.predict(x).shape == (4, 3)


@pytest.mark.parametrize("neck", [False, True])
def test_the_config_rebuilds_the_trunk_and_the_neck(neck):
    network = tiny(last_stride=1, input_size=(48, 24), neck=neck)
    network(pictures())  # moves the statistics of the batch norms
    again = Encoder(**network.config(), weights=None)
    again.load_state_dict(network.state_dict())
    x = pictures()
    assert torch.equal(again.eval()(x), network.eval()(x))


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(ReIDConfigError, match="vgg16.*resnet10.*resnet50"):
        Encoder("vgg16", None)


def test_resnet10_has_no_imagenet_weights():
    with pytest.raises(ReIDConfigError, match="no ImageNet weights for resnet10"):
        Encoder("resnet10")


def test_imagenet_weights_that_cannot_be_had_are_an_error(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(encoder, "get_model", offline)
    with pytest.raises(ReIDConfigError, match="could not be downloaded"):
        Encoder("resnet18")


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(ReIDDataError, match="No weights at .*absent"):
        Encoder("resnet10", tmp_path / "absent.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"trunk.conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(ReIDConfigError, match="not hold the weights of a resnet10"):
        Encoder("resnet10", path)


@pytest.mark.parametrize("read", [read_weights, read_metadata])
@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_broken_weights_file_is_refused(tmp_path, size, read):
    path = tmp_path / "half.safetensors"
    write_weights(path, {"a": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ReIDDataError, match="not a whole safetensors file"):
        read(path)


def test_notes_are_read_without_the_tensors_beside_them(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_weights(path, {"a": torch.zeros(1000)}, {"format": "x"})

    class NotesOnly:
        def __init__(self, *arguments, **named):
            self.inner = safe_open(*arguments, **named)

        def __enter__(self):
            self.inner.__enter__()
            return self

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

        def metadata(self):
            return self.inner.metadata()

    monkeypatch.setattr("reidlib.models.files.safe_open", NotesOnly)
    assert read_metadata(path) == {"format": "x"}


def test_weights_and_their_notes_come_back_and_nothing_else_stays(tmp_path):
    path = tmp_path / "w.safetensors"
    turned = torch.arange(6.0).view(2, 3).T  # not contiguous
    write_weights(path, {"a": turned}, {"format": "x"})
    assert torch.equal(read_weights(path)["a"], turned)
    assert read_metadata(path) == {"format": "x"}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_resnet8_is_resnet10_without_its_last_stage():
    torch.manual_seed(0)
    whole, cut = tiny().eval(), Encoder("resnet8", None).eval()
    cut.load_state_dict(whole.state_dict(), strict=False)
    maps = {}
    whole.trunk.layer3.register_forward_hook(lambda *given: maps.update(x=given[2]))
    x = pictures()
    whole(x)
    assert torch.allclose(cut(x), maps["x"].mean((2, 3)), atol=1e-5)
    assert cut.features == 256
    finer = Encoder("resnet8", None, last_stride=1).trunk.layer3
    convolutions = [m for m in finer.modules() if isinstance(m, torch.nn.Conv2d)]
    assert {c.stride for c in convolutions} == {(1, 1)}
