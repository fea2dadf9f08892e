"""The full model that comes with the package: small, and ready for a first look.

Its weights were trained on rendered people only, by
``python -m reidlib train full --profile shipped --ship``. They belong to the synthetic
world. On photographs they are a start for training, no more.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from reidlib.manifests import write_json
from reidlib.models import PoseInvariantExtractor

WEIGHTS = Path(__file__).with_name("weights") / "shipped.safetensors"
MADE_BY = WEIGHTS.with_suffix(".json")  # digest of the file, manifests of its stages


def ship(extractor: PoseInvariantExtractor, run_folder: Path) -> None:
    """Put an extractor into the package, with the manifests of a run's stages."""
    WEIGHTS.parent.mkdir(exist_ok=True)
    extractor.save(WEIGHTS, half=True)
    shipped_digest.cache_clear()
    stages = sorted(run_folder.glob("*/manifest.json"))
    told: dict[str, Any] = {p.parent.name: json.loads(p.read_text()) for p in stages}
    write_json(MADE_BY, {"file": shipped_digest(), "stages": told})


def shipped() -> PoseInvariantExtractor:
    """R2, the aligned generator, an encoder of drawings, six poses and their slots.

    Pictures are 64 x 32.
    """
    return PoseInvariantExtractor.load(WEIGHTS)


@cache
def shipped_digest() -> str:
    """Of the file that holds the weights."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]
