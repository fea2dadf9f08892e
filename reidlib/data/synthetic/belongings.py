"""What hangs on a body: skirts, packs, bags, umbrellas and bicycles."""

import numpy as np

from .body import Skeleton, rotation
from .figure import PLEATS, Figure, Torso, material
from .person import Person

_UP = np.array([0.0, 1.0, 0.0])
_DARK = (0.07, 0.07, 0.08)


def add_skirts(figure: Figure, person: Person, body: Skeleton, torso: Torso) -> None:
    """Skirt, dress or coat tails: a flared cone, and cloth on each thigh."""
    p, h = body.points, person.height
    pelvis, paint = body.frames["pelvis"], torso.cloth
    shared: tuple | None = torso.texture
    length, flare = person.lower_length * 0.49, 1.12
    if person.garment == "coat":
        length, flare = 0.17, 1.06
    elif person.garment != "dress":
        if "skirt" not in person.lower_type:
            return
        paint = material(person.lower, folds=0.08, weave=PLEATS)
        shared = None
    levels = {length, min(length, 0.245)}
    legs = np.array([_along_leg(p, s, at) for s in "RL" for at in levels])
    ahead = (legs - p["pelvis"]) @ pelvis[:, 2]
    spread, middle = np.ptp(ahead) / 2, (ahead.max() + ahead.min()) / 2
    bottom = p["pelvis"] - pelvis[:, 1] * length * h + pelvis[:, 2] * middle
    wide = torso.hips[0] * (flare + 0.25 * max(length - 0.25, 0))
    half = (wide, max(torso.hips[1] * flare, spread + 0.060 * h))
    top, ratio = p["pelvis"] + pelvis[:, 1] * 0.065 * h, 0.90 * torso.hips[0] / wide
    caps = (0.004 * h, 0.02 * h)
    figure.add(bottom, top, pelvis, half, paint, ratio=ratio, caps=caps, texture=shared)
    for s in "RL":
        hip, hem = p[f"hip{s}"], _along_leg(p, s, min(0.94 * length, 0.245))
        round_, caps = (0.052 * h * torso.girth,) * 2, (0.004 * h, 0.03 * h)
        figure.add(
            hem, hip, pelvis, round_, paint, ratio=1.03, caps=caps, texture=shared
        )


def _along_leg(points: dict, s: str, length: float) -> np.ndarray:
    """The point a share `length` of body height down a leg."""
    hip, knee, ankle = (points[f"{part}{s}"] for part in ("hip", "knee", "ankle"))
    if length < 0.245:
        return hip + (knee - hip) * (length / 0.245)
    return knee + (ankle - knee) * ((length - 0.245) / 0.24)


def add_things(
    figure: Figure, person: Person, body: Skeleton, torso: Torso, activity: str
) -> None:
    """Backpack and bag; straps across the chest are painted on the garment."""
    h, chest, pelvis = person.height, body.frames["chest"], body.frames["pelvis"]
    r, g, b = person.pack if person.backpack else person.bag_colour
    dark = (r * 0.6, g * 0.6, b * 0.6)
    if person.backpack:
        cloth = material(person.pack, folds=0.06)
        pocket = material(dark, folds=0.06)
        deep = torso.back / h + 0.014
        low = body.points["neck"] - chest @ (np.array([0, 0.205, deep]) * h)
        high, half = low + chest[:, 1] * 0.16 * h, (0.080 * h, 0.048 * h)
        caps = (0.016 * h, 0.036 * h)
        figure.add(low, high, chest, half, cloth, ratio=0.9, caps=caps)
        low = low - chest[:, 2] * 0.030 * h
        high, half = low + chest[:, 1] * 0.065 * h, (0.062 * h, 0.030 * h)
        caps = (0.012 * h, 0.012 * h)
        figure.add(low, high, chest, half, pocket, ratio=0.96, caps=caps)
    if person.bag == "none":
        return
    cloth = material(person.bag_colour, dark, pattern="blocks", period=0.045 * h)
    s, side = ("L" if person.side > 0 else "R"), person.side * torso.hips[0] / h
    caps = (0.012 * h, 0.010 * h)
    if person.bag == "hand":
        if activity == "carry" and s == "R":
            s = "L"
        _hang(figure, person, body, s, 0.055, 0.11)
        return
    wide, out, high_ = (
        (0.026, 0.02, -0.04)
        if person.bag == "shoulder"
        else (
            0.030,
            0.03,
            0.02,
        )
    )
    place = np.array([side + person.side * out, high_ - 0.02, -0.015])
    low = body.points["pelvis"] + pelvis @ (place * h)
    high, half = low + pelvis[:, 1] * 0.09 * h, (wide * h, 0.07 * h)
    figure.add(low, high, pelvis, half, cloth, ratio=0.92, caps=caps)
    if person.bag == "tote":
        shoulder = body.points[f"shoulder{s}"] + _UP * 0.020 * h
        shoulder = shoulder - chest[:, 0] * person.side * 0.022 * h
        thin, strap = (0.006 * h, 0.006 * h), material(dark)
        for deep in (0.045, -0.055):
            figure.add(high, shoulder + chest[:, 2] * deep * h, chest, thin, strap)


def _hang(
    figure: Figure, person: Person, body: Skeleton, s: str, half: float, tall: float
) -> None:
    """A bag below a hand, or in the crook of a raised arm."""
    h, grip, frame = person.height, body.points[f"hand{s}"], body.frames["pelvis"]
    wrist, elbow = body.points[f"wrist{s}"], body.points[f"elbow{s}"]
    grip = wrist + (grip - wrist) * 0.6
    if wrist[1] > elbow[1] - 0.05 * h:
        grip = elbow + (wrist - elbow) * 0.15
    r, g, b = person.bag_colour
    cloth = material(person.bag_colour, folds=0.08)
    strap = material((r * 0.6, g * 0.6, b * 0.6))
    high = grip - _UP * 0.05 * h
    low, caps, deep = high - _UP * tall * h, (0.008 * h,) * 2, (0.024 * h, half * h)
    figure.add(low, high, frame, deep, cloth, ratio=0.85, caps=caps)
    thin = (0.005 * h, 0.005 * h)
    for sign in (-1, 1):
        end = high + frame[:, 2] * sign * 0.5 * half * h
        figure.add(end, grip, frame, thin, strap)


def add_activity(figure: Figure, person: Person, body: Skeleton, activity: str) -> None:
    """Phone, carrier bag, umbrella or bicycle."""
    h, p = person.height, body.points
    s = "R" if p["wristR"][1] > p["wristL"][1] else "L"
    grip, lower = (p[f"wrist{s}"] + p[f"hand{s}"]) / 2, body.frames[f"lower{s}"]
    if activity == "carry":
        _hang(figure, person, body, "R", 0.07, 0.14)
    elif activity in ("call", "read"):
        phone = grip - lower[:, 1] * 0.012 * h + lower[:, 2] * 0.012 * h
        figure.ball(phone, lower, (0.018 * h, 0.036 * h, 0.006 * h), material(_DARK))
    elif activity == "umbrella":
        _umbrella(figure, person, grip, p["head"])
    elif activity in ("ride", "push"):
        _handle_bicycle(figure, person, body, activity == "ride")


def _umbrella(
    figure: Figure, person: Person, grip: np.ndarray, head: np.ndarray
) -> None:
    """A shaft from the hand and a canopy over the head, metres."""
    r, g, b = person.umbrella
    cloth = material(person.umbrella, (r * 0.8, g * 0.8, b * 0.8), folds=0.05)
    tip = np.array([0.6 * grip[0] + 0.4 * head[0], head[1] + 0.42, grip[2] * 0.8])
    shaft = tip - grip
    y = shaft / np.sqrt(shaft @ shaft)
    x = np.cross(y, np.array([0.0, 0.0, 1.0]))
    frame = np.stack([x / np.sqrt(x @ x), y, np.zeros(3)], 1)
    figure.add(grip - y * 0.06, tip + y * 0.05, frame, (0.008, 0.008), material(_DARK))
    rim = tip - y * 0.20
    high, wide, caps = rim + y * 0.03, (0.46, 0.46), (0.004, 0.17)
    figure.add(rim, high, frame, wide, cloth, ratio=0.96, caps=caps)


def _handle_bicycle(
    figure: Figure, person: Person, body: Skeleton, riding: bool
) -> None:
    """A bicycle under a rider, or at the side of who pushes it."""
    p, ahead = body.points, np.cross(body.frames["pelvis"][:, 0], _UP)
    ahead = ahead / np.sqrt(ahead @ ahead)
    left = np.cross(_UP, ahead)
    hands = (p["wristR"] + p["wristL"] + p["handR"] + p["handL"]) / 4
    if riding:
        saddle = p["pelvis"] - _UP * 0.085 * person.height - ahead * 0.03
        reach = float((hands - saddle) @ ahead)
        figure_bicycle(figure, saddle, ahead, person.bicycle, reach, hands[1])
        return
    side = 1.0 if (p["wristL"] - p["pelvis"]) @ left > 0.27 else -1.0
    saddle = p["pelvis"] * (1 - _UP) + _UP * 0.9 + left * float(hands @ left)
    reach = 0.52
    saddle = saddle + ahead * (float(hands @ ahead) - reach) + left * side * 0.02
    figure_bicycle(figure, saddle, ahead, person.bicycle, reach, hands[1])


def figure_bicycle(
    figure: Figure,
    saddle: np.ndarray,
    ahead: np.ndarray,
    colour: tuple[float, float, float],
    reach: float = 0.55,
    bar: float = 1.0,
) -> None:
    """Two wheels on the ground, a frame, saddle, handlebars and basket.

    Args:
        figure: gets the primitives.
        saddle: (3,) top of the saddle, metres.
        ahead: (3,) unit heading, horizontal.
        colour: of the frame.
        reach: metres from saddle to handlebars.
        bar: height of the handlebars in metres.
    """
    left = np.cross(_UP, ahead)
    frame, turned = np.stack([left, _UP, ahead], 1), np.stack([_UP, ahead, left], 1)
    floor = saddle * (1 - _UP)

    def at(forward: float, height: float) -> np.ndarray:
        return floor + _UP * height + ahead * forward

    tube, rubber = material(colour), material(_DARK)
    steel = material((0.5, 0.5, 0.52))
    crank, head, grip = at(0.15, 0.29), at(reach - 0.08, bar - 0.16), at(reach, bar)
    rear, fore = at(-0.28, 0.335), at(reach + 0.17, 0.335)
    turns = np.linspace(0, 2 * np.pi, 14)
    rims = 0.32 * (np.cos(turns)[:, None] * ahead + np.sin(turns)[:, None] * _UP)
    for hub in (rear, fore):
        for start, end in zip(hub + rims[:-1], hub + rims[1:], strict=True):
            figure.add(start, end, frame, (0.015, 0.015), rubber)
    post = at(0.02, saddle[1] - 0.05)
    for start, end in (
        (post, crank),
        (crank, head),
        (head, at(0.05, 0.62)),
        (crank, rear),
        (post, rear),
        (head, fore),
    ):
        figure.add(start, end, frame, (0.015, 0.015), tube)
    figure.add(head, grip, frame, (0.012, 0.012), steel)
    figure.add(grip - left * 0.26, grip + left * 0.26, turned, (0.014, 0.014), rubber)
    seat = saddle - _UP * 0.03
    figure.add(seat - ahead * 0.1, seat + ahead * 0.13, frame, (0.06, 0.03), rubber)
    basket = at(reach + 0.17, bar - 0.26)
    high, caps = basket + _UP * 0.18, (0.006, 0.006)
    figure.add(basket, high, frame, (0.14, 0.11), steel, ratio=1.15, caps=caps)


def parked_bicycle(rng: np.random.Generator) -> Figure:
    """A bicycle that stands alone at the origin, its side to the camera."""
    yaw = rng.choice([-1.0, 1.0]) * np.pi / 2 + rng.uniform(-0.35, 0.35)
    ahead = rotation(1, yaw)[:, 2]
    colour = tuple(np.clip(rng.choice([0.1, 0.3, 0.6]) + rng.normal(0, 0.1, 3), 0, 0.9))
    saddle = _UP * rng.uniform(0.82, 0.95) - ahead * 0.2
    figure = Figure()
    figure_bicycle(figure, saddle, ahead, colour, 0.52, rng.uniform(0.92, 1.02))
    foot = -ahead * 0.1 + np.cross(_UP, ahead) * 0.16
    stand = material((0.3, 0.3, 0.3))
    top = foot * np.array([0.2, 0, 0.2]) + _UP * 0.32
    figure.add(foot + _UP * 0.012, top, rotation(1, yaw), (0.01, 0.01), stand)
    return figure
