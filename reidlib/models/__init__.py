"""What is learned: encoders R1 and R2, pt-GAN, FusionNet, and the whole extractor."""

from reidlib.models.checkpoints import Matched, load_checkpoint
from reidlib.models.encoder import Encoder
from reidlib.models.extractor import PoseInvariantExtractor, redraw
from reidlib.models.fusion import FusionNet
from reidlib.models.ptgan import Discriminator, Generator

__all__ = [
    "Discriminator",
    "Encoder",
    "FusionNet",
    "Generator",
    "Matched",
    "PoseInvariantExtractor",
    "load_checkpoint",
    "redraw",
]
