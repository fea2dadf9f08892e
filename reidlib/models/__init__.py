"""What is learned: encoders R1 and R2, pt-GAN, FusionNet, and the whole extractor."""

<<<<<<< HEAD
from reidlib.models.checkpoints import Matched, load_checkpoint
=======
from reidlib.models.aligned import AlignedGenerator
>>>>>>> h3
from reidlib.models.encoder import Encoder
from reidlib.models.extractor import PoseInvariantExtractor, redraw
from reidlib.models.fusion import FusionNet
from reidlib.models.generators import PoseGenerator, build_generator, make_generator
from reidlib.models.imagegan import ImageGenerator
from reidlib.models.ptgan import Discriminator, Generator

__all__ = [
    "AlignedGenerator",
    "Discriminator",
    "Encoder",
    "FusionNet",
    "Generator",
<<<<<<< HEAD
    "Matched",
    "PoseInvariantExtractor",
    "load_checkpoint",
=======
    "ImageGenerator",
    "PoseGenerator",
    "PoseInvariantExtractor",
    "build_generator",
    "make_generator",
>>>>>>> h3
    "redraw",
]
