"""Fixed rules: K + 1 features become one descriptor, and nothing is trained.

A rule is any function of the features of the pictures (N, D) and of those drawn from
them (N, K, D) to descriptors (N, D'). All of these scale every feature to length one
first, since retrieval compares directions.
"""

from collections.abc import Callable, Sequence

import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from reidlib.errors import ReIDConfigError
from reidlib.models import Slots
from reidlib.models.fusion import check_weight, unit_features
from reidlib.training import held_out_map

Rule = Callable[[Tensor, Tensor], Tensor]
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def input_only(source: Tensor, drawn: Tensor) -> Tensor:
    """The picture's own feature, (N, D): the baseline."""
    return unit_features(source, drawn)[:, 0]


def mean(source: Tensor, drawn: Tensor) -> Tensor:
    """The mean of all K + 1, (N, D)."""
    return unit_features(source, drawn).mean(1)


def maximum(source: Tensor, drawn: Tensor) -> Tensor:
    """The largest value of each element, (N, D): PN-GAN's rule."""
    return unit_features(source, drawn).amax(1)


def weighted_sum(weight: float) -> Rule:
    """(1 - w) of the picture, w of the mean of the drawings, (N, D): Pose2ID's rule."""
    check_weight(weight)

    def rule(source: Tensor, drawn: Tensor) -> Tensor:
        x = unit_features(source, drawn)
        return (1 - weight) * x[:, 0] + weight * x[:, 1:].mean(1)

    return rule


def slots(weight: float) -> Rule:
    """Features side by side, so that like is compared with like (`Slots`)."""
    beside = Slots(weight)

    def rule(source: Tensor, drawn: Tensor) -> Tensor:
        x = unit_features(source, drawn)
        return beside(x[:, 0], x[:, 1:])

    return rule


def reduced(rule: Rule, source: Tensor, drawn: Tensor, numbers: int) -> Rule:
    """A rule, followed by a PCA to so many numbers that these features settle.

    Args:
        source, drawn: (N, D) and (N, K, D) of training pictures.
        numbers: no more than there are pictures, or numbers in a descriptor.

    Raises:
        ReIDConfigError: it is more than that.
    """
    made = rule(source, drawn)
    most = min(made.shape)
    if not 1 <= numbers <= most:
        raise ReIDConfigError(
            f"numbers is {numbers}; {len(made)} descriptors of {made.shape[1]} numbers "
            f"allow 1 to {most}."
        )
    axes = PCA(numbers, random_state=0).fit(made.numpy())
    return lambda x, g: torch.as_tensor(axes.transform(rule(x, g).numpy()))


def fitted_weight(
    make: Callable[[float], Rule],
    source: Tensor,
    drawn: Tensor,
    table: pd.DataFrame,
    weights: Sequence[float] = WEIGHTS,
) -> float:
    """The weight with the highest mAP among these pictures; the smallest of a tie.

    Args:
        make: weight → rule.
        source, drawn: (N, D) and (N, K, D) of held-out *training* pictures.
        table: their pid and camid.
    """
    scores = {w: held_out_map(make(w)(source, drawn), table)["score"] for w in weights}
    return max(scores, key=scores.__getitem__)
