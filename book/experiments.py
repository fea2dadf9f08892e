"""Experiments that several chapters read: variants of one thing, all else equal.

    python book/experiments.py generators      three kinds of G, and the code mode
    python book/experiments.py losses          pt-GAN with one loss or aid changed
    python book/experiments.py augmentation    R2 with generated poses as extra pictures
    python book/experiments.py recipes         R2's recipes, ingredient by ingredient

Each writes <dataset>-<command>.json into book/results: a manifest, and rows with every
number and, under "interval", its 95 % limits over identities. What is trained are
stages of a run, so that a second call goes on where the first was stopped.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torchvision.utils import save_image

from reidlib import enlarge, manifests, runs, stages
from reidlib.data import validation_split
from reidlib.errors import ReIDConfigError, ReIDDataError, ReIDError
from reidlib.quality import truth
from reidlib.records import write_record
from reidlib.retrieval import (
    RetrievalResult,
    as_record,
    bootstrap,
    evaluate,
    paired_bootstrap,
)
from reidlib.systems import aligned
from reidlib.training import EncoderConfig, PtGANConfig, extract, recipe
from reidlib.training.encoder import RECIPES
from reidlib.training.loop import LoopConfig
from reidlib.training.ptgan import code_mode

RESULTS = Path(__file__).resolve().parent / "results"
SHARES = (0.25, 0.5, 1.0)
SHOWN = 8  # drawings of each system in a picture
Row = dict[str, Any]
# What the scale decides, and the code mode therefore takes over from the profile.
SCALE = "steps batch validations ngf ndf blocks native_aspect norm lambda_rec lr"
SCALE += " held_out watch precision compile accumulate"


def kinds(config: PtGANConfig) -> dict[str, PtGANConfig]:
    """The profile's pt-GAN, and the same with another generator or the code mode."""
    free = replace(config, alarms=False)  # a collapse is a result here
    scale = {name: getattr(free, name) for name in SCALE.split()}
    return {
        "vector": config,
        "image": replace(free, kind="image"),
        "aligned": aligned(config),
        "code mode": replace(code_mode(**scale), alarms=False),
    }


def changed_losses(config: PtGANConfig) -> dict[str, PtGANConfig]:
    """The profile's pt-GAN, and the same with one loss or aid changed."""
    free = replace(config, alarms=False)
    changes: dict[str, dict[str, Any]] = {
        "without L_C": {"lambda_class": 0.0},
        "without L2": {"lambda_rec": 0.0},
        "LSGAN": {"adversarial": "lsgan"},
        "without label smoothing": {"smooth_labels": False},
        "L1 for L2": {"reconstruction": "l1"},
        "with EMA .999": {"average": 0.999},
        "with spectral norm": {"spectral": True},
        **_other_precision("in ", config),
    }
    others = {name: replace(free, **change) for name, change in changes.items()}
    return {"paper": config} | others


def drawn_rows(
    run: runs.Run, variants: dict[str, PtGANConfig], sheet: Path | None = None
) -> Iterator[Row]:
    """Quality of every variant, and of the trivial rivals, on held-out test people.

    A variant that could not be trained has its reason under "stopped". Some drawings
    go to the file ``sheet``, of a rendered world only: a line of sources, one of truths
    and one for each variant.
    """
    clusters = stages.poses(run).network
    exam = truth.asked(run, clusters)
    systems: dict[str, torch.Tensor] = {}
    facts: dict[str, Row] = {}
    for name, config in variants.items():
        try:
            stage = stage_name("ptgan", name, own=config == run.profile.ptgan)
            drawer = stages.ptgan(run, config, stage)
        except ReIDError as error:
            yield _stopped(name, error)
            continue
        systems[name] = truth.drawn(run, drawer, exam)
        facts[name] = {"held out": drawer.stage.metrics} | bill(drawer.stage)
    if sheet and systems and exam.asked.mask is not None:
        lines = [exam.asked.source, exam.asked.truth, *systems.values()]
        shown = torch.linspace(0, len(lines[0]) - 1, SHOWN).long()
        cells = torch.cat([line[shown] for line in lines])
        sheet.parent.mkdir(parents=True, exist_ok=True)
        looks = {"nrow": SHOWN, "padding": 0, "normalize": True}
        save_image(cells, sheet, value_range=(-1, 1), **looks)
    table = truth.judged(run, exam, systems | truth.others(run, clusters, exam))
    for name, numbers in table.iterrows():
        yield {"system": name} | _measured(numbers) | facts.get(str(name), {})


def generators(run: runs.Run, given: argparse.Namespace) -> Iterator[Row]:
    """Three kinds of G and the code mode."""
    sheet = given.out / f"{run.key}-generators.png"
    yield from drawn_rows(run, kinds(run.profile.ptgan), sheet)


def losses(run: runs.Run, _: argparse.Namespace) -> Iterator[Row]:
    """Losses and aids of pt-GAN, one by one."""
    yield from drawn_rows(run, changed_losses(run.profile.ptgan))


def augmentation(run: runs.Run, given: argparse.Namespace) -> Iterator[Row]:
    """R2 on a share of the identities: real pictures, with drawings, with copies.

    Drawings and copies make equally many more pictures, and with both R2 trains so
    many more steps that it sees every real picture as often as alone. Nobody whom R2
    holds out is drawn, so that the kept step is chosen on photographs. G and its poses
    learn from the same share as R2.
    """
    for share in SHARES:
        part = enlarge.share_of(run, share)
        results: dict[str, RetrievalResult] = {}
        counts: dict[str, int] = {}
        for name in ("real", "copies", "drawn"):
            trained, counts[name] = _enlarged(part, name, given.each)
            results[name] = tested(part, trained)
        for name, result in results.items():
            row = {
                "system": name,
                "identities": share,
                "people": int(part.data.train["pid"].nunique()),
                "pictures": counts[name],
            }
            row |= as_record(bootstrap(result, seed=run.seed))
            for other in results.keys() - {name}:
                row[f"over {other}"] = difference(result, results[other], run.seed)
            yield row


def _enlarged(run: runs.Run, name: str, each: int) -> tuple[stages.Trained, int]:
    """R2 of real pictures and of copies or drawings of them; how many pictures."""
    config = run.profile.encoder
    if name == "real":
        return stages.r2(run), len(run.data.train)
    drawer = enlarge.drawer_of(run)
    pids = run.data.train["pid"]
    rows = ~validation_split(pids, config.held_out, run.seed)
    images = run.images("train")[rows.tolist()]
    table = run.data.train[rows].reset_index(drop=True)
    count = enlarge.check_each(each, len(drawer.poses))
    inputs: tuple[manifests.Finished, ...] = ()
    if name == "drawn":
        found = enlarge.drawings(drawer, images, table, each)
        extra = found.images, found.table
        inputs = (stages.ptgan(run).stage, stages.poses(run).stage)
    else:
        extra = images.repeat_interleave(count, 0), table.loc[table.index.repeat(count)]
    more = replace(config, steps=config.steps * (1 + count))
    stage = f"r2-{name}-{count}"
    trained = stages.r2(run, more, stage, extra=extra, inputs=inputs)
    return trained, len(run.data.train) + len(extra[0])


def difference(a: RetrievalResult, b: RetrievalResult, seed: int) -> Row:
    """rank-1 and mAP of a minus b on the same queries."""
    found = {m: paired_bootstrap(a, b, m, seed=seed) for m in ("rank1", "mAP")}
    return {m: c.difference for m, c in found.items()} | {
        "interval": {m: [c.low, c.high] for m, c in found.items()},
        "p_value": {m: c.p_value for m, c in found.items()},
    }


def ingredients(config: EncoderConfig) -> dict[str, EncoderConfig]:
    """The profile's R2, both recipes, and the modern one's ingredients one by one.

    The ingredients are added to the profile, or to the paper's recipe where the
    profile's is the modern one.
    """
    modern = RECIPES["modern"]
    plain, start = config, "profile"
    if config == recipe("modern", config):
        plain, start = recipe("paper", config), "paper"
    parts = {
        "label smoothing": ("label_smoothing",),
        "erasing": ("erasing",),
        "neck": ("neck",),
        "last stride 1": ("last_stride",),
        "PK + triplet": ("each", "triplet"),
        "cosine": ("schedule", "warmup"),
    }
    singles = {
        f"{start} + {name}": replace(plain, **{key: modern[key] for key in keys})
        for name, keys in parts.items()
    }
    whole = {name: recipe(name, config) for name in RECIPES}
    other = {
        name: replace(config, **change)
        for name, change in _other_precision("profile in ", config).items()
    }
    return {"profile": config} | other | whole | singles


def _other_precision(name: str, config: LoopConfig) -> dict[str, dict[str, Any]]:
    """The one of float32 and bfloat16 that the profile does not compute in."""
    other = "fp32" if config.precision == "bf16" else "bf16"
    return {name + other: {"precision": other}}


def recipes(run: runs.Run, _: argparse.Namespace) -> Iterator[Row]:
    """R2's recipes: mAP on held-out training identities decides, the test tells."""
    table = run.data.train
    out = validation_split(table["pid"], run.profile.encoder.held_out, run.seed)
    images = run.images("train")[out.tolist()]
    pids, camids = (table[k].to_numpy()[out] for k in ("pid", "camid"))
    base: RetrievalResult | None = None
    for name, config in ingredients(run.profile.encoder).items():
        try:
            stage = stage_name("r2", name, own=config == run.profile.encoder)
            trained = stages.r2(run, config, stage)
        except ReIDError as error:
            yield _stopped(name, error)
            continue
        found = extract(trained.network, images)
        held = evaluate(found, found, pids, pids, camids, camids)
        base = base or held
        yield {
            "system": name,
            "score": trained.stage.metrics["score"],
            "held out": as_record(bootstrap(held, seed=run.seed)),
            "over profile": difference(held, base, run.seed),
            "test": as_record(bootstrap(tested(run, trained), seed=run.seed)),
        } | bill(trained.stage)


def tested(
    run: runs.Run, trained: stages.Trained, *, flip: bool = False
) -> RetrievalResult:
    """The test's queries in its gallery; ``flip`` as in `extract`."""
    parts = (run.images(s) for s in ("query", "gallery"))
    return run.evaluate(*(extract(trained.network, x, flip=flip) for x in parts))


def _measured(numbers: pd.Series) -> Row:
    """A row of `quality`: values, and their limits under "interval"; null for none."""
    cells = {key: None if math.isnan(v) else float(v) for key, v in numbers.items()}
    names = [str(n) for n in numbers.index.get_level_values(0).unique()]
    limits = {n: [cells[n, "low"], cells[n, "high"]] for n in names}
    return {n: cells[n, "value"] for n in names} | {"interval": limits}


def _stopped(name: str, error: ReIDError) -> Row:
    """A training that broke is a result; a mistake in what was asked for is none."""
    if isinstance(error, ReIDConfigError | ReIDDataError):
        raise error
    return {"system": name, "stopped": str(error)}


def _numbers(row: Row) -> str:
    return ", ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))


def bill(stage: manifests.Finished) -> Row:
    """What a training took."""
    return {"seconds": stage.manifest.get("wall_s"), "cost": stage.manifest["cost"]}


def stage_name(kind: str, name: str, *, own: bool) -> str:
    """The folder of a variant; the profile's own is the chapters' stage."""
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split()
    return kind if own else "-".join([kind, *words])


def scaled(run: runs.Run, factor: float) -> runs.Run:
    """The run with so many times the steps, in a folder of its own: a rehearsal."""
    if factor == 1:
        return run
    parts: dict[str, Any] = {
        name: replace(config, steps=max(2, round(config.steps * factor)))
        for name in ("attributes", "encoder", "second", "ptgan", "fusion", "poser")
        if (config := getattr(run.profile, name)) is not None
    }
    parts["ptgan"] = replace(parts["ptgan"], alarms=False)  # all is a collapse yet
    least = 2 * run.profile.attributes.batch
    parts["population"] = max(least, round(run.profile.population * factor))
    parts["name"] = f"{run.profile.name}-steps{factor:g}"
    return replace(run, profile=replace(run.profile, **parts))


COMMANDS: dict[str, Callable[[runs.Run, argparse.Namespace], Iterator[Row]]] = {
    command.__name__: command for command in (generators, losses, augmentation, recipes)
}


def options(text: str | None, commands: Iterable[str] = ()) -> argparse.ArgumentParser:
    """What every experiment can be asked: a command, if any, and on which data."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n")[0])
    if commands:
        parser.add_argument("command", choices=commands)
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--root", default="", help="empty: the world is rendered")
    parser.add_argument("--profile", default="smoke", help="smoke, longer or full")
    return parser


def begun(given: argparse.Namespace, seed: int) -> runs.Run:
    """The run that was asked for."""
    chosen = {k: getattr(given, k) for k in ("dataset", "root", "profile")}
    return runs.begin("experiments", **chosen, seed=seed)


def main(arguments: list[str] | None = None) -> Path:
    """Run one command; the file that it wrote."""
    parser = options(__doc__, COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=1, help="drawings of a picture")
    parser.add_argument("--steps-scale", type=float, default=1, help="for a rehearsal")
    parser.add_argument("--out", type=Path, help="folder; default: book/results")
    given = parser.parse_args(arguments)
    run = scaled(begun(given, given.seed), given.steps_scale)
    # A rehearsal's numbers are no record.
    given.out = given.out or (
        RESULTS if given.steps_scale == 1 else run.folder / "results"
    )
    rows = []
    for row in COMMANDS[given.command](run, given):
        rows.append(row)
        print(row["system"], _numbers(row.get("test", row)))
    manifest = {"command": given.command, "each": given.each} | run.circumstances()
    path = given.out / f"{run.key}-{given.command}.json"
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
