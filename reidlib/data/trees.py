"""Names of folders and files, on disk or in a zip."""

import os
import zlib
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile


class Tree:
    """Names of folders and files below a place on disk."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def look(self, at: str = "") -> tuple[list[str], list[str]]:
        """Names of the folders and of the files directly in one folder, sorted."""
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(self.place / at) as entries:
                for entry in entries:
                    if not entry.name.startswith((".", "__MACOSX")):
                        (folders if entry.is_dir() else files).append(entry.name)
        except PermissionError:
            return [], []
        return sorted(folders), sorted(files)

    def head(self, path: str) -> str:
        """The first line of a text file."""
        with suppress(OSError), (self.place / path).open("rb") as file:
            return file.readline(4096).decode("utf-8-sig", errors="replace")
        return ""


class ZipTree(Tree):
    """The same of a zip's list of names; nothing is unpacked.

    Raises:
        BadZipFile: the file is no zip, or not whole.
        OSError: it cannot be read.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.inside: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}
        with ZipFile(place) as archive:
            self.names = [n for n in archive.namelist() if "__MACOSX" not in n]
        for name in self.names:
            at = ""
            *folders, file = name.split("/")
            for folder in folders:
                self.inside[at][0].add(folder)
                at = join(at, folder)
                self.inside.setdefault(at, (set(), set()))
            if file:
                self.inside[at][1].add(file)

    def look(self, at: str = "") -> tuple[list[str], list[str]]:
        """As on disk."""
        folders, files = self.inside.get(at, (set(), set()))
        return sorted(folders), sorted(files)

    def head(self, path: str) -> str:
        """As on disk."""
        # A damaged or an encrypted entry; the rest of the zip may say what it is.
        with (
            suppress(OSError, BadZipFile, RuntimeError, zlib.error),
            ZipFile(self.place) as archive,
            archive.open(path) as file,
        ):
            return file.readline(4096).decode("utf-8-sig", errors="replace")
        return ""


def join(at: str, name: str) -> str:
    """A path below the place, which is "" itself."""
    return f"{at}/{name}" if at else name
