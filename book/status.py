"""The page that says when each chapter ran last, how long, and with what.

    python -m book.status runs/synthetic/smoke

gathers what `make reproduce` left in a run's folder into book/execution.json
and book/status.md. Nothing on the page is typed.
"""

import argparse
import json
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from reidlib import manifests

BOOK = Path(__file__).resolve().parent
KEPT = ("dataset", "profile", "seed", "device", "threads", "code")
PAGE = """\
# Execution status

The last run of all chapters: data set `{dataset}`, profile `{profile}`, seed {seed},
{threads} thread for each chapter on {device}. The digest of the code that trains was
`{code}`, the libraries were {versions}.

{chapters}

A chapter's time holds the training of whatever {{term}}`stage` it had to make, and not
of those that it found; it is longer where the machine had other work. Memory is the
largest that its process held.

```{{admonition}} What making each stage took
:class: dropdown

{stages}
```

This page was written by

```bash
make reproduce
.venv/bin/python -m book.status runs/{dataset}/{profile}
```
"""


def _record(run: Path, name: str) -> Path:
    """A chapter's record; chapter 10 makes a data set of its own, and so a run."""
    own = run / "results" / name
    others = run.parents[1].glob(f"*/{run.name}/results/{name}")
    return own if own.exists() else max(others, key=os.path.getmtime, default=own)


def gathered(run: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of chapters and of stages: seconds, MB, and what they were made with.

    Raises:
        FileNotFoundError: no chapter of this run has ended, or one left no record.
    """
    chapters = []
    for path in sorted((run / "chapters").glob("*.json")):
        record = json.loads(_record(run, path.name).read_text("utf-8"))
        manifest = record["manifest"]
        row = {"chapter": path.stem, "memory_mb": manifest["peak_memory_mb"]}
        row |= json.loads(path.read_text("utf-8"))
        row |= {name: manifest[name] for name in (*KEPT, "versions")}
        row["dataset"] = run.parent.name  # chapter 10's has another name
        chapters.append(row)
    if not chapters:
        raise FileNotFoundError(f"{run}/chapters is empty; make reproduce fills it.")
    stages = []
    shared = run.parents[1] / "attributes" / run.name  # R1 serves all data sets
    made = (sorted(folder.glob("*/manifest.json")) for folder in (shared, run))
    for path in chain.from_iterable(made):
        made = json.loads(path.read_text("utf-8"))
        row = {"stage": made["stage"], "seconds": made["wall_s"]}
        stages.append(row | {"memory_mb": made["peak_memory_mb"]})
    return {"chapters": chapters, "stages": stages}


def page(found: dict[str, list[dict[str, Any]]]) -> str:
    """The text of book/status.md."""
    chapters, stages = found["chapters"], found["stages"]
    ran = [["chapter", "minutes", "memory, MB", "last verified", "Python", "torch"]]
    for row in chapters:
        name = row["chapter"]
        number = int(name.split("_", 1)[0])
        line = [f"{{doc}}`{number} <chapters/{name}>`", f"{row['seconds'] / 60:.1f}"]
        line += [f"{row['memory_mb']:,}", row["finished"]]
        ran.append(line + [row["versions"][name] for name in ("python", "torch")])
    trained = [["stage", "seconds", "memory, MB"]]
    for row in stages:
        line = [f"`{row['stage']}`", f"{row['seconds']:.0f}", f"{row['memory_mb']:,}"]
        trained.append(line)
    versions = [f"{k} {v}" for row in chapters for k, v in row["versions"].items()]
    return PAGE.format(
        **{name: once(row[name] for row in chapters) for name in KEPT},
        chapters=table(ran),
        stages=table(trained),
        versions=once(sorted(versions)),
    )


def table(lines: list[list[str]]) -> str:
    """A Markdown table; the first line is its head."""
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def once(values: Iterable[Any]) -> str:
    """Each value, in the order of its first appearance."""
    return ", ".join(dict.fromkeys(map(str, values)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    found = gathered(parser.parse_args().run)
    manifests.write_json(BOOK / "execution.json", found)
    (BOOK / "status.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
