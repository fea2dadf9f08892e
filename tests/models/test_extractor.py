"""Φ of eq. 2: its parts in order, saved and read back as one file."""

import json

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models import (
    Encoder,
    FusionNet,
    Generator,
    PoseInvariantExtractor,
    Slots,
    make_generator,
    redraw,
    view,
)
from reidlib.models.files import read_metadata, read_weights, write_weights
from reidlib.pose import pose_vector

K, D = 3, 512


def poses():
    points = np.random.default_rng(0).random((K, 25, 2), dtype=np.float32)
    points[0, 4] = np.nan  # a missing joint
    return points


def whole(generator):
    return PoseInvariantExtractor(
        Encoder("resnet10", None, outputs=5),
        generator,
        Encoder("resnet10", None, last_stride=1, input_size=(48, 24), outputs=7),
        FusionNet(D, K, identities=7, hidden=16),
        torch.as_tensor(poses()),
    )


@pytest.fixture
def extractor():
    torch.manual_seed(0)
    return whole(Generator(D, 50, ngf=4, blocks=1, size=(32, 16), native_aspect=True))


def pictures(n=2):
    maker = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, 32, 16, generator=maker) * 2 - 1


@torch.no_grad()
def test_shapes_of_every_step(extractor):
    x = pictures()
    assert extractor.generate(x).shape == (2, K, 3, 32, 16)
    own, drawn = extractor.features(x)
    assert own.shape == (2, D)
    assert drawn.shape == (2, K, D)
    assert extractor(x).shape == (2, D)


@torch.no_grad()
def test_the_descriptor_is_fusionnet_of_r2_of_the_drawings_from_r1(extractor):
    x = pictures()
    vectors = torch.as_tensor(pose_vector(poses()))
    columns = []
    for vector in vectors:
        drawn = extractor.generator(extractor.r1(x), vector.expand(2, -1))
        columns.append(extractor.r2(drawn))
    expected = extractor.fusion(extractor.r2(x), torch.stack(columns, 1))
    assert torch.allclose(extractor(x), expected, atol=1e-4)


@torch.no_grad()
def test_drawing_brings_nothing_back_from_the_device(extractor):
    there = extractor.to("meta")  # a device that gives nothing back
    assert there.generate(pictures().to("meta")).shape == (2, K, 3, 32, 16)


@torch.no_grad()
def test_pictures_do_not_influence_each_other(extractor):
    x = pictures(3)
    assert torch.allclose(extractor(x)[1:2], extractor(x[1:2]), atol=1e-4)


@torch.no_grad()
def test_redrawing_keeps_pictures_in_rows_and_poses_in_columns(extractor):
    x, vectors = pictures(), torch.as_tensor(pose_vector(poses()))
    r1, g = extractor.r1, extractor.generator
    drawn = redraw(r1, g, x, vectors)
    one = g(r1(x[1:]), vectors[2:3])
    assert torch.allclose(drawn[1, 2], one[0], atol=1e-5)


def test_a_new_extractor_is_in_evaluation_mode(extractor):
    assert not any(module.training for module in extractor.modules())


@torch.no_grad()
def test_saving_and_loading_gives_equal_descriptors(extractor, tmp_path):
    path = tmp_path / "extractor.safetensors"
    extractor.save(path)
    again = PoseInvariantExtractor.load(path)
    assert torch.equal(again(pictures()), extractor(pictures()))
    assert torch.equal(again.poses.isnan(), extractor.poses.isnan())
    assert again.r2.config() == extractor.r2.config()


@torch.no_grad()
def test_necks_are_saved_with_the_extractor(extractor, tmp_path):
    extractor.r2 = Encoder("resnet10", None, neck=True, outputs=7).eval()
    extractor.r2.neck.running_mean.fill_(0.5)
    extractor.save(tmp_path / "extractor.safetensors")
    again = PoseInvariantExtractor.load(tmp_path / "extractor.safetensors")
    assert torch.equal(again(pictures()), extractor(pictures()))


@pytest.mark.parametrize("kind", ["vector", "image", "aligned"])
@torch.no_grad()
def test_an_extractor_of_any_kind_is_saved_and_loaded(kind, tmp_path):
    torch.manual_seed(0)
    made = whole(make_generator(kind, D, (32, 16), ngf=4, blocks=1))
    made.save(tmp_path / "extractor.safetensors")
    again = PoseInvariantExtractor.load(tmp_path / "extractor.safetensors")
    assert again.generator.kind == kind
    assert again.generate(pictures()).shape == (2, K, 3, 32, 16)
    assert torch.equal(again(pictures()), made(pictures()))


def saved_with(extractor, path, change):
    """Save, with the generator's part of the config changed."""
    extractor.save(path)
    meta = read_metadata(path)
    config = json.loads(meta["config"])
    change(config["generator"])
    meta["config"] = json.dumps(config)
    write_weights(path, read_weights(path), meta)


@torch.no_grad()
def test_a_file_from_before_there_were_kinds_holds_a_vector_generator(
    extractor, tmp_path
):
    path = tmp_path / "extractor.safetensors"
    saved_with(extractor, path, lambda config: config.pop("kind"))
    again = PoseInvariantExtractor.load(path)
    assert torch.equal(again(pictures()), extractor(pictures()))


def test_a_file_with_a_generator_that_there_is_not_is_refused(extractor, tmp_path):
    path = tmp_path / "extractor.safetensors"
    saved_with(extractor, path, lambda config: config.update(kind="diffusion"))
    with pytest.raises(ReIDConfigError, match="no generator 'diffusion'; choose"):
        PoseInvariantExtractor.load(path)


def test_the_saved_file_holds_no_training_heads(extractor, tmp_path):
    path = tmp_path / "extractor.safetensors"
    extractor.save(path)
    again = PoseInvariantExtractor.load(path)
    assert [k for k in again.state_dict() if ".head." in k] == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReIDDataError, match="No weights at .*absent"):
        PoseInvariantExtractor.load(tmp_path / "absent.safetensors")


def test_weights_of_something_else_are_not_an_extractor(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_weights(path, {"a": torch.zeros(1)})
    with pytest.raises(ReIDDataError, match="is not a saved extractor"):
        PoseInvariantExtractor.load(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, config: tensors.pop("poses"),
        lambda tensors, config: tensors.pop("fusion.fc_1.weight"),
        lambda tensors, config: config.pop("generator"),
        lambda tensors, config: config["r2"].pop("input_size"),
        lambda tensors, config: config["r2"].update(arch="resnet18"),
    ],
)
def test_a_file_that_lacks_a_part_is_refused(damage, extractor, tmp_path):
    path = tmp_path / "extractor.safetensors"
    extractor.save(path)
    meta, tensors = read_metadata(path), read_weights(path)
    config = json.loads(meta["config"])
    damage(tensors, config)
    write_weights(path, tensors, meta | {"config": json.dumps(config)})
    with pytest.raises(ReIDDataError, match="does not hold a whole extractor"):
        PoseInvariantExtractor.load(path)


def test_a_generator_for_features_of_another_width_is_refused(extractor):
    narrow = make_generator("vector", D // 2, (32, 16), ngf=4, blocks=1)
    with pytest.raises(ReIDConfigError, match=f"features of {D // 2} .* R1 gives {D}"):
        whole(narrow)


@pytest.mark.parametrize(("features", "count"), [(D, K + 1), (D // 2, K)])
def test_a_fusionnet_for_another_k_or_width_is_refused(extractor, features, count):
    fusion = FusionNet(features, count, hidden=16)
    said = f"built for {count} poses and features of {features} .*there are 3 poses"
    with pytest.raises(ReIDConfigError, match=said):
        PoseInvariantExtractor(
            extractor.r1, extractor.generator, extractor.r2, fusion, extractor.poses
        )


def slotted(second=True, seen=0):
    """No R1, an aligned generator, slots, an encoder of drawings, and views."""
    torch.manual_seed(0)
    return PoseInvariantExtractor(
        None,
        make_generator("aligned", D, (32, 16), ngf=4, blocks=1),
        Encoder("resnet8", None),
        Slots(0.3),
        torch.as_tensor(poses()),
        Encoder("resnet8", None) if second else None,
        views=seen,
    )


@torch.no_grad()
def test_drawings_are_seen_by_their_own_encoder_and_lie_side_by_side():
    whole, x = slotted(), pictures()
    own, drawn = whole.features(x)
    assert torch.allclose(own, whole.r2(x))
    for k in range(K):
        expected = whole.second(whole.generate(x)[:, k])
        assert torch.allclose(drawn[:, k], expected, atol=1e-4)
    made, cosine = whole(x), torch.nn.functional.cosine_similarity
    assert made.shape == (2, (K + 1) * 256)
    apart = 0.7 * cosine(own[0], own[1], 0)
    apart += 0.1 * sum(cosine(drawn[0, k], drawn[1, k], 0) for k in range(K))
    assert float(made[0] @ made[1]) == pytest.approx(float(apart), abs=1e-5)


@torch.no_grad()
def test_views_are_seen_by_the_drawings_encoder_and_lie_before_them():
    whole, x = slotted(seen=2), pictures()
    own, seen = whole.features(x)
    assert seen.shape == (2, 2 + K, 256)
    assert whole(x).shape == (2, (1 + 2 + K) * 256)
    for number in range(2):
        expected = whole.second(view(x, number))
        assert torch.allclose(seen[:, number], expected, atol=1e-4)
    whole.views = 0
    drawings = whole.features(x)[1]
    assert torch.allclose(seen[:, 2:], drawings, atol=1e-4)


def test_a_fusionnet_counts_the_views_too(extractor):
    e, features = extractor, extractor.r2.features
    parts = (e.r1, e.generator, e.r2, FusionNet(features, K + 1, hidden=16), e.poses)
    made = PoseInvariantExtractor(*parts, views=1)
    assert made(pictures()).shape == e(pictures()).shape
    with pytest.raises(ReIDConfigError, match=f"built for {K + 1} poses"):
        PoseInvariantExtractor(*parts)


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("seen", [0, 2])
@torch.no_grad()
def test_slots_and_a_second_encoder_are_saved_and_loaded(second, seen, tmp_path):
    made = slotted(second, seen)
    made.save(tmp_path / "full.safetensors")
    again = PoseInvariantExtractor.load(tmp_path / "full.safetensors")
    assert again.r1 is None and (again.second is not None) == second
    assert again.views == seen
    assert torch.equal(again(pictures()), made(pictures()))


@torch.no_grad()
def test_one_network_in_two_places_is_saved(extractor, tmp_path):
    e, path = extractor, tmp_path / "full.safetensors"
    made = PoseInvariantExtractor(e.r2, e.generator, e.r2, Slots(0.3), e.poses, e.r2)
    assert made.second is None
    for half in (False, True):
        made.save(path, half=half)
        again = PoseInvariantExtractor.load(path)
        cosine = torch.nn.functional.cosine_similarity(
            again(pictures()), made(pictures())
        )
        assert (cosine > 0.999).all()


@torch.no_grad()
def test_half_the_bits_take_half_the_file_and_keep_the_direction(tmp_path):
    made, sizes = slotted(), {}
    for half in (False, True):
        path = tmp_path / f"{half}.safetensors"
        made.save(path, half=half)
        sizes[half] = path.stat().st_size
        again = PoseInvariantExtractor.load(path)(pictures())
    assert sizes[True] < 0.55 * sizes[False]
    assert again.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(again, made(pictures()))
    assert (cosine > 0.999).all()


@torch.no_grad()
def test_a_file_of_the_first_form_holds_a_fusionnet(extractor, tmp_path):
    path = tmp_path / "extractor.safetensors"
    extractor.save(path)
    meta = read_metadata(path)
    config = json.loads(meta["config"])
    del config["views"], config["second"], config["fusion"]["kind"]
    meta |= {"format": "reidlib.PoseInvariantExtractor/1", "config": json.dumps(config)}
    write_weights(path, read_weights(path), meta)
    again = PoseInvariantExtractor.load(path)
    assert torch.equal(again(pictures()), extractor(pictures()))


def test_a_fusion_that_there_is_not_is_refused(tmp_path):
    path = tmp_path / "full.safetensors"
    slotted().save(path)
    meta = read_metadata(path)
    meta["config"] = meta["config"].replace('"slots"', '"hope"')
    write_weights(path, read_weights(path), meta)
    with pytest.raises(ReIDConfigError, match="no fusion 'hope'; choose"):
        PoseInvariantExtractor.load(path)


def test_parts_that_do_not_fit_are_refused(extractor):
    e = extractor
    parts = (e.generator, e.r2, Slots(0.3), e.poses)
    with pytest.raises(ReIDConfigError, match="looks with R1; give it"):
        PoseInvariantExtractor(None, *parts)
    with pytest.raises(ReIDConfigError, match="drawings gives 256 numbers and R2 512"):
        PoseInvariantExtractor(e.r1, *parts, Encoder("resnet8", None))
    with pytest.raises(ReIDConfigError, match="views is -1; give 0 or more"):
        slotted(seen=-1)
    with pytest.raises(ReIDConfigError, match="weight is 1.5"):
        Slots(1.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.rand(2, 25, 2) * torch.tensor([64.0, 128.0]), "as pixels do"),
        (torch.rand(2, 17, 2), r"shape \(2, 17, 2\), not \(N, 25, 2\)"),
        (torch.rand(2, 25, 3), r"shape \(2, 25, 3\), not \(N, 25, 2\)"),
        (torch.rand(0, 25, 2), "There is no pose, or one without a joint"),
        (torch.full((1, 25, 2), torch.nan), "There is no pose, or one without a joint"),
    ],
)
def test_poses_that_nobody_can_take_are_refused(given, words, extractor):
    e = extractor
    with pytest.raises(ReIDConfigError, match=words):
        PoseInvariantExtractor(e.r1, e.generator, e.r2, Slots(0.3), given)


def test_pictures_as_bytes_are_refused(extractor):
    with pytest.raises(ReIDConfigError, match="uint8, where numbers in .* are meant"):
        extractor(torch.zeros(1, 3, 32, 16, dtype=torch.uint8))


def test_a_fusion_of_ones_own_computes_and_is_not_saved(extractor, tmp_path):
    class Sum(torch.nn.Module):
        def forward(self, own, more):
            return own + more.sum(1)

    e = extractor
    made = PoseInvariantExtractor(e.r1, e.generator, e.r2, Sum(), e.poses)
    assert made(pictures()).shape == (2, D)
    with pytest.raises(ReIDConfigError, match="fusionnet or slots, and no Sum; add it"):
        made.save(tmp_path / "own.safetensors")
