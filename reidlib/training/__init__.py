"""How it is learned: one loop, and a step for each of encoder, pt-GAN and FusionNet."""

from reidlib.training.encoder import (
    EncoderConfig,
    held_out_map,
    recipe,
    train_attributes,
    train_identities,
)
from reidlib.training.features import extract, extract_generated, to_float, to_uint8
from reidlib.training.fusion import (
    FusionConfig,
    describe,
    train_descriptor,
    train_fusion,
)
from reidlib.training.loop import LoopConfig, fit, kept_row
from reidlib.training.ptgan import PtGANConfig, code_mode, train_ptgan

__all__ = [
    "EncoderConfig",
    "FusionConfig",
    "LoopConfig",
    "PtGANConfig",
    "code_mode",
    "describe",
    "extract",
    "extract_generated",
    "fit",
    "held_out_map",
    "kept_row",
    "recipe",
    "to_float",
    "to_uint8",
    "train_attributes",
    "train_descriptor",
    "train_fusion",
    "train_identities",
    "train_ptgan",
]
