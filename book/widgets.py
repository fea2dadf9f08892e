"""The book's two interactive pieces, computed beforehand: scripts only look things up.

    python book/widgets.py explorer     the marks of a toy search, for all conventions
    python book/widgets.py playground   people redrawn by the weights that ship

Each writes a fragment of HTML into book/widgets, which shows a still where scripts are
off; book/_static/widgets.js wakes it up.
"""

import argparse
import json
import sys
from dataclasses import replace
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from reidlib.data.synthetic import Shot, World
from reidlib.models import PoseInvariantExtractor
from reidlib.pose import SKELETONS, torso_valid
from reidlib.profiles import SHIPPED
from reidlib.retrieval import Ranking, evaluate_distances
from reidlib.shipped import shipped, shipped_digest
from reidlib.training import to_float, to_uint8

BOOK = Path(__file__).resolve().parent
FRAGMENTS = BOOK / "widgets"
SPRITE = BOOK / "_static" / "playground.jpg"

# A toy search: (pid, camera) of queries and gallery, and scores in hundredths.
QUERIES = {"A": (1, 1), "B": (2, 1), "C": (3, 2)}
GALLERY = [
    *[(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)],
    *[(3, 2), (-1, 2), (-1, 3), (0, 3), (4, 1)],
]
SCORES = {
    "A": [95, 80, 60, 50, 40, 30, 90, 20, 80, 70],
    "B": [45, 75, 30, 88, 75, 25, 20, 85, 60, 92],
    "C": [55, 40, 35, 30, 25, 91, 82, 45, 70, 65],
}
# Option of `evaluate_distances` -> its question, and the choices with their labels.
CHOICES: dict[str, tuple[str, dict[str, str]]] = {
    "same_camera": (
        "The query's own camera",
        {
            "drop": "leave out the same person",
            "keep": "keep everything",
            "drop-all": "leave out everybody",
        },
    ),
    "junk_pids": ("Junk", {"out": "leave out", "in": "keep"}),
    "ties": (
        "Ties",
        {"worst": "pessimistic", "best": "optimistic", "expected": "expected"},
    ),
    "ap": ("Average precision", {"step": "step", "trapezoid": "trapezoid"}),
    "cmc": (
        "CMC",
        {
            "first-match": "first match",
            "single-gallery-shot": "single shot",
            "all-shots": "all shots",
        },
    ),
    "orphans": ("Queries without a match", {"skip": "skip", "zero": "count as 0"}),
}
LISTED = ("same_camera", "junk_pids", "ties")  # the choices that order the lists
MEANS = ("rank-1", "rank-5", "mAP", "mINP")
WHO = {-1: "junk", 0: "a stranger"}

PEOPLE = range(1, 7)  # of the default world; the weights have seen another one
SIZE = SHIPPED.size
ENLARGED = 2  # the sprite's pixels for each of the generator's
BODIES = 240  # shots among which the nearest body to a pose is looked for


def options(chosen: dict[str, str]) -> dict[str, Any]:
    """What the library calls these choices."""
    return chosen | {"junk_pids": (-1,) if chosen["junk_pids"] == "out" else ()}


def toy() -> tuple[np.ndarray, ...]:
    """Distances (Q, G), and the pids and cameras of queries and gallery."""
    distances = 1 - np.array([*SCORES.values()]) / 100
    (query_pids, query_cams), (pids, cams) = (
        np.array([*rows]).T for rows in (QUERIES.values(), GALLERY)
    )
    return distances, query_pids, pids, query_cams, cams


def marks(chosen: dict[str, str]) -> list[list[float | None]]:
    """Rank-1 and AP of each query, None where it is skipped, and then the means."""
    result = evaluate_distances(*toy(), max_rank=5, **options(chosen))
    single = chosen["cmc"] == "single-gallery-shot"
    precision = "mAP_single" if single else "mAP"
    each = np.stack([result.per_query("rank1"), result.per_query(precision)], axis=1)
    average = result.mAP_single if single else result.mAP
    means = [result.rank(1), result.rank(5), average, result.mINP]
    return [
        [None if np.isnan(value) else round(float(value), 4) for value in row]
        for row in [*each, means]
    ]


def ranked(chosen: dict[str, str]) -> list[list[list[Any]]]:
    """For each query its list: row of the gallery, and what it counts as."""
    rules = {k: v for k, v in options(chosen).items() if k in LISTED}
    distances, *ids = toy()
    ranking = Ranking.from_distances(distances, *ids, **rules)
    lists = []
    for row in range(len(QUERIES)):
        index, valid = ranking.indices[row], ranking.valid[row]
        match = ranking.relevant[row]
        if chosen["ties"] == "best":
            order = np.lexsort((~match, ranking.distances[row]))
            index, valid, match = index[order], valid[order], match[order]
        lists.append(
            [
                [int(i), "match" if m else "wrong" if v else "out"]
                for i, v, m in zip(index, valid, match, strict=True)
            ]
        )
    return lists


def answers() -> dict[str, Any]:
    """Everything that the explorer looks up; keys are choices joined by a blank."""

    def every(names: tuple[str, ...]) -> list[dict[str, str]]:
        sets = product(*(CHOICES[name][1] for name in names))
        return [dict(zip(names, values, strict=True)) for values in sets]

    return {
        "choices": [*CHOICES],
        "listed": LISTED,
        "gallery": [[WHO.get(pid, f"person {pid}"), cam] for pid, cam in GALLERY],
        "scores": [[f"{s / 100:.2f}" for s in row] for row in SCORES.values()],
        "marks": {" ".join(c.values()): marks(c) for c in every(tuple(CHOICES))},
        "lists": {" ".join(c.values()): ranked(c) for c in every(LISTED)},
    }


def radios(group: str, legend: str, labels: dict[str, str]) -> str:
    """A group of radio buttons, the first one chosen; labels are HTML."""
    buttons = [
        f'<label><input type="radio" name="{group}" value="{value}"'
        f"{' checked' if k == 0 else ''}> {label}</label>"
        for k, (value, label) in enumerate(labels.items())
    ]
    return (
        f"<fieldset><legend>{legend}</legend>\n" + "\n".join(buttons) + "\n</fieldset>"
    )


def table(caption: str, head: list[str], rows: list[list[str]], kind: str) -> str:
    """A table whose first column names the row."""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<table class="{kind}"><caption>{caption}</caption>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def shown(value: float | None) -> str:
    """Three decimals, or a word for a query that is skipped."""
    return "skipped" if value is None else f"{value:.3f}"


def list_rows(facts: dict[str, Any], key: str, query: int) -> list[list[str]]:
    """What a reader sees of one ranked list: place, who, camera, score, verdict."""
    rows, place = [], 0
    for index, verdict in facts["lists"][key][query]:
        place += verdict != "out"
        who, camera = facts["gallery"][index]
        words = "left out" if verdict == "out" else verdict
        number = "–" if verdict == "out" else str(place)
        rows.append([number, who, str(camera), facts["scores"][query][index], words])
    return rows


def explorer() -> str:
    """The fragment of the convention explorer."""
    facts = answers()
    start = {name: next(iter(labels)) for name, (_, labels) in CHOICES.items()}
    found = facts["marks"][" ".join(start.values())]
    listed = " ".join(start[name] for name in LISTED)
    parts = [radios(name, *question) for name, question in CHOICES.items()]
    lists = []
    for k, (name, (pid, camera)) in enumerate(QUERIES.items()):
        caption = f"Query {name}: person {pid}, camera {camera}"
        head = ["rank", "who", "camera", "score", "counts as"]
        lists.append(table(caption, head, list_rows(facts, listed, k), "ranked"))
    each = [[f"query {n}", *map(shown, found[k])] for k, n in enumerate(QUERIES)]
    means = [["mean", *map(shown, found[-1])]]
    data = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")
    return "\n".join(
        [
            '<div class="widget" id="explorer">',
            '<form class="needs-script" hidden>',
            *parts,
            "</form>",
            '<div role="status">',
            table("All queries", ["of", *MEANS], means, "means"),
            "</div>",
            table("Each query", ["query", "rank-1", "AP"], each, "each"),
            '<div class="lists">',
            *lists,
            "</div>",
            f'<script type="application/json">{data}</script>',
            "</div>\n",
        ]
    )


def skeleton(pose: np.ndarray) -> str:
    """A pose (25, 2) in [0, 1] as a drawing; the right side is dashed."""
    kind, lines = SKELETONS["body25"], []
    for limb, side in zip(kind.limbs, kind.sides, strict=True):
        ends = pose[list(limb)] * (50, 100)
        if np.isfinite(ends).all():
            (x1, y1), (x2, y2) = ends.round(1).tolist()
            place = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
            lines.append(f'<line class="side{side}" {place}/>')
    return f'<svg viewBox="0 0 50 100" aria-hidden="true">{"".join(lines)}</svg>'


def bodies(world: World, poses: np.ndarray) -> list[Shot]:
    """Of some shots of the world, those whose joints lie nearest to K poses."""
    each = 5
    shots = [world.shot(1 + k // each, k % each) for k in range(BODIES)]
    size = (32, 16)
    points = world.take(shots, size, nuisance=False).keypoints[..., :2].numpy()
    points = points / (size[1], size[0])
    usable = np.flatnonzero(torso_valid(points))
    gaps = ((points[usable][None] - poses[:, None]) ** 2).sum(-1)  # (K, N, 25)
    return [shots[usable[i]] for i in np.nanmean(gaps, axis=-1).argmin(axis=1)]


@torch.no_grad()
def person_row(
    phi: PoseInvariantExtractor, world: World, pid: int, lent: list[Shot]
) -> torch.Tensor:
    """(1 + 2 K, 3, H, W) uint8: a person's first picture, K drawings, K truths."""
    source = world.shot(pid, 0)
    image = world.render([source], SIZE)[0]
    drawn = to_uint8(phi.generate(to_float(image))[0])
    posed = [replace(source, pose=other.pose) for other in lent]
    return torch.cat([image, drawn, world.render(posed, SIZE, nuisance=False)[0]])


def tiled(rows: list[torch.Tensor]) -> Image.Image:
    """Rows of pictures as one, each enlarged by itself so that none bleeds."""
    height, width = SIZE[0] * ENLARGED, SIZE[1] * ENLARGED
    sheet = Image.new("RGB", (width * len(rows[0]), height * len(rows)))
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            tile = Image.fromarray(image.permute(1, 2, 0).numpy())
            tile = tile.resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(tile, (x * width, y * height))
    return sheet


def sprite() -> Image.Image:
    """Everybody in everything that the playground shows."""
    phi, world = shipped(), World(0)
    lent = bodies(world, phi.poses.numpy())
    return tiled([person_row(phi, world, pid, lent) for pid in PEOPLE])


def playground() -> str:
    """The fragment of the pose playground."""
    poses = shipped().poses.numpy()
    count = len(poses)
    people = {
        str(k): f'<span class="tile" data-row="{k}" data-column="0"></span>'
        f"Person {k + 1}"
        for k in range(len(PEOPLE))
    }
    asked = {str(k): f"{skeleton(p)}Pose {k + 1}" for k, p in enumerate(poses)}
    panels = [
        f'<figure><div class="tile large" role="img" aria-label="{name}" '
        f'data-panel="{panel}"></div><figcaption>{name}</figcaption></figure>'
        for panel, name in [
            ("source", "Input"),
            ("drawn", "Generated"),
            ("true", "Truth"),
        ]
    ]
    words = (
        f"{len(PEOPLE)} rendered people, one a row: the input, the person generated in "
        f"{count} poses, and the true pictures in these poses."
    )
    return "\n".join(
        [
            f'<div class="widget" id="playground" data-poses="{count}" '
            f'data-people="{len(PEOPLE)}" data-weights="{shipped_digest()}">',
            '<form class="needs-script" hidden>',
            radios("person", "Person", people),
            radios("pose", "Pose", asked),
            f'<div class="panels">{"".join(panels)}</div>',
            '<p class="says" role="status"></p>',
            "</form>",
            f'<figure><img src="_static/{SPRITE.name}" alt="{escape(words)}">',
            f"<figcaption>{escape(words)}</figcaption></figure>",
            "</div>\n",
        ]
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", choices=["explorer", "playground"])
    which = parser.parse_args().which
    FRAGMENTS.mkdir(exist_ok=True)
    text = explorer() if which == "explorer" else playground()
    (FRAGMENTS / f"{which}.html").write_text(text, encoding="utf-8")
    if which == "playground":
        sprite().save(SPRITE, quality=88)
    return 0


if __name__ == "__main__":
    sys.exit(main())
