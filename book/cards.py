"""Model cards and data cards of recorded runs, written from their records alone."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from reidlib.records import Record, manifests_of

ABOUT = {
    "synthetic": "People that `reidlib` renders. Nobody was photographed,\n"
    "so nobody had to consent.",
    "market1501": "Photographs of people in front of a supermarket, released for\n"
    "research. This repository holds none of the pictures.",
    "dukemtmc": "Photographs of students, filmed without their consent. The data set\n"
    "was withdrawn by its makers; this repository neither holds nor links it.",
    "cuhk03": "Photographs of people on a campus, released for academic research.\n"
    "This repository holds none of the pictures.",
    "cuhk01": "Photographs of people on a campus, released for academic research.\n"
    "This repository holds none of the pictures.",
    "folder": "A folder of the user's own pictures, of which only numbers were kept.",
}
RULES = {
    "market1501": "Market-1501's: junk and the query's own camera do not count.",
    "holdout": "A quarter of the training identities is held out as query and\n"
    "gallery. It is *not* the benchmark's own test split, nor to be compared with it.",
    "cuhk01": "485 people to learn from, 486 to be asked for; one gallery\n"
    "picture of each counts at a time.",
}
SYSTEMS = ("03_baselines", "06_fusionnet", "08_benchmarks")
NOTE = """\
Written by `python -m book.records cards` from `book/results/{name}.json`.
To change it, record the run again.
"""
EVERY = """\
Written by `python -m book.records cards` from the files in `book/results`. Where parts
of one record differ in a field, all its values stand there.

"""
USE = """\
- **For:** following the book, checking a reproduction, comparing methods under the
  protocol above.
- **Not for:** finding or following people. See the page on [ethics](../../ethics.md).
- **Limits:** {limits} The intervals are
  over identities of one test, and say nothing about other places, cameras or people.
  Errors by group of people were not measured here.
- **Weights:** not part of this repository.
"""


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(str(cell) for cell in line) for line in [[*heads], *rows]]
    lines.insert(1, " | ".join("---" for _ in heads))
    return "".join(f"| {line} |\n" for line in lines)


def dataset_of(name: str) -> str:
    """The data set of a run's name: "market1501" of "market1501-holdout/smoke"."""
    return next((known for known in ABOUT if name.startswith(known)), "folder")


def circumstances(record: Record) -> str:
    """What every part was measured with."""
    keys = ("date", "code", "seed", "device", "threads", "peak_memory_mb")
    rows = [
        [f"`{chapter}`", *(part["manifest"].get(key, "–") for key in keys)]
        for chapter, part in record.items()
    ]
    return table(["part", *(key.replace("_", " ") for key in keys)], rows)


def measured(systems: Record) -> list[dict[str, Any]]:
    """Rows of a comparison, by trial: over all seeds or of the only one."""
    seeds = systems["manifest"]["seeds"]
    one = "all" if len(seeds) > 1 else seeds[0]
    return [r for r in systems["rows"] if r.get("seed") == one and "interval" in r]


def compared(name: str, systems: Record) -> list[list[str]]:
    """Lines of a table, one for each of these rows."""
    rows = []
    for row in measured(systems):
        trial = f", trial {row['trial']}" if "trial" in row else ""
        again = ", re-ranked" if row["group"] == "re-ranked" else ""
        limits = [_limits(row, m) for m in ("rank1", "mAP")]
        rows.append([row["system"] + again + trial, *limits, f"`{name}`"])
    return rows


def numbers(record: Record) -> list[list[str]]:
    """Every system with its rank-1 and mAP, once; later chapters have the last word."""
    found: dict[str, Any] = {}
    for chapter in SYSTEMS:
        results = record.get(chapter, {}).get("results", {})
        for kind in ("encoders", "rows"):
            found |= {n: (row, chapter) for n, row in results.get(kind, {}).items()}
    return [
        [n, *(_limits(row, m) for m in ("rank1", "mAP")), f"`{c}`"]
        for n, (row, c) in found.items()
    ]


def _limits(row: dict[str, Any], metric: str) -> str:
    low, high = row["interval"][metric]
    return f"{row[metric]:.3f} [{low:.3f}, {high:.3f}]"


def all_records(found: Mapping[str, Record]) -> str:
    """The manifests of all records, on one page."""
    parts = ["# Every record and its manifest\n\n", EVERY]
    for name, record in found.items():
        manifests = manifests_of(record)
        keys = dict.fromkeys(k for m in manifests.values() for k in m)
        keys.pop("versions", None)
        alike = {k: {str(m.get(k, "–")) for m in manifests.values()} for k in keys}
        rows = [[k.replace("_", " "), ", ".join(sorted(v))] for k, v in alike.items()]
        versions = next(iter(manifests.values()))["versions"]
        rows.append(["versions", ", ".join(f"{k} {v}" for k, v in versions.items())])
        if "" not in manifests:
            rows.append(["chapters", ", ".join(manifests)])
        parts.append(f"## `{name}.json`\n\n{table(['field', 'value'], rows)}\n")
    return "".join(parts).rstrip("\n") + "\n"


def model_card(name: str, record: Record, systems: Record | None = None) -> str:
    """What was trained in a run, with what, how well it does, and for what.

    Args:
        name: "market1501-holdout/smoke".
        record: of the run's chapters.
        systems: record of `book/systems.py` on the same data at the same scale.
    """
    first = next(iter(record.values()))["manifest"]
    kind = record.get("03_baselines", {}).get("results", {}).get("r1_kind", "unknown")
    limits = f"trained and tested on {first['dataset']} alone, at one scale."
    if dataset_of(name) == "synthetic":
        limits = "trained and tested on rendered people alone."
    scale, data = name.split("/")[1], name.replace("/", "-")
    versions = [[k, v] for k, v in sorted(first["versions"].items())]
    rows, parts = numbers(record), record
    if systems:
        kinds = [row["kind"] for row in systems["rows"] if "kind" in row]
        kind = kinds[0] if kind == "unknown" and kinds else kind
        title = f"{name.split('/')[0]}-systems"
        rows, parts = rows + compared(title, systems), record | {title: systems}
    return f"""\
# Model card: {first["dataset"]}, {scale}

{NOTE.format(name=name)}
## What it is

R1 and R2 (encoders), pt-GAN (draws a person in other poses) and what joins the features
of picture and drawings (FusionNet, or the full model of chapter 6): profile
`{first["profile"]}`, protocol `{first["protocol"]}`, seed {first["seed"]}. R1 learnt
from: {kind}. What it learnt on: [data card]({data}-data.md), digest
`{first["data"][:16]}`.

## How well it does

With 95 % intervals over query identities, and the part of the record that says so.

{table(["system", "rank-1", "mAP", "part"], rows)}
## What it was made with

{circumstances(parts)}
{table(["package", "version"], versions)}
## Use, and limits

{USE.format(limits=limits)}"""


def data_card(name: str, record: Record) -> str:
    """Counts, keypoints and rules of a run's data, from its first chapter."""
    part = record["01_data"]
    found, manifest = part["results"], part["manifest"]
    heads = ["identities", "images", "distractors", "junk"]
    counts = [[s, *(c[h] for h in heads)] for s, c in found["counts"].items()]
    each = found["images_per_identity"]
    missing = pd.Series(found["missing"]).sort_values()
    joints = [[joint, f"{share:.1%}"] for joint, share in missing.items()]
    rule = RULES.get(manifest["protocol"], "See chapter 2.")
    seen = ", ".join(f"{view} {share:.0%}" for view, share in found["views"].items())
    data = name.replace("/", "-")
    return f"""\
# Data card: {manifest["dataset"]}, {name.split("/")[1]}

{NOTE.format(name=name)}
## What it is

{ABOUT[dataset_of(name)]}

Digest of its tables and files: `{manifest["data"][:16]}`. What was trained on it:
[model card]({data}-model.md).

## Counts

{table(["split", *heads], counts)}
A training identity has {each["min"]} to {each["max"]} pictures, {each["mean"]:.1f} on
average.

## Protocol

`{manifest["protocol"]}`. {rule}

## Keypoints

{found["torso"]:.0%} of the training pictures show a whole torso. Seen from: {seen}.
Share of the training pictures in which a joint is missing:

{table(["joint", "missing"], joints)}
## Use, and limits

Whom these pictures show, and whom they leave out, decides whom a system fails. Age,
skin and clothes are not balanced here, and were not counted. The page on
[ethics](../../ethics.md) says what follows from that.
"""
