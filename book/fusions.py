"""Does the paper's idea work, and why: fusions, their controls, and the ceiling.

    python -m book.fusions fusions        every rule and control, and true drawings
    python -m book.fusions poses          poses of one's own, and other numbers
    python -m book.fusions settings       Table II with the aligned generator
    python -m book.fusions generators     the kinds of G, and the code mode
    python -m book.fusions larger         the full model, and perfect drawings
    python -m book.fusions encoders       every control with an encoder of its own
    python -m book.fusions mixed          one encoder for views and drawings
    python -m book.fusions fusionnet      FusionNet without its skip and its aids

Each writes <dataset>-fusions*.json into book/results: a manifest, and one row for each
system and seed, and for each system over all --seeds, with every number's 95 % limits
over identities under "interval". What is trained are stages of a run for each seed, so
that a second call goes on where the first was stopped, and seeds can be trained side
by side.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from book.experiments import RESULTS, begun, kinds, options, stage_name
from book.rivals import AGAINST, encoders, fusionnet, mixed
from book.scoring import (
    FOUND,
    Scored,
    System,
    baseline,
    headings,
    over_seeds,
    rows_of,
    ruled,
    scored,
)
from reidlib import fusing, manifests, runs, stages
from reidlib.fusing import Evidence
from reidlib.manifests import Made
from reidlib.models import Encoder, PoseInvariantExtractor
from reidlib.pose import PoseClusterer, pose_vector
from reidlib.records import write_record
from reidlib.systems import ready
from reidlib.training import describe, extract, extract_generated

METHODS = [(t, a) for t in ("body", "joint") for a in ("kmeans", "gmm")]


def fusions(run: runs.Run, _: argparse.Namespace) -> Iterator[System]:
    """Everything that is compared, trained where it is missing."""
    paper = fusing.evidence(run)
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    drawn = fusing.evidence(run, drawer=aligned)
    yield baseline(run, drawn)
    yield ruled(run, "slots", "paper's generator", paper, fusing.slots)
    yield learned(run, "FusionNet", "paper's generator", paper)
    yield from _bake_off(run, "aligned generator", drawn)
    second = fusing.second_encoder(run, drawer=aligned)
    better = fusing.evidence(run, drawer=aligned, second=second)
    yield ruled(run, "slots, second encoder", "aligned generator", better, fusing.slots)
    base = run.profile.encoder
    triplets = replace(base, each=min(8, base.batch // 2), triplet=1.0)
    third = fusing.second_encoder(run, drawer=aligned, config=triplets)
    best = fusing.evidence(run, drawer=aligned, second=third)
    name = "slots, second encoder with triplets"
    yield ruled(run, name, "aligned generator", best, fusing.slots)
    yield from _end_to_end(run, aligned, drawn.count)
    yield from _controls(run, aligned, drawn)


def _bake_off(run: runs.Run, group: str, drawn: Evidence) -> Iterator[System]:
    """Every rule on the same evidence."""
    for rule in (fusing.mean, fusing.maximum, fusing.weighted_sum, fusing.slots):
        yield ruled(run, rule.__name__.replace("_", " "), group, drawn, rule)
    half = fusing.slots(0.5)
    width = min(drawn.source["train"].shape)
    pca = fusing.reduced(half, drawn.source["train"], drawn.drawn["train"], width)
    yield ruled(run, "slots, PCA", group, drawn, pca)
    _, made = fusing.attention(run, drawn)
    k = drawn.count
    yield System("attention", group, made, 1 + k, k, {})
    yield learned(run, "FusionNet", group, drawn)


def learned(run: runs.Run, name: str, group: str, found: Evidence) -> System:
    """FusionNet on some evidence."""
    trained, made = fusing.fusionnet(run, found)
    k = found.count
    facts = {"held out": trained.stage.metrics["score"]}
    return System(name, group, made, 1 + k, k, facts)


def _end_to_end(run: runs.Run, aligned: stages.Trained, k: int) -> Iterator[System]:
    for generator in (False, True):
        config = joint_config(run, generator)
        trained, made = fusing.joint(run, config, drawer=aligned)
        name = "FusionNet, end to end" + (" with G" if generator else "")
        facts = {"held out": trained.stage.metrics["score"], "steps": config.steps}
        yield System(name, "aligned generator", made, 1 + k, k, facts)


def joint_config(run: runs.Run, generator: bool) -> fusing.JointConfig:
    """Fine-tuning as long as the profile's Table II trains; a third of it with G.

    A step with G costs several times as much.
    """
    short, fusion = run.profile.ablation_fusion, run.profile.fusion
    return fusing.JointConfig(
        steps=max(1, short.steps // 3) if generator else short.steps,
        batch=min(32, short.batch),
        validations=short.validations,
        hidden=fusion.hidden,
        dropout=fusion.dropout,
        batchnorm=fusion.batchnorm,
        generator=generator,
    )


def _controls(
    run: runs.Run, aligned: stages.Trained, drawn: Evidence
) -> Iterator[System]:
    """What else could bring a gain, and what perfect drawings would."""
    group = "control"
    copies = fusing.evidence(run, "copies")
    yield replace(learned(run, "FusionNet, copies", group, copies), encoded=1, drawn=0)
    again = fusing.second_encoder(run, "copies", drawer=aligned)
    twice = fusing.evidence(run, "copies", second=again)
    name = "slots, second encoder on copies"
    yield ruled(run, name, group, twice, fusing.slots, False)
    for kind in ("augmented", "cleaned", "true"):
        side = group if kind == "augmented" else "ceiling"
        if side == "ceiling" and not run.rendered:
            continue
        found = fusing.evidence(run, kind, drawer=aligned)
        yield ruled(run, f"slots, {kind}", side, found, fusing.slots, False)
        if kind != "cleaned":
            yield replace(learned(run, f"FusionNet, {kind}", side, found), drawn=0)
    other = fusing.evidence(run, "strangers", drawer=aligned)
    yield ruled(run, "slots, strangers", group, other, fusing.slots(0.5))
    network = fusing.fusionnet(run, drawn)[0].network
    made_of = {s: describe(network, other.source[s], other.drawn[s]) for s in FOUND}
    k = other.count
    yield System("FusionNet, strangers", group, made_of, 1 + k, k, {})


def poses(run: runs.Run, given: argparse.Namespace) -> Iterator[System]:
    """Does it matter which poses are drawn, and how many?"""
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    found = fusing.evidence(run, drawer=aligned)
    yield baseline(run, found)
    mixed = fusing.evidence(run, "random poses", drawer=aligned)
    for group, one in (("common poses", found), ("random poses", mixed)):
        yield ruled(run, "slots", group, one, fusing.slots)
        yield learned(run, "FusionNet", group, one)
    for count in given.counts:
        chosen = stages.poses(run, n_poses=count)
        more = fusing.evidence(run, drawer=aligned, chosen=chosen)
        yield ruled(run, f"slots, K = {count}", "number of poses", more, fusing.slots)


def settings(run: runs.Run, given: argparse.Namespace) -> Iterator[System]:
    """Table II with the aligned generator: four methods, at each number of poses."""
    aligned = stages.ptgan(run, kinds(run.profile.ptgan)["aligned"], "ptgan-aligned")
    yield baseline(run, fusing.evidence(run, "copies"))
    for target, algorithm in METHODS:
        for count in given.counts:
            chosen = stages.poses(run, target, algorithm, count)
            found = fusing.evidence(run, drawer=aligned, chosen=chosen)
            group = f"{target}, {algorithm}, {count}"
            yield ruled(run, "slots", group, found, fusing.slots)
            yield learned(run, "FusionNet", group, found)


def generators(run: runs.Run, given: argparse.Namespace) -> Iterator[System]:
    """The paper's generator and its relatives, everything else alike."""
    yield baseline(run, fusing.evidence(run, "copies"))
    for name, config in kinds(run.profile.ptgan).items():
        own = config == run.profile.ptgan
        drawer = stages.ptgan(run, config, stage_name("ptgan", name, own=own))
        found = fusing.evidence(run, drawer=drawer)
        yield ruled(run, "slots", name, found, fusing.slots)
        yield learned(run, "FusionNet", name, found)


def larger(run: runs.Run, given: argparse.Namespace) -> Iterator[System]:
    """The full model, its parts, and what perfect drawings would bring.

    For worlds of many people: only query and gallery are drawn, nothing is chosen anew.
    """
    phi, content = ready(run)
    share = phi.fusion.weight
    own = {s: extract(phi.r2, run.images(s)) for s in FOUND}
    rules = {"mean": fusing.mean, "maximum": fusing.maximum}
    rules |= {"weighted sum": fusing.weighted_sum(share), "slots": fusing.slots(share)}
    drawn = _seen_of(run, phi, content, "drawn", phi.drawn_encoder)
    alone = baseline(run, Evidence("drawn", own, drawn, ()))
    yield replace(alone, facts={"weights": content})
    for name, rule in rules.items():
        found = Evidence("drawn", own, drawn, ())
        yield ruled(run, f"{name}, second encoder", "full model", found, rule)
    first = Evidence("drawn", own, _seen_of(run, phi, content, "drawn", phi.r2), ())
    yield ruled(run, "slots", "full model", first, rules["slots"])
    yield ruled(
        run,
        "slots, augmented",
        "control",
        Evidence(
            "augmented", own, _seen_of(run, phi, content, "augmented", phi.r2), ()
        ),
        rules["slots"],
        drawn=False,
    )
    for kind in ("cleaned", "true"):
        shown = Evidence(kind, own, _seen_of(run, phi, content, kind, phi.r2), ())
        yield ruled(
            run, f"slots, {kind}", "ceiling", shown, rules["slots"], drawn=False
        )


def _seen_of(
    run: runs.Run, phi: PoseInvariantExtractor, content: str, kind: str, eye: Encoder
) -> dict[str, torch.Tensor]:
    """Features (N, K, D) of the drawings, or of what stands in for them."""
    chosen, count = PoseClusterer(n_poses=len(phi.poses)), len(phi.poses)
    chosen.poses_ = phi.poses.numpy()

    def build(_: object) -> Made:
        made = {}
        for split in FOUND:
            if kind == "drawn":
                vectors = torch.as_tensor(pose_vector(phi.poses.numpy()))
                networks = phi.r1, phi.generator, eye
                made[split] = extract_generated(*networks, run.images(split), vectors)
                continue
            whole = stages.Trained(chosen, None)
            shown = fusing.pictures(run, split, kind, chosen=whole)
            seen = extract(eye, shown.flatten(0, 1))
            made[split] = seen.unflatten(0, shown.shape[:2])
        return Made(made)

    who = "r2" if eye is phi.r2 else "second"
    config = {"full model": content, "fusing": manifests.code_digest(("fusing",))}
    stage = run.stage(f"larger-{kind}-{who}", config, build)
    return {s: x.expand(-1, count, -1) for s, x in stage.tensors.items()}


ALL = (fusions, poses, settings, generators, larger, encoders, mixed, fusionnet)
COMMANDS = {command.__name__: command for command in ALL}


def main(arguments: list[str] | None = None) -> Path:
    """Compare the systems of every seed; the file that was written."""
    parser = options(__doc__, COMMANDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    found: dict[int, dict[str, Scored]] = {}
    for seed in given.seeds:
        run = begun(given, seed)
        facing = [headings(run, split) for split in FOUND]
        found[seed] = {}
        for system in COMMANDS[given.command](run, given):
            mine = scored(run, system, facing)
            found[seed][f"{system.group}: {system.name}"] = mine
            print(seed, system.group, system.name, f"{mine.result.mAP:.3f}", flush=True)
    against = AGAINST.get(given.command, {})
    rows = [row for seed, one in found.items() for row in rows_of(seed, one, against)]
    rows += over_seeds(found, against)
    manifest = {"command": given.command, "seeds": given.seeds} | run.circumstances()
    manifest["test identities"] = int(run.data.query["pid"].nunique())
    manifest["counts"] = given.counts
    manifest["code of fusing"] = manifests.code_digest(("fusing",))
    name = "fusions" if given.command == "fusions" else f"fusions-{given.command}"
    path = given.out / f"{run.key}-{name}.json"
    write_record(path, {"manifest": manifest, "rows": rows})
    print(path)
    return path


if __name__ == "__main__":
    main()
