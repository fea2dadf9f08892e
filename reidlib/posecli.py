"""``python -m reidlib poses``: the built-in pose detector on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from reidlib.data.layouts import doctor_command
from reidlib.pose.detector import detect_poses, keypoint_files, load_detector


@dataclass(frozen=True)
class Poses:
    """Detect the pose of every picture below a folder, and write OpenPose JSON.

    Pictures that have their keypoint file already are skipped.

    Attributes:
        action: what to do.
        root: folder of the pictures or of the data set.
        weights: torchvision's .pth file, for a machine without a network.
        out: folder of the keypoint files; empty for ROOT/keypoints.
        batch: pictures at once.
        device: cpu, cuda or mps.
        height: longer side of the pictures inside the network, in pixels.
    """

    action: tyro.conf.Positional[Literal["detect"]]
    root: tyro.conf.Positional[Path]
    weights: Path | None = None
    out: Path | None = None
    batch: int = 8
    device: str = "cpu"
    height: int = 512

    def run(self) -> int:
        """Print how many pictures have a person and a torso, and what to run next."""
        files = keypoint_files(self.root, self.out)
        network = load_detector(self.weights, height=self.height, device=self.device)
        print(detect_poses(files, network, batch=self.batch, device=self.device))
        if self.out is None:  # where the doctor looks for them
            print(f"next: {doctor_command('', self.root)}")
        return 0
