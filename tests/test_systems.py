"""The full model of a run, and whole systems that turn pictures into descriptors."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from reidlib import fusing, shipped, stages, systems
from reidlib.cli import main
from reidlib.data import validation_split
from reidlib.errors import ReIDConfigError
from reidlib.models import Encoder, PoseInvariantExtractor, Slots, make_generator
from reidlib.profiles import SHIPPED, SMOKE
from reidlib.runs import Run
from reidlib.training import held_out_map


@pytest.fixture(scope="module", params=[False, True], ids=["drawings", "and views"])
def whole(request, tiny_run: Run) -> tuple[PoseInvariantExtractor, str]:
    return systems.full_model(tiny_run, views=request.param)


def test_the_full_model_is_slots_of_evidence_seen_by_a_second_encoder(
    tiny_run: Run, whole
) -> None:
    phi, _ = whole
    kind = "views and drawings" if phi.views else "drawn"
    config = systems.aligned(tiny_run.profile.ptgan)
    drawer = stages.ptgan(tiny_run, config, "ptgan-aligned")
    second = fusing.second_encoder(tiny_run, kind, drawer=drawer)
    found = fusing.evidence(tiny_run, kind, drawer=drawer, second=second)
    rule = fusing.slots(phi.fusion.weight)
    made = systems.System("", phi, "").describe(tiny_run.images("query"))
    expected = rule(found.source["query"], found.drawn["query"])
    assert torch.allclose(made, expected, atol=2e-3)  # drawings are rounded to uint8


def test_no_share_is_chosen_among_people_whom_r2_knows(tiny_run: Run) -> None:
    fusion = replace(tiny_run.profile.fusion, held_out=0.5)
    run = replace(tiny_run, profile=replace(tiny_run.profile, fusion=fusion))
    with pytest.raises(ReIDConfigError, match=r"out 0.3 .* --config.held-out 0.5"):
        systems.full_model(run)


def test_no_other_weight_does_better_on_held_out_training_people(
    tiny_run: Run, whole
) -> None:
    phi, _ = whole
    run, table = tiny_run, tiny_run.data.train
    out = validation_split(table["pid"], run.profile.fusion.held_out, run.seed)
    with torch.no_grad():
        x = run.images("train")[torch.as_tensor(out)].float() / 127.5 - 1
        own, drawn = phi.features(x)
    scores = {
        w: held_out_map(fusing.slots(w)(own, drawn), table[out])["score"]
        for w in (0.0, 0.1, 0.3, 0.5, 0.8, phi.fusion.weight)
    }
    assert scores[phi.fusion.weight] == pytest.approx(max(scores.values()), abs=0.02)


def test_the_full_model_is_saved_and_asked_for_again_equal(tiny_run: Run, whole):
    phi, content = whole
    again, same = systems.full_model(tiny_run, views=bool(phi.views))
    place = systems.full_file(tiny_run, views=bool(phi.views))
    saved = PoseInvariantExtractor.load(place)
    x = torch.zeros(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(again(x), phi(x)) and torch.equal(saved(x), phi(x))
    assert same == content


def test_systems_of_a_run_are_r1_r2_and_the_full_model(tiny_run: Run) -> None:
    found = systems.systems(tiny_run)
    assert list(found) == ["R1", "R2", "full model"]
    assert (found["full model"].encoded, found["full model"].drawn) == (3, 2)
    own = stages.features(tiny_run, stages.r2(tiny_run), "r2")["query"]
    made = found["R2"].describe(tiny_run.images("query"))
    assert torch.allclose(made, own, atol=1e-4)
    assert len({system.content for system in found.values()}) == 3


def test_descriptors_of_many_pictures_are_kept_and_belong_to_pictures_and_weights(
    tiny_run: Run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(systems, "MANY", 3)
    called = []
    monkeypatch.setattr(
        systems, "extract", lambda net, x: called.append(0) or x.float().mean((2, 3))
    )
    x = tiny_run.images("query")[:4]
    one = systems.System("", Encoder("resnet8", None), "a", shelf=tmp_path / "kept")
    assert torch.equal(one.describe(x), one.describe(x)) and len(called) == 1
    assert one.describe(255 - x).shape == (4, 3) and len(called) == 2
    assert replace(one, content="b").describe(x).shape == (4, 3) and len(called) == 3
    one.describe(x[:2])
    one.describe(x[:2])
    assert len(called) == 5  # few pictures are not worth a file
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_the_shipped_weights_serve_other_people_of_the_smoke_scale_only(
    tiny_run: Run, monkeypatch
) -> None:
    small = replace(tiny_run, profile=replace(tiny_run.profile, name="smoke"))
    assert systems.knows_shipped(small)
    assert not systems.knows_shipped(tiny_run)
    theirs = replace(SHIPPED, world=0)  # as if they had been trained on these people
    monkeypatch.setattr(systems, "SHIPPED", theirs)
    assert not systems.knows_shipped(small)


def test_the_shipped_people_are_not_those_of_the_chapters() -> None:
    assert SHIPPED.world != SMOKE.world and SHIPPED.size == SMOKE.size


def test_the_shipped_weights_are_small_and_draw() -> None:
    assert shipped.WEIGHTS.stat().st_size <= 8_000_000
    phi = shipped.shipped()
    assert len(phi.poses) == SHIPPED.poses and phi.generator.kind == "aligned"
    assert phi.second is not None and not phi.training
    with torch.no_grad():
        drawn = phi.generate(torch.zeros(1, 3, *SHIPPED.size))
    assert drawn.shape == (1, SHIPPED.poses, 3, *SHIPPED.size)
    assert float(drawn.std(1).mean()) > 0.01  # another pose, another picture


def test_the_shipped_weights_say_what_made_them() -> None:
    told = json.loads(shipped.MADE_BY.read_text())
    assert told["file"] == shipped.shipped_digest()
    drawer = told["stages"]["ptgan"]["config"]
    assert drawer == json.loads(json.dumps(asdict(SHIPPED.ptgan)))
    assert told["stages"]["r2"]["config"]["steps"] == SHIPPED.encoder.steps
    whole = shipped.shipped()
    assert f"poses-body-gmm-{len(whole.poses)}" in told["stages"]


def test_shipping_writes_weights_and_what_made_them(
    whole, tiny_run: Run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "weights" / "w.safetensors")
    monkeypatch.setattr(shipped, "MADE_BY", tmp_path / "weights" / "w.json")
    shipped.ship(whole[0], tiny_run.folder)
    told = json.loads(shipped.MADE_BY.read_text())
    assert told["file"] == shipped.shipped_digest()
    assert {"r2", "ptgan-aligned", "slots"} <= told["stages"].keys()
    x = torch.zeros(1, 3, 64, 32)
    with torch.no_grad():
        near = torch.nn.functional.cosine_similarity(shipped.shipped()(x), whole[0](x))
    assert float(near) > 0.999
    monkeypatch.undo()
    shipped.shipped_digest.cache_clear()


def test_an_extractor_is_exported_and_gives_the_same_descriptors(
    tmp_path, capsys
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    made = PoseInvariantExtractor(
        None,
        make_generator("aligned", 0, (32, 16), ngf=4, blocks=1),
        Encoder("resnet8", None),
        Slots(0.3),
        torch.rand(2, 25, 2),
    )
    made.save(tmp_path / "full.safetensors")
    images = torch.randint(0, 256, (5, 3, 32, 16)).float()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(made(images / 127.5 - 1), dim=-1)
    for name in ("model.onnx", "model.pt2"):
        assert (
            main(["export", str(tmp_path / "full.safetensors"), str(tmp_path / name)])
            == 0
        )
        assert name in capsys.readouterr().out
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    found = session.run(None, {"images": images.numpy()})[0]
    assert np.abs(found - expected.numpy()).max() < 1e-4
    again = torch.export.load(tmp_path / "model.pt2").module()(images)
    assert torch.allclose(again, expected, atol=1e-4)
    assert not list(tmp_path.glob(".part*"))


def test_another_ending_is_refused(tmp_path) -> None:
    from reidlib.export import export

    with pytest.raises(ReIDConfigError, match="ends in '.h5'; give a name in .onnx"):
        export(shipped.shipped(), tmp_path / "model.h5")


def test_the_demo_draws_a_rank_list(tmp_path, capsys) -> None:
    assert (
        main(["demo", "--people", "4", "--out", str(tmp_path / "a" / "list.png")]) == 0
    )
    printed = capsys.readouterr().out
    assert "full model" in printed and "mAP" in printed
    assert (tmp_path / "a" / "list.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--people", "1"], "give 2 or more"), (["--seed", "1"], "trained")],
)
def test_a_demo_that_would_mean_nothing_is_refused(words, said, capsys) -> None:
    assert main(["demo", *words]) == 2
    assert said in capsys.readouterr().err
