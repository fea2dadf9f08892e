"""Reading images fast gives what Pillow gives, faults included."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from reidlib.data import read_images, reading
from reidlib.data.opened import fault_of
from reidlib.data.reading import image_sizes
from reidlib.errors import ReIDDataError

SIZES = [(128, 64), (128, 64), (90, 41), (128, 64), (300, 150)]


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Noise over a slope of colours."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 180, size[0])[:, None, None] * [1, 0.7, 0.2]
    pixels = slope + rng.integers(0, 70, (*size, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def plainly(path: Path, size: tuple[int, int]) -> torch.Tensor:
    """The same by Pillow alone."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        small = upright.resize(size[::-1], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    """Three sizes in turn, and all kinds of files that can be read."""
    for number, size in enumerate(SIZES):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(picture(size, number)))
    kinds = {
        "cmyk.jpg": jpeg(picture((128, 64)).convert("CMYK")),
        "grey.jpg": jpeg(picture((128, 64)).convert("L")),
        "progressive.jpg": jpeg(picture((128, 64)), progressive=True),
        "full.jpg": jpeg(picture((128, 64)), subsampling=0, quality=100),
        "exif.jpg": jpeg(picture((128, 64)), exif=turned()),
        "longer.jpg": jpeg(picture((128, 64))) + b"after the end",
    }
    for name, data in kinds.items():
        (tmp_path / name).write_bytes(data)
    picture((64, 32)).convert("P").save(tmp_path / "palette.png")
    picture((64, 32)).convert("RGBA").save(tmp_path / "alpha.png")
    return sorted(tmp_path.iterdir())


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    return exif


@pytest.mark.parametrize("size", [(128, 64), (64, 32), (256, 128), (50, 31)])
def test_every_pixel_is_pillow_s_within_one_grey_level(mixed, size):
    images = read_images(mixed, size)
    for path, image in zip(mixed, images, strict=True):
        apart = (image.int() - plainly(path, size).int()).abs()
        untouched = tuple(image_sizes([path])[0]) == size
        assert apart.max() <= (0 if untouched else 1), path.name


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("told", range(1, 9))
def test_a_telephone_s_picture_is_read_upright(tmp_path, suffix, told):
    exif = Image.Exif()
    exif[0x0112] = told
    corner = Image.new("RGB", (64, 128))
    corner.paste((255, 255, 255), (0, 0, 32, 32))
    path = tmp_path / f"a.{suffix}"
    # as it was taken: what turns this picture turns it back to `corner`
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(told, 1)
    taken = Image.Exif()
    taken[0x0112] = back
    stored = io.BytesIO()
    corner.save(stored, "PNG", exif=taken)
    ImageOps.exif_transpose(Image.open(stored)).save(path, exif=exif)
    seen = read_images([path], (128, 64))[0, 0]
    assert seen[:30, :30].min() > 240 and seen[34:].max() < 15 > seen[:, 34:].max()
    assert image_sizes([path]).tolist() == [[128, 64]]
    assert fault_of(path) == (64, 128, "")


def test_order_is_kept_over_many_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK", 3)
    monkeypatch.setattr(reading, "_PENDING", 20_000)  # less than a picture
    names = [f"{k}.jpg" for k in range(20)]
    for k, name in enumerate(names):
        image = Image.new("RGB", (20 + k % 3, 40), (12 * k, 0, 0))
        (tmp_path / name).write_bytes(jpeg(image, quality=95))
    order = [*reversed(names), *names]
    images = read_images(order, (16, 8), tmp_path)
    reds = images[:, 0, 8, 4].int()
    wanted = torch.tensor([12 * int(name[:-4]) for name in order])
    assert (reds - wanted).abs().max() <= 2


@pytest.mark.parametrize("cores", [1, 5])
def test_the_number_of_threads_changes_nothing(mixed, monkeypatch, cores):
    first = read_images(mixed, (64, 32))
    monkeypatch.setattr(reading, "_CHUNK", 2)
    monkeypatch.setattr(reading, "free_cores", lambda: cores)
    assert torch.equal(first, read_images(mixed, (64, 32)))


def test_without_torchvision_s_decoder_all_goes_by_pillow(mixed, monkeypatch):
    monkeypatch.delattr("torchvision.io.decode_jpeg")
    images = read_images(mixed, (64, 32))
    for path, image in zip(mixed, images, strict=True):
        assert (image.int() - plainly(path, (64, 32)).int()).abs().max() <= 1


def test_what_torchvision_refuses_is_asked_of_pillow(tmp_path):
    """A JPEG without its tables: both refuse it, and its neighbours are read."""
    whole = jpeg(picture((128, 64)))
    at = whole.index(b"\xff\xdb")
    untabled = whole[:at] + whole[whole.index(b"\xff\xc0") :]
    for name, data in {"a.jpg": whole, "b.jpg": untabled, "c.jpg": whole}.items():
        (tmp_path / name).write_bytes(data)
    assert not pillow_takes(tmp_path / "b.jpg")
    with pytest.raises(ReIDDataError, match=r"^1 of 3 images .*b\.jpg \(broken data"):
        read_images(["a.jpg", "b.jpg", "c.jpg"], (64, 32), tmp_path)


def pillow_takes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def test_a_cut_jpeg_is_refused_wherever_pillow_refuses_it(tmp_path):
    whole = jpeg(picture((128, 64)))
    path, verdicts = tmp_path / "cut.jpg", set()
    for length in (0, 1, 2, 3, 20, 200, 700, len(whole) // 2, len(whole) - 2):
        for end in (b"", b"\xff\xd9"):
            path.write_bytes(whole[:length] + end)
            try:
                read_images([path], (64, 32))
                taken = True
            except ReIDDataError:
                taken = False
            assert taken == pillow_takes(path), (length, end)
            verdicts.add(taken)
    assert verdicts == {True, False}


def test_a_header_that_claims_gigabytes_is_not_believed(tmp_path):
    data = bytearray(jpeg(picture((128, 64))))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xf0\xff\xf0"
    (tmp_path / "huge.jpg").write_bytes(data)
    with pytest.raises(ReIDDataError, match=r"huge.jpg \(its header claims a size"):
        read_images(["huge.jpg"], (64, 32), tmp_path)


def test_three_of_many_are_named(tmp_path):
    whole = jpeg(picture((40, 20)))
    names = [f"{k:03d}.jpg" for k in range(200)]
    broken = {"003.jpg", "099.jpg", "199.jpg"}
    for name in names:
        (tmp_path / name).write_bytes(b"no" if name in broken else whole)
    with pytest.raises(ReIDDataError, match="^3 of 200 images") as caught:
        read_images(names, (16, 8), tmp_path, cache=tmp_path / "cache")
    said = [name for name in names if name in str(caught.value)]
    assert said == sorted(broken)
    assert not (tmp_path / "cache").exists()


def test_what_is_kept_is_not_read_again(mixed, tmp_path, monkeypatch):
    kept = tmp_path / "cache"
    first = read_images(mixed, (64, 32), cache=kept)
    assert torch.equal(first, read_images(mixed, (64, 32)))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_read", lambda *_: pytest.fail("read again"))
        again = read_images(mixed, (64, 32), cache=kept)
        assert torch.equal(first, again)
        again.zero_()  # the caller's own
        assert torch.equal(first, read_images(mixed, (64, 32), cache=kept))
    # Another size, and another order, are other results.
    read_images(mixed, (32, 16), cache=kept)
    turned_round = read_images(mixed[::-1], (64, 32), cache=kept)
    assert torch.equal(turned_round, first.flip(0))
    assert len(list(kept.iterdir())) == 3


def test_a_changed_file_is_noticed_and_the_old_result_goes(mixed, tmp_path):
    kept = tmp_path / "cache"
    first = read_images(mixed, (64, 32), cache=kept)
    mixed[0].write_bytes(jpeg(Image.new("RGB", (64, 128), (0, 0, 250))))
    second = read_images(mixed, (64, 32), cache=kept)
    assert second[0, 2].float().mean() > 240
    assert torch.equal(first[1:], second[1:])
    assert len(list(kept.iterdir())) == 1
    mixed[0].unlink()
    with pytest.raises(ReIDDataError, match="No such file"):
        read_images(mixed, (64, 32), cache=kept)


def test_what_was_kept_badly_is_made_again(mixed, tmp_path):
    kept = tmp_path / "cache"
    first = read_images(mixed, (64, 32), cache=kept)
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    other = io.BytesIO()
    np.save(other, np.zeros((2, 3, 64, 32), np.uint8))
    archive = b"PK\x03\x04" + whole
    header = whole.replace(b"(", b"9", 1)
    halves = whole[:70], whole[:-5]
    for damage in (b"", *halves, b"text", archive, header, other.getvalue()):
        file.write_bytes(damage)
        assert torch.equal(first, read_images(mixed, (64, 32), cache=kept))
        assert file.read_bytes() == whole


def test_a_full_disk_costs_only_the_cache(mixed, tmp_path, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    first = read_images(mixed, (64, 32))
    monkeypatch.setattr(np, "save", full)
    kept = tmp_path / "cache"
    assert torch.equal(first, read_images(mixed, (64, 32), cache=kept))
    assert "No space left" in caplog.text
    assert not list(kept.iterdir())
