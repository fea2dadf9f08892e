"""Speed of features, of training and of the extractor.

    python tests/benchmarks/bench_training.py --only extract,phi --compiled

Every row is images/s, the ratio to plain float32 timed in turns with it, and the share
of a bare matrix product's speed in the same precision. Absolute numbers of a shared
machine mean little. On a CPU the extractor and pt-GAN are small unless --full is
given; --device cuda takes the paper's sizes.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import profile

from reidlib.models import Encoder, FusionNet, PoseInvariantExtractor, make_generator
from reidlib.training import (
    EncoderConfig,
    FusionConfig,
    PtGANConfig,
    extract,
    to_float,
    train_fusion,
    train_identities,
    train_ptgan,
)
from reidlib.training.cost import Operations, peak_memory_mb
from reidlib.training.features import describer
from reidlib.training.precision import has_bf16, measured_peak

PARTS = ("extract", "train-r2", "train-gan", "train-fusion", "phi", "memory")
POSES, PAPER_NGF = 12, 64
MARKET = 12_936  # pictures that Market-1501 trains on, of 751 people
# (part, row, device) -> the least that is asked for, and of what. For pt-GAN at the
# paper's sizes: the few channels of a narrow one fill half of what AMX multiplies.
FLOORS: dict[tuple[str, str, str], tuple[float, str]] = {
    ("extract", "extract bf16", "cpu"): (3.0, "x"),
    ("extract", "bf16, compiled", "cpu"): (4.5, "x"),
    ("train-r2", "bf16", "cpu"): (2.0, "x"),
    ("train-gan", "bf16", "cpu"): (2.0, "x"),
    ("train-r2", "bf16", "cuda"): (5000, "/s"),
    ("train-gan", "bf16", "cuda"): (1000, "/s"),
    ("train-fusion", "eager float32", "cuda"): (24_000 * 32 / 120, "/s"),
    ("phi", "extract bf16", "cuda"): (1200, "/s"),
}
Rows = list[dict[str, Any]]


def random_people(count: int, size: tuple[int, int]) -> dict[str, Any]:
    """Pictures of noise, four of each person, with whole skeletons."""
    torch.manual_seed(0)
    numbers = np.arange(count)
    return {
        "images": torch.randint(256, (count, 3, *size), dtype=torch.uint8),
        "table": pd.DataFrame({"pid": numbers // 4 + 1, "camid": numbers % 2 + 1}),
        "points": np.random.default_rng(0).uniform(size=(count, 25, 2)),
    }


def cached_features(count: int, poses: int, width: int) -> dict[str, Any]:
    """Features of noise, as many of each person as Market-1501 has."""
    torch.manual_seed(0)
    numbers = np.arange(count)
    return {
        "source": torch.randn(count, width),
        "generated": torch.randn(count, poses, width),
        "table": pd.DataFrame({"pid": numbers // 17 + 1, "camid": numbers % 2 + 1}),
    }


def extractor(args: argparse.Namespace) -> PoseInvariantExtractor:
    """A whole extractor with random weights."""
    r1, r2 = (Encoder(args.small_arch, None) for _ in range(2))
    size = tuple(args.small_size)
    generator = make_generator(
        "vector", r1.features, size, ngf=args.ngf[0], blocks=args.blocks
    )
    fusion = FusionNet(r2.features, POSES)
    return PoseInvariantExtractor(r1, generator, r2, fusion, torch.rand(POSES, 25, 2))


def in_turns(repeats: int, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each, run in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: median(spent) for name, spent in times.items()}


def top_operators(work: Callable[[], Any]) -> None:
    """Print the five operators that take most time themselves."""
    with profile() as seen:
        work()
    cuda = torch.cuda.is_available()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows = sorted(seen.key_averages(), key=lambda row: -getattr(row, key))
    total = sum(getattr(row, key) for row in rows)
    for row in rows[:5]:
        print(f"      {getattr(row, key) / total:6.1%}  {row.key}")


def report(args: argparse.Namespace, part: str, rates: dict[str, float], gflop: float):
    """Print and keep the rows of one part; the first is what the others are set to."""
    base, kind = next(iter(rates.values())), part.removesuffix(f", ngf {PAPER_NGF}")
    for name, rate in rates.items():
        precision = "bf16" if "bf16" in name and args.bf16 else "fp32"
        peak = measured_peak(args.device, precision, torch.get_num_threads()) / 1e9
        row = {"part": part, "way": name, "images_per_s": rate, "ratio": rate / base}
        row |= {"gflop_per_image": gflop, "gflop_per_s": rate * gflop}
        row |= {"peak_gflop_per_s": peak, "peak_share": rate * gflop / peak}
        bar, unit = FLOORS.get((kind, name, args.device), (0.0, ""))
        met = (rate if unit == "/s" else rate / base) >= bar
        verdict = f"floor {bar:g} {unit}: {'met' if met else 'MISSED'}" if bar else ""
        print(
            f"{part:<24}{name:<16}{rate:9.1f}/s{rate / base:7.2f} x"
            f"{row['peak_share']:7.0%} of {peak:,.0f} GFLOP/s  {verdict}",
            flush=True,
        )
        args.rows.append(row)


def served(
    args: argparse.Namespace, part: str, network: nn.Module, images: Tensor
) -> None:
    """The plain network beside what ``extract`` runs."""
    plain = copy.deepcopy(network).eval().to(args.device)

    @torch.no_grad()
    def eager(part: Tensor) -> Tensor:
        return plain(to_float(part.to(args.device)))

    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "eager float32": eager,
        "extract fp32": describer(network),
        "extract bf16": describer(network, precision="bf16"),
    }
    if args.compiled:
        ways["bf16, compiled"] = describer(network, precision="bf16", compiled=True)
    with Operations() as seen:
        found = {"eager float32": eager(images).cpu()}
    works = {name: lambda way=way: way(images).cpu() for name, way in ways.items()}
    spent = in_turns(args.repeats, works)
    rates = {name: len(images) / seconds for name, seconds in spent.items()}
    report(args, part, rates, seen.flop / len(images) / 1e9)
    for name, work in works.items():
        alike = F.cosine_similarity(work().float(), found["eager float32"]).min()
        print(f"{'':<24}{name:<16} cosine to eager float32 {float(alike):.6f}")
        args.rows[-1].setdefault("cosine", {})[name] = float(alike)
    if args.profile:
        top_operators(works["extract bf16"])


def bench_extract(args: argparse.Namespace) -> None:
    """R2 features."""
    images = random_people(args.images, tuple(args.size))["images"]
    served(args, "extract", Encoder(args.arch, None), images)


def bench_phi(args: argparse.Namespace) -> None:
    """The whole extractor, K = 12."""
    images = random_people(args.phi_images, tuple(args.small_size))["images"]
    served(args, "phi", extractor(args), images)


def trained(
    args: argparse.Namespace, part: str, train: Callable[..., pd.DataFrame]
) -> None:
    """Rates from the loop's own cost line, in turns; the first step is not timed."""
    ways: dict[str, dict[str, Any]] = {"eager float32": {"precision": "fp32"}}
    ways["bf16"] = {"precision": "bf16"}
    if args.compiled or args.device == "cuda":
        ways["bf16, compiled"] = {"precision": "bf16", "compile": True}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        for name, way in ways.items():
            found[name].append(train(**way).attrs["cost"])
    rates = {
        name: median(cost["images_per_s"] for cost in costs)
        for name, costs in found.items()
    }
    report(args, part, rates, found["bf16"][0]["gflop_per_image"])
    if args.profile:
        top_operators(lambda: train(**ways["bf16"]))


def bench_train_r2(args: argparse.Namespace) -> None:
    """R2 by the paper's recipe, through the loop."""
    world = random_people(160, tuple(args.size))

    def train(**way: Any) -> pd.DataFrame:
        config = EncoderConfig(
            steps=args.steps,
            batch=args.batch,
            arch=args.arch,
            weights=None,
            input_size=None,
            validations=1,
            **way,
        )
        return train_identities(world["images"], world["table"], config)[1]

    trained(args, "train-r2", train)


def bench_train_gan(args: argparse.Namespace) -> None:
    """pt-GAN, through the loop."""
    world = random_people(160, tuple(args.small_size))

    def train(ngf: int, **way: Any) -> pd.DataFrame:
        config = PtGANConfig(
            steps=2 * args.steps,
            batch=args.pairs,
            ngf=ngf,
            ndf=ngf,
            blocks=args.blocks,
            validations=1,
            watch=8,
            alarms=False,
            **way,
        )
        r1 = Encoder(args.small_arch, None)
        return train_ptgan(r1, **world, config=config)[2]

    for ngf in args.ngf:
        trained(args, f"train-gan, ngf {ngf}", partial(train, ngf))


def bench_train_fusion(args: argparse.Namespace) -> None:
    """FusionNet as in Table I on cached features of Market-1501's size."""
    cached = cached_features(args.cached, POSES, args.width)

    def train(**way: Any) -> pd.DataFrame:
        config = FusionConfig(steps=2 * args.steps, validations=1, **way)
        return train_fusion(**cached, config=config)[1]

    trained(args, "train-fusion", train)
    for row in args.rows:
        if row["part"] == "train-fusion":
            seconds = FusionConfig.steps * FusionConfig.batch / row["images_per_s"]
            print(f"{'':<24}{row['way']:<16}{seconds:9,.0f} s for the paper's steps")


def alone(args: argparse.Namespace) -> None:
    """One part in a process of its own, for its peak of memory."""
    part, count = args.alone[0], int(args.alone[1])
    if part == "phi":
        images = random_people(count, tuple(args.small_size))["images"]
        extract(extractor(args), images, precision="bf16")
    else:
        cached = cached_features(count, POSES, args.width)
        train_fusion(**cached, config=FusionConfig(steps=1, validations=1))
    print(peak_memory_mb())


def bench_memory(args: argparse.Namespace) -> None:
    """Peak memory of phi and of FusionNet for two sizes, each in a process."""
    for part, counts in (("phi", args.galleries), ("train-fusion", args.holdings)):
        found = {}
        for count in counts:
            words = [sys.executable, __file__, *sys.argv[1:], "--alone", part]
            made = subprocess.check_output([*words, str(count)], text=True)
            found[count] = int(made.split()[-1])
            name = f"memory of {part}"
            print(f"{name:<24}{count:>8} images: {found[count]:,} MB at most")
        args.rows.append({"part": f"memory of {part}", "peak_mb": found})
    more = (counts[1] - counts[0]) * (1 + POSES) * args.width * 4 / 2**20
    copies = (found[counts[1]] - found[counts[0]]) / more
    print(f"{'':<24}grows by {copies:.2f} of what the features hold")
    args.rows[-1]["copies"] = copies


def main() -> None:
    """Read the sizes, print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by commas")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--full", action="store_true", help="the paper's sizes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compiled", action="store_true", help="compile, too")
    parser.add_argument("--profile", action="store_true", help="the top operators")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--toy", action="store_true", help="sizes for the tests")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes(args)
    torch.set_num_threads(args.threads)
    if args.device == "cpu":
        os.environ["ACCELERATE_USE_CPU"] = "1"
    torch.backends.cudnn.benchmark = True  # as runs of the profile full have it
    if args.alone:
        alone(args)
        return
    parts = args.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    args.rows, args.bf16 = [], has_bf16(torch.device(args.device))
    print(
        f"{args.device}, {args.threads} threads, torch {torch.__version__}, "
        f"bfloat16 instructions: {args.bf16}"
    )
    for part in parts:
        globals()["bench_" + part.replace("-", "_")](args)
    if args.json:
        args.json.write_text(json.dumps(args.rows, indent=1))


def sizes(args: argparse.Namespace) -> None:
    """What is measured: the paper's sizes, a CPU's, or the tests'."""
    args.arch, args.size, args.images = "resnet50", (128, 64), 64
    args.batch, args.steps, args.galleries = 32, 6, (256, 2048)
    args.cached, args.width, args.holdings = MARKET, 2048, (MARKET // 4, MARKET)
    if args.toy:
        args.arch, args.images, args.batch, args.steps = "resnet10", 4, 4, 2
        args.size, args.galleries = (64, 32), (2, 4)
        args.cached, args.width, args.holdings = 680, 64, (170, 680)
    paper = args.full or args.device == "cuda"
    args.small_arch, args.small_size = "resnet10", (64, 32)
    args.ngf, args.blocks, args.pairs, args.phi_images = (16, 32), 3, 16, 16
    if args.toy:
        args.ngf, args.blocks, args.pairs, args.phi_images = (2,), 1, 4, 2
    elif paper:
        args.small_arch, args.small_size = "resnet50", (128, 64)
        args.ngf, args.blocks, args.phi_images = (PAPER_NGF,), 9, 2
    if args.device == "cuda":
        args.images = args.batch = 256
        args.pairs, args.phi_images, args.steps = 64, 32, 50


if __name__ == "__main__":
    main()
