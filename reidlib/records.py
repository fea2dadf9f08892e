"""Recorded numbers of the book, read for looking at, and written for reading."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib.errors import ReIDDataError
from reidlib.retrieval import Interval


def recorded(path: Path, measures: Sequence[str] = ()) -> pd.DataFrame | None:
    """The rows of a recorded experiment, or None where it was not run.

    Args:
        path: JSON {"manifest": {...}, "rows": [{"name": ..., measure: number,
            measure + "_interval": [low, high]}]}; an object "interval" with the limits
            of all measures does as well.
        measures: the columns, in this order, as far as they are recorded; none: all.

    Returns:
        One row per name; cells are text, "value [low, high]", without limits where
        none are recorded, and empty where the measure is missing.

    Raises:
        ReIDDataError: the file has no rows.
    """
    if not path.is_file():
        return None
    rows = json.loads(path.read_text("utf-8")).get("rows")
    if not rows:
        raise ReIDDataError(f"{path.name} has no rows; record the experiment again.")
    frame = pd.DataFrame({row["name"]: _cells(row) for row in rows}).T
    found = list(dict.fromkeys(name for row in rows for name in _cells(row)))
    chosen = [name for name in measures if name in found] if measures else found
    return frame.reindex(columns=chosen).fillna("")


def _cells(row: dict[str, Any]) -> dict[str, str]:
    limits = {
        name: row.get(f"{name}_interval", row.get("interval", {}).get(name))
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {
        name: str(Interval(row[name], *ends)) if ends else f"{row[name]:.2f}"
        for name, ends in limits.items()
    }


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
