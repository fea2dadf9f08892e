"""Pose-invariant person re-identification with a pose-transformation GAN."""

__version__ = "0.1.0"
