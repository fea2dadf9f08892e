"""How far R2 comes without ImageNet's weights and without a GPU.

    python -m book.longer --dataset market1501 --root data/Market-1501-v15.09.15

R2 of the ``longer`` profile: pictures of the paper's 128 by 64 pixels, ResNet-18
instead of ResNet-50, bfloat16 where the CPU has it, and most of an hour instead of a
minute. R1 learns what rendered people wear; R2 goes on from there, by the smoke
profile's recipe and by the modern one. The file <dataset>-longer.json in book/results
has a row for each, and one for the smoke profile. What is trained are stages of a run,
so that a second call goes on where the first was stopped.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from book.experiments import (
    RESULTS,
    Row,
    begun,
    bill,
    difference,
    options,
    stage_name,
    tested,
)
from reidlib import runs, stages
from reidlib.data.reading import free_cores
from reidlib.profiles import LONGER, SMOKE
from reidlib.records import write_record
from reidlib.retrieval import RetrievalResult, as_record, bootstrap
from reidlib.training import EncoderConfig

RECIPES = {
    "plain": replace(SMOKE.encoder, arch="resnet18", precision="bf16"),
    "modern": LONGER.encoder,
}


def systems(run: runs.Run, given: argparse.Namespace) -> Iterator[Row]:
    """R2 of the smoke profile, and longer trained by each recipe."""
    short = stages.r2(run)
    base = tested(run, short)
    yield row(run, "smoke", short, run.profile.encoder, base, base)
    run = replace(run, profile=LONGER)
    torch.use_deterministic_algorithms(False)  # which the smoke profile asked for
    torch.set_num_threads(free_cores())
    for name in given.recipes:
        config = replace(RECIPES[name], steps=given.steps)
        own = config == run.profile.encoder
        trained = stages.r2(run, config, stage_name("r2", name, own=own))
        yield row(run, name, trained, config, tested(run, trained), base)


def row(
    run: runs.Run,
    name: str,
    trained: stages.Trained,
    config: EncoderConfig,
    once: RetrievalResult,
    base: RetrievalResult,
) -> Row:
    """What it was, what it cost, and how well it retrieves, here and mirrored too."""
    twice = tested(run, trained, flip=True)
    return {
        "system": name,
        "arch": config.arch,
        "size": list(run.profile.size),
        "steps": config.steps,
        "pictures": config.steps * config.batch,
        "held out": trained.stage.metrics["score"],
        **as_record(bootstrap(once, seed=run.seed)),
        "mirrored too": as_record(bootstrap(twice, seed=run.seed)),
        "over smoke": difference(once, base, run.seed),
    } | bill(trained.stage)


def main(arguments: list[str] | None = None) -> Path:
    """Train what is missing; the file that was written."""
    parser = options(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    run = begun(given, given.seed)
    rows = []
    for found in systems(run, given):
        rows.append(found)
        print(f"{found['system']} rank-1 {found['rank1']:.3f} mAP {found['mAP']:.3f}")
    path = given.out / f"{run.key}-longer.json"
    manifest = replace(run, profile=LONGER).circumstances()
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
