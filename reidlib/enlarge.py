"""A training set enlarged with generated poses: the paper's third contribution.

`drawings` makes the pictures in memory, for experiments; `enlarge` writes them beside
the real ones in Market's layout (Zheng et al., ICCV 2015). A drawing is named

    0002_c1s103_000451_00.jpg

for identity 2 and camera 1, both its source's; sequence 103 is ``first_sequence`` 100
and pose 3, counted from 1; frame 451 is its source, counted from 0 in the data set's
training table, which is sorted by path. ``first_sequence`` is a multiple of 100 above
every sequence in the names of real pictures, so that no name can clash. Real pictures
keep their names where all are Market's; otherwise all become
``<pid>_c<camera>s1_<number>_01``, numbered through training table, query and gallery.
"""

import hashlib
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from reidlib import stages
from reidlib.data.market import LAYOUT, parse_name
from reidlib.data.splits import hold_out
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.manifests import write_json
from reidlib.models import Encoder, PoseGenerator, PoseInvariantExtractor
from reidlib.pose import pose_vector, write_openpose
from reidlib.runs import Run
from reidlib.training import to_float, to_uint8
from reidlib.training.distributed import agreed, processes
from reidlib.training.features import serving

log = logging.getLogger(__name__)

MANIFEST = "enlarged.json"
QUALITY = 95  # of the JPEG files
_NAME = re.compile(r"-?\d+_c\d+s(\d+)_\d+_\d+\.\w+")  # Market's


@dataclass(frozen=True)
class Drawn:
    """M generated pictures.

    Attributes:
        images: (M, 3, H, W) uint8.
        rows: (M,) the training picture that each was drawn from.
        poses: (M,) the pose that it was drawn in, from 0.
        table: pid and camid, those of the sources.
    """

    images: Tensor
    rows: NDArray[np.int64]
    poses: NDArray[np.int64]
    table: pd.DataFrame


@dataclass(frozen=True)
class Drawer:
    """What draws: the networks, K poses (K, 25, 2) in image units, and a digest."""

    encoder: Encoder | None
    generator: PoseGenerator
    poses: NDArray[np.floating]
    digest: str


def drawings(
    drawer: Drawer, images: Tensor, table: pd.DataFrame, each: int = 0
) -> Drawn:
    """Training pictures in other poses.

    Picture i is drawn in the poses i N, i N + 1, ... modulo K, for N = ``each``: the
    poses take turns, so that the pictures of a person show different ones.

    Args:
        images: (N, 3, H, W) uint8.
        table: their pid and camid.
        each: drawings of each picture; 0: one in each pose.

    Raises:
        ReIDConfigError: each is below 0 or above K.
    """
    parts = [*_parts(drawer, images, each)]
    rows, poses = (np.concatenate([p[k] for p in parts]) for k in (1, 2))
    kept = table[["pid", "camid"]].iloc[rows].reset_index(drop=True)
    return Drawn(torch.cat([p[0] for p in parts]), rows, poses, kept)


@torch.no_grad()
def _parts(
    drawer: Drawer, images: Tensor, each: int, batch: int = 256
) -> Iterator[tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]]:
    """Drawings part by part: pictures, rows of their sources, and poses."""
    count = check_each(each, len(drawer.poses))
    vectors = torch.as_tensor(pose_vector(drawer.poses))
    with serving(drawer.encoder, drawer.generator) as (device, (encoder, generator)):
        step = max(1, batch // count)
        for start in tqdm(range(0, len(images), step), "drawing", mininterval=2):
            part = images[start : start + step]
            own = np.arange(start, start + len(part))
            poses = (own[:, None] * count + np.arange(count)) % len(vectors)
            seen = generator.look(encoder, to_float(part.to(device)))
            if count == len(vectors):  # what all poses share is computed once
                poses = np.tile(np.arange(count), (len(part), 1))
                made = generator.redraw(seen, vectors.to(device)).flatten(0, 1)
            else:
                wanted = vectors[torch.as_tensor(poses.ravel())].to(device)
                made = generator(seen.repeat_interleave(count, 0), wanted)
            yield to_uint8(made).cpu(), own.repeat(count), poses.ravel()


def check_each(each: int, poses: int) -> int:
    """How many drawings of each picture, where 0 stands for all poses.

    Raises:
        ReIDConfigError: each is below 0 or above the number of poses.
    """
    if not 0 <= each <= poses:
        raise ReIDConfigError(
            f"each is {each}, and there are {poses} poses; give 0 for all of them, or "
            f"1 to {poses}."
        )
    return each or poses


def share_of(run: Run, ids: float) -> Run:
    """The run with only this share of its training identities.

    They are the first by `hold_out` with the run's seed, so that a smaller share is
    part of a larger one. Stages of it lie in a folder of their own.

    Raises:
        ReIDConfigError: ids is not above 0 and at most 1.
    """
    if not 0 < ids <= 1:
        raise ReIDConfigError(
            f"ids is {ids}; give a share of the training identities above 0 and up to "
            "1, such as 0.5."
        )
    if ids == 1:
        return run
    table = run.data.train
    kept = table["pid"].isin(hold_out(table["pid"], ids, run.seed))
    data = replace(run.data, train=table[kept].reset_index(drop=True))
    return replace(run, data=data, part=f"ids-{100 * ids:g}")


def drawer_of(run: Run, poses: int = 0, extractor: Path | None = None) -> Drawer:
    """pt-GAN and poses of a run, trained where they are missing, or saved ones.

    Raises:
        ReIDConfigError: poses is below 0, or not the number that an extractor has; no
            keypoints to train with.
        ReIDDataError: the file is no extractor.
    """
    if poses < 0:
        raise ReIDConfigError(f"poses is {poses}; give 1 or more, or 0 for the usual.")
    if extractor is None:
        g, chosen = stages.ptgan(run), stages.poses(run, n_poses=poses or None)
        made_by = f"{g.stage.content} {chosen.stage.content}"
        encoder = stages.source_encoder(run, g)
        return Drawer(encoder, g.network, chosen.network.poses_, made_by)
    whole = PoseInvariantExtractor.load(extractor)
    known = whole.poses.numpy()
    if poses not in (0, len(known)):
        raise ReIDConfigError(
            f"{extractor} holds {len(known)} poses, not {poses}; leave poses out, or "
            "train without an extractor."
        )
    content = hashlib.sha256(extractor.read_bytes()).hexdigest()[:16]
    return Drawer(whole.r1, whole.generator, known, content)


def enlarge(
    run: Run,
    out: str | Path,
    *,
    poses: int = 0,
    ids: float = 1.0,
    each: int = 0,
    extractor: Path | None = None,
) -> dict[str, Any]:
    """Write a data set in Market's layout with real and drawn training pictures.

    Query and gallery are the run's, as its protocol splits them; under Market's rules
    they may score differently from the data set's own. Keypoints go along: of a real
    picture its most prominent person, of a drawing the pose that was asked for. Real
    pictures are hard links where the file system allows, else copies.

    Args:
        out: folder to make; it appears only when it is complete.
        poses: K; 0: the profile's, or the extractor's.
        ids: share of the training identities to use, of G, too (`share_of`).
        each: as in `drawings`.
        extractor: a saved one, to draw with instead of training.

    Returns:
        what ``enlarged.json`` holds: the source, counts, digests, ``first_sequence``.

    Raises:
        ReIDDataError: out is not empty, or cannot be written; errors of `drawer_of`.
        ReIDConfigError: an argument is out of range.
    """
    out = Path(out)
    if agreed(out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise ReIDDataError(
            f"{out} exists and is not empty; give a new folder or remove it first."
        )
    part = share_of(run, ids)
    drawer = drawer_of(part, poses, extractor)
    check_each(each, len(drawer.poses))
    size = drawer.generator.size
    part = replace(part, profile=replace(part.profile, size=size))
    alone = processes().is_main_process  # or all would write, and most would fail
    return agreed(_finished(part, out, drawer, each, ids) if alone else {})


def _finished(
    run: Run, out: Path, drawer: Drawer, each: int, ids: float
) -> dict[str, Any]:
    """Write the whole folder beside, then move it; returns the manifest."""
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        found = _write(run, draft, drawer, each) | {"share": ids}
        write_json(draft / MANIFEST, found)
        if out.exists():
            out.rmdir()
        draft.rename(out)
    except OSError as error:
        raise ReIDDataError(
            f"{out} could not be written ({error}); make room, or give another folder."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def _write(run: Run, draft: Path, drawer: Drawer, each: int) -> dict[str, Any]:
    """Real and drawn pictures with their keypoints; returns the manifest."""
    names = _real(run, draft)
    sequences = [int(m[1]) for n in names if (m := _NAME.fullmatch(n))]
    first = 100 * (1 + max(sequences, default=0) // 100)
    table = run.data.train
    height, width = run.profile.size
    poses = np.concatenate([drawer.poses, np.ones_like(drawer.poses[..., :1])], axis=2)
    poses *= np.array([width, height, 1], np.float32)  # as files: pixels, confidence
    count = 0
    for images, rows, chosen in _parts(drawer, run.images("train"), each):
        pixels = images.permute(0, 2, 3, 1).numpy()
        for picture, row, pose in zip(pixels, rows, chosen, strict=True):
            pid, camid = (int(table[k].iloc[row]) for k in ("pid", "camid"))
            stem = f"{_number(pid)}_c{camid}s{first + 1 + pose}_{row:06d}_00"
            path = draft / LAYOUT["train"] / f"{stem}.jpg"
            Image.fromarray(picture).save(path, "JPEG", quality=QUALITY)
            write_openpose(draft / "keypoints" / f"{stem}_keypoints.json", poses[pose])
        count += len(rows)
    return {
        "source": run.circumstances(),
        "identities": int(table["pid"].nunique()),
        "real": len(table),
        "drawn": count,
        "poses": len(drawer.poses),
        "each": check_each(each, len(drawer.poses)),
        "drawer": drawer.digest,
        "first_sequence": first,
    }


def _real(run: Run, draft: Path) -> list[str]:
    """Link the real pictures of every split, and write their keypoints; all names."""
    (draft / "keypoints").mkdir(parents=True)
    tables = [getattr(run.data, split) for split in stages.SPLITS]
    names = _market_names(pd.concat(tables, ignore_index=True))
    left = iter(names)
    for split, table in zip(stages.SPLITS, tables, strict=True):
        folder = draft / LAYOUT[split]
        folder.mkdir()
        poses = run.data.pose_array(table)
        for path, pose in zip(table["path"], poses, strict=True):
            name = next(left)
            _put(run.data.image_path(path).resolve(), folder / name)
            if np.isfinite(pose[:, :2]).any():
                stem = name.rpartition(".")[0]
                write_openpose(draft / "keypoints" / f"{stem}_keypoints.json", pose)
    return names


def _market_names(table: pd.DataFrame) -> list[str]:
    """The pictures' own names where all are Market's and differ, else new ones."""
    rows = [*zip(table["path"], table["pid"], table["camid"], strict=True)]
    names = [Path(path).name for path, _, _ in rows]
    fits = (
        _NAME.fullmatch(name) and parse_name(name) == (pid, camid)
        for name, (_, pid, camid) in zip(names, rows, strict=True)
    )
    if len(set(names)) == len(names) and all(fits):
        return names
    cameras = {c: k for k, c in enumerate(sorted({c for _, _, c in rows}), start=1)}
    if min(cameras) >= 0:  # a name has no room for a sign
        cameras = {c: c for c in cameras}
    return [
        f"{_number(pid)}_c{cameras[camid]}s1_{k:06d}_01{Path(path).suffix.lower()}"
        for k, (path, pid, camid) in enumerate(rows)
    ]


def _number(pid: int) -> str:
    return f"{pid:04d}" if pid >= 0 else str(pid)


def _put(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
