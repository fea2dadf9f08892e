"""``python -m reidlib generate``: a training set enlarged with generated poses."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from reidlib.data.layouts import doctor_command
from reidlib.enlarge import enlarge
from reidlib.where import Where


@dataclass(frozen=True, kw_only=True)
class Generate(Where):
    """Write a data set whose training pictures are also there in other poses.

    What it takes is trained first where it is missing. The folder is in Market's
    layout and can be given to every command as market1501.

    Attributes:
        out: folder to make.
        poses: K, how many poses the training poses are summed up in; 0: the profile's.
        ids: share of the training identities to learn from and to write.
        each: generated pictures of each training picture; 0: all K poses.
        extractor: extractor.safetensors of a run, to draw with instead of training.
    """

    out: tyro.conf.Positional[Path]
    poses: int = 0
    ids: float = 1.0
    each: int = 0
    extractor: Path | None = None

    def run(self) -> int:
        """Draw and write, and print what to run next."""
        made = enlarge(
            self.open(),
            self.out,
            poses=self.poses,
            ids=self.ids,
            each=self.each,
            extractor=self.extractor,
        )
        print(f"{made['real']} real and {made['drawn']} drawn training pictures")
        print(f"next: {doctor_command('market1501', self.out)}")
        return 0
