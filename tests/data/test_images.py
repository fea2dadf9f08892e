"""Images and the batches of them, on pictures drawn here."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib.data import (
    Draws,
    ImageBatches,
    PairBatches,
    TensorBatches,
    class_labels,
    read_images,
    to_network,
)
from reidlib.errors import ReIDConfigError, ReIDDataError

SWAP = [0, 1, 5, 6, 7, 2, 3, 4, 8, 12, 13, 14, 9, 10, 11, 16, 15, 18, 17]
SWAP += [22, 23, 24, 19, 20, 21]


def flat(colour):
    return Image.new("RGB", (20, 40), colour)


def pairs(**options):
    """Six images: person 5 has three, the last without a torso; 9 two; 30 one."""
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 16, 8)
    points = np.full((6, 25, 2), 0.25, np.float32)
    points[:, 0, 0] = np.arange(6) / 10
    points[2, 9] = np.nan
    return PairBatches(
        images, [5, 5, 5, 9, 9, 30], points, augment=to_network, **options
    )


def test_images_are_read_in_order_and_resized(tmp_path):
    flat((255, 0, 0)).save(tmp_path / "a.png")
    flat((0, 0, 255)).convert("P").save(tmp_path / "b.png")
    flat((0, 255, 0)).convert("L").save(tmp_path / "c.jpg")
    table = pd.DataFrame({"path": ["b.png", "a.png", "c.jpg"]})
    images = read_images(table, (16, 8), tmp_path)
    assert images.shape == (3, 3, 16, 8)
    assert images.dtype == torch.uint8
    assert images[0, :, 3, 3].tolist() == [0, 0, 255]
    assert images[1, :, 3, 3].tolist() == [255, 0, 0]
    assert images[2].unique().numel() == 1
    listed = read_images([tmp_path / "a.png"], (16, 8))
    torch.testing.assert_close(listed[0], images[1])


def test_an_image_of_the_right_size_is_not_touched(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    images = read_images(["a.png"], (40, 20), tmp_path)
    np.testing.assert_array_equal(images[0].permute(1, 2, 0).numpy(), noise)


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    Image.fromarray(stripes).save(tmp_path / "a.png")
    image = read_images(["a.png"], (8, 8), tmp_path).float()
    assert 100 < image.min() <= image.max() < 155


def test_all_unreadable_images_are_reported_together(tmp_path):
    flat((9, 9, 9)).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.ones((9, 9), np.uint16)).save(tmp_path / "deep.png")
    names = ["good.jpg", "cut.jpg", "text.jpg", "empty.png", "none.jpg", "deep.png"]
    with pytest.raises(ReIDDataError, match="^5 of 6 images cannot be read") as caught:
        read_images(names, (8, 8), tmp_path)
    for name in names[1:]:
        assert name in str(caught.value)
    assert "No such file" in str(caught.value)


def every(count):
    return torch.arange(count)


def test_classes_are_numbered_by_ascending_identity():
    assert class_labels([30, 2, 30, 7]).tolist() == [2, 0, 2, 1]


def test_an_image_comes_with_its_label():
    images = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    images[0] = 0
    batch = ImageBatches(images, [7, 8]).batch(torch.tensor([1, 1, 0]), Draws(0, 0, 3))
    assert batch["images"].amax((1, 2, 3)).tolist() == [1.0, 1.0, -1.0]
    assert batch["labels"].tolist() == [8, 8, 7]


def test_tensors_of_different_length_are_refused():
    images = torch.zeros((2, 3, 4, 4), dtype=torch.uint8)
    with pytest.raises(ReIDConfigError, match="differ in length .*one row per picture"):
        ImageBatches(images, [1, 2, 3])
    with pytest.raises(ReIDConfigError, match="differ in length"):
        TensorBatches(x=torch.zeros(3), y=torch.zeros(4))


def test_partners_are_the_persons_other_images_with_a_torso():
    data = pairs(flip_target=0.0)
    assert data.sources.tolist() == [0, 1, 2, 3, 4]  # 30 has no partner
    assert data.n_pairs == 1 + 1 + 2 + 1 + 1
    found = {}
    for step in range(200):
        batch = data.batch(every(5), Draws(0, step, 5))
        assert batch["source"].shape == batch["target"].shape == (5, 3, 16, 8)
        assert batch["pose"].shape == (5, 50)
        assert batch["labels"].tolist() == [0, 0, 0, 1, 1]
        for item in range(5):
            number = round((batch["target"][item, 0, 0, 0].item() + 1) * 127.5)
            assert batch["pose"][item, 0] == pytest.approx(number / 10)
            found.setdefault(item, []).append(number)
    drawn = {item: set(numbers) for item, numbers in found.items()}
    assert drawn == {0: {1}, 1: {0}, 2: {0, 1}, 3: {4}, 4: {3}}
    assert 60 < found[2].count(0) < 140


def test_partners_are_those_of_a_loop_over_all_images():
    rng = np.random.default_rng(0)
    pids = rng.integers(-1, 12, 80)
    points = rng.uniform(0, 1, (80, 25, 2)).astype(np.float32)
    points[rng.uniform(size=80) < 0.4, 9] = np.nan
    images = torch.zeros((80, 3, 4, 4), dtype=torch.uint8)
    data = PairBatches(images, pids, points)
    whole = ~np.isnan(points[:, 9, 0])
    for item, source in enumerate(data.sources):
        wanted = [
            j
            for j in range(80)
            if j != source and pids[j] == pids[source] and whole[j] and pids[j] >= 0
        ]
        uniform = torch.linspace(0, 1 - 1e-7, 50)
        found = data.partners(torch.full((50,), item), uniform)
        assert sorted(set(found.tolist())) == wanted


def test_a_mirrored_target_brings_its_mirrored_pose():
    images = torch.zeros((2, 3, 4, 8), dtype=torch.uint8)
    images[:, :, :, 0] = 255
    points = np.random.default_rng(0).uniform(0, 1, (2, 25, 2)).astype(np.float32)
    data = PairBatches(images, [1, 1], points, augment=to_network, flip_target=1.0)
    batch = data.batch(torch.tensor([0]), Draws(0, 0, 1))
    assert batch["target"][0, 0, 0].tolist() == [-1] * 7 + [1]
    assert batch["source"][0, 0, 0].tolist() == [1] + [-1] * 7
    expected = points[1][SWAP]
    expected[:, 0] = 1 - expected[:, 0]
    np.testing.assert_allclose(batch["pose"].view(25, 2), expected, atol=1e-6)


def test_pairs_are_a_function_of_seed_and_step_however_the_batch_is_divided():
    rng = np.random.default_rng(1)
    images = torch.randint(0, 256, (12, 3, 16, 8), dtype=torch.uint8)
    points = rng.uniform(0, 1, (12, 25, 2)).astype(np.float32)
    data = PairBatches(images, [0, 1, 2] * 4, points)  # with the source's augmentation
    whole = data.batch(every(12), Draws(3, 7, 12))
    rows = [slice(0, 4), slice(4, 8), slice(8, 12)]
    parts = [data.batch(every(12)[r], Draws(3, 7, 12, r)) for r in rows]
    for key, value in whole.items():
        joined = torch.cat([part[key] for part in parts])
        torch.testing.assert_close(joined, value, rtol=0, atol=0)
    other = data.batch(every(12), Draws(3, 8, 12))
    assert not torch.equal(other["source"], whole["source"])


def test_nobody_with_a_partner_is_an_error():
    images = torch.zeros((2, 3, 4, 4), dtype=torch.uint8)
    points = np.full((2, 25, 2), 0.5, np.float32)
    with pytest.raises(ReIDDataError, match="none of the 2 images has a second image"):
        PairBatches(images, [1, 2], points)
    with pytest.raises(ReIDDataError, match="none of the 2 images"):
        PairBatches(images, [-1, -1], points)
    with pytest.raises(ReIDConfigError, match=r"\(N, 25, 2\) in image units"):
        PairBatches(images, [1, 1], np.zeros((2, 25, 3)))
