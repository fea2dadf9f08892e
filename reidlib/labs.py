"""What the course labs share: a small world, described by a model that is ready."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reidlib.data import load_dataset, read_images
from reidlib.manifests import code_digest, digest
from reidlib.models import Encoder, PoseInvariantExtractor
from reidlib.models.files import read_weights, write_weights
from reidlib.pose import pose_vector
from reidlib.retrieval import RetrievalResult, evaluate
from reidlib.runs import find_home
from reidlib.shipped import shipped, shipped_digest
from reidlib.training import extract, extract_generated, to_float

IDS, SEED, EACH = 80, 3, 7  # people of no other world, half of them to learn from
SIZE = (64, 32)
PARTS = ("train", "query", "gallery")


@dataclass(frozen=True, eq=False)
class Part:
    """N pictures and all that is known of them.

    Attributes:
        images: (N, 3, 64, 32) uint8.
        features: (N, D) float32 of the pictures, as R2 gives them.
        drawn: (N, K, D) float32 of the K drawings made from each picture.
        points: (N, 25, 2) poses, x and y as shares of the picture's width and
            height, NaN where missing.
        pids, camids: (N,) int64 identities and cameras.
    """

    images: Tensor
    features: Tensor
    drawn: Tensor
    points: NDArray[np.float32]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bundle:
    """The model and three parts: people to learn from, and those of the test."""

    phi: PoseInvariantExtractor
    train: Part
    query: Part
    gallery: Part

    def judge(self, query: Any, gallery: Any, **options: Any) -> RetrievalResult:
        """`evaluate` for the test's query and gallery; options as there."""
        q, g = self.query, self.gallery
        ids = (q.pids, g.pids, q.camids, g.camids)
        return evaluate(query, gallery, *ids, **options)

    def draw(self, images: Tensor, poses: ArrayLike) -> Tensor:
        """Features of pictures redrawn in poses of your own.

        Args:
            images: (N, 3, 64, 32) uint8.
            poses: (K, 25, 2) as `Part.points`.

        Returns:
            (N, K, D) float32.
        """
        return _drawn(self.phi, images, torch.as_tensor(pose_vector(poses)))


def prepare(home: Path | None = None) -> Bundle:
    """The bundle, rendered and described once and kept in ``runs/labs``.

    Args:
        home: folder that holds ``runs``; None: of the checkout, see `find_home`.
    """
    phi = shipped()
    folder = (home or find_home()) / "runs" / "labs"
    folder.mkdir(parents=True, exist_ok=True)
    key = digest([IDS, SEED, EACH, shipped_digest(), code_digest()])
    file = folder / f"{key}.safetensors"
    with FileLock(folder / ".lock"):
        if not file.exists():
            for old in folder.glob("*.safetensors"):
                old.unlink()
            write_weights(file, _make(phi, folder))
    kept = read_weights(file)
    parts = {name: _part(kept, name) for name in PARTS}
    return Bundle(phi, **parts)


@torch.no_grad()
def maps(encoder: Encoder, images: Tensor, stage: str = "layer3") -> Tensor:
    """What an encoder holds after one of its stages, before it is pooled.

    Args:
        encoder: R2, say `bundle.phi.r2`.
        images: (N, 3, H, W) uint8.
        stage: "layer1" to "layer4"; the height is H / 4 after the first, and half of
            that after each further one. The shipped R2 ends with layer3.

    Returns:
        (N, C, h, w) float32.
    """
    kept: list[Tensor] = []
    layer = getattr(encoder.trunk, stage)
    hook = layer.register_forward_hook(lambda _, __, out: kept.append(out))
    encoder.eval()
    for part in images.split(64):
        encoder(to_float(part))
    hook.remove()
    return torch.cat(kept)


def _make(phi: PoseInvariantExtractor, root: Path) -> dict[str, Tensor]:
    """Render the world, describe it, and forget the files."""
    from reidlib.data.synthetic import write_world

    with TemporaryDirectory(dir=root) as scratch:
        folder = Path(scratch) / "world"
        write_world(folder, ids=IDS, seed=SEED, images_per_id=EACH, size=SIZE)
        data = load_dataset("synthetic", folder)
        made: dict[str, Tensor] = {}
        for name in PARTS:
            table = getattr(data, name)
            images = read_images(table, SIZE, data.root)
            made |= {
                f"{name}.images": images,
                f"{name}.features": extract(phi.r2, images),
                f"{name}.drawn": _drawn(phi, images, phi.poses.nan_to_num().flatten(1)),
                f"{name}.points": torch.as_tensor(data.points(table)),
                f"{name}.pids": torch.as_tensor(table["pid"].to_numpy().copy()),
                f"{name}.camids": torch.as_tensor(table["camid"].to_numpy().copy()),
            }
    return made


def _drawn(phi: PoseInvariantExtractor, images: Tensor, vectors: Tensor) -> Tensor:
    eye = phi.drawn_encoder
    return extract_generated(phi.r1, phi.generator, eye, images, vectors)


def _part(kept: dict[str, Tensor], name: str) -> Part:
    names = [field.name for field in fields(Part)]
    images, features, drawn, *arrays = (kept[f"{name}.{key}"] for key in names)
    return Part(images, features, drawn, *(a.numpy() for a in arrays))
