"""What makes a query hard, found by rule: of its keypoints, and of its scene."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reidlib.pose import views
from reidlib.retrieval.truth import Truth
from reidlib.robustness.scenes import scenes_of
from reidlib.runs import Run

Flags = NDArray[np.bool_]
LIMBS = slice(2, 15)  # shoulders to ankles in BODY_25
ANKLES, NECK = (11, 14), 1


def query_causes(run: Run, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Flags]:
    """Which queries have it hard, and by what; a query may have several causes.

    Args:
        run: whose queries. Without keypoints the first three causes hold for none.
        rows: of the query table.

    Returns:
        (Q,) bool by cause: "limbs missing" (over a third of the joints from shoulders
        to ankles), "cut off" (neck or both ankles missing), "matches show another side"
        (no match shows the view of the query, of front, back and side), and "one match
        only". A rendered world adds "something in front", "bad crop" (the box is off by
        more than a twentieth of its height) and "has a look-alike".
    """
    chosen = np.asarray(rows)
    table, gallery = run.data.query.iloc[chosen], run.data.gallery
    points = run.data.points(table)
    seen = np.asarray(np.isfinite(points).all(-1))
    known = seen.any(1)
    mine, theirs = views(points), views(run.data.points(gallery))
    pids, gallery_pids, camids, gallery_camids = run.ids
    ids = (pids[chosen], gallery_pids, camids[chosen], gallery_camids)
    truth = Truth((len(chosen), len(gallery)), ids, run.data.protocol)
    matches = [truth.split(row)[0] for row in range(len(chosen))]
    sides = [
        view != "unknown" and len(found) > 0 and view not in theirs[found]
        for view, found in zip(mine, matches, strict=True)
    ]
    causes = {
        "limbs missing": known & (seen[:, LIMBS].mean(1) < 2 / 3),
        "cut off": known & (~seen[:, ANKLES].any(1) | ~seen[:, NECK]),
        "matches show another side": np.array(sides, bool),
        "one match only": np.array([len(found) == 1 for found in matches], bool),
    }
    return causes | (_of_scenes(run, chosen) if run.rendered else {})


def _of_scenes(run: Run, rows: NDArray[np.int64]) -> dict[str, Flags]:
    world, shots = scenes_of(run, rows.tolist())
    tested = {*run.data.query["pid"]}
    front, crops, twins = [], [], []
    for shot in shots:
        light, crop, pid = shot.nuisance, shot.crop, shot.person.pid
        front.append(light.passer >= 0 or light.bicycle >= 0 or light.rail > 0)
        crops.append(max(abs(crop.dx), abs(crop.dy + 0.02), abs(crop.margin)) > 0.05)
        model = world.model(pid)
        copied = pid + 1 in tested and world.model(pid + 1) == pid
        twins.append(copied or model in tested)
    return {
        "something in front": np.array(front, bool),
        "bad crop": np.array(crops, bool),
        "has a look-alike": np.array(twins, bool),
    }
