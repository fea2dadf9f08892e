"""Image files as one tensor: every fault at once, and as fast as they decode.

The pixels are Pillow's: both decode by libjpeg-turbo, and torch resizes bytes with
the same integer arithmetic. Where the two sizes are no multiples of each other, some
values differ by one or two grey levels of 255. Pictures that EXIF data turns, as those
of telephones, are turned.
"""

import hashlib
import logging
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from reidlib.errors import ReIDDataError
from reidlib.pose.files import first_few, rgb

Paths = pd.DataFrame | Sequence[str | Path]

READER = 2  # version of what is cached
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
FAULTS = (OSError, SyntaxError, ValueError, *_BOMBS)  # Pillow raises all of them
_CHUNK = 64  # images resized together
_PENDING = 2**25  # bytes of decoded images that wait for it
_WORKERS = 8
# of a JPEG: marker, length, and in a frame's: bits, height, width, channels
_SEGMENT = struct.Struct(">xBHBHHB")
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EXIF = 0xE1
_TURNS = {"exif", "xmp"}  # in Pillow's names: what may say that a picture is turned

logger = logging.getLogger(__name__)


def read_images(
    paths: Paths,
    size: tuple[int, int],
    root: str | Path | None = None,
    *,
    cache: str | Path | None = None,
) -> Tensor:
    """Read and resize images, bilinear with antialiasing.

    Args:
        paths: a table with a `path` column, or a list of paths.
        size: (height, width) of the result.
        root: folder that the paths are relative to.
        cache: folder where the result is kept, for the next call with the same files
            of the same sizes and times of change; None: nowhere.

    Returns:
        (N, 3, H, W) uint8, in the order given.

    Raises:
        ReIDDataError: files are missing or broken; all are reported at once.
    """
    files = _files(paths, root)
    kept = None if cache is None else _place(Path(cache), files, size)
    if kept is not None:
        known = _load(kept, (len(files), 3, *size))
        if known is not None:
            return known
    images = _read(files, size)
    if kept is not None:
        _save(kept, images)
    return images


def image_sizes(paths: Paths, root: str | Path | None = None) -> NDArray[np.int64]:
    """Height and width of image files as turned by EXIF, (N, 2), from their headers.

    Raises:
        ReIDDataError: files are missing or no images; all are reported at once.
    """
    sizes = np.zeros((len(paths), 2), dtype=np.int64)

    def measure(number: int, path: Path) -> None:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise OSError("more than 8 bits per channel")
            told = image.getexif() if _TURNS & image.info.keys() else {}
            turned = told.get(ExifTags.Base.Orientation, 1) > 4
            sizes[number] = image.size if turned else image.size[::-1]

    files = _files(paths, root)
    _each(files, lambda rows: _try(rows, files, measure))
    return sizes


def fault_text(fault: Exception, path: Path) -> str:
    """What a reader complained of, without the path."""
    if isinstance(fault, UnidentifiedImageError):
        return "no image of a known format"
    if isinstance(fault, _BOMBS):
        return f"its header claims a size that cannot be true: {fault}"
    return str(fault).replace(repr(str(path)), "it")


def _jpeg_values(data: bytearray) -> int:
    """Bytes that it decodes to: of an ordinary JPEG that ends as it should, else 0.

    One with EXIF data, which may turn it, is not ordinary.
    """
    if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9"):
        return 0
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind, length, bits, height, width, channels = _SEGMENT.unpack_from(data, at)
        if kind in _START_OF_FRAME:
            fits = height * width <= (Image.MAX_IMAGE_PIXELS or float("inf"))
            plain = bits == 8 and channels in (1, 3) and fits
            return height * width * channels if plain else 0
        if kind == _EXIF:
            return 0
        at += 2 + length
    return 0


def _decoded(jpegs: list[Tensor]) -> list[Tensor]:
    """The pixels of JPEG files, (1 or 3, H, W) uint8.

    Raises:
        RuntimeError: one of them is broken.
        AttributeError: this torchvision has no decoder any more, as announced.
    """
    return torchvision.io.decode_jpeg(jpegs) if jpegs else []


def _by_pillow(path: Path) -> Tensor:
    """The pixels of any image file, (3, H, W) uint8."""
    return torch.from_numpy(np.array(rgb(path))).permute(2, 0, 1)


def _files(paths: Paths, root: str | Path | None) -> list[Path]:
    listed = paths["path"] if isinstance(paths, pd.DataFrame) else paths
    return [Path(root or "", path) for path in listed]


def _read(files: list[Path], size: tuple[int, int]) -> Tensor:
    """Decode and resize.

    Whole JPEGs of one or three channels are decoded by torchvision, a batch at a time.
    Everything else, and a batch with one that it refuses, goes by Pillow, which knows
    more formats and tells what is wrong.
    """
    images = torch.empty((len(files), 3, *size), dtype=torch.uint8)
    result = images.numpy()  # copies small arrays in half the time

    def place(found: dict[int, Tensor]) -> None:
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for number, pixels in found.items():
            if tuple(pixels.shape[1:]) == tuple(size):
                result[number] = pixels.numpy()
            else:
                alike[pixels.shape].append(number)
        for rows in alike.values():
            batch = torch.stack([found[number].permute(1, 2, 0) for number in rows])
            batch = F.interpolate(
                batch.permute(0, 3, 1, 2), size, mode="bilinear", antialias=True
            )
            result[rows] = batch.numpy()

    def work(rows: range) -> dict[int, str]:
        jpegs: dict[int, Tensor] = {}
        other: dict[int, Tensor] = {}
        pending = 0
        faults = {}

        def take(number: int, path: Path) -> None:
            nonlocal pending
            data = bytearray(path.read_bytes())
            if values := _jpeg_values(data):
                jpegs[number] = torch.frombuffer(data, dtype=torch.uint8)
            else:
                other[number] = _by_pillow(path)
                values = other[number].numel()
            pending += values
            if pending > _PENDING:
                finish()

        def finish() -> None:
            nonlocal pending
            try:
                found = _decoded(list(jpegs.values()))
            except (RuntimeError, AttributeError):
                faults.update(_try(jpegs, files, anew))
            else:
                place(dict(zip(jpegs, found, strict=True)))
            place(other)
            jpegs.clear()
            other.clear()
            pending = 0

        def anew(number: int, path: Path) -> None:
            place({number: _by_pillow(path)})

        faults |= _try(rows, files, take)
        finish()
        return faults

    _each(files, work)
    return images


def _try(
    rows: Iterable[int], files: list[Path], use: Callable[[int, Path], None]
) -> dict[int, str]:
    """Use these files one by one; what was wrong with each that failed."""
    faults = {}
    for number in rows:
        try:
            use(number, files[number])
        except FAULTS as fault:
            faults[number] = fault_text(fault, files[number])
    return faults


def _each(files: list[Path], work: Callable[[range], dict[int, str]]) -> None:
    """Work on all files, a chunk at a time, on as many cores as there are.

    Raises:
        ReIDDataError: some failed, named together.
    """
    chunks = [
        range(k, min(k + _CHUNK, len(files))) for k in range(0, len(files), _CHUNK)
    ]
    workers = max(1, min(_WORKERS, free_cores(), len(chunks)))
    faults: dict[int, str] = {}
    # A bar only where there is something to wait for: a few thousand per second.
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(files), desc="reading images", leave=False) as bar,
    ):
        for rows, found in zip(chunks, pool.map(work, chunks), strict=True):
            faults |= found
            bar.update(len(rows))
    if faults:
        told = [f"{files[number]} ({why})" for number, why in sorted(faults.items())]
        raise ReIDDataError(
            f"{len(faults):,} of {len(files):,} images cannot be read: "
            f"{first_few(told)}. Copy these files again or take them out."
        )


def free_cores() -> int:
    """Cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _place(cache: Path, files: list[Path], size: tuple[int, int]) -> Path | None:
    """Where these files are kept: `<which files>-<as they are now>.npy`."""
    which = hashlib.sha256(repr((READER, tuple(size))).encode())
    now = which.copy()
    try:
        for path in files:
            found = path.stat()
            which.update(os.fsencode(path.absolute()) + b"\0")
            now.update(f"{found.st_size} {found.st_mtime_ns} ".encode())
    except OSError:
        return None  # reading tells what is wrong
    return cache / f"{which.hexdigest()[:16]}-{now.hexdigest()[:16]}.npy"


def _load(kept: Path, shape: tuple[int, ...]) -> Tensor | None:
    try:
        pixels = np.load(kept)
        same = pixels.dtype == np.uint8 and pixels.shape == shape
    except Exception:  # none, or damaged, where NumPy raises all kinds: made again
        return None
    return torch.from_numpy(pixels) if same else None


def _save(kept: Path, images: Tensor) -> None:
    """Write in one step, and drop what was kept of the same files before."""
    temporary = kept.with_name(f".{kept.stem}.{os.getpid()}.tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                np.save(file, images.numpy())
            for old in kept.parent.glob(f"{kept.stem.partition('-')[0]}-*.npy"):
                old.unlink(missing_ok=True)
            temporary.replace(kept)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as fault:
        logger.warning("the images read are not kept: %s", fault)
