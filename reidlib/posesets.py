"""Judging sets of poses: are they stable, how many are there, could they be people?

Chapter 5 and ``book/poses.py`` ask here. `points` are poses (N, 25, 2) in image units,
NaN where missing; those with a whole torso are used, and none is a ReIDDataError.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.mixture import GaussianMixture

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import SKELETONS, PoseClusterer, torso_valid

Doubles = NDArray[np.float64]
METHODS = {  # the four of the paper: target and algorithm of `PoseClusterer`
    f"{target}, {name}": (target, algorithm)
    for target in ("body", "joint")
    for name, algorithm in (("K-means", "kmeans"), ("GMM", "gmm"))
}
PAPER_K = (8, 12, 16, 24)  # Table II
_UNIT = np.array([0.5, 1.0])  # a picture is twice as high as wide


def filled(points: ArrayLike) -> Doubles:
    """The vectors that `PoseClusterer` clusters: whole torsos, no joint missing.

    (M, 2 J) of the M poses with a whole torso, in [0, 1], over the J joints that any of
    them shows; a missing joint is at the joint's mean.
    """
    values = np.asarray(points, np.float64)
    used = np.clip(values[torso_valid(values)], 0, 1)
    if not len(used):
        raise ReIDDataError("no pose shows both hips and both shoulders; give others.")
    used = used[:, np.isfinite(used[..., 0]).any(axis=0)]
    used = np.where(np.isnan(used), np.nanmean(used, axis=0), used)
    return used.reshape(len(used), -1)


def stability(
    points: ArrayLike, ks: Iterable[int], seeds: Sequence[int], resamples: int = 5
) -> pd.DataFrame:
    """Do two fits cut the same poses into the same groups?

    Every fit labels all poses with a whole torso; two labellings are compared by the
    adjusted Rand index (Hubert and Arabie, 1985): 1 for equal groups, 0 on average for
    groups by chance.

    Args:
        ks: numbers of clusters.
        seeds: of the fits "over seeds", all on the same poses.
        resamples: number of fits "over bootstraps", each on as many poses drawn with
            replacement, with the first of the seeds.

    Returns:
        A row for each method, K and `over`: `mean`, `min` and `max` of the index over
        all `pairs` of fits.

    Raises ReIDConfigError for fewer different poses than clusters, or one fit only.
    """
    if min(len(seeds), resamples) < 2:
        raise ReIDConfigError("no two fits to compare; give two seeds and resamples.")
    rows = filled(points)
    rng = np.random.default_rng(seeds[0])
    drawn = [rng.choice(rows, len(rows)) for _ in range(resamples)]
    plans = {
        "seeds": [(rows, seed) for seed in seeds],
        "bootstraps": [(part, seeds[0]) for part in drawn],
    }
    out = []
    for k, method, over in product(ks, ("K-means", "GMM"), plans):
        labels = [_fit(method, k, *plan).predict(rows) for plan in plans[over]]
        index = [adjusted_rand_score(*two) for two in combinations(labels, 2)]
        out.append(
            [method, k, over, np.mean(index), min(index), max(index), len(index)]
        )
    names = ["method", "K", "over", "mean", "min", "max", "pairs"]
    return pd.DataFrame(out, columns=names)


def selection(
    points: ArrayLike, ks: Iterable[int], *, seed: int = 0, sample: int = 3000
) -> pd.DataFrame:
    """What whole poses say about K: two criteria of K-means, two of the mixture.

    Args:
        sample: the silhouette is taken on at most so many poses.

    Returns:
        A row for each K: `inertia` (per pose, squared image units), `silhouette`,
        `AIC` and `BIC` (per pose; lower is better).

    Raises ReIDConfigError for K below 2, or not below the number of poses.
    """
    rows = filled(points)
    size = len(rows)
    part = {"sample_size": min(size, sample), "random_state": seed}
    out = {}
    for k in ks:
        if not 2 <= k < size:
            raise ReIDConfigError(f"K={k} has no silhouette; take 2 to {size - 1}.")
        means, mixture = (_fit(name, k, rows, seed) for name in ("K-means", "GMM"))
        out[k] = {
            "inertia": means.inertia_ / size,
            "silhouette": silhouette_score(rows, means.labels_, **part),
            "AIC": mixture.aic(rows) / size,
            "BIC": mixture.bic(rows) / size,
        }
    return pd.DataFrame(out).T.rename_axis(index="K")


def plausibility(
    sets: Mapping[str, ArrayLike], real: ArrayLike, *, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How much like people are these poses?

    The measures: `joints outside` the picture, share of the joints that a pose has;
    `limbs off`, share of the limbs whose length, over the torso's, leaves the 1st to
    99th percentile of real poses; `sides agree`, share of the poses whose shoulders and
    hips have the same order from left to right; `nearest real`, median distance to the
    nearest real pose as `distances` has it, in per cent of the picture's height.

    Args:
        sets: name → (n, 25, 2), sampled with ``clip=False``: or none is ever outside.
        real: (N, 25, 2) poses to compare with.
        draws: bootstrap resamples of the poses of a set, drawn with `seed`.

    Returns:
        A row for each set and measure: `value`, and the 95 % limits `low` and `high`;
        NaN where a set has nothing to measure.

    Raises ReIDDataError where a set is empty, or has a pose without joints.
    """
    filled(real)  # raises where there is no torso
    known = np.asarray(real, np.float64)[torso_valid(real)]
    lengths = limb_ratios(known)
    seen = np.asarray(np.isfinite(lengths).any(axis=0))
    seen[0] = False  # neck to hips is nearly the ruler itself
    limits = np.nanquantile(lengths[:, seen], [0.01, 0.99], axis=0)
    rng = np.random.default_rng(seed)
    out = []
    for name, given in sets.items():
        poses = np.asarray(given, np.float64)
        if not len(poses) or np.isnan(poses).all(axis=(1, 2)).any():
            raise ReIDDataError(f"the set {name!r} has a pose without joints, or none.")
        draw = rng.integers(len(poses), size=(draws, len(poses)))
        again = np.vstack([np.arange(len(poses)), draw])
        for measure, (hit, of) in _shares(poses, seen, limits).items():
            hits, all_ = ((x & of).sum(axis=1)[again].sum(axis=1) for x in (hit, of))
            out.append([name, measure, *_limits(hits / np.where(all_, all_, np.nan))])
        near = 100 * np.nanmin(distances(poses, known), axis=1)
        out.append([name, "nearest real", *_limits(np.median(near[again], axis=1))])
    return pd.DataFrame(out, columns=["set", "measure", "value", "low", "high"])


def _shares(poses: Doubles, seen: Any, limits: Doubles) -> dict[str, tuple]:
    """Of each measure what is counted, and among what; (n, anything) bool each."""
    ratio = limb_ratios(poses)[:, seen]
    off = (ratio < limits[0]) | (ratio > limits[1])
    facing = np.sign(poses[:, [5, 12], 0] - poses[:, [2, 9], 0])  # shoulders, hips
    known = np.isfinite(facing).all(axis=1, keepdims=True)
    outside = ((poses < 0) | (poses > 1)).any(axis=2)
    return {
        "joints outside": (outside, np.isfinite(poses[..., 0])),
        "limbs off": (off, ~np.isnan(ratio)),
        "sides agree": (facing[:, :1] == facing[:, 1:], known),
    }


def limb_ratios(poses: ArrayLike) -> Doubles:
    """(N, 24) lengths of BODY_25's limbs over the torso's; NaN where an end is missing.

    The torso reaches from the middle of the shoulders to the middle of the hips.
    """
    x = np.asarray(poses, np.float64) * _UNIT
    torso = x[:, [2, 5]].mean(axis=1) - x[:, [9, 12]].mean(axis=1)
    start, end = np.array(SKELETONS["body25"].limbs).T
    length = np.linalg.norm(x[:, start] - x[:, end], axis=-1)
    return length / np.maximum(np.linalg.norm(torso, axis=-1), 1e-9)[:, None]


def distances(a: ArrayLike, b: ArrayLike) -> Doubles:
    """(A, B) distances between poses, in shares of the picture's height.

    The root mean square over the joints that both have; NaN if there are none.
    """
    x, y = ((np.asarray(p, np.float64) * _UNIT).reshape(-1, 50) for p in (a, b))
    return nan_euclidean_distances(x, y) / np.sqrt(25)


def medoids(clusterer: PoseClusterer, points: ArrayLike) -> NDArray[np.int64]:
    """The real pose nearest to each of `clusterer.poses_`: (K,) rows of `points`.

    A joint that a real pose lacks is at its mean, or the poses of few joints would win.
    """
    rows = np.flatnonzero(torso_valid(points))
    seen = np.isfinite(np.asarray(points)[rows, :, 0]).any(axis=0)
    real = np.full((len(rows), 25, 2), np.nan)
    real[:, seen] = filled(points).reshape(len(rows), -1, 2)
    return rows[np.nanargmin(distances(clusterer.poses_, real), axis=1)]


def with_zeros(points: ArrayLike, k: int, seed: int = 0) -> tuple[Doubles, Doubles]:
    """With zeros for missing: (k, 25, 2) centres and (1000, 25, 2) drawn from a GMM."""
    values = np.asarray(points, np.float64)
    seen = np.isfinite(values[..., 0]).any(axis=0)
    rows = np.nan_to_num(values[:, seen]).reshape(len(values), -1)
    means, mixture = (_fit(name, k, rows, seed) for name in ("K-means", "GMM"))
    centres, samples = np.full((k, 25, 2), np.nan), np.full((1000, 25, 2), np.nan)
    centres[:, seen] = means.cluster_centers_.reshape(k, -1, 2)
    samples[:, seen] = mixture.sample(1000)[0].reshape(1000, -1, 2)
    return centres, samples


def faults(centres: ArrayLike, samples: ArrayLike) -> dict[str, float]:
    """Share of the centres' joints in the upper left corner, of the samples' outside.

    Both (…, 25, 2). The corner is 15 % of width and height: no place for a whole body.
    """
    c, s = np.asarray(centres), np.asarray(samples)
    corner, outside = (c < 0.15).all(axis=-1), ((s < 0) | (s > 1)).any(axis=-1)
    shown = [np.isfinite(poses[..., 0]) for poses in (c, s)]
    return {
        "K-means: joints near the corner": float(np.mean(corner, where=shown[0])),
        "GMM: joints outside": float(np.mean(outside, where=shown[1])),
    }


def _limits(values: Doubles) -> list[float]:
    """The first value, and the 95 % limits of the others."""
    return [float(values[0]), *np.quantile(values[1:], [0.025, 0.975]).tolist()]


def _fit(method: str, k: int, rows: Doubles, seed: int) -> Any:
    """K-means or a mixture, as `PoseClusterer` fits it."""
    different = len(np.unique(rows, axis=0))
    if different < k:
        raise ReIDConfigError(
            f"K={k} is more than {different} different poses; lower K."
        )
    if method == "K-means":
        return KMeans(k, n_init=10, random_state=seed).fit(rows)
    return GaussianMixture(k, reg_covar=1e-4, random_state=seed).fit(rows)
