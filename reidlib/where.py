"""Which data and at which scale: the flags that most commands share."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from reidlib import runs


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
        """The run, with parts of its profile replaced."""
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
        profile = replace(run.profile, **changes)
        return replace(run, profile=profile, events=self.tensorboard)
