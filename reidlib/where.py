"""Which data and at which scale: the flags that most commands share."""

import json
import logging
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from reidlib import runs
from reidlib.profiles import Profile

log = logging.getLogger(__name__)
# Part of a profile → the stage that `train` makes of it
TRAINED = {"encoder": "r2", "ptgan": "ptgan", "fusion": "fusion-body-gmm-{poses}"}


@dataclass(frozen=True)
class Where:
    """Which data, at which scale.

    Attributes:
        dataset: market1501, dukemtmc, cuhk03, cuhk01, folder or synthetic.
        root: its folder, or a CSV of images; empty for the synthetic world.
        profile: smoke, longer or full.
        seed: of everything drawn at random.
        protocol: of the data set's several; empty for its usual one.
        trial: which of the protocol's splits.
        boxes: of cuhk03.
        tensorboard: write what TensorBoard shows beside every stage that is trained.
    """

    dataset: str = "synthetic"
    root: str = ""
    profile: str = "smoke"
    seed: int = 0
    protocol: str = ""
    trial: int = 0
    boxes: Literal["detected", "labeled"] = "detected"
    tensorboard: bool = False

    def open(self, **changes: Any) -> runs.Run:
        """The run, with parts of its profile replaced.

        What was trained there by other flags is used as it was trained: `evaluate`
        after `train encoder --recipe modern` asks that R2.
        """
        run = runs.begin(
            "reidlib",
            dataset=self.dataset,
            root=self.root,
            profile=self.profile,
            seed=self.seed,
            protocol=self.protocol or None,
            trial=self.trial,
            boxes=self.boxes,
        )
        profile = replace(as_trained(run), **changes)
        return replace(run, profile=profile, events=self.tensorboard)


def as_trained(run: runs.Run) -> Profile:
    """The run's profile, with the settings of the stages that lie in its folder."""
    known: dict[str, Any] = {}
    for part, stage in TRAINED.items():
        name = stage.format(poses=run.profile.poses)
        path = run.folder / name / "config.json"
        if not path.is_file():
            continue
        usual = getattr(run.profile, part)
        names = {field.name for field in fields(usual)}
        told = json.loads(path.read_text())
        values = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in told.items()
            if k in names
        }
        known[part] = replace(usual, **values)
        other = [k for k, v in values.items() if v != getattr(usual, k)]
        if other:
            log.info("%s as it was trained here, with other %s", name, ", ".join(other))
    return replace(run.profile, **known)
