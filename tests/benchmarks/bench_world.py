"""How fast is the synthetic world? Run it: python tests/benchmarks/bench_world.py

Prints images a second of the whole way to disk and of rendering alone, what each
part of it costs, and the peak memory. The floor is 200 images/s on two cores at
128 x 64, whole way; with `--preset market` in under 3 minutes and 1.5 GB.
"""

import argparse
import cProfile
import os
import pstats
import resource
import tempfile
import time
from pathlib import Path

import torch

from reidlib.data.synthetic import PRESETS, World, write_world

PARTS = (
    ("raycast", "cast"),
    ("paint", "albedo"),
    ("paint", "light"),
    ("backdrop", "paint"),
    ("outfit", "dress"),
    ("render", "_compose"),
    ("sensor", "develop"),
    ("world", "shot"),
)


def whole_way(settings: dict, jobs: int) -> None:
    """Render, encode and write to a temporary folder."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        root = write_world(Path(place) / "world", jobs=jobs, **settings)
        seconds = time.perf_counter() - start
        count = sum(1 for _ in (root / "keypoints").iterdir())
    here, below = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"{jobs} processes: {count} images in {seconds:.1f} s, start included: ")
    print(f"  {count / seconds:.0f} images/s; peak memory {here:.0f} MB here,")
    print(f"  {below:.0f} MB in the largest worker")


def rendering(device: str, count: int) -> None:
    """One process, no files."""
    world = World(0, device=device)
    shots = [world.shot(pid, k) for pid in range(1, count // 4 + 1) for k in range(4)]
    world.take(shots[:64])
    start = time.perf_counter()
    world.take(shots)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    print(f"rendering alone on {device}: {len(shots) / seconds:.0f} images/s")
    profile = cProfile.Profile()
    profile.runcall(lambda: [world.shot(s.person.pid, s.index) for s in shots])
    profile.runcall(world.take, shots)
    found = pstats.Stats(profile).stats
    for module, function in PARTS:
        spent = sum(
            value[3]
            for (path, _, name), value in found.items()
            if name == function and path.endswith(f"synthetic/{module}.py")
        )
        print(f"  {module}.{function}: {1000 * spent / len(shots):.2f} ms an image")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=PRESETS, help="default: 200 people")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    settings = PRESETS[given.preset] if given.preset else {"ids": 200}
    whole_way(settings, given.jobs)
    rendering(given.device, 8192 if given.device == "cuda" else 512)


if __name__ == "__main__":
    main()
