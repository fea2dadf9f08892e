"""Learned fusions as stages of a run, each made once and reused ever after."""

from dataclasses import asdict, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from reidlib import stages
from reidlib.data import class_labels, validation_split
from reidlib.fusing.attentive import AttentionFusion
from reidlib.fusing.endtoend import Joint, JointConfig
from reidlib.fusing.kinds import (
    ONCE,
    Evidence,
    check_kind,
    evidence,
    how_many,
    pictures,
)
from reidlib.manifests import Made, code_digest
from reidlib.models import Encoder, FusionNet, PoseGenerator
from reidlib.pose import PoseClusterer, pose_vector
from reidlib.profiles import fitting
from reidlib.runs import Run
from reidlib.stages import ARCHITECTURE, Trained
from reidlib.training import (
    EncoderConfig,
    FusionConfig,
    describe,
    kept_row,
    to_float,
    train_descriptor,
    train_fusion,
    train_identities,
)
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.features import serving

FOUND = ("query", "gallery")
SHOWN = 64  # pictures, each with its drawings, that are described at a time
Descriptors = dict[str, Tensor]


def fusionnet(
    run: Run, found: Evidence, config: FusionConfig | None = None
) -> tuple[Trained[FusionNet], Descriptors]:
    """FusionNet on any evidence, and its descriptors of query and gallery."""
    config = fitting(config or run.profile.fusion, run.data.train, run.seed)

    def build(checkpoint: Checkpoint) -> Made:
        network, history = train_fusion(
            found.source["train"],
            found.drawn["train"],
            run.data.train,
            config,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(_without_head(network), history, kept_row(history))

    stage = run.stage(_name("fusion", found), config, build, inputs=found.inputs)
    _, k, d = found.drawn["train"].shape
    network = config.build(d, k)
    network.load_state_dict(stage.tensors)
    made = {s: describe(network, found.source[s], found.drawn[s]) for s in FOUND}
    return Trained(network.eval(), stage), made


def attention(
    run: Run, found: Evidence, config: FusionConfig | None = None
) -> tuple[Trained[AttentionFusion], Descriptors]:
    """Attention over poses on any evidence, and its descriptors."""
    config = fitting(config or run.profile.fusion, run.data.train, run.seed)
    _, k, d = found.drawn["train"].shape

    def build(checkpoint: Checkpoint) -> Made:
        torch.manual_seed(run.seed)
        network = AttentionFusion(d, k, _identities(run, config))
        history = train_descriptor(
            network,
            found.source["train"],
            found.drawn["train"],
            run.data.train,
            config,
            _adamw(network, config),
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(_without_head(network), history, kept_row(history))

    stage = run.stage(
        _name("attention", found), _keyed(config), build, inputs=found.inputs
    )
    network = AttentionFusion(d, k)
    network.load_state_dict(stage.tensors)
    made = {s: describe(network, found.source[s], found.drawn[s]) for s in FOUND}
    return Trained(network.eval(), stage), made


def second_encoder(
    run: Run,
    kind: str = "drawn",
    *,
    drawer: Trained[PoseGenerator] | None = None,
    chosen: Trained[PoseClusterer] | None = None,
    config: EncoderConfig | None = None,
) -> Trained[Encoder]:
    """R2, trained further on the evidence instead of the photographs.

    R2 has never seen a drawing. PN-GAN trains a second network on its drawings for
    that; here it starts from R2's weights. For kind "copies", it is the control that
    was trained equally long on the photographs.

    Args:
        kind: as in `evidence`.
        config: of the training; None: the profile's ``second``, or R2's, of R2's
            architecture. With a triplet loss it also pulls together what is hardest to
            recognise: among the drawings of one person these are other poses of other
            photographs.

    Raises:
        ReIDConfigError: there is no such kind.
    """
    check_kind(kind)
    drawer, chosen = drawer or stages.ptgan(run), chosen or stages.poses(run)
    first, table = stages.r2(run), run.data.train
    count = 1 if kind in ONCE else how_many(kind, len(chosen.network.poses_))
    table = table.loc[table.index.repeat(count)].reset_index(drop=True)
    base = run.profile.encoder
    usual = run.profile.second or base
    usual = replace(usual, **{name: getattr(base, name) for name in ARCHITECTURE})
    config = config or usual
    other = ""
    if config != usual:
        other = "-triplet" if config.triplet > usual.triplet else "-other"
    config = fitting(config, table, run.seed)

    def build(checkpoint: Checkpoint) -> Made:
        images = pictures(run, "train", kind, drawer=drawer, chosen=chosen)
        made, history = train_identities(
            images.flatten(0, 1),
            table,
            config,
            weights=first.stage.weights,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(made.state_dict(), history, kept_row(history))

    inputs = (first.stage, chosen.stage, drawer.stage)
    name = f"r2-on-{kind}-{chosen.stage.folder.name}-{drawer.stage.folder.name}"
    name = (name + other).replace(" ", "-")
    stage = run.stage(name, _keyed(config), build, inputs=inputs)
    return Trained(config.build(weights=stage.weights).eval(), stage)


def joint(
    run: Run,
    config: JointConfig,
    *,
    drawer: Trained[PoseGenerator] | None = None,
    chosen: Trained[PoseClusterer] | None = None,
) -> tuple[Trained[Joint], Descriptors]:
    """FusionNet, R2 and, if wanted, G trained end to end from where their parts ended.

    Args:
        config: ``hidden``, ``dropout`` and ``batchnorm`` are FusionNet's, as trained.
    """
    drawer, chosen = drawer or stages.ptgan(run), chosen or stages.poses(run)
    fused, _ = fusionnet(run, evidence(run, drawer=drawer, chosen=chosen))
    first = stages.r2(run)
    config = cast(JointConfig, fitting(config, run.data.train, run.seed))

    def empty(identities: int) -> Joint:
        g = drawer.network if config.generator else None
        vectors = torch.as_tensor(pose_vector(chosen.network.poses_))
        whole = Joint(first.network, fused.network, identities, g, vectors)
        cast(FusionNet, whole.fusion).dropout.p = config.dropout
        return whole

    def build(checkpoint: Checkpoint) -> Made:
        torch.manual_seed(run.seed)
        network = empty(_identities(run, config))
        history = train_descriptor(
            network,
            run.images("train"),
            _given(run, "train", config, drawer, chosen),
            run.data.train,
            config,
            _adamw(network, config),
            batch=SHOWN,
            seed=run.seed,
            checkpoint=checkpoint,
        )
        return Made(_without_head(network), history, kept_row(history))

    inputs = (first.stage, fused.stage, drawer.stage, chosen.stage)
    parts = ["joint", "with-g" if config.generator else "", drawer.stage.folder.name]
    parts.append(chosen.stage.folder.name)
    name = "-".join(p for p in parts if p)
    stage = run.stage(name, _keyed(config), build, inputs=inputs)
    network = empty(1)
    network.load_state_dict(stage.tensors, strict=False)
    given = {s: _given(run, s, config, drawer, chosen) for s in FOUND}
    made = {s: describe(network, run.images(s), given[s], batch=SHOWN) for s in FOUND}
    return Trained(network.eval(), stage), made


@torch.no_grad()
def _given(
    run: Run,
    split: str,
    config: JointConfig,
    drawer: Trained[PoseGenerator],
    chosen: Trained[PoseClusterer],
) -> Tensor:
    """What ``Joint`` takes beside the pictures: drawings, or what G knows of them."""
    if not config.generator:
        return pictures(run, split, drawer=drawer, chosen=chosen)
    encoder = stages.source_encoder(run, drawer)
    with serving(encoder) as (device, (eye,)):
        parts = (to_float(part.to(device)) for part in run.images(split).split(256))
        return torch.cat([drawer.network.look(eye, part).cpu() for part in parts])


def _adamw(network: nn.Module, config: FusionConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )


def _identities(run: Run, config: FusionConfig) -> int:
    pids = run.data.train["pid"]
    held_out = validation_split(pids, config.held_out, run.seed)
    return int(class_labels(pids[~held_out]).max()) + 1


def _without_head(network: nn.Module) -> dict[str, Tensor]:
    return {k: v.cpu() for k, v in network.state_dict().items() if "head." not in k}


def _keyed(config: Any) -> dict[str, Any]:
    """A configuration, and a digest of this package, which ``Run.stage`` leaves out."""
    return asdict(config) | {"fusing": code_digest(("fusing",))}


def _name(kind: str, found: Evidence) -> str:
    source = found.inputs[0].folder.name.removeprefix("evidence-")
    return f"{kind}-{found.kind}-{source}".replace(" ", "-")
