"""Every figure of the book in one style: one palette, one size, captions outside."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from reidlib.pose import SKELETONS
from reidlib.retrieval import Interval, Ranking

WIDTH = 7.0  # inches, the width of a page of the book
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = sns.color_palette("colorblind", 8).as_hex()[
    :5
] + ["#888888"]
PALETTE = [BLUE, ORANGE, GREEN, RED, PURPLE, GREY]
RIGHT, WRONG, JUNK = GREEN, RED, GREY
SIDES = {"R": ORANGE, "L": BLUE, "": GREY}  # of a skeleton's limbs


def style(*, photographs: bool = False) -> None:
    """Set the book's look; every chapter calls it once.

    Args:
        photographs: notebooks keep figures as JPEG, for chapters of many pictures:
            a PNG of them is three times as large.
    """
    if photographs and "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 60})
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE)
    plt.rcParams.update(
        {
            "figure.dpi": 80,
            "savefig.dpi": 80,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "figure.constrained_layout.use": True,
        }
    )


def picture_grid(
    images: Tensor | Sequence[Tensor | NDArray[np.floating] | None],
    *,
    columns: int = 10,
    titles: Sequence[str] = (),
    rows: Sequence[str] = (),
    frames: Sequence[str | None] = (),
    notes: Sequence[str] = (),
    height: float = 1.15,
) -> Figure:
    """Pictures side by side.

    Args:
        images: N of (3, H, W) uint8; a (25, 2) array in [0, 1] is drawn as a
            skeleton, None leaves its place empty.
        titles: above each picture.
        rows: a name at the left of each row.
        frames: a colour around each picture, None for none.
        notes: below each picture.
        height: of a row in inches.
    """
    count = len(images)
    columns = min(columns, count)
    lines = -(-count // columns)
    size = (
        min(WIDTH, columns * height * 0.62 + (0.9 if rows else 0.0)),
        lines * height,
    )
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for k, ax in enumerate(axes.flat):
        bare(ax)
        image = images[k] if k < count else None
        if isinstance(image, Tensor):
            ax.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
        elif image is not None:
            _frame_pose(ax, image)
        else:
            ax.set(facecolor="none", box_aspect=2, visible=k < count)
        if k < len(titles):
            ax.set_title(titles[k], fontsize=8, pad=2)
        if k < len(notes):
            ax.set_xlabel(notes[k], fontsize=8, labelpad=2)
        if k < len(frames) and frames[k]:
            for spine in ax.spines.values():
                spine.set(visible=True, color=frames[k], linewidth=3)
    for line, name in zip(axes[:, 0], rows, strict=False):
        line.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    return figure


def bare(ax: Axes) -> None:
    """No ticks, no grid, no frame."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _limbs(
    pose: NDArray[np.floating], skeleton: str
) -> Iterator[tuple[NDArray[np.floating], str]]:
    """The two ends (2, 2) and the colour of each limb whose ends are not missing."""
    kind = SKELETONS[skeleton]
    for limb, side in zip(kind.limbs, kind.sides, strict=True):
        if np.isfinite(pose[list(limb), :2]).all():
            yield pose[list(limb), :2], SIDES[side]


def draw_pose(ax: Axes, pose: NDArray[np.floating], skeleton: str = "body25") -> None:
    """A skeleton: the person's right side orange, left blue, middle grey.

    Args:
        pose: (J, 2) or (J, 3), in the axes' units; NaN joints are left out.
        skeleton: key of `SKELETONS`.
    """
    for ends, colour in _limbs(pose, skeleton):
        ax.plot(*ends.T, color=colour, lw=1.8)
    ax.plot(*pose[:, :2].T, ".", color="black", ms=2.5)


def paint_pose(
    image: NDArray[np.uint8], pose: NDArray[np.floating], skeleton: str = "body25"
) -> NDArray[np.uint8]:
    """A copy of an image with a skeleton painted over it, coloured as in `draw_pose`.

    Args:
        image: (H, W, 3).
        pose: (J, 2) or (J, 3) in pixels, 0 at the left and upper edge; NaN joints are
            left out.
        skeleton: key of `SKELETONS`.
    """
    picture = Image.fromarray(image)
    brush = ImageDraw.Draw(picture)
    width = max(1, len(image) // 64)
    for ends, colour in _limbs(pose, skeleton):
        # Pillow counts from the middle of a pixel.
        brush.line((ends - 0.5).ravel().tolist(), fill=colour, width=width)
    for x, y in pose[np.isfinite(pose[:, :2]).all(axis=1), :2] - 0.5:
        brush.circle((float(x), float(y)), width / 2, fill="black")
    return np.asarray(picture)


def _frame_pose(ax: Axes, pose: NDArray[np.floating]) -> None:
    """One skeleton in the unit frame of a 2:1 picture."""
    draw_pose(ax, pose)
    ax.set(xlim=(0, 1), ylim=(1, 0), box_aspect=2, facecolor="#f2f2f2")


def pose_grid(
    poses: NDArray[np.floating],
    *,
    columns: int = 8,
    titles: Sequence[str] = (),
    height: float = 1.4,
) -> Figure:
    """Skeletons side by side in the unit frame of a 2:1 picture; (K, 25, 2)."""
    columns = min(columns, len(poses))
    lines = -(-len(poses) // columns)
    size = (min(WIDTH, columns * height * 0.62), lines * height)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for k, ax in enumerate(axes.flat):
        bare(ax)
        if k >= len(poses):
            ax.set_visible(False)
            continue
        _frame_pose(ax, poses[k])
        if k < len(titles):
            ax.set_title(titles[k], fontsize=8, pad=2)
    return figure


def curves(history: pd.DataFrame, columns: Sequence[Sequence[str]]) -> Figure:
    """Training curves, one panel for each group of columns; their names above."""
    figure, axes = plt.subplots(
        1,
        len(columns),
        figsize=(WIDTH, 2.4),
        squeeze=False,
        sharex=True,
        layout="none",  # "constrained" parts panels whose legend is wider than they
        gridspec_kw={"left": 0.07, "right": 0.99, "wspace": 0.27},
    )
    for ax, names in zip(axes[0], columns, strict=True):
        for name in names:
            ax.plot(history["step"], history[name], label=name)
        ax.set_xlabel("step")
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(names),
            fontsize=8,
            borderpad=0,
            borderaxespad=0.3,
            columnspacing=0.8,
            handlelength=1,
            handletextpad=0.4,
            frameon=False,
        )
    return figure


def interval_bars(values: Mapping[str, Interval], label: str) -> Figure:
    """A horizontal bar for each system, with its confidence interval."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.5 + 0.36 * len(values)))
    names = list(values)[::-1]
    mean = np.array([values[n].value for n in names])
    low = mean - np.array([values[n].low for n in names])
    high = np.array([values[n].high for n in names]) - mean
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(names))][::-1]
    ax.barh(names, mean, xerr=(low, high), color=colours, capsize=3, height=0.65)
    ax.set(xlabel=label, xlim=(0, min(1.0, float((mean + high).max()) * 1.1)))
    ax.grid(visible=False, axis="y")
    return figure


def gains(values: Mapping[str, Interval], label: str) -> Figure:
    """Differences with their intervals, and a line where there is none.

    Filled where the interval lies on one side of zero.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 0.5 + 0.24 * len(values)))
    for place, found in enumerate([*values.values()][::-1]):
        told = found.low > 0 or found.high < 0
        colour = GREY if not told else (BLUE if found.low > 0 else ORANGE)
        ax.plot([found.low, found.high], [place] * 2, color=colour, lw=1.5)
        face = colour if told else "white"
        ax.plot(found.value, place, "o", ms=5, color=colour, mfc=face)
    ax.axvline(0, color=GREY, lw=1)
    ax.set(xlabel=label, yticks=range(len(values)), yticklabels=[*values][::-1])
    ax.set_ylim(-0.6, len(values) - 0.4)
    ax.locator_params(axis="x", nbins=6)
    ax.grid(visible=False, axis="y")
    return figure


def interval_lines(
    series: Mapping[str, Mapping[Any, Interval]],
    label: str,
    *,
    xlabel: str = "number of poses K",
    reference: Interval | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Values with intervals against a number, one line for each series.

    Args:
        series: name → number → value; the series stand a little apart.
        label, xlabel: of the axes.
        reference: a value that does not depend on the number, drawn as a band.
        ax: where to draw; None: a new figure.
    """
    ax = plt.subplots(figsize=(WIDTH, 2.8))[1] if ax is None else ax
    ticks = sorted({n for values in series.values() for n in values})
    for place, (name, values) in enumerate(series.items()):
        x = [ticks.index(n) + 0.1 * (place - (len(series) - 1) / 2) for n in values]
        y = np.array([v.value for v in values.values()])
        low = y - np.array([v.low for v in values.values()])
        high = np.array([v.high for v in values.values()]) - y
        ax.errorbar(x, y, yerr=(low, high), fmt="o-", lw=1, ms=4, capsize=2, label=name)
    if reference is not None:
        ax.axhspan(reference.low, reference.high, color=GREY, alpha=0.15)
        ax.axhline(reference.value, color=GREY, lw=1, label="R2")
    ax.set(xlabel=xlabel, ylabel=label, xticks=range(len(ticks)))
    ax.set_xticklabels([f"{n:g}" for n in ticks])
    return ax


def trade_off(rows: Sequence[Mapping[str, Any]], metric: str = "mAP") -> Figure:
    """Accuracy of systems against milliseconds a picture; the area tells memory.

    Args:
        rows: of a record of `book/systems.py`: "system", "group" ("re-ranked" is drawn
            as an open diamond), "ms", "memory_mb", the metric and its "interval".
        metric: "mAP" or "rank1".
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 4.0))
    names = list(dict.fromkeys(row["system"] for row in rows))
    middle = np.exp(np.mean([np.log(row["ms"]) for row in rows]))
    for row in rows:
        again = row["group"] == "re-ranked"
        colour = PALETTE[names.index(row["system"]) % len(PALETTE)]
        ms = row["ms"] + row.get("re-ranking ms", 0)
        low, high = row["interval"][metric]
        ax.plot([ms, ms], [low, high], color=colour, lw=1, alpha=0.6)
        area = 12 + (row["memory_mb"] or 0) / 3
        face, marker = ("white", "D") if again else (colour, "o")
        ax.scatter(ms, row[metric], area, face, marker=marker, ec=colour, zorder=3)
    low, high = ax.get_ylim()
    last = dict.fromkeys(("left", "right"), low)
    for row in sorted(rows, key=lambda row: row[metric]):
        if row["group"] == "re-ranked":
            continue
        side = "right" if row["ms"] > middle else "left"
        x = row["ms"] / 1.12 if side == "right" else row["ms"] * 1.12
        last[side] = y = max(row[metric], last[side] + 0.04 * (high - low))
        ax.text(x, y, row["system"], ha=side, va="center", fontsize=8, zorder=4)
    ax.set(xscale="log", xlabel="milliseconds a picture", ylabel=metric)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(x=0.18)
    return figure


def rank_list(
    ranking: Ranking | Mapping[str, Ranking],
    queries: Sequence[int],
    query_images: Tensor,
    gallery_images: Tensor,
    k: int = 9,
    *,
    junk: NDArray[np.bool_] | None = None,
    apart: Callable[[int, int], float] | None = None,
    height: float = 1.35,
) -> Figure:
    """Queries and what was found for them: green is right, red is wrong.

    Junk is not shown, just as it is not counted, unless it is asked for.

    Args:
        ranking: the object that was scored; several by name: a line for each.
        queries: row numbers.
        query_images, gallery_images: (N, 3, H, W) uint8, in the tables' order.
        k: pictures in a line.
        junk: (G,) True for the gallery's junk. What does not count is then shown where
            it was ranked, in a grey frame, as "junk" or as of the query's camera.
        apart: query, gallery row → how far their poses are apart, written below.
        height: of a line in inches.
    """
    several = ranking if isinstance(ranking, Mapping) else {"": ranking}
    cells: list[tuple[Tensor | None, str, str | None, str]] = []
    for q in queries:
        for found in several.values():
            cells.append((query_images[q], "query", None, ""))
            top = found.top(q, k, junk=junk is not None)
            for rank, row, _, relevant in top.itertuples(index=False):
                title, frame = str(rank), RIGHT if relevant else WRONG
                if not rank and junk is not None:
                    title, frame = "junk" if junk[row] else "same cam.", JUNK
                gap = apart(q, row) if apart else np.nan
                note = "" if np.isnan(gap) else f"{gap:.1f}"
                cells.append((gallery_images[row], title, frame, note))
            cells += [(None, "", None, "")] * (k - len(top))
    pictures, titles, frames, notes = zip(*cells, strict=True)
    return picture_grid(
        pictures,
        columns=k + 1,
        titles=titles,
        rows=[*several] * len(queries) if len(several) > 1 else (),
        frames=frames,
        notes=notes if apart else (),
        height=height,
    )
