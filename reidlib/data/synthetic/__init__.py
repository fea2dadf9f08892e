"""A synthetic pedestrian world: rendered people for chapters, tests and first runs."""

from .body import Pose
from .clothes import ATTRIBUTE_NAMES, Person
from .world import Camera, Crop, Nuisance, Shot, World
from .write import true_shot, write_world

__all__ = [
    "ATTRIBUTE_NAMES",
    "Camera",
    "Crop",
    "Nuisance",
    "Person",
    "Pose",
    "Shot",
    "World",
    "true_shot",
    "write_world",
]
