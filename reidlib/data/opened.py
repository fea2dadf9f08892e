"""Opening every image of a data set, and remembering which could be read."""

import hashlib
import json
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image
from tqdm.auto import tqdm

from reidlib.data.reading import FAULTS, fault_text
from reidlib.pose.files import rgb

# Another Pillow may read what this one cannot.
_VERSION = f"3, Pillow {PIL.__version__}"
Entry = tuple[int, int, int, int, str]  # bytes, time of change, width, height, fault

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """What `open_images` found.

    Attributes:
        sizes: (width, height) in pixels of each image that could be read, by path.
        faults: why, for each image that could not, by path.
        remembered: how many of both were known from the last time.
    """

    sizes: dict[str, tuple[int, int]]
    faults: dict[str, str]
    remembered: int = 0

    @property
    def unusual(self) -> list[str]:
        """Images of another size, where 99 of 100 share one: a header may lie."""
        counts = Counter(self.sizes.values()).most_common(1)
        if not counts or counts[0][1] == len(self.sizes):
            return []
        usual, number = counts[0]
        if number < 0.99 * len(self.sizes):
            return []
        odd = [(path, size) for path, size in self.sizes.items() if size != usual]
        return [f"{path} ({width}×{height})" for path, (width, height) in odd]


def cache_folder() -> Path:
    """Where reidlib keeps what it can find out again, by the system's custom."""
    try:
        from platformdirs import user_cache_path
    except ImportError:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(home) / "reidlib"
    return user_cache_path("reidlib", appauthor=False)


def fault_of(path: Path) -> tuple[int, int, str]:
    """Width and height of an image file, and why it cannot be read; "" if it can.

    All pixels are decoded, and turned to RGB as `read_images` does.
    """
    try:
        return *rgb(path).size, ""
    except FAULTS as fault:
        return 0, 0, fault_text(fault, path)


def open_images(root: Path, paths: Iterable[str], *, remember: bool = True) -> Opened:
    """Decode image files; with a progress bar on the standard error stream.

    Args:
        root: folder that the paths are relative to.
        paths: image files; what is listed twice is opened once.
        remember: leave files out whose size and time of change are as they were the
            last time, and write down what was found, in `cache_folder`.

    Returns:
        Sizes and faults; nothing that is wrong with a file is raised.
    """
    listed = list(dict.fromkeys(paths))
    book = cache_folder() / "doctor" / f"{_digest(root)}.json"
    known = _read(book) if remember else {}
    entries: dict[str, Entry] = {}
    changed = []
    remembered = 0
    for path in listed:
        size, time = _stamp(root / path)
        before = known.get(path)
        if before and before[:2] == (size, time):
            entries[path] = before
            remembered += 1
        elif size == 0:
            entries[path] = (size, time, 0, 0, "0 bytes")
        else:
            changed.append((path, size, time))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            bar = tqdm(changed, "opening images", leave=False) if changed else ()
            for path, size, time in bar:
                entries[path] = (size, time, *fault_of(root / path))
    finally:  # what was opened before an interruption is not opened again
        if remember and changed:
            _write(book, {**known, **entries})
    return Opened(
        {path: entries[path][2:4] for path in listed if not entries[path][4]},
        {path: entries[path][4] for path in listed if entries[path][4]},
        remembered,
    )


def _digest(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1  # `fault_of` says what is wrong
    return found.st_size, found.st_mtime_ns


def _read(book: Path) -> dict[str, Entry]:
    """What was written down, or nothing where that cannot be used."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        content = json.loads(book.read_bytes())
        if content["version"] == _VERSION:
            rows = content["files"].items()
            return {path: (a, b, c, d, fault) for path, (a, b, c, d, fault) in rows}
    return {}


def _write(book: Path, entries: dict[str, Entry]) -> None:
    content = {"version": _VERSION, "files": entries}
    temporary = book.with_name(f"{book.name}.{os.getpid()}.tmp")
    try:
        book.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(book)
    except OSError as fault:
        logger.warning("what was opened is not remembered: %s", fault)
