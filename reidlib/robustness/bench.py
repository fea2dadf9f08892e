"""One cell of a grid: spoiled queries, described and searched for in the gallery.

What took time is kept in files that are named by everything that decides them.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reidlib.manifests import code_digest, digest, fingerprint
from reidlib.models.files import read_weights, write_weights
from reidlib.retrieval import evaluate
from reidlib.retrieval.truth import Truth
from reidlib.robustness.corruptions import Factor, corrupt
from reidlib.robustness.scenes import SCENES, scene
from reidlib.runs import Run

Describe = Callable[[Tensor], Tensor]
Marks = dict[str, NDArray[np.float64]]
METRICS = ("rank1", "mAP")
DISTANCES = ("intra", "inter")
PROBE = 4  # pictures whose descriptors tell one system from another


def spoiled(
    run: Run,
    name: str,
    severity: float,
    seed: int,
    rows: Sequence[int],
    factor: Factor[Any] | None = None,
) -> Tensor:
    """(Q, 3, H, W) uint8 of some queries: taken again where the factor is a scene's.

    Args:
        run, name, severity, seed, rows: as in `corrupt` and `scene`.
        factor: of your own; None: the data set's, of this name.
    """
    known = SCENES.get(name) if run.rendered else None
    if known is not None and factor in (None, known):
        return scene(run, name, severity, seed, rows=rows)
    clean = run.images("query")[list(rows)]
    return corrupt(clean, name, severity, seed, factor=factor, keys=rows)


class Bench:
    """The clean gallery, and a shelf of what was measured before."""

    def __init__(self, run: Run, rows: NDArray[np.int64], shelf: Path) -> None:
        self.run, self.rows, self.shelf = run, rows, shelf
        self.clean = run.images("query")[rows.tolist()]
        self.gallery = run.images("gallery")
        pids, gallery_pids, camids, gallery_camids = run.ids
        self.ids = (pids[rows], gallery_pids, camids[rows], gallery_camids)
        self.data = digest(
            [run.data.protocol, fingerprint(self.clean), fingerprint(self.gallery)]
            + [ids.tolist() for ids in self.ids]
        )
        self.code = code_digest(("retrieval", "robustness"))
        self.world = code_digest(("data/synthetic", "robustness"))
        self.probes: list[str] = []
        self.features: list[dict[str, Tensor]] = []
        shelf.mkdir(parents=True, exist_ok=True)

    def pictures(
        self, name: str, factor: Factor[Any], severity: float, seed: int
    ) -> Tensor:
        """(Q, 3, H, W) uint8 of the queries, spoiled; scenes are kept."""
        if severity == 0:
            return self.clean
        rows = self.rows.tolist()

        def take() -> Tensor:
            return spoiled(self.run, name, severity, seed, rows, factor)

        if factor is not SCENES.get(name):
            return take()
        words = ["scene", self.world, self.data, name, severity, seed]
        return self.kept(words, lambda: {"pictures": take()})["pictures"]

    def judge(self, describe: Describe) -> Callable[[Tensor], Marks]:
        """How a system does on spoiled queries; clean pictures are described once."""
        probe = fingerprint(describe(self.clean[:PROBE]))

        def see() -> dict[str, Tensor]:
            return {"query": describe(self.clean), "gallery": describe(self.gallery)}

        found = self.kept(["features", probe, self.data], see)
        clean = {split: found[split] for split in ("query", "gallery")}  # in this order
        self.probes.append(probe)
        self.features.append(clean)

        def judged(images: Tensor) -> Marks:
            words = ["marks", probe, self.data, self.code, fingerprint(images)]

            def mark() -> dict[str, Tensor]:
                query = clean["query"] if images is self.clean else describe(images)
                return _marks(self, query, clean["gallery"])

            return {
                name: values.numpy() for name, values in self.kept(words, mark).items()
            }

        return judged

    def kept(
        self, words: Sequence[object], make: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """What lies on the shelf under these words, made where it is missing."""
        path = self.shelf / f"{words[0]}-{digest(words)}.safetensors"
        if path.is_file():
            return read_weights(path)
        made = make()
        mine = path.with_suffix(f".{os.getpid()}")  # another process may write it too
        write_weights(mine, made)
        mine.replace(path)
        return made


def _marks(bench: Bench, query: Tensor, gallery: Tensor) -> dict[str, Tensor]:
    """Rank-1, AP and mean distances of every query."""
    found = evaluate(query, gallery, *bench.ids, protocol=bench.run.data.protocol)
    near = distances(query, gallery, bench.ids, bench.run.data.protocol)
    marks = {name: found.per_query(name) for name in METRICS} | near
    return {name: torch.from_numpy(np.array(v, float)) for name, v in marks.items()}


def distances(
    query: Tensor,
    gallery: Tensor,
    ids: tuple[NDArray, NDArray, NDArray, NDArray],
    protocol: str = "market1501",
) -> Marks:
    """Mean cosine distance of every query to its matches, and to other people.

    Args:
        query, gallery: (Q, D) and (G, D).
        ids: pids of query and gallery, camids of query and gallery.
        protocol: by which gallery pictures are matches, or junk that does not count.

    Returns:
        "intra" and "inter", (Q,) in [0, 2]; NaN where there is no such picture.
    """
    truth = Truth((len(query), len(gallery)), ids, protocol)
    q, g = (F.normalize(x.double(), dim=1) for x in (query, gallery))
    counts = np.ones(len(gallery), bool)
    counts[truth.junk] = False
    whole, total = g[torch.from_numpy(counts)].sum(0), int(counts.sum())
    found: Marks = {name: np.full(len(query), np.nan) for name in DISTANCES}
    for row in range(len(query)):
        matches, junk = (rows[counts[rows]] for rows in truth.split(row))
        near, left_out = g[torch.from_numpy(matches)].sum(0), g[torch.from_numpy(junk)]
        others = total - len(matches) - len(junk)
        if len(matches):
            found["intra"][row] = 1 - float(q[row] @ near) / len(matches)
        if others:
            far = whole - near - left_out.sum(0)
            found["inter"][row] = 1 - float(q[row] @ far) / others
    return found
