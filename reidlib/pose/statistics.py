"""What a set of poses looks like as a whole: the numbers two data sets compare by."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from reidlib.pose.skeletons import SKELETONS

_SIDE = 8 / 64  # shoulders nearer than this share of the width: a side view


def joint_statistics(points: ArrayLike) -> pd.DataFrame:
    """How often each joint is missing, and where it is when it is not.

    Args:
        points: (N, 25, 2) shares of width and height, missing NaN.

    Returns:
        One row for each BODY_25 joint: `missing`, a share, and `x_mean`, `x_std`,
        `y_mean`, `y_std`, shares of the image; NaN for a joint that is never seen.
    """
    values = np.asarray(points, np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a joint that is never seen
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    columns = {
        "missing": np.isnan(values[..., 0]).mean(axis=0),
        "x_mean": mean[:, 0],
        "x_std": std[:, 0],
        "y_mean": mean[:, 1],
        "y_std": std[:, 1],
    }
    return pd.DataFrame(columns, index=list(SKELETONS["body25"].joints))


def views(points: ArrayLike) -> np.ndarray:
    """Whether each pose shows the front, the back or a side, by its shoulders.

    The right shoulder well to the left of the left one is the front.

    Args:
        points: (N, 25, 2) shares of width and height, missing NaN.

    Returns:
        (N,) strings: front, back, side, or unknown where a shoulder is missing.
    """
    values = np.asarray(points, np.float64)
    across = values[:, 5, 0] - values[:, 2, 0]
    return np.select(
        [np.isnan(across), across > _SIDE, across < -_SIDE],
        ["unknown", "front", "back"],
        "side",
    )
