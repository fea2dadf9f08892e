"""A dressed body: garments, head and limbs on a skeleton."""

import numpy as np

from .belongings import add_bicycle, add_load, add_skirts, add_things
from .body import Skeleton
from .clothes import Person
from .figure import (
    BACK,
    BOX,
    COLLAR,
    DISC,
    FACE,
    OPEN,
    SASH,
    STRAPS,
    Figure,
    Torso,
    material,
)


def dress(person: Person, body: Skeleton, activity: str = "walk") -> Figure:
    """The primitives of a person in a pose, with what the activity needs."""
    figure = Figure()
    _head(figure, person, body)
    torso = _torso(figure, person, body)
    for s in "RL":
        _arm(figure, person, body, s)
        _leg(figure, person, body, s)
    add_skirts(figure, person, body, torso)
    add_things(figure, person, body, torso)
    if activity == "carry":
        add_load(figure, person, body)
    elif activity == "ride":
        add_bicycle(figure, person, body)
    return figure


def _head(figure: Figure, person: Person, body: Skeleton) -> None:
    p, frame, h = body.points, body.frames["head"], person.height
    centre, (side, up, front) = p["head"], frame.T * h
    bald = person.hair_style == "bald"
    r, g, b = person.skin
    line = (1.2, -2.0, 0.064 * h, 0.0) if bald else (0.56, -0.12, 0.064 * h, 0.0)
    eyes, lips = (r * 0.3, g * 0.25, b * 0.25), (r * 0.8, g * 0.55, b * 0.55)
    face = material(person.skin, eyes, person.hair, lips, panel=FACE, shape=line)
    skin, hair = material(person.skin), material(person.hair, folds=0.25)
    jaw = centre - up * 0.034 + front * 0.014
    nose = centre + front * 0.054 - up * 0.008
    neck = p["neck"] - body.frames["chest"][:, 1] * 0.01 * h
    figure.ball(centre + up * 0.004, frame, (0.045 * h, 0.064 * h, 0.054 * h), face)
    figure.ball(jaw, frame, (0.034 * h, 0.032 * h, 0.036 * h), skin)
    figure.ball(nose, frame, (0.007 * h, 0.013 * h, 0.009 * h), skin)
    figure.add(neck, p["skull"] + up * 0.015, frame, (0.030 * h, 0.030 * h), skin)
    if not bald:
        shell = centre + up * 0.020 - front * 0.012
        figure.ball(shell, frame, (0.049 * h, 0.056 * h, 0.050 * h), hair)
    if person.hair_style in ("bob", "long"):
        drop = 0.075 if person.hair_style == "bob" else 0.17
        back, wide = centre - front * 0.026, (0.042 * h, 0.022 * h)
        figure.add(back - up * drop, back, frame, wide, hair, ratio=1.15)
        for sign in (-1, 1):
            top = centre + side * sign * 0.040 - front * 0.008 + up * 0.01
            low = top - up * (min(drop, 0.1) + 0.01)
            figure.add(low, top, frame, (0.012 * h, 0.026 * h), hair)
    elif person.hair_style == "tail":
        knot = centre - front * 0.060 + up * 0.015
        tip = knot - up * 0.13 - front * 0.012
        figure.add(tip, knot, frame, (0.011 * h, 0.011 * h), hair, ratio=1.8)
    elif person.hair_style == "bun":
        figure.ball(centre - front * 0.045 + up * 0.055, frame, (0.026 * h,) * 3, hair)
    if person.hat:
        cloth = material(person.hat_colour, folds=0.1)
        crown, round_ = centre + up * 0.030 - front * 0.004, (0.006 * h, 0.036 * h)
        wide = (0.053 * h, 0.062 * h)
        figure.add(crown, crown + up * 0.012, frame, wide, cloth, caps=round_)
        brim = (0.040 * h, 0.006 * h, 0.042 * h)
        figure.ball(crown + front * 0.052, frame, brim, cloth)


def _upper(person: Person, top: float) -> np.ndarray:
    """The upper garment's material; `top` is the collar's height on the torso."""
    overlay = STRAPS if person.backpack else SASH if person.bag else 0
    panel, shape, third = 0, (0.0, 0.0, 0.0, 0.0), person.second
    if person.garment == "jacket":
        panel, shape = OPEN, (0.16 + 0.25 * person.width, 0.9, 0.62 * top, 0.0)
    elif person.print_ == "disc":
        panel, shape = DISC, (0.55, 0.075, 0.66 * top, 0.0)
    elif person.print_ == "box":
        panel, shape = BOX, (0.60, 0.055, 0.64 * top, 0.0)
    elif person.print_ == "back":
        panel, shape = BACK, (0.62, 0.11, 0.60 * top, 0.0)
    elif person.sleeve < 0.99 or person.garment in ("coat", "shirt"):
        panel, shape = COLLAR, (0.1, 2.2, 0.88 * top, 0.0)
        third = person.second if person.garment == "coat" else person.skin
    return material(
        person.upper,
        person.second,
        third,
        person.pack if person.backpack else person.bag_colour,
        pattern=person.pattern,
        period=0.62 * top if person.pattern == "blocks" else person.period,
        panel=panel,
        shape=shape,
        overlay=overlay,
        strap=0.13 if person.backpack else 0.025,
        folds=0.10,
    )


def _torso(figure: Figure, person: Person, body: Skeleton) -> Torso:
    p, h = body.points, person.height
    pelvis, spine, chest = (body.frames[name] for name in ("pelvis", "spine", "chest"))
    layers = 1 + 0.05 * (person.garment in ("coat", "jacket"))
    g = (0.88 + 0.34 * person.build) * layers
    waist = g * (1.02 - 0.14 * person.curves + 0.14 * person.build)
    broad = 1.06 - 0.12 * person.curves
    hip = g * (0.96 + 0.10 * person.curves)
    neck, up, tall = p["neck"], pelvis[:, 1] * h, chest[:, 1] * h
    texture = (neck - tall * 0.30, chest, 0.098 * h * g * broad, 0.066 * h * g)
    cloth = _upper(person, 0.30 * h)
    one = person.garment in ("coat", "dress")
    below = cloth if one else material(person.lower, folds=0.10)

    def add(
        start: np.ndarray, end: np.ndarray, frame: np.ndarray, *numbers: float
    ) -> None:
        a, b, ratio, cap0, cap1 = numbers
        caps, half = (cap0 * h, cap1 * h), (a * h, b * h)
        figure.add(
            start, end, frame, half, cloth, ratio=ratio, caps=caps, texture=texture
        )

    middle, waistline = p["pelvis"], p["waist"]
    half, caps = (0.090 * h * hip, 0.066 * h * hip), (0.05 * h, 0.03 * h)
    low, high = middle - up * 0.035, middle + up * 0.05
    figure.add(low, high, pelvis, half, below, ratio=0.95, caps=caps, texture=texture)
    if person.garment != "coat":  # the hem, wide enough for the thighs below it
        drop = {"jacket": 0.05, "dress": 0.05}.get(person.garment, 0.035)
        thigh = (0.86 + 0.32 * person.build) * (1 + 0.05 * person.curves)
        side, hem = max(0.105 * hip, 0.055 + 0.056 * thigh), middle - up * drop
        add(hem, middle + up * 0.03, pelvis, side, 0.08 * hip, 0.97, 0.008, 0.08)
    high = waistline + tall * 0.03
    add(middle + up * 0.05, high, spine, 0.088 * waist, 0.063 * waist, 1.04, 0.06, 0.06)
    low, high, ratio = waistline + tall * 0.01, neck - tall * 0.045, broad * g / waist
    add(low, high, chest, 0.087 * waist, 0.063 * g, 1.20 * ratio, 0.03, 0.056)
    across = np.roll(chest, -1, axis=1)
    if person.curves > 0.5:
        bust = neck - tall * 0.085 + chest[:, 2] * 0.038 * h * g
        left = chest[:, 0] * 0.036 * h
        add(bust - left, bust + left, across, 0.034, 0.036, 1.0, 0.034, 0.034)
    for s, sign in (("R", -1), ("L", 1)):
        inner = neck + chest @ np.array([sign * 0.018, 0.008, -0.005]) * h
        outer = p[f"shoulder{s}"] - chest @ np.array([sign * 0.004, 0.003, 0]) * h
        add(inner, outer, across, 0.030, 0.036 * g, 1.0, 0.030, 0.030)
    return Torso(texture, cloth, g, hip)


def _arm(figure: Figure, person: Person, body: Skeleton, s: str) -> None:
    p, h = body.points, person.height
    upper, lower = body.frames[f"upper{s}"], body.frames[f"lower{s}"]
    g = 0.86 + 0.32 * person.build
    thick = {"coat": 1.26, "jacket": 1.22, "shirt": 1.12}.get(person.garment, 1.0)
    reach = person.sleeve * 0.30 * h
    bare, skin, r = reach < 0.17 * h, material(person.skin), 0.030 * h * g

    def sleeve(cut: float) -> np.ndarray:
        return material(
            person.upper,
            person.second,
            person.skin,
            pattern="plain" if person.pattern == "blocks" else person.pattern,
            period=person.period,
            cut=cut,
            folds=0.10,
        )

    top, elbow, wrist = (
        p[f"shoulder{s}"] - upper[:, 1] * 0.01 * h,
        *(p[f"{part}{s}"] for part in ("elbow", "wrist")),
    )
    figure.add(top, elbow, upper, (r * thick, r * thick), sleeve(reach), ratio=0.78)
    if bare and reach > 0.03 * h:  # a loose short sleeve over the arm
        end, cuff = top - upper[:, 1] * reach, (1.13 * r, 1.13 * r)
        caps = (0.004 * h, r)
        figure.add(end, top, upper, cuff, sleeve(99.0), ratio=0.96, caps=caps)
    wide = 0.024 * h * g * (1.0 if bare else thick)
    if bare:
        figure.add(elbow, wrist, lower, (wide, wide), skin, ratio=0.66)
    else:
        caps = (wide, 0.006 * h)
        cloth = sleeve(99.0)
        figure.add(elbow, wrist, lower, (wide, wide), cloth, ratio=0.8, caps=caps)
    hand = wrist + (p[f"hand{s}"] - wrist) * 0.55
    figure.ball(hand, lower, (0.013 * h, 0.048 * h, 0.024 * h), skin)


def _leg(figure: Figure, person: Person, body: Skeleton, s: str) -> None:
    p, h = body.points, person.height
    thigh, shin, foot = (
        body.frames[f"{part}{s}"] for part in ("thigh", "shin", "foot")
    )
    hip, knee, ankle = (p[f"{part}{s}"] for part in ("hip", "knee", "ankle"))
    g = 0.86 + 0.32 * person.build
    bare = person.lower_type == "skirt" or person.garment == "dress"
    long = person.lower_type == "trousers" and not bare
    loose = (1 + 0.25 * person.width) ** 0.7 if long else 1.0
    cut = person.lower_length * 0.49 * h if person.lower_type == "shorts" else 99.0
    skin, cloth = material(person.skin), material(person.lower, folds=0.10)
    short = material(person.lower, third=person.skin, cut=cut, folds=0.10)
    r, calf = 0.050 * h * g * (1 + 0.05 * person.curves), 0.034 * h * g
    paint = skin if bare else short
    figure.add(hip, knee, thigh, (r, r * 1.06), paint, ratio=0.68 * loose)
    if person.lower_type == "shorts" and not bare:
        end, half = hip - thigh[:, 1] * min(cut, 0.24 * h), (r * 0.98, r * 1.04)
        caps = (0.004 * h, r)
        figure.add(end, hip, thigh, half, cloth, ratio=1.08, caps=caps)
    if long:
        end, wide = ankle - shin[:, 1] * 0.012 * h, r * 0.68 * loose
        ratio, caps = 0.62 + 0.42 * person.width, (wide, 0.006 * h)
        figure.add(knee, end, shin, (wide, wide), cloth, ratio=ratio, caps=caps)
    else:
        bulge = knee - shin @ np.array([0, 0.075, 0.006]) * h
        figure.ball(bulge, shin, (calf * 1.02, 0.075 * h, calf * 1.1), skin)
        figure.add(knee, ankle, shin, (calf, calf), skin, ratio=0.55)
    shoe, up, ahead = material(person.shoes), foot[:, 1] * h, foot[:, 2] * h
    heel = p[f"heel{s}"] + up * 0.012 + ahead * 0.014
    toe = p[f"toe{s}"] + up * 0.008
    figure.add(heel, toe, foot, (0.023 * h, 0.019 * h), shoe, ratio=1.02)
    figure.add(heel, ankle, foot, (0.021 * h, 0.024 * h), shoe)
