"""One way in to every source of keypoints: OpenPose's files, tables and arrays.

Arrays hold BODY_25 in pixels: (N, 50) vectors x0, y0, x1, y1, …, or (N, 25, 2), or
(N, 25, 3) with a confidence in [0, 1]. A missing joint is 0, 0 (as in the authors'
files), −1, −1 or NaN, or one whose confidence is not above 0. The images' names lie
beside them, one a line in `<array>.txt`, or as `names` inside an `.npz`; an array of
one image, (50,), (25, 2) or (25, 3), is named like its image.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidlib.errors import ReIDDataError
from reidlib.pose.files import first_few, read_annotation_csv, read_openpose
from reidlib.pose.skeletons import Floats

Sizes = tuple[int, int] | Mapping[str, tuple[int, int]]
_JSON = "_keypoints.json"
_SHAPES = "(N, 50), (N, 25, 2) or (N, 25, 3)"
_PICTURE = re.compile(r"\.(jpe?g|png|bmp|tiff?|npy)$", re.IGNORECASE)


def read_keypoints(path: str | Path, sizes: Sizes | None = None) -> dict[str, Floats]:
    """The poses of any source, by image stem (the file name without its ending).

    Args:
        path: a folder of `<stem>_keypoints.json` or `<stem>.npy` files, one such file,
            an annotation `.csv`, or an `.npy` or `.npz` of many images.
        sizes: (height, width) of all images, or of each by stem; where given, the
            poses must fit the images (`check_inside`).

    Returns:
        Image stem to (25, 3) pose in pixels; all missing where nobody was found.

    Raises:
        ReIDDataError: the source is none of these, is broken, or holds no joint. All
            broken files of a folder are reported together.
    """
    path = Path(path)
    if path.is_dir():
        poses = _read_folder(path)
    elif path.suffix == ".json":
        stem = path.name.removesuffix(".json").removesuffix("_keypoints")
        poses = {stem: read_openpose(path)}
    elif path.suffix == ".csv":
        rows = read_annotation_csv(path)
        poses = _by_stem(list(rows), list(rows.values()), path)
    elif path.suffix in (".npy", ".npz"):
        poses = read_pose_arrays(path)
    else:
        raise ReIDDataError(
            f"{path}: no source of keypoints; give a folder of OpenPose JSON or .npy "
            "files, an annotation .csv, an .npy or an .npz."
        )
    if not any(pose[:, 2].any() for pose in poses.values()):
        raise ReIDDataError(
            f"{path}: all joints of all {len(poses):,} images are missing; detect the "
            "poses with: python -m reidlib poses detect ROOT"
        )
    if sizes is not None:
        check_inside(poses, sizes, path)
    return poses


def check_inside(
    poses: Mapping[str, Floats], sizes: Sizes, source: str | Path = "keypoints"
) -> None:
    """Refuse poses that were made on pictures of another size.

    A joint or two beyond the edge are a detector's guess and stay. An image is wrong
    when more than half of its visible joints lie outside.

    Args:
        poses: image stem to (25, 3) pose in pixels.
        sizes: (height, width) of all images, or by stem; others are not checked.
        source: what the message calls them.

    Raises:
        ReIDDataError: poses lie outside their images; all are counted.
    """
    wrong = []
    for stem, pose in poses.items():
        size = sizes if isinstance(sizes, tuple) else sizes.get(stem)
        seen = pose[pose[:, 2] > 0, :2]
        if size is not None and len(seen):
            outside = ((seen < 0) | (seen > size[::-1])).any(axis=1)
            wrong += [stem] if outside.mean() > 0.5 else []
    if wrong:
        raise ReIDDataError(
            f"{source}: in {len(wrong):,} of {len(poses):,} images most joints lie "
            f"outside the image ({first_few(wrong)}); the keypoints belong to pictures "
            "of another size: scale them, or detect the poses again."
        )


def read_pose_arrays(path: str | Path) -> dict[str, Floats]:
    """The poses of an `.npy` or `.npz` file, by image stem.

    Raises:
        ReIDDataError: the file is broken, has another shape or unit, or its names are
            missing, too few or not unique. Nothing is unpickled.
    """
    path = Path(path)
    values, names = _load(path)
    if names is None and values.shape in ((50,), (25, 2), (25, 3)):
        return {_stem(path.name): as_poses(values[None], path)[0]}
    listed = path.with_suffix(".txt")
    if names is None:
        try:
            names = listed.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            raise ReIDDataError(
                f"{path}: the images' names cannot be read ({fault}); write them into "
                f"{listed.name}, one a line in the order of the array."
            ) from fault
    poses = as_poses(values, path)
    if len(names) != len(poses):
        raise ReIDDataError(
            f"{path}: {len(poses):,} poses but {len(names):,} names; give each pose "
            "the name of its image."
        )
    return _by_stem(names, list(poses), path)


def find_arrays(
    root: Path, folders: Sequence[str] = ("keypoints",)
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Poses by image stem from the arrays under a data set's root, and their files.

    Looked for are `<folder>.npy` and `<folder>.npz` in the root, and `<stem>.npy` in
    the folder, which goes before. Files are named relative to the root.
    """
    poses: dict[str, Floats] = {}
    files: list[Path] = []
    for folder in folders:
        whole = [root / f"{folder}{ending}" for ending in (".npy", ".npz")]
        for path in filter(Path.is_file, whole):
            poses |= read_pose_arrays(path)
            files += filter(Path.is_file, (path, path.with_suffix(".txt")))
        single = sorted((root / folder).glob("[!.]*.npy"))
        poses |= _read_all({_stem(p.name): p for p in single})
        files += single
    return poses, tuple(path.relative_to(root).as_posix() for path in files)


def as_poses(values: Any, source: str | Path) -> Floats:
    """An array of one of the shapes above as (N, 25, 3) poses.

    Args:
        values: (N, 50), (N, 25, 2) or (N, 25, 3), in pixels.
        source: what the message calls them.

    Raises:
        ReIDDataError: another shape, no numbers, infinity, shares of the image in
            place of pixels, or a third column that is no confidence.
    """
    shape = values.shape
    if not (len(shape) == 2 and shape[1] == 50) and shape[1:] not in ((25, 2), (25, 3)):
        raise ReIDDataError(
            f"{source}: an array of shape {shape} where BODY_25 has {_SHAPES}; convert "
            "other skeletons with reidlib.pose.convert first."
        )
    if values.dtype.kind not in "fiu":
        raise ReIDDataError(
            f"{source}: holds {values.dtype} where coordinates are numbers; save it as "
            "float32."
        )
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32).reshape(
            -1, 25, 3 if shape[2:] == (3,) else 2
        )
    if np.isinf(numbers).any():
        raise ReIDDataError(f"{source}: holds infinity; write 0 for a missing joint.")
    xy = numbers[..., :2]
    seen = ~(np.isnan(xy).any(-1) | (xy == 0).all(-1) | (xy == -1).all(-1))
    confidence = seen.astype(np.float32)
    if numbers.shape[2] == 3:
        seen &= numbers[..., 2] > 0
        confidence = numbers[..., 2]
    if (confidence[seen] > 1).any():
        raise ReIDDataError(
            f"{source}: the third column goes up to {confidence[seen].max():g} where a "
            "confidence is at most 1; divide it, or save x and y alone."
        )
    if seen.any() and np.median(xy[seen]) <= 1:
        raise ReIDDataError(
            f"{source}: most coordinates are at most 1, shares of the image and not "
            "pixels; multiply x by the width and y by the height."
        )
    poses = np.concatenate([xy, confidence[..., None]], axis=2)
    poses[~seen] = (np.nan, np.nan, 0)
    return poses


def _load(path: Path) -> tuple[Any, list[str] | None]:
    """The array of a file, and the names where the file holds them."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded, None
        with loaded:
            content = {key: loaded[key] for key in loaded.files}
    except Exception as fault:  # NumPy raises a dozen kinds over a damaged file
        kind, line = type(fault).__name__, str(fault).partition("\n")[0]
        raise ReIDDataError(
            f"{path}: not a whole .npy or .npz file of numbers ({kind}: {line}); save "
            "it again with numpy.save, names as text."
        ) from fault
    names = content.pop("names", None)
    if len(content) != 1:
        raise ReIDDataError(
            f"{path}: holds the arrays {', '.join(content) or 'none'} where one of "
            "poses and one called names are expected; save it as "
            "numpy.savez(path, poses=poses, names=names)."
        )
    flat = None if names is None else [str(name) for name in np.ravel(names)]
    return content.popitem()[1], flat


def _read_single(path: Path) -> Floats:
    """The pose of one image's `.npy`."""
    values = _load(path)[0]
    if values.shape not in ((50,), (25, 2), (25, 3)):
        raise ReIDDataError(
            f"{path}: an array of shape {values.shape} where one image has (50,), "
            "(25, 2) or (25, 3); arrays of many images lie beside the folder."
        )
    return as_poses(values[None], path)[0]


def _read_folder(folder: Path) -> dict[str, Floats]:
    """Every file of a folder; JSON goes before `.npy`."""
    arrays = {_stem(path.name): path for path in sorted(folder.glob("[!.]*.npy"))}
    texts = {
        path.name.removesuffix(_JSON): path
        for path in sorted(folder.glob(f"[!.]*{_JSON}"))
    }
    if not arrays and not texts:
        raise ReIDDataError(
            f"{folder}: holds no <stem>_keypoints.json and no <stem>.npy; write them "
            "with: python -m reidlib poses detect ROOT"
        )
    return _read_all(arrays | texts)


def _read_all(paths: Mapping[str, Path]) -> dict[str, Floats]:
    """Read one file for each image; all faults are reported together."""
    poses: dict[str, Floats] = {}
    faults: dict[str, ReIDDataError] = {}
    for stem, path in paths.items():
        try:
            single = path.suffix == ".npy"
            poses[stem] = _read_single(path) if single else read_openpose(path)
        except ReIDDataError as fault:
            faults[path.name] = fault
    if faults:
        first = next(iter(faults.values()))
        raise (
            first
            if len(faults) == 1
            else ReIDDataError(
                f"{len(faults):,} of {len(paths):,} keypoint files cannot be used: "
                f"{first_few(list(faults))}. The first is {first}"
            )
        )
    return poses


def _stem(name: str) -> str:
    """Part of an image's name that its keypoint file shares; folders are dropped."""
    return _PICTURE.sub("", re.split(r"[/\\]", name.strip())[-1])


def _by_stem(
    names: Sequence[str], poses: Sequence[Floats], path: Path
) -> dict[str, Floats]:
    stems = [_stem(name) for name in names]
    twice = sorted(stem for stem, count in Counter(stems).items() if count > 1)
    if twice:
        raise ReIDDataError(
            f"{path}: {len(twice):,} images are named more than once "
            f"({first_few(twice)}); keep one pose for each."
        )
    return dict(zip(stems, poses, strict=True))
