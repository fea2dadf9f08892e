"""One thing changed in a scene of the synthetic world, and the picture taken again.

A corruption of pixels guesses what a railing or a turned body would look like. Where
the world is rendered nothing is guessed: the same person, camera, light and noise are
rendered once more, with one field of the shot changed. So "one factor at a time" is
exact, and what stood in the picture before still stands there.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import radians
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reidlib.data import read_images
from reidlib.data.synthetic import Shot, World, open_world, true_shot
from reidlib.data.synthetic.world import PASSERS
from reidlib.data.synthetic.write import QUALITY
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.robustness.corruptions import (
    FACTORS,
    Factor,
    cast_gains,
    check_severity,
    draws,
)
from reidlib.runs import Run

Change = Callable[[Shot, float, np.random.Generator], Shot]
BESIDE = 0.6  # metres from the middle at which a person in front hides almost nothing


def railing(shot: Shot, metres: float, rng: np.random.Generator) -> Shot:
    """A railing of this height stands in front."""
    found = replace(shot.nuisance, rail=metres, rail_x=float(rng.random()))
    return replace(shot, nuisance=found)


def passer(shot: Shot, metres: float, rng: np.random.Generator) -> Shot:
    """Somebody walks in front, so far inwards from 0.6 m beside the middle."""
    found = replace(
        shot.nuisance,
        passer=PASSERS + int(rng.integers(10_000)),
        passer_x=float(rng.choice([-1.0, 1.0])) * (BESIDE - metres),
    )
    return replace(shot, nuisance=found)


def turned(shot: Shot, degrees: float, rng: np.random.Generator) -> Shot:
    """The person has turned by this angle, to either side."""
    turn = radians(degrees) * rng.choice([-1.0, 1.0])
    return replace(shot, pose=replace(shot.pose, yaw=shot.pose.yaw + float(turn)))


def bad_crop(shot: Shot, share: float, rng: np.random.Generator) -> Shot:
    """The detector's box is moved by this share of its width and of its height."""
    right, up = rng.choice([-1.0, 1.0], 2)
    dx = shot.crop.dx + right * share * 0.5  # in box heights; half as wide as high
    dy = shot.crop.dy + up * share
    return replace(shot, crop=replace(shot.crop, dx=float(dx), dy=float(dy)))


def far_away(shot: Shot, halvings: float, rng: np.random.Generator) -> Shot:
    """The box is 2^halvings times as high around the same middle."""
    crop, times = shot.crop, 2**halvings
    margin = (1 + crop.margin) * times - 1
    dy = (0.5 + crop.dy) / times - 0.5
    return replace(shot, crop=replace(crop, margin=margin, dx=crop.dx / times, dy=dy))


def darker(shot: Shot, stops: float, rng: np.random.Generator) -> Shot:
    """Each stop halves the light that reaches the sensor."""
    return _lit(shot, 2**-stops)


def brighter(shot: Shot, stops: float, rng: np.random.Generator) -> Shot:
    """Each stop doubles the light that reaches the sensor."""
    return _lit(shot, 2**stops)


def _lit(shot: Shot, gain: float) -> Shot:
    found = shot.nuisance
    return replace(shot, nuisance=replace(found, gain=found.gain * gain))


def cast(shot: Shot, stops: float, rng: np.random.Generator) -> Shot:
    """So many stops from red to blue, half of it each, in either direction."""
    gains = cast_gains(stops, int(rng.choice([-1, 1])))
    red, green, blue = (t * g for t, g in zip(shot.nuisance.tint, gains, strict=True))
    return replace(shot, nuisance=replace(shot.nuisance, tint=(red, green, blue)))


def _as_pictures(name: str, apply: Change) -> Factor[Change]:
    """As far as the corruption of pictures of this name goes."""
    alike = FACTORS[name]
    return Factor(apply, alike.unit, alike.severities, alike.most)


SCENES: dict[str, Factor[Change]] = {
    "railing": Factor(railing, "m high", (0.6, 1.0, 1.4), 2.5),
    "person in front": Factor(passer, "m inwards", (0.2, 0.4, 0.6), BESIDE),
    "turned": Factor(turned, "degrees", (45, 90, 180), 180),
    "bad crop": _as_pictures("bad crop", bad_crop),
    "far away": _as_pictures("far away", far_away),
    "darker": _as_pictures("darker", darker),
    "brighter": _as_pictures("brighter", brighter),
    "colour cast": _as_pictures("colour cast", cast),
}


def scene(
    run: Run,
    name: str,
    severity: float,
    seed: int = 0,
    *,
    rows: Sequence[int] | None = None,
) -> Tensor:
    """The queries taken again, with one thing changed.

    Args:
        run: of a rendered world.
        name: one of `SCENES`.
        severity: in the factor's unit; 0 gives the run's own pictures.
        seed: of what is drawn, for each query apart.
        rows: of the query table; None: all.

    Returns:
        (N, 3, H, W) uint8, as `run.images("query")[rows]` would be of such files.

    Raises:
        ReIDConfigError: an unknown factor, or a severity that it does not have.
        ReIDDataError: the data set is no rendered world.
    """
    if name not in SCENES:
        raise ReIDConfigError(
            f"There is no factor '{name}' of scenes; choose one of {', '.join(SCENES)}."
        )
    factor = SCENES[name]
    check_severity(name, factor, severity)
    chosen = list(range(len(run.data.query)) if rows is None else rows)
    if severity == 0:
        return run.images("query")[chosen]
    world, shots = scenes_of(run, chosen)
    changed = []
    for row, shot in zip(chosen, shots, strict=True):
        rng = np.random.default_rng(draws(name, seed, row).initial_seed())
        changed.append(factor.apply(shot, severity, rng))
    return taken(run, world, changed)


def _world(run: Run) -> World:
    if not run.rendered:
        raise ReIDDataError(
            f"{run.data.root} is no rendered world, so no scene of it can be taken "
            "again; use corruptions of pictures, or the synthetic data set."
        )
    return open_world(run.data.root)


def scenes_of(run: Run, rows: Sequence[int]) -> tuple[World, list[Shot]]:
    """The world, and the shots behind some queries.

    Raises:
        ReIDDataError: the data set is no rendered world.
    """
    world = _world(run)
    names = run.data.query["path"].iloc[list(rows)]
    return world, [true_shot(world, name) for name in names]


def taken(run: Run, world: World, shots: Sequence[Shot]) -> Tensor:
    """(N, 3, H, W) uint8 of shots, by way of files like those of the data set."""
    facts = json.loads((run.data.root / "world.json").read_text("utf-8"))
    pixels = world.render(shots, tuple(facts["size"]))[0]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{row:06d}.jpg" for row in range(len(shots))]
        for file, picture in zip(files, pixels.permute(0, 2, 3, 1), strict=True):
            Image.fromarray(picture.numpy()).save(file, "JPEG", quality=QUALITY)
        return read_images(files, run.profile.size)


def headings(run: Run, split: str) -> NDArray[np.float64]:
    """(N,) degrees in which people of "query" or "gallery" walk, as rendered.

    Raises:
        ReIDDataError: the data set is no rendered world.
    """
    world = _world(run)
    names = getattr(run.data, split)["path"]
    return np.degrees([true_shot(world, name).facing for name in names])
