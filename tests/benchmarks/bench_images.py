"""How fast are images read? Run it: python tests/benchmarks/bench_images.py

Three ways in turn, several times, in one process: Pillow alone (open, convert,
resize), `read_images`, and `read_images` from its cache. Prints images a second and
the ratio to Pillow, median of the rounds, and the largest difference of a pixel.
The bars: reading 1.5 x, the cache 8 x.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from reidlib.data import read_images
from reidlib.data.synthetic import write_world

Size = tuple[int, int]
CASES: list[tuple[Size, Size]] = [
    ((128, 64), (64, 32)),
    ((128, 64), (128, 64)),
    ((128, 64), (256, 128)),
    ((400, 160), (256, 128)),
]


def pillow(files: list[Path], size: Size) -> torch.Tensor:
    """Open, convert, resize, one by one."""
    pixels = np.empty((len(files), *size, 3), np.uint8)
    for number, path in enumerate(files):
        with Image.open(path) as image:
            small = image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
            pixels[number] = np.asarray(small)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def seconds(call: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """How long it takes, and what it gives."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def compare(files: list[Path], size: Size, rounds: int, cache: Path) -> str:
    """One line of the report."""
    read_images(files, size, cache=cache)
    ways = {
        "Pillow": lambda: pillow(files, size),
        "read_images": lambda: read_images(files, size),
        "cache": lambda: read_images(files, size, cache=cache),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(rounds):
        for name, call in ways.items():
            spent, found[name] = seconds(call)
            taken[name].append(spent)
    apart = max(
        int((found[name].int() - found["Pillow"].int()).abs().max()) for name in found
    )
    base = float(np.median(taken["Pillow"]))
    parts = []
    for name, spent in taken.items():
        median = float(np.median(spent))
        parts.append(f"{name} {len(files) / median:,.0f}/s ({base / median:.2f} x)")
    return ", ".join(parts) + f"; pixels differ by {apart} at most"


def enlarged(files: list[Path], size: Size, folder: Path) -> list[Path]:
    """The same pictures at another size, as JPEG of quality 90."""
    folder.mkdir()
    for path in files:
        stream = io.BytesIO()
        with Image.open(path) as image:
            image.resize(size[::-1]).save(stream, "JPEG", quality=90)
        (folder / path.name).write_bytes(stream.getvalue())
    return sorted(folder.iterdir())


def main() -> None:
    """Print the report."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--root", type=Path, help="folder of JPEGs; default: rendered")
    words.add_argument("--count", type=int, default=2000, help="images")
    words.add_argument("--rounds", type=int, default=5)
    chosen = words.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root = chosen.root or write_world(
            Path(place, "world"), ids=max(2, chosen.count // 8), images_per_id=8
        )
        files = sorted(root.rglob("*.jpg"))[: chosen.count]
        print(f"{len(files)} images, {chosen.rounds} rounds")
        for number, (before, after) in enumerate(CASES):
            resized = before != (128, 64)
            some = files[: max(1, len(files) // 4)] if resized else files
            if resized:
                some = enlarged(some, before, Path(place, f"as{number}"))
            line = compare(some, after, chosen.rounds, Path(place, "cache"))
            source = "x".join(map(str, before)) if resized or not chosen.root else ""
            print(f"{source or 'as they are'} -> {after[0]}x{after[1]}: {line}")


if __name__ == "__main__":
    main()
