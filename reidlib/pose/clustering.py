"""Pose clustering: the fixed set of poses that every image is transformed into."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose.skeletons import Floats, torso_valid

Doubles = NDArray[np.float64]
_CHOICES = {
    "target": ("body", "joint"),
    "algorithm": ("kmeans", "gmm"),
    "mode": ("sample", "means"),
}


@dataclass(frozen=True)
class _Mixture:
    """Weighted centres in D dimensions, with a spread around each or none."""

    weights: Doubles  # (K,), sum 1
    centres: Doubles  # (K, D)
    spreads: Doubles | None  # (K, D, D) lower Cholesky factors of the covariances
    share: Doubles  # (N, K) how much of each sample belongs to each centre

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Doubles, Any]:
        """Draw (count, D) samples one by one, and the centre (count,) of each."""
        chosen = rng.choice(len(self.weights), size=count, p=self.weights)
        samples = self.centres[chosen]
        if self.spreads is not None:
            noise = rng.standard_normal(samples.shape)
            samples = samples + np.einsum("nij,nj->ni", self.spreads[chosen], noise)
        return samples, chosen


class PoseClusterer(BaseEstimator):
    """The K poses that stand for all poses of a training set (paper III-D).

    Images without a whole torso are left out. Missing joints are filled in with the
    joint's mean, and come out missing again where a cluster seldom sees them.

    Args:
        target: "body" clusters whole poses; "joint" clusters every joint by itself
            and draws one cluster per joint, independently.
        algorithm: "kmeans" or "gmm" (full covariances).
        n_poses: K, the number of poses; for a body also the number of clusters.
        random_state: seed of the fit and of the draw.
        joint_clusters: clusters per joint for target="joint".
        mode: for "gmm", "sample" draws from the mixture, "means" takes its means.
        min_visible: a joint seen in a smaller share of a cluster is emitted missing.
        reg_covar: added to the diagonal of each covariance, in squared image units.

    Attributes:
        poses_: (K, 25, 2) float32 in [0, 1] image units, NaN = emitted as missing.
        visible_: (K', 25) share of a cluster's members in which a joint is visible;
            K' is 1 for target="joint", where clusters have no joints in common.
        n_used_: number of poses with a whole torso.
    """

    def __init__(
        self,
        target: str = "body",
        algorithm: str = "kmeans",
        n_poses: int = 12,
        random_state: int = 0,
        *,
        joint_clusters: int = 3,
        mode: str = "sample",
        min_visible: float = 0.3,
        reg_covar: float = 1e-4,
    ) -> None:
        self.target = target
        self.algorithm = algorithm
        self.n_poses = n_poses
        self.random_state = random_state
        self.joint_clusters = joint_clusters
        self.mode = mode
        self.min_visible = min_visible
        self.reg_covar = reg_covar

    def fit(self, points: ArrayLike, y: None = None) -> Self:
        """Find the clusters and settle `poses_`.

        Args:
            points: (N, 25, 2) in image units, NaN where missing.
            y: not used; here for scikit-learn.

        Raises:
            ReIDConfigError: a parameter is out of range, or there are fewer different
                poses with a whole torso than clusters.
            ReIDDataError: no pose has a whole torso, only one for a mixture, or a
                cluster whose mean is wanted lost all its poses.
        """
        self._check_parameters()
        values = image_units(points)
        used = np.clip(values[torso_valid(values)], 0, 1).astype(np.float64)
        self.n_used_ = len(used)
        if not len(used):
            raise ReIDDataError(
                f"none of the {len(values):,} poses shows both hips and both shoulders;"
                " give keypoints of whole bodies."
            )
        if self.algorithm == "gmm" and len(used) < 2:
            raise ReIDDataError(
                "a mixture needs two poses with a whole torso, and there is 1; give "
                "more, or take algorithm='kmeans'."
            )
        seen = np.isfinite(used[..., 0])  # (N, 25)
        # one place has no spread: to a joint's own mixture, seen once is never seen
        least = 2 if (self.target, self.algorithm) == ("joint", "gmm") else 1
        self._joints = np.flatnonzero(seen.sum(axis=0) >= least)
        if self.target == "body":
            self._fit_body(used[:, self._joints], seen)
        else:
            self._mixtures = [
                self._mixture(used[seen[:, joint], joint], self.joint_clusters, True)
                for joint in self._joints
            ]
            self.visible_ = seen.mean(axis=0, keepdims=True)
        self.poses_ = self._choose()
        return self

    def sample(
        self, n: int = 1, *, random_state: int | None = None, clip: bool = True
    ) -> Floats:
        """Draw poses from the clusters.

        K-means draws a body's centre by the size of its cluster, and a joint's centre
        with equal chances (paper IV-C2).

        Args:
            n: how many.
            random_state: seed of the draw; None takes the estimator's own, so that
                equal calls give equal poses.
            clip: move joints that fall outside the image to its edge.

        Returns:
            (n, 25, 2) float32 in image units, NaN where emitted as missing.
        """
        check_is_fitted(self, "visible_")
        seed = self.random_state if random_state is None else random_state
        rng = np.random.default_rng(seed)
        poses = np.full((n, 25, 2), np.nan)
        if self.target == "body":
            drawn, cluster = self._mixtures[0].draw(n, rng)
            poses[:, self._joints] = drawn.reshape(n, -1, 2)
        else:
            cluster = np.zeros(n, dtype=np.intp)
            for joint, mixture in zip(self._joints, self._mixtures, strict=True):
                poses[:, joint] = mixture.draw(n, rng)[0]
        return self._finish(poses, cluster, clip)

    def predict(self, points: ArrayLike) -> NDArray[np.int64]:
        """The nearest of `poses_`, by mean squared distance over shared joints.

        Args:
            points: (N, 25, 2) in image units, NaN where missing.

        Returns:
            (N,) index into `poses_`; −1 for a pose that shares no visible joint.
        """
        check_is_fitted(self, "poses_")
        values = image_units(points)
        gaps = ((values[:, None] - self.poses_) ** 2).sum(axis=-1)  # (N, K, 25)
        shared = np.isfinite(gaps)
        count = shared.sum(axis=-1)
        total = np.where(shared, gaps, 0).sum(axis=-1)
        distance = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        return np.where(count.any(axis=1), distance.argmin(axis=1), -1)

    def _check_parameters(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ReIDConfigError(
                    f"{name}={getattr(self, name)!r} is not one of "
                    f"{', '.join(allowed)}; choose one of them."
                )
        for name in ("n_poses", "joint_clusters"):
            count = getattr(self, name)
            if not isinstance(count, Integral) or count < 1:
                raise ReIDConfigError(
                    f"{name}={count} must be a whole number of at least 1; raise it."
                )
        if not 0 <= self.min_visible <= 1:
            raise ReIDConfigError(
                f"min_visible={self.min_visible} is no share; give 0 to 1."
            )
        if not self.reg_covar > 0:
            raise ReIDConfigError(f"reg_covar={self.reg_covar} must be above 0.")

    def _fit_body(self, used: Doubles, seen: NDArray[np.bool_]) -> None:
        filled = np.where(np.isnan(used), np.nanmean(used, axis=0), used)
        mixture = self._mixture(filled.reshape(len(used), -1), self.n_poses, False)
        self._mixtures = [mixture]
        total = np.maximum(mixture.share.sum(axis=0), 1e-12)
        empty = int((total < 1e-6).sum())
        centres = self.algorithm == "kmeans" or self.mode == "means"
        if empty and centres:  # an empty one is never drawn
            raise ReIDDataError(
                f"{empty} of {self.n_poses} clusters lost all their poses; lower "
                "n_poses, or take another random_state."
            )
        self.visible_ = (mixture.share.T @ seen) / total[:, None]

    def _mixture(self, rows: Doubles, count: int, per_joint: bool) -> _Mixture:
        """Fit `count` clusters to (N, D) rows; fewer where a joint has fewer rows."""
        different = len(np.unique(rows, axis=0))
        if per_joint:
            count = min(count, different)
        elif different < count:
            raise ReIDConfigError(
                f"n_poses={count} is more than the {different:,} different poses with "
                "a whole torso; lower n_poses or give more poses."
            )
        if self.algorithm == "kmeans":
            means = KMeans(count, n_init=10, random_state=self.random_state).fit(rows)
            share = np.eye(count)[means.labels_]
            weights = np.full(count, 1 / count) if per_joint else share.mean(axis=0)
            return _Mixture(weights, means.cluster_centers_, None, share)
        model = GaussianMixture(
            count, reg_covar=self.reg_covar, random_state=self.random_state
        ).fit(rows)
        drawn = self.mode == "sample"
        spreads = np.linalg.cholesky(model.covariances_) if drawn else None
        return _Mixture(
            model.weights_, model.means_, spreads, model.predict_proba(rows)
        )

    def _choose(self) -> Floats:
        """The K poses: drawn, or the clusters themselves from large to small."""
        drawn = self.algorithm == "gmm" and self.mode == "sample"
        if self.target == "joint" or drawn:
            return self.sample(self.n_poses)
        mixture = self._mixtures[0]
        order = np.argsort(-mixture.weights, kind="stable")
        poses = np.full((self.n_poses, 25, 2), np.nan)
        poses[:, self._joints] = mixture.centres[order].reshape(self.n_poses, -1, 2)
        return self._finish(poses, order, clip=True)

    def _finish(self, poses: Doubles, cluster: Any, clip: bool) -> Floats:
        poses[self.visible_[cluster] < self.min_visible] = np.nan
        return (np.clip(poses, 0, 1) if clip else poses).astype(np.float32)


def image_units(points: ArrayLike) -> Floats:
    """These poses (N, 25, 2), a joint that lacks x or y missing.

    Raises:
        ReIDConfigError: another shape, or pixels.
    """
    values = np.asarray(points, dtype=np.float32)
    if values.ndim != 3 or values.shape[1:] != (25, 2):
        raise ReIDConfigError(
            f"points have shape {values.shape}, not (N, 25, 2); "
            "reidlib.pose.normalise makes them from poses in pixels."
        )
    # a joint is known or not; zeros may be what another program writes for missing ones
    values = np.where(np.isfinite(values).all(-1, keepdims=True), values, np.nan)
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    if known.size and np.median(known) > 2:
        raise ReIDConfigError(
            "most joints lie far outside their pictures, as pixels do where image "
            "units are meant; reidlib.pose.normalise makes these."
        )
    return values
