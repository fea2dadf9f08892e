"""A run that is killed goes on to the result that it would have had."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.models import Encoder
from reidlib.training import PtGANConfig, train_ptgan
from reidlib.training import checkpoint as checkpoints
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.encoder import EncoderConfig, train_identities


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Dies(Checkpoint):
    """Saves after every step, and dies after some of them."""

    def __init__(self, path, after: int, key: str = "k") -> None:
        super().__init__(path, key, every=0.0)
        self.left = after

    def save(self, tensors, note) -> None:
        super().save(tensors, note)
        self.left -= 1
        if not self.left:
            self.close()
            raise KilledError


def photographs():
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(
        0, 256, (24, 3, 64, 32), generator=generator, dtype=torch.uint8
    )
    table = pd.DataFrame({"pid": np.repeat(np.arange(6), 4), "camid": [1, 2, 1, 2] * 6})
    points = np.random.default_rng(0).uniform(0.2, 0.8, (24, 25, 2)).astype(np.float32)
    return images, table, points


def trained_gan(checkpoint=None, **changes):
    images, table, points = photographs()
    torch.manual_seed(0)
    r1 = Encoder("resnet10", None)
    config = PtGANConfig(
        steps=6, batch=4, validations=3, ngf=2, ndf=4, blocks=1, native_aspect=True,
        held_out=0.34, watch=4, alarms=False, **changes,
    )  # fmt: skip
    g, d, history = train_ptgan(
        r1, images, table, points, config, checkpoint=checkpoint
    )
    return g.state_dict() | {f"d.{k}": v for k, v in d.state_dict().items()}, history


def trained_encoder(checkpoint=None, **changes):
    images, table, _ = photographs()
    config = EncoderConfig(
        steps=6, batch=8, validations=3, arch="resnet10", weights=None,
        input_size=None, held_out=0.34, augmentation="strong", lr=1e-3,
        optimizer="adamw", **changes,
    )  # fmt: skip
    encoder, history = train_identities(images, table, config, checkpoint=checkpoint)
    return encoder.state_dict(), history


def same(one, other) -> bool:
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("after", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "train",
    [
        trained_encoder,
        lambda c=None: trained_encoder(c, precision="bf16"),
        trained_gan,
        lambda c=None: trained_gan(c, average=0.9, spectral=True, keep="best"),
        lambda c=None: trained_gan(c, finetune_encoder=True, penalty=1.0),
        lambda c=None: trained_gan(c, norm="batch", average=0.9, precision="bf16"),
    ],
    ids=["encoder", "bf16", "gan", "averaged gan", "gan with its encoder", "bf16 gan"],
)
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, train, after) -> None:
    path = tmp_path / "run.checkpoint"
    whole, history = train()
    with pytest.raises(KilledError):
        train(Dies(path, after))
    assert path.is_file()
    resumed, later = train(Checkpoint(path, "k"))
    assert same(whole, resumed)
    pd.testing.assert_frame_equal(history, later)


def test_a_resumed_run_does_only_the_steps_that_were_left(tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KilledError):
        trained_encoder(Dies(path, 4))
    steps = []
    from reidlib.training import loop

    inner = loop._step
    monkeypatch.setattr(loop, "_step", lambda *a: steps.append(1) or inner(*a))
    trained_encoder(Checkpoint(path, "k"))
    assert len(steps) == 2


def test_a_checkpoint_of_something_else_or_cut_short_is_not_gone_on_from(
    tmp_path, caplog
) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KilledError):
        trained_encoder(Dies(path, 2, key="other"))
    assert Checkpoint(path, "k").load() is None
    assert Checkpoint(path, "other").load() is not None
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level("WARNING"):
        assert Checkpoint(path, "other").load() is None
    assert "starts anew" in caplog.text


def test_a_full_disk_loses_no_checkpoint_and_stops_no_training(
    tmp_path, monkeypatch, caplog
) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KilledError):
        trained_encoder(Dies(path, 2))
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("reidlib.models.files.save_file", full)
    whole, _ = trained_encoder()
    with caplog.at_level("WARNING"):
        resumed, _ = trained_encoder(Checkpoint(path, "k", every=0.0))
    assert "No space left on device" in caplog.text
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.checkpoint"]
    assert same(whole, resumed)


def test_a_checkpoint_is_written_beside_and_renamed(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.checkpoint"
    checkpoint = Checkpoint(path, "k")
    checkpoint.save({"a": torch.ones(3)}, {"step": 1})
    checkpoint.close()
    whole, seen = path.read_bytes(), []

    def fails_half_way(tensors, target, metadata):
        Path(target).write_bytes(whole[: len(whole) // 2])
        seen.append(path.read_bytes())
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("reidlib.models.files.save_file", fails_half_way)
    checkpoint.save({"a": torch.zeros(3)}, {"step": 2})
    checkpoint.close()
    assert seen == [whole] and path.read_bytes() == whole
    tensors, note = Checkpoint(path, "k").load()
    assert note == {"step": 1} and tensors["a"].tolist() == [1, 1, 1]
    stray = checkpoint.path.with_name(f"{checkpoint.path.name}.9.9.part")
    stray.touch()  # of a process that was killed while it saved
    checkpoint.discard()
    assert not stray.exists()
    assert not path.exists() and not list(tmp_path.iterdir())


def test_what_is_saved_is_the_moment_of_the_call(tmp_path, monkeypatch) -> None:
    import threading

    go_on = threading.Event()
    inner = checkpoints.write_weights

    def late(*arguments):
        go_on.wait(10)
        inner(*arguments)

    monkeypatch.setattr(checkpoints, "write_weights", late)
    checkpoint, weight = Checkpoint(tmp_path / "c", "k"), torch.zeros(2)
    checkpoint.save({"w": weight}, {})
    weight += 1  # training goes on while the file is written
    go_on.set()
    checkpoint.close()
    assert Checkpoint(tmp_path / "c", "k").load()[0]["w"].tolist() == [0, 0]


def test_tensorboard_gets_every_look(tmp_path) -> None:
    pytest.importorskip("tensorboard", reason="an optional extra")
    checkpoint = Checkpoint(tmp_path / "c", "k", events=tmp_path / "events")
    _, history = trained_encoder(checkpoint)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "events")).Reload()
    told = [e.value for e in events.Scalars("score")]
    assert told == pytest.approx(history["score"].tolist())
