"""How near pictures are to the truth: one number per picture.

Pictures are (P, 3, H, W) in [-1, 1], masks (P, H, W), all on one device. A picture
whose mask is empty has no number: NaN.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from reidlib.errors import ReIDConfigError
from reidlib.pose import SKELETONS

CHUNK = 256  # pictures at once; SSIM holds five filtered copies of each
RADIUS = 4 / 128  # half width of a limb, in picture heights
HALVES = ("upper", "lower")
COLOURS = tuple(f"{h} {kind}" for h in HALVES for kind in ("brightness", "chroma"))
# BODY_25's limbs, and the sides of the torso, which would else have holes
LIMBS = (*SKELETONS["body25"].limbs, (2, 9), (5, 12))


def ssim_map(made: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity of each picture, and around each of its pixels.

    Gaussian window of standard deviation 1.5, range 2, mean over the colours.

    Returns:
        (P,), and (P, H, W).

    Raises:
        ReIDConfigError: the shapes differ.
    """
    _check_alike(made, truth)
    whole, field = [], []
    for one, other in zip(made.split(CHUNK), truth.split(CHUNK), strict=True):
        value, full = structural_similarity_index_measure(
            one, other, data_range=2.0, reduction="none", return_full_image=True
        )
        whole.append(value.reshape(len(one)))
        field.append(full.mean(1))
    return torch.cat(whole), torch.cat(field)


def ssim(made: Tensor, truth: Tensor) -> Tensor:
    """(P,) structural similarity; 1 is identity."""
    return ssim_map(made, truth)[0]


def l1(made: Tensor, truth: Tensor) -> Tensor:
    """(P,) mean absolute error in values of [-1, 1], so between 0 and 2."""
    _check_alike(made, truth)
    return (made - truth).abs().mean((1, 2, 3))


def masked_ssim(made: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(P,) mean of the SSIM map over the mask.

    Not the SSIM of masked pictures, as PATN counts it: there everything outside the
    mask is equal, and adds to the likeness.
    """
    return mean_inside(ssim_map(made, truth)[1], mask)


def masked_l1(made: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(P,) mean absolute error over the mask."""
    _check_alike(made, truth)
    return mean_inside((made - truth).abs().mean(1), mask)


def edges(made: Tensor, mask: Tensor) -> Tensor:
    """(P,) strength of edges on the person: stripes, straps and outlines.

    Mean over the mask of the absolute difference of each pixel to those below and to
    its right.
    """
    down, right = made.diff(dim=2).abs().mean(1), made.diff(dim=3).abs().mean(1)
    steps = F.pad(down, (0, 0, 0, 1)) + F.pad(right, (0, 1))
    return mean_inside(steps, mask)


def pose_mask(points: NDArray[np.floating], size: tuple[int, int]) -> Tensor:
    """Roughly where a person is, from joints alone, after PATN.

    Limbs are bars of half width 4 pixels at a height of 128, joints discs of that
    radius; then the gaps are closed (dilation and erosion) by a square of 5 pixels.
    All lengths grow with the height.

    Args:
        points: (P, 25, 2) in image units, NaN where missing.
        size: (height, width) in pixels.

    Returns:
        (P, H, W) bool; empty where no joint is visible.
    """
    height, width = size
    if len(points) > CHUNK:
        parts = np.array_split(np.asarray(points), -(-len(points) // CHUNK))
        return torch.cat([pose_mask(part, size) for part in parts])
    joints = torch.as_tensor(np.asarray(points, np.float32))
    joints = joints * torch.tensor([width, height])
    x, y = torch.arange(width) + 0.5, (torch.arange(height) + 0.5)[:, None]
    limit = (RADIUS * height) ** 2
    covered = torch.zeros(len(joints), height, width, dtype=torch.bool)
    ax, ay = joints[:, :, None, None].unbind(-1)  # (P, 25, 1, 1) each
    for joint in range(25):  # comparing with NaN, a missing joint, is False
        from_start = (x - ax[:, joint]) ** 2 + (y - ay[:, joint]) ** 2  # (P, H, W)
        covered |= from_start <= limit
        for end in (b for a, b in LIMBS if a == joint):
            dx, dy = ax[:, end] - ax[:, joint], ay[:, end] - ay[:, joint]
            length = (dx**2 + dy**2).clamp(min=1e-9)
            along = (x - ax[:, joint]) * dx + (y - ay[:, joint]) * dy
            part = (along / length).clamp(0, 1)  # where on the limb is nearest
            covered |= from_start - part * (2 * along - part * length) <= limit
    reach = round(2 * height / 128)
    wide = F.max_pool2d(covered.float(), 2 * reach + 1, 1, reach)
    return -F.max_pool2d(-wide, 2 * reach + 1, 1, reach) > 0


def half_colours(pictures: Tensor, mask: Tensor, points: ArrayLike) -> Tensor:
    """Mean colour of the upper and the lower half of each person.

    Args:
        pictures: (P, 3, H, W).
        mask: (P, H, W), the person.
        points: (P, 25, 2); the halves meet at the middle of the hips.

    Returns:
        (P, 2, 3) upper and lower; NaN where no hip is visible or a half is empty.
    """
    hips = torch.as_tensor(np.asarray(points, np.float32)[:, [9, 12], 1])
    waist = hips.nanmean(1).to(mask.device) * mask.shape[1]  # (P,) pixels
    rows = torch.arange(mask.shape[1], device=mask.device) + 0.5
    above = (rows < waist[:, None])[..., None]
    below = (rows >= waist[:, None])[..., None]
    parts = [mask.bool() & half for half in (above, below)]
    means = [
        (pictures * part[:, None]).sum((2, 3)) / part.sum((1, 2))[:, None]
        for part in parts
    ]
    return torch.stack(means, dim=1)


def colour_correlation(made: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """How far colours follow the truth's from picture to picture.

    Brightness is the mean of red, green and blue, chroma what is left of them. Each
    colour is taken against its mean over the pictures, so that what all people have
    in common counts nothing.

    Args:
        made, truth: (P, 2, 3) of `half_colours`; rows with NaN in the half take no
            part.

    Returns:
        Correlations "upper brightness", "upper chroma", "lower brightness" and "lower
        chroma"; NaN where one side does not vary or fewer than two pictures are left.
    """
    found = {}
    pair = [np.asarray(colours, np.float64) for colours in (made, truth)]
    for half, name in enumerate(HALVES):
        a, b = (colours[:, half] for colours in pair)
        known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
        a, b = (c[known] - c[known].mean(0) if known.any() else c[:0] for c in (a, b))
        light = [c.mean(1, keepdims=True) for c in (a, b)]
        found[f"{name} brightness"] = _correlation(*light)
        found[f"{name} chroma"] = _correlation(a - light[0], b - light[1])
    return found


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a.ravel(), b.ravel()
    if len(a) < 2 or min(a.std(), b.std()) < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def mean_inside(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (P, H, W) values over a mask; 0 / 0 is NaN."""
    if mask.shape != values.shape:
        raise ReIDConfigError(
            f"the mask has shape {tuple(mask.shape)}, the pictures "
            f"{tuple(values.shape)} (P, H, W); give one mask per picture."
        )
    inside = mask.bool()
    return (values * inside).sum((1, 2)) / inside.sum((1, 2))


def _check_alike(made: Tensor, truth: Tensor) -> None:
    if made.shape != truth.shape or made.dim() != 4:
        raise ReIDConfigError(
            f"the pictures have shapes {tuple(made.shape)} and {tuple(truth.shape)}; "
            "give two batches (P, 3, H, W) of one shape."
        )
