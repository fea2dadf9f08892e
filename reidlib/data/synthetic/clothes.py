"""What people wear: shares of garments and colours, and look-alikes."""

from dataclasses import replace
from typing import Any

import numpy as np

from .person import ATTRIBUTE_NAMES, BAGS, HAIR, PATTERNS, PRINTS, Colour, Person

__all__ = ["ATTRIBUTE_NAMES", "Colour", "Person", "draw_person", "lookalike"]

# colour, share among upper garments, among trousers, shorts and skirts, among bags
_PALETTE: dict[str, tuple[Colour, float, float, float, float]] = {
    "black": ((0.06, 0.06, 0.07), 0.17, 0.42, 0.25, 0.40),
    "charcoal": ((0.19, 0.20, 0.22), 0.06, 0.13, 0.08, 0.10),
    "grey": ((0.45, 0.46, 0.48), 0.09, 0.08, 0.10, 0.08),
    "silver": ((0.68, 0.69, 0.71), 0.05, 0.02, 0.04, 0.02),
    "white": ((0.87, 0.87, 0.86), 0.20, 0.03, 0.06, 0.03),
    "navy": ((0.10, 0.13, 0.26), 0.07, 0.11, 0.09, 0.10),
    "blue": ((0.18, 0.29, 0.54), 0.05, 0.01, 0.03, 0.06),
    "denim": ((0.26, 0.35, 0.49), 0.03, 0.03, 0.14, 0.01),
    "sky": ((0.58, 0.70, 0.82), 0.05, 0.00, 0.02, 0.01),
    "red": ((0.63, 0.13, 0.15), 0.045, 0.005, 0.02, 0.05),
    "wine": ((0.36, 0.11, 0.16), 0.015, 0.01, 0.01, 0.02),
    "pink": ((0.83, 0.58, 0.64), 0.04, 0.005, 0.02, 0.02),
    "orange": ((0.80, 0.46, 0.22), 0.015, 0.00, 0.00, 0.01),
    "yellow": ((0.85, 0.76, 0.38), 0.025, 0.00, 0.01, 0.00),
    "mint": ((0.62, 0.78, 0.66), 0.02, 0.00, 0.00, 0.00),
    "green": ((0.18, 0.41, 0.28), 0.02, 0.00, 0.01, 0.01),
    "olive": ((0.35, 0.36, 0.25), 0.015, 0.03, 0.03, 0.02),
    "teal": ((0.18, 0.44, 0.48), 0.015, 0.00, 0.01, 0.01),
    "purple": ((0.40, 0.28, 0.50), 0.015, 0.00, 0.01, 0.01),
    "khaki": ((0.66, 0.59, 0.47), 0.02, 0.09, 0.06, 0.03),
    "brown": ((0.34, 0.25, 0.19), 0.015, 0.035, 0.02, 0.06),
}
_COLOURS = np.array([entry[0] for entry in _PALETTE.values()])
_UPPER, _LOWER, _SHORT, _BAG = np.array([e[1:] for e in _PALETTE.values()]).T
_DENIM = np.array([(0.11, 0.14, 0.22), (0.25, 0.33, 0.46), (0.46, 0.54, 0.63)])
_SKIN = np.array([(0.90, 0.74, 0.65), (0.80, 0.62, 0.50), (0.40, 0.27, 0.20)])
_HAIR = np.array(
    [(0.06, 0.05, 0.05), (0.14, 0.10, 0.08), (0.32, 0.20, 0.13), (0.5, 0.49, 0.48)]
)
_SHOES = np.array(
    [
        (0.08, 0.08, 0.08),
        (0.82, 0.82, 0.81),
        (0.47, 0.47, 0.49),
        (0.31, 0.22, 0.16),
        (0.16, 0.22, 0.40),
        (0.58, 0.17, 0.18),
    ]
)
# garment: shares among men and women, and the shares of its patterns
_GARMENTS: dict[str, tuple[float, float, tuple[float, ...]]] = {
    "tee": (0.42, 0.35, (0.66, 0.18, 0.03, 0.01, 0.03, 0.09)),
    "tank": (0.03, 0.08, (0.72, 0.18, 0.04, 0.0, 0.03, 0.03)),
    "polo": (0.15, 0.05, (0.60, 0.24, 0.02, 0.0, 0.0, 0.14)),
    "shirt": (0.16, 0.14, (0.46, 0.02, 0.18, 0.26, 0.06, 0.02)),
    "sweater": (0.05, 0.06, (0.60, 0.24, 0.02, 0.02, 0.0, 0.12)),
    "hoodie": (0.05, 0.04, (0.84, 0.03, 0.0, 0.0, 0.0, 0.13)),
    "jacket": (0.07, 0.08, (0.80, 0.0, 0.0, 0.10, 0.0, 0.10)),
    "blazer": (0.02, 0.02, (0.86, 0.0, 0.08, 0.06, 0.0, 0.0)),
    "puffer": (0.03, 0.02, (0.82, 0.0, 0.0, 0.0, 0.0, 0.18)),
    "coat": (0.02, 0.03, (0.86, 0.0, 0.0, 0.14, 0.0, 0.0)),
    "dress": (0.0, 0.13, (0.50, 0.10, 0.10, 0.06, 0.14, 0.10)),
}
_LOWERS = {  # shares among men and women, and again in warm clothes
    "trousers": (0.36, 0.16, 0.45, 0.25),
    "jeans": (0.32, 0.28, 0.55, 0.45),
    "leggings": (0.0, 0.14, 0.0, 0.24),
    "shorts": (0.32, 0.19, 0.0, 0.0),
    "skirt": (0.0, 0.17, 0.0, 0.03),
    "long skirt": (0.0, 0.06, 0.0, 0.03),
}
_WARM = ("sweater", "hoodie", "jacket", "blazer", "puffer", "coat")
_OPEN = ("jacket", "blazer", "coat")


def draw_person(rng: np.random.Generator, pid: int, n_cameras: int) -> Person:
    """A random person; every draw comes from `rng`."""
    curves = float(np.clip(rng.choice([0.15, 0.85]) + rng.normal(0, 0.1), 0, 1))
    tone = float(rng.beta(1.3, 3.2))
    skin = _colour([np.interp(tone, (0, 0.45, 1), _SKIN[:, c]) for c in range(3)])
    hair = _HAIR[rng.choice(4, p=(0.6, 0.25, 0.1, 0.05))]
    styles: tuple[float, ...] = (0.05, 0, 0.15, 0.35, 0.2, 0.08, 0.15, 0.02)
    if curves < 0.5:
        styles = (0.68, 0.04, 0, 0, 0.01, 0, 0.22, 0.05)
    height = rng.normal(1.73 - 0.11 * curves, 0.055)
    if rng.random() < 0.02:  # a child
        height = rng.uniform(1.2, 1.4)
    count = int(rng.choice([2, 3, 4, 5, 6], p=(0.04, 0.09, 0.22, 0.42, 0.23)))
    values: dict[str, Any] = {
        "height": float(np.clip(height, 1.2, 1.95)),
        "build": float(rng.beta(1.6, 3.0)),
        "skin": skin,
        "tone": tone,
        "hair": _colour(hair + rng.normal(0, 0.015, 3)),
        "hair_style": _pick(rng, HAIR, styles),
    }
    values |= _clothes(rng, curves, skin) | _things(rng)
    cameras = tuple(int(c) + 1 for c in rng.permutation(n_cameras)[:count])
    return Person(pid=pid, curves=curves, cameras=cameras, **values)


def _clothes(rng: np.random.Generator, curves: float, skin: Colour) -> dict[str, Any]:
    woman = int(curves > 0.5)
    garments = tuple(_GARMENTS)
    garment = _pick(rng, garments, tuple(e[woman] for e in _GARMENTS.values()))
    warm = 2 * (garment in _WARM)
    lower_type = _pick(
        rng, tuple(_LOWERS), tuple(e[woman + warm] for e in _LOWERS.values())
    )
    upper, second = _pair(rng, _UPPER)
    pattern = _pick(rng, PATTERNS, _GARMENTS[garment][2])
    prints = (0.45, 0.12, 0.12, 0.13, 0.1, 0.08)
    printed = pattern == "plain" and garment in ("tee", "sweater", "hoodie")
    sleeves = {
        "tee": rng.uniform(0.24, 0.48),
        "tank": 0.0,
        "polo": rng.uniform(0.28, 0.45),
        "shirt": rng.choice([0.4, 1.0]),
        "dress": rng.choice([0.0, 0.3, 1.0], p=(0.35, 0.5, 0.15)),
    }
    if garment == "dress":
        lower_type = _pick(rng, ("skirt", "long skirt"), (0.8, 0.2))
    lower = upper if garment == "dress" else _leg_colour(rng, lower_type)
    if garment == "blazer" and rng.random() < 0.5:  # a suit
        lower, lower_type = upper, "trousers"
    tights = rng.random() < (0.25 if lower_type == "skirt" or warm else 0.1)
    shoes = _SHOES[rng.choice(6, p=(0.38, 0.28, 0.14, 0.1, 0.06, 0.04))]
    lengths = {
        "shorts": rng.uniform(0.34 - 0.14 * woman, 0.54 - 0.1 * woman),
        "skirt": rng.uniform(0.26, 0.5),
        "long skirt": rng.uniform(0.62, 0.88),
    }
    return {
        "garment": garment,
        "pattern": pattern,
        "print_": _pick(rng, PRINTS, prints) if printed else "none",
        "period": float(rng.uniform(0.045, 0.11)),
        "sleeve": float(sleeves.get(garment, 1.0)),
        "upper": upper,
        "second": second,
        "lower_type": lower_type,
        "lower": lower,
        "lower_length": float(lengths.get(lower_type, 1.0)),
        "width": float(rng.beta(1.5, 2.0)),
        "legs": (0.08, 0.08, 0.09) if tights and woman else skin,
        "shoes": _colour(shoes * rng.normal(1, 0.08)),
        "soles": _colour(np.full(3, rng.choice([0.1, 0.8], p=(0.55, 0.45)))),
    }


def _things(rng: np.random.Generator) -> dict[str, Any]:
    backpack = bool(rng.random() < 0.3)
    bags = (0.84, 0.04, 0.02, 0.1) if backpack else (0.62, 0.16, 0.1, 0.12)
    return {
        "backpack": backpack,
        "pack": _shade(rng, _BAG),
        "bag": _pick(rng, BAGS, bags),
        "bag_colour": _shade(rng, _BAG),
        "side": float(rng.choice([-1.0, 1.0])),
        "hat": bool(rng.random() < 0.09),
        "hat_colour": _shade(rng, _UPPER),
        "umbrella": _shade(rng, _UPPER),
        "bicycle": _shade(rng, _UPPER),
    }


_WEARER = ("pid", "height", "build", "skin", "tone", "hair", "cameras")
_DETAILS = (
    ("shoes", "soles"),
    ("backpack", "pack", "bag"),
    ("bag", "bag_colour", "side"),
    ("hat", "hat_colour"),
    ("print_", "pattern"),
    ("second",),
    ("sleeve",),
)


def lookalike(rng: np.random.Generator, model: Person, own: Person) -> Person:
    """Another person in the model's clothes, all but one or two details.

    Args:
        rng: source of every draw.
        model: whose clothes.
        own: whose identity, body, face, hair and cameras.

    Returns:
        the hard negative, with own's pid.
    """
    kept = {name: getattr(own, name) for name in _WEARER}
    if (model.curves > 0.5) == (own.curves > 0.5):
        kept |= {"hair_style": own.hair_style, "curves": own.curves}
    tights = model.legs != model.skin
    twin = replace(model, **kept, legs=model.legs if tights else own.skin)
    for name in ("upper", "second", "lower", "shoes", "pack", "bag_colour"):
        shade = np.array(getattr(twin, name)) + rng.normal(0, 0.012, 3)
        changes: dict[str, Any] = {name: _colour(shade)}
        twin = replace(twin, **changes)
    other = _clothes(rng, twin.curves, own.skin) | _things(rng)
    for row in rng.permutation(len(_DETAILS))[: int(rng.integers(1, 3))]:
        detail = {name: other[name] for name in _DETAILS[row]}
        if "sleeve" in detail:
            short = model.sleeve < 0.7 or model.garment == "coat"
            detail = {"sleeve": 1.0 if short else 0.4}
        elif "print_" in detail:
            printed = model.print_ == "none" and model.garment not in _OPEN
            detail = {"print_": "box" if printed else "none"}
        elif "backpack" in detail:
            detail["backpack"] = not model.backpack
        twin = replace(twin, **detail)
    return twin


def _pick(rng: np.random.Generator, names: tuple[str, ...], shares: tuple) -> str:
    weights = np.array(shares, float)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _colour(values: object) -> Colour:
    r, g, b = np.clip(np.asarray(values, float), 0.03, 0.92)
    return float(r), float(g), float(b)


def _shade(rng: np.random.Generator, shares: np.ndarray) -> Colour:
    """A palette colour, a little lighter or darker and a little off in hue."""
    base = _COLOURS[rng.choice(len(_COLOURS), p=shares / shares.sum())]
    return _colour(base * rng.normal(1, 0.10) + rng.normal(0, 0.018, 3))


def _leg_colour(rng: np.random.Generator, lower_type: str) -> Colour:
    if lower_type == "jeans":
        at = rng.choice([rng.uniform(0, 0.3), rng.uniform(0.3, 2.0)])
        wash = [np.interp(at, (0, 1, 2), _DENIM[:, c]) for c in range(3)]
        return _colour(np.array(wash) + rng.normal(0, 0.015, 3))
    if lower_type == "leggings" and rng.random() < 0.75:
        return _colour(rng.normal(0.075, 0.015) + rng.normal(0, 0.006, 3))
    return _shade(rng, _LOWER if lower_type in ("trousers", "leggings") else _SHORT)


def _pair(rng: np.random.Generator, shares: np.ndarray) -> tuple[Colour, Colour]:
    """Two colours that can be told apart."""
    first = second = _shade(rng, shares)
    for _ in range(20):
        second = _shade(rng, shares)
        if np.abs(np.subtract(first, second)).sum() > 0.6:
            break
    return first, second
