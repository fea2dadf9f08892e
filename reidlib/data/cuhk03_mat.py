"""`cuhk-03.mat`, an HDF5 file of MATLAB cells: its images and its test sets.

    detected, labeled   5 cells, one for each pair of cameras, of M × 10 images each:
                        M people, columns 1-5 from view 1, 6-10 from view 2, maybe empty
    testsets            20 cells of 100 × 2: pair, identity in it, both from 1

HDF5 keeps the axes of MATLAB in reverse: an image lies there as (3, W, H).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from reidlib.errors import ReIDConfigError, ReIDDataError

TRIALS = 20
VIEW = 5  # images of each view, at most


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, with what HDF5 makes of a broken one as one error."""
    try:
        import h5py
    except ImportError as fault:
        raise ReIDConfigError(
            f"reading {path.name} needs h5py; install it with "
            "python -m pip install 'reidlib[data]'."
        ) from fault
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError) as bad:
        raise ReIDDataError(
            f"{path} cannot be read ({type(bad).__name__}: {bad}); it is cut short or "
            "not the original, so copy or unpack it again."
        ) from bad


def extract(mat: Path, boxes: str, folder: Path) -> None:
    """Write the images of one kind of boxes as <pair>_<id>_<view>_<number>.png.

    They are written into <folder>.part, each in one step, and that folder is renamed
    at the end: a folder is whole or absent, and a run that was stopped goes on where
    it was. A folder that holds files is left as it is, and the file is not opened.

    Args:
        mat: `cuhk-03.mat`.
        boxes: "detected" or "labeled".
        folder: where they go.

    Raises:
        ReIDConfigError: h5py is not installed.
        ReIDDataError: the file is cut short or not the original, or the folder cannot
            be written to.
    """
    part = folder.with_name(folder.name + ".part")
    try:
        if _holds_files(folder):
            return
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if _holds_files(folder):
                return
            part.mkdir(exist_ok=True)
            with _opened(mat) as file:
                for name, image in _images(file, boxes):
                    if not (part / name).exists():
                        _write(part / name, image())
            part.rename(folder)
    except OSError as fault:
        raise _unwritable(folder, fault) from fault


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    temporary = path.with_name("unfinished")
    try:
        Image.fromarray(pixels).save(temporary, "PNG")
        temporary.replace(path)
    except OSError as fault:  # or a full disk would be blamed on the file read
        raise _unwritable(path.parent, fault) from fault


def _unwritable(folder: Path, fault: OSError) -> ReIDDataError:
    return ReIDDataError(
        f"{folder} cannot be written ({fault}); the images of cuhk-03.mat go there, so "
        "make room for them, or copy the file to where you may write."
    )


def _images(file: Any, boxes: str) -> Iterator[tuple[str, Any]]:
    """Names of all images, and a function that reads each; empty cells are left out."""
    found = False
    for pair, of_pair in enumerate(_cells(file, boxes), start=1):
        grid = file[of_pair][()]  # (10, M) references
        if grid.ndim != 2 or grid.shape[0] != 2 * VIEW or grid.shape[1] > 999:
            raise ValueError(f"pair {pair} of {boxes} is {grid.shape}, not 10 × M")
        bar = tqdm(grid.T, f"{boxes} images of pair {pair}", leave=False)
        for person, row in enumerate(bar, start=1):
            for number, reference in enumerate(row, start=1):
                cell = file[reference]
                if cell.ndim < 3:  # MATLAB's empty array is stored as its size
                    continue
                view = 1 + (number > VIEW)
                name = f"{pair}_{person:03d}_{view}_{number:02d}.png"
                if cell.dtype != np.uint8 or cell.ndim != 3 or cell.shape[0] != 3:
                    raise ValueError(f"image {name} is {cell.dtype} {cell.shape}")
                found = True
                yield name, partial(_pixels, cell)
    if not found:
        raise ValueError(f"{boxes} holds no image")


def _pixels(cell: Any) -> NDArray[np.uint8]:
    """(H, W, 3) of one cell."""
    return np.ascontiguousarray(cell[()].transpose(2, 1, 0))


def _cells(file: Any, name: str) -> NDArray[Any]:
    """References of a MATLAB cell array, as a vector."""
    return file[name][()].ravel()


def read_testsets(mat: Path) -> list[list[list[int]]]:
    """The 20 test sets: [pair, identity in the pair], both from 1, of 100 people each.

    Errors as in `extract`.
    """
    with _opened(mat) as file:
        sets = [file[cell][()].T.astype(np.int64) for cell in _cells(file, "testsets")]
        if len(sets) != TRIALS or any(s.ndim != 2 or s.shape[1] != 2 for s in sets):
            raise ValueError(f"testsets holds {len(sets)} sets, not {TRIALS} of pairs")
    return [one.tolist() for one in sets]
