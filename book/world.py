"""How good is the synthetic world? Every figure that the book quotes about it.

    python book/world.py poses MARKET           real keypoints, in numbers
    python book/world.py transfer MARKET        train on the world, retrieve photographs
    python book/world.py difficulty             histograms and a trained R2 at home

`MARKET` is Market-1501's folder; of its training half a quarter of the identities is
held out and asked (protocol `holdout`). `--full` takes a ResNet-50 and a GPU. Each
command writes one file of numbers, world-<command>.json, into book/results.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from safetensors.torch import save_file
from torch import Tensor

from reidlib import manifests
from reidlib.data import load_dataset, read_images
from reidlib.data.synthetic import PRESETS, World, write_world
from reidlib.data.synthetic.plan import image_count
from reidlib.models import Encoder
from reidlib.pose import joint_statistics, read_annotation_csv, torso_valid, views
from reidlib.profiles import SMOKE
from reidlib.records import write_record
from reidlib.retrieval import as_record, bootstrap, evaluate
from reidlib.training import (
    EncoderConfig,
    extract,
    train_attributes,
    train_identities,
)

RESULTS = Path(__file__).resolve().parent / "results"
WORLD_SEED = 77  # a world that no chapter and no test sees


@dataclass(frozen=True)
class Scale:
    """How much is rendered and trained: first clothes, then identities."""

    size: tuple[int, int]
    people: int  # one picture each, for their clothes
    ids: int
    images_per_id: float
    clothes: EncoderConfig
    identities: EncoderConfig


_CLOTHES = replace(SMOKE.attributes, steps=700, held_out=0.03, validations=2)
_PEOPLE = replace(_CLOTHES, steps=500, lr=1e-3, bottleneck=512, label_smoothing=0.1)
SMALL = Scale((64, 32), 6000, 1500, 6.0, _CLOTHES, _PEOPLE)
FULL = Scale(
    (256, 128),
    60_000,
    8000,
    17.2,
    replace(_CLOTHES, arch="resnet50", steps=20_000, batch=128),
    replace(_PEOPLE, arch="resnet50", steps=60_000, batch=128, augmentation="strong"),
)

# What each ingredient of the world buys: the world without it.
VARIANTS: dict[str, dict] = {
    "whole world": {},
    "no look-alikes": {"lookalikes": 0.0},
    "no occluders": {"occluders": 0.0},
    "plain clothes": {"plain": True},
    "one camera style": {"style": 1},
}


def hsv_stripes(images: Tensor, stripes: int = 8) -> Tensor:
    """Colour histograms of horizontal stripes, the classical baseline.

    Args:
        images: (N, 3, H, W) uint8.

    Returns:
        (N, stripes * 224) float32, square roots of shares: 8 x 4 x 4 joint bins of
        hue, saturation and value, and 3 x 32 marginal ones.
    """
    out = []
    for part in images.split(256):
        rgb = part.float() / 255
        value, least = rgb.amax(1), rgb.amin(1)
        chroma = value - least
        r, g, b = rgb.unbind(1)
        safe = chroma.clamp(min=1e-6)
        hue = torch.where(
            value == r,
            ((g - b) / safe) % 6,
            torch.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4),
        )
        planes = (hue / 6, chroma / value.clamp(min=1e-6), value)
        fine = [(p * 32).long().clamp(0, 31) + 32 * k for k, p in enumerate(planes)]
        h, s, v = (
            (p * n).long().clamp(0, n - 1)
            for p, n in zip(planes, (8, 4, 4), strict=True)
        )
        codes = torch.stack([*fine, 96 + (h * 4 + s) * 4 + v], 1)
        row = torch.arange(images.shape[2]) * stripes // images.shape[2]
        codes = codes + (row * 224)[:, None]
        picture = torch.arange(len(part))[:, None] * (224 * stripes)
        counts = (
            (codes.flatten(1) + picture)
            .flatten()
            .bincount(minlength=len(part) * 224 * stripes)
        )
        out.append(counts.view(len(part), -1).float().sqrt())
    return torch.cat(out)


def pictures(
    world: dict, pids: range, mean: float, size: tuple[int, int]
) -> tuple[Tensor, pd.DataFrame, Tensor]:
    """Pictures of a world in memory.

    Returns:
        (N, 3, H, W) uint8, their table, and (N, A) what the people wear.
    """
    options = dict(world)
    if style := options.pop("style", None):
        one = World(WORLD_SEED).cameras[style - 1]
        options["cameras"] = [replace(one, camid=k) for k in range(1, 7)]
    parts = Parallel(n_jobs=os.cpu_count())(
        delayed(_render)(options, pids[k : k + 40], mean, size)
        for k in range(0, len(pids), 40)
    )
    images, tables, clothes = zip(*parts, strict=True)
    return torch.cat(images), pd.concat(tables, ignore_index=True), torch.cat(clothes)


def _render(
    options: dict, pids: range, mean: float, size: tuple[int, int]
) -> tuple[Tensor, pd.DataFrame, Tensor]:
    world = World(WORLD_SEED, **options)
    counts = {p: image_count(WORLD_SEED, p, mean) if mean > 1 else 1 for p in pids}
    shots = [world.shot(pid, k) for pid, count in counts.items() for k in range(count)]
    table = pd.DataFrame([(s.person.pid, s.camera) for s in shots])
    clothes = np.stack([s.person.attributes() for s in shots])
    columns = ["pid", "camid"]
    return (
        world.take(shots, size).image,
        table.set_axis(columns, axis=1),
        torch.from_numpy(clothes),
    )


def learn_clothes(world: dict, scale: Scale, seed: int, path: Path) -> None:
    """Train a trunk to say what people wear, and write it to a file."""
    pids = range(100_001, 100_001 + scale.people)
    images, table, clothes = pictures(world, pids, 1, scale.size)
    persons = torch.tensor(table["pid"].to_numpy())
    encoder, _ = train_attributes(images, clothes, persons, scale.clothes, seed=seed)
    trunk = {k: v for k, v in encoder.state_dict().items() if k.startswith("trunk")}
    save_file({k: v.cpu().contiguous() for k, v in trunk.items()}, path)


def learn(world: dict, scale: Scale, seed: int) -> tuple[Encoder, dict]:
    """An encoder that has seen synthetic people only: their clothes, then who is who.

    Returns:
        the encoder, and how much it saw.
    """
    pids = range(1, scale.ids + 1)
    with tempfile.TemporaryDirectory() as place:
        trunk = Path(place) / "trunk.safetensors"
        learn_clothes(world, scale, seed, trunk)
        images, table, _ = pictures(world, pids, scale.images_per_id, scale.size)
        encoder, _ = train_identities(
            images, table, scale.identities, weights=trunk, seed=seed
        )
    seen = {"people": scale.people, "identities": scale.ids, "images": len(images)}
    return encoder, seen


def score(query: Tensor, gallery: Tensor, tables: list[pd.DataFrame]) -> dict:
    """Rank-1 and mAP with intervals, of cosine similarity."""
    columns = [t[c].to_numpy() for c in ("pid", "camid") for t in tables]
    result = evaluate(query, gallery, *columns)
    return as_record(bootstrap(result)) | {"queries": result.n_queries}


def poses(market: Path) -> dict:
    """Statistics of the real keypoints of Market's training half."""
    found = read_annotation_csv(market / "market-annotation-train.csv")
    points = np.stack([*found.values()])[..., :2] / [64, 128]
    view = pd.Series(views(points)).value_counts(normalize=True)
    return {
        "source": "OpenPose (18 joints) on Market-1501's bounding_box_train",
        "images": len(points),
        "joints": joint_statistics(points).dropna().round(4).to_dict("index"),
        "views": view.round(4).to_dict(),
        "whole_torso": round(float(torso_valid(points).mean()), 4),
        "nothing": round(float(np.isnan(points[..., 0]).all(1).mean()), 4),
    }


def transfer(market: Path, scale: Scale, only: list[str], seeds: int) -> dict:
    """Train on synthetic people only, and ask real photographs."""
    data = load_dataset("market1501", market, protocol="holdout")
    tables = [data.query, data.gallery]
    real = [read_images(t, scale.size, data.root) for t in tables]
    torch.manual_seed(0)
    untrained = scale.identities.build(1).eval()
    out: dict = {
        "protocol": "market1501 holdout, 25 % of the identities of the training half",
        "world": WORLD_SEED,
        "scale": json.loads(json.dumps(asdict(scale))),
        "HSV stripes": score(*(hsv_stripes(part) for part in real), tables),
        "untrained": score(*(features(untrained, part) for part in real), tables),
    }
    _show(out)
    for name in only or VARIANTS:
        for seed in range(seeds):
            start = time.monotonic()
            encoder, seen = learn(VARIANTS[name], scale, seed)
            found = score(*(features(encoder, part) for part in real), tables)
            label = name if seed == 0 else f"{name}, seed {seed}"
            out[label] = found | seen | {"seconds": round(time.monotonic() - start)}
            _show({label: found})
    return out


def features(encoder: Encoder, images: Tensor) -> Tensor:
    """(N, D) mean of the features of a picture and of its mirror image."""
    return (extract(encoder, images) + extract(encoder, images.flip(3))) / 2


def difficulty(scale: Scale) -> dict:
    """Histograms and a trained R2 on the world itself, and pose by pose."""
    preset = PRESETS["market"]
    config = replace(scale.identities, steps=4 * scale.identities.steps)
    with tempfile.TemporaryDirectory() as place:
        root = write_world(Path(place) / "world", **preset)
        data = load_dataset("synthetic", root)
        facts = pd.read_csv(root / "images.csv", index_col="name")
        parts = [data.query, data.gallery]
        images = [read_images(t, scale.size, data.root) for t in parts]
        train = read_images(data.train, scale.size, data.root)
    out: dict = {
        "world": json.loads(json.dumps(preset)),
        "protocol": data.protocol,
        "encoder": asdict(config),
        "size": list(scale.size),
        "HSV stripes": score(*(hsv_stripes(part) for part in images), parts),
    }
    _show(out)
    with tempfile.TemporaryDirectory() as place:  # as in chapter 3: first R1, then R2
        trunk = Path(place) / "trunk.safetensors"
        learn_clothes({}, scale, 0, trunk)
        encoder, _ = train_identities(train, data.train, config, weights=trunk)
    found = [features(encoder, part) for part in images]
    out["R2"] = score(*found, parts)
    heading = [
        np.cos(np.radians(facts.loc[[Path(p).name for p in t["path"]], "heading"]))
        for t in parts
    ]
    q, g = (h.to_numpy() for h in heading)
    for name, keep in (("same side", q[:, None] * g > 0), ("other side", None)):
        keep = q[:, None] * g <= 0 if keep is None else keep
        out[f"R2, matches seen from the {name}"] = _only(found, parts, keep)
    _show(out)
    return out


def _only(found: list[Tensor], tables: list[pd.DataFrame], keep: np.ndarray) -> dict:
    """The score when of a query's matches only those under `keep` count, others go."""
    ap, hits = [], []
    query, gallery = (f / f.norm(dim=1, keepdim=True) for f in found)
    pids, camids = tables[1]["pid"].to_numpy(), tables[1]["camid"].to_numpy()
    rows = zip(tables[0]["pid"], tables[0]["camid"], strict=True)
    for k, (pid, camid) in enumerate(rows):
        match = pids == pid
        drop = match & ((camids == camid) | ~keep[k]) | (pids == -1)
        if not (match & ~drop).any():
            continue
        values = (query[k] @ gallery.T).numpy()[~drop]
        order = match[~drop][np.argsort(-values, kind="stable")]
        places = np.flatnonzero(order) + 1
        ap.append((np.arange(1, len(places) + 1) / places).mean())
        hits.append(order[0])
    return {"queries": len(ap), "first": float(np.mean(hits)), "AP": float(np.mean(ap))}


def _show(found: dict) -> None:
    for name, value in found.items():
        if isinstance(value, dict) and "rank1" in value:
            print(f"{name}: rank-1 {value['rank1']:.3f}, mAP {value['mAP']:.3f}")
        elif isinstance(value, dict) and "AP" in value:
            print(f"{name}: first {value['first']:.3f}, AP {value['AP']:.3f}")


def _write(name: str, make: Callable[[], dict]) -> None:
    start = time.monotonic()
    found = make()
    code = manifests.code_digest(("data/synthetic", "training", "models"))
    found["manifest"] = {"command": name, "code": code} | manifests.circumstances(
        time.monotonic() - start
    )
    write_record(RESULTS / f"world-{name}.json", found)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = parser.add_subparsers(dest="command", required=True)
    names.add_parser("poses").add_argument("market", type=Path)
    one = names.add_parser("transfer")
    one.add_argument("market", type=Path)
    one.add_argument("--only", nargs="+", choices=VARIANTS, default=[])
    one.add_argument("--seeds", type=int, default=1)
    two = names.add_parser("difficulty")
    for command in (one, two):
        command.add_argument("--full", action="store_true")
    given = parser.parse_args()
    scale = FULL if getattr(given, "full", False) else SMALL
    commands = {
        "poses": lambda: poses(given.market),
        "transfer": lambda: transfer(given.market, scale, given.only, given.seeds),
        "difficulty": lambda: difficulty(scale),
    }
    _write(given.command, commands[given.command])


if __name__ == "__main__":
    main()
