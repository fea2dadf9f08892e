"""Chores of recorded results: look them over, stamp old ones, write their cards.

    python -m book.records check             every file of book/results, by its schema
    python -m book.records stamp FILE ...    bring files of schema 1 to schema 2
    python -m book.records cards             a model card and a data card for each run,
                                             and the table on README and first page

A stamp changes no number: it adds the day of the commit that recorded the file where a
manifest does not say it, the schema, and the digest.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from book.glance import first_pages
from reidlib.errors import ReIDDataError, ReIDError
from reidlib.records import (
    SCHEMA,
    manifests_of,
    read_record,
    read_records,
    write_record,
)

RESULTS = Path(__file__).resolve().parent / "results"
CARDS = RESULTS / "cards"


def committed(path: Path) -> str:
    """The day on which the content of a file was committed, 2021-05-03.

    Raises:
        ReIDDataError: it is in no repository, or was never committed.
    """
    command = ["git", "log", "-1", "--format=%cs", "--", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    if done.returncode or not done.stdout.strip():
        raise ReIDDataError(
            f"{path.name} is in no commit, so its day is not known; record it again."
        )
    return done.stdout.strip()


def stamp(path: Path) -> bool:
    """Bring a file of schema 1 to the present one; False if it is of that already.

    Raises:
        ReIDDataError: as `committed`, or what is stamped is not a record.
    """
    found = json.loads(path.read_text("utf-8"))
    if "schema" in found:
        read_record(path)  # says what is wrong with it
        return False
    for manifest in manifests_of(found).values():
        if manifest and "date" not in manifest:
            manifest["date"] = committed(path)
    before = path.read_bytes()
    write_record(path, found)
    try:
        read_record(path)
    except ReIDDataError:
        path.write_bytes(before)
        raise
    return True


def cards(folder: Path = RESULTS, target: Path = CARDS) -> dict[Path, str]:
    """The pages about records and recorded runs: where each belongs, and its text."""
    from book.cards import all_records, data_card, model_card

    found = read_records(folder)
    pages = {target / "records.md": all_records(found)}
    for name, record in found.items():
        if "/" in name:
            stem = name.replace("/", "-")
            systems = found.get(f"{name.split('/')[0]}-systems")
            if systems and systems["manifest"]["profile"] != name.split("/")[1]:
                systems = None
            pages[target / f"{stem}-model.md"] = model_card(name, record, systems)
            pages[target / f"{stem}-data.md"] = data_card(name, record)
    return pages


def main(arguments: list[str] | None = None) -> int:
    """Command line; prints what is wrong, one sentence a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    commands.add_parser("stamp").add_argument("files", nargs="+", type=Path)
    commands.add_parser("cards")
    given = parser.parse_args(arguments)
    try:
        if given.command == "stamp":
            for path in given.files:
                done = "stamped" if stamp(path.resolve()) else f"has schema {SCHEMA}"
                print(path.name, done)
        elif given.command == "check":
            print(len(read_records(RESULTS)), "records, all as they should be")
        else:
            pages = cards()
            CARDS.mkdir(exist_ok=True)
            for old in set(CARDS.glob("*.md")) - pages.keys():
                old.unlink()
            for path, text in (pages | first_pages(read_records(RESULTS))).items():
                path.write_text(text, encoding="utf-8")
                print(path.name)
    except ReIDError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
