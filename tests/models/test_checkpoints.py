"""Other people's checkpoints: every layout is read, and every fault is named."""

import os
import pickle
from threading import Thread

import pytest
import torch
from torch import nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models import Encoder, load_checkpoint
from reidlib.models.files import read_weights, write_weights


def resnet(blocks=(1, 1, 1, 1), classes=4):
    """torchvision's own network, filled with numbers unlike a new one's."""
    torch.manual_seed(1)
    network = ResNet(BasicBlock, list(blocks), num_classes=classes)
    for tensor in network.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) * (9 if tensor.dim() == 0 else 1))
    return network


def encoder(**options):
    torch.manual_seed(2)
    return Encoder("resnet10", None, **options)


def renamed(prefix, **more):
    """A trunk's state under a prefix, and further tensors."""
    state = {prefix + k: v for k, v in resnet().state_dict().items() if k[:2] != "fc"}
    return state | {k.replace("_", "."): torch.ones(4, 8) for k in more}


def layouts():
    """How each library saves, and how many of the file's tensors are not a trunk's."""
    wrapped = {f"module.{k}": v for k, v in renamed("", classifier_weight=0).items()}
    return {
        "torchvision": (resnet().state_dict(), 2),
        "torchreid": ({"state_dict": wrapped, "epoch": 60, "rank1": 0.9}, 1),
        "fast-reid": (
            {
                "model": renamed(
                    "backbone.", heads_weight=0, heads_bottleneck_0_bias=0
                ),
                "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
            },
            2,
        ),
        "layumi": (renamed("model.", classifier_add_block=0, model_fc_weight=0), 2),
        "reidlib": (renamed("trunk.", head_weight=0), 1),
    }


def save(tmp_path, held, name="other.pth", **options):
    torch.save(held, tmp_path / name, **options)
    return tmp_path / name


def holds_the_trunk(network):
    own, other = network.trunk.state_dict(), resnet().state_dict()
    return all(torch.equal(own[k], other[k]) for k in own)


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("zipped", [True, False])
def test_each_layout_fills_the_trunk_and_says_what_it_left(tmp_path, layout, zipped):
    held, ignored = layouts()[layout]
    path = save(tmp_path, held, _use_new_zipfile_serialization=zipped)
    network = encoder(outputs=7)
    head = [p.clone() for p in network.head.parameters()]
    report = load_checkpoint(network, path)
    assert holds_the_trunk(network)
    assert all(map(torch.equal, head, network.head.parameters()))
    assert report.layout == layout
    assert set(report.matched) == {f"trunk.{k}" for k in network.trunk.state_dict()}
    assert report.missing == ()
    assert len(report.ignored) == ignored


@pytest.mark.parametrize("layout", layouts())
def test_a_new_encoder_takes_any_of_these_files_as_weights(tmp_path, layout):
    path = save(tmp_path, layouts()[layout][0], "last.tar")
    assert holds_the_trunk(Encoder("resnet10", path))
    assert holds_the_trunk(Encoder("resnet10", str(path)))


def test_features_are_those_of_the_network_that_was_saved(tmp_path):
    source = resnet().eval()
    network = Encoder("resnet10", save(tmp_path, source.state_dict())).eval()
    source.fc = nn.Identity()
    x = torch.rand(2, 3, 32, 16) * 2 - 1
    mean, spread = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    normal = ((x + 1) / 2 - mean.view(3, 1, 1)) / spread.view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(network(x), source(normal))


def test_another_librarys_safetensors_are_read_too(tmp_path):
    write_weights(tmp_path / "a.safetensors", resnet().state_dict())
    network = encoder()
    report = load_checkpoint(network, tmp_path / "a.safetensors")
    assert holds_the_trunk(network)
    assert report.layout == "torchvision"


def test_the_report_prints_as_two_lines(tmp_path):
    held = layouts()["torchvision"][0] | {f"extra{n}": torch.ones(1) for n in range(4)}
    report = load_checkpoint(encoder(), save(tmp_path, held))
    assert str(report).splitlines() == [
        f"torchvision layout: {len(report.matched)} tensors matched",
        "missing: none; ignored: fc.weight, fc.bias, extra0, extra1 and 2 more",
    ]


def test_step_counters_may_be_missing(tmp_path):
    state = resnet().state_dict()
    held = {k: v for k, v in state.items() if "num_batches" not in k}
    report = load_checkpoint(encoder(), save(tmp_path, held))
    assert len(report.missing) == len(state) - len(held)
    assert all(k.endswith("num_batches_tracked") for k in report.missing)


def refused(path, match, network=None, error=ReIDDataError):
    """Refused by name, and nothing of the encoder was changed."""
    network = network or encoder()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(error, match=match) as raised:
        load_checkpoint(network, path)
    assert str(path) in str(raised.value)
    after = network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_trunk_with_a_missing_and_a_reshaped_tensor_is_refused_with_counts(tmp_path):
    state = resnet().state_dict()
    del state["layer2.0.conv1.weight"]
    state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    refused(
        save(tmp_path, state),
        r"not hold the trunk of a resnet10 \(of 60 tensors 1 are missing and 1 have "
        "another shape; 0 have no place, such as trunk.layer2.0.conv1.weight.*"
        "give a checkpoint of this arch",
    )


def test_a_deeper_network_of_the_same_blocks_is_refused(tmp_path):
    state = resnet((2, 2, 2, 2)).state_dict()  # holds all that a resnet10 has
    refused(save(tmp_path, state), "0 are missing and 0 have another shape; 40 have no")


def test_a_shallower_network_is_refused(tmp_path):
    path = save(tmp_path, resnet().state_dict())
    refused(path, "trunk of a resnet18.*40 are missing", Encoder("resnet18", None))


def test_basic_blocks_do_not_fit_bottlenecks(tmp_path):
    path = save(tmp_path, resnet((2, 2, 2, 2)).state_dict())
    refused(path, "trunk of a resnet50.*another shape", Encoder("resnet50", None))


def test_our_own_file_of_another_arch_is_refused_in_the_known_words(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_weights(path, Encoder("resnet18", None).state_dict())
    words = "weights of a resnet10 encoder; give the weights.safetensors of a run"
    refused(path, words, error=ReIDConfigError)
    with pytest.raises(ReIDConfigError, match=words):
        Encoder("resnet10", path)


@pytest.mark.parametrize(
    "held", [{"generator.weight": torch.ones(2)}, {}, {"epoch": 3, "fc.bias": None}]
)
def test_a_file_without_a_trunk_is_refused(tmp_path, held):
    refused(save(tmp_path, held), "holds no ResNet trunk.*torchvision, torchreid")


@pytest.mark.parametrize("held", [torch.ones(3), [torch.ones(3)], 5])
def test_a_file_that_is_no_dictionary_is_refused(tmp_path, held):
    refused(save(tmp_path, held), r"holds a \w+, not tensors by name; save")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, part, zipped):
    path = save(tmp_path, resnet().state_dict(), _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    refused(path, "cut short, of another format, or holds more.*fetch it again")


@pytest.mark.parametrize("content", [b"<html>Not found</html>", b"\x00" * 300])
def test_a_file_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "page.pth").write_bytes(content)
    refused(tmp_path / "page.pth", "cannot be read as a PyTorch checkpoint")


class Trap:
    """Creates a folder when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_the_trap_works_where_pickles_are_trusted(tmp_path):
    path = save(tmp_path, {"a": Trap(tmp_path / "made")})
    torch.load(path, weights_only=False)
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_never_run(tmp_path, zipped):
    held = resnet().state_dict() | {"trap": Trap(tmp_path / "made")}
    path = save(tmp_path, held, _use_new_zipfile_serialization=zipped)
    refused(path, r"more than tensors.*(posix|nt)\.mkdir could run code; save only the")
    with pytest.raises(ReIDDataError, match="could run code"):
        Encoder("resnet10", path)
    assert not (tmp_path / "made").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_bare_pickle_is_never_run(tmp_path, protocol):
    trap = pickle.dumps({"trap": Trap(tmp_path / "made")}, protocol)
    (tmp_path / "bare.pkl").write_bytes(trap)
    refused(tmp_path / "bare.pkl", "more than tensors")
    assert not (tmp_path / "made").exists()


def test_a_whole_pickled_network_is_refused_with_the_mend(tmp_path):
    refused(save(tmp_path, resnet()), r"torchvision.*ResNet could run.*state_dict\(\)")


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "absent.pth", "No checkpoint at")
    refused(tmp_path / "absent.safetensors", "No weights at")


def test_a_neck_is_taken_from_our_own_files(tmp_path):
    trained = encoder(neck=True, outputs=5)
    trained.neck.running_mean.fill_(3.0)
    path = tmp_path / "weights.safetensors"
    write_weights(path, trained.state_dict())
    network = Encoder("resnet10", path, neck=True, outputs=9)
    assert torch.equal(network.neck.running_mean, torch.full((512,), 3.0))
    report = load_checkpoint(network, path)
    assert set(network.state_dict()) - set(report.matched) == {"head.weight"}
    assert (report.missing, report.ignored) == ((), ("head.weight",))


def test_a_neck_that_the_file_lacks_stays_new_and_is_reported(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_weights(path, encoder().state_dict())
    report = load_checkpoint(encoder(neck=True), path)
    assert [k for k in report.missing if k.startswith("neck.")] == list(report.missing)
    assert "neck.weight" in report.missing


def test_a_neck_is_never_left_out_in_silence(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_weights(path, encoder(neck=True).state_dict())
    refused(path, "holds an encoder with a neck.*neck=True", error=ReIDConfigError)


def test_two_writers_of_one_file_do_not_take_each_others(tmp_path):
    """Chapters that run side by side share what they keep of descriptors."""
    path, faults = tmp_path / "kept.safetensors", []

    def write(value):
        for _ in range(40):
            try:
                write_weights(path, {"x": torch.full((1000,), float(value))})
            except ReIDDataError as error:
                faults.append(error)

    both = [Thread(target=write, args=(value,)) for value in (0, 1)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert faults == []
    assert read_weights(path)["x"].unique().numel() == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
