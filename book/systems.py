"""Whole systems side by side, each also re-ranked: how well they do, and at what cost.

    python -m book.systems --seeds 0 1 2
    python -m book.systems --dataset cuhk01 --root data/CUHK01 --trials 0 1 2

Writes <dataset>-systems.json (of another profile than smoke,
<dataset>-systems-<profile>.json) into book/results: a manifest, and one row for each
system, without and with re-ranking, seed and trial, beside rows over all seeds and the
mean and standard deviation over trials. Costs are those of one warm call on a batch.
What is trained are stages of a run, so that a second call goes on where the first was
stopped; a system whose training broke says why under "stopped".
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from book.experiments import RESULTS, difference, kinds, scaled
from book.looking import Both, Drawings, Fused, Views
from book.scoring import (
    FOUND,
    Row,
    Scored,
    System,
    held_out_weight,
    over_seeds,
    rows_of,
)
from reidlib import fusing, manifests, runs, stages
from reidlib.costs import extra_memory, milliseconds
from reidlib.errors import ReIDConfigError, ReIDDataError, ReIDError
from reidlib.records import write_record
from reidlib.retrieval import RetrievalResult, as_record, bootstrap, over_trials
from reidlib.training import extract, recipe
from reidlib.training.features import describer

GROUPS = ("as retrieved", "re-ranked")
CONTROL = "control: second encoder on copies"
BATCH = 16  # pictures of a call whose cost is measured
RANKS = ("rank1", "rank5", "rank10", "mAP")


@dataclass(frozen=True)
class Subject:
    """A system's descriptors of a run, and the network that makes them."""

    system: System
    network: nn.Module


def r1(run: runs.Run) -> Subject:
    """R1; its row says whether ImageNet or attributes taught it."""
    trained = stages.r1(run)
    made = stages.features(run, trained, "r1")
    return Subject(
        System("R1", "", made, 1, 0, {"kind": trained.kind}), trained.network
    )


def r2(run: runs.Run, name: str = "R2", by: str = "") -> Subject:
    """R2 of the profile, or by a recipe."""
    config = recipe(by, run.profile.encoder) if by else run.profile.encoder
    stage = "r2" if config == run.profile.encoder else f"r2-{by}"
    trained = stages.r2(run, config, stage)
    made = stages.features(run, trained, stage)
    return Subject(System(name, "", made, 1, 0, {}), trained.network)


def paper(run: runs.Run) -> Subject:
    """The paper's chain: the vector generator and FusionNet."""
    chosen = stages.poses(run)
    fused, made = stages.fusion(run, chosen)
    k = len(chosen.network.poses_)
    drawings = Drawings(run, stages.ptgan(run))
    network = Fused(stages.r2(run).network, drawings, None, fused.network)
    return Subject(System("pt-GAN and FusionNet", "", made, 1 + k, k, {}), network)


def ruled(
    run: runs.Run, name: str, rule: Any, *, kind: str = "drawn", second: bool = False
) -> Subject:
    """A rule on the drawings of the aligned generator, as in `book.fusions`.

    Args:
        kind: "drawn"; or a control in place of the drawings, "augmented" or "copies";
            or "views and drawings".
        second: whether they have an encoder of their own.
    """
    drawer = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    eye = fusing.second_encoder(run, kind, drawer=drawer) if second else None
    found = fusing.evidence(run, kind, drawer=drawer, second=eye)
    k = 1 if kind == "copies" else found.count  # all copies are one
    drawn = {s: x[:, :k] for s, x in found.drawn.items()}
    facts: Row = {}
    if rule is not fusing.maximum:
        known = found.source["train"], drawn["train"]
        facts["weight"] = held_out_weight(run, rule, *known)
        rule = rule(facts["weight"])
    made = {s: rule(found.source[s], drawn[s]) for s in FOUND}
    drawings, poses = Drawings(run, drawer), len(stages.poses(run).network.poses_)
    more: nn.Module = {
        "drawn": drawings,
        "copies": Views(),
        "augmented": Views(poses),
        "views and drawings": Both(Views(poses), drawings),
    }[kind]
    network = Fused(stages.r2(run).network, more, eye and eye.network, rule)
    count = poses if kind in ("drawn", "views and drawings") else 0
    return Subject(System(name, "", made, 1 + k, count, facts), network)


def held(run: runs.Run, name: str, part: str = "") -> Subject:
    """The full model that comes with the package, or a part: taught by other people."""
    from reidlib.shipped import shipped

    if run.profile.size != (64, 32):
        raise ReIDConfigError(f"it takes 64 x 32 pictures, not {run.profile.size}.")
    phi = shipped()
    network = getattr(phi, part) if part else phi
    made = {s: extract(network, run.images(s)) for s in FOUND}
    k = 0 if part else len(phi.poses)
    facts = {"trained on": "other, synthetic people"}
    return Subject(System(name, "", made, 1 + k, k, facts), network)


SYSTEMS: dict[str, Callable[[runs.Run], Subject]] = {
    "r2": r2,
    "r1": r1,
    "r2-paper": partial(r2, name="R2, paper's recipe", by="paper"),
    "r2-modern": partial(r2, name="R2, modern recipe", by="modern"),
    "paper": paper,
    "maximum": partial(ruled, name="maximum, as PN-GAN", rule=fusing.maximum),
    "sum": partial(ruled, name="sum, as Pose2ID", rule=fusing.weighted_sum),
    "full": partial(ruled, name="full model", rule=fusing.slots, second=True),
    "views": partial(
        ruled, name="control: shifted views", rule=fusing.slots, kind="augmented"
    ),
    "own-views": partial(
        ruled,
        name="control: shifted views, own encoder",
        rule=fusing.slots,
        kind="augmented",
        second=True,
    ),
    "full-views": partial(
        ruled,
        name="full model with views",
        rule=fusing.slots,
        kind="views and drawings",
        second=True,
    ),
    "twice": partial(
        ruled,
        name=CONTROL,
        rule=fusing.slots,
        kind="copies",
        second=True,
    ),
    "shipped-r2": partial(held, name="shipped R2", part="r2"),
    "shipped": partial(held, name="shipped full model"),
}


def reranked(run: runs.Run, made: dict[str, Tensor]) -> tuple[RetrievalResult, float]:
    """Scores after re-ranking, and its seconds."""
    start = time.perf_counter()
    distances = run.reranked(made["query"], made["gallery"])
    seconds = time.perf_counter() - start
    return run.score(distances), seconds


def cost(run: runs.Run, network: nn.Module) -> Row:
    """Of describing a picture: milliseconds, and MB of a batch; and the weights."""
    batch = run.images("query")[:BATCH]
    describe = describer(network, precision=run.profile.encoder.precision)

    def work() -> Tensor:
        return describe(batch).cpu()

    memory = extra_memory(work)
    return {
        "ms": milliseconds(work) / len(batch),
        "memory_mb": None if np.isnan(memory) else round(memory, 1),
        "parameters": sum(p.numel() for p in network.parameters()),
    }


def both(run: runs.Run, subject: Subject) -> Iterator[Scored]:
    """A system as retrieved, and re-ranked."""
    system, queries = subject.system, len(run.data.query)
    facts = system.facts | cost(run, subject.network)
    plain = replace(system, group=GROUPS[0], facts=facts)
    yield Scored(plain, run.evaluate(*(system.made[s] for s in FOUND)), None)
    result, seconds = reranked(run, system.made)
    more = facts | {"re-ranking ms": 1000 * seconds / queries}
    yield Scored(replace(system, group=GROUPS[1], facts=more), result, None)


Found = tuple[dict[str, Scored], dict[str, Scored]]  # by system, for each of GROUPS


def measured(run: runs.Run, names: list[str]) -> tuple[Found, list[Row]]:
    """Every system of a run as retrieved and re-ranked, and rows of what broke.

    R2 must not break: all others are compared with it.
    """
    found: Found = ({}, {})
    broken: list[Row] = []
    for name in names:
        try:
            subject = SYSTEMS[name](run)
        except ReIDDataError:
            raise
        except ReIDError as error:
            if name == "r2":
                raise
            broken.append({"system": name, "seed": run.seed, "stopped": str(error)})
            print(run.key, run.seed, name, error, flush=True)
            continue
        for kind, mine in zip(found, both(run, subject), strict=True):
            kind[mine.system.name] = mine
        marks = [f"{kind[subject.system.name].result.mAP:.3f}" for kind in found]
        print(run.key, run.seed, name, *marks, flush=True)
    return found, broken


def ranked_rows(seed: int, found: dict[str, Scored]) -> Iterator[Row]:
    """Rows with rank-5 and rank-10 too, as the tables of the paper."""
    for row, mine in zip(rows_of(seed, found), found.values(), strict=True):
        row |= as_record(bootstrap(mine.result, seed=seed), RANKS)
        if CONTROL in found:
            theirs = found[CONTROL].result
            row["over control"] = difference(mine.result, theirs, seed)
        if mine.result.single_average_precision is not None:
            row["mAP_single"] = mine.result.mAP_single
        yield row


def trial_rows(found: list[Found]) -> Iterator[Row]:
    """Mean and standard deviation over trials, of one seed."""
    for kind, group in enumerate(GROUPS):
        for name in dict.fromkeys(name for one in found for name in one[kind]):
            each = [one[kind][name].result for one in found if name in one[kind]]
            marks = over_trials(each, RANKS)
            yield {
                "system": name,
                "group": group,
                "trial": "all",
                "trials": len(each),
                "spread": {m: {"mean": s.mean, "std": s.std} for m, s in marks.items()},
            }


def options() -> argparse.ArgumentParser:
    """What can be asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--root", default="", help="empty: the world is rendered")
    parser.add_argument("--profile", default="smoke", help="smoke, longer or full")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[0])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    parser.add_argument("--steps-scale", type=float, default=1, help="for a rehearsal")
    parser.add_argument("--out", type=Path, help="folder; default: book/results")
    return parser


def main(arguments: list[str] | None = None) -> Path:
    """Compare the systems; the file that was written."""
    given = options().parse_args(arguments)
    names = ["r2", *(name for name in given.systems if name != "r2")]
    chosen = {k: getattr(given, k) for k in ("dataset", "root", "profile")}
    rows: list[Row] = []
    trials: list[Found] = []
    for trial in given.trials:
        mark = {"trial": trial} if len(given.trials) > 1 else {}
        over: tuple[dict, dict] = ({}, {})
        for seed in given.seeds:
            choice = {"trial": trial} if trial else {}
            run = runs.begin("systems", **chosen, seed=seed, **choice)
            run = scaled(run, given.steps_scale)
            found, broken = measured(run, names)
            if seed == given.seeds[0]:
                trials.append(found)
            rows += [row | mark for row in broken]
            for kind, one in zip(over, found, strict=True):
                kind[seed] = one
                rows += [row | mark for row in ranked_rows(seed, one)]
        if len(given.seeds) > 1:
            for kind in over:
                for row in over_seeds(kind):  # what it costs, the last seed says
                    having = [one for one in kind.values() if row["system"] in one]
                    facts = having[-1][row["system"]].system.facts
                    rows.append(facts | row | mark)
    if len(given.trials) > 1:
        rows += trial_rows(trials)
    key = run.key.removesuffix(f"-trial{run.data.trial}")
    manifest = run.circumstances() | {
        "command": "systems",
        "dataset": key,
        "seed": given.seeds[0],
        "seeds": given.seeds,
        "trials": given.trials,
        "reranking": run.reranking,
        "batch": BATCH,
        "code of fusing": manifests.code_digest(("fusing",)),
    }
    # A rehearsal's numbers are no record.
    out = RESULTS if given.steps_scale == 1 else run.folder / "results"
    scale = "" if given.profile == "smoke" else f"-{given.profile}"
    path = (given.out or out) / f"{key}-systems{scale}.json"
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
