"""The command line: from `demo` and `doctor` to `search` and `export`.

Every command calls the functions that the chapters call. The flags of ``train``
come from the configuration of the stage, with the profile's values as defaults.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from reidlib import stages
from reidlib.data import check
from reidlib.data.datasets import NAMES
from reidlib.demo import Demo
from reidlib.enlargecli import Generate
from reidlib.errors import ReIDConfigError, ReIDError
from reidlib.manifests import Finished
from reidlib.posecli import Poses
from reidlib.profiles import PROFILES, get_profile
from reidlib.retrieval import bootstrap
from reidlib.shipped import ship
from reidlib.systems import full_file, full_model
from reidlib.training import EncoderConfig, FusionConfig, PtGANConfig, extract, recipe
from reidlib.usecli import Export, Extract, Search
from reidlib.where import Where


@dataclass(frozen=True)
class Doctor:
    """Compare a folder with what the data set should hold.

    Attributes:
        name: of the data set; or the folder alone, whose layout then tells the name.
        root: its folder.
        quick: open a sample of the images instead of all.
        json: print one JSON object, whose keys `Report.as_dict` documents.
    """

    name: tyro.conf.Positional[str]
    root: tyro.conf.Positional[Path | None] = None
    quick: bool = False
    json: bool = False

    def run(self) -> int:
        """Print the report; 1 if the data set cannot be used."""
        name, root = (
            ("", Path(self.name)) if self.root is None else (self.name, self.root)
        )
        if not name and self.name in NAMES and not root.exists():
            raise ReIDConfigError(
                f"{self.name} is a data set, and its folder is not given; write "
                f"doctor {self.name} ROOT."
            )
        report = check(name, root, every_image=not self.quick)
        print(json.dumps(report.as_dict()) if self.json else report)
        return 0 if report.usable else 1


@dataclass(frozen=True)
class TrainEncoder(Where):
    """Train R1 (where it must be) and R2.

    Attributes:
        recipe: R2's, "paper" or "modern", over what the flags say; empty for these.
    """

    config: EncoderConfig = PROFILES["smoke"].encoder
    recipe: Literal["", "paper", "modern"] = ""

    def run(self) -> int:
        """Train, and say where the weights are."""
        config = recipe(self.recipe, self.config) if self.recipe else self.config
        return _told(stages.r2(self.open(encoder=config)).stage)


@dataclass(frozen=True)
class TrainPtGAN(Where):
    """Train pt-GAN."""

    config: PtGANConfig = PROFILES["smoke"].ptgan

    def run(self) -> int:
        """Train, and say where the weights are."""
        return _told(stages.ptgan(self.open(ptgan=self.config)).stage)


@dataclass(frozen=True)
class TrainPoses(Where):
    """Cluster the training poses."""

    target: Literal["body", "joint"] = "body"
    algorithm: Literal["kmeans", "gmm"] = "gmm"
    n_poses: int = 0

    def run(self) -> int:
        """Cluster, and say where the poses are."""
        run = self.open()
        k = self.n_poses or None
        return _told(stages.poses(run, self.target, self.algorithm, k).stage)


@dataclass(frozen=True)
class TrainFusion(Where):
    """Train FusionNet, and save the whole extractor."""

    config: FusionConfig = PROFILES["smoke"].fusion

    def run(self) -> int:
        """Train what is missing, and say where the extractor is."""
        run = self.open(fusion=self.config)
        stages.extractor(run)
        print(run.folder / "extractor.safetensors")
        return 0


@dataclass(frozen=True)
class TrainFull(Where):
    """Train the full model: an aligned generator, R2, an encoder of drawings, slots.

    Attributes:
        views: let the encoder of drawings also see shifted views of the picture.
        ship: write the weights into the package as well, in 16 bits.
    """

    views: bool = False
    ship: bool = False

    def run(self) -> int:
        """Train what is missing, and say where the extractor is."""
        run = self.open()
        whole, _ = full_model(run, views=self.views)
        if self.ship:
            ship(whole, run.folder)
        print(full_file(run, views=self.views))
        return 0


@dataclass(frozen=True)
class Evaluate(Where):
    """Score R1, R2, the paper's extractor or the full model on query and gallery.

    Attributes:
        features: which descriptor.
        rerank: k-reciprocal re-ranking; junk leaves first, and galleries of one
            picture of each person have settings of their own.
        ap: "step", or "trapezoid" as in Market's own script.
    """

    features: Literal["r1", "r2", "fusion", "full", "full-views"] = "fusion"
    rerank: bool = False
    ap: Literal["step", "trapezoid"] = "step"

    def run(self) -> int:
        """Print the scores with their intervals."""
        run = self.open()
        if self.features == "fusion":
            found = stages.fusion(run, stages.poses(run))[1]
        elif self.features.startswith("full"):
            whole, _ = full_model(run, views=self.features == "full-views")
            found = {s: extract(whole, run.images(s)) for s in ("query", "gallery")}
        else:
            encoder = (stages.r1 if self.features == "r1" else stages.r2)(run)
            found = stages.features(run, encoder, self.features)
        query, gallery = found["query"], found["gallery"]
        if self.rerank:
            result = run.score(run.reranked(query, gallery), ap=self.ap)
        else:
            result = run.evaluate(query, gallery, ap=self.ap)
        print(result)
        for name, interval in bootstrap(result).items():
            print(f"{name:8} {interval}")
        return 0


Training = (
    Annotated[TrainEncoder, tyro.conf.subcommand("encoder")]
    | Annotated[TrainPtGAN, tyro.conf.subcommand("ptgan")]
    | Annotated[TrainPoses, tyro.conf.subcommand("poses")]
    | Annotated[TrainFusion, tyro.conf.subcommand("fusion")]
    | Annotated[TrainFull, tyro.conf.subcommand("full")]
)


def train(stage: tyro.conf.OmitSubcommandPrefixes[Training]) -> Any:
    """Train one part, or the whole model."""
    return stage


COMMANDS: dict[str, Any] = {
    "demo": Demo,
    "doctor": Doctor,
    "poses": Poses,
    "train": train,
    "generate": Generate,
    "evaluate": Evaluate,
    "extract": Extract,
    "search": Search,
    "export": Export,
}
STAGES: dict[str, Any] = {
    "encoder": TrainEncoder,
    "ptgan": TrainPtGAN,
    "fusion": TrainFusion,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a user can mend become one line and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    try:
        return _command(words).run()
    except ReIDError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _command(words: list[str]) -> Doctor:
    """Parse; ``train`` takes its defaults from the profile that the words name."""
    program = "python -m reidlib"
    if len(words) > 1 and words[0] == "train" and words[1] in STAGES:
        profile = get_profile(_value_of("--profile", words, "smoke"))
        kind = STAGES[words[1]]
        default = kind(config=getattr(profile, words[1]))
        prog = f"{program} train {words[1]}"
        return tyro.cli(kind, default=default, args=words[2:], prog=prog)
    return tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words, prog=program)


def _value_of(flag: str, words: list[str], otherwise: str) -> str:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == flag:
            return following
        if word.startswith(flag + "="):
            return word.partition("=")[2]
    return otherwise


def _told(stage: Finished) -> int:
    print(stage.weights)
    return 0
