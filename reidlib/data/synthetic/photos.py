"""A folder of photographs as anybody might have one: a directory per person."""

import csv
import shutil
import uuid
from pathlib import Path

from PIL import Image

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import write_openpose

from .world import World
from .write import QUALITY


def write_photos(
    out: str | Path,
    *,
    people: int = 40,
    each: int = 8,
    seed: int = 2,
    keypoints: bool = True,
    cameras: bool = False,
) -> Path:
    """Render people who appear in no other data set, in the layout of `folder`.

        out/person-001/000.jpg
        out/keypoints/person-001/000_keypoints.json
        out/photos.csv                    path,pid,camid: only with `cameras`

    Byte-identical for equal arguments on one machine.

    Args:
        out: folder to make; it appears only when it is complete.
        people, each: number of people, and of pictures of each.
        seed: of the world; the world of `write_world` has 0, R1's people 1.
        keypoints: whether to write what a pose detector would report.
        cameras: whether to write a table that tells who took which picture.

    Returns:
        the folder.

    Raises:
        ReIDDataError: the folder exists.
        ReIDConfigError: there are fewer than 2 people, or 2 pictures of each.
    """
    out = Path(out)
    if min(people, each) < 2:
        raise ReIDConfigError(
            f"people is {people} and each {each}; give at least 2 of both."
        )
    if out.exists():
        raise ReIDDataError(f"{out} exists; give a new folder or remove it first.")
    world = World(seed)
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    rows: list[tuple[str, str, int]] = []
    try:
        for pid in range(1, people + 1):
            shots = [world.shot(pid, number) for number in range(each)]
            picture = world.take(shots)
            found = world.detections(shots, picture).numpy()
            name = f"person-{pid:03d}"
            (draft / name).mkdir(parents=True)
            if keypoints:
                (draft / "keypoints" / name).mkdir(parents=True)
            for number, pixels in enumerate(picture.image.permute(0, 2, 3, 1).numpy()):
                path = draft / name / f"{number:03d}.jpg"
                Image.fromarray(pixels).save(path, "JPEG", quality=QUALITY)
                if keypoints:
                    pose = draft / "keypoints" / name / f"{number:03d}_keypoints.json"
                    write_openpose(pose, found[number])
                rows.append((f"{name}/{path.name}", name, shots[number].camera))
        if cameras:
            with (draft / "photos.csv").open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerows([("path", "pid", "camid"), *rows])
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out
