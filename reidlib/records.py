"""Recorded numbers of the book: their schema, read and written, and looked at.

A record is JSON with "schema", "digest" (of everything else in it), and either a
"manifest" and what was measured, or one object {"manifest", "results"} per chapter.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib.errors import ReIDDataError
from reidlib.manifests import as_plain, digest, write_json
from reidlib.retrieval import Interval

SCHEMA = 2
ALWAYS = ("code", "date", "device", "threads", "versions")
OF_A_RUN = ("dataset", "protocol", "profile", "seed", "data")
# what makes another data set's name of one that it follows (`runs.Run.key`)
FURTHER = ("-holdout", "-labeled", "-trial", "-100")
# what tells rows apart
CELL = ("group", "system", "identities", "factor", "severity", "seed", "trial")
Record = dict[str, Any]


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record with its schema and digest, through a temporary name."""
    plain = as_plain({**content, "schema": SCHEMA})
    plain.pop("digest", None)
    write_json(path, plain | {"digest": digest(plain)})


def read_record(path: Path) -> Record:
    """A checked record, without its "schema" and "digest".

    Raises:
        ReIDDataError: it is missing, no JSON, of another schema, changed by hand,
            without a manifest, or states a rank-1 or mAP without its interval.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ReIDDataError(f"{path.name} is not recorded; record it first.") from None
    except ValueError as error:
        raise ReIDDataError(
            f"{path.name} is no JSON ({error}); record it again."
        ) from error
    schema = found.pop("schema", 1) if isinstance(found, dict) else None
    if schema != SCHEMA:
        mend = "run python -m book.records stamp on it"
        if not isinstance(schema, int) or schema > SCHEMA:
            mend = "update reidlib, or record it again"
        raise ReIDDataError(
            f"{path.name} follows schema {schema}, and this is {SCHEMA}; {mend}."
        )
    stated = found.pop("digest", None)
    if stated != digest(found | {"schema": schema}):
        raise ReIDDataError(
            f"{path.name} was changed after it was recorded: its content does not have "
            f"the digest {stated}; record it again instead of editing it."
        )
    _check_manifests(path, found)
    for row in measurements(found):
        _check_interval(path, row)
    return found


def manifests_of(record: Record) -> dict[str, Any]:
    """Its manifests: by chapter, or the one of the whole under ""."""
    if record.keys() & {"manifest", "rows"}:
        return {"": record.get("manifest")}
    parts = {n: p if isinstance(p, dict) else {} for n, p in record.items()}
    return {name: part.get("manifest") for name, part in parts.items()}


def _check_manifests(path: Path, record: Record) -> None:
    found = manifests_of(record)
    whole = "" not in found or "rows" in record
    for chapter, manifest in found.items():
        place = path.name + (f", {chapter}," if chapter else "")
        if not manifest:
            raise ReIDDataError(f"{place} has no manifest; record it again.")
        needed = ALWAYS + (OF_A_RUN if whole else ())
        if missing := [key for key in needed if key not in manifest]:
            raise ReIDDataError(
                f"the manifest of {place} lacks {', '.join(missing)}; record it again."
            )
    if not found:
        raise ReIDDataError(f"{path.name} is empty; record it again.")


def measurements(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a record that states a rank-1 or a mAP."""
    if isinstance(value, dict):
        if value.keys() & {"rank1", "mAP"}:
            yield value
        for name, inner in value.items():
            if name not in ("interval", "p_value", "spread"):
                yield from measurements(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from measurements(inner)


def _check_interval(path: Path, row: dict[str, Any]) -> None:
    for metric in sorted(row.keys() & {"rank1", "mAP"}):
        stated = row.get("interval")
        limits = stated.get(metric) if isinstance(stated, dict) else None
        if row[metric] is None or isinstance(row[metric], dict):
            continue
        if not limits or not limits[0] <= row[metric] <= limits[1]:
            raise ReIDDataError(
                f"{path.name} states a {metric} of {row[metric]} without an interval "
                f"around it ({limits}); record it again."
            )


def read_records(folder: Path) -> dict[str, Record]:
    """Every record under a folder, by its path there without the suffix.

    Raises:
        ReIDDataError: as `read_record`; a file in the place of another data set or
            profile; or two results that claim the same cell.
    """
    found: dict[str, Record] = {}
    claimed: dict[tuple[Any, ...], str] = {}
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found[name] = record = read_record(path)
        for place in _places(record):
            if not _lies_at(name, place):
                raise ReIDDataError(
                    f"{name}.json holds results of {place}; move it to {place}.json."
                )
        for cell in _cells(record):
            if cell in claimed:
                said = ", ".join(str(part) for part in cell if part is not None)
                raise ReIDDataError(
                    f"{claimed[cell]}.json and {name}.json both claim {said}; keep one."
                )
            claimed[cell] = name
    return found


def _places(record: Record) -> Iterator[str]:
    """How the names of its file must begin, by its manifests."""
    for chapter, manifest in manifests_of(record).items():
        if "dataset" in manifest:
            scale = f"/{manifest.get('profile')}" if chapter else ""
            yield f"{manifest['dataset']}{scale}"


def _lies_at(name: str, place: str) -> bool:
    """Whether a file's name goes on from its place, and not to another data set's."""
    rest = name.removeprefix(place)
    return name.startswith(place) and not rest.startswith(FURTHER)


def _cells(record: Record) -> Iterator[tuple[Any, ...]]:
    """What each of its results is a result of."""
    for chapter, manifest in manifests_of(record).items():
        run = tuple(manifest.get(k) for k in ("dataset", "protocol", "profile"))
        kind = chapter or manifest.get("command")
        for row in record.get("rows") or [{"seed": manifest.get("seed")}]:
            yield (*run, kind, *(row.get(key) for key in CELL))


def summary(found: Mapping[str, Record]) -> pd.DataFrame:
    """The systems of recorded runs side by side, numbers as text in per cent.

    Of `book/systems.py` the rows over all seeds (or of the only one), over trials as
    mean ± standard deviation; of a run's chapters the rows of chapter 8.

    Returns:
        data, protocol, profile, seeds, system, rank1, rank5, rank10, mAP, record.
    """
    lines = []
    for name, record in found.items():
        if "08_benchmarks" in record:
            part = record["08_benchmarks"]
            m, rows = part["manifest"], part["results"]["rows"]
            kept = [{"system": s, "group": ""} | row for s, row in rows.items()]
        elif (m := record.get("manifest", {})).get("command") == "systems":
            wanted = {"seed": "all"} if len(m["seeds"]) > 1 else {}
            wanted |= {"trial": "all"} if len(m["trials"]) > 1 else {}
            every = [row for row in record["rows"] if "stopped" not in row]
            kept = [r for r in every if all(r.get(k) == v for k, v in wanted.items())]
        else:
            continue
        for row in kept:
            again = ", re-ranked" if row["group"] == "re-ranked" else ""
            lines.append(
                {"data": m["dataset"], "protocol": m["protocol"]}
                | {"profile": m["profile"], "seeds": _seeds(m)}
                | {"system": row["system"] + again}
                | {k: _percent(row, k) for k in ("rank1", "rank5", "rank10", "mAP")}
                | {"record": name}
            )
    return pd.DataFrame(lines)


def _percent(row: dict[str, Any], mark: str) -> str:
    if mark in row.get("spread", {}):
        spread = row["spread"][mark]
        if row["trials"] == 1:  # what broke in all others
            return f"{100 * spread['mean']:.1f} (one trial)"
        return f"{100 * spread['mean']:.1f} ± {100 * spread['std']:.1f}"
    if mark not in row:
        return "–"
    low, high = row["interval"][mark]
    return f"{100 * row[mark]:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _seeds(manifest: dict[str, Any]) -> str:
    return " ".join(map(str, manifest.get("seeds", [manifest.get("seed", "–")])))


def provenance(path: Path, chapter: str = "") -> str:
    """One line: which file, digest, code, profile, seeds, device and day.

    Args:
        chapter: whose part of a run's record; empty where the record has one manifest.

    Raises:
        ReIDDataError: as `read_record`, or the record has no such chapter.
    """
    found = manifests_of(read_record(path))
    if chapter not in found:
        raise ReIDDataError(
            f"{path.name} has no part '{chapter}'; it has {', '.join(found)}."
        )
    m, stated = found[chapter], json.loads(path.read_text("utf-8"))["digest"]
    parent = "" if path.parent.name == "results" else f"{path.parent.name}/"
    said = f"Source: {parent}{path.name} (digest {stated}); code {m['code']}, "
    if "dataset" in m:
        said += f"protocol {m['protocol']}, "
        said += f"profile {m.get('profile', '–')}, seed {_seeds(m)}, "
    return said + f"{m['device']}, {m['threads']} thread(s), {m['date']}"


def recorded(
    path: Path,
    columns: Mapping[str, str],
    rows: str | list[str] = "system",
    where: Mapping[str, Any] | None = None,
) -> pd.DataFrame | None:
    """The rows of an experiment of ``book/experiments.py``, or None if it was not run.

    Args:
        path: JSON {"manifest": {...}, "rows": [{...}, ...]}. An object's limits stand
            under its "interval".
        columns: title → where the number stands in a row: "ssim", or "test/mAP" for
            the "mAP" of the object "test".
        rows: what tells the rows apart.
        where: what the rows must say, such as {"seed": "all"}; None: all rows.

    Returns:
        Text: "value [low, high]", without limits where none are recorded, empty where
        the number is missing. Where a training broke, a column "stopped" says why.

    Raises:
        ReIDDataError: the file has no rows, or none of them has a wanted number.
    """
    if not path.is_file():
        return None
    found = _rows(path, where)
    cells = [{title: _cell(row, columns[title]) for title in columns} for row in found]
    frame = pd.DataFrame(cells)
    for title in columns:
        if not frame[title].any():
            raise ReIDDataError(
                f"no row of {path.name} has a number at '{columns[title]}'; record the "
                "experiment again."
            )
    if any("stopped" in row for row in found):
        frame["stopped"] = [row.get("stopped", "") for row in found]
    names = pd.DataFrame(found)[rows]
    frame.index = (
        pd.Index(names) if isinstance(rows, str) else pd.MultiIndex.from_frame(names)
    )
    return frame


def intervals(
    path: Path,
    place: str,
    rows: str | list[str] = "system",
    where: Mapping[str, Any] | None = None,
) -> dict[Any, Interval]:
    """One number of every row that has it, with its limits; as in `recorded`.

    Args:
        path, rows, where: as there.
        place: of the number in a row, such as "over R2/mAP".

    Returns:
        what tells the row apart (a tuple of several) → the number.

    Raises:
        ReIDDataError: no row has such a number; and as `read_record`.
    """
    *inner, name = place.split("/")
    found = {}
    for row in _rows(path, where):
        key = row[rows] if isinstance(rows, str) else tuple(row[r] for r in rows)
        for part in inner:
            row = row.get(part, {})
        if name in row:
            found[key] = Interval(row[name], *row["interval"][name])
    if not found:
        raise ReIDDataError(f"no row of {path.name} has a number at '{place}'.")
    return found


def _rows(path: Path, where: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rows that say what is wanted; there is at least one."""
    found = read_record(path).get("rows") or []
    wanted = (where or {}).items()
    kept = [row for row in found if all(row.get(k) == v for k, v in wanted)]
    if not kept:
        said = ", ".join(f"{k} {v}" for k, v in wanted)
        raise ReIDDataError(
            f"{path.name} has no rows{' of ' + said if said else ''}; record the "
            "experiment again."
        )
    return kept


def _cell(row: dict[str, Any], place: str) -> str:
    *path, name = place.split("/")
    for key in path:
        row = row.get(key, {})
    value, limits = row.get(name), row.get("interval", {}).get(name, [None])
    if value is None:
        return ""
    return f"{value:.2f}" if None in limits else str(Interval(value, *limits))


def as_rows(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What a record keeps of a table of `reidlib.quality.quality`.

    Measures without a number are left out, and so are limits without one.

    Returns:
        {system: {measure: value, "interval": {measure: [low, high]}}}.
    """
    measures = [str(name) for name in frame.columns.get_level_values(0).unique()]
    kept: dict[str, dict[str, Any]] = {}
    for system in frame.index:
        ends = {m: frame.loc[system, m].tolist() for m in measures}
        known = {m: e for m, e in ends.items() if np.isfinite(e[0])}
        limits = {m: e[1:] for m, e in known.items() if np.isfinite(e[1])}
        kept[str(system)] = {m: e[0] for m, e in known.items()} | {"interval": limits}
    return kept
