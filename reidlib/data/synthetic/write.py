"""The world on disk, in Market-1501's layout (SPEC.md 3.1).

File names are `{pid:04d}_c{camera}s1_{index:06d}_01.jpg`, and the index is the
shot's: image `0007_c2s1_000003_01.jpg` is `World(seed).shot(7, 3)`. Distractors
(`0000_...`) are shot i of person 100000 + i, junk (`-1_...`) shot i of person
200000 + i; `true_shot` does this for any name. Identities 1 .. N // 2 are for
training, the others for the test.
"""

import json
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose

from .world import DISTRACTORS, JUNK, Shot, World

VERSION = 1  # of the rendered world: same version and arguments, same bytes
QUALITY = 95  # JPEG quality of the files
FEWEST, MOST = 4, 72  # images of one identity; Market has 2 to 72 (SPEC.md 2.2)
SHARE = 0.1  # distractors, and junk, against the gallery's good images
_BATCH = 64
_COUNT = 9  # stream of random numbers for images per identity
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


def image_count(seed: int, pid: int, mean: float) -> int:
    """How many images an identity has; depends on nothing else."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _COUNT, pid]))
    extra = rng.gamma(1.4, max(mean - FEWEST, 0) / 1.4)
    return int(np.clip(round(FEWEST + extra), FEWEST, MOST))


def write_world(
    out: str | Path,
    *,
    ids: int,
    seed: int = 0,
    images_per_id: float = 17,
    size: tuple[int, int] = (128, 64),
) -> Path:
    """Render a data set; byte-identical for equal arguments on one machine.

    Args:
        out: folder to make; it appears only when it is complete.
        ids: identities, at least 2; half train, half test.
        seed: of the world.
        images_per_id: mean; each identity has its own number, at least 4.
        size: (height, width) of the images in pixels.

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
    world = World(seed)
    files = _plan(world, ids, images_per_id)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        _write(draft, world, files, size)
        folders = [folder for places, _ in files for folder in places]
        facts = {
            "seed": seed,
            "ids": ids,
            "images_per_id": float(images_per_id),
            "size": list(size),
            "version": VERSION,
            "counts": {name: folders.count(name) for name in _FOLDERS},
        }
        (draft / "world.json").write_text(json.dumps(facts, indent=2) + "\n")
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out


_FOLDERS = ("bounding_box_train", "bounding_box_test", "query", "gt_bbox")
_File = tuple[tuple[str, ...], Shot]


def _plan(world: World, ids: int, mean: float) -> list[_File]:
    """Every image: the folders that hold it, and its shot."""
    files: list[_File] = []
    good = 0
    for pid in range(1, ids + 1):
        count = image_count(world.seed, pid, mean)
        shots = [world.shot(pid, index) for index in range(count)]
        if pid <= ids // 2:
            files += [(("bounding_box_train",), shot) for shot in shots]
            continue
        queries = _queries([shot.camera for shot in shots])
        good += count - len(queries)
        for index, shot in enumerate(shots):
            place = "query" if index in queries else "bounding_box_test"
            files.append(((place, "gt_bbox"), shot))
    extra = max(1, round(SHARE * good))
    for first in (DISTRACTORS, JUNK):
        shots = [world.shot(first + index, index) for index in range(extra)]
        files += [(("bounding_box_test",), shot) for shot in shots]
    return files


def _queries(cameras: list[int]) -> set[int]:
    """Numbers of the query images: the first of each camera that can be asked.

    Every query of the person, this one included, keeps an image of another camera.
    """
    left = Counter(cameras)
    asked: dict[int, int] = {}
    for index, camera in enumerate(cameras):
        if camera in asked:
            continue
        left[camera] -= 1
        if any(left.total() == left[other] for other in (*asked, camera)):
            left[camera] += 1
        else:
            asked[camera] = index
    return set(asked.values())


def _stem(shot: Shot) -> str:
    pid = shot.person.pid
    label = "-1" if pid >= JUNK else "0000" if pid >= DISTRACTORS else f"{pid:04d}"
    return f"{label}_c{shot.camera}s1_{shot.index:06d}_01"


def _write(
    draft: Path, world: World, files: list[_File], size: tuple[int, int]
) -> None:
    for name in (*_FOLDERS, "keypoints"):
        (draft / name).mkdir(parents=True)
    with tqdm(total=len(files), desc="synthetic world", unit="image") as bar:
        for batch in _batches(files):
            shots = [shot for _, shot in batch]
            images, detections = world.observe(shots, size)
            pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
            for (folders, shot), image, pose in zip(
                batch, pixels, detections.numpy(), strict=True
            ):
                stem = _stem(shot)
                first = draft / folders[0] / f"{stem}.jpg"
                Image.fromarray(image).save(first, "JPEG", quality=QUALITY)
                for folder in folders[1:]:
                    shutil.copyfile(first, draft / folder / first.name)
                write_openpose(draft / "keypoints" / f"{stem}_keypoints.json", pose)
            bar.update(len(batch))


def _batches(files: list[_File]) -> Iterator[list[_File]]:
    for start in range(0, len(files), _BATCH):
        yield files[start : start + _BATCH]
