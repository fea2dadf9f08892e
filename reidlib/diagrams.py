"""Networks as drawings: boxes with shapes, and arrows between them."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from reidlib import plots
from reidlib.errors import ReIDConfigError

Box = tuple[float, float, Sequence[int]]  # column, row, shape
WIDE, HIGH = 0.78, 0.6  # of a box, in columns and rows


def flow(
    boxes: Mapping[str, Box],
    arrows: Sequence[tuple[str, str] | tuple[str, str, str]],
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Boxes on a grid, each with its name and its shape, joined by arrows.

    Args:
        boxes: name → (column, row, shape); row 0 is the uppermost, an empty shape is
            not written.
        arrows: (from, to), or (from, to, label).
        colours: name → colour of the box's edge; grey where none is given.

    Raises:
        ReIDConfigError: an arrow names a box that is not there.
    """
    for start, end, *_ in arrows:
        for name in {start, end} - boxes.keys():
            raise ReIDConfigError(
                f"an arrow touches '{name}', which is no box; "
                f"choose from {', '.join(boxes)}."
            )
    across = max(column for column, _, _ in boxes.values()) + 1
    down = max(row for _, row, _ in boxes.values()) + 1
    figure, ax = plt.subplots(figsize=(plots.WIDTH, 0.75 * down))
    plots.bare(ax)
    ax.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5, -0.5))
    for name, (column, row, shape) in boxes.items():
        edge = (colours or {}).get(name, plots.GREY)
        corner = (column - WIDE / 2, row - HIGH / 2)
        ax.add_patch(
            plt.Rectangle(corner, WIDE, HIGH, facecolor="white", edgecolor=edge, lw=2)
        )
        size = "×".join(map(str, shape))
        text = f"{name}\n{size}" if size else name
        ax.text(column, row, text, ha="center", va="center", fontsize=8)
    for start, end, *label in arrows:
        _arrow(ax, boxes[start], boxes[end], "".join(label))
    return figure


def _arrow(ax: plt.Axes, start: Box, end: Box, label: str) -> None:
    """From edge to edge; sideways where the columns differ, else up or down."""
    (x0, y0, _), (x1, y1, _) = start, end
    if x0 != x1:
        side = WIDE / 2 if x1 > x0 else -WIDE / 2
        x0, x1 = x0 + side, x1 - side
    else:
        side = HIGH / 2 if y1 > y0 else -HIGH / 2
        y0, y1 = y0 + side, y1 - side
    style = {"arrowstyle": "-|>", "color": "black", "lw": 1, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    if label:
        place = ((x0 + x1) / 2 + 0.04, (y0 + y1) / 2)
        ax.text(*place, label, fontsize=8, va="center")
