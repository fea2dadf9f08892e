"""Every stage once, at a tiny scale, joined the way that the chapters join them."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reidlib import ablation, stages
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import file_digest, written
from reidlib.models import Encoder, PoseInvariantExtractor
from reidlib.models.files import write_weights
from reidlib.pose import pose_vector
from reidlib.runs import Run
from reidlib.training import EncoderConfig, extract_generated, recipe, to_float


def test_r1_is_called_what_it_is(tiny_run: Run) -> None:
    r1 = stages.r1(tiny_run)
    assert r1.kind == "attributes" and r1.network.features == 512
    assert "attributes" in str(r1.stage.folder) and "explained" in r1.stage.metrics


def test_an_imagenet_r1_is_the_network_that_was_trained_there(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, inner = [], EncoderConfig.build

    def untrained(config: EncoderConfig, *arguments, **named):
        built.append(config)
        return inner(replace(config, weights=None), *arguments, **named)

    monkeypatch.setattr(EncoderConfig, "build", untrained)
    encoder = recipe("modern", replace(tiny_run.profile.encoder, weights="imagenet"))
    profile = replace(tiny_run.profile, r1="imagenet", encoder=encoder)
    r1 = stages.r1(replace(tiny_run, profile=profile, seed=7))
    assert r1.kind == "imagenet" and isinstance(r1.network.neck, torch.nn.Identity)
    assert {(c.weights, c.neck, c.last_stride) for c in built} == {
        ("imagenet", False, 2)
    }


def test_an_imagenet_r1_that_was_made_is_not_asked_for_again(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = EncoderConfig.build

    def offline(config: EncoderConfig, outputs: int = 0, weights=None):
        if config.weights == "imagenet" and weights is None and not online:
            raise ReIDConfigError("no network.")
        return inner(replace(config, weights=None), outputs, weights)

    monkeypatch.setattr(EncoderConfig, "build", offline)
    encoder = replace(tiny_run.profile.encoder, weights="imagenet")
    profile = replace(tiny_run.profile, r1="imagenet", encoder=encoder)
    run = replace(tiny_run, profile=profile, seed=8)
    online = False
    assert stages.r1(run).kind == "attributes"
    online = True
    first = stages.r1(run)
    online = False
    longer = replace(profile, encoder=replace(encoder, steps=9, lr=0.1))
    again = stages.r1(replace(run, profile=longer))
    assert first.kind == again.kind == "imagenet"
    for name, weight in first.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name


def test_r2_starts_from_imagenet_where_that_is_asked_for(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(arch: str, weights=None, **other):
        if weights == "imagenet":
            raise ReIDConfigError("no network, as asked.")
        return Encoder(arch, weights, **other)

    monkeypatch.setattr("reidlib.training.encoder.Encoder", told)
    asked = replace(tiny_run.profile.encoder, weights="imagenet")
    with pytest.raises(ReIDConfigError, match="as asked"):
        stages.r2(replace(tiny_run, seed=9), asked, "r2-asked")


def test_a_short_fusion_lies_beside_the_final_one(tiny_run: Run) -> None:
    run = replace(tiny_run, seed=0)
    chosen = stages.poses(run)
    final = stages.fusion(run, chosen)[0].stage
    short = replace(run.profile.fusion, steps=2)
    assert stages.fusion(run, chosen, config=short)[0].stage.folder != final.folder
    assert stages.fusion(run, chosen)[0].stage.content == final.content


def test_no_pose_is_no_number_of_poses(tiny_run: Run) -> None:
    with pytest.raises(ReIDConfigError, match="n_poses=0 must be"):
        stages.poses(tiny_run, n_poses=0)


def test_r2_starts_from_the_file_that_it_is_given(
    tiny_run: Run, tmp_path: Path
) -> None:
    config = replace(tiny_run.profile.encoder, steps=1, lr=0.0)
    mine = tmp_path / "mine.safetensors"
    config = replace(config, weights=str(mine))
    with pytest.raises(ReIDDataError, match=r"no file .*mine\.safetensors"):
        stages.r2(tiny_run, config, "r2-mine")
    keys = set()
    for number in (1, 2):
        torch.manual_seed(number)
        given = replace(config, weights=None).build().state_dict()
        write_weights(mine, given)
        r2 = stages.r2(tiny_run, config, "r2-mine")
        keys.add(r2.stage.key)
        kept = dict(r2.network.named_parameters())
        trunk = [n for n in kept if n in given and kept[n].ndim == 4]
        assert trunk
        for name in trunk:
            assert torch.equal(kept[name], given[name]), name
    assert len(keys) == 2


def test_poses_are_those_that_were_kept(tiny_run: Run) -> None:
    chosen = stages.poses(tiny_run, n_poses=3)
    path, manifest = chosen.stage.weights, chosen.stage.folder / "manifest.json"
    kept = chosen.network.poses_ + 0.25
    write_weights(path, {"poses": torch.as_tensor(kept)})
    told = json.loads(manifest.read_text()) | {"content": file_digest(path)}
    manifest.write_text(json.dumps(told))  # as if another machine had made it
    assert np.array_equal(stages.poses(tiny_run, n_poses=3).network.poses_, kept, True)


def test_features_are_computed_in_the_precision_of_the_profile(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spied(inner):
        def spy(*arguments, precision="fp32"):
            asked.append(precision)
            return inner(*arguments)

        return spy

    for name in ("extract", "extract_generated"):
        monkeypatch.setattr(stages, name, spied(getattr(stages, name)))
    keys = set()
    for precision in ("fp32", "bf16"):
        asked.clear()
        encoder = replace(tiny_run.profile.encoder, precision=precision)
        profile = replace(tiny_run.profile, encoder=encoder)
        run = replace(tiny_run, profile=profile, seed=6)
        stages.features(run, stages.r1(run), "r1")  # which is the same in both
        made = stages.generated(run, stages.poses(run))[1]
        assert asked == [precision] * 6
        assert made.manifest["config"]["precision"] == precision
        keys.add(written(run.folder / "features-r1").key)
    assert len(keys) == 2


def test_only_the_main_process_writes_the_extractor(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.extractor(tiny_run)
    path, waited = tiny_run.folder / "extractor.safetensors", []
    path.unlink()
    other = SimpleNamespace(
        is_main_process=False, wait_for_everyone=lambda: waited.append(1)
    )
    with monkeypatch.context() as patch:
        patch.setattr(stages, "processes", lambda: other)
        stages.extractor(tiny_run)
    assert waited and not path.exists()
    stages.extractor(tiny_run)
    assert path.exists()


def test_the_population_of_r1_lives_in_another_world() -> None:
    images, targets, persons = stages.population(6, (32, 16))
    assert images.shape == (6, 3, 32, 16) and targets.shape[0] == 6
    assert persons.tolist() == [1, 2, 3, 4, 5, 6]
    assert stages.POPULATION_SEED != 0
    assert targets.min() >= 0 and targets.max() <= 1


def test_frozen_stages_stay_what_they_were(tiny_run: Run) -> None:
    before = {k: v.clone() for k, v in stages.r1(tiny_run).network.state_dict().items()}
    stages.ptgan(tiny_run)
    after = stages.r1(tiny_run).network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_extractor_equals_the_cached_path(tiny_run: Run) -> None:
    whole = stages.extractor(tiny_run)
    _, found = stages.fusion(tiny_run, stages.poses(tiny_run))
    images = tiny_run.images("query")[:3]
    with torch.no_grad():
        described = whole(to_float(images))
    torch.testing.assert_close(described, found["query"][:3], atol=1e-4, rtol=1e-4)
    again = PoseInvariantExtractor.load(tiny_run.folder / "extractor.safetensors")
    with torch.no_grad():
        assert torch.equal(again(to_float(images)), described)


def test_the_copy_control_sees_nothing_but_the_input(tiny_run: Run) -> None:
    chosen = stages.poses(tiny_run)
    method, _ = stages.fusion(tiny_run, chosen)
    control, found = stages.fusion(tiny_run, chosen, control="copy")
    assert control.stage.folder.name == method.stage.folder.name.replace(
        "fusion", "fusion-copy"
    )
    own = stages.features(tiny_run, stages.r2(tiny_run), "r2")["query"]
    copies = own[:, None].expand(-1, 2, -1)
    with torch.no_grad():
        expected = control.network(own, copies)
    torch.testing.assert_close(expected, found["query"])
    with pytest.raises(ReIDConfigError, match="Unknown control 'nothing'"):
        stages.fusion(tiny_run, chosen, control="nothing")


def test_another_control_is_another_training(tiny_run: Run) -> None:
    chosen = stages.poses(tiny_run)
    method, _ = stages.fusion(tiny_run, chosen)
    control, _ = stages.fusion(tiny_run, chosen, control="copy")
    same = [
        torch.equal(a, b)
        for a, b in zip(
            method.network.parameters(), control.network.parameters(), strict=True
        )
    ]
    assert not all(same)


def test_the_ablation_uses_whole_identities_of_each_split(tiny_run: Run) -> None:
    rows = ablation.ablation_rows(tiny_run)
    assert rows is not None
    part = ablation.part_of(tiny_run, rows)
    assert part.data.train["pid"].nunique() == 4
    assert part.data.query["pid"].nunique() == 4
    assert set(part.data.gallery["pid"]) <= set(part.data.query["pid"])
    chosen = stages.poses(tiny_run, "joint", "kmeans", 2)
    _, found = stages.fusion(tiny_run, chosen, rows=rows)
    assert len(found["query"]) == len(part.data.query)
    assert 0 <= part.evaluate(found["query"], found["gallery"]).mAP <= 1


def test_poses_of_a_data_set_without_keypoints_are_refused(tiny_run: Run) -> None:
    blind = replace(tiny_run, data=replace(tiny_run.data, poses={}))
    with pytest.raises(ReIDConfigError, match="has no keypoints"):
        stages.train_points(blind)


def test_equal_seeds_give_equal_poses(tiny_run: Run) -> None:
    a, b = (stages.poses(tiny_run).network.poses_ for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_an_encoder_that_learned_with_pt_gan_is_the_one_that_looks(
    tiny_run: Run,
) -> None:
    profile = tiny_run.profile
    config = replace(profile.ptgan, finetune_encoder=True)
    run = replace(tiny_run, profile=replace(profile, ptgan=config), seed=5)
    before = stages.r1(run).network.state_dict()
    drawer = stages.ptgan(run)
    kept = {k: v for k, v in drawer.stage.tensors.items() if k.startswith("r1.")}
    after = stages.source_encoder(run).state_dict()
    assert kept and all(torch.equal(after[k[3:]], v) for k, v in kept.items())
    changed = [k for k in after if not torch.equal(after[k], before[k])]
    assert any(k.endswith("conv1.weight") for k in changed)
    made = stages.generated(run, stages.poses(run))[0]["query"][:1]
    image, poses = run.images("query")[:1], stages.poses(run).network.poses_
    vectors, judge = torch.as_tensor(pose_vector(poses)), stages.r2(run).network
    look = stages.source_encoder(run), stages.r1(run).network
    mine, frozen = (
        extract_generated(r, drawer.network, judge, image, vectors) for r in look
    )
    torch.testing.assert_close(made, mine, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(made, frozen, atol=1e-4, rtol=1e-4)
