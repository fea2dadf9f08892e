"""The random numbers of one training step."""

import numpy as np
import torch
from torch import Tensor

from reidlib.errors import ReIDConfigError


class Draws:
    """The random numbers of one step: drawn for the whole batch, cut to some rows.

    They depend on nothing but seed, step and the order of the calls. Every process
    draws the numbers of all items and keeps those of its own, so a step has the same
    augmentations however its batch is divided. Numbers come from the CPU, so a GPU has
    the same too.

    NumPy's generator serves, since it is seeded by a hash of the whole (seed, step).
    Torch's on the CPU heeds 32 bits only, and a long training would meet the same
    numbers twice.

    Args:
        seed: of the training, 0 or more.
        step: number of the step, 0 or more.
        batch: number of items of the whole step.
        rows: which of them are computed here.
        device: where the numbers are wanted.

    Raises:
        ReIDConfigError: seed or step is negative.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        batch: int,
        rows: slice = slice(None),
        device: str | torch.device = "cpu",
    ) -> None:
        if seed < 0 or step < 0:
            raise ReIDConfigError(
                f"no random numbers for seed {seed} and step {step}; "
                "give both as 0 or more."
            )
        self.batch = batch
        self.rows = rows
        self.device = torch.device(device)
        # not the list (seed, step): (2**32, 0) would be as good as (0, 1)
        sequence = np.random.SeedSequence(seed, spawn_key=(step,))
        self._generator = np.random.default_rng(sequence)

    def __len__(self) -> int:
        """Number of items computed here."""
        return len(range(self.batch)[self.rows])

    def uniform(
        self,
        *shape: int,
        low: float = 0.0,
        high: float = 1.0,
        device: str | torch.device | None = None,
    ) -> Tensor:
        """Numbers of each item, independent and uniform in [low, high).

        Args:
            shape: of one item's numbers.
            low, high: their range.
            device: where they are wanted, if elsewhere than the others.

        Returns:
            (b, *shape) float32 on the device, b = the number of items computed here.
        """
        numbers = self._generator.random((self.batch, *shape), dtype=np.float32)
        where = self.device if device is None else device
        ours = torch.from_numpy(numbers[self.rows]).to(where, non_blocking=True)
        return low + (high - low) * ours
