"""Fusion rules, the evidence that they are given, and what is learned from it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from reidlib import fusing, stages
from reidlib.ablation import SPLITS
from reidlib.data.synthetic import World
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models import Slots
from reidlib.pose import pose_vector
from reidlib.runs import Run
from reidlib.training import extract, to_float, to_uint8


@pytest.fixture
def features() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(6, 5), torch.randn(6, 3, 5)


def loop(rule: str, w: float, x: torch.Tensor, g: torch.Tensor) -> list[float]:
    """One descriptor, number by number."""
    x, g = (x / x.norm()).tolist(), [(f / f.norm()).tolist() for f in g]
    if rule == "mean":
        return [(x[i] + sum(f[i] for f in g)) / (1 + len(g)) for i in range(len(x))]
    if rule == "maximum":
        return [max([x[i]] + [f[i] for f in g]) for i in range(len(x))]
    return [(1 - w) * x[i] + w * sum(f[i] for f in g) / len(g) for i in range(len(x))]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mean", fusing.mean),
        ("maximum", fusing.maximum),
        ("sum", fusing.weighted_sum(0.3)),
    ],
)
def test_a_rule_is_what_a_loop_over_its_numbers_makes(name, rule, features) -> None:
    x, g = features
    found = rule(x, g)
    for i in range(len(x)):
        assert found[i].tolist() == pytest.approx(loop(name, 0.3, x[i], g[i]), abs=1e-6)


def test_slots_compare_each_pose_with_the_same_pose(features) -> None:
    x, g = features
    made = fusing.slots(0.4)(x, g)
    assert made.shape == (6, 4 * 5)
    assert torch.allclose(made.norm(dim=1), torch.ones(6))
    for i, j in ((0, 1), (2, 5)):
        same = [F.cosine_similarity(g[i, k], g[j, k], dim=0) for k in range(3)]
        wanted = 0.6 * F.cosine_similarity(x[i], x[j], dim=0) + 0.4 * sum(same) / 3
        assert float(made[i] @ made[j]) == pytest.approx(float(wanted), abs=1e-6)


def test_without_weight_only_the_picture_counts(features) -> None:
    x, g = features
    alone = fusing.input_only(x, g)
    assert torch.allclose(fusing.weighted_sum(0.0)(x, g), alone)
    made = fusing.slots(0.0)(x, g)
    assert torch.allclose(made @ made.T, alone @ alone.T, atol=1e-6)


def test_pca_keeps_the_distances_that_it_has_room_for(features) -> None:
    x, g = features
    rule = fusing.slots(0.5)
    whole, made = rule(x, g), fusing.reduced(rule, x, g, 5)(x, g)
    # five axes hold six points whole
    assert torch.allclose(torch.cdist(made, made), torch.cdist(whole, whole), atol=1e-4)
    with pytest.raises(ReIDConfigError, match="numbers is 7; 6 descriptors of 20"):
        fusing.reduced(rule, x, g, 7)


def test_the_weight_that_finds_most_is_taken() -> None:
    table = pd.DataFrame({"pid": [1, 1, 2, 2], "camid": [1, 2, 1, 2]})
    right = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    wrong = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    for source, drawn, weight in ((wrong, right, 0.6), (right, wrong, 0.0)):
        found = fusing.fitted_weight(fusing.slots, source, drawn[:, None], table)
        assert found == weight


@pytest.mark.parametrize("weight", [-0.1, 1.5])
@pytest.mark.parametrize("make", [fusing.slots, fusing.weighted_sum])
def test_a_weight_is_a_share(make, weight: float) -> None:
    with pytest.raises(ReIDConfigError, match="between 0 and 1"):
        make(weight)


def test_features_that_do_not_fit_are_refused() -> None:
    for drawn in (torch.zeros(6, 3, 4), torch.zeros(5, 3, 5), torch.zeros(6, 5)):
        with pytest.raises(ReIDConfigError, match=r"do not fit; give \(N, D\)"):
            fusing.mean(torch.zeros(6, 5), drawn)


@pytest.mark.parametrize(
    "rule", [fusing.mean, fusing.weighted_sum(0.3), fusing.slots(0.3), Slots(0.3)]
)
@pytest.mark.parametrize("shape", [(6, 3, 4), (5, 3, 5), (6, 5), (6, 0, 5)])
def test_no_rule_takes_features_of_another_width_or_no_drawing(rule, shape) -> None:
    with pytest.raises(ReIDConfigError, match="do not fit; give .* K at least 1"):
        rule(torch.zeros(6, 5), torch.zeros(shape))


def test_attention_says_what_it_was_built_for() -> None:
    with pytest.raises(ReIDConfigError, match="5 features are not divisible among 4"):
        fusing.AttentionFusion(5, 3)
    network = fusing.AttentionFusion(5, 3, heads=1)
    for shape in ((6, 3, 4), (6, 2, 5)):
        with pytest.raises(
            ReIDConfigError, match="built for 3 poses and features of 5"
        ):
            network(torch.zeros(6, 5), torch.zeros(shape))


def test_attention_starts_as_the_picture_itself(features) -> None:
    network = fusing.AttentionFusion(5, 3, heads=1).eval()
    assert torch.allclose(network(*features), features[0])


@pytest.mark.parametrize("kind", fusing.KINDS)
def test_all_kinds_of_evidence_have_k_or_2k_features_of_every_picture(
    kind: str, tiny_run: Run
) -> None:
    found = fusing.evidence(tiny_run, kind)
    count = 4 if kind in ("more views", "views and drawings") else 2
    own = stages.features(tiny_run, stages.r2(tiny_run), "r2")
    for split in SPLITS:
        assert torch.equal(found.source[split], own[split])
        assert found.drawn[split].shape == (len(own[split]), count, own[split].shape[1])
        assert found.drawn[split].isfinite().all()
    if kind == "copies":
        assert torch.allclose(found.drawn["query"][:, 1], own["query"], atol=1e-5)


def test_drawings_are_those_of_the_whole_extractor(tiny_run: Run) -> None:
    made = fusing.pictures(tiny_run, "query")
    whole = stages.extractor(tiny_run)
    with torch.no_grad():
        direct = to_uint8(whole.generate(to_float(tiny_run.images("query"))))
    assert (made.int() - direct.int()).abs().max() <= 1


def test_views_and_drawings_are_the_views_and_then_the_drawings(tiny_run: Run) -> None:
    both = fusing.pictures(tiny_run, "query", "views and drawings")
    assert torch.equal(both[:, :2], fusing.pictures(tiny_run, "query", "augmented"))
    assert torch.equal(both[:, 2:], fusing.pictures(tiny_run, "query"))
    more = fusing.pictures(tiny_run, "query", "more views")
    assert torch.equal(more[:, :2], both[:, :2])
    apart = {tuple(one.flatten().tolist()) for one in more[0]}
    assert len(apart) == 4  # no view twice


def test_strangers_are_never_the_picture_itself(tiny_run: Run) -> None:
    drawn = fusing.evidence(tiny_run).drawn["gallery"]
    other = fusing.evidence(tiny_run, "strangers").drawn["gallery"]
    assert torch.allclose(drawn.sum(0), other.sum(0), atol=1e-4)
    assert (drawn != other).any(-1).any(-1).all()
    own = fusing.pictures(tiny_run, "gallery")
    shown = fusing.pictures(tiny_run, "gallery", "strangers")
    assert (own != shown).flatten(1).any(1).all()
    seen = extract(stages.r2(tiny_run).network, shown.flatten(0, 1))
    assert torch.allclose(seen.unflatten(0, shown.shape[:2]), other, atol=1e-4)


def test_random_poses_differ_from_picture_to_picture(
    tiny_run: Run, monkeypatch
) -> None:
    asked = []

    def noted(poses: np.ndarray) -> np.ndarray:
        asked.append(pose_vector(poses))
        return asked[-1]

    monkeypatch.setattr("reidlib.fusing.kinds.pose_vector", noted)
    fusing.pictures(tiny_run, "query", "random poses")
    rows = np.concatenate(asked)
    assert len(np.unique(rows, axis=0)) > 20  # of the 36 poses that there are
    asked.clear()
    fusing.pictures(tiny_run, "query")
    fixed = pose_vector(stages.poses(tiny_run).network.poses_)
    assert len(np.unique(np.concatenate(asked), axis=0)) == len(fixed)


def test_true_pictures_change_the_pose_and_nothing_else(
    tiny_run: Run, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(
        World,
        "render",
        lambda _, shots, size, nuisance: (
            asked.append((shots, nuisance))
            or (torch.zeros(len(shots), 3, *size, dtype=torch.uint8),)
        ),
    )
    true = fusing.pictures(tiny_run, "query", "true")
    fusing.pictures(tiny_run, "query", "cleaned")
    assert true.shape[:2] == (len(tiny_run.data.query), 2)
    *posed, own = [shots for shots, _ in asked]
    assert not any(nuisance for _, nuisance in asked)
    for shots in posed:
        assert len({id(shot.pose) for shot in shots}) == 1
        for shot, source in zip(shots, own, strict=True):
            assert replace(shot, pose=source.pose) == source


def test_truth_needs_a_rendered_world(tiny_run: Run, monkeypatch) -> None:
    monkeypatch.setattr(Run, "rendered", property(lambda _: False))
    with pytest.raises(ReIDDataError, match="no rendered world"):
        fusing.pictures(tiny_run, "query", "true")


def test_an_unknown_kind_is_refused(tiny_run: Run) -> None:
    with pytest.raises(ReIDConfigError, match="no evidence 'better'; choose one of"):
        fusing.evidence(tiny_run, "better")
    with pytest.raises(ReIDConfigError, match="no evidence 'better'; choose one of"):
        fusing.pictures(tiny_run, "query", "better")
    with pytest.raises(ReIDConfigError, match="no evidence 'better'; choose one of"):
        fusing.second_encoder(tiny_run, "better")


def test_fusionnet_on_drawings_is_the_chapters_own(tiny_run: Run) -> None:
    found = fusing.evidence(tiny_run)
    _, made = fusing.fusionnet(tiny_run, found)
    _, wanted = stages.fusion(tiny_run, stages.poses(tiny_run))
    scale = float(wanted["query"].abs().max())
    assert torch.allclose(made["query"], wanted["query"], atol=0.02 * scale)


def test_attention_learns_and_is_reused(tiny_run: Run) -> None:
    found = fusing.evidence(tiny_run)
    first, made = fusing.attention(tiny_run, found)
    again, same = fusing.attention(tiny_run, found)
    assert first.stage.folder == again.stage.folder
    assert torch.equal(made["query"], same["query"])
    assert not torch.allclose(made["query"], found.source["query"])


def test_a_second_encoder_starts_from_r2_and_leaves_it_alone(tiny_run: Run) -> None:
    first = stages.r2(tiny_run).network
    before = extract(first, tiny_run.images("query"))
    for kind in ("drawn", "copies"):
        second = fusing.second_encoder(tiny_run, kind).network
        after = extract(second, tiny_run.images("query"))
        cosine = F.cosine_similarity(before, after).mean()
        assert 0.5 < cosine < 0.99999
    assert torch.equal(extract(first, tiny_run.images("query")), before)


def test_a_second_encoder_may_learn_by_triplets(tiny_run: Run) -> None:
    config = replace(tiny_run.profile.encoder, each=4, triplet=1.0)
    plain = fusing.second_encoder(tiny_run)
    pulled = fusing.second_encoder(tiny_run, config=config)
    assert pulled.stage.folder != plain.stage.folder
    assert "triplet" in pulled.stage.history.columns


def test_second_encoders_of_other_settings_lie_beside_each_other(
    tiny_run: Run,
) -> None:
    pulled = replace(tiny_run.profile.encoder, each=2, triplet=1.0)
    run = replace(tiny_run, seed=4, profile=replace(tiny_run.profile, second=pulled))
    usual = fusing.second_encoder(run)
    other = fusing.second_encoder(run, config=replace(pulled, each=4))
    assert usual.stage.folder != other.stage.folder
    assert fusing.second_encoder(run).stage.content == usual.stage.content


def test_a_second_encoder_is_built_as_r2(tiny_run: Run) -> None:
    encoder = replace(tiny_run.profile.encoder, arch="resnet8")
    second = replace(tiny_run.profile.encoder, steps=2)
    profile = replace(tiny_run.profile, encoder=encoder, second=second)
    run = replace(tiny_run, seed=5, profile=profile)
    profile = replace(profile, attributes=replace(profile.attributes, arch="resnet8"))
    found = fusing.second_encoder(replace(run, profile=profile)).network
    assert found.config()["arch"] == "resnet8"


@pytest.mark.parametrize("generator", [False, True])
def test_end_to_end_training_changes_what_it_says(
    generator: bool, tiny_run: Run
) -> None:
    config = fusing.JointConfig(
        steps=2, batch=4, validations=1, held_out=0.3, lr=1e-2, generator=generator
    )
    drawer = stages.ptgan(tiny_run)
    given = {n: w.clone() for n, w in drawer.network.state_dict().items()}
    for _ in ("trained", "reused"):
        trained, made = fusing.joint(tiny_run, config, drawer=drawer)
        assert trained.network.fusion.dropout.p == config.dropout == 0.6
        for name, weight in drawer.network.state_dict().items():
            assert torch.equal(weight, given[name]), name
    found = fusing.evidence(tiny_run)
    fused = fusing.fusionnet(tiny_run, found)[0].network
    parts = {
        "encoder": (trained.network.encoder, stages.r2(tiny_run).network),
        "fusion": (trained.network.fusion, fused),
    }
    if generator:
        g = trained.network.drawer
        assert g is not None
        parts["drawer"] = (g, stages.ptgan(tiny_run).network)
    else:
        assert trained.network.drawer is None
    for name, (after, before) in parts.items():
        old = dict(before.named_parameters())
        changed = [
            not torch.equal(p, old[n])
            for n, p in after.named_parameters()
            if "head" not in n
        ]
        assert any(changed), name
    assert made["query"].shape == (len(tiny_run.data.query), fused.features)
