"""What railings, turns, light and blur cost: every system under every corruption.

    python -m book.robustness --seeds 0 1 2

Writes <dataset>-robustness.json into book/results: a manifest, and one row for each
system, factor and severity over all seeds, with 95 % limits over identities under
"interval" and the paired difference to R2 under "over R2". Queries are spoiled, the
gallery stays clean. Cells are kept in the run's folder, so that a second call goes on
where the first was stopped. Photographs know corruptions of pixels only; a rendered
world takes its scenes again.
"""

from collections.abc import Iterator
from pathlib import Path

from book.experiments import RESULTS, Row, begun, options
from reidlib import manifests
from reidlib.records import write_record
from reidlib.retrieval import as_record
from reidlib.robustness import Grid, grid, one_each
from reidlib.robustness.bench import METRICS
from reidlib.systems import systems


def rows_of(found: Grid) -> Iterator[Row]:
    """A row for each system, factor and severity."""
    for factor, steps in found.severities.items():
        for severity in steps:
            for system in found.systems:
                yield {
                    "system": system,
                    "factor": factor,
                    "unit": found.factors[factor].unit,
                    "severity": severity,
                    "seeds": list(found.seeds),
                    "queries": len(found.pids),
                } | _marks(found, system, factor, severity)


def _marks(found: Grid, system: str, factor: str, severity: float) -> Row:
    where = factor, severity
    gaps = {m: found.over(system, "R2", *where, m) for m in METRICS}
    return {
        **as_record({m: found.interval(system, *where, m) for m in METRICS}),
        "over R2": {m: gap.value for m, gap in gaps.items()}
        | {"interval": {m: [gap.low, gap.high] for m, gap in gaps.items()}},
    }


def main(arguments: list[str] | None = None) -> Path:
    """Measure all cells; the file that was written."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--factors", nargs="+", help="default: all of the data set")
    parser.add_argument("--each", type=int, default=1, help="queries of a person")
    parser.add_argument("--people", type=int, help="at most so many; default: all")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    run = begun(given, 0)
    known = systems(run)
    found = grid(
        run,
        {name: system.describe for name, system in known.items()},
        given.factors,
        seeds=given.seeds,
        rows=one_each(run, given.each, given.people),
    )
    rows = list(rows_of(found))
    for row in rows:
        if row["severity"] == found.factors[row["factor"]].middle:
            print(row["factor"], row["system"], f"{row['mAP']:.3f}")
    manifest = run.circumstances() | {
        "command": "robustness",
        "seeds": given.seeds,
        "queries": len(found.pids),
        "where": "query",
        "systems": {name: system.content for name, system in known.items()},
        "code of robustness": manifests.code_digest(("robustness",)),
    }
    path = given.out / f"{run.key}-robustness.json"
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
