"""Scales of one method: ``smoke`` for minutes, ``longer`` hours, ``full`` a GPU."""

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reidlib.data import validation_split
from reidlib.errors import ReIDConfigError
from reidlib.training import EncoderConfig, FusionConfig, PtGANConfig, recipe
from reidlib.training.distributed import processes
from reidlib.training.poser import PoserConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """Everything that a run's scale decides.

    Attributes:
        name: a key of ``PROFILES``.
        size: (height, width) of the pictures.
        ids, images_per_id, world: of the synthetic world, where no root is given: its
            size, and its seed.
        population: pictures of the disjoint synthetic people that R1 learns from.
        r1: "attributes", or "imagenet" where its weights can be downloaded.
        poses: K of the final model (GMM on the full body, Table II).
        ablation_poses: the values of K in Table II.
        ablation_ids: identities of each split that Table II uses; 0: all.
        deterministic: one thread of a CPU, also beside a GPU, and deterministic
            kernels, so that a rerun agrees.
        second: of the drawings' own encoder, which goes on from R2; None: as R2.
    """

    name: str
    size: tuple[int, int]
    ids: int
    images_per_id: int
    population: int
    r1: str
    attributes: EncoderConfig
    encoder: EncoderConfig
    ptgan: PtGANConfig
    fusion: FusionConfig
    poser: PoserConfig
    poses: int
    ablation_poses: tuple[int, ...]
    ablation_ids: int
    deterministic: bool
    ablation_fusion: FusionConfig = field(default_factory=FusionConfig)
    world: int = 0
    second: EncoderConfig | None = None


SMALL = EncoderConfig(
    steps=300,
    batch=64,
    arch="resnet10",
    weights=None,
    input_size=None,
    bottleneck=0,
    optimizer="adamw",
    lr=2e-3,
    trunk=1.0,
    weight_decay=0.01,
    validations=6,
)

SMOKE = Profile(
    name="smoke",
    size=(64, 32),
    ids=400,
    images_per_id=7,
    population=3000,
    r1="attributes",
    attributes=SMALL,
    encoder=replace(SMALL, steps=250, lr=1e-3, bottleneck=512),
    ptgan=PtGANConfig(
        steps=1500,
        ngf=16,
        ndf=16,
        blocks=3,
        native_aspect=True,
        norm="batch",
        lambda_rec=1000.0,
        augment=False,
        lr=1.5e-3,
        held_out=0.1,
        watch=128,
    ),
    fusion=FusionConfig(steps=800, batch=64, validations=8, patience=4),
    poser=PoserConfig(steps=350, width=16, validations=5),
    poses=4,
    ablation_poses=(2, 3, 4, 6),
    ablation_ids=36,
    deterministic=True,
    ablation_fusion=FusionConfig(steps=150, batch=64, validations=3),
)

# The paper's pictures on two CPU cores, in hours. Without ImageNet's weights R2 has
# nothing that a high learning rate would harm.
LONGER_R2 = replace(
    recipe("modern", replace(SMOKE.encoder, arch="resnet18", precision="bf16")),
    lr=1e-3,
    steps=4000,
)
LONGER = replace(
    SMOKE,
    name="longer",
    size=(128, 64),
    population=6000,
    attributes=replace(SMALL, arch="resnet18", precision="bf16", steps=600),
    encoder=LONGER_R2,
    second=replace(LONGER_R2, steps=1500),
    ptgan=replace(SMOKE.ptgan, steps=5000, lr=1e-3, validations=10, precision="bf16"),
    poser=replace(SMOKE.poser, precision="bf16"),
    poses=6,
    ablation_ids=0,
    deterministic=False,
)

FULL = Profile(
    name="full",
    size=(128, 64),
    ids=1502,
    images_per_id=17,
    population=40_000,
    r1="imagenet",
    attributes=EncoderConfig(
        weights=None, trunk=1.0, steps=20_000, batch=64, precision="bf16"
    ),
    encoder=recipe("modern", EncoderConfig(batch=64, precision="bf16")),
    # the people whom R2 and fusion are judged on must be new to G as well
    ptgan=PtGANConfig(precision="bf16", held_out=0.1),
    fusion=FusionConfig(),
    poser=PoserConfig(precision="bf16"),
    poses=12,
    ablation_poses=(8, 12, 16, 24),
    ablation_ids=0,
    deterministic=False,
)

# The weights that come with the package: more people and steps than smoke, and other
# people, so that smoke's test people are new to them.
SHIPPED = replace(
    SMOKE,
    name="shipped",
    ids=1600,
    images_per_id=8,
    world=1,
    population=6000,
    attributes=replace(SMOKE.attributes, arch="resnet8", steps=800),
    encoder=replace(SMOKE.encoder, arch="resnet8", steps=1500),
    ptgan=replace(
        SMOKE.ptgan,
        kind="aligned",
        norm="group",
        native_aspect=False,
        steps=5000,
        lr=1e-3,
        validations=10,
    ),
    poses=6,
)

PROFILES = {profile.name: profile for profile in (SMOKE, LONGER, FULL, SHIPPED)}


def get_profile(name: str) -> Profile:
    """The profile of this name.

    Raises:
        ReIDConfigError: there is none.
    """
    if name not in PROFILES:
        raise ReIDConfigError(
            f"There is no profile '{name}'; choose one of {', '.join(PROFILES)}."
        )
    return PROFILES[name]


Config = TypeVar("Config", EncoderConfig, PtGANConfig, FusionConfig, PoserConfig)


def fitting(
    config: Config,
    table: pd.DataFrame,
    seed: int,
    usable: NDArray[np.bool_] | None = None,
) -> Config:
    """This configuration, with a batch no larger than what there is to learn from.

    A profile cannot know how many pictures a folder holds. A batch that is cut can
    still be divided among processes and micro-batches, and holds whole identities of
    two pictures or more where it holds several pictures of each.

    Args:
        table: the training pictures, with their pid.
        usable: (N,) those of them that this training can use; None: all.

    Raises:
        ReIDConfigError: several pictures of each identity are wanted, and there are no
            two identities that have them.
    """
    inside = ~validation_split(table["pid"], config.held_out, seed)
    pids = table["pid"][inside if usable is None else inside & usable]
    left, each = len(pids), getattr(config, "each", 0)
    unit = processes().num_processes * config.accumulate
    if each:
        left = each * int((pids.value_counts() > 1).sum())
        unit = math.lcm(unit, each * config.accumulate)
        if left < 2 * each:
            raise ReIDConfigError(
                f"Batches of {each} pictures of each identity need two training "
                f"identities with two pictures, and there are {left // each}; give "
                "more pictures, or train without: --config.each 0 --config.triplet 0."
            )
    if config.batch <= left:
        return config
    batch = max(unit, left // unit * unit)
    log.warning("A batch of %d is cut to %d: %d are left.", config.batch, batch, left)
    return replace(config, batch=batch)
