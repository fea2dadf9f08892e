"""Two questions about `book/fusions.py`'s winners, each with a matched control.

Drawings have an encoder of their own in the full model. What would any other evidence
bring, if it had one, too? And FusionNet: which of its parts does what?
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from book.experiments import kinds
from book.scoring import Row, System, baseline, ruled
from reidlib import fusing, runs, stages
from reidlib.data import validation_split
from reidlib.fusing import Evidence
from reidlib.retrieval import as_record, bootstrap, evaluate
from reidlib.training import describe

# What every row of a command is compared with beside R2: label → "group: system".
AGAINST = {
    "poses": {"common poses": "common poses: slots"},
    "encoders": {
        "drawings": "aligned generator: drawn",
        "views": "control: augmented",
        "views and copies": "control: augmented and copies",
    },
    "mixed": {
        "views": "control: augmented",
        "more views": "control: more views",
        "drawings": "aligned generator: drawn",
    },
    "fusionnet": {"FusionNet": "FusionNet: as printed"},
}
EVIDENCE = {
    "drawn": "aligned generator",
    "random poses": "aligned generator",
    "copies": "control",
    "augmented": "control",
    "cleaned": "ceiling",
}
MIXED = {
    "drawn": "aligned generator",
    "augmented": "control",
    "more views": "control",
    "views and drawings": "aligned generator",
}
TOGETHER = {"copies": "augmented and copies", "drawn": "augmented and drawn"}


def encoders(run: runs.Run, _: argparse.Namespace) -> Iterator[System]:
    """Slots on each kind of evidence, seen by an encoder that was trained on it.

    And on views together with drawings: do these know what those do not? The control
    has as many networks: views together with copies.
    """
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    yield baseline(run, fusing.evidence(run, "copies"))
    seen = {}
    for kind, group in EVIDENCE.items():
        if group == "ceiling" and not run.rendered:
            continue
        seen[kind] = seen_by_its_own(run, kind, aligned)
        drawn = group == "aligned generator"
        yield ruled(run, kind, group, seen[kind], fusing.slots, drawn)
    views = seen["augmented"]
    for kind, name in TOGETHER.items():
        more = seen[kind].drawn
        both = {s: torch.cat([x, more[s]], 1) for s, x in views.drawn.items()}
        mixed = replace(views, drawn=both)
        whole = ruled(run, name, EVIDENCE[kind], mixed, fusing.slots, False)
        k = views.count
        count, encoded = (k, 1 + 2 * k) if kind == "drawn" else (0, 2 + k)
        yield replace(whole, drawn=count, encoded=encoded)


def mixed(run: runs.Run, _: argparse.Namespace) -> Iterator[System]:
    """One encoder learns views and drawings, another learns as many views.

    That is one network less than where `encoders` joins the two.
    """
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    yield baseline(run, fusing.evidence(run, "copies"))
    k = len(stages.poses(run).network.poses_)
    for kind, group in MIXED.items():
        found = seen_by_its_own(run, kind, aligned)
        made = ruled(run, kind, group, found, fusing.slots)
        yield replace(made, drawn=0 if group == "control" else k)


def seen_by_its_own(run: runs.Run, kind: str, drawer: stages.Trained) -> Evidence:
    """A kind of evidence, seen by an encoder that was trained on it."""
    eye = fusing.second_encoder(run, kind, drawer=drawer)
    return fusing.evidence(run, kind, drawer=drawer, second=eye)


def fusionnet(run: runs.Run, _: argparse.Namespace) -> Iterator[System]:
    """FusionNet as printed, without its skip, and without each aid against overfitting.

    Beside the test, each row says the mAP among people whom it was fitted on and among
    as many that were held out (early stopping looks at the latter).
    """
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    found = fusing.evidence(run, drawer=aligned)
    yield replace(baseline(run, found), facts=_known(run, found.source["train"]))
    plain = run.profile.fusion
    aids: dict[str, dict[str, Any]] = {
        "dropout": {"dropout": 0.0},
        "batch norm": {"batchnorm": False},
        "weight decay": {"weight_decay": 0.0},
        "early stopping": {"patience": 0, "keep": "last"},
    }
    variants = {"as printed": (found, plain)}
    variants["without the skip"] = without_skip(found), plain
    for name, change in aids.items():
        variants[f"without {name}"] = found, replace(plain, **change)
    bare = {name: value for change in aids.values() for name, value in change.items()}
    variants["without all four"] = found, replace(plain, **bare)
    for name, (shown, config) in variants.items():
        # a kind of its own is a stage of its own
        own = shown if name == "as printed" else replace(shown, kind=name)
        trained, made = fusing.fusionnet(run, own, config)
        known = describe(trained.network, shown.source["train"], shown.drawn["train"])
        k = found.count
        yield System(name, "FusionNet", made, 1 + k, k, _known(run, known))


def without_skip(found: Evidence) -> Evidence:
    """The same features, all of them beside each other, and zeros for add_1 to add."""
    beside = {
        s: torch.cat([x[:, None], found.drawn[s]], 1) for s, x in found.source.items()
    }
    nothing = {s: torch.zeros_like(x) for s, x in found.source.items()}
    return replace(found, source=nothing, drawn=beside)


def _known(run: runs.Run, made: Tensor) -> Row:
    """mAP among held-out training identities, and among as many fitted ones."""
    table = run.data.train
    out = validation_split(table["pid"], run.profile.fusion.held_out, run.seed)
    held, fitted = (np.unique(table["pid"][rows]) for rows in (out, ~out))
    few = np.random.default_rng(run.seed).permutation(fitted)[: len(held)]
    facts = {}
    for name, people in (("fitted", few), ("held out", held)):
        rows = table["pid"].isin(people).to_numpy()
        some = made[torch.tensor(rows)]
        pids, camids = table.loc[rows, ["pid", "camid"]].to_numpy().T
        found = evaluate(some, some, pids, pids, camids, camids)
        facts[name] = as_record(bootstrap(found, seed=run.seed))
    return facts
