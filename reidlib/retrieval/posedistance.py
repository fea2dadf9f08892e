"""How far two poses are apart: joints in torso lengths, or headings in degrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reidlib.errors import ReIDConfigError
from reidlib.pose.skeletons import TORSO

Doubles = NDArray[np.float64]
MIN_JOINTS = 6  # the torso's four corners and two joints that can move


def torso_frame(poses: ArrayLike) -> Doubles:
    """Poses with the torso's centre at 0 and its height as the unit.

    The torso runs from the middle of the hips to the middle of the shoulders.

    Args:
        poses: (..., 25, 2 or 3) BODY_25 in pixels, or in another unit that is the
            same along x and y; NaN (or confidence 0) where missing.

    Returns:
        (..., 25, 2); NaN where missing, everywhere if a corner of the torso is
        missing or the torso has no height.

    Raises:
        ReIDConfigError: another shape.
    """
    values = np.asarray(poses, np.float64)
    if values.ndim < 2 or values.shape[-2] != 25 or values.shape[-1] not in (2, 3):
        raise ReIDConfigError(
            f"poses have shape {values.shape}; give BODY_25, (..., 25, 2 or 3)."
        )
    points = values[..., :2].copy()
    if values.shape[-1] == 3:
        points[~(values[..., 2] > 0)] = np.nan
    corners = points[..., TORSO, :]
    hips, shoulders = corners[..., :2, :].mean(-2), corners[..., 2:, :].mean(-2)
    height = np.linalg.norm(shoulders - hips, axis=-1)
    height = np.where(height > 0, height, np.nan)
    centre = (hips + shoulders) / 2
    return (points - centre[..., None, :]) / height[..., None, None]


def pose_distance(a: ArrayLike, b: ArrayLike) -> Doubles:
    """Mean distance of the joints that both poses show, in torso lengths.

    Args:
        a: (..., 25, 2 or 3); see `torso_frame`.
        b: the same; the leading dimensions broadcast.

    Returns:
        (...,); NaN where a torso is missing or fewer than 6 joints are shared.
    """
    return _joint_distance(torso_frame(a), torso_frame(b))


def heading_difference(a: ArrayLike, b: ArrayLike) -> Doubles:
    """Angle between headings in degrees, from 0 to 180; NaN where one is unknown.

    >>> heading_difference(350, [20, 170, -190]).tolist()
    [30.0, 180.0, 180.0]
    """
    turn = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return np.abs((turn + 180) % 360 - 180)


@dataclass(frozen=True)
class Proximity:
    """Pose distance of one query to some gallery images."""

    unit: str
    _measure: Callable[[Any, Any], Doubles]
    _query: Doubles
    _gallery: Doubles

    def __call__(self, query: int, gallery: NDArray[np.int64]) -> Doubles:
        """(n,) distances of a query to n gallery images."""
        return self._measure(self._query[query], self._gallery[gallery])

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        poses: tuple[ArrayLike | None, ArrayLike | None],
        headings: tuple[ArrayLike | None, ArrayLike | None],
    ) -> Proximity:
        """From (query, gallery) poses or (query, gallery) headings, one of the two.

        Raises:
            ReIDConfigError: both, neither, half of one, or of another length.
        """
        given = [v is not None for v in (*poses, *headings)]
        if given not in ([True, True, False, False], [False, False, True, True]):
            raise ReIDConfigError(
                "the pose distance needs query_poses and gallery_poses, or "
                "query_headings and gallery_headings; give one of the two pairs."
            )
        by_pose = given[0]
        names = ("query_poses", "gallery_poses")
        if not by_pose:
            names = ("query_headings", "gallery_headings")
        values = []
        for name, value, length in zip(
            names, poses if by_pose else headings, shape, strict=True
        ):
            array = np.asarray(value, np.float64)
            if len(array.shape) != (3 if by_pose else 1) or len(array) != length:
                raise ReIDConfigError(
                    f"{name} has shape {array.shape} but there are {length} images; "
                    f"give {'(N, 25, 2 or 3)' if by_pose else 'one angle per image'}."
                )
            values.append(torso_frame(array) if by_pose else array)
        if by_pose:
            return cls("torso lengths", _joint_distance, *values)
        return cls("degrees", heading_difference, *values)


def _joint_distance(a: Doubles, b: Doubles) -> Doubles:
    """Of poses in their torso's frame."""
    apart = np.linalg.norm(a - b, axis=-1)
    shared = np.isfinite(apart)
    count = shared.sum(axis=-1)
    total = np.where(shared, apart, 0).sum(axis=-1)
    return np.where(count >= MIN_JOINTS, total / np.maximum(count, 1), np.nan)
