"""How a system bears what spoils its queries: corruptions, scenes, and their grid."""

from reidlib.robustness.bench import distances, spoiled
from reidlib.robustness.causes import query_causes
from reidlib.robustness.corruptions import FACTORS, Corruption, Factor, corrupt
from reidlib.robustness.drawings import drawn, removal, truths
from reidlib.robustness.grid import (
    Grid,
    factors_of,
    grid,
    one_each,
    read_table,
)
from reidlib.robustness.keypoints import KEYPOINTS, asked, spoil
from reidlib.robustness.scenes import SCENES, headings, scene, scenes_of, taken

__all__ = [
    "FACTORS",
    "KEYPOINTS",
    "SCENES",
    "Corruption",
    "Factor",
    "Grid",
    "asked",
    "corrupt",
    "distances",
    "drawn",
    "factors_of",
    "grid",
    "headings",
    "one_each",
    "query_causes",
    "read_table",
    "removal",
    "scene",
    "scenes_of",
    "spoil",
    "spoiled",
    "taken",
    "truths",
]
