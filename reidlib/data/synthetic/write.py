"""The world on disk, in Market-1501's layout (Zheng et al., ICCV 2015).

File names are `{pid:04d}_c{camera}s1_{index:06d}_01.jpg`, and the index is the
shot's: image `0007_c2s1_000003_01.jpg` is `World(seed).shot(7, 3)`. Distractors
(`0000_...`) are shot i of person 100000 + i, junk (`-1_...`) shot i of person
200000 + i; `true_shot` does this for any name. Identities 1 .. N // 2 are for
training, the others for the test.

Beside the pictures lie `keypoints` (what a detector would report, with the person
in front, if any, as a second person), `keypoints_exact`, `images.csv` (a row for
each picture: heading, activity, what stands in front), `attributes.csv` (a row for
each identity) and `world.json`, from which `open_world` makes the world again.
"""

import csv
import io
import json
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from math import degrees
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from PIL import Image
from tqdm.auto import tqdm

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose

from .clothes import Person
from .plan import FEWEST, Entry, Split, plan
from .world import DISTRACTORS, JUNK, Shot, World

VERSION = 2  # of the rendered world: same version and arguments, same bytes
QUALITY = 95  # JPEG quality of the files
FOLDERS = ("bounding_box_train", "bounding_box_test", "query", "gt_bbox")
_BATCH = 64
_ALONE = 400  # images up to which a second process does not pay
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_(\d+)_\d+")


def true_shot(world: World, name: str) -> Shot:
    """The shot behind a written image's file name.

    Raises:
        ReIDDataError: the name is not one that `write_world` gives.
    """
    match = _NAME.match(Path(name).name)
    if match is None:
        raise ReIDDataError(
            f"{name} is no image of the synthetic world; "
            "expected a name like 0007_c2s1_000003_01.jpg."
        )
    pid, index = int(match[1]), int(match[3])
    if pid < 1:
        pid = index + (DISTRACTORS if pid == 0 else JUNK)
    return world.shot(pid, index)


def open_world(folder: str | Path) -> World:
    """The world that a folder was written from.

    Raises:
        ReIDDataError: the folder holds no `world.json` of this version.
    """
    path = Path(folder) / "world.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["version"] != VERSION:
            raise KeyError(f"version {facts['version']}, not {VERSION}")
        return World(facts["seed"], **facts["options"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ReIDDataError(
            f"{path}: not a world of this version ({fault}); write it again with "
            "python -m reidlib.data.synthetic."
        ) from fault


def write_world(
    out: str | Path,
    *,
    ids: int,
    seed: int = 0,
    images_per_id: float = 17,
    size: tuple[int, int] = (128, 64),
    split: Split | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    **options: Any,
) -> Path:
    """Render a data set; byte-identical for equal arguments on one machine.

    Args:
        out: folder to make; it appears only when it is complete.
        ids: identities, at least 2; half train, half test.
        seed: of the world.
        images_per_id: mean; each identity has its own number, at least 2.
        size: (height, width) of the images in pixels.
        split: exact sizes of the parts; default: as `images_per_id` gives.
        jobs: processes; default: one for each core. No effect on the bytes.
        device: where rays are cast; all processes share a GPU.
        **options: of `World`: cameras, lookalikes, occluders, plain.

    Returns:
        the folder.

    Raises:
        ReIDDataError: the folder exists and is not empty.
        ReIDConfigError: an argument is out of range.
    """
    out = Path(out)
    if ids < 2 or images_per_id < FEWEST:
        raise ReIDConfigError(
            f"ids is {ids} and images_per_id {images_per_id}; "
            f"give at least 2 ids and {FEWEST} images per id."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReIDDataError(
            f"{out} exists and is not empty; give a new folder or remove it first."
        )
    world = World(seed, **options)
    entries = plan(world, ids, images_per_id, split)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        for name in (*FOLDERS, "keypoints", "keypoints_exact"):
            (draft / name).mkdir(parents=True)
        _write(draft, seed, options | {"device": device}, entries, size, jobs)
        _write_attributes(draft / "attributes.csv", world, range(1, ids + 1))
        folders = [folder for entry in entries for folder in entry.folders]
        facts = {
            "seed": seed,
            "options": options,
            "ids": ids,
            "images_per_id": float(images_per_id),
            "size": list(size),
            "version": VERSION,
            "counts": {name: folders.count(name) for name in FOLDERS},
        }
        text = json.dumps(facts, indent=2) + "\n"
        (draft / "world.json").write_text(text, encoding="utf-8")
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out


def _write(
    draft: Path,
    seed: int,
    options: dict[str, Any],
    entries: list[Entry],
    size: tuple[int, int],
    jobs: int | None,
) -> None:
    """Write every picture, batch by batch, and one row of `images.csv` for each."""
    if jobs is None:
        jobs = 1 if len(entries) <= _ALONE else os.cpu_count() or 1
    batches = [entries[k : k + _BATCH] for k in range(0, len(entries), _BATCH)]
    key = json.dumps(options, sort_keys=True)
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_write_batch)(draft, seed, key, batch, size) for batch in batches
    )
    with (
        (draft / "images.csv").open("w", encoding="utf-8", newline="") as file,
        tqdm(total=len(entries), desc="synthetic world", unit="image") as bar,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for rows in work:
            table.writerows(rows)
            bar.update(len(rows))


@lru_cache(maxsize=1)
def _world(seed: int, options: str) -> World:
    return World(seed, **json.loads(options))


COLUMNS = ("name", "person", "camera", "heading", "activity", "in_front")


def _write_batch(
    draft: Path, seed: int, options: str, batch: list[Entry], size: tuple[int, int]
) -> list[tuple]:
    """Write some pictures and their joints; returns rows of `images.csv`."""
    world = _world(seed, options)
    shots = [world.shot(entry.pid, entry.number) for entry in batch]
    picture = world.take(shots, size)
    reported = world.detections(shots, picture).numpy()
    passers = picture.passers.numpy()
    pixels = picture.image.permute(0, 2, 3, 1).contiguous().numpy()
    rows = []
    for k, (entry, shot) in enumerate(zip(batch, shots, strict=True)):
        stem = _stem(shot)
        buffer = io.BytesIO()
        Image.fromarray(pixels[k]).save(buffer, "JPEG", quality=QUALITY)
        for folder in entry.folders:
            (draft / folder / f"{stem}.jpg").write_bytes(buffer.getvalue())
        name = f"{stem}_keypoints.json"
        people = np.stack([reported[k], passers[k]])
        write_openpose(draft / "keypoints" / name, people)
        write_openpose(draft / "keypoints_exact" / name, picture.keypoints[k].numpy())
        rows.append(
            (
                f"{stem}.jpg",
                shot.person.pid,
                shot.camera,
                round(degrees(shot.facing), 1),
                shot.pose.activity,
                _in_front(shot),
            )
        )
    return rows


def _in_front(shot: Shot) -> str:
    spoiled = shot.nuisance
    if spoiled.passer >= 0:
        return f"person {spoiled.passer}"
    return "bicycle" if spoiled.bicycle >= 0 else "railing" if spoiled.rail else ""


def _stem(shot: Shot) -> str:
    pid = shot.person.pid
    label = "-1" if pid >= JUNK else "0000" if pid >= DISTRACTORS else f"{pid:04d}"
    return f"{label}_c{shot.camera}s1_{shot.index:06d}_01"


def _write_attributes(path: Path, world: World, pids: Sequence[int]) -> None:
    """One row for each identity: whom it is dressed as, and every field."""
    names = [field.name for field in fields(Person)]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*names, "lookalike_of"])
        for pid in pids:
            person = world.person(pid)
            cells = [_cell(getattr(person, name)) for name in names]
            model = world.model(pid)
            table.writerow([*cells, model if model >= 0 else ""])


def _cell(value: object) -> object:
    if isinstance(value, tuple) and value and isinstance(value[0], float):
        return "#" + "".join(f"{round(255 * v):02x}" for v in value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return round(value, 4) if isinstance(value, float) else value
