"""The built-in pose detector: torchvision's Keypoint R-CNN writes OpenPose JSON.

Crops are small and the network learned from photographs: torchvision's own transform
scales every picture so that its longer side has `height` pixels, 512 by default, about
the height of a person who fills a COCO photograph, and maps the keypoints back. The
pictures of one batch may have any sizes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection import (
    KeypointRCNN,
    KeypointRCNN_ResNet50_FPN_Weights,
)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.transforms.v2 import functional
from tqdm.auto import tqdm

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose.files import first_few, pictures, read_openpose, rgb, write_openpose
from reidlib.pose.skeletons import Floats, convert, empty_pose, torso_valid

WEIGHTS = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
_REPEATED = "gt_bbox"  # Market-1501 keeps its queries there too, under the same names
_PEOPLE = 8  # looked at in each picture; torchvision's 100 cost time, one is kept
_EVEN = 2.0  # score of a joint drawn or not; Detectron's vis.py has kp_thresh=2


@dataclass(frozen=True)
class Detected:
    """What a run of the detector leaves.

    Attributes:
        images: pictures with a keypoint file, of this run or an earlier one.
        new: written by this run.
        people: pictures with a person.
        torsos: pictures with both hips and both shoulders, fit for pt-GAN.
    """

    images: int
    new: int
    people: int
    torsos: int

    def __str__(self) -> str:
        share = self.torsos / max(self.images, 1)
        return (
            f"{self.images:,} images ({self.new:,} new), {self.people:,} with a "
            f"person, {self.torsos:,} with a whole torso ({share:.1%})"
        )


def load_detector(
    weights: str | Path | None = None, *, height: int = 512, device: str = "cpu"
) -> nn.Module:
    """Keypoint R-CNN with a ResNet-50 FPN, trained on COCO (box AP 54.6, joints 65.0).

    Args:
        weights: torchvision's .pth file; None lets torchvision download it once.
        height: longer side of the pictures inside the network, in pixels.
        device: as torch names it.

    Returns:
        A network in evaluation mode: list of (3, H, W) in [0, 1] to list of dicts.

    Raises:
        ReIDConfigError: there is no such device, or the height is below 32.
        ReIDDataError: the weights cannot be read or downloaded, or are not this
            network's.
    """
    if height < 32:
        raise ReIDConfigError(f"height={height} is too small to see joints: use 512.")
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    network = KeypointRCNN(
        backbone,
        num_classes=2,
        num_keypoints=17,
        min_size=height,
        max_size=height,
        box_detections_per_img=_PEOPLE,
    )
    try:
        network.load_state_dict(_weights(weights))
    except (RuntimeError, TypeError, AttributeError) as fault:
        raise ReIDDataError(
            f"{weights or WEIGHTS.url}: not the weights of keypointrcnn_resnet50_fpn "
            f"({_first_line(fault)}); download {WEIGHTS.url}"
        ) from fault
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0  # as these weights were trained, and as torchvision does
    try:
        return network.eval().to(device)
    except (RuntimeError, AssertionError) as fault:
        raise ReIDConfigError(
            f"device {device!r} cannot be used ({_first_line(fault)}); "
            "try --device cpu."
        ) from fault


def _weights(path: str | Path | None) -> Mapping[str, Tensor]:
    """The state of the network, from a file or from torchvision's server."""
    if path is None:
        try:
            return WEIGHTS.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as fault:
            raise ReIDDataError(
                f"the detector's weights cannot be downloaded ({fault}); fetch "
                f"{WEIGHTS.url} elsewhere and give the file with --weights."
            ) from fault
    if not Path(path).is_file():
        raise ReIDDataError(
            f"{path}: no such file; download {WEIGHTS.url} and give its path."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # whatever a file that is no checkpoint makes it raise
        raise ReIDDataError(
            f"{path}: not a PyTorch file of weights ({type(fault).__name__}); "
            f"download {WEIGHTS.url} again."
        ) from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0].rstrip(":")


def keypoint_files(root: str | Path, out: str | Path | None = None) -> dict[Path, Path]:
    """The pictures under a folder, by the keypoint file that each gets.

    Args:
        root: folder with pictures at any depth; hidden ones are passed over.
        out: folder of the keypoint files; None is `keypoints` in the root.

    Returns:
        `out/<stem>_keypoints.json` to picture, sorted. Where pictures of two folders
        share a name, all lie as the pictures do, `out/<folder>/<stem>_keypoints.json`.

    Raises:
        ReIDDataError: no folder, no picture, or two pictures of a folder with one stem.
    """
    root = Path(root)
    out = root / "keypoints" if out is None else Path(out)
    whole = pictures(root)
    names = {path.stem for path in whole if path.parent.name != _REPEATED}
    kept = [p for p in whole if p.parent.name != _REPEATED or p.stem not in names]
    mirror = len({path.stem for path in kept}) < len(kept)
    found: dict[Path, Path] = {}
    twice = []
    for path in kept:
        folder = out / path.parent.relative_to(root) if mirror else out
        file = folder / f"{path.stem}_keypoints.json"
        if file in found:
            twice.append(str(path.relative_to(root)))
        found[file] = path
    if twice:
        raise ReIDDataError(
            f"{root}: {len(twice):,} pictures share their name with another one of "
            f"their folder ({first_few(twice)}); rename them, since keypoint files go "
            "by the name."
        )
    return dict(sorted(found.items()))


def detect_poses(
    files: Mapping[Path, Path],
    network: nn.Module,
    *,
    batch: int = 8,
    device: str = "cpu",
    min_score: float = 0.3,
    min_confidence: float = 0.5,
) -> Detected:
    """Write a BODY_25 keypoint file for each picture that has none yet.

    Every file is written in one step, so a run that was cut off goes on where it
    stopped and ends the same, as long as `files` and `batch` are the
    same. A picture without a person gets a file without people.

    Args:
        files: keypoint file to picture, from `keypoint_files`.
        network: from `load_detector`, or anything that answers like it.
        batch: pictures at once.
        device: where the network is.
        min_score: as in `best_person`.
        min_confidence: as in `best_person`.

    Raises:
        ReIDConfigError: the batch is empty.
        ReIDDataError: pictures cannot be read; all others are done, all are reported.
    """
    if batch < 1:
        raise ReIDConfigError(f"batch={batch} holds no picture: use 1 or more.")
    listed = list(files.items())
    new = {file for file in files if not file.exists()}
    for folder in {file.parent for file in new}:
        folder.mkdir(parents=True, exist_ok=True)
    # The same pictures share a batch in every run: a batch is padded to its largest.
    parts = [listed[start : start + batch] for start in range(0, len(listed), batch)]
    todo = [part for part in parts if any(file in new for file, _ in part)]
    faults: list[str] = []
    for part in tqdm(todo, "detecting poses", unit="batch", mininterval=2):
        images = dict(_readable(part, faults))
        if not images.keys() & new:
            continue
        with torch.inference_mode():
            answers = network([image.to(device) for image in images.values()])
        for file, answer in zip(images, answers, strict=True):
            if file in new:
                write_openpose(file, best_person(answer, min_score, min_confidence))
    if faults:
        raise ReIDDataError(
            f"{len(faults):,} of {len(files):,} images cannot be read: "
            f"{first_few(faults)}. The others have their keypoints; copy these again "
            "or take them out."
        )
    poses = np.array([read_openpose(file) for file in files]).reshape(-1, 25, 3)
    people = int((poses[..., 2] > 0).any(axis=1).sum())
    return Detected(len(files), len(new), people, int(torso_valid(poses).sum()))


def _readable(
    todo: Iterable[tuple[Path, Path]], faults: list[str]
) -> Iterator[tuple[Path, Tensor]]:
    """Keypoint file and picture (3, H, W) in [0, 1]; those that fail become faults."""
    for file, path in todo:
        try:
            image = rgb(path)
            if 20 * min(image.size) < max(image.size) or min(image.size) < 8:
                raise OSError(f"{image.width} × {image.height} pixels")
            pixels = functional.pil_to_tensor(image)
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as fault:
            faults.append(f"{path} ({str(fault).replace(repr(str(path)), 'it')})")
        else:
            yield file, pixels / 255


def best_person(
    answer: Mapping[str, Tensor], min_score: float = 0.3, min_confidence: float = 0.5
) -> Floats:
    """The person with the largest score × box area, as a BODY_25 pose.

    torchvision scores a joint by the peak s of its heat map, an unbounded number. Its
    confidence is 1 / (1 + exp(2 − s)): one half at s = 2, Detectron's limit for drawing
    a joint, and 1 for a sharp peak. It orders joints; it is no probability.

    Args:
        answer: boxes (P, 4), labels (P,), scores (P,), keypoints (P, 17, 3) in pixels
            and keypoints_scores (P, 17), as torchvision's network gives them.
        min_score: people below are left out.
        min_confidence: joints below are missing.

    Returns:
        (25, 3) x, y, confidence; all missing where there is nobody.
    """
    boxes, scores = answer["boxes"].float(), answer["scores"]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    wanted = (answer["labels"] == 1) & (scores >= min_score)
    worth = torch.where(wanted, scores * area, -1.0)
    if not len(worth) or worth.max() <= 0:
        return empty_pose()
    best = worth.argmax()
    xy = answer["keypoints"][best, :, :2]
    confidence = torch.sigmoid(answer["keypoints_scores"][best] - _EVEN)
    pose = torch.cat([xy, confidence[:, None]], dim=1).float().cpu().numpy()
    pose[~(pose[:, 2] >= min_confidence)] = (np.nan, np.nan, 0)
    return convert(pose, "coco17", "body25")
