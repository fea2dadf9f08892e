"""Commands that use a trained extractor: `extract`, `search` and `export`."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro
from torch import Tensor

from reidlib.data import read_images
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.export import export
from reidlib.manifests import file_digest, make_folder, write_json
from reidlib.models import PoseInvariantExtractor
from reidlib.models.files import read_metadata, read_weights, write_weights
from reidlib.pose.files import pictures
from reidlib.retrieval import GalleryIndex
from reidlib.shipped import WEIGHTS
from reidlib.training import extract


@dataclass(frozen=True)
class Extract:
    """Write the descriptors of a folder of pictures.

    Attributes:
        weights: extractor.safetensors or full.safetensors of a run.
        images: folder of pictures.
        out: a .safetensors file; the pictures' names go beside it as .json.
    """

    weights: tyro.conf.Positional[Path]
    images: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]

    def run(self) -> int:
        """Describe, and write."""
        if self.out.suffix != ".safetensors":
            raise ReIDConfigError(f"{self.out} must end in .safetensors.")
        names, descriptors = _describe(self.weights, pictures(self.images))
        make_folder(self.out)
        made_by = {"weights": file_digest(self.weights)}
        write_weights(self.out, {"features": descriptors}, made_by)
        told = [str(name.resolve()) for name in names]
        write_json(self.out.with_suffix(".json"), told)
        print(f"{len(names)} descriptors of {descriptors.shape[1]} values: {self.out}")
        return 0


@dataclass(frozen=True)
class Search:
    """Rank a gallery folder for one picture.

    Attributes:
        weights: extractor.safetensors or full.safetensors of a run.
        query: a picture.
        gallery: a folder of pictures, or the .safetensors that ``extract`` wrote.
        top: how many to show.
    """

    weights: tyro.conf.Positional[Path]
    query: tyro.conf.Positional[Path]
    gallery: tyro.conf.Positional[Path]
    top: int = 10

    def run(self) -> int:
        """Print rank, distance and file, nearest first; the query itself is no find."""
        if self.top < 1:
            raise ReIDConfigError(f"--top is {self.top}; give 1 or more.")
        if self.gallery.suffix == ".safetensors":
            names, known = _extracted(self.gallery, self.weights)
        else:
            names, known = _describe(self.weights, pictures(self.gallery))
        wanted = _describe(self.weights, [self.query])[1]
        index = GalleryIndex(known.shape[1])
        index.add(known)
        found = index.search(wanted, self.top + 1)
        rows = [
            (max(0.0, float(distance)), names[int(row)])
            for row, distance in zip(found.ids[0], found.distances[0], strict=True)
            if names[int(row)].resolve() != self.query.resolve()
        ]
        for place, (distance, name) in enumerate(rows[: self.top], start=1):
            print(f"{place:4}  {distance:.4f}  {name}")
        return 0


@dataclass(frozen=True)
class Export:
    """Write an extractor for other programs, and check it against PyTorch.

    Attributes:
        weights: extractor.safetensors or full.safetensors of a run; "shipped" for the
            model that comes with the package.
        out: a name in .onnx, or in .pt2 for torch.export.
    """

    weights: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]

    def run(self) -> int:
        """Write, and say how near it comes."""
        known = str(self.weights) == "shipped"
        gap = export(
            PoseInvariantExtractor.load(WEIGHTS if known else self.weights), self.out
        )
        print(f"{self.out}: 1 - cosine to PyTorch at most {gap:.0e}")
        return 0


def _extracted(path: Path, weights: Path) -> tuple[list[Path], Tensor]:
    """What ``extract`` wrote with these weights: names of pictures, and descriptors."""
    told = path.with_suffix(".json")
    made_by = read_metadata(path).get("weights")
    if made_by and made_by != file_digest(weights):
        raise ReIDDataError(
            f"{path} was written by extract with other weights, whose descriptors "
            "these cannot be compared with; write it again with these."
        )
    try:
        known = read_weights(path)["features"]
        names = [Path(name) for name in json.loads(told.read_text())]
        if len(names) != len(known):
            raise ValueError(f"{len(names)} names and {len(known)} descriptors")
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ReIDDataError(
            f"{path} and {told.name} are not what extract wrote ({error!r}); "
            "write them again."
        ) from error
    return names, known


def _describe(weights: Path, paths: list[Path]) -> tuple[list[Path], Tensor]:
    extractor = PoseInvariantExtractor.load(weights)
    images = read_images([str(p) for p in paths], extractor.generator.size)
    return paths, extract(extractor, images)
