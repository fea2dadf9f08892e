"""Who a synthetic person is: build, skin, hair, clothes and what they carry."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

GARMENTS = (
    "tee",
    "tank",
    "polo",
    "shirt",
    "sweater",
    "hoodie",
    "jacket",
    "blazer",
    "puffer",
    "coat",
    "dress",
)
PATTERNS = ("plain", "hoops", "stripes", "plaid", "dots", "blocks")
PRINTS = ("none", "disc", "box", "text", "figure", "back")
LOWERS = ("trousers", "jeans", "leggings", "shorts", "skirt", "long skirt")
HAIR = ("short", "bald", "bob", "long", "tail", "bun", "fringe", "curly")
BAGS = ("none", "shoulder", "tote", "hand")


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
    period: float  # of the pattern, metres
    sleeve: float  # 0 none to 1 to the wrist
    upper: Colour
    second: Colour  # pattern, print or, under an open garment, the shirt
    lower_type: str
    lower: Colour
    lower_length: float  # 0 at the hip to 1 at the ankle
    width: float  # fit of shirt and trouser legs, 0 tight to 1 wide
    legs: Colour  # below shorts and skirts: skin or tights
    shoes: Colour
    soles: Colour
    backpack: bool
    pack: Colour
    bag: str
    bag_colour: Colour
    side: float  # where a bag hangs: 1 left, -1 right
    hat: bool
    hat_colour: Colour
    umbrella: Colour
    bicycle: Colour
    cameras: tuple[int, ...]  # camera ids that see this person, in order

    def attributes(self) -> np.ndarray:
        """What a perfect describer would note, (A,) float32 in [0, 1].

        The columns are named by `ATTRIBUTE_NAMES`.
        """
        colours = (self.upper, self.second, self.lower, self.shoes, self.hair)
        values = [v for colour in (*colours, self.legs) for v in colour]
        values += [self.tone]
        for chosen, names in (
            (self.garment, GARMENTS),
            (self.pattern, PATTERNS),
            (self.lower_type, LOWERS),
            (self.print_, PRINTS[1:]),
            (self.bag, BAGS[1:]),
        ):
            values += [float(chosen == name) for name in names]
        values += [
            self.sleeve,
            self.lower_length,
            float(self.hair_style in ("long", "tail", "bob")),
            float(self.backpack),
            float(self.hat),
            (self.height - 1.2) / 0.8,
            self.build,
        ]
        for worn, colour in (
            (self.backpack, self.pack),
            (self.bag != "none", self.bag_colour),
            (self.hat, self.hat_colour),
        ):
            values += [v * worn for v in colour]
        return np.clip(np.array(values, np.float32), 0, 1)


ATTRIBUTE_NAMES: tuple[str, ...] = (
    *(
        f"{part}_{channel}"
        for part in ("upper", "second", "lower", "shoes", "hair", "legs")
        for channel in "rgb"
    ),
    "skin_tone",
    *(f"garment_{name}" for name in GARMENTS),
    *(f"pattern_{name}" for name in PATTERNS),
    *(f"lower_{name.replace(' ', '')}" for name in LOWERS),
    *(f"print_{name}" for name in PRINTS[1:]),
    *(f"bag_{name}" for name in BAGS[1:]),
    "sleeve",
    "lower_length",
    "long_hair",
    "backpack",
    "hat",
    "height",
    "build",
    *(f"{part}_{channel}" for part in ("pack", "bag", "hat") for channel in "rgb"),
)
