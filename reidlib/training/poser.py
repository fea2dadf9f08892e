"""Training the judge of poses on real pictures with keypoints."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reidlib.data import validation_split
from reidlib.data.batches import ImageBatches
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.models.poser import Found, Poser, poser_loss
from reidlib.pose import flip
from reidlib.pose.skeletons import Floats
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.features import to_float
from reidlib.training.loop import LoopConfig, Task, fit
from reidlib.training.losses import constant_then_linear
from reidlib.training.obedience import find_joints, pck


@dataclass(frozen=True)
class PoserConfig(LoopConfig):
    """How the judge is built and trained.

    Attributes:
        width: of `Poser`.
        lr, weight_decay: of AdamW.
        held_out: share of the training identities kept for validation.
    """

    steps: int = 6_000
    batch: int = 64
    width: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-4
    held_out: float = 0.1


def train_poser(
    images: Tensor,
    points: ArrayLike,
    pids: ArrayLike,
    config: PoserConfig,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> tuple[Poser, pd.DataFrame]:
    """Learn to find joints in the training pictures and their mirror images.

    Args:
        images: (N, 3, H, W) uint8.
        points: (N, 25, 2) in image units, NaN where missing.
        pids: (N,) identities; whole ones are held out for validation.
        checkpoint: where to save, and to go on from.

    Returns:
        The judge with the best PCK@0.1 on held-out identities; the history.

    Raises:
        ReIDConfigError: the arguments differ in length or shape.
        ReIDDataError: no keypoints to learn from, or none to validate on.
    """
    joints = np.asarray(points, np.float32)
    size = (int(images.shape[-2]), int(images.shape[-1]))
    learnt, watched = _parts(images, joints, np.asarray(pids), config.held_out, seed)
    mine, theirs = images[torch.as_tensor(learnt)], images[torch.as_tensor(watched)]
    data = ImageBatches(
        torch.cat([mine, mine.flip(-1)]),
        np.concatenate([joints[learnt], flip(joints[learnt], 1.0)]),
    )
    torch.manual_seed(seed)
    judge = Poser(config.width)

    def learn(task: Task, batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        found = Found(*task.prepared["judge"](batch["images"]))
        return poser_loss(found, batch["labels"])

    def validate() -> dict[str, float]:
        right = pck(find_joints(judge, to_float(theirs)), joints[watched], size)
        return {"score": float(np.nanmean(right))}

    adam = torch.optim.AdamW(
        judge.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    task = Task(
        networks={"judge": judge},
        optimizers={"judge": adam},
        phases={"judge": learn},
        validate=validate,
        schedule=constant_then_linear,
    )
    history = fit(task, data, config, seed=seed, name="judge", checkpoint=checkpoint)
    return judge, history


def with_pck(joints: ArrayLike) -> NDArray[np.bool_]:
    """(N,) which of the poses (N, 25, 2) can be asked for: those with a PCK."""
    return np.isfinite(pck(joints, joints, (1, 1)))


def _parts(
    images: Tensor, joints: Floats, pids: NDArray, share: float, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows (N,) to learn from and to validate on: those with a PCK."""
    if joints.shape != (len(images), 25, 2) or pids.shape != (len(images),):
        raise ReIDConfigError(
            f"{len(images)} images, points {joints.shape} and pids {pids.shape} do "
            "not fit; give (N, 3, H, W), (N, 25, 2) and (N,)."
        )
    held_out = validation_split(pids, share, seed)
    known = with_pck(joints)
    parts = known & ~held_out, known & held_out
    for rows, purpose in zip(parts, ("learn from", "validate on"), strict=True):
        if not rows.any():
            raise ReIDDataError(
                f"no picture with keypoints is left to {purpose}; detect the poses "
                "with: python -m reidlib poses detect ROOT"
            )
    return parts
