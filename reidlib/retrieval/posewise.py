"""Pose-conditioned metrics: does a match in another pose rank as high?

A pose-invariant descriptor finds a person who has turned around as surely as one
who has not. So the matches of each query are put into groups by how far their pose
is from the query's; each group is ranked against everybody else, while the query's
matches outside the group count neither way, like junk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval.metrics import average_precision
from reidlib.retrieval.posedistance import Proximity
from reidlib.retrieval.protocols import conventions
from reidlib.retrieval.ranking import Features, Ids, as_ids, check_choice
from reidlib.retrieval.statistics import Interval, interval
from reidlib.retrieval.walk import Walk

Doubles = NDArray[np.float64]
AP_DEFINITIONS = ("step", "trapezoid")


@dataclass(frozen=True, eq=False)
class PoseCurve:
    """Rank-1 and mAP of matches at each pose distance; fractions in [0, 1].

    Attributes:
        edges: (B + 1,); bin b holds edges[b] <= distance < edges[b + 1], the last
            bin its upper edge too.
        unit: of the distance, "torso lengths" or "degrees".
        rank1, mAP: (B,); NaN for a bin without matches.
        n_queries: (B,) queries with a match in the bin, over which the means run.
        n_matches: (B,) pairs of a query and a match.
        n_unknown: matches in no bin: no distance, or beyond the edges.
        average_precision: (Q, B); NaN where the query has no match in the bin.
        hit: (Q, B) 1.0 where a match is first, else 0.0, NaN as above.
        query_pids: (Q,).
    """

    edges: Doubles
    unit: str
    rank1: Doubles
    mAP: Doubles
    n_queries: NDArray[np.int64]
    n_matches: NDArray[np.int64]
    n_unknown: int
    average_precision: Doubles
    hit: Doubles
    query_pids: NDArray[np.int64]

    def intervals(
        self,
        metric: str = "mAP",
        *,
        n_boot: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ) -> list[Interval]:
        """One interval for each bin: bootstrap over the query identities in it.

        Args:
            metric: "mAP" or "rank1".
            n_boot, level, seed: as in `bootstrap`.

        Raises:
            ReIDDataError: a bin with fewer than two identities; merge it.
        """
        check_choice("metric", metric, ("mAP", "rank1"))
        values = self.average_precision if metric == "mAP" else self.hit
        return [
            interval(column, self.query_pids, n_boot=n_boot, level=level, seed=seed)
            for column in values.T
        ]

    def table(self) -> pd.DataFrame:
        """One row for each bin: from, to, rank1, mAP, queries, matches."""
        return pd.DataFrame(
            {
                "from": self.edges[:-1],
                "to": self.edges[1:],
                "rank1": self.rank1,
                "mAP": self.mAP,
                "queries": self.n_queries,
                "matches": self.n_matches,
            }
        )


@dataclass(frozen=True, eq=False)
class PoseMap:
    """Rank-1 and mAP for each query cluster (rows) and gallery cluster (columns).

    Attributes:
        rank1, mAP: (K, K'); NaN where no query has such a match.
        n_queries, n_matches: (K, K').
    """

    rank1: Doubles
    mAP: Doubles
    n_queries: NDArray[np.int64]
    n_matches: NDArray[np.int64]


def by_pose_distance(
    query_features: Features,
    gallery_features: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    query_poses: ArrayLike | None = None,
    gallery_poses: ArrayLike | None = None,
    query_headings: ArrayLike | None = None,
    gallery_headings: ArrayLike | None = None,
    bins: int | Sequence[float] = 4,
    protocol: str = "market1501",
    metric: str = "cosine",
    ap: str | None = None,
) -> PoseCurve:
    """Rank-1 and mAP as a function of the pose distance of query and match.

    Features, ids, metric and ties as in `evaluate`, and who counts for whom. Every
    query is asked by itself, and all its matches count: queries are not pooled, as a
    multi-query protocol does, nor is a gallery of one picture of each person drawn,
    and a query without a match counts for no bin. Elsewhere one bin over all
    distances gives the numbers of `evaluate`.

    Args:
        query_poses: (Q, 25, 2 or 3) BODY_25, pixels; see `pose_distance`.
        gallery_poses: (G, 25, 2 or 3).
        query_headings: (Q,) degrees, instead of poses; NaN where unknown.
        gallery_headings: (G,).
        bins: rising edges, or a number of bins with equally many matches each.

    Raises:
        ReIDConfigError: neither poses nor headings, wrong shapes, or wrong bins.
        ReIDDataError: no match has a pose distance; and as `evaluate`.
    """
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    walk = Walk(query_features, gallery_features, ids, protocol, metric)
    shape = (len(walk.query), len(walk.gallery))
    near = Proximity.of(
        shape, (query_poses, gallery_poses), (query_headings, gallery_headings)
    )
    edges, ap = _edges(bins, walk, near), conventions(protocol, {"ap": ap}).ap

    def group(query: int, matches: NDArray[np.int64]) -> NDArray[np.int64]:
        distance = near(query, matches)
        found = np.searchsorted(edges, distance, side="right") - 1
        found[distance == edges[-1]] = len(edges) - 2
        found[~((distance >= edges[0]) & (distance <= edges[-1]))] = -1
        return found

    precision, hit, counts, unknown = _grouped(walk, group, len(edges) - 1, ap)
    return PoseCurve(
        edges=edges,
        unit=near.unit,
        rank1=_column_means(hit),
        mAP=_column_means(precision),
        n_queries=(counts > 0).sum(axis=0),
        n_matches=counts.sum(axis=0),
        n_unknown=unknown,
        average_precision=precision,
        hit=hit,
        query_pids=walk.truth.query_pids,
    )


def by_pose_cluster(
    query_features: Features,
    gallery_features: Features,
    query_pids: Ids,
    gallery_pids: Ids,
    query_camids: Ids,
    gallery_camids: Ids,
    *,
    query_clusters: Ids,
    gallery_clusters: Ids,
    protocol: str = "market1501",
    metric: str = "cosine",
    ap: str | None = None,
) -> PoseMap:
    """Rank-1 and mAP from each cluster of query poses to each of gallery poses.

    Args:
        query_clusters: (Q,) cluster numbers from 0, as `PoseClusterer.predict` gives
            them; negative: unknown, the image takes no part as query or match.
        gallery_clusters: (G,).

    The rest as in `by_pose_distance`.
    """
    ids = (query_pids, gallery_pids, query_camids, gallery_camids)
    walk = Walk(query_features, gallery_features, ids, protocol, metric)
    rows = as_ids(query_clusters, "query_clusters", len(walk.query))
    columns = as_ids(gallery_clusters, "gallery_clusters", len(walk.gallery))
    size = (int(max(rows.max(), 0)) + 1, int(max(columns.max(), 0)) + 1)
    ap = conventions(protocol, {"ap": ap}).ap
    found = _grouped(walk, lambda _, matches: columns[matches], size[1], ap)
    precision, hit, counts, _ = found
    of = [rows == cluster for cluster in range(size[0])]
    return PoseMap(
        rank1=np.stack([_column_means(hit[chosen]) for chosen in of]),
        mAP=np.stack([_column_means(precision[chosen]) for chosen in of]),
        n_queries=np.stack([(counts[chosen] > 0).sum(axis=0) for chosen in of]),
        n_matches=np.stack([counts[chosen].sum(axis=0) for chosen in of]),
    )


def _grouped(
    walk: Walk,
    group: Callable[[int, NDArray[np.int64]], NDArray[np.int64]],
    n_groups: int,
    ap: str,
) -> tuple[Doubles, Doubles, NDArray[np.int64], int]:
    """AP, rank-1 and number of matches (Q, n_groups); matches in no group."""
    check_choice("ap", ap, AP_DEFINITIONS)
    shape = (len(walk.query), n_groups)
    precision, hit = np.full((2, *shape), np.nan)
    counts, unknown = np.zeros(shape, np.int64), 0
    for row in walk:
        if len(row.matches) == 0:
            continue
        groups = group(row.query, row.matches)
        hits = row.scores[row.matches]
        order = np.argsort(-hits, kind="stable")
        groups, hits = groups[order], hits[order]
        row.scores[row.matches] = row.scores[row.junk] = -np.inf
        above = np.array([np.count_nonzero(row.scores >= h) for h in hits], np.int64)
        unknown += int((groups < 0).sum())
        for g in np.unique(groups[groups >= 0]):
            ranks = above[groups == g]
            counts[row.query, g] = len(ranks)
            hit[row.query, g] = ranks[0] == 0
            ranks = ranks + np.arange(len(ranks))
            precision[row.query, g] = average_precision(ranks, ap)
    return precision, hit, counts, unknown


def _edges(bins: int | Sequence[float], walk: Walk, near: Proximity) -> Doubles:
    """Rising edges; quantiles of the matches' distances if a number is given."""
    if not isinstance(bins, int | np.integer):
        edges = np.asarray(bins, np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ReIDConfigError(
                f"bins are {bins}; give two or more rising edges, or a number of bins."
            )
        return edges
    if bins < 1:
        raise ReIDConfigError(f"bins is {bins}; give 1 or more.")
    found = [near(q, walk.truth.split(q)[0]) for q in range(len(walk.query))]
    distances = np.concatenate(found)
    distances = distances[np.isfinite(distances)]
    if len(distances) == 0:
        raise ReIDDataError(
            "no match has a pose distance to its query; check the poses, and that "
            "query and gallery share identities in different cameras."
        )
    edges = np.unique(np.quantile(distances, np.linspace(0, 1, bins + 1)))
    return (
        edges if len(edges) > 1 else np.array([edges[0], np.nextafter(edges[0], 9e9)])
    )


def _column_means(values: Doubles) -> Doubles:
    """Means of the columns without their NaN; NaN for a column of nothing else."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
