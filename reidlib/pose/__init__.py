"""Where the joints are: skeletons, keypoint files and pose clustering."""

from reidlib.pose.clustering import PoseClusterer
from reidlib.pose.files import read_annotation_csv, read_openpose, write_openpose
from reidlib.pose.skeletons import (
    SKELETONS,
    Skeleton,
    convert,
    empty_pose,
    flip,
    normalise,
    pose_vector,
    torso_valid,
)
from reidlib.pose.sources import check_inside, find_arrays, read_keypoints
from reidlib.pose.statistics import joint_statistics, views

__all__ = [
    "SKELETONS",
    "PoseClusterer",
    "Skeleton",
    "check_inside",
    "convert",
    "empty_pose",
    "find_arrays",
    "flip",
    "joint_statistics",
    "normalise",
    "pose_vector",
    "read_annotation_csv",
    "read_openpose",
    "read_keypoints",
    "torso_valid",
    "views",
    "write_openpose",
]
