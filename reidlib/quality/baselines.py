"""Drawings that anybody could make: what a generator has to beat.

The simplest, copying the source, needs no function.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.training import to_float

MISSING = 0.1  # heights that a joint counts which only one of two poses shows
CHUNK = 1024  # asked poses compared at once


def cluster_means(
    images: Tensor, labels: ArrayLike, asked: ArrayLike, *, fallback: bool = True
) -> Tensor:
    """The mean training picture of the pose cluster that each asked pose is in.

    Args:
        images: (N, 3, H, W) uint8 training pictures.
        labels: (N,) their clusters, of `PoseClusterer.predict`; -1 none.
        asked: (P,) clusters of the asked poses.
        fallback: the mean of all pictures where a cluster has none, and for -1;
            otherwise that is an error.

    Returns:
        (P, 3, H, W) in [-1, 1].

    Raises:
        ReIDDataError: a cluster without pictures is asked for, without fallback.
    """
    groups, wanted = np.asarray(labels), np.asarray(asked)
    if groups.shape != (len(images),):
        raise ReIDConfigError(
            f"{len(images)} images but labels {groups.shape}; give each its cluster."
        )
    means = {}
    for cluster in np.unique(wanted):
        rows = np.flatnonzero((groups == cluster) & (cluster >= 0))
        if not len(rows) and not fallback:
            raise ReIDDataError(
                f"no training picture is in pose cluster {cluster}; cluster the poses "
                "of these pictures."
            )
        part = images[torch.as_tensor(rows)] if len(rows) else images
        means[cluster] = to_float(part).mean(0)
    return torch.stack([means[cluster] for cluster in wanted])


def pose_gaps(asked: ArrayLike, points: ArrayLike, size: tuple[int, int]) -> Tensor:
    """Root mean square distance of the joints of two sets of poses.

    Place and size in the picture count, since pictures are compared. A joint that
    only one pose shows counts as 0.1 heights, one that neither shows not at all.

    Args:
        asked: (P, 25, 2) in image units, NaN where missing.
        points: (N, 25, 2).
        size: (height, width) of the pictures.

    Returns:
        (P, N) float64 in picture heights; infinite where no joint is shared.
    """
    shape = torch.tensor([size[1] / size[0], 1.0], dtype=torch.float64)
    a, b = (torch.as_tensor(np.asarray(p, np.float64)) * shape for p in (asked, points))
    seen_a, seen_b = (p.isfinite().all(-1).double() for p in (a, b))  # (·, 25)
    a, b = (
        torch.where(s[..., None] > 0, p, 0.0) for p, s in ((a, seen_a), (b, seen_b))
    )
    squares = a.square().sum(-1) @ seen_b.T + seen_a @ b.square().sum(-1).T
    squares -= 2 * a.flatten(1) @ b.flatten(1).T  # over the shared joints
    shared = seen_a @ seen_b.T
    either = seen_a.sum(1)[:, None] + seen_b.sum(1) - shared
    total = squares.clamp(min=0) + MISSING**2 * (either - shared)
    gaps = (total / either.clamp(min=1)).sqrt()
    return torch.where(shared > 0, gaps, torch.inf)


def nearest_pictures(
    asked: ArrayLike,
    points: ArrayLike,
    size: tuple[int, int],
    *,
    sources: Tensor | None = None,
    features: Tensor | None = None,
    among: int = 20,
) -> NDArray[np.int64]:
    """The training picture, of anybody, whose pose is nearest to the asked one.

    Args:
        asked: (P, 25, 2) asked poses.
        points: (N, 25, 2) poses of the training pictures.
        size: (height, width) of the pictures.
        sources: (P, D) R1 features of the sources; with them, of the ``among``
            nearest poses the one whose feature has the largest cosine is taken.
        features: (N, D) R1 features of the training pictures.

    Returns:
        (P,) rows of the training pictures; ties go to the first.

    Raises:
        ReIDConfigError: only one of sources and features is given, or among < 1.
        ReIDDataError: there are no training pictures.
    """
    if (sources is None) != (features is None) or among < 1:
        raise ReIDConfigError(
            "the nearest by feature needs sources and features, and among of 1 or more."
        )
    if not len(np.asarray(points)):
        raise ReIDDataError("there are no training pictures to choose from.")
    poses, found = np.asarray(asked), []
    for start in range(0, len(poses), CHUNK):
        gaps = pose_gaps(poses[start : start + CHUNK], points, size)
        if sources is None or features is None:
            found.append(gaps.argmin(1))
            continue
        near = gaps.sort(dim=1, stable=True).indices[:, :among]  # (p, m)
        mine = F.normalize(sources[start : start + CHUNK], dim=1)
        theirs = F.normalize(features, dim=1)[near]  # (p, m, D)
        best = (theirs @ mine[..., None]).squeeze(-1).argmax(1)
        found.append(near.gather(1, best[:, None]).squeeze(1))
    return torch.cat(found).numpy()
