"""Results at a glance: the table on the README and the book's first page.

`python -m book.records cards` writes it between two marks, from the records of
`python -m book.systems` alone, so that no number there is typed.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from book.cards import measured, table
from book.ladder import MATCHED
from reidlib.errors import ReIDDataError
from reidlib.records import Record
from reidlib.retrieval import Interval

HERE = Path(__file__).resolve().parent
PLACES = (HERE.parent / "README.md", HERE / "intro.md")
MARKS = ("<!-- at a glance -->", "<!-- as far as here -->")
SYSTEMS = {
    "R1": "R1",
    "R2": "R2",
    "pt-GAN and FusionNet": "the paper's chain",
    "full model": "full model",
}
NAMES = {
    "synthetic-systems": "rendered people",
    "market1501-holdout-systems": "photographs: Market-1501, hold-out",
    "market1501-holdout-systems-longer": "the same, `longer`",
    "cuhk01-systems": "photographs: CUHK01",
}
NOTE = """\
*mAP as retrieved, with 95 % intervals over people, or ± the standard deviation over
trials; in round brackets the gain over R2 on the same queries. At the `smoke` scale
pictures have 64 by 32 pixels, and small networks train for minutes; at `longer` they
have the paper's 128 by 64, and networks train for up to three quarters of an hour, on
two CPU cores as well. One training each. The full model is what this book found instead
of the paper's chain. Hold-out means people of the training half: the benchmark's own
test was not run.*
"""
BROKEN = """\
- Trainings of pt-GAN that its alarm stopped, and that are left out: {}.
"""

LONGER = """\
- R2 alone, trained for {minutes:.0f} minutes on two CPU cores on pictures of {height}
  by {width} (chapter 3): rank-1 {rank1}, mAP {mAP} on Market-1501's hold-out.
"""
FAIR = """\
- On rendered people drawings gain {} over R2 in the mean of {} trainings (the table
  has the first), as many shifted views of the picture {}, and both
  together {}; each is seen by an encoder that was trained on it (chapter 6).
"""
VIEWS = """\
- On photographs at `smoke` such views gain {} over R2, the full model
  {}. Over an R2 that was trained on, views gain {} and drawings
  {}; drawings beside the views add {} (chapter 6).
"""
LEFT = """\
- Part of the gain at `longer` is not the poses': over an R2 that was trained on for as
  long and sees several views of each picture, drawings gain {} (chapter 6).
"""


def cell(rows: list[Record], system: str) -> str:
    """One system's mAP and its gain over R2, or a dash where it was not measured."""
    mine = [r for r in rows if r["system"] == system]
    if not mine:
        return "–"
    gains = [r["over R2"]["mAP"] for r in mine]
    if len(mine) == 1:
        low, high = mine[0]["interval"]["mAP"]
        text = f"{mine[0]['mAP']:.2f} [{low:.2f}, {high:.2f}]"
        gain = f"({signed(mine[0]['over R2'])})"
    else:
        values = [r["mAP"] for r in mine]
        text = f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
        gain = f"({np.mean(gains):+.2f} ± {np.std(gains, ddof=1):.2f})"
    return text if system == "R2" else f"{text} {gain}"


def glance(records: Mapping[str, Record]) -> str:
    """The table, from the records of whole systems."""
    lines, broken = [], 0
    for record, name in NAMES.items():
        entry = records.get(record)
        if entry is None:
            continue
        rows = [r for r in measured(entry) if r["group"] == "as retrieved"]
        lines.append([name, *(cell(rows, system) for system in SYSTEMS)])
        broken += sum("stopped" in row for row in entry["rows"])
    note = f"{NOTE}\n" + (BROKEN.format(broken) if broken else "")
    note += fair(records.get("synthetic-fusions-encoders"))
    note += views(records.get("market1501-holdout-ladder-smoke"))
    note += left(records.get("market1501-holdout-ladder-longer"))
    note += longer(records.get("market1501-holdout-longer"))
    return table(["data", *SYSTEMS.values()], lines) + "\n" + note


def fair(entry: Record | None) -> str:
    """What drawings gain, and what matched views of the picture do."""
    if entry is None:
        return ""
    seed = "all" if len(entry["manifest"]["seeds"]) > 1 else entry["manifest"]["seed"]
    rows = {r["system"]: r["over R2"] for r in entry["rows"] if r["seed"] == seed}
    names = ("drawn", "augmented", "augmented and drawn")
    drawn, *others = (signed(rows[name]) for name in names)
    return FAIR.format(drawn, len(entry["manifest"]["seeds"]), *others)


def views(entry: Record | None) -> str:
    """The same on photographs: matched views, the full model, and what it adds."""
    if entry is None:
        return ""
    rows = {r["system"]: r["over base"] for r in entry["rows"]}
    names = [f"R2 + {MATCHED}", "R2 + drawings"]
    names += [f"trained on + {MATCHED}", "trained on + drawings"]
    names += [f"trained on + {MATCHED} + drawings"]
    return VIEWS.format(*(signed(rows[name]) for name in names))


def signed(over: Record) -> str:
    """A difference in mAP with its limits."""
    low, high = over["interval"]["mAP"]
    return f"{over['mAP']:+.2f} [{low:+.2f}, {high:+.2f}]"


def left(entry: Record | None) -> str:
    """What drawings add to the strongest system without them."""
    if entry is None:
        return ""
    return LEFT.format(signed(entry["rows"][-1]["over base"]))


def longer(entry: Record | None) -> str:
    """What the longer training reached that held-out training people like best."""
    if entry is None:
        return ""
    best = max(entry["rows"], key=lambda row: row["held out"])
    marks = {m: Interval(best[m], *best["interval"][m]) for m in ("rank1", "mAP")}
    size = dict(zip(("height", "width"), best["size"], strict=True))
    return LONGER.format(minutes=best["seconds"] / 60, **size, **marks)


def placed(page: str, text: str) -> str:
    """A page with the table between its marks.

    Raises:
        ReIDDataError: the page lacks a mark.
    """
    if not all(page.count(mark) == 1 for mark in MARKS):
        raise ReIDDataError(f"a page lacks one of the marks {' and '.join(MARKS)}.")
    before, rest = page.split(MARKS[0])
    return f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def first_pages(records: Mapping[str, Record]) -> dict[Path, str]:
    """README and the book's first page, with the table as the records make it."""
    text = glance(records)
    return {page: placed(page.read_text("utf-8"), text) for page in PLACES}
