"""The batch-hard triplet loss, an option of R2 beside cross-entropy."""

import torch
from torch import Tensor
from torch.nn import functional as F


def batch_hard_triplet(
    features: Tensor, labels: Tensor, margin: float | None = 0.3
) -> Tensor:
    """Pull each anchor's farthest positive nearer than its nearest negative.

    With d the Euclidean distance, p and n in the batch:

        mean over anchors a of h(max_p d(a, p) - min_n d(a, n)),

    h(x) = max(0, x + margin), or log(1 + e^x) as soft margin. An anchor without a
    positive (another image of its identity) or without a negative is left out.

    Args:
        features: (B, D), not normalised; with a BNNeck those before it.
        labels: (B,) identities.
        margin: of the hinge; None: the soft margin.

    Returns:
        () loss in float32 or better, 0 where no anchor is left.

    Source: Hermans, Beyer and Leibe, "In defense of the triplet loss", 2017, eq. 5.

    >>> points = torch.tensor([[0.0], [2.0], [3.0], [9.0]])
    >>> batch_hard_triplet(points, torch.tensor([0, 0, 1, 2]), margin=2.0)
    tensor(2.)
    """
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    # Not by the matrix product: it loses small distances to rounding. cdist's gradient
    # is 0 where two features are equal; that of a plain square root would be NaN.
    distances = torch.cdist(
        features, features, compute_mode="donot_use_mm_for_euclid_dist"
    )
    same = labels[:, None] == labels
    positive = same ^ torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    gap = farthest - nearest  # -inf where there is no triplet: loss and gradient 0
    costs = F.softplus(gap) if margin is None else F.relu(gap + margin)
    return costs.sum() / (gap > -torch.inf).sum().clamp(min=1)
