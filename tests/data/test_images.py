"""Images, pairs and transforms, on pictures drawn here."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib.data import (
    ImageDataset,
    PairDataset,
    class_labels,
    encoder_augmentation,
    read_images,
    source_augmentation,
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
    return PairDataset(images, [5, 5, 5, 9, 9, 30], points, **options)


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


def test_the_network_sees_minus_one_to_one():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1)
    expected = torch.tensor([-1.0, 1.0, -0.6]).view(3, 1, 1)
    torch.testing.assert_close(to_network()(image), expected)


@pytest.mark.parametrize("make", [encoder_augmentation, source_augmentation])
@pytest.mark.parametrize("size", [(128, 64), (64, 32), (16, 8)])
def test_augmentation_keeps_size_and_range_and_follows_the_seed(make, size):
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    transform = make(size)
    torch.manual_seed(4)
    first = [transform(image) for _ in range(20)]
    torch.manual_seed(4)
    second = [transform(image) for _ in range(20)]
    for one, two in zip(first, second, strict=True):
        assert one.shape == image.shape
        assert one.dtype == torch.float32
        assert -1 <= one.min() <= one.max() <= 1
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert not torch.equal(first[0], first[1])


def test_the_shift_is_ten_pixels_at_a_height_of_256():
    marked = torch.zeros((3, 128, 64), dtype=torch.uint8)
    marked[:, 64, 32] = 255
    transform = encoder_augmentation((128, 64))
    places = [transform(marked)[0].argmax().item() for _ in range(400)]
    rows = np.array(places) // 64
    assert (rows.min(), rows.max()) == (64 - 5, 64 + 5)


def test_classes_are_numbered_by_ascending_identity():
    assert class_labels([30, 2, 30, 7]).tolist() == [2, 0, 2, 1]


def test_an_image_comes_with_its_label():
    images = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    image, label = ImageDataset(images, [7, 8])[1]
    assert image.unique().tolist() == [1.0]
    assert label.item() == 8
    with pytest.raises(ReIDConfigError, match="2 images with 3 labels"):
        ImageDataset(images, [1, 2, 3])


def test_partners_are_the_persons_other_images_with_a_torso():
    dataset = pairs(flip_target=0.0)
    assert dataset.sources.tolist() == [0, 1, 2, 3, 4]  # 30 has no partner
    assert dataset.n_pairs == 1 + 1 + 2 + 1 + 1
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 2]
    drawn = [dataset[2] for _ in range(200)]
    numbers = [round((item["target"][0, 0, 0].item() + 1) * 127.5) for item in drawn]
    assert set(numbers) == {0, 1}
    assert 60 < numbers.count(0) < 140
    for item, number in zip(drawn, numbers, strict=True):
        assert item["pose"][0] == pytest.approx(number / 10)
        assert item["label"] == 0
    item = dataset[3]
    assert item["source"].shape == item["target"].shape == (3, 16, 8)
    assert item["pose"].shape == (50,)
    assert item["target"].unique().tolist() == pytest.approx([4 / 127.5 - 1])


def test_a_mirrored_target_brings_its_mirrored_pose():
    images = torch.zeros((2, 3, 4, 8), dtype=torch.uint8)
    images[:, :, :, 0] = 255
    points = np.random.default_rng(0).uniform(0, 1, (2, 25, 2)).astype(np.float32)
    item = PairDataset(images, [1, 1], points, flip_target=1.0)[0]
    assert item["target"][0, 0].tolist() == [-1] * 7 + [1]
    expected = points[1][SWAP]
    expected[:, 0] = 1 - expected[:, 0]
    np.testing.assert_allclose(item["pose"].view(25, 2), expected, atol=1e-6)


def test_pairs_follow_torchs_seed():
    dataset = pairs()
    torch.manual_seed(1)
    first = [dataset[i] for i in range(5)]
    torch.manual_seed(1)
    for one, i in zip(first, range(5), strict=True):
        for key, value in dataset[i].items():
            torch.testing.assert_close(value, one[key], rtol=0, atol=0)


def test_nobody_with_a_partner_is_an_error():
    images = torch.zeros((2, 3, 4, 4), dtype=torch.uint8)
    points = np.full((2, 25, 2), 0.5, np.float32)
    with pytest.raises(ReIDDataError, match="none of the 2 images has a second image"):
        PairDataset(images, [1, 2], points)
    with pytest.raises(ReIDDataError, match="none of the 2 images"):
        PairDataset(images, [-1, -1], points)
    with pytest.raises(ReIDConfigError, match=r"\(N, 25, 2\) in image units"):
        PairDataset(images, [1, 1], np.zeros((2, 25, 3)))
