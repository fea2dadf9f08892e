"""What a generator makes of spoiled pictures: is the railing gone?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from reidlib.errors import ReIDConfigError
from reidlib.fusing.kinds import bodies
from reidlib.models import PoseInvariantExtractor
from reidlib.quality import masked_ssim, ssim
from reidlib.robustness.bench import spoiled
from reidlib.robustness.scenes import scenes_of
from reidlib.runs import Run
from reidlib.training import to_float
from reidlib.training.features import serving


@torch.no_grad()
def drawn(phi: PoseInvariantExtractor, images: Tensor, *, batch: int = 32) -> Tensor:
    """(N, K, 3, H, W) in [-1, 1]: uint8 pictures, drawn in the extractor's poses."""
    with serving(phi) as (device, (made,)):
        parts = [
            made.generate(to_float(p.to(device))).cpu() for p in images.split(batch)
        ]
    return torch.cat(parts)


def truths(
    run: Run, rows: Sequence[int] | NDArray[np.int64], poses: NDArray[np.floating]
) -> tuple[Tensor, Tensor]:
    """What queries really look like in K poses, by their own camera, with no nuisance.

    The world has people in three dimensions and the poses have two, so each pose is
    lent the body of the training picture whose pose is nearest.

    Args:
        run: of a rendered world.
        rows: of the query table.
        poses: (K, 25, 2) in image units, NaN where missing.

    Returns:
        (N, K, 3, H, W) uint8, and (N, K, H, W) bool, where the person is.

    Raises:
        ReIDDataError: the data set is no rendered world.
    """
    world, shots = scenes_of(run, [int(row) for row in rows])
    pictures, masks = [], []
    for body in bodies(run, np.asarray(poses)):
        turned = [replace(shot, pose=body) for shot in shots]
        picture, _, mask = world.render(turned, run.profile.size, nuisance=False)
        pictures.append(picture)
        masks.append(mask)
    return torch.stack(pictures, 1), torch.stack(masks, 1)


def removal(
    run: Run,
    phi: PoseInvariantExtractor,
    rows: Sequence[int] | NDArray[np.int64],
    factors: Mapping[str, float],
    seed: int = 0,
) -> pd.DataFrame:
    """How much of what spoils a picture comes through to its drawings.

    Args:
        run: whose queries.
        phi: draws.
        rows: of the query table.
        factors: name → severity, of `factors_of`.
        seed: of what is drawn at random.

    Returns:
        One row for each factor, "none" first, and query: "input", the SSIM of the
        spoiled picture to the query; "drawing", the mean SSIM of its drawings to those
        of the query; "truth", that of its drawings to the true pictures, over the
        person, NaN where the world is not rendered; and "pid".

    Raises:
        ReIDConfigError: no rows.
    """
    chosen = [int(row) for row in rows]
    if not chosen:
        raise ReIDConfigError("there are no queries to draw; give one row or more.")
    clean = run.images("query")[chosen]
    before = drawn(phi, clean)
    true = truths(run, chosen, phi.poses.cpu().numpy()) if run.rendered else None
    parts = []
    for name, severity in {"none": 0.0, **factors}.items():
        images = spoiled(run, name, severity, seed, chosen) if severity else clean
        after = drawn(phi, images)
        columns = {
            "input": ssim(to_float(images), to_float(clean)),
            "drawing": _mean_ssim(after, before),
            "truth": torch.full((len(chosen),), torch.nan)
            if true is None
            else _mean_ssim(after, to_float(true[0]), true[1]),
        }
        part = pd.DataFrame({k: v.double().numpy() for k, v in columns.items()})
        part.insert(0, "factor", name)
        parts.append(part.assign(pid=run.ids[0][chosen]))
    return pd.concat(parts, ignore_index=True)


def _mean_ssim(made: Tensor, wanted: Tensor, masks: Tensor | None = None) -> Tensor:
    """(N,) mean over the K drawings of each picture."""
    a, b = made.flatten(0, 1), wanted.flatten(0, 1)
    found = ssim(a, b) if masks is None else masked_ssim(a, b, masks.flatten(0, 1))
    return found.unflatten(0, made.shape[:2]).nanmean(1)
