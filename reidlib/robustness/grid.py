"""Every system under every corruption: factor x severity x seed, one cell at a time.

The gallery stays clean and the queries are spoiled: a camera that fails is usually one
of many. A cell's marks are kept in a file named by everything that decides them (what
the system says about some pictures, the spoiled pictures, the gallery, the ids and the
code of the marks), so that a run that was killed goes on, and a changed corruption or
system is never mistaken for its former self.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import digest
from reidlib.retrieval import Interval, interval
from reidlib.robustness.bench import METRICS, Bench, Describe, Marks
from reidlib.robustness.corruptions import (
    FACTORS,
    Corruption,
    Factor,
    check_severity,
)
from reidlib.robustness.scenes import SCENES
from reidlib.robustness.spread import cores, spread
from reidlib.runs import Run

Factors = dict[str, Factor[Any]]
COLUMNS = ("grid", "of", "system", "factor", "unit", "severity", "seed", "queries")
RATES = tuple(f"{m}{end}" for m in METRICS for end in ("", " low", " high"))


@dataclass(frozen=True)
class Grid:
    """The marks of every query in every cell.

    Attributes:
        systems: their names.
        factors: by name.
        severities: of each factor, 0 first.
        seeds: of what is drawn.
        rows: (Q,) of the query table.
        pids: (Q,).
        marks: (system, factor, severity, seed) → "rank1" and "mAP", and "intra" and
            "inter", mean cosine distances to the query's matches and to other people;
            (Q,) each, NaN for a query without a match.
        clean: system → descriptors of the clean "query" (Q, D) and "gallery" (G, D).
        key: digest of what was asked, of which systems, and of the data.
    """

    systems: tuple[str, ...]
    factors: Factors
    severities: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    rows: NDArray[np.int64]
    pids: NDArray[np.int64]
    marks: dict[tuple[str, str, float, int], Marks]
    clean: dict[str, dict[str, Tensor]]
    key: str

    def values(
        self, system: str, factor: str, severity: float, metric: str
    ) -> NDArray[np.float64]:
        """(Q,) a mark of every query, averaged over the seeds.

        Raises:
            ReIDConfigError: no such cell, or no such mark.
        """
        found = [self.marks.get((system, factor, severity, s), {}) for s in self.seeds]
        if any(metric not in marks for marks in found):
            raise ReIDConfigError(
                f"the grid has no '{metric}' of '{system}' under '{factor}' at "
                f"{severity}; its systems are {', '.join(self.systems)}, its factors "
                f"{', '.join(self.factors)}."
            )
        return np.mean([marks[metric] for marks in found], axis=0)

    def interval(
        self, system: str, factor: str, severity: float, metric: str = "mAP"
    ) -> Interval:
        """A mark with its 95 % interval over query identities."""
        return interval(self.values(system, factor, severity, metric), self.pids)

    def over(
        self, a: str, b: str, factor: str, severity: float, metric: str = "mAP"
    ) -> Interval:
        """How much more system a has than b; the limits of `paired_bootstrap`."""
        mine, theirs = (self.values(s, factor, severity, metric) for s in (a, b))
        return interval(mine - theirs, self.pids)

    def curve(
        self, factor: str, metric: str = "mAP"
    ) -> dict[str, dict[float, Interval]]:
        """System → severity → mark, for `plots.interval_lines`."""
        return {
            system: {
                s: self.interval(system, factor, s, metric)
                for s in self.severities[factor]
            }
            for system in self.systems
        }

    def table(self) -> pd.DataFrame:
        """One row for each system, factor, severity and seed.

        Columns: grid (its key), of (rows of the whole table), system, factor, unit,
        severity, seed, queries, and rank1 and mAP with their limits.
        """
        lines = []
        for (system, factor, severity, seed), marks in self.marks.items():
            line: dict[str, object] = {"grid": self.key, "of": len(self.marks)}
            line |= {"system": system, "factor": factor}
            line |= {"unit": self.factors[factor].unit, "severity": severity}
            line |= {"seed": seed, "queries": len(self.pids)}
            for metric in METRICS:
                found = interval(marks[metric], self.pids)
                line[metric] = found.value
                line[f"{metric} low"], line[f"{metric} high"] = found.low, found.high
            lines.append(line)
        return pd.DataFrame(lines)


def factors_of(run: Run) -> Factors:
    """What a data set can be asked: scenes where it is rendered, pictures anywhere.

    Where both know a factor, the scene is taken again.
    """
    if not run.rendered:
        return dict(FACTORS)
    return {**SCENES, **{k: v for k, v in FACTORS.items() if k not in SCENES}}


def one_each(run: Run, each: int = 1, people: int | None = None) -> NDArray[np.int64]:
    """Rows of the first queries of every identity, or of the first so many of them."""
    table = run.data.query.reset_index(drop=True)
    table = table[table["pid"] > 0]
    kept = np.sort(table["pid"].unique())[:people]
    rows = table[table["pid"].isin(kept)].groupby("pid").head(each)
    return rows.index.to_numpy(np.int64)


def grid(
    run: Run,
    systems: Mapping[str, Describe],
    names: Sequence[str] | None = None,
    *,
    severities: Mapping[str, Sequence[float]] | None = None,
    seeds: Sequence[int] = (0,),
    rows: Sequence[int] | NDArray[np.int64] | None = None,
    corruptions: Mapping[str, Corruption | Factor[Corruption]] | None = None,
    cache: Path | None = None,
    workers: int | None = None,
) -> Grid:
    """Ask every system for spoiled queries in the clean gallery.

    A corruption of your own is a function (N, 3, H, W) uint8, severity, generator →
    uint8 of that shape; by itself it is asked at 0.25, 0.5, 0.75 and 1:

        grid(run, systems, ["mine"], corruptions={"mine": my_function})

    Args:
        run: whose query and gallery.
        systems: name → pictures (N, 3, H, W) uint8 to descriptors (N, D), compared by
            cosine.
        names: of the factors; None: all that the data set can be asked, and yours.
        severities: factor → rising, above 0; a factor that is missing keeps its own.
        seeds: of what is drawn.
        rows: of the query table; None: all.
        corruptions: name → your function or `Factor`; takes the place of ours of that
            name.
        cache: folder of the marks; None: "robustness" in the run's.
        workers: processes that share the cells; None: one for each core
            where PyTorch uses one thread of a CPU, else 1.

    Raises:
        ReIDConfigError: an unknown factor, a severity out of range, no system, seed,
            query or worker.
    """
    count = cores(workers)
    factors = _chosen(run, names, corruptions or {})
    asked = {n: _steps(n, f, (severities or {}).get(n)) for n, f in factors.items()}
    _check_known(severities or {}, factors)
    chosen = np.arange(len(run.data.query)) if rows is None else np.asarray(rows)
    if not len(systems) or not len(seeds) or not len(chosen):
        raise ReIDConfigError(
            f"a grid needs systems, seeds and queries, and there are {len(systems)}, "
            f"{len(seeds)} and {len(chosen)}; give one of each or more."
        )
    bench = Bench(run, chosen, cache or run.folder / "robustness")
    judges = {name: bench.judge(describe) for name, describe in systems.items()}
    cells = [(n, s, k) for n in factors for s in asked[n] for k in seeds]

    def ask(cell: tuple[str, float, int]) -> dict[str, Marks]:
        name, severity, seed = cell
        images = bench.pictures(name, factors[name], severity, seed)
        return {system: judge(images) for system, judge in judges.items()}

    ask(cells[0])  # the clean cell, which all factors share
    answers = tqdm(spread(ask, cells, count), "robustness", len(cells), leave=False)
    marks = dict(zip(cells, answers, strict=True))
    key = digest([list(systems), bench.probes, asked, list(seeds), bench.data])
    return Grid(
        tuple(systems),
        factors,
        asked,
        tuple(seeds),
        chosen,
        bench.ids[0],
        {(s, *cell): marks[cell][s] for s in systems for cell in cells},
        dict(zip(systems, bench.features, strict=True)),
        key,
    )


def read_table(path: Path, key: str | None = None) -> pd.DataFrame:
    """A grid's table from its CSV.

    Args:
        path: written by ``grid.table().to_csv(path, index=False)``.
        key: of the grid that it must be of; None: any.

    Raises:
        ReIDDataError: the file is missing, no such table, cut short, or of another
            grid.
    """
    again = "write it again with grid.table().to_csv(path, index=False)."
    try:
        found = pd.read_csv(path, dtype={"grid": str})
    except (OSError, ValueError) as fault:
        raise ReIDDataError(
            f"{path} is no table of a grid ({fault}); {again}"
        ) from fault
    lacking = [c for c in (*COLUMNS, *RATES) if c not in found]
    if lacking or found.empty:
        raise ReIDDataError(f"{path} lacks {', '.join(lacking) or 'rows'}; {again}")
    if len(found) != found["of"].iloc[0] or found[list(RATES)].isna().any(axis=None):
        raise ReIDDataError(
            f"{path} is cut short: {len(found)} of {found['of'].iloc[0]} rows, or a "
            f"row without its numbers; {again}"
        )
    wanted = found["grid"].iloc[0] if key is None else key
    if (found["grid"] != wanted).any():
        others = found["grid"].astype(str).unique()
        raise ReIDDataError(
            f"{path} is of another grid ({', '.join(others)}, not {wanted}); {again}"
        )
    return found


def _chosen(
    run: Run,
    names: Sequence[str] | None,
    own: Mapping[str, Corruption | Factor[Corruption]],
) -> Factors:
    yours = {k: f if isinstance(f, Factor) else Factor(f) for k, f in own.items()}
    known: Factors = {**factors_of(run), **yours}
    for name in names or ():
        if name not in known:
            why = f" ({run.data.root} is no rendered world)" if name in SCENES else ""
            raise ReIDConfigError(
                f"There is no factor '{name}'{why}; choose one of {', '.join(known)}, "
                f"or give corruptions={{'{name}': function}}."
            )
    return known if names is None else {name: known[name] for name in names}


def _check_known(severities: Mapping[str, Sequence[float]], factors: Factors) -> None:
    for name in severities:
        if name not in factors:
            raise ReIDConfigError(
                f"severities are given of '{name}', which is not asked; the factors "
                f"are {', '.join(factors)}."
            )


def _steps(
    name: str, factor: Factor[Any], given: Sequence[float] | None
) -> tuple[float, ...]:
    """0 and the severities of a factor."""
    steps = tuple(float(s) for s in (factor.severities if given is None else given))
    for severity in steps:
        check_severity(name, factor, severity)
    rising = all(a < b for a, b in zip((0.0, *steps), steps, strict=False))
    if not steps or not rising:
        raise ReIDConfigError(
            f"the severities of '{name}' are {steps}; give rising numbers above 0."
        )
    return (0.0, *steps)
