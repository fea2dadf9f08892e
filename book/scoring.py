"""How the systems of ``book/fusions.py`` are scored, and what their rows say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from book.experiments import difference
from reidlib import fusing, runs
from reidlib.data import validation_split
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


def rows_of(seed: int, found: dict[str, Scored]) -> Iterator[Row]:
    """A row for each system of one seed."""
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
        } | _sides([mine], [base])


def over_seeds(found: dict[int, dict[str, Scored]]) -> Iterator[Row]:
    """A row for each system over all seeds: a query's values are averaged first."""
    first = next(iter(found.values()))
    base = next(iter(first))
    for name in first:
        mine = [one[name] for one in found.values()]
        theirs = [one[base] for one in found.values()]
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
