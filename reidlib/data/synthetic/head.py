"""Head, hair and hat."""

import numpy as np

from .body import Skeleton
from .figure import FACE, Figure, material
from .person import Person

# hair style: painted hair line in front (1 is the crown), and at the temples
_LINES = {"bald": (1.2, -2.0), "fringe": (0.40, 0.0), "curly": (0.5, -0.05)}


def add_head(figure: Figure, person: Person, body: Skeleton) -> None:
    """Face, ears, neck, hair and hat."""
    p, frame, h = body.points, body.frames["head"], person.height
    if h < 1.4:  # a child's head is large
        h = 0.5 * h + 0.7
    centre, (side, up, front) = p["head"], frame.T * h
    chest, style = body.frames["chest"] * person.height, person.hair_style
    r, g, b = person.skin
    line = (*_LINES.get(style, (0.60, -0.12)), 0.064 * h)
    eyes, lips = (r * 0.3, g * 0.25, b * 0.25), (r * 0.8, g * 0.55, b * 0.55)
    face = material(person.skin, eyes, person.hair, lips, panel=FACE, shape=line)
    skin, hair = material(person.skin), material(person.hair, folds=0.2)
    jaw = centre - up * 0.036 + front * 0.012
    nose = centre + front * 0.053 - up * 0.010
    neck = p["neck"] - chest[:, 1] * 0.008 + chest[:, 2] * 0.006
    wide = (0.034 - 0.004 * person.curves) * person.height
    round_ = (0.044 * h, 0.064 * h, 0.054 * h)
    figure.ball(centre + up * 0.002, frame, round_, face)
    figure.ball(jaw, frame, (0.031 * h, 0.030 * h, 0.035 * h), skin)
    figure.ball(nose, frame, (0.007 * h, 0.014 * h, 0.010 * h), skin)
    figure.add(neck, p["skull"] + up * 0.02, frame, (wide, wide), skin, ratio=0.9)
    if style in ("short", "bald", "tail", "bun"):
        for sign in (-1, 1):
            ear = centre + side * sign * 0.044 - up * 0.008 - front * 0.004
            figure.ball(ear, frame, (0.007 * h, 0.017 * h, 0.011 * h), skin)
    if style != "bald":
        thick = {"curly": 1.16, "fringe": 1.05}.get(style, 1.0)
        shell = centre + up * 0.018 - front * 0.012
        round_ = (0.0475 * h * thick, 0.055 * h * thick, 0.050 * h * thick)
        figure.ball(shell, frame, round_, hair)
    if style in ("bob", "long") or style == "fringe" and person.curves > 0.5:
        _fall(figure, person, body, h, hair)
    elif style == "tail":
        knot = centre - front * 0.056 + up * 0.018
        tip = knot - up * 0.11 - front * 0.018
        figure.add(tip, knot, frame, (0.012 * h, 0.012 * h), hair, ratio=1.6)
    elif style == "bun":
        figure.ball(centre - front * 0.040 + up * 0.056, frame, (0.025 * h,) * 3, hair)
    if person.hat:
        _hat(figure, person, body, h)


def _fall(
    figure: Figure, person: Person, body: Skeleton, h: float, hair: tuple
) -> None:
    """Hair over nape and ears, down the back when long."""
    frame, chest = body.frames["head"], body.frames["chest"]
    centre, (side, up, front) = body.points["head"], frame.T * h
    long = person.hair_style == "long"
    drop = {"long": 0.07, "bob": 0.07, "fringe": 0.03}[person.hair_style]
    back = centre - front * 0.024
    low = back - up * drop - front * 0.008 * long
    wide = (0.042 * h, 0.024 * h)
    figure.add(low, back, frame, wide, hair, ratio=1.08)
    if long:
        tip = body.points["neck"] - chest @ np.array([0, 0.070, 0.078]) * h
        ends = (0.015 * h, 0.015 * h)
        half = (0.032 * h, 0.016 * h)
        figure.add(tip, low, chest, half, hair, ratio=1.25, caps=ends)
    for sign in (-1, 1) if drop > 0.05 else ():
        top = centre + side * sign * 0.040 - front * 0.010 + up * 0.01
        tip = top - up * (0.088 + 0.01 * long) + front * 0.006
        figure.add(tip, top, frame, (0.010 * h, 0.024 * h), hair)


def _hat(figure: Figure, person: Person, body: Skeleton, h: float) -> None:
    """A cap; a sun hat over long hair."""
    frame = body.frames["head"]
    centre, (_, up, front) = body.points["head"], frame.T * h
    cloth = material(person.hat_colour, folds=0.1)
    crown, round_ = centre + up * 0.028 - front * 0.004, (0.006 * h, 0.040 * h)
    wide = (0.051 * h, 0.059 * h)
    figure.add(crown, crown + up * 0.010, frame, wide, cloth, caps=round_)
    if person.curves > 0.5 and person.hair_style != "tail":
        figure.ball(crown, frame, (0.088 * h, 0.010 * h, 0.094 * h), cloth)
    else:
        brim = (0.038 * h, 0.006 * h, 0.042 * h)
        figure.ball(crown + front * 0.052, frame, brim, cloth)
