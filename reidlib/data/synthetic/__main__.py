"""`python -m reidlib.data.synthetic OUT --ids N --seed S`: write a data set."""

import argparse
import sys

from reidlib.errors import ReIDError

from .write import write_world


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the world; 0 when it was written."""
    parser = argparse.ArgumentParser(
        prog="python -m reidlib.data.synthetic",
        description="Render synthetic pedestrians into Market-1501's folder layout.",
    )
    parser.add_argument("out", metavar="OUT", help="new folder to write")
    parser.add_argument("--ids", type=int, required=True, help="number of identities")
    parser.add_argument("--seed", type=int, default=0, help="of the world (default 0)")
    parser.add_argument(
        "--images-per-id", type=float, default=17, help="mean (default 17, least 4)"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, default=(128, 64), metavar=("H", "W")
    )
    options = parser.parse_args(arguments)
    try:
        write_world(
            options.out,
            ids=options.ids,
            seed=options.seed,
            images_per_id=options.images_per_id,
            size=tuple(options.size),
        )
    except ReIDError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
