"""`python -m reidlib.data.synthetic OUT --preset market`: write a data set."""

import argparse
import sys
from typing import Any

from reidlib.errors import ReIDError

from .plan import PRESETS
from .write import write_world


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the world; 0 when it was written."""
    parser = argparse.ArgumentParser(
        prog="python -m reidlib.data.synthetic",
        description="Render synthetic pedestrians into Market-1501's folder layout.",
    )
    parser.add_argument("out", metavar="OUT", help="new folder to write")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ids", type=int, help="number of identities")
    what.add_argument("--preset", choices=PRESETS, help="a size with a name")
    parser.add_argument("--seed", type=int, default=0, help="of the world (default 0)")
    parser.add_argument(
        "--images-per-id", type=float, help="mean (default 17, least 2)"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, default=(128, 64), metavar=("H", "W")
    )
    parser.add_argument("--cameras", type=int, help="how many (default 6)")
    parser.add_argument("--lookalikes", type=float, help="share (default 0.15)")
    parser.add_argument("--occluders", type=float, help="share (default 0.12)")
    parser.add_argument("--plain", action="store_true", help="no patterns or prints")
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    parser.add_argument("--device", help="where rays are cast (default cpu)")
    given = vars(parser.parse_args(arguments))
    out, preset, plain = (given.pop(name) for name in ("out", "preset", "plain"))
    settings: dict[str, Any] = dict(PRESETS[preset]) if preset else {}
    settings |= {name: value for name, value in given.items() if value is not None}
    settings["size"] = tuple(settings["size"])
    if plain:
        settings["plain"] = True
    try:
        write_world(out, **settings)
    except ReIDError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
