"""The conventions behind a retrieval number, and the named sets of them.

What differs between the tools and the papers of the field is in one table,
`PROTOCOLS`; every entry may be overridden by an argument of `evaluate`.

| protocol           | camera   | CMC                 | AP        | orphans | else     |
|--------------------|----------|---------------------|-----------|---------|----------|
| market1501         | drop     | first-match         | step      | skip    |          |
| dukemtmc           | drop     | first-match         | step      | skip    |          |
| holdout            | drop     | first-match         | step      | skip    |          |
| market1501-mq      | drop     | first-match         | step      | skip    | mean pool|
| cuhk03-np          | drop     | first-match         | step      | skip    |          |
| cuhk03-classic     | drop-all | single-gallery-shot | step      | skip    |          |
| cuhk01             | drop-all | single-gallery-shot | step      | skip    |          |
| cuhk01-100         | drop-all | single-gallery-shot | step      | skip    |          |
| folder             | drop     | first-match         | step      | skip    |          |
| folder-no-cameras  | keep     | first-match         | step      | skip    |          |
| holdout-no-cameras | keep     | first-match         | step      | skip    |          |
| torchreid          | drop     | first-match         | step      | skip    |          |
| layumi             | drop     | first-match         | trapezoid | zero    |          |
| open-reid          | drop     | all-shots           | step      | skip    | together |

The two "-no-cameras" are for images of which nobody says what camera took them.

open-reid prints three CMCs and returns all-shots; its other two are "market1501" and
"cuhk03-classic". torchreid's rule for CUHK03 is the latter with same_camera="drop".
Both draw ten times where we take the exact expectation (`repeats=10` draws as well).

Sources: the tools' evaluation files; Zheng et al. (Market-1501, both APs, multi-query),
3.3 (CUHK03 and the flags of open-reid), 3.4 (CUHK01). Pid -1 is junk everywhere:
torchreid and open-reid leave these images out when they read the files, the others when
they rank. The three tools sort by score and leave ties to file order; no protocol can
reproduce that. Ours puts them in the worst order; "together" is what scikit-learn's AP
does for open-reid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from types import MappingProxyType
from typing import Any, TypedDict

from reidlib.errors import ReIDConfigError

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ap": ("step", "trapezoid"),
        "orphans": ("skip", "zero", "error"),
        "same_camera": ("drop", "keep", "drop-all"),
        "cmc": ("first-match", "single-gallery-shot", "all-shots"),
        "ties": ("worst", "best", "expected", "together"),
        "multi_query": ("none", "mean", "max"),
    }
)


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ReIDConfigError, listing the choices, unless value is one of them."""
    if value not in tuple(choices):
        raise ReIDConfigError(
            f"{name}={value!r} is not known; choose from {', '.join(choices)}."
        )


@dataclass(frozen=True)
class Conventions:
    """Everything about a retrieval number that papers leave unsaid.

    Attributes:
        ap: "step", (1/R) sum of i / r_i over the 1-based ranks r_i of the R matches;
            "trapezoid", the mean of the precision before and at each match.
        orphans: queries without a match: "skip" them, count them as "zero", "error".
        same_camera: the query's camera in the gallery: "drop" its images of the
            query's identity; "drop-all" its images of anybody; "keep" them all, so
            that a match in the same camera counts (and the query itself, if it is
            in the gallery).
        junk_pids: identities that no list holds.
        cmc: "first-match", is one of the first k right; "all-shots", the share of
            matches that are among the first k once the other matches are taken
            out; "single-gallery-shot", the first match when one gallery image of
            each identity is drawn.
        ties: equal scores: the "worst" or the "best" order for the query; the
            "expected" value over all orders (exact, in closed form); "together",
            AP takes precision at the end of each tie, as scikit-learn does, and
            CMC and mINP are those of the worst order.
        multi_query: pool the query features of one identity in one camera by
            "mean" or "max"; "none" takes each image for itself.
        repeats: gallery draws of each query under "single-gallery-shot"; None is
            the exact expectation over all draws, which no seed can move.
        seed: of the draws.
    """

    ap: str = "step"
    orphans: str = "skip"
    same_camera: str = "drop"
    junk_pids: tuple[int, ...] = (-1,)
    cmc: str = "first-match"
    ties: str = "worst"
    multi_query: str = "none"
    repeats: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        if self.ties == "together" and self.ap == "trapezoid":
            raise ReIDConfigError(
                "ties='together' has no trapezoidal AP; choose ap='step', or "
                "ties='worst', 'best' or 'expected'."
            )
        if self.repeats is not None:
            check_count("repeats", self.repeats)
        if not _whole_numbers(self.junk_pids):
            raise ReIDConfigError(
                f"junk_pids={self.junk_pids!r} must be a tuple of whole numbers, "
                "such as (-1,) or ()."
            )

    def __str__(self) -> str:
        parts = [f"{self.ap} AP"]
        for name, usual in (
            ("cmc", "first-match"),
            ("orphans", "skip"),
            ("same_camera", "drop"),
            ("junk_pids", (-1,)),
            ("ties", "worst"),
            ("multi_query", "none"),
        ):
            value = getattr(self, name)
            if value != usual:
                parts.append(f"{name} {value}")
        if self.cmc == "single-gallery-shot":
            parts.append(f"{self.repeats} draws" if self.repeats else "exact")
        return ", ".join(parts)


def _whole_numbers(values: Any) -> bool:
    """Is it a tuple of whole numbers?"""
    return isinstance(values, tuple) and all(
        isinstance(value, Integral) for value in values
    )


class Options(TypedDict, total=False):
    """Conventions given one by one; None or absent: the protocol's own."""

    same_camera: str | None
    junk_pids: tuple[int, ...] | None
    cmc: str | None
    ties: str | None
    multi_query: str | None
    repeats: int | None
    seed: int | None


_MARKET = Conventions()
_ONE_SHOT = Conventions(cmc="single-gallery-shot", same_camera="drop-all")
_NO_CAMERAS = Conventions(same_camera="keep")

PROTOCOLS: Mapping[str, Conventions] = MappingProxyType(
    {
        "market1501": _MARKET,
        "dukemtmc": _MARKET,
        "holdout": _MARKET,
        "market1501-mq": Conventions(multi_query="mean"),
        "cuhk03-classic": _ONE_SHOT,
        "cuhk03-np": _MARKET,
        "cuhk01": _ONE_SHOT,
        "cuhk01-100": _ONE_SHOT,
        "folder": _MARKET,
        "folder-no-cameras": _NO_CAMERAS,
        "holdout-no-cameras": _NO_CAMERAS,
        "torchreid": _MARKET,
        "layumi": Conventions(ap="trapezoid", orphans="zero"),
        "open-reid": Conventions(cmc="all-shots", ties="together"),
    }
)


def conventions(protocol: str, options: Mapping[str, Any]) -> Conventions:
    """The protocol's conventions with those that were given in their place.

    >>> conventions("layumi", {"orphans": "skip", "ap": None}).ap
    'trapezoid'
    """
    check_choice("protocol", protocol, PROTOCOLS)
    known = [field.name for field in fields(Conventions)]
    for name in options:
        check_choice("option", name, known)
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(given.get("junk_pids"), list):
        given["junk_pids"] = tuple(given["junk_pids"])
    return replace(PROTOCOLS[protocol], **given)


def check_count(name: str, value: Any) -> None:
    """Raise ReIDConfigError unless value is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ReIDConfigError(f"{name} is {value}; give a whole number, 1 or more.")
