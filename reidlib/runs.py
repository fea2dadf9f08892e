"""Run folders: what was trained, from what, and whether it can be used again."""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from reidlib.data import ReIDDataset, load_dataset, read_images
from reidlib.errors import ReIDConfigError
from reidlib.manifests import (
    Finished,
    Made,
    circumstances,
    code_digest,
    digest,
    is_made,
    write_json,
    write_stage,
    written,
)
from reidlib.profiles import Profile, get_profile
from reidlib.repeatable import repeatable
from reidlib.retrieval import (
    PROTOCOLS,
    Ranking,
    RetrievalResult,
    evaluate,
    evaluate_distances,
)
from reidlib.retrieval.rerank import PRESETS, Settings, reranked_distance
from reidlib.training.checkpoint import Checkpoint
from reidlib.training.distributed import agreed, only_one, processes

log = logging.getLogger(__name__)

PARAMETERS = ("dataset", "root", "profile", "seed")


@dataclass(frozen=True)
class Run:
    """One data set at one profile with one seed: where everything of it lies.

    Attributes:
        events: whether training writes what TensorBoard shows, beside each stage.
        part: folder, below the run's own, of a run on a part of its data.
    """

    name: str
    data: ReIDDataset
    profile: Profile
    seed: int
    home: Path
    events: bool = False
    part: str = ""

    @property
    def key(self) -> str:
        """Name of the data set, its protocol, boxes and trial where not the usual.

        The data set "folder" can be any; its own name follows.
        """
        name = self.data.name
        if name == "folder":
            name += "-" + re.sub(r"[^\w.]+", "-", self.data.root.resolve().name)
        key = dataset_key(name, self.data.protocol)
        key += "-labeled" if self.data.boxes == "labeled" else ""
        return key + (f"-trial{self.data.trial}" if self.data.trial else "")

    @property
    def scale(self) -> str:
        """Name of the profile, with the seed where it is not 0."""
        return self.profile.name + (f"-seed{self.seed}" if self.seed else "")

    @property
    def folder(self) -> Path:
        """``runs/<data set>/<scale>``, and below it the part where it is one."""
        return self.home / "runs" / self.key / self.scale / self.part

    @property
    def rendered(self) -> bool:
        """Whether the data set is a synthetic world, of which the truth is known."""
        return (self.data.root / "world.json").is_file()

    @cached_property
    def data_digest(self) -> str:
        """Of the tables and files of the data set."""
        return self.data.digest()

    def __str__(self) -> str:
        d = self.data
        return (
            f"{self.key}, profile {self.profile.name}, seed {self.seed}: "
            f"{len(d.train)} training, {len(d.query)} query, "
            f"{len(d.gallery)} gallery pictures"
        )

    def images(self, split: str) -> Tensor:
        """(N, 3, H, W) uint8 pictures of "train", "query" or "gallery", read once."""
        if split not in self._pictures:
            table = getattr(self.data, split)
            self._pictures[split] = read_images(
                table,
                self.profile.size,
                self.data.root,
                cache=self.home / "runs" / "images",
            )
        return self._pictures[split]

    @cached_property
    def _pictures(self) -> dict[str, Tensor]:
        return {}

    @property
    def ids(self) -> tuple[NDArray[np.int64], ...]:
        """pids of query and gallery, camids of query and gallery."""
        q, g = self.data.query, self.data.gallery
        columns = (q["pid"], g["pid"], q["camid"], g["camid"])
        return tuple(column.to_numpy() for column in columns)

    def evaluate(
        self, query: Tensor, gallery: Tensor, **options: Any
    ) -> RetrievalResult:
        """Score features of the query and gallery tables under the data's protocol."""
        protocol = options.pop("protocol", self.data.protocol)
        return evaluate(query, gallery, *self.ids, protocol=protocol, **options)

    def score(self, distances: Any, **options: Any) -> RetrievalResult:
        """Score a (Q, G) matrix of distances, such as re-ranked ones."""
        protocol = options.pop("protocol", self.data.protocol)
        return evaluate_distances(distances, *self.ids, protocol=protocol, **options)

    @property
    def reranking(self) -> Settings:
        """k-reciprocal's settings: the published ones, or those for small galleries."""
        one = PROTOCOLS[self.data.protocol].cmc == "single-gallery-shot"
        return PRESETS["small" if one else "large"]

    def reranked(self, query: Tensor, gallery: Tensor) -> NDArray[np.float32]:
        """(Q, G) distances after re-ranking, for `score`; junk leaves first."""
        junk = self.data.gallery["pid"].to_numpy() == -1
        return reranked_distance(query, gallery, junk, **self.reranking)

    def ranking(self, query: Tensor, gallery: Tensor, **options: Any) -> Ranking:
        """The ranked gallery of every query, for looking at."""
        protocol = options.pop("protocol", self.data.protocol)
        return Ranking.from_features(
            query, gallery, *self.ids, protocol=protocol, **options
        )

    def stage(
        self,
        name: str,
        config: Any,
        build: Callable[[Checkpoint], Made],
        *,
        inputs: tuple[Finished, ...] = (),
        folder: Path | None = None,
        data: str | None = None,
    ) -> Finished:
        """Reuse a finished stage, or build it.

        Args:
            name: of its folder.
            config: a dataclass or dict; a change of it means building again.
            build: makes it; called only if nothing on disk matches. What takes long
                saves to the checkpoint that it is given, and goes on from it.
            inputs: the stages it was made from.
            folder: parent folder, where it is not this run's.
            data: digest of its data, where it is not this run's data set.
        """
        content = {
            "stage": name,
            "config": config if isinstance(config, dict) else asdict(config),
            "data": data or self.data_digest,
            "code": code_digest(),
            "inputs": {s.folder.name: s.content for s in inputs},
            "seed": self.seed,
        }
        content = json.loads(json.dumps(content))
        content["key"] = digest(content)
        target = (folder or self.folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_one(target.with_name(f".{name}.lock")):
            # One process decides: another might look when the stage is just written.
            if agreed(is_made(target, content["key"])):
                log.info("%s is reused from %s", name, target)
                return written(target)
            log.info("%s is being made", name)
            started = time.perf_counter()
            checkpoint = Checkpoint(
                target.with_name(f".{name}.checkpoint"),
                content["key"],
                events=target.with_name(f"{name}.events") if self.events else None,
            )
            made = build(checkpoint)
            content |= circumstances(time.perf_counter() - started)
            if processes().is_main_process:
                write_stage(target, made, content)
                checkpoint.discard()
            processes().wait_for_everyone()
            return written(target)

    def circumstances(self) -> dict[str, Any]:
        """What numbers of this run are recorded with: data, code, versions, device."""
        return {
            "dataset": self.key,
            "protocol": self.data.protocol,
            "profile": self.profile.name,
            "seed": self.seed,
            "data": self.data_digest,
            "code": code_digest(),
            **circumstances(),
        }

    def record(self, chapter: str, results: Mapping[str, Any]) -> Path:
        """Write a chapter's numbers with their circumstances.

        Returns:
            ``results/<chapter>.json`` in the run's folder.
        """
        path = self.folder / "results" / f"{chapter}.json"
        record = {"results": dict(results), "manifest": self.circumstances()}
        write_json(path, record)
        return path


def begin(
    chapter: str,
    *,
    dataset: str = "synthetic",
    root: str = "",
    profile: str = "smoke",
    seed: int = 0,
    namespace: Mapping[str, Any] | None = None,
    **choice: Any,
) -> Run:
    """Open a run: check the parameters, fix the seeds, find the data.

    Args:
        chapter: who asks, for messages.
        dataset: a name of ``load_dataset``.
        root: its folder; empty for the synthetic world, which is then rendered.
        profile: "smoke", "longer" or "full".
        seed: of everything that is drawn at random, data set apart.
        namespace: ``globals()`` of a notebook; a parameter that no chapter knows
            is then an error instead of papermill's warning.
        choice: further arguments of ``load_dataset``: protocol, trial, boxes, ...

    Raises:
        ReIDConfigError: an unknown parameter, profile or data set, no root, or a
            negative seed; the GPU is wanted, and this process has already computed on
            the CPU.
        ReIDDataError: the folder is not what it should be.
    """
    if namespace is not None:
        _refuse_unknown(chapter, namespace)
    if not 0 <= int(seed) < 2**32:
        raise ReIDConfigError(f"seed is {seed}; give 0 to {2**32 - 1}.")
    scale = get_profile(profile)
    repeatable(scale.deterministic)
    torch.manual_seed(seed)
    home = find_home()
    if dataset == "synthetic" and not root:
        folder = _synthetic(home, scale)
    elif not root:
        raise ReIDConfigError(
            f"The data set {dataset} needs root, the folder it was unpacked in; "
            "give -p root FOLDER."
        )
    else:
        folder = Path(root) if Path(root).exists() else home / root
    data = load_dataset(dataset, folder, **choice)
    return Run(chapter, data, scale, int(seed), home)


def _refuse_unknown(chapter: str, namespace: Mapping[str, Any]) -> None:
    """Chapters define four plain values before they begin; any other is a mistake."""
    plain = (str, int, float, bool, list, dict, type(None))
    ours = {*PARAMETERS, "In", "Out"}
    unknown = [
        name
        for name, value in namespace.items()
        if isinstance(value, plain) and not name.startswith("_") and name not in ours
    ]
    if unknown:
        raise ReIDConfigError(
            f"{chapter} has no parameter {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(PARAMETERS)}."
        )


def _synthetic(home: Path, scale: Profile) -> Path:
    """The default world of a profile, rendered when it is missing or stale."""
    from reidlib.data.synthetic import write_world

    folder = home / "runs" / "synthetic" / scale.name / "world"
    folder.parent.mkdir(parents=True, exist_ok=True)
    ids, each = scale.ids, scale.images_per_id
    key = digest([ids, each, scale.world, code_digest(("data/synthetic",))])
    made = folder.with_name("world.key")
    with FileLock(folder.with_name(".world.lock")):
        if not folder.exists() or not made.exists() or made.read_text() != key:
            shutil.rmtree(folder, ignore_errors=True)
            write_world(folder, ids=ids, seed=scale.world, images_per_id=each)
            made.write_text(key)
    return folder


def train_points(run: Run) -> NDArray[np.floating]:
    """(N, 25, 2) in [0, 1] of the training pictures, NaN = missing.

    Raises:
        ReIDConfigError: the data set has no keypoints.
    """
    train_poses(run)
    return run.data.points(run.data.train)


def train_poses(run: Run) -> NDArray[np.floating]:
    """(N, 25, 2) in pixels, NaN = missing; it opens no picture."""
    found = run.data.pose_array(run.data.train)[..., :2]
    if np.isnan(found).all():
        raise ReIDConfigError(
            f"{run.data.root} has no keypoints, which pt-GAN needs; put OpenPose JSON "
            "files into its folder keypoints, or run python -m reidlib poses detect."
        )
    return found


def find_home() -> Path:
    """The folder that holds ``notebooks`` and ``runs``: REIDLIB_HOME, or a parent."""
    if "REIDLIB_HOME" in os.environ:
        return Path(os.environ["REIDLIB_HOME"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def dataset_key(name: str, protocol: str) -> str:
    """The data set's name and, where it is not the usual one, its protocol.

    >>> dataset_key("market1501", "holdout"), dataset_key("dukemtmc", "market1501")
    ('market1501-holdout', 'dukemtmc')
    >>> dataset_key("cuhk03", "cuhk03-np"), dataset_key("cuhk01", "cuhk01")
    ('cuhk03-np', 'cuhk01')
    """
    if protocol.startswith(name):
        return protocol
    return name if protocol == "market1501" else f"{name}-{protocol}"
