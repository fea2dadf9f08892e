"""A part of a data set, for the sixteen settings of Table II."""

from dataclasses import replace

import numpy as np

from reidlib.runs import Run

SPLITS = ("train", "query", "gallery")


def ablation_rows(run: Run) -> dict[str, np.ndarray] | None:
    """Which rows Table II uses: the first ``ablation_ids`` identities of each split.

    Distractors and junk go with the test identities' share of the gallery; None
    where the profile uses all.
    """
    count = run.profile.ablation_ids
    if not count:
        return None
    train, query, gallery = (getattr(run.data, s)["pid"].to_numpy() for s in SPLITS)
    seen, wanted = np.unique(train)[:count], np.unique(query[query > 0])[:count]
    return {
        "train": np.isin(train, seen),
        "query": np.isin(query, wanted),
        "gallery": np.isin(gallery, wanted),
    }


def part_of(run: Run, rows: dict[str, np.ndarray] | None) -> Run:
    """The same run with only these rows in its tables, for scoring."""
    if rows is None:
        return run
    kept = {s: getattr(run.data, s)[rows[s]].reset_index(drop=True) for s in SPLITS}
    return replace(run, data=replace(run.data, **kept))
