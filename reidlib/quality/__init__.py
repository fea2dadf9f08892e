"""How good drawings are: against the truth, trivial rivals and real pictures."""

from reidlib.quality.baselines import cluster_means, nearest_pictures, pose_gaps
from reidlib.quality.distances import (
    Retention,
    diversity,
    reid_fid,
    retention,
    share,
)
from reidlib.quality.failures import causes, failures
from reidlib.quality.intervals import bootstrap_rows, jackknife_rows
from reidlib.quality.pictures import (
    colour_correlation,
    half_colours,
    l1,
    masked_l1,
    masked_ssim,
    pose_mask,
    ssim,
)
from reidlib.quality.report import Asked, Gallery, quality, readable, rivals, scores
from reidlib.training.obedience import find_joints, pck

__all__ = [
    "Asked",
    "Gallery",
    "Retention",
    "bootstrap_rows",
    "causes",
    "cluster_means",
    "colour_correlation",
    "diversity",
    "failures",
    "find_joints",
    "half_colours",
    "jackknife_rows",
    "l1",
    "masked_l1",
    "masked_ssim",
    "nearest_pictures",
    "pck",
    "pose_gaps",
    "pose_mask",
    "quality",
    "readable",
    "reid_fid",
    "retention",
    "rivals",
    "scores",
    "share",
    "ssim",
]
