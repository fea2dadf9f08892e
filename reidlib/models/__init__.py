"""What is learned: encoders R1 and R2, pt-GAN, FusionNet, and the whole extractor."""

from reidlib.models.aligned import AlignedGenerator
from reidlib.models.checkpoints import Matched, load_checkpoint
from reidlib.models.encoder import Encoder
from reidlib.models.extractor import PoseInvariantExtractor, redraw
from reidlib.models.fusion import FusionNet, Slots
from reidlib.models.generators import PoseGenerator, build_generator, make_generator
from reidlib.models.imagegan import ImageGenerator
from reidlib.models.ptgan import Discriminator, Generator
from reidlib.models.views import view, views

__all__ = [
    "AlignedGenerator",
    "Discriminator",
    "Encoder",
    "FusionNet",
    "Generator",
    "ImageGenerator",
    "Matched",
    "PoseGenerator",
    "PoseInvariantExtractor",
    "Slots",
    "build_generator",
    "load_checkpoint",
    "make_generator",
    "redraw",
    "view",
    "views",
]
