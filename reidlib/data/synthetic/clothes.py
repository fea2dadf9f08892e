"""Who a synthetic person is: build, skin, hair, clothes and what they carry."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

GARMENTS = ("tee", "shirt", "jacket", "coat", "dress")
PATTERNS = ("plain", "hoops", "stripes", "plaid", "dots", "blocks")
PRINTS = ("none", "disc", "box", "back")
LOWERS = ("trousers", "shorts", "skirt")
HAIR = ("short", "bald", "bob", "long", "tail", "bun")

# colour, share among upper garments, share among trousers, skirts and shorts
_PALETTE: dict[str, tuple[Colour, float, float]] = {
    "black": ((0.07, 0.07, 0.08), 0.19, 0.25),
    "charcoal": ((0.20, 0.21, 0.23), 0.07, 0.08),
    "grey": ((0.50, 0.51, 0.53), 0.09, 0.07),
    "white": ((0.90, 0.90, 0.89), 0.15, 0.04),
    "navy": ((0.09, 0.12, 0.27), 0.07, 0.12),
    "blue": ((0.14, 0.29, 0.60), 0.07, 0.03),
    "denim": ((0.24, 0.34, 0.50), 0.03, 0.15),
    "sky": ((0.55, 0.70, 0.86), 0.05, 0.06),
    "red": ((0.70, 0.09, 0.12), 0.06, 0.02),
    "wine": ((0.38, 0.08, 0.16), 0.02, 0.01),
    "pink": ((0.90, 0.57, 0.67), 0.04, 0.02),
    "orange": ((0.89, 0.46, 0.13), 0.02, 0.00),
    "yellow": ((0.90, 0.78, 0.22), 0.03, 0.00),
    "lime": ((0.55, 0.75, 0.25), 0.01, 0.00),
    "green": ((0.12, 0.42, 0.24), 0.03, 0.01),
    "olive": ((0.34, 0.35, 0.20), 0.02, 0.03),
    "teal": ((0.11, 0.46, 0.50), 0.02, 0.01),
    "purple": ((0.39, 0.22, 0.52), 0.02, 0.01),
    "khaki": ((0.69, 0.61, 0.46), 0.03, 0.07),
    "brown": ((0.36, 0.24, 0.16), 0.02, 0.03),
}
_COLOURS = np.array([entry[0] for entry in _PALETTE.values()])
_UPPER = np.array([entry[1] for entry in _PALETTE.values()])
_LOWER = np.array([entry[2] for entry in _PALETTE.values()])
_SKIN = np.array([(0.93, 0.76, 0.66), (0.84, 0.64, 0.50), (0.38, 0.24, 0.17)])
_HAIR_COLOURS = np.array(
    [
        (0.06, 0.05, 0.05),
        (0.17, 0.11, 0.08),
        (0.36, 0.22, 0.12),
        (0.72, 0.56, 0.32),
        (0.55, 0.54, 0.53),
    ]
)
_SHOES = np.array(
    [
        (0.08, 0.08, 0.08),
        (0.88, 0.88, 0.88),
        (0.33, 0.22, 0.15),
        (0.50, 0.50, 0.52),
        (0.65, 0.12, 0.15),
        (0.15, 0.25, 0.50),
    ]
)


@dataclass(frozen=True)
class Person:
    """One synthetic identity; colours are RGB in [0, 1], lengths in metres."""

    pid: int
    height: float
    build: float  # 0 slim to 1 heavy
    curves: float  # 0 broad shoulders to 1 narrow waist and wide hips
    skin: Colour
    tone: float  # 0 light to 1 dark
    hair: Colour
    hair_style: str
    garment: str
    pattern: str
    print_: str
    period: float
    sleeve: float  # 0 none to 1 to the wrist
    upper: Colour
    second: Colour  # pattern, print or, under an open jacket, the shirt
    lower_type: str
    lower: Colour
    lower_length: float  # 0 at the hip to 1 at the ankle
    width: float  # trouser legs, 0 tight to 1 wide
    shoes: Colour
    backpack: bool
    pack: Colour
    bag: bool
    bag_colour: Colour
    hat: bool
    hat_colour: Colour
    cameras: tuple[int, ...]  # camera ids that see this person, in order

    def attributes(self) -> np.ndarray:
        """What a perfect describer would note, (A,) float32 in [0, 1].

        The columns are named by `ATTRIBUTE_NAMES`.
        """
        values = [*self.upper, *self.second, *self.lower, *self.shoes, *self.hair]
        values += [self.tone]
        for chosen, names in (
            (self.garment, GARMENTS),
            (self.pattern, PATTERNS),
            (self.lower_type, LOWERS),
        ):
            values += [float(chosen == name) for name in names]
        values += [
            float(self.print_ in ("disc", "box")),
            float(self.print_ == "back"),
            self.sleeve,
            self.lower_length,
            float(self.hair_style in ("long", "tail", "bob")),
            float(self.backpack),
            float(self.bag),
            float(self.hat),
            (self.height - 1.45) / 0.5,
            self.build,
        ]
        return np.clip(np.array(values, np.float32), 0, 1)


ATTRIBUTE_NAMES: tuple[str, ...] = (
    *(
        f"{part}_{channel}"
        for part in ("upper", "second", "lower", "shoes", "hair")
        for channel in "rgb"
    ),
    "skin_tone",
    *(f"garment_{name}" for name in GARMENTS),
    *(f"pattern_{name}" for name in PATTERNS),
    *(f"lower_{name}" for name in LOWERS),
    "chest_print",
    "back_print",
    "sleeve",
    "lower_length",
    "long_hair",
    "backpack",
    "bag",
    "hat",
    "height",
    "build",
)


def draw_person(rng: np.random.Generator, pid: int, n_cameras: int) -> Person:
    """A random person; every draw comes from `rng`."""
    curves = float(np.clip(rng.choice([0.15, 0.85]) + rng.normal(0, 0.12), 0, 1))
    upper, second = _pair(rng, _UPPER)
    lower = _shade(rng, _LOWER)
    garment = _pick(rng, GARMENTS, (0.36, 0.2, 0.22, 0.11, 0.11 if curves > 0.5 else 0))
    sleeve = {"tee": rng.uniform(0.2, 0.5), "dress": rng.choice([0.1, 0.35, 1.0])}
    lower_type = _pick(rng, LOWERS, (0.72, 0.16, 0.12 if curves > 0.5 else 0))
    if garment == "coat":
        lower_type = "trousers"
    tone = float(rng.beta(1.2, 2.0))
    skin = [np.interp(tone, (0, 0.45, 1), _SKIN[:, c]) for c in range(3)]
    hair = _HAIR_COLOURS[rng.choice(5, p=(0.45, 0.25, 0.14, 0.08, 0.08))]
    styles = (0.08, 0, 0.2, 0.42, 0.2, 0.1) if curves > 0.5 else (0.9, 0.1, 0, 0, 0, 0)
    open_front = garment == "jacket"
    pattern = (0.52, 0.14, 0.08, 0.1, 0.05, 0.11)
    count = int(rng.choice([2, 3, 4, 5, 6], p=(0.1, 0.2, 0.25, 0.2, 0.25)))
    return Person(
        pid=pid,
        height=float(np.clip(rng.normal(1.77 - 0.12 * curves, 0.06), 1.48, 1.95)),
        build=float(rng.beta(1.7, 2.4)),
        curves=curves,
        skin=_colour(skin),
        tone=tone,
        hair=_colour(hair + rng.normal(0, 0.02, 3)),
        hair_style=_pick(rng, HAIR, styles),
        garment=garment,
        pattern="plain" if open_front else _pick(rng, PATTERNS, pattern),
        print_="none" if open_front else _pick(rng, PRINTS, (0.6, 0.15, 0.15, 0.1)),
        period=float(rng.uniform(0.05, 0.12)),
        sleeve=float(sleeve.get(garment, 1.0)),
        upper=upper,
        second=second,
        lower_type=lower_type,
        lower=lower,
        lower_length={
            "trousers": 1.0,
            "shorts": float(rng.uniform(0.3, 0.58)),
            "skirt": float(rng.uniform(0.3, 0.75)),
        }[lower_type],
        width=float(rng.beta(1.5, 1.8)),
        shoes=_colour(_SHOES[rng.choice(6, p=(0.42, 0.24, 0.14, 0.1, 0.05, 0.05))]),
        backpack=bool(rng.random() < 0.24),
        pack=_shade(rng, _UPPER),
        bag=bool(rng.random() < 0.2),
        bag_colour=_shade(rng, _UPPER),
        hat=bool(rng.random() < 0.12),
        hat_colour=_shade(rng, _UPPER),
        cameras=tuple(int(c) + 1 for c in rng.permutation(n_cameras)[:count]),
    )


def _pick(rng: np.random.Generator, names: tuple[str, ...], shares: tuple) -> str:
    weights = np.array(shares, float)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _colour(values: object) -> Colour:
    r, g, b = np.clip(np.asarray(values, float), 0.02, 0.97)
    return float(r), float(g), float(b)


def _shade(rng: np.random.Generator, shares: np.ndarray) -> Colour:
    """A palette colour, a little lighter or darker and a little off in hue."""
    base = _COLOURS[rng.choice(len(_COLOURS), p=shares / shares.sum())]
    return _colour(base * rng.normal(1, 0.12) + rng.normal(0, 0.025, 3))


def _pair(rng: np.random.Generator, shares: np.ndarray) -> tuple[Colour, Colour]:
    """Two colours that can be told apart."""
    first = second = _shade(rng, shares)
    for _ in range(20):
        second = _shade(rng, shares)
        if np.abs(np.subtract(first, second)).sum() > 0.6:
            break
    return first, second
