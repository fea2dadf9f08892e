"""A synthetic pedestrian world: rendered people for chapters, tests and first runs."""

from .body import Pose
from .clothes import ATTRIBUTE_NAMES, Person
from .photos import write_photos
from .plan import PRESETS
from .world import Camera, Crop, Nuisance, Shot, World
from .write import open_world, true_shot, write_world

__all__ = [
    "ATTRIBUTE_NAMES",
    "PRESETS",
    "Camera",
    "Crop",
    "Nuisance",
    "Person",
    "Pose",
    "Shot",
    "World",
    "open_world",
    "true_shot",
    "write_photos",
    "write_world",
]
