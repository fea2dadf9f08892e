"""Recorded numbers of the book, read for looking at, and written for reading."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib.errors import ReIDDataError
from reidlib.retrieval import Interval


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
    """One number of every row with its limits, for drawing; as in `recorded`.

    Args:
        path, rows, where: as there.
        place: of the number in a row, such as "over R2/mAP".

    Returns:
        what tells the row apart (a tuple of several) → the number.
    """
    *inner, name = place.split("/")
    found = {}
    for row in _rows(path, where):
        key = row[rows] if isinstance(rows, str) else tuple(row[r] for r in rows)
        for part in inner:
            row = row[part]
        found[key] = Interval(row[name], *row["interval"][name])
    return found


def _rows(path: Path, where: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rows that say what is wanted; there is at least one."""
    found = json.loads(path.read_text("utf-8")).get("rows") or []
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
