"""What hangs on a body: skirts, packs, bags, and the bicycle under it."""

import numpy as np

from .body import Skeleton
from .clothes import Person
from .figure import Figure, Torso, material

_UP = np.array([0.0, 1.0, 0.0])


def add_skirts(figure: Figure, person: Person, body: Skeleton, torso: Torso) -> None:
    """Skirt, dress or coat tails: a flared cone, and cloth on each thigh."""
    p, h, g = body.points, person.height, torso.girth
    pelvis, paint = body.frames["pelvis"], torso.cloth
    if person.garment == "coat":
        length, flare = 0.17, 1.08
    elif person.garment == "dress":
        length, flare = 0.14 + 0.17 * person.lower_length, 1.2
    elif person.lower_type == "skirt":
        length, flare = 0.08 + 0.26 * person.lower_length, 1.15
        paint = material(person.lower, folds=0.12)
    else:
        return
    shared = torso.texture if paint is torso.cloth else None
    share = min(length / 0.245, 1.0)
    hems = [p[f"hip{s}"] + (p[f"knee{s}"] - p[f"hip{s}"]) * share for s in "RL"]
    spread = abs(float((hems[0] - hems[1]) @ pelvis[:, 2])) / 2
    bottom = p["pelvis"] - pelvis[:, 1] * length * h
    bottom = bottom + pelvis[:, 2] * float(
        ((hems[0] + hems[1]) / 2 - bottom) @ pelvis[:, 2]
    )
    half = (
        0.104 * h * torso.hip * flare,
        max(0.082 * h * torso.hip, spread + 0.05 * h),
    )
    waist, top = 0.094 * h * g * (1.02 - 0.14 * person.curves), pelvis[:, 1] * 0.07 * h
    figure.add(
        bottom,
        p["pelvis"] + top,
        pelvis,
        half,
        paint,
        ratio=waist / half[0],
        caps=(0.004 * h, 0.02 * h),
        texture=shared,
    )
    for s, hem in zip("RL", hems, strict=True):
        round_, caps = (0.066 * h * g, 0.068 * h * g), (0.004 * h, 0.03 * h)
        hip = p[f"hip{s}"]
        figure.add(
            hem, hip, pelvis, round_, paint, ratio=0.84, caps=caps, texture=shared
        )


def add_things(figure: Figure, person: Person, body: Skeleton, torso: Torso) -> None:
    """Backpack or shoulder bag; their straps are painted on the garment."""
    h, g = person.height, torso.girth
    chest, pelvis = body.frames["chest"], body.frames["pelvis"]
    colour = person.pack if person.backpack else person.bag_colour
    dark = (colour[0] * 0.55, colour[1] * 0.55, colour[2] * 0.55)
    cloth = material(colour, dark, pattern="blocks", period=0.08 * h, folds=0.1)
    if person.backpack:
        low = body.points["neck"] - chest @ np.array([0, 0.225, 0.105 * g]) * h
        high, half = low + chest[:, 1] * 0.19 * h, (0.088 * h, 0.052 * h)
        caps = (0.018 * h, 0.03 * h)
        figure.add(low, high, chest, half, cloth, ratio=0.86, caps=caps)
    elif person.bag:
        low = body.points["pelvis"] + pelvis @ np.array([0.125 * g, -0.06, 0.01]) * h
        high, half = low + pelvis[:, 1] * 0.09 * h, (0.026 * h, 0.075 * h)
        caps = (0.01 * h, 0.01 * h)
        figure.add(low, high, pelvis, half, cloth, ratio=0.9, caps=caps)


def add_load(figure: Figure, person: Person, body: Skeleton) -> None:
    """A carrier bag in the right hand."""
    grip, h, frame = body.points["handR"], person.height, body.frames["pelvis"]
    paper, half = material(person.bag_colour, folds=0.15), (0.03 * h, 0.075 * h)
    low, high, caps = grip - _UP * 0.19 * h, grip - _UP * 0.02 * h, (0.008 * h,) * 2
    figure.add(low, high, frame, half, paper, ratio=0.8, caps=caps)


def add_bicycle(figure: Figure, person: Person, body: Skeleton) -> None:
    """Two wheels, a frame, a saddle and handlebars under a rider."""
    frame = body.frames["pelvis"]
    front = np.cross(frame[:, 0], _UP)
    seat = body.points["pelvis"] - _UP * 0.09 - front * 0.02

    def at(ahead: float, height: float) -> np.ndarray:
        return seat * (1 - _UP) + _UP * height + front * ahead

    tube, rubber = material(person.pack), material((0.06, 0.06, 0.07))
    crank, head, bar, rear, fore = (
        at(*place)
        for place in (
            (0.18, 0.28),
            (0.55, 0.80),
            (0.52, 0.95),
            (-0.24, 0.32),
            (0.76, 0.32),
        )
    )
    for hub in (rear, fore):
        rim = [
            hub + 0.32 * (np.cos(a) * front + np.sin(a) * _UP)
            for a in np.linspace(0, 2 * np.pi, 13)
        ]
        for start, end in zip(rim[:-1], rim[1:], strict=True):
            figure.add(start, end, frame, (0.022, 0.022), rubber)
    for start, end in (
        (seat, crank),
        (crank, head),
        (head, seat - _UP * 0.08),
        (crank, rear),
        (head, fore),
        (head, bar),
    ):
        figure.add(start, end, frame, (0.02, 0.02), tube)
    grips = frame[:, 0] * 0.26
    figure.add(bar - grips, bar + grips, np.roll(frame, -1, 1), (0.018, 0.018), rubber)
    figure.add(seat - front * 0.1, seat + front * 0.12, frame, (0.06, 0.03), rubber)
