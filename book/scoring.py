"""How the systems of ``book/fusions.py`` are scored, and what their rows say."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from book.experiments import difference
from reidlib import fusing, runs
from reidlib.data import validation_split
from reidlib.fusing import Evidence
from reidlib.fusing.kinds import ONCE
from reidlib.retrieval import (
    PoseCurve,
    RetrievalResult,
    as_record,
    bootstrap,
    by_pose_distance,
    interval,
)

Row = dict[str, Any]
Facing = list[NDArray[np.float64] | None]
FOUND = ("query", "gallery")
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


def held_out_weight(run: runs.Run, make: Any, source: Tensor, drawn: Tensor) -> float:
    """The weight of a rule that held-out training identities like best.

    Args:
        make: weight → rule, as of `fusing.fitted_weight`.
        source, drawn: (N, D) and (N, K, D') of the training pictures.
    """
    table = run.data.train
    out = validation_split(table["pid"], run.profile.fusion.held_out, run.seed)
    rows = torch.as_tensor(out)
    return fusing.fitted_weight(make, source[rows], drawn[rows], table[out])


def ruled(
    run: runs.Run, name: str, group: str, found: Evidence, rule: Any, drawn: bool = True
) -> System:
    """A rule on some evidence; a rule of a weight gets that of held-out identities."""
    facts: Row = {}
    if rule in (fusing.slots, fusing.weighted_sum):
        known = found.source["train"], found.drawn["train"]
        facts["weight"] = held_out_weight(run, rule, *known)
        rule = rule(facts["weight"])
    made = {s: rule(found.source[s], found.drawn[s]) for s in FOUND}
    k = found.count
    encoded = 2 if found.kind in ONCE else 1 + k
    return System(name, group, made, encoded, k if drawn else 0, facts)


def baseline(run: runs.Run, found: Evidence) -> System:
    """R2 alone, which everything is compared with."""
    alone = ruled(run, "R2", "input", found, fusing.input_only)
    return replace(alone, encoded=1, drawn=0)


def headings(run: runs.Run, split: str) -> NDArray[np.float64] | None:
    """(N,) degrees in which people walk, as rendered; None for photographs."""
    if not run.rendered:
        return None
    from reidlib.data.synthetic import open_world, true_shot

    world = open_world(run.data.root)
    names = getattr(run.data, split)["path"]
    return np.degrees([true_shot(world, name).facing for name in names])


def by_side(run: runs.Run, made: dict[str, Tensor], facing: Facing) -> PoseCurve | None:
    """Matches seen from the query's side, and from the other."""
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


@dataclass(frozen=True)
class Scored:
    """A system's result on one seed, and by side."""

    system: System
    result: RetrievalResult
    sides: PoseCurve | None


def scored(run: runs.Run, system: System, facing: Facing) -> Scored:
    """Search the gallery with a system's descriptors.

    Args:
        facing: `headings` of query and gallery.
    """
    result = run.evaluate(*(system.made[s] for s in FOUND))
    return Scored(system, result, by_side(run, system.made, facing))


def rows_of(
    seed: int, found: dict[str, Scored], against: dict[str, str] | None = None
) -> Iterator[Row]:
    """A row for each system of one seed.

    Args:
        found: "group: system" → its result; the first is R2's.
        against: what else they are all compared with: its name in the rows → its key.
    """
    base = next(iter(found.values()))
    for mine in found.values():
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
            **{
                f"over {name}": difference(mine.result, found[key].result, seed)
                for name, key in (against or {}).items()
            },
        } | _sides([mine], [base])


def over_seeds(
    found: dict[int, dict[str, Scored]], against: dict[str, str] | None = None
) -> Iterator[Row]:
    """A row for each system over all seeds: a query's values are averaged first.

    A system that some seeds lack is averaged, and compared, over those that have it.

    Args:
        found: seed → as in `rows_of`.
        against: as there.
    """
    bases = {"R2": next(iter(next(iter(found.values()))))} | (against or {})
    for name in dict.fromkeys(name for one in found.values() for name in one):
        having = [one for one in found.values() if name in one]
        mine = [one[name] for one in having]
        pids = mine[0].result.query_pids
        row: Row = {"system": mine[0].system.name, "group": mine[0].system.group}
        row |= {"seed": "all", "seeds": len(having)}
        marks = _marks(mine)
        row |= _means({m: v.mean(0) for m, v in marks.items()}, pids)
        for label, key in bases.items():
            theirs = _marks([one[key] for one in having])
            gaps = {m: v - theirs[m] for m, v in marks.items()}  # (seeds, queries)
            row[f"over {label}"] = {
                **_means({m: v.mean(0) for m, v in gaps.items()}, pids),
                "mAP of each seed": np.nanmean(gaps["mAP"], axis=1).tolist(),
            }
        yield row | _sides(mine, [one[bases["R2"]] for one in having])


def _marks(seeds: list[Scored]) -> dict[str, NDArray[np.float64]]:
    """(seeds, queries) of each metric."""
    return {
        m: np.stack([s.result.per_query(m) for s in seeds]) for m in ("rank1", "mAP")
    }


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
