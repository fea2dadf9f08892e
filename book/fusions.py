"""Does the paper's idea work, and why: fusions, their controls, and the ceiling.

    python -m book.fusions --seeds 0 1 2

writes <dataset>-fusions.json into book/results: a manifest, and one row for each
system and seed, and for each system over all seeds, with every number's 95 % limits
over identities under "interval". What is trained are stages of a run for each seed, so
that a second call goes on where the first was stopped, and seeds can be trained side
by side.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from book.experiments import RESULTS, difference, kinds
from reidlib import fusing, manifests, runs, stages
from reidlib.data import validation_split
from reidlib.fusing import Evidence
from reidlib.retrieval import (
    PoseCurve,
    RetrievalResult,
    as_record,
    bootstrap,
    by_pose_distance,
    interval,
)
from reidlib.training import describe

Row = dict[str, Any]
FOUND = ("query", "gallery")
COUNTS = (1, 2, 8, 12)  # other numbers of poses
SIDES = (0.0, 90.0, 180.0)  # degrees between the headings of query and match


@dataclass(frozen=True)
class System:
    """Descriptors of query and gallery, and what they cost.

    Attributes:
        name, group: of its row.
        made: "query", "gallery" → (N, D').
        encoded, drawn: pictures that an encoder, and the generator, make of each.
        facts: what else its row says.
    """

    name: str
    group: str
    made: dict[str, Tensor]
    encoded: int
    drawn: int
    facts: Row


def ruled(
    run: runs.Run, name: str, group: str, found: Evidence, rule: Any, drawn: bool = True
) -> System:
    """A rule on some evidence; a rule of a weight gets that of held-out identities."""
    facts: Row = {}
    if rule in (fusing.slots, fusing.weighted_sum):
        out = validation_split(
            run.data.train["pid"], run.profile.fusion.held_out, run.seed
        )
        rows = torch.as_tensor(out)
        x, g = found.source["train"][rows], found.drawn["train"][rows]
        facts["weight"] = fusing.fitted_weight(rule, x, g, run.data.train[out])
        rule = rule(facts["weight"])
    made = {s: rule(found.source[s], found.drawn[s]) for s in FOUND}
    k = found.drawn["query"].shape[1]
    return System(name, group, made, 1 + k, k if drawn else 0, facts)


def systems(run: runs.Run) -> Iterator[System]:
    """Everything that is compared, trained where it is missing."""
    paper = fusing.evidence(run)
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    drawn = fusing.evidence(run, drawer=aligned)
    k = drawn.drawn["query"].shape[1]
    yield replace(
        ruled(run, "R2", "input", drawn, fusing.input_only), encoded=1, drawn=0
    )
    yield ruled(run, "slots", "paper's generator", paper, fusing.slots)
    yield learned(run, "FusionNet", "paper's generator", paper)
    yield from _bake_off(run, "aligned generator", drawn)
    second = fusing.second_encoder(run, drawer=aligned)
    better = fusing.evidence(run, drawer=aligned, second=second)
    yield ruled(run, "slots, second encoder", "aligned generator", better, fusing.slots)
    yield from _end_to_end(run, aligned, k)
    yield from _controls(run, aligned, drawn)
    for count in COUNTS:
        chosen = stages.poses(run, n_poses=count)
        more = fusing.evidence(run, drawer=aligned, chosen=chosen)
        yield ruled(run, f"slots, K = {count}", "number of poses", more, fusing.slots)


def _bake_off(run: runs.Run, group: str, drawn: Evidence) -> Iterator[System]:
    """Every rule on the same evidence."""
    for rule in (fusing.mean, fusing.maximum, fusing.weighted_sum, fusing.slots):
        yield ruled(run, rule.__name__.replace("_", " "), group, drawn, rule)
    half = fusing.slots(0.5)
    width = drawn.source["train"].shape[1]
    pca = fusing.reduced(half, drawn.source["train"], drawn.drawn["train"], width)
    yield ruled(run, "slots, PCA", group, drawn, pca)
    _, made = fusing.attention(run, drawn)
    k = drawn.drawn["query"].shape[1]
    yield System("attention", group, made, 1 + k, k, {})
    yield learned(run, "FusionNet", group, drawn)


def learned(run: runs.Run, name: str, group: str, found: Evidence) -> System:
    """FusionNet on some evidence."""
    trained, made = fusing.fusionnet(run, found)
    k = found.drawn["query"].shape[1]
    facts = {"held out": trained.stage.metrics["score"]}
    return System(name, group, made, 1 + k, k, facts)


def _end_to_end(run: runs.Run, aligned: stages.Trained, k: int) -> Iterator[System]:
    for generator in (False, True):
        config = joint_config(run, generator)
        trained, made = fusing.joint(run, config, drawer=aligned)
        name = "FusionNet, end to end" + (" with G" if generator else "")
        facts = {"held out": trained.stage.metrics["score"]}
        yield System(name, "aligned generator", made, 1 + k, k, facts)


def joint_config(run: runs.Run, generator: bool) -> fusing.JointConfig:
    """Fine-tuning as long as the profile's Table II trains, in smaller batches."""
    short, fusion = run.profile.ablation_fusion, run.profile.fusion
    return fusing.JointConfig(
        steps=short.steps,
        batch=min(32, short.batch),
        validations=short.validations,
        hidden=fusion.hidden,
        dropout=fusion.dropout,
        batchnorm=fusion.batchnorm,
        generator=generator,
    )


def _controls(
    run: runs.Run, aligned: stages.Trained, drawn: Evidence
) -> Iterator[System]:
    """What else could bring a gain, and what perfect drawings would."""
    group = "control"
    copies = fusing.evidence(run, "copies")
    yield replace(learned(run, "FusionNet, copies", group, copies), encoded=1, drawn=0)
    again = fusing.second_encoder(run, "copies", drawer=aligned)
    twice = fusing.evidence(run, "copies", second=again)
    two = ruled(run, "slots, second encoder on copies", group, twice, fusing.slots)
    yield replace(two, encoded=2, drawn=0)
    for kind in ("augmented", "random poses", "cleaned", "true"):
        if kind in ("cleaned", "true") and not (run.data.root / "world.json").is_file():
            continue
        found = fusing.evidence(run, kind, drawer=aligned)
        side = "ceiling" if kind in ("cleaned", "true") else group
        made = kind == "random poses"
        yield ruled(run, f"slots, {kind}", side, found, fusing.slots, made)
        if kind != "cleaned":
            fused = learned(run, f"FusionNet, {kind}", side, found)
            yield replace(fused, drawn=fused.drawn if made else 0)
    other = fusing.evidence(run, "strangers", drawer=aligned)
    yield ruled(run, "slots, strangers", group, other, fusing.slots(0.5))
    network = fusing.fusionnet(run, drawn)[0].network
    made_of = {s: describe(network, other.source[s], other.drawn[s]) for s in FOUND}
    k = other.drawn["query"].shape[1]
    yield System("FusionNet, strangers", group, made_of, 1 + k, k, {})


def headings(run: runs.Run, split: str) -> NDArray[np.float64] | None:
    """(N,) degrees in which people walk, as rendered; None for photographs."""
    if not (run.data.root / "world.json").is_file():
        return None
    from reidlib.data.synthetic import open_world, true_shot

    world = open_world(run.data.root)
    names = getattr(run.data, split)["path"]
    return np.degrees([true_shot(world, name).facing for name in names])


def by_side(run: runs.Run, made: dict[str, Tensor]) -> PoseCurve | None:
    """Matches seen from the query's side, and from the other."""
    facing = [headings(run, s) for s in FOUND]
    if facing[0] is None:
        return None
    return by_pose_distance(
        made["query"],
        made["gallery"],
        *run.ids,
        query_headings=facing[0],
        gallery_headings=facing[1],
        bins=SIDES,
        protocol=run.data.protocol,
    )


@dataclass
class Scored:
    """A system's result on one seed, and by side."""

    system: System
    result: RetrievalResult
    sides: PoseCurve | None


def rows_of(seed: int, scored: dict[str, Scored]) -> Iterator[Row]:
    """A row for each system of one seed."""
    base = next(iter(scored.values()))
    for mine in scored.values():
        s = mine.system
        yield {
            "system": s.name,
            "group": s.group,
            "seed": seed,
            **as_record(bootstrap(mine.result, seed=seed)),
            "over R2": difference(mine.result, base.result, seed),
            "numbers": s.made["query"].shape[1],
            "encoded": s.encoded,
            "drawn": s.drawn,
            **s.facts,
        } | _sides([mine], [base])


def over_seeds(found: dict[int, dict[str, Scored]]) -> Iterator[Row]:
    """A row for each system over all seeds: a query's values are averaged first."""
    first = next(iter(found.values()))
    base = next(iter(first))
    for name in first:
        mine = [scored[name] for scored in found.values()]
        theirs = [scored[base] for scored in found.values()]
        pids = mine[0].result.query_pids
        row: Row = {"system": mine[0].system.name, "group": mine[0].system.group}
        row |= {"seed": "all", "seeds": len(found)}
        marks = {m: [s.result.per_query(m) for s in mine] for m in ("rank1", "mAP")}
        bases = {m: [s.result.per_query(m) for s in theirs] for m in marks}
        row |= _means({m: np.mean(v, 0) for m, v in marks.items()}, pids)
        gaps = {m: np.mean(v, 0) - np.mean(bases[m], 0) for m, v in marks.items()}
        each = np.nanmean(np.subtract(marks["mAP"], bases["mAP"]), axis=1).tolist()
        row["over R2"] = _means(gaps, pids) | {"mAP of each seed": each}
        yield row | _sides(mine, theirs)


def _sides(mine: list[Scored], base: list[Scored]) -> Row:
    """mAP among matches from the same and the other side, and the gains over R2."""
    curves = [[s.sides for s in x if s.sides] for x in (mine, base)]
    if not curves[0]:
        return {}
    a, b = (np.mean([c.average_precision for c in x], 0) for x in curves)
    pids = curves[0][0].query_pids
    gain = a - b
    values = {
        "same side": a[:, 0],
        "other side": a[:, 1],
        "gain, same side": gain[:, 0],
        "gain, other side": gain[:, 1],
        "other gains more by": gain[:, 1] - gain[:, 0],
    }
    return {"sides": _means(values, pids)}


def _means(values: dict[str, NDArray[np.float64]], pids: NDArray[np.int64]) -> Row:
    """Means over queries, with their limits under "interval"."""
    found = {name: interval(v, pids) for name, v in values.items()}
    limits = {name: [i.low, i.high] for name, i in found.items()}
    return {name: i.value for name, i in found.items()} | {"interval": limits}


def main(arguments: list[str] | None = None) -> Path:
    """Compare the systems of every seed; the file that was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--root", default="", help="empty: the world is rendered")
    parser.add_argument("--profile", default="smoke", help="smoke or full")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    found: dict[int, dict[str, Scored]] = {}
    for seed in given.seeds:
        run = runs.begin(
            "fusions",
            dataset=given.dataset,
            root=given.root,
            profile=given.profile,
            seed=seed,
        )
        found[seed] = {}
        for system in systems(run):
            result = run.evaluate(*(system.made[s] for s in FOUND))
            scored = Scored(system, result, by_side(run, system.made))
            found[seed][f"{system.group}: {system.name}"] = scored
            print(seed, system.group, system.name, f"{result.mAP:.3f}", flush=True)
    rows = [row for seed, scored in found.items() for row in rows_of(seed, scored)]
    rows += over_seeds(found)
    manifest = {"command": "fusions", "seeds": given.seeds} | run.circumstances()
    manifest["code of fusing"] = manifests.code_digest(("fusing",))
    path = given.out / f"{run.key}-fusions.json"
    manifests.write_json(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
