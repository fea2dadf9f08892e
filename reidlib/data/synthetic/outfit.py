"""A dressed body: garments on trunk, arms and legs of a skeleton."""

from typing import NamedTuple

import numpy as np

from . import figure as f
from .belongings import add_activity, add_skirts, add_things
from .body import Skeleton
from .figure import Figure, Paint, Torso, material
from .head import add_head
from .person import Person


class _Cut(NamedTuple):
    """How a garment sits: ease, sleeve width, hem below the pelvis, collar height."""

    ease: float
    sleeve: float
    hem: float
    collar: float = 0.0


_CUTS = {  # lengths are fractions of height
    "tee": _Cut(0.05, 1.0, 0.030),
    "tank": _Cut(0.0, 1.0, 0.020),
    "polo": _Cut(0.05, 1.0, 0.026, 0.018),
    "shirt": _Cut(0.06, 1.12, 0.040, 0.020),
    "sweater": _Cut(0.09, 1.18, 0.018),
    "hoodie": _Cut(0.13, 1.28, 0.018),
    "jacket": _Cut(0.11, 1.25, 0.025, 0.016),
    "blazer": _Cut(0.08, 1.18, 0.055, 0.014),
    "puffer": _Cut(0.24, 1.5, 0.015, 0.030),
    "coat": _Cut(0.13, 1.28, 0.05, 0.024),
    "dress": _Cut(0.0, 1.0, 0.0),
}


def dress(person: Person, body: Skeleton, activity: str = "walk") -> Figure:
    """The primitives of a person in a pose, with what the activity needs."""
    figure = Figure()
    add_head(figure, person, body)
    torso = _torso(figure, person, body)
    for s in "RL":
        _arm(figure, person, body, s)
        _leg(figure, person, body, s)
    add_skirts(figure, person, body, torso)
    add_things(figure, person, body, torso, activity)
    add_activity(figure, person, body, activity)
    return figure


def _panel(person: Person, h: float) -> tuple[int, tuple[float, float, float]]:
    """What the front or back shows, and its measures (see `paint._panel`)."""
    if person.garment == "tank" or person.garment == "dress" and person.sleeve < 0.1:
        return f.TANK, (0.66, 0.36, 0.222 * h)
    printed = {
        "disc": (f.DISC, (0.5, 0.07, 0.205 * h)),
        "box": (f.BOX, (0.55, 0.06, 0.20 * h)),
        "text": (f.TEXT, (0.55, 0.05, 0.215 * h)),
        "figure": (f.BLOB, (0.5, 0.09, 0.19 * h)),
        "back": (f.BACK, (0.6, 0.10, 0.19 * h)),
    }
    if person.print_ in printed:
        return printed[person.print_]
    return {
        "polo": (f.BUTTONS, (0.0, 3.2, 0.272 * h)),
        "shirt": (f.BUTTONS, (0.0, 2.8, 0.262 * h)),
        "hoodie": (f.POUCH, (0.55, 0.065, 0.055 * h)),
        "jacket": (f.OPEN, (0.12 + 0.2 * person.width, 0.9, 0.17 * h)),
        "blazer": (f.LAPEL, (0.0, 1.9, 0.15 * h)),
        "coat": (f.LAPEL, (0.0, 2.6, 0.21 * h)),
        "puffer": (f.BUTTONS, (0.0, 1.0, 0.28 * h)),
    }.get(person.garment, (0, (0.0, 0.0, 0.0)))


def _cloth(person: Person, h: float) -> Paint:
    """The upper garment on the trunk."""
    panel, shape = _panel(person, h)
    skin = person.garment in ("polo", "shirt", "tank", "dress")
    across = person.bag == "shoulder"
    return material(
        person.upper,
        person.second,
        person.skin if skin else person.second,
        person.pack if person.backpack else person.bag_colour,
        pattern=person.pattern,
        period=0.185 * h if person.pattern == "blocks" else person.period,
        duty=0.35 if person.pattern == "stripes" else 0.5,
        panel=panel,
        shape=shape,
        weave=f.QUILT if person.garment == "puffer" else 0,
        overlay=f.STRAPS if person.backpack else f.SASH if across else 0,
        strap=0.13 * person.side,
        folds=0.08,
    )


def _lower_cloth(person: Person, cut: float = 99.0) -> Paint:
    kind = person.lower_type
    weave = {"jeans": f.DENIM, "skirt": f.PLEATS, "long skirt": f.PLEATS}.get(kind, 0)
    folds = 0.04 if kind == "leggings" else 0.09
    legs = person.legs
    return material(person.lower, third=legs, cut=cut, weave=weave, folds=folds)


def _torso(figure: Figure, person: Person, body: Skeleton) -> Torso:
    p, h = body.points, person.height
    pelvis, spine, chest = (body.frames[name] for name in ("pelvis", "spine", "chest"))
    cut, build, curves = _CUTS[person.garment], person.build, person.curves
    g, ease = 0.88 + 0.40 * build, cut.ease
    chest_a = 0.083 * g * (1.03 - 0.10 * curves) + 0.05 * ease
    chest_b = 0.056 * g + 0.06 * ease
    hip_a = 0.091 * (0.5 + 0.5 * g) * (0.95 + 0.09 * curves)
    hip_b = 0.062 * (0.4 + 0.6 * g)
    thigh = 0.106 + 0.019 * build + 0.006 * curves  # to the outer side of one
    hem_a = max(hip_a + 0.005, thigh) + 0.05 * ease
    hem_b, drop = hip_b + 0.016 + 0.07 * ease, cut.hem
    if "skirt" in person.lower_type and ease < 0.1:  # tucked in, or a dress
        hem_a, hem_b, drop = hem_a * 0.86, hem_b * 0.82, -0.03
    waist_a = 0.072 * g * (1.06 - 0.16 * curves + 0.12 * build)
    loose = min(0.3 * person.width + 3 * ease, 1.0)
    waist_a += max(0.0, 0.5 * (chest_a + hem_a) - waist_a) * loose
    neck, up, tall = p["neck"], pelvis[:, 1] * h, chest[:, 1] * h
    texture = (neck - tall * 0.30, chest, chest_a * h, chest_b * h)
    cloth = _cloth(person, h)
    below = cloth if person.garment in ("coat", "dress") else _lower_cloth(person)

    def add(
        start: np.ndarray,
        end: np.ndarray,
        frame: np.ndarray,
        half: tuple[float, float],
        ratio: float,
        caps: tuple[float, float],
        paint: Paint = cloth,
    ) -> None:
        half, caps = (half[0] * h, half[1] * h), (caps[0] * h, caps[1] * h)
        figure.add(
            start, end, frame, half, paint, ratio=ratio, caps=caps, texture=texture
        )

    middle, waist = p["pelvis"], p["waist"]
    low, high = middle - up * 0.02, middle + up * 0.05
    add(low, high, pelvis, (hip_a, hip_b), 0.94, (0.035, 0.03), below)
    seat = middle - up * 0.012 - pelvis[:, 2] * 0.020 * h
    cheek, turned = pelvis[:, 0] * 0.036 * h, np.roll(pelvis, -1, axis=1)
    add(seat - cheek, seat + cheek, turned, (0.046, 0.042), 1.0, (0.03, 0.03), below)
    hem = middle - up * drop
    half, ratio = (hem_a, hem_b), waist_a / hem_a
    add(hem, waist + tall * 0.01, spine, half, ratio, (0.006, 0.05))
    high, ratio = neck - tall * 0.056, chest_a / waist_a
    half = (waist_a, chest_b / ratio * (1 + 0.25 * build))
    add(waist, high, chest, half, ratio / (1 + 0.1 * build), (0.05, 0.062))
    across = np.roll(chest, -1, axis=1)
    if curves > 0.5:
        bust = (
            neck
            - tall * 0.088
            + chest[:, 2] * (chest_b * (1 + 0.14 * build) - 0.022) * h
        )
        left, round_ = chest[:, 0] * 0.034 * h, (0.031, 0.030)
        add(bust - left, bust + left, across, round_, 1.0, (0.03, 0.03))
    for s, sign in (("R", -1), ("L", 1)):
        inner = neck + chest @ (np.array([sign * -0.006, 0.0, -0.008]) * h)
        outer = p[f"shoulder{s}"] - chest[:, 0] * sign * 0.004 * h
        thick, ratio = 0.040 + 0.01 * ease, 0.66 + 0.4 * ease
        add(inner, outer, across, (thick, 0.041 * g), ratio, (0.01, 0.028))
    _collar(figure, person, body, cut)
    hips = (max(hip_a, thigh) * h + 0.03 * ease * h, (hip_b + 0.014) * h)
    return Torso(texture, cloth, g, hips, (chest_b + 0.01) * h)


def _collar(figure: Figure, person: Person, body: Skeleton, cut: _Cut) -> None:
    """A ring around the neck; a hood behind it."""
    h, neck, chest = person.height, body.points["neck"], body.frames["chest"]
    cloth = material(person.upper, folds=0.08)
    if person.garment == "hoodie":
        hood = neck + chest @ (np.array([0, 0.018, -0.050]) * h)
        figure.ball(hood, chest, (0.062 * h, 0.030 * h, 0.034 * h), cloth)
    if person.garment == "hoodie" or cut.collar:
        tall = max(cut.collar, 0.012)
        low = neck + chest @ (np.array([0, 0.016, 0.004]) * h)
        high = low + chest @ (np.array([0, tall, 0.006]) * h)
        wide, caps = 0.046 * h, (0.02 * h, 0.004 * h)
        if cut.collar and person.garment != "puffer":
            shape = (0.3, 0.0, 9.0)
            shade = person.upper if person.pattern in ("plain", "blocks") else None
            base = shade or person.second
            cloth = material(base, third=person.skin, panel=f.OPEN, shape=shape)
        figure.add(low, high, chest, (wide, wide), cloth, ratio=0.92, caps=caps)


def _arm(figure: Figure, person: Person, body: Skeleton, s: str) -> None:
    p, h = body.points, person.height
    upper, lower = body.frames[f"upper{s}"], body.frames[f"lower{s}"]
    g = (0.88 + 0.34 * person.build) * (1.02 - 0.10 * person.curves)
    thick = _CUTS[person.garment].sleeve
    reach = person.sleeve * 0.30 * h
    bare, skin, r = reach < 0.17 * h, material(person.skin), 0.0285 * h * g
    quilt = f.QUILT if person.garment == "puffer" else 0

    def sleeve(cut: float) -> Paint:
        return material(
            person.upper,
            person.second,
            person.skin,
            pattern="plain" if person.pattern == "blocks" else person.pattern,
            period=person.period,
            cut=cut,
            weave=quilt,
            folds=0.08,
        )

    top, elbow, wrist = (p[f"{part}{s}"] for part in ("shoulder", "elbow", "wrist"))
    none = reach < 0.03 * h
    paint = skin if none else sleeve(reach)
    figure.add(top, elbow, upper, (r * thick, r * thick), paint, ratio=0.76)
    if bare and not none:  # a loose short sleeve over the arm
        end = top - upper[:, 1] * reach
        cuff, caps = r * (1.16 + 0.12 * person.width), (0.004 * h, r)
        cloth = sleeve(99.0)
        figure.add(end, top, upper, (cuff, cuff), cloth, ratio=0.92, caps=caps)
    wide = 0.0225 * h * g * (1.0 if bare else thick)
    if bare:
        figure.add(elbow, wrist, lower, (wide, wide), skin, ratio=0.64)
    else:
        caps = (wide, 0.006 * h)
        cloth = sleeve(99.0)
        figure.add(elbow, wrist, lower, (wide, wide), cloth, ratio=0.8, caps=caps)
    hand = wrist + (p[f"hand{s}"] - wrist) * 0.5
    figure.ball(hand, lower, (0.011 * h, 0.041 * h, 0.019 * h), skin)


def _leg(figure: Figure, person: Person, body: Skeleton, s: str) -> None:
    p, h, kind, fit = body.points, person.height, person.lower_type, person.width
    thigh, shin, foot = (
        body.frames[f"{part}{s}"] for part in ("thigh", "shin", "foot")
    )
    hip, knee, ankle = (p[f"{part}{s}"] for part in ("hip", "knee", "ankle"))
    g = 0.88 + 0.34 * person.build
    long = kind in ("trousers", "jeans", "leggings")
    wide = {"trousers": 1.04 + 0.22 * fit, "jeans": 1 + 0.14 * fit}.get(kind, 1.0)
    cut = person.lower_length * 0.49 * h if kind == "shorts" else 99.0
    r, calf = 0.0485 * h * g * (1 + 0.04 * person.curves), 0.0325 * h * g
    cloth, legs = _lower_cloth(person), material(person.legs)
    if "skirt" in kind:  # cloth where a flexed thigh might show through
        cut = person.lower_length * 0.3 * h
    paint = _lower_cloth(person, cut)
    figure.add(hip, knee, thigh, (r, r * 1.06), paint, ratio=0.69 * wide**0.7)
    if kind == "shorts":
        end, half = hip - thigh[:, 1] * min(cut, 0.24 * h), (r * 1.04, r * 1.1)
        caps = (0.004 * h, r)
        figure.add(end, hip, thigh, half, cloth, ratio=1.0, caps=caps)
    if long and kind != "leggings":
        end, start = ankle - shin[:, 1] * 0.014 * h, r * 0.69 * wide**0.7
        ratio = (0.70 + 0.34 * fit) if kind == "trousers" else (0.62 + 0.2 * fit)
        caps = (start, 0.006 * h)
        figure.add(knee, end, shin, (start, start), cloth, ratio=ratio, caps=caps)
    else:
        paint = cloth if long else legs
        bulge = knee - shin @ (np.array([0, 0.072, 0.007]) * h)
        figure.ball(bulge, shin, (calf * 0.97, 0.064 * h, calf * 1.02), paint)
        figure.add(knee, ankle, shin, (calf, calf), paint, ratio=0.58)
    up, ahead = foot[:, 1] * h, foot[:, 2] * h
    shoe = material(person.shoes, third=person.soles, panel=f.SOLE, shape=(0.5, 0, 0))
    heel = p[f"heel{s}"] + up * 0.010 + ahead * 0.014
    toe = p[f"toe{s}"] + up * 0.006
    figure.add(heel, toe, foot, (0.0225 * h, 0.018 * h), shoe, ratio=0.98)
    top = material(person.shoes)
    figure.add(heel, ankle, foot, (0.020 * h, 0.023 * h), top, ratio=0.95)
