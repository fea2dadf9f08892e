"""The full model that comes with the package: small, and ready for a first look.

Its weights were trained on rendered people only, by
``python -m reidlib train full --profile shipped --ship``. They belong to the synthetic
world. On photographs they are a start for training, no more.
"""

import hashlib
from functools import cache
from pathlib import Path

from reidlib.models import PoseInvariantExtractor

WEIGHTS = Path(__file__).with_name("weights") / "shipped.safetensors"


def shipped() -> PoseInvariantExtractor:
    """R2, the aligned generator, an encoder of drawings, six poses and their slots.

    Pictures are 64 x 32.
    """
    return PoseInvariantExtractor.load(WEIGHTS)


@cache
def shipped_digest() -> str:
    """Of the file that holds the weights."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]
