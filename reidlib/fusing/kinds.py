"""K more features of every picture: of drawings, or of what a control puts there.

A gain over R2 can have causes that have nothing to do with poses: more layers, more
looks at one picture, or a cleaner one. So the drawings can be replaced, all else equal.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from reidlib import stages
from reidlib.ablation import SPLITS
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import Finished, Made, code_digest
from reidlib.models import Encoder, PoseGenerator, views
from reidlib.pose import PoseClusterer, pose_vector, torso_valid
from reidlib.runs import Run, train_points
from reidlib.training import extract, to_float, to_uint8
from reidlib.training.features import serving

KINDS = {
    "drawn": "the generator's drawings in the K poses",
    "copies": "the picture itself, K times",
    "augmented": "K views of the picture: mirrored, shifted and cropped",
    "more views": "2 K such views",
    "views and drawings": "K such views, and the K drawings",
    "random poses": "drawings, each picture's in K training poses of its own",
    "strangers": "the drawings of another picture of the same split",
    "true": "the person's true pictures in the K poses, without nuisance",
    "cleaned": "the true picture in its own pose, without nuisance, K times",
}
ONCE = ("copies", "cleaned")  # of which there is one picture, K times


@dataclass(frozen=True)
class Evidence:
    """Features of every split's pictures, and K more of each.

    Attributes:
        kind: one of ``KINDS``.
        source: "train", "query", "gallery" → (N, D), R2's.
        drawn: the same → (N, K, D), or (N, 2 K, D) of a kind that has twice as many.
        inputs: the stages that these came from.
    """

    kind: str
    source: dict[str, Tensor]
    drawn: dict[str, Tensor]
    inputs: tuple[Finished, ...]

    @property
    def count(self) -> int:
        """K, or 2 K."""
        return self.drawn["query"].shape[1]


def evidence(
    run: Run,
    kind: str = "drawn",
    *,
    drawer: stages.Trained[PoseGenerator] | None = None,
    chosen: stages.Trained[PoseClusterer] | None = None,
    second: stages.Trained[Encoder] | None = None,
) -> Evidence:
    """The features of one kind of evidence, made once for a run.

    Args:
        drawer: the generator; None: the profile's.
        chosen: the K poses; None: the profile's.
        second: the encoder of the drawings; None: R2.

    Raises:
        ReIDConfigError: an unknown kind.
        ReIDDataError: a truth is wanted, and the world is not a rendered one.
    """
    check_kind(kind)
    r2 = stages.r2(run)
    chosen, eye = chosen or stages.poses(run), second or r2
    own = stages.features(run, r2, "r2")
    inputs = [r2.stage, chosen.stage, eye.stage]
    if kind in ("drawn", "random poses", "strangers", "views and drawings"):
        drawer = drawer or stages.ptgan(run)
        inputs.append(drawer.stage)
    if kind == "strangers":
        found = evidence(run, drawer=drawer, chosen=chosen, second=second)
        mixed = {s: x[_strangers(run, s, len(x))] for s, x in found.drawn.items()}
        return replace(found, kind=kind, drawn=mixed)
    count = how_many(kind, len(chosen.network.poses_))

    def build(_: object) -> Made:
        return Made({s: _seen(run, eye.network, made(s)) for s in SPLITS})

    def made(split: str) -> Tensor:
        return pictures(run, split, kind, drawer=drawer, chosen=chosen)

    parts = [kind, *(s.folder.name for s in inputs if s is not r2.stage)]
    name = "-".join(["evidence", *parts]).replace(" ", "-")
    unique = tuple({s.folder: s for s in inputs}.values())
    stage = run.stage(name, {"code": code_digest(("fusing",))}, build, inputs=unique)
    drawn = {s: x.expand(-1, count, -1) for s, x in stage.tensors.items()}
    return Evidence(kind, own, drawn, (stage,))


def check_kind(kind: str) -> None:
    """Refuse what is none of ``KINDS``.

    Raises:
        ReIDConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ReIDConfigError(
            f"There is no evidence '{kind}'; choose one of {', '.join(KINDS)}."
        )


def how_many(kind: str, poses: int) -> int:
    """Features that a kind of evidence has of each picture, where there are K poses."""
    return 2 * poses if kind in ("more views", "views and drawings") else poses


def _seen(run: Run, network: Encoder, images: Tensor) -> Tensor:
    """(N, K, 3, H, W) uint8 → (N, K, D)."""
    precision = run.profile.encoder.precision
    found = extract(network, images.flatten(0, 1), precision=precision)
    return found.unflatten(0, images.shape[:2])


def pictures(
    run: Run,
    split: str,
    kind: str = "drawn",
    *,
    drawer: stages.Trained[PoseGenerator] | None = None,
    chosen: stages.Trained[PoseClusterer] | None = None,
) -> Tensor:
    """The pictures behind `evidence`, (N, K, 3, H, W) uint8, or 2 K of each.

    "copies" and "cleaned" are K times the same: of these one is given, (N, 1, ...).

    Raises:
        ReIDConfigError, ReIDDataError: as `evidence`.
    """
    check_kind(kind)
    chosen, images = chosen or stages.poses(run), run.images(split)
    poses = chosen.network.poses_
    if kind == "copies":
        return images[:, None]
    if kind in ("augmented", "more views"):
        return views(images, how_many(kind, len(poses)))
    if kind == "views and drawings":
        drawings = pictures(run, split, drawer=drawer, chosen=chosen)
        return torch.cat([views(images, len(poses)), drawings], dim=1)
    if kind == "strangers":
        drawings = pictures(run, split, drawer=drawer, chosen=chosen)
        return drawings[_strangers(run, split, len(drawings))]
    if kind in ("true", "cleaned"):
        return _rendered(run, split, poses if kind == "true" else None)
    asked = np.broadcast_to(poses, (len(images), *poses.shape))
    if kind == "random poses":
        known = train_points(run)
        known = known[torso_valid(known)]
        rng = np.random.default_rng([run.seed, SPLITS.index(split)])
        asked = known[rng.integers(len(known), size=asked.shape[:2])]
    return _drawings(run, drawer or stages.ptgan(run), images, asked)


@torch.no_grad()
def _drawings(
    run: Run,
    drawer: stages.Trained[PoseGenerator],
    images: Tensor,
    poses: np.ndarray,
    batch: int = 256,
) -> Tensor:
    """Each picture in its own K poses (N, K, 25, 2)."""
    count = poses.shape[1]
    size = max(1, batch // count)
    made = []
    networks = stages.source_encoder(run, drawer), drawer.network
    precision = run.profile.ptgan.precision
    with serving(*networks, precision=precision) as (device, (encoder, g)):
        for start in range(0, len(images), size):
            part = images[start : start + size]
            vectors = pose_vector(poses[start : start + size].reshape(-1, 25, 2))
            seen = g.look(encoder, to_float(part.to(device)))
            wanted = torch.as_tensor(vectors).to(device)
            drawn = to_uint8(g(seen.repeat_interleave(count, 0), wanted)).cpu()
            made.append(drawn.unflatten(0, (-1, count)))
    return torch.cat(made)


def _rendered(run: Run, split: str, poses: np.ndarray | None) -> Tensor:
    """True pictures from the source's camera: in K poses, or in the source's own.

    The world has people in three dimensions, and the K poses have two. Each is lent
    the body of the training picture whose pose is nearest.
    """
    if not run.rendered:
        raise ReIDDataError(
            f"{run.data.root} is no rendered world, so nobody knows how its people "
            "look in another pose; use the synthetic data set for this."
        )
    from reidlib.data.synthetic import open_world, true_shot

    world = open_world(run.data.root)
    shots = [true_shot(world, name) for name in getattr(run.data, split)["path"]]
    lent = [None] if poses is None else bodies(run, poses)
    made = []
    for body in lent:
        wanted = shots if body is None else [replace(s, pose=body) for s in shots]
        made.append(world.render(wanted, run.profile.size, nuisance=False)[0])
    return torch.stack(made, dim=1)


def bodies(run: Run, poses: np.ndarray) -> list:
    """The bodies of the training pictures nearest to K poses (K, 25, 2)."""
    from reidlib.data.synthetic import open_world, true_shot

    points, names = train_points(run), run.data.train["path"].to_numpy()
    valid = torso_valid(points)
    points, names = points[valid], names[valid]
    gaps = ((points[None] - poses[:, None]) ** 2).sum(-1)  # (K, N, 25)
    nearest = np.nanmean(gaps, axis=-1).argmin(axis=1)
    world = open_world(run.data.root)
    return [true_shot(world, names[i]).pose for i in nearest]


def _strangers(run: Run, split: str, count: int) -> Tensor:
    """(N,) for each picture another one: the one before it in a random order."""
    rng = np.random.default_rng([run.seed, 7, SPLITS.index(split)])
    order = rng.permutation(count)
    found = np.empty(count, np.int64)
    found[order] = np.roll(order, 1)
    return torch.as_tensor(found)
