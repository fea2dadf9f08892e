"""Pose clusters of a data set, in numbers: what chapter 5 shows of real keypoints.

    python book/poses.py market1501 data/Market-1501-v15.09.15

Keypoints and picture sizes are read, numbers are written: <dataset>-poses.json in
book/results, with the K poses of the paper's four methods at its four K, what zeros for
missing joints do, how stable the clusters are, what K the poses ask for, and how
plausible they are.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from reidlib import manifests
from reidlib.data import ReIDDataset, load_dataset
from reidlib.pose import SKELETONS, PoseClusterer, torso_valid, views
from reidlib.posesets import (
    METHODS,
    PAPER_K,
    faults,
    medoids,
    plausibility,
    selection,
    stability,
    with_zeros,
)
from reidlib.records import write_record
from reidlib.runs import dataset_key

RESULTS = Path(__file__).resolve().parent / "results"
SELECTED_K = (2, 3, 4, 6, 8, 12, 16, 24, 32)
JOINTS = SKELETONS["body25"].joints


def measure(
    data: ReIDDataset,
    *,
    ks: tuple[int, ...] = PAPER_K,
    selected: tuple[int, ...] = SELECTED_K,
    fits: int = 10,
    drawn: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """All numbers of a data set's training poses; poses of its test as a control.

    Args:
        data: with keypoints.
        ks: numbers of poses.
        selected: numbers of clusters for the criteria.
        fits: seeds, and bootstrap resamples.
        drawn: poses of each set whose plausibility is measured.
        seed: of everything else.
    """
    points = data.points(data.train)
    fitted = {
        name: {k: PoseClusterer(*method, k, seed).fit(points) for k in ks}
        for name, method in METHODS.items()
    }
    names = [j for j, seen in zip(JOINTS, _seen(points), strict=True) if seen]
    return {
        "poses": {
            name: {str(k): _numbers(one.poses_, points) for k, one in by_k.items()}
            for name, by_k in fitted.items()
        },
        "medoids": {
            str(k): _numbers(points[medoids(one, points)], points)
            for k, one in fitted["body, GMM"].items()
        },
        "joints": names,
        "counts": {
            "training": len(points),
            "with_torso": int(torso_valid(points).sum()),
            "views": pd.Series(views(points)).value_counts().to_dict(),
        },
        "missing": dict(
            zip(JOINTS, np.isnan(points[..., 0]).mean(axis=0).round(3), strict=True)
        ),
        "handling": {str(k): _handling(points, k, seed) for k in ks},
        "stability": _rows(stability(points, ks, range(fits), fits)),
        "selection": _rows(selection(points, selected, seed=seed).reset_index()),
        "plausibility": _rows(_plausible(data, points, fitted, drawn, seed)),
    }


def _handling(points: np.ndarray, k: int, seed: int) -> dict[str, Any]:
    """Faults with zeros for missing joints, and with the torso rule and filling in."""
    ours = PoseClusterer("body", "kmeans", k, seed).fit(points).poses_
    gmm = PoseClusterer("body", "gmm", k, seed).fit(points)
    return {
        "zeros for missing (code)": faults(*with_zeros(points, k, seed)),
        "torso rule, filled in (ours)": faults(ours, gmm.sample(1000, clip=False)),
    }


def _plausible(
    data: ReIDDataset, points: np.ndarray, fitted: dict, drawn: int, seed: int
) -> pd.DataFrame:
    """The sets, and people of the test, who are nobody of the training set."""
    test = np.concatenate([data.points(data.query), data.points(data.gallery)])
    people = test[torso_valid(test)]
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(people), min(drawn, len(people)), replace=False)
    sets = {("real people", 0): people[chosen]}
    for name, by_k in fitted.items():
        for k, one in by_k.items():
            # K-means of bodies has no other poses than its centres
            few = name == "body, K-means"
            draw = one.sample(drawn, random_state=seed + 1, clip=False)
            sets[name, k] = one.poses_ if few else draw
    table = plausibility(sets, points, seed=seed)
    table.insert(1, "K", [k for _, k in table["set"]])
    return table.assign(set=[name for name, _ in table["set"]])


def _seen(points: np.ndarray) -> np.ndarray:
    return np.isfinite(points[..., 0]).any(axis=0)


def _numbers(poses: np.ndarray, points: np.ndarray) -> list[list[float | None]]:
    """x0, y0, x1, … of each pose over the joints in `points`; null where missing."""
    rows = np.asarray(poses, float)[:, _seen(points)].reshape(len(poses), -1)
    return [[None if np.isnan(v) else round(v, 3) for v in row] for row in rows]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One object a row; null where there is nothing."""
    whole = table.round(4).astype(object)
    return whole.where(table.notna(), None).to_dict("records")


def main(arguments: list[str] | None = None) -> Path:
    """Measure one data set; the file that was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", help="a name of load_dataset, such as market1501")
    parser.add_argument("root", type=Path, help="its folder")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    threadpool_limits(1)  # sums in one order, whatever the machine
    data = load_dataset(given.dataset, given.root)
    key = dataset_key(data.name, data.protocol)
    found = measure(data)
    found["manifest"] = {
        "command": "poses",
        "dataset": key,
        "protocol": data.protocol,
        "seed": 0,
        "data": data.digest(),
        "code": manifests.code_digest(("pose",)),
    } | manifests.circumstances(time.monotonic() - start)
    path = given.out / f"{key}-poses.json"
    write_record(path, found)
    print(path)
    return path


if __name__ == "__main__":
    main()
