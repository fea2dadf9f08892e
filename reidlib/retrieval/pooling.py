"""Multi-query: one feature from all images of a person in a camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.protocols import check_choice
from reidlib.retrieval.scores import Features, as_features
from reidlib.retrieval.truth import Ids, as_ids

POOLINGS = ("mean", "max")


class PooledQueries(NamedTuple):
    """One row for each identity and camera, in the order of their first images.

    Attributes:
        features: (P, D) float32 on the device of the features.
        pids, camids: (P,).
        group: (Q,) the row of `features` that each image went into.
    """

    features: torch.Tensor
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]
    group: NDArray[np.int64]


def pool_queries(
    features: Features,
    pids: Ids,
    camids: Ids,
    pooling: str = "mean",
    *,
    normalize: bool = True,
) -> PooledQueries:
    """Pool query features of one identity in one camera (multi-query).

    Market-1501: the features of `gt_bbox`, or of those of its images whose identity
    and camera have a query, give one pooled query each. Pooling twice is pooling once.

    Args:
        features: (Q, D).
        pids: (Q,) identities.
        camids: (Q,) cameras.
        pooling: "mean" or "max", element by element.
        normalize: rows to length one before and after, as for the cosine.

    Raises:
        ReIDConfigError: an unknown pooling, or ids that do not fit the features.
        ReIDDataError: no features, or NaN in them.
    """
    check_choice("multi_query", pooling, POOLINGS)
    rows = as_features(features, "query_features")
    who = as_ids(pids, "query_pids", len(rows))
    where = as_ids(camids, "query_camids", len(rows))
    first, group = groups(who, where)
    target = torch.from_numpy(group).to(rows.device)[:, None].expand_as(rows)
    if normalize:
        rows = torch.nn.functional.normalize(rows, dim=1)
    pooled = rows.new_zeros(len(first), rows.shape[1]).scatter_reduce(
        0, target, rows, "mean" if pooling == "mean" else "amax", include_self=False
    )
    if normalize:
        pooled = torch.nn.functional.normalize(pooled, dim=1)
    return PooledQueries(pooled, who[first], where[first], group)


def pooled_by(
    pooling: str, query: Tensor, pids: Ids, camids: Ids, metric: str
) -> tuple[Tensor, Ids, Ids]:
    """Queries as a convention's `multi_query` wants them: as they are under "none"."""
    if pooling == "none":
        return query, pids, camids
    return pool_queries(query, pids, camids, pooling, normalize=metric == "cosine")[:3]


def groups(
    pids: NDArray[np.int64], camids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row of each pair of identity and camera, and the pair of each row."""
    both = np.stack([pids, camids], axis=1)
    _, first, group = np.unique(both, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    return first[order], place[group.ravel()]


def check_pooled(
    pids: NDArray[np.int64], camids: NDArray[np.int64], multi_query: str
) -> None:
    """Distances cannot be pooled: refuse two queries of one person in one camera."""
    if multi_query != "none" and len(groups(pids, camids)[0]) < len(pids):
        raise ReIDConfigError(
            f"multi_query={multi_query!r} pools features, and these are distances of "
            "single images; pool with pool_queries before computing them."
        )
