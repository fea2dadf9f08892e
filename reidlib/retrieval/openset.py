"""Which threshold? Verification and open-set identification, with intervals.

A ranking always has a first image, also for somebody who is not in the gallery. An
application therefore needs a distance beyond which it says "nobody": accepted is
what lies at or below the threshold. All rates here are shares of accepted trials.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.operating import Doubles, OperatingCurve, Tally
from reidlib.retrieval.ranking import Features, Ids, as_ids, check_choice
from reidlib.retrieval.walk import Row, Walk

VIEWS = ("pairs", "queries")
EXACT_PAIRS = 2**16  # up to here every distance is kept


def verification(
    query_features: Features,
    gallery_features: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    view: str = "pairs",
    protocol: str = "market1501",
    metric: str = "cosine",
) -> OperatingCurve:
    """Same person or not, under the protocol's camera and junk rules.

    View "pairs": every query with each of its matches is a genuine trial, with every
    other image that counts an impostor trial. View "queries": only the nearest match
    and the nearest impostor of each query that has a match. Distances are those of
    `Ranking`: 1 - cosine, or Euclidean.

    Features, ids, protocol and metric as in `evaluate`. Memory: one block of scores
    and, beyond 65,536 pairs, 4,096 counts for each query identity instead of the
    distances; a threshold is then exact in its rates and coarse in its place.

    Raises:
        ReIDConfigError: as `evaluate`, or an unknown view.
        ReIDDataError: as `evaluate`, or no genuine or no impostor trial.
    """
    check_choice("view", view, VIEWS)
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    walk = Walk(query_features, gallery_features, ids, protocol, metric)
    exact = view == "queries" or len(walk.query) * len(walk.gallery) <= EXACT_PAIRS
    tally = Tally(walk.truth.query_pids, view, None if exact else _farthest(walk))
    for row in walk.distances():
        genuine, impostor = _trials(row)
        if view == "queries":
            if len(genuine) == 0 or len(impostor) == 0:
                continue
            genuine, impostor = genuine.min(keepdims=True), impostor.min(keepdims=True)
        tally.add(row.query, genuine, impostor)
    return tally.curve()


def identification(
    query_features: Features,
    gallery_features: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    unknown: float | Iterable[int] = 0.0,
    seed: int = 0,
    protocol: str = "market1501",
    metric: str = "cosine",
) -> OperatingCurve:
    """Open-set identification: is the person in the gallery, and who is it?

    A query with a match is detected and identified (tpr) when a match is nearer than
    every impostor and within the threshold; a query without one is a false alarm
    (fpr) when any image that counts is within it. Where every query has a match,
    make some people unknown: their images leave the gallery.

    Args:
        unknown: share of the query identities, drawn by the seed, or their pids.
        seed: of the draw.

    The rest, and the errors, as in `verification`; a query without any image that
    counts is left out.
    """
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    walk = Walk(query_features, gallery_features, ids, protocol, metric)
    away = _unknown(unknown, walk.truth.query_pids, seed)
    pids = as_ids(gallery_pids, "gallery_pids", len(walk.gallery))
    gone = np.flatnonzero(np.isin(pids, away))
    tally = Tally(walk.truth.query_pids, "identification")
    nothing = np.empty(0)
    for row in walk.distances():
        row.scores[gone] = np.inf
        genuine, impostor = _trials(row)
        if np.isin(walk.truth.query_pids[row.query], away):
            genuine = nothing
        nearest = impostor.min(initial=np.inf)
        if len(genuine):
            best = genuine.min()
            found = best if best < nearest else np.inf  # ties: the worst case
            tally.add(row.query, np.array([found]), nothing)
        elif nearest < np.inf:
            tally.add(row.query, nothing, np.array([nearest]))
    return tally.curve()


def _trials(row: Row) -> tuple[Doubles, Doubles]:
    """Distances of genuine and impostor trials of a query; overwrites the row."""
    genuine = row.scores[row.matches].astype(np.float64)
    row.scores[row.matches] = row.scores[row.junk] = np.inf
    return genuine, row.scores[row.scores < np.inf].astype(np.float64)


def _farthest(walk: Walk) -> float:
    """No distance is larger."""
    if walk.metric == "cosine":
        return 2.0
    parts = (walk.query, walk.gallery)
    return sum(float(part.norm(dim=1).max()) for part in parts)


def _unknown(
    unknown: float | Iterable[int], query_pids: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """The identities that leave the gallery."""
    people = np.unique(query_pids)
    if not isinstance(unknown, int | float):
        away = np.array(list(unknown), np.int64)
        strange = np.setdiff1d(away, people)
        if len(strange):
            raise ReIDConfigError(
                f"unknown holds pid {strange[0]}, which no query has; give pids of "
                "queries, or a share."
            )
        return away
    if not 0 <= unknown < 1:
        raise ReIDConfigError(f"unknown is {unknown}; give a share from 0 to below 1.")
    count = round(unknown * len(people))
    return np.random.default_rng(seed).permutation(people)[:count]
