"""How a system bears what spoils its queries: corruptions, scenes, and their grid."""

from reidlib.robustness.bench import distances
from reidlib.robustness.corruptions import FACTORS, Corruption, Factor, corrupt
from reidlib.robustness.grid import (
    Grid,
    factors_of,
    grid,
    one_each,
    read_table,
)
from reidlib.robustness.scenes import SCENES, scene

__all__ = [
    "FACTORS",
    "SCENES",
    "Corruption",
    "Factor",
    "Grid",
    "corrupt",
    "distances",
    "factors_of",
    "grid",
    "one_each",
    "read_table",
    "scene",
]
