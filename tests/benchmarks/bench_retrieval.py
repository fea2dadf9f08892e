"""Time and memory of evaluation and re-ranking against the bare matrix product.

    python tests/benchmarks/bench_retrieval.py --only evaluate growth

Everything is a ratio to a product that was timed in the same process, in turns with
what it is compared to; absolute times of a shared machine mean little. The defaults are
the size of Market-1501 and take some minutes and 3 GB. Identities, cameras, junk and
distractors have Market's shares; features are identity centres plus noise. The gallery
is shuffled, so junk is spread over it (Market's own files begin with all of it, which
`evaluate` uses: see --sorted).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from reidlib.costs import extra_memory
from reidlib.retrieval import (
    evaluate,
    evaluate_distances,
    evaluate_stream,
    k_reciprocal_distance,
)
from reidlib.retrieval.scores import BLOCK_ITEMS, BLOCK_ROWS

PARTS = ("evaluate", "growth", "distractors", "rerank", "gpu")
CAMERAS = 6


def world(args: argparse.Namespace, n_gallery: int) -> tuple[Any, ...]:
    """Query and gallery features (float32 tensors), pids and camids as of Market."""
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    query_pids = rng.integers(1, args.ids + 1, args.queries)
    kind = rng.random(n_gallery)
    gallery_pids = rng.integers(1, args.ids + 1, n_gallery)
    gallery_pids[kind < 6617 / 19732] = 0  # 2,798 distractors
    gallery_pids[kind < 3819 / 19732] = -1  # 3,819 junk
    if args.sorted:
        gallery_pids.sort()
    centres = torch.randn(args.ids + 1, args.width)

    def features(pids: np.ndarray) -> torch.Tensor:
        rows = args.noise * torch.randn(len(pids), args.width)
        for part in torch.arange(len(pids)).split(4096):
            known = torch.from_numpy(pids)[part].clamp(min=0)
            rows[part] += centres[known] * (known > 0)[:, None]
        return rows

    cameras = (rng.integers(1, CAMERAS + 1, n) for n in (args.queries, n_gallery))
    query, gallery = features(query_pids), features(gallery_pids)
    return query, gallery, query_pids, gallery_pids, *cameras


def bare_product(left: torch.Tensor, right: torch.Tensor) -> None:
    """Left times right transposed, block by block into one buffer."""
    step = max(BLOCK_ROWS, BLOCK_ITEMS // len(right))
    buffer = left.new_empty(step, len(right))
    for part in left.split(step):
        torch.mm(part, right.T, out=buffer[: len(part)])
    if left.is_cuda:
        torch.cuda.synchronize()


def extra_gb(work: Callable[[], Any]) -> float:
    """GB that a call takes at its highest beyond what was there."""
    return extra_memory(work) * 2**20 / 1e9


def in_turns(repeats: int, *works: Callable[[], Any]) -> list[float]:
    """Median seconds of each, run in turns after one warm-up."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(repeats + 1):
        for work, mine in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if turn:
                mine.append(time.perf_counter() - start)
    return [median(mine) for mine in times]


def line(name: str, seconds: float, bare: float, memory: float, more: str = "") -> None:
    """One row of the report."""
    print(f"{name:<34}{seconds:9.3f} s{seconds / bare:8.2f} x{memory:8.2f} GB  {more}")


def bench_evaluate(args: argparse.Namespace) -> None:
    """Features, bfloat16 products, and a given matrix."""
    query, gallery, *ids = world(args, args.gallery)
    distances = torch.empty(len(query), len(gallery))
    units = [torch.nn.functional.normalize(part, dim=1) for part in (query, gallery)]
    torch.mm(units[0], units[1].T, out=distances).neg_().add_(1)
    del units
    works = {
        "bare chunked product": lambda: bare_product(query, gallery),
        "evaluate": lambda: evaluate(query, gallery, *ids),
        "evaluate, bfloat16 products": lambda: evaluate(
            query, gallery, *ids, precision="bfloat16"
        ),
        "evaluate, euclidean": lambda: evaluate(
            query, gallery, *ids, metric="euclidean"
        ),
        "evaluate_distances": lambda: evaluate_distances(distances, *ids),
    }
    times = in_turns(args.repeats, *works.values())
    for (name, work), seconds in zip(works.items(), times, strict=True):
        result = None if name.startswith("bare") else work()
        more = f"mAP {result.mAP:.6f}" if result else ""
        line(name, seconds, times[0], extra_gb(work), more)


def bench_growth(args: argparse.Namespace) -> None:
    """One, two, four, eight times the gallery."""
    for factor in args.growth:
        query, gallery, *ids = world(args, args.gallery * factor)

        def work(query: Any = query, gallery: Any = gallery, ids: Any = ids) -> None:
            evaluate(query, gallery, *ids)

        def bare(query: Any = query, gallery: Any = gallery) -> None:
            bare_product(query, gallery)

        floor, seconds = in_turns(max(1, args.repeats // factor), bare, work)
        memory = extra_gb(work)
        line(f"evaluate, {factor} x gallery", seconds, floor, memory, f"{floor:.2f} s")


def bench_distractors(args: argparse.Namespace) -> None:
    """The gallery and many strangers, made block by block."""
    query, gallery, *ids = world(args, args.gallery)
    query_pids, gallery_pids, query_camids, gallery_camids = ids
    sizes = [args.block] * (args.distractors // args.block)
    sizes += [args.distractors % args.block] if args.distractors % args.block else []

    def strangers(number: int) -> torch.Tensor:
        seeded = torch.Generator().manual_seed(number)
        return args.noise * torch.randn(sizes[number], args.width, generator=seeded)

    def blocks() -> Any:
        parts = (torch.from_numpy(part) for part in (gallery_pids, gallery_camids))
        yield from zip(
            *(part.split(args.block) for part in (gallery, *parts)), strict=True
        )
        for number, size in enumerate(sizes):
            nobody = torch.zeros(size, dtype=torch.long)
            yield lambda number=number: strangers(number), nobody, nobody

    def bare() -> None:
        bare_product(query, gallery)
        for number in range(len(sizes)):
            bare_product(query, strangers(number))

    def work() -> Any:
        return evaluate_stream(query, blocks, query_pids, query_camids)

    start = time.perf_counter()
    bare()
    floor = time.perf_counter() - start
    start = time.perf_counter()
    found: list[Any] = []
    memory = extra_gb(lambda: found.append(work()))
    seconds = time.perf_counter() - start
    name = f"stream, {args.distractors:,} distractors"
    line(name, seconds, floor, memory, f"mAP {found[0].mAP:.6f}; making them included")


def bench_rerank(args: argparse.Namespace) -> None:
    """Re-ranking against one product of everything with everything."""
    query, gallery, *_ = world(args, args.gallery)
    both = torch.cat([query, gallery])

    def work() -> None:
        k_reciprocal_distance(query, gallery)

    floor, seconds = in_turns(1, lambda: bare_product(both, both), work)
    line("one chunked N x N product", floor, floor, 0)
    line("k_reciprocal_distance", seconds, floor, extra_gb(work))


def bench_gpu(args: argparse.Namespace) -> None:
    """The same code on a GPU against this CPU's threads."""
    if not torch.cuda.is_available():
        print("no GPU here")
        return
    query, gallery, *ids = world(args, args.gallery)
    there = query.cuda(), gallery.cuda()
    slow, fast, bare = in_turns(
        args.repeats,
        lambda: evaluate(query, gallery, *ids),
        lambda: evaluate(*there, *ids),
        lambda: bare_product(*there),
    )
    line("evaluate on the GPU", fast, bare, 0, f"{slow / fast:.0f} x the CPU's speed")


def main() -> None:
    """Read the sizes, print the report."""
    parser = argparse.ArgumentParser(description="Speed of reidlib.retrieval.")
    parser.add_argument("--queries", type=int, default=3368)
    parser.add_argument("--gallery", type=int, default=19732)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--ids", type=int, default=750)
    parser.add_argument("--noise", type=float, default=5.0)
    parser.add_argument("--distractors", type=int, default=500_000)
    parser.add_argument("--block", type=int, default=8192)
    parser.add_argument("--growth", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sorted", action="store_true", help="gallery by identity")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        f"{args.queries} queries, {args.gallery} gallery images, {args.width} numbers "
        f"each; {args.threads} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"torch {torch.__version__}, numpy {np.__version__}"
    )
    print(f"{'':<34}{'median':>11}{'to bare':>10}{'extra':>11}")
    for part in args.only:
        globals()[f"bench_{part}"](args)


if __name__ == "__main__":
    main()
