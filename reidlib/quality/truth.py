"""What test people should look like in poses that they were seen in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import stages
from reidlib.data import validation_split
from reidlib.errors import ReIDDataError
from reidlib.pose import PoseClusterer, pose_vector, torso_valid
from reidlib.quality.report import Asked, Gallery, quality, rivals
from reidlib.runs import Run
from reidlib.training import extract, to_float
from reidlib.training.features import serving


@dataclass(frozen=True)
class Exam:
    """Drawings that are asked of a run's generators, and the other pictures.

    Attributes:
        asked: sources, truths and poses.
        photo: (P, 3, H, W) in [-1, 1], the photographs with these poses.
        images: (N, 3, H, W) uint8 of the people who are asked about, and of others.
        table: path, pid and camid of these.
        points: (N, 25, 2) their poses, NaN where missing.
        rows: (P,) of the sources among them.
        protocol: by which a gallery of them is searched.
    """

    asked: Asked
    photo: Tensor
    images: Tensor
    table: pd.DataFrame
    points: np.ndarray
    rows: np.ndarray
    protocol: str

    def gallery(self, judge: torch.nn.Module) -> Gallery:
        """Features, by this encoder, of all pictures that are no source."""
        rest = np.setdiff1d(np.arange(len(self.table)), self.rows)
        found = extract(judge, self.images[torch.as_tensor(rest)])
        pids, camids = (self.table[k].to_numpy()[rest] for k in ("pid", "camid"))
        return Gallery(found, pids, camids, self.protocol)


def asked(
    run: Run, clusters: PoseClusterer, *, people: int = 120, each: int = 3
) -> Exam:
    """Ask for people of query and gallery in poses of theirs from other cameras.

    Every person lends one source, and up to ``each`` targets with a whole torso. A
    target photograph may be blurred, dark or half hidden, so a synthetic world renders
    it once more without nuisance; elsewhere the photograph has to serve. Where the
    test pictures have no keypoints, the training identities that pt-GAN holds out
    step in: they chose its best step, so they flatter a little.

    Args:
        run: whose people.
        clusters: fitted, for the pose cluster of each target.
        people: at most so many, the first by pid.
        each: targets of each.

    Raises:
        ReIDDataError: nobody was seen by two cameras, once with a whole torso.
    """
    table, images, points = _test_pictures(run)
    known = torso_valid(points) & (table["pid"] > 0).to_numpy()
    table["row"] = np.arange(len(table))
    pairs = table.merge(table[known], on="pid", suffixes=("", "_target"))
    pairs = pairs[pairs["camid"] != pairs["camid_target"]]
    if pairs.empty:
        raise ReIDDataError(
            f"nobody in {run.data.root} was seen by two cameras, once with both hips "
            "and both shoulders; give keypoints, or more pictures of each person."
        )
    pairs = pairs.sample(frac=1, random_state=run.seed)
    pairs = pairs[pairs["row"] == pairs.groupby("pid")["row"].transform("first")]
    pairs = pairs[pairs["pid"].isin(np.sort(pairs["pid"].unique())[:people])]
    pairs = pairs.groupby("pid").head(each).sort_values(["pid", "row_target"])
    rows = pairs["row"].to_numpy()
    photo = to_float(images[pairs["row_target"].tolist()])
    truth, person = _rendered(run, pairs["path_target"]) or (photo, None)
    targets = points[pairs["row_target"]]
    whole = Asked(
        to_float(images[rows.tolist()]),
        truth,
        targets,
        pairs["pid"].to_numpy(),
        pairs["camid"].to_numpy(),
        clusters.predict(targets),
        mask=person,
        photo=photo,
    )
    protocol = run.data.protocol
    return Exam(whole, photo, images, table, points, rows, protocol)


def _test_pictures(run: Run) -> tuple[pd.DataFrame, Tensor, np.ndarray]:
    """Table, pictures and poses (N, 25, 2) of people that no generator learnt from."""
    table = pd.concat([run.data.query, run.data.gallery], ignore_index=True)
    points = run.data.points(table)
    if torso_valid(points).any():
        images = torch.cat([run.images("query"), run.images("gallery")])
        return table, images, points
    pids = run.data.train["pid"]
    out = validation_split(pids, run.profile.ptgan.held_out, run.seed)
    table = run.data.train[out].reset_index(drop=True)
    return table, run.images("train")[out.tolist()], stages.train_points(run)[out]


def _rendered(run: Run, paths: pd.Series) -> tuple[Tensor, Tensor] | None:
    """(P, 3, H, W) in [-1, 1] without nuisance, and (P, H, W) who is the person."""
    if not run.rendered:
        return None
    from reidlib.data.synthetic import open_world, true_shot

    world = open_world(run.data.root)
    shots = [true_shot(world, path) for path in paths]
    clean, _, mask = world.render(shots, run.profile.size, nuisance=False)
    return to_float(clean), mask


@torch.no_grad()
def drawn(run: Run, drawer: stages.Trained, exam: Exam, *, batch: int = 256) -> Tensor:
    """(P, 3, H, W) in [-1, 1]: what the generator of `stages.ptgan` makes of it."""
    vectors = torch.as_tensor(pose_vector(exam.asked.points))
    encoder, parts = stages.source_encoder(run, drawer), []
    with serving(encoder, drawer.network) as (device, (eye, g)):
        pairs = zip(exam.asked.source.split(batch), vectors.split(batch), strict=True)
        for source, poses in pairs:
            parts.append(g(g.look(eye, source.to(device)), poses.to(device)).cpu())
    return torch.cat(parts)


def others(run: Run, clusters: PoseClusterer, exam: Exam) -> dict[str, Tensor]:
    """What needs no generator: the photographs, trivial rivals, and the truth.

    Returns:
        (P, 3, H, W) in [-1, 1] of each: "photograph", and those of `rivals`, made of
        the pictures that pt-GAN learnt from.
    """
    out = validation_split(run.data.train["pid"], run.profile.ptgan.held_out, run.seed)
    points, r1 = stages.train_points(run)[~out], stages.r1(run)
    return {"photograph": exam.photo} | rivals(
        exam.asked,
        run.images("train")[torch.as_tensor(~out)],
        points,
        clusters.predict(points),
        sources=_seen(r1.network, exam.asked.source),
        features=stages.features(run, r1, "r1")["train"][torch.as_tensor(~out)],
    )


def judged(
    run: Run, exam: Exam, systems: Mapping[str, Tensor], *, n_boot: int = 1000
) -> pd.DataFrame:
    """The table of `quality`, by the run's own judge of poses and its R2."""
    r2 = stages.r2(run).network
    return quality(
        systems,
        exam.asked,
        judge=stages.poser(run).network,
        extractor=lambda pictures: _seen(r2, pictures),
        gallery=exam.gallery(r2),
        n_boot=n_boot,
        seed=run.seed,
    )


@torch.no_grad()
def _seen(network: torch.nn.Module, pictures: Tensor) -> Tensor:
    """(P, D) features of pictures (P, 3, H, W) in [-1, 1]."""
    with serving(network) as (device, (eye,)):
        return torch.cat([eye(part.to(device)).cpu() for part in pictures.split(256)])
