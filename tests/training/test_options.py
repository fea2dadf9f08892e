"""Options of the baselines' and pt-GAN's training, each on a few steps."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.utils import parametrize

from reidlib import profiles, stages
from reidlib.data import validation_split
from reidlib.errors import ReIDConfigError, ReIDDataError, ReIDError
from reidlib.models import Encoder, FusionNet
from reidlib.pose import torso_valid
from reidlib.profiles import fitting
from reidlib.training import (
    EncoderConfig,
    FusionConfig,
    PtGANConfig,
    recipe,
    train_attributes,
    train_fusion,
    train_ptgan,
)
from reidlib.training.encoder import RECIPES, train_identities
from reidlib.training.fusion import describe
from reidlib.training.poser import PoserConfig

SMALL = EncoderConfig(
    steps=2, batch=8, validations=1, arch="resnet10", weights=None, input_size=None,
    held_out=0.34,
)  # fmt: skip
GAN = PtGANConfig(
    steps=2, batch=4, validations=1, ngf=2, ndf=4, blocks=1, native_aspect=True,
    held_out=0.34, watch=4, alarms=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs():
    generator = torch.Generator().manual_seed(3)
    shape = (24, 3, 64, 32)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    table = pd.DataFrame({"pid": np.repeat(np.arange(6), 4), "camid": [1, 2, 1, 2] * 6})
    points = np.random.default_rng(0).uniform(0.2, 0.8, (24, 25, 2)).astype(np.float32)
    return images, table, points


def gan(photographs, **changes):
    torch.manual_seed(0)
    r1 = Encoder("resnet10", None)
    before = {k: v.clone() for k, v in r1.state_dict().items()}
    g, d, history = train_ptgan(r1, *photographs, replace(GAN, **changes))
    changed = [k for k, v in r1.state_dict().items() if not torch.equal(v, before[k])]
    return g, d, history, changed


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_says_what_it_minimises(name, photographs) -> None:
    images, table, _ = photographs
    encoder, history = train_identities(images, table, recipe(name, SMALL))
    wanted = {"triplet"} if name == "modern" else set()
    assert {"loss", "score", "rank1"} | wanted <= set(history.columns)
    assert isinstance(encoder.neck, torch.nn.BatchNorm1d) == (name == "modern")


def test_recipes_change_the_same_settings() -> None:
    first, second = (set(r) for r in RECIPES.values())
    assert first == second
    with pytest.raises(ReIDConfigError, match="no recipe 'best'; choose one of paper"):
        recipe("best", SMALL)


def test_a_neck_learns_with_the_head(photographs) -> None:
    images, table, _ = photographs
    config = replace(SMALL, neck=True, optimizer="adamw", lr=0.01)
    encoder, _ = train_identities(images, table, config)
    assert not torch.equal(encoder.neck.weight, torch.ones_like(encoder.neck.weight))
    assert torch.equal(encoder.neck.bias, torch.zeros_like(encoder.neck.bias))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (EncoderConfig, {"lr": -1.0}),
        (EncoderConfig, {"trunk": -1.0}),
        (EncoderConfig, {"dropout": 1.5}),
        (EncoderConfig, {"label_smoothing": 3.0}),
        (EncoderConfig, {"bottleneck": -3}),
        (EncoderConfig, {"last_stride": 3}),
        (EncoderConfig, {"input_size": (0, 0)}),
        (EncoderConfig, {"weight_decay": -1.0}),
        (EncoderConfig, {"lr": float("nan")}),
        (FusionConfig, {"hidden": 0}),
        (FusionConfig, {"momentum": 1.0}),
        (PtGANConfig, {"ngf": 0}),
        (PtGANConfig, {"lambda_rec": -1.0}),
        (PoserConfig, {"width": 0}),
    ],
)
def test_settings_out_of_range_are_refused(kind, changes) -> None:
    (name,) = changes
    with pytest.raises(ReIDConfigError, match=f"{name} .*--config.{name}"):
        kind(**changes)


def test_fusion_trains_without_momentum() -> None:
    table = pd.DataFrame({"pid": np.arange(24) // 4, "camid": np.arange(24) % 2})
    config = FusionConfig(steps=2, batch=8, validations=1, momentum=0, held_out=0.3)
    features = torch.randn(24, 16), torch.randn(24, 2, 16)
    network, _ = train_fusion(*features, table, config)
    assert network.fc_1.weight.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"triplet": 1.0}, "needs several pictures of each identity.*--config.each"),
        (
            {"each": 3},
            "whole identities of 3 pictures; .*--config.batch.* multiple of each",
        ),
        ({"batch": 64}, "a batch of 64 cannot be drawn from 16 items"),
        ({"held_out": 0.9}, r"a smaller held_out \(--config.held-out\)"),
        ({"each": 4, "accumulate": 4}, "Micro-batches of 2 do not hold whole"),
        (
            {"each": 4, "triplet": 1.0, "accumulate": 2},
            "of 4 do not hold whole identities of 4 .*--config.batch, .*accumulate",
        ),
    ],
)
def test_batches_that_cannot_be_are_refused(changes, words, photographs) -> None:
    images, table, _ = photographs
    with pytest.raises(ReIDConfigError, match=words):
        train_identities(images, table, replace(SMALL, **changes))


def test_one_image_for_each_identity_makes_neither_triplets_nor_pairs(
    photographs,
) -> None:
    images, table, points = photographs
    alone = table.assign(pid=np.arange(24))
    with pytest.raises(ReIDDataError, match="was seen by two cameras"):
        train_identities(images, alone, replace(SMALL, each=4, triplet=1.0))
    with pytest.raises(ReIDDataError, match="has a second image of its person"):
        gan((images, alone, points))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_diverging_training_stops_with_a_sentence(optimizer, photographs) -> None:
    images, table, _ = photographs
    config = replace(SMALL, steps=6, lr=1e30, trunk=1.0, optimizer=optimizer)
    with pytest.raises(ReIDError, match=r"R2: the loss 'loss' is .* lower lr"):
        train_identities(images, table, config)


def test_a_diverging_game_stops_with_a_sentence(photographs) -> None:
    with pytest.raises(ReIDError, match=r"pt-GAN: the loss '\w+' is"):
        gan(photographs, steps=8, lr=1e30)


def test_a_judge_with_spectral_norm_comes_back_plain(photographs) -> None:
    d = gan(photographs, spectral=True)[1]
    assert not any(parametrize.is_parametrized(m) for m in d.modules())
    assert d.state_dict().keys() == gan(photographs)[1].state_dict().keys()
    for name, module in d.named_modules():
        if isinstance(module, torch.nn.Linear) and "identity" in name:
            largest = torch.linalg.matrix_norm(module.weight.detach(), 2)
            assert largest < 1.5, name  # power iteration, not yet at its end


def test_r1_stays_unless_it_is_to_learn(photographs) -> None:
    assert gan(photographs)[3] == []
    assert gan(photographs, finetune_encoder=True)[3]


@pytest.mark.parametrize(
    "changes",
    [
        {"initial": "default"},
        {"real": "source"},
        {"smooth_labels": False},
        {"penalty": 5.0},
        {"average": 0.5},
        {"accumulate": 2},
        {"kind": "image"},
        {"kind": "aligned", "norm": "group"},
    ],
    ids=str,
)
def test_every_option_changes_what_is_learned(changes, photographs) -> None:
    usual, other = gan(photographs), gan(photographs, **changes)
    flat = [
        torch.cat([p.flatten() for p in g.parameters()]) for g in (usual[0], other[0])
    ]
    assert not torch.equal(*flat)
    assert np.isfinite(other[2].to_numpy()).all()
    if "penalty" in changes:
        assert (other[2]["steep"] > 0).all()


def test_pairs_fewer_than_a_batch_are_refused(photographs) -> None:
    with pytest.raises(ReIDConfigError, match="a batch of 64 cannot be drawn from 16"):
        gan(photographs, batch=64)


def test_features_fewer_than_a_batch_are_refused(photographs) -> None:
    config = FusionConfig(steps=2, batch=64, held_out=0.34, hidden=4)
    own, drawn = torch.randn(24, 8), torch.randn(24, 2, 8)
    with pytest.raises(ReIDConfigError, match="a batch of 64 cannot be drawn from 16"):
        train_fusion(own, drawn, photographs[1], config)


def test_descriptors_are_the_networks_own_and_leave_it_as_it_was() -> None:
    network = FusionNet(8, 2, 3, hidden=4)
    network(torch.randn(16, 8), torch.randn(16, 2, 8))  # the batch norms see something
    own, drawn = torch.randn(2000, 8), torch.randn(2000, 2, 8)
    found = describe(network, own, drawn)
    assert network.training and not found.requires_grad
    network.eval()
    with torch.no_grad():
        parts = [network(own[:1024], drawn[:1024]), network(own[1024:], drawn[1024:])]
    assert torch.equal(found, torch.cat(parts))


def test_a_game_whose_drawings_are_all_alike_is_stopped(photographs) -> None:
    """With nothing to learn and no feature or pose that gets through, all are grey."""
    from reidlib.training import ptgan

    inner = ptgan.players

    def deaf(*arguments):
        g, d = inner(*arguments)
        torch.nn.init.zeros_(next(g.parameters()))
        return g, d

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ptgan, "players", deaf)
        with pytest.raises(ReIDError, match="at step 6: drawings of different people"):
            gan(photographs, steps=8, validations=4, lr=0.0, alarms=True)
        gan(photographs, steps=8, validations=4, lr=0.0, alarms=False)


@pytest.mark.parametrize(("people", "each", "batch"), [(10, 5, 32), (30, 2, 64)])
def test_a_profiles_batch_is_cut_to_whole_identities(people, each, batch) -> None:
    table = pd.DataFrame({"pid": np.repeat(np.arange(people), each)})
    config = replace(SMALL, batch=64, each=4, held_out=0.1)
    assert fitting(config, table, 0).batch == batch
    alone = pd.DataFrame({"pid": np.arange(12)})
    words = "need two training .* without: --config.each 0 --config.triplet 0"
    with pytest.raises(ReIDConfigError, match=words):
        fitting(config, alone, 0)


@pytest.mark.parametrize(
    ("processes", "changes", "batch"),
    [
        (1, {}, 40),
        (2, {}, 40),
        (2, {"accumulate": 4}, 40),
        (1, {"each": 4, "accumulate": 2}, 32),
        (3, {"each": 4}, 24),
        (64, {}, 64),  # which is refused by its name when it comes to training
    ],
)
def test_a_cut_batch_can_be_divided(processes, changes, batch, monkeypatch) -> None:
    state = SimpleNamespace(num_processes=processes)
    monkeypatch.setattr(profiles, "processes", lambda: state)
    table = pd.DataFrame({"pid": np.repeat(np.arange(10), 5)})
    config = replace(SMALL, batch=128, held_out=0.1, **changes)
    assert fitting(config, table, 0).batch == batch


def test_a_cut_batch_counts_only_what_can_be_learned_from(tiny_run) -> None:
    data, profile, seed = tiny_run.data, tiny_run.profile, 8
    table = data.train
    held_out = validation_split(table["pid"], profile.ptgan.held_out, seed)
    valid = torso_valid(data.pose_array(table)) & ~held_out
    one, other = table["pid"][~held_out].unique()[:2]
    kept = [*np.flatnonzero(valid & (table["pid"] == one))[:2]]
    kept += [*np.flatnonzero(valid & (table["pid"] == other))[:1]]
    wanted = {Path(table["path"][row]).name for row in [*kept, *held_out.nonzero()[0]]}
    known = {name: pose for name, pose in data.poses.items() if name in wanted}
    profile = replace(profile, ptgan=replace(profile.ptgan, batch=16))
    run = replace(tiny_run, data=replace(data, poses=known), profile=profile, seed=seed)
    # all of the first are sources, and of the other those that are not the target
    sources = int(table["pid"].isin([one, other]).sum()) - 1
    assert stages.ptgan(run).stage.manifest["config"]["batch"] == sources < 16
    assert stages.poser(run).stage.manifest["config"]["batch"] == len(kept) < 8


def test_the_validation_of_r1_is_split_without_another_score(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(4)
    shape = (30, 3, 64, 32)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    targets, persons = torch.rand(30, 5, generator=generator), torch.arange(30)
    seen, inner = [], Encoder.predict

    def counting(encoder, pictures):
        seen.append(len(pictures))
        return inner(encoder, pictures)

    monkeypatch.setattr(Encoder, "predict", counting)
    scores = []
    for most in (1024, 4):
        monkeypatch.setattr("reidlib.training.encoder.LOOKED", most)
        scores += train_attributes(images, targets, persons, SMALL)[1]["score"].tolist()
    assert seen == [10, 4, 4, 2]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_a_penalty_in_compiled_networks_is_refused(tiny_run) -> None:
    config = replace(tiny_run.profile.ptgan, compile=True, penalty=1.0)
    points = tiny_run.data.points(tiny_run.data.train)
    with pytest.raises(
        ReIDConfigError, match=r"to 0 \(--config.penalty\).*--config.no-compile"
    ):
        train_ptgan(None, tiny_run.images("train"), tiny_run.data.train, points, config)
