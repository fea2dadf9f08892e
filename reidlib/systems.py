"""Whole systems, picture in and descriptor out: R1, R2, and the model that works.

The paper's own chain is `stages.extractor`. The *full model* here is what chapter 6
found instead: drawings of the aligned generator, seen by an encoder of their own, and
compared slot by slot.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from reidlib import fusing, models, stages
from reidlib.data import validation_split
from reidlib.data.synthetic import open_world
from reidlib.errors import ReIDConfigError
from reidlib.manifests import Made, code_digest, digest, fingerprint
from reidlib.models import Encoder, PoseInvariantExtractor, Slots
from reidlib.models.files import read_weights, write_weights
from reidlib.pose import pose_vector
from reidlib.profiles import SHIPPED
from reidlib.runs import Run
from reidlib.shipped import shipped, shipped_digest
from reidlib.training import PtGANConfig, extract, extract_generated
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.distributed import processes

FULL = "full model"
MANY = 256  # pictures, from which on their descriptors are kept on disk


@dataclass(frozen=True)
class System:
    """What turns pictures into descriptors, and what that takes.

    Attributes:
        name: for tables.
        network: the Encoder or the extractor.
        content: digest of its weights.
        encoded, drawn: pictures that it encodes and draws for each one.
        shelf: folder that keeps the descriptors of many pictures for the next time.
    """

    name: str
    network: Encoder | PoseInvariantExtractor
    content: str
    encoded: int = 1
    drawn: int = 0
    shelf: Path | None = None

    def describe(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 → (N, D) float32 on the CPU, compared by cosine."""
        if self.shelf is None or len(images) < MANY:
            return extract(self.network, images)
        key = digest([self.content, code_digest(("models",)), fingerprint(images)])
        path = self.shelf / f"{key}.safetensors"
        if not path.is_file():
            self.shelf.mkdir(parents=True, exist_ok=True)
            write_weights(path, {"made": extract(self.network, images)})
        return read_weights(path)["made"]


def aligned(config: PtGANConfig) -> PtGANConfig:
    """This training of pt-GAN, of the aligned generator."""
    if config.kind == "aligned":
        return config
    return replace(config, kind="aligned", norm="group")


def full_file(run: Run, *, views: bool = False) -> Path:
    """Where `full_model` is saved."""
    return run.folder / f"full{'-views' if views else ''}.safetensors"


def full_model(run: Run, *, views: bool = False) -> tuple[PoseInvariantExtractor, str]:
    """The full model of a run's own training data, and the digest of its stages.

    What is missing is trained: R2, the aligned generator, and a second encoder for its
    drawings. Their share is the one with the highest mAP among held-out training
    identities. Saved as `full_file` says.

    Args:
        views: the second encoder learns, and sees, as many shifted views of the
            picture beside the drawings.

    Raises:
        ReIDConfigError: fusion holds out people whom R2 was trained on.
    """
    kind = "views and drawings" if views else "drawn"
    config = aligned(run.profile.ptgan)
    name = "ptgan" if config == run.profile.ptgan else "ptgan-aligned"
    first, drawer = stages.r2(run), stages.ptgan(run, config, name)
    chosen = stages.poses(run)
    second = fusing.second_encoder(run, kind, drawer=drawer, chosen=chosen)
    table, k = run.data.train, len(chosen.network.poses_)
    held_out = run.profile.fusion.held_out
    out = validation_split(table["pid"], held_out, run.seed)
    for eye in (run.profile.encoder, run.profile.second or run.profile.encoder):
        if (out & ~validation_split(table["pid"], eye.held_out, run.seed)).any():
            raise ReIDConfigError(
                "The share of the drawings would be chosen among people whom R2 knows: "
                f"it holds out {eye.held_out} of them, and fusion {held_out}; train "
                f"R2 with --config.held-out {held_out}, or more."
            )

    def build(_: Checkpoint) -> Made:
        images = run.images("train")[torch.as_tensor(out)]
        source = extract(first.network, images)
        shown = extract_generated(
            stages.source_encoder(run, drawer),
            drawer.network,
            second.network,
            images,
            torch.as_tensor(pose_vector(chosen.network.poses_)),
        )
        if views:
            seen = extract(second.network, models.views(images, k).flatten(0, 1))
            shown = torch.cat([seen.unflatten(0, (-1, k)), shown], dim=1)
        weight = fusing.fitted_weight(fusing.slots, source, shown, table[out])
        return Made({"weight": torch.tensor(weight)})

    inputs = (first.stage, drawer.stage, chosen.stage, second.stage)
    keyed = {"fusing": code_digest(("fusing",)), "held out": held_out}
    stage = run.stage("slots-views" if views else "slots", keyed, build, inputs=inputs)
    whole = PoseInvariantExtractor(
        None,
        drawer.network,
        first.network,
        Slots(round(float(stage.tensors["weight"]), 3)),
        torch.as_tensor(chosen.network.poses_),
        second.network,
        views=k if views else 0,
    )
    if processes().is_main_process:
        whole.save(full_file(run, views=views))
    processes().wait_for_everyone()
    return whole, digest([stage.content, *stage.manifest["inputs"].values()])


def knows_shipped(run: Run) -> bool:
    """Whether the weights that come with the package serve for this run.

    They do on a rendered world at the smoke scale whose people they never saw.
    """
    if run.profile.name != "smoke" or not run.rendered:
        return False
    return open_world(run.data.root).seed != SHIPPED.world


def ready(run: Run) -> tuple[PoseInvariantExtractor, str]:
    """The full model for a run, and the digest of its weights.

    The one that comes with the package where it serves, else the run's own.
    """
    return (shipped(), shipped_digest()) if knows_shipped(run) else full_model(run)


def systems(run: Run) -> dict[str, System]:
    """R1, R2 and the full model; R2 is the one inside the full model.

    On the synthetic world at the smoke scale, R2 and the full model come with the
    package (`shipped`), and were trained on other people. Elsewhere they are trained
    on the run's own training identities.
    """
    r1 = stages.r1(run)
    whole, content = ready(run)
    k, shelf = len(whole.poses), run.folder / "descriptors"
    made = (
        System("R1", r1.network, r1.stage.content, shelf=shelf),
        System("R2", whole.r2, f"{content}-r2", shelf=shelf),
        System(FULL, whole, content, encoded=1 + k, drawn=k, shelf=shelf),
    )
    return {system.name: system for system in made}
