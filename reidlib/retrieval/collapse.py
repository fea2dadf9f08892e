"""Have the features collapsed? Numbers first, then a verdict with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from reidlib.errors import ReIDConfigError
from reidlib.retrieval.ranking import Features, as_features

ALIKE = 0.999  # cosine from which two rows count as near-identical
MOST = 0.5  # share of pairs, or of rows, from which it is the rule
FEW = 3.0  # effective dimensions: a person needs more numbers than a colour


@dataclass(frozen=True)
class Collapse:
    """What was measured on the features, and what follows from it.

    Attributes:
        collapsed: whether there is any reason to say so.
        reasons: one sentence each.
        n_rows: rows that were looked at.
        mean_cosine: of pairs of different rows, in [-1, 1].
        alike: share of pairs with a cosine of 0.999 or more.
        copies: share of rows that equal another row exactly.
        zeros: share of rows of zeros.
        effective_dimensions: (sum of e)^2 / sum of e^2 over the eigenvalues e of the
            covariance of the rows at length one; 1 for points on a line, at most
            min(N - 1, D); 0 if all rows are equal.
        dead_columns: share of columns that are the same in every row.
    """

    collapsed: bool
    reasons: tuple[str, ...]
    n_rows: int
    mean_cosine: float
    alike: float
    copies: float
    zeros: float
    effective_dimensions: float
    dead_columns: float

    def __str__(self) -> str:
        numbers = (
            f"{self.effective_dimensions:.1f} effective dimensions, mean cosine "
            f"{self.mean_cosine:.3f}, {self.alike:.1%} of pairs near-identical"
        )
        if not self.collapsed:
            return f"not collapsed: {numbers}"
        return f"collapsed: {' '.join(self.reasons)} ({numbers})"


def detect_collapse(
    features: Features,
    *,
    few: float = FEW,
    alike: float = ALIKE,
    max_rows: int = 2000,
    seed: int = 0,
) -> Collapse:
    """Measure whether the features still tell images apart.

    Features of different people that have become one vector, or a line, still rank:
    their mAP then depends on rounding. Call it on a gallery of many people.

    Args:
        features: (N, D) numpy or torch, N >= 2.
        few: effective dimensions below which the features have collapsed; no more
            than 3/4 of what N rows or D columns can have at most.
        alike: cosine from which a pair counts as near-identical.
        max_rows: so many rows are drawn by the seed if there are more.
        seed: of the draw.

    Raises:
        ReIDConfigError: fewer than two rows, or an argument outside its range.
        ReIDDataError: as `evaluate`: empty, NaN or infinity.
    """
    tensor = as_features(features, "features")
    if len(tensor) < 2 or max_rows < 2:
        raise ReIDConfigError(
            f"{min(len(tensor), max_rows)} row says nothing about collapse; give two "
            "or more."
        )
    if not (few > 0 and -1 < alike <= 1):
        raise ReIDConfigError(
            f"few={few} must be above 0 and alike={alike} a cosine above -1."
        )
    if len(tensor) > max_rows:
        drawn = np.random.default_rng(seed).permutation(len(tensor))[:max_rows]
        tensor = tensor[torch.from_numpy(np.sort(drawn)).to(tensor.device)]
    rows = tensor.cpu().numpy().astype(np.float64)
    n, d = rows.shape
    lengths = np.linalg.norm(rows, axis=1)
    zeros = float((lengths == 0).mean())
    copies = 1 - len(np.unique(rows, axis=0)) / n
    dead = float((np.ptp(rows, axis=0) == 0).mean())
    unit = rows / np.where(lengths > 0, lengths, 1)[:, None]
    cosine = unit @ unit.T
    pairs = n * (n - 1)
    mean = float((cosine.sum() - np.trace(cosine)) / pairs)
    same = (np.count_nonzero(cosine >= alike) - np.sum(cosine.diagonal() >= alike)) / (
        pairs
    )
    dimensions = _participation(unit - unit.mean(axis=0))
    reasons = []
    if same >= MOST:
        reasons.append(f"{same:.0%} of the pairs have a cosine of {alike} or more.")
    if copies >= MOST:
        reasons.append(f"{copies:.0%} of the rows repeat another one.")
    if zeros >= MOST:
        reasons.append(f"{zeros:.0%} of the rows are zero.")
    if dimensions < min(few, 0.75 * min(d, n - 1)):  # two columns hold two at most
        reasons.append(f"The rows spread over {dimensions:.1f} of {d} dimensions.")
    return Collapse(
        collapsed=bool(reasons),
        reasons=tuple(reasons),
        n_rows=n,
        mean_cosine=mean,
        alike=float(same),
        copies=copies,
        zeros=zeros,
        effective_dimensions=dimensions,
        dead_columns=dead,
    )


def _participation(centred: np.ndarray) -> float:
    """(trace C)^2 / trace C^2 from the smaller of the two Gram matrices."""
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    trace = float(np.trace(gram))
    if trace < 1e-20 * max(1, len(centred)):  # rounding of equal rows
        return 0.0
    return trace**2 / float(np.square(gram).sum())
