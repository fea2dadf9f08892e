"""The stages of the method, each made once for a run and reused ever after."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from reidlib.ablation import SPLITS
from reidlib.data.batches import PairBatches
from reidlib.data.synthetic.population import POPULATION_SEED, population
from reidlib.errors import ReIDConfigError
from reidlib.manifests import Finished, Made, digest, file_digest
from reidlib.models import (
    Encoder,
    FusionNet,
    PoseGenerator,
    PoseInvariantExtractor,
)
from reidlib.models.poser import Poser
from reidlib.pose import PoseClusterer, pose_vector
from reidlib.profiles import fitting
from reidlib.runs import Run, train_points, train_poses
from reidlib.training import (
    EncoderConfig,
    FusionConfig,
    PtGANConfig,
    describe,
    extract,
    extract_generated,
    kept_row,
    train_attributes,
    train_fusion,
    train_identities,
    train_ptgan,
)
from reidlib.training.checkpoint import Checkpoint, below
from reidlib.training.distributed import processes
from reidlib.training.poser import train_poser, with_pck

log = logging.getLogger(__name__)

# of an encoder, whatever taught it
ARCHITECTURE = ("arch", "last_stride", "input_size", "bottleneck", "dropout", "neck")

Network = TypeVar("Network")


@dataclass(frozen=True)
class Trained(Generic[Network]):
    """A network and the stage it came from."""

    network: Network
    stage: Finished
    kind: str = ""


def r1(run: Run) -> Trained[Encoder]:
    """R1: ImageNet weights where they can be had, else trained on attributes.

    ``kind`` says which: "imagenet" or "attributes".
    """
    if run.profile.r1 == "imagenet":
        # as it was trained: R2's neck, last stride and start are not ImageNet's
        config = replace(
            run.profile.encoder, neck=False, last_stride=2, weights="imagenet"
        )

        def fetch(_: Checkpoint) -> Made:
            return Made(config.build().state_dict())

        # how R2 will be trained makes no other R1, which might not be had again
        whole = {name: asdict(config)[name] for name in ARCHITECTURE}
        try:
            stage = run.stage("r1", whole, fetch, data="imagenet")
        except ReIDConfigError as error:
            log.warning("%s R1 is trained on attributes instead.", error)
        else:
            network = config.build(weights=stage.weights)
            return Trained(network.eval(), stage, "imagenet")
    config = run.profile.attributes

    def build(checkpoint: Checkpoint) -> Made:
        images, targets, persons = population(run.profile.population, run.profile.size)
        made, history = train_attributes(
            images, targets, persons, config, seed=run.seed, checkpoint=checkpoint
        )
        return Made(made.state_dict(), history, kept_row(history))

    scale, made_of = run.profile, f"population {POPULATION_SEED}"
    whole = asdict(config) | {"population": scale.population, "size": scale.size}
    shared = run.home / "runs" / "attributes" / run.scale
    stage = run.stage("r1", whole, build, folder=shared, data=made_of)
    return Trained(config.build(weights=stage.weights).eval(), stage, "attributes")


def r2(
    run: Run,
    config: EncoderConfig | None = None,
    name: str = "r2",
    *,
    extra: tuple[Tensor, pd.DataFrame] | None = None,
    inputs: tuple[Finished, ...] = (),
) -> Trained[Encoder]:
    """R2: an encoder fine-tuned on the training identities.

    It starts from the file that ``config.weights`` names, or from "imagenet" where R1
    is of another kind by the profile; where it names none, from R1.

    Args:
        config: of the training; None: the profile's.
        name: of the stage, another one for another config or other pictures.
        extra: more training pictures (M, 3, H, W) uint8 and their pid and camid.
        inputs: the stages that those were made from.
    """
    config = fitting(config or run.profile.encoder, run.data.train, run.seed)
    start = r1(run)
    weights, key = None, asdict(config)
    if config.weights not in (None, "imagenet"):
        weights = Path(config.weights)
        key["start"] = file_digest(weights)
    elif config.weights is None or run.profile.r1 != start.kind:
        weights = start.stage.weights  # ImageNet's could not be had

    def build(checkpoint: Checkpoint) -> Made:
        images, table = run.images("train"), run.data.train
        if extra is not None:
            images = torch.cat([images, extra[0]])
            table = pd.concat([table, extra[1]], ignore_index=True)
        made, history = train_identities(
            images,
            table,
            config,
            weights=weights,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(made.state_dict(), history, kept_row(history))

    stage = run.stage(name, key, build, inputs=(start.stage, *inputs))
    return Trained(config.build(weights=stage.weights).eval(), stage)


def ptgan(
    run: Run, config: PtGANConfig | None = None, name: str = "ptgan"
) -> Trained[PoseGenerator]:
    """G, trained on pairs of the training identities.

    Args:
        config: of the training; None: the profile's.
        name: of the stage, another one for another config.
    """
    encoder = r1(run)
    table, config = run.data.train, config or run.profile.ptgan
    pairs = PairBatches(torch.empty(len(table)), table["pid"], train_poses(run))
    usable = np.isin(np.arange(len(table)), pairs.sources)
    config = fitting(config, table, run.seed, usable)

    def build(checkpoint: Checkpoint) -> Made:
        g, d, history = train_ptgan(
            encoder.network,
            run.images("train"),
            run.data.train,
            train_points(run),
            config,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        parts: dict[str, nn.Module] = {"g": g, "d": d}
        if config.finetune_encoder:
            parts["r1"] = encoder.network
        tensors = {
            f"{part}.{k}": v
            for part, network in parts.items()
            for k, v in network.state_dict().items()
            if not k.startswith("head.")
        }
        return Made(tensors, history, kept_row(history))

    stage = run.stage(name, config, build, inputs=(encoder.stage,))
    g = config.generator(encoder.network.features, run.profile.size)
    g.load_state_dict(below("g", stage.tensors))
    return Trained(g.eval(), stage)


def source_encoder(run: Run, drawer: Trained[PoseGenerator] | None = None) -> Encoder:
    """The encoder that G looks with: R1, or what pt-GAN's training made of it."""
    encoder, drawer = r1(run).network, drawer or ptgan(run)
    learned = below("r1", drawer.stage.tensors)
    if learned:
        encoder.load_state_dict(encoder.state_dict() | learned)
    return encoder.eval()


def poser(run: Run) -> Trained[Poser]:
    """The judge that finds joints in drawings, trained on the training pictures."""
    known = with_pck(train_poses(run))
    config = fitting(run.profile.poser, run.data.train, run.seed, known)

    def build(checkpoint: Checkpoint) -> Made:
        network, history = train_poser(
            run.images("train"),
            train_points(run),
            run.data.train["pid"].to_numpy(),
            config,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(network.state_dict(), history, kept_row(history))

    stage = run.stage("poser", config, build)
    network = Poser(config.width)
    network.load_state_dict(stage.tensors)
    return Trained(network.eval(), stage)


def poses(
    run: Run, target: str = "body", algorithm: str = "gmm", n_poses: int | None = None
) -> Trained[PoseClusterer]:
    """K significant poses of the training set; the final model's by default."""
    k = run.profile.poses if n_poses is None else n_poses
    clusterer = PoseClusterer(target, algorithm, k, run.seed)
    clusterer.fit(train_points(run))
    stage = run.stage(
        f"poses-{target}-{algorithm}-{k}",
        clusterer.get_params(),
        lambda _: Made({"poses": torch.as_tensor(clusterer.poses_)}),
    )
    # another machine's, or another scikit-learn's, may differ from those that were used
    clusterer.poses_ = stage.tensors["poses"].numpy()
    return Trained(clusterer, stage)


def features(run: Run, encoder: Trained[Encoder], name: str) -> dict[str, Tensor]:
    """Features of every split, {"train", "query", "gallery"} → (N, D)."""
    precision = run.profile.encoder.precision

    def build(_: Checkpoint) -> Made:
        net = encoder.network
        made = {s: extract(net, run.images(s), precision=precision) for s in SPLITS}
        return Made(made)

    config = {"precision": precision}
    stage = run.stage(f"features-{name}", config, build, inputs=(encoder.stage,))
    return stage.tensors


def generated(
    run: Run, chosen: Trained[PoseClusterer], rows: dict[str, np.ndarray] | None = None
) -> tuple[dict[str, Tensor], Finished]:
    """R2's features of every picture redrawn in the chosen poses.

    Args:
        rows: bool mask of the rows of each split to redraw; None: all.

    Returns:
        {"train", "query", "gallery"} → (N, K, D), and the stage.
    """
    g, judge = ptgan(run), r2(run)
    encoder = source_encoder(run, g)
    vectors = torch.as_tensor(pose_vector(chosen.network.poses_))
    precision = run.profile.encoder.precision

    def build(_: Checkpoint) -> Made:
        made = {}
        for split in SPLITS:
            images = run.images(split)
            if rows is not None:
                images = images[rows[split].tolist()]
            made[split] = extract_generated(
                encoder, g.network, judge.network, images, vectors, precision=precision
            )
        return Made(made)

    numbers = {s: v.nonzero()[0].tolist() for s, v in (rows or {}).items()}
    name = chosen.stage.folder.name.replace("poses", "generated")
    stage = run.stage(
        name + ("-part" if rows else ""),
        {"rows": digest(numbers) if rows else None, "precision": precision},
        build,
        inputs=(g.stage, judge.stage, chosen.stage),
    )
    return stage.tensors, stage


def fusion(
    run: Run,
    chosen: Trained[PoseClusterer],
    *,
    control: str = "",
    config: FusionConfig | None = None,
    rows: dict[str, np.ndarray] | None = None,
) -> tuple[Trained[FusionNet], dict[str, Tensor]]:
    """FusionNet on cached features, and its descriptors of query and gallery.

    Args:
        control: "" for the method; "copy" puts the input's own feature in place of
            the generated pictures' features: the same network, no new evidence.
        config: of the training; None: the profile's.
        rows: as in ``generated``.

    Raises:
        ReIDConfigError: an unknown control.
    """
    if control not in ("", "copy"):
        raise ReIDConfigError(f"Unknown control '{control}'; choose '' or 'copy'.")
    config = config or run.profile.fusion
    whole = rows is None and config == run.profile.fusion
    drawn, drawn_stage = generated(run, chosen, rows)
    own = features(run, r2(run), "r2")
    if rows is not None:
        own = {s: own[s][rows[s].tolist()] for s in SPLITS}
    if control:
        drawn = {s: own[s][:, None].expand_as(drawn[s]).contiguous() for s in SPLITS}
    table = run.data.train if rows is None else run.data.train[rows["train"]]
    config = fitting(config, table, run.seed)

    def build(checkpoint: Checkpoint) -> Made:
        network, history = train_fusion(
            own["train"],
            drawn["train"],
            table,
            config,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        state = {k: v for k, v in network.state_dict().items() if "head." not in k}
        return Made(state, history, kept_row(history))

    parts = ("fusion", control, chosen.stage.folder.name.removeprefix("poses-"))
    name = "-".join(p for p in parts if p) + ("" if whole else "-part")
    stage = run.stage(name, config, build, inputs=(drawn_stage,))
    n, k, d = drawn["train"].shape
    network = config.build(d, k)
    network.load_state_dict(stage.tensors)
    found = {s: describe(network, own[s], drawn[s]) for s in ("query", "gallery")}
    return Trained(network.eval(), stage), found


def extractor(run: Run) -> PoseInvariantExtractor:
    """Φ of eq. 2 with the run's final settings, also saved as one file."""
    chosen = poses(run)
    fused, _ = fusion(run, chosen)
    whole = PoseInvariantExtractor(
        source_encoder(run),
        ptgan(run).network,
        r2(run).network,
        fused.network,
        torch.as_tensor(chosen.network.poses_),
    )
    if processes().is_main_process:
        whole.save(run.folder / "extractor.safetensors")
    processes().wait_for_everyone()
    return whole
