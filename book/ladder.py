"""Do drawings add to an R2 that had everything else?

    python -m book.ladder --dataset market1501 --root data/Market-1501-v15.09.15

A gain over R2 may come from what the drawings bring along: an encoder that was trained
further, more looks at one picture, or a second network. So R2 is given these first: as
many more steps on photographs as the drawings' encoder had on drawings, then shifted
and mirrored views. Every system is compared with the one that it is built on, and the
share of what is added is the one with the highest mAP among held-out training
identities. Drawings are also compared with what differs from them in the poses only:
as many views in their place, seen by an encoder that was trained on views for as long
("views, own encoder"). At last one encoder learns views and drawings alike, and is
compared with one that learned as many views. Writes <dataset>-ladder-<profile>.json
into book/results. What is trained are stages of a run.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from book.experiments import RESULTS, Row, begun, difference, kinds, options
from book.scoring import held_out_weight
from reidlib import fusing, manifests, runs, stages
from reidlib.ablation import SPLITS
from reidlib.records import write_record
from reidlib.retrieval import as_record, bootstrap

Features = dict[str, Tensor]  # of every split
MATCHED = "views, own encoder"
MIXED, MORE = "views and drawings, one encoder", "more views, own encoder"


def beside(weight: float) -> fusing.Rule:
    """Slots whose first may have any width: the share of the others is ``weight``."""

    def rule(base: Tensor, more: Tensor) -> Tensor:
        own = (1 - weight) ** 0.5 * F.normalize(base, dim=1)
        each = (weight / more.shape[1]) ** 0.5 * F.normalize(more, dim=2)
        return torch.cat([own, each.flatten(1)], dim=1)

    return rule


def added(run: runs.Run, base: Features, more: Features) -> tuple[Features, float]:
    """Descriptors with (N, K, D) more features beside them, and their share."""
    weight = held_out_weight(run, beside, base["train"], more["train"])
    return {s: beside(weight)(base[s], more[s]) for s in SPLITS}, weight


def ladder(run: runs.Run) -> Iterator[Row]:
    """A row for each system."""
    drawer = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    eyes = {
        kind: fusing.second_encoder(run, kind, drawer=drawer)
        for kind in ("drawn", "copies", "augmented", "more views", "views and drawings")
    }
    found = fusing.evidence(run, drawer=drawer, second=eyes["drawn"])
    further = fusing.evidence(run, "copies", drawer=drawer, second=eyes["copies"])
    views = fusing.evidence(run, "augmented", second=eyes["copies"]).drawn
    matched = fusing.evidence(run, "augmented", second=eyes["augmented"]).drawn
    mixed, rivals = (
        fusing.evidence(run, kind, drawer=drawer, second=eyes[kind]).drawn
        for kind in ("views and drawings", "more views")
    )
    made: dict[str, Features] = {
        "R2": found.source,
        "trained on": {s: x[:, 0] for s, x in further.drawn.items()},
    }
    results = {}
    for name, base, more in (
        ("R2", "R2", None),
        (f"R2 + {MATCHED}", "R2", matched),
        ("R2 + drawings", "R2", found.drawn),
        (f"R2 + {MORE}", "R2", rivals),
        (f"R2 + {MIXED}", "R2", mixed),
        ("trained on", "R2", None),
        (f"trained on + {MATCHED}", "trained on", matched),
        ("trained on + drawings", "trained on", found.drawn),
        (f"trained on + {MATCHED} + drawings", f"trained on + {MATCHED}", found.drawn),
        ("trained on + views", "trained on", views),
        ("trained on + views + drawings", "trained on + views", found.drawn),
    ):
        row: Row = {"system": name, "base": base}
        if more is not None:
            made[name], row["weight"] = added(run, made[base], more)
        mine = run.evaluate(made[name]["query"], made[name]["gallery"])
        results[name] = mine
        row |= as_record(bootstrap(mine, seed=run.seed))
        row["over base"] = difference(mine, results[base], run.seed)
        rival = f"{base} + {MORE if name.endswith(MIXED) else MATCHED}"
        if "drawings" in name and rival in results:
            row["over views"] = difference(mine, results[rival], run.seed)
        yield row


def main(arguments: list[str] | None = None) -> Path:
    """Train what is missing; the file that was written."""
    parser = options(__doc__)
    parser.set_defaults(profile="longer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given: argparse.Namespace = parser.parse_args(arguments)
    run = begun(given, given.seed)
    rows = []
    for row in ladder(run):
        rows.append(row)
        print(f"{row['system']} rank-1 {row['rank1']:.3f} mAP {row['mAP']:.3f}")
    manifest = run.circumstances()
    manifest["code of fusing"] = manifests.code_digest(("fusing",))
    path = given.out / f"{run.key}-ladder-{given.profile}.json"
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
