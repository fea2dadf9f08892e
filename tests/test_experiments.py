"""The experiments at a tiny scale: they run, go on, and record what they must."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from book import experiments
from reidlib import enlarge, stages
from reidlib.errors import ReIDConfigError, ReIDError
from reidlib.profiles import FULL, SMOKE
from reidlib.quality import quality, truth
from reidlib.runs import Run

MANIFEST = {"dataset", "protocol", "profile", "seed", "data", "code", "versions"}
RIVALS = {"copied source", "cluster mean", "nearest pose", "nearest pose and look"}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = partial(quality, groups=4)
    monkeypatch.setattr(
        truth, "quality", lambda *a, **k: fast(*a, **k | {"n_boot": 20})
    )


def made(command: str, run: Run, out: Path) -> dict:
    words = [command, "--root", str(run.data.root), "--profile", "tiny"]
    return json.loads(experiments.main([*words, "--out", str(out)]).read_text())


def names_in(record: dict) -> list[str]:
    return [row["system"] for row in record["rows"]]


@pytest.mark.parametrize("command", experiments.COMMANDS)
def test_the_book_keeps_a_record_of_all_rows_that_are_made_now(command: str) -> None:
    path = experiments.RESULTS / f"synthetic-{command}.json"
    record = json.loads(path.read_text("utf-8"))
    assert record["manifest"]["command"] == command
    assert record["manifest"].keys() >= MANIFEST
    beside = ["photograph", *RIVALS, "truth"]
    wanted = {
        "generators": [*experiments.kinds(SMOKE.ptgan), *beside],
        "losses": [*experiments.changed_losses(SMOKE.ptgan), *beside],
        "recipes": [*experiments.ingredients(SMOKE.encoder)],
        "augmentation": ["real", "copies", "drawn"] * len(experiments.SHARES),
    }
    assert sorted(names_in(record)) == sorted(wanted[command])
    for row in record["rows"]:
        for part in [row, *row.values()]:
            if isinstance(part, dict) and "interval" in part:
                check_interval(part)


def check_interval(row: dict) -> None:
    """Every interval of a row holds its number, and has one."""
    for name, (low, high) in row["interval"].items():
        value = row[name]
        if value is not None and low is not None:
            assert low <= value + 1e-9 and value <= high + 1e-9, name


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("generators", experiments.kinds(SMOKE.ptgan)),
        ("losses", experiments.changed_losses(SMOKE.ptgan)),
    ],
)
def test_every_variant_of_pt_gan_is_measured_beside_the_rivals(
    command: str, names: dict, tiny_run: Run, tmp_path: Path
) -> None:
    record = made(command, tiny_run, tmp_path)
    rows = {row["system"]: row for row in record["rows"]}
    assert rows.keys() == {*names, "photograph", "truth"} | RIVALS
    assert not any("stopped" in row for row in rows.values())
    for row in rows.values():
        assert {"ssim", "person ssim", "pck share", "rank1 share", "fid"} <= {*row}
    assert rows["truth"]["ssim"] == pytest.approx(1)
    assert record["manifest"]["command"] == command
    sheet = tmp_path / f"{tiny_run.key}-{command}.png"
    assert sheet.is_file() == (command == "generators")
    if sheet.is_file():
        lines = 2 + len(names)
        size = tiny_run.profile.size[::-1]
        assert Image.open(sheet).size == (experiments.SHOWN * size[0], lines * size[1])
    assert MANIFEST | {"device", "threads"} <= record["manifest"].keys()


def test_augmentation_compares_equal_numbers_of_pictures(
    tiny_run: Run, tmp_path: Path, monkeypatch
) -> None:
    shares = (0.67, 1.0)  # the tiny run has 6 people
    monkeypatch.setattr(experiments, "SHARES", shares)
    rows = made("augmentation", tiny_run, tmp_path)["rows"]
    assert len(rows) == 6
    for row in rows:
        check_interval(row)
        for name in {"real", "copies", "drawn"} - {row["system"]}:
            check_interval(row[f"over {name}"])
    counts = {(r["identities"], r["system"]): r["pictures"] for r in rows}
    assert counts[1.0, "real"] == len(tiny_run.data.train)
    for share in shares:
        assert counts[share, "copies"] == counts[share, "drawn"]
        assert counts[share, "real"] < counts[share, "drawn"]
    config = tiny_run.folder / "r2-drawn-1" / "config.json"
    assert json.loads(config.read_text())["steps"] == 6  # twice tiny's 3


def test_copies_and_drawings_leave_the_held_out_people_alone(
    tiny_run: Run, monkeypatch
) -> None:
    seen = []
    monkeypatch.setattr(stages, "r2", lambda *_, extra, **__: seen.append(extra))
    for name in ("copies", "drawn"):
        experiments._enlarged(tiny_run, name, 2)
    out = enlarge.hold_out(tiny_run.data.train["pid"], 0.3, 0)
    table = tiny_run.data.train
    inside = np.flatnonzero(~table["pid"].isin(out))
    for images, people in seen:
        assert len(images) == len(people) == 2 * len(inside)
        assert people["pid"].tolist() == table["pid"][inside].repeat(2).tolist()
    copied = tiny_run.images("train")[inside.tolist()]
    assert torch.equal(seen[0][0][::2], copied)
    assert not torch.equal(seen[1][0][::2], copied)


def test_recipes_are_judged_on_held_out_people_and_tell_the_test(
    tiny_run: Run, tmp_path: Path
) -> None:
    rows = made("recipes", tiny_run, tmp_path)["rows"]
    assert [row["system"] for row in rows][:3] == [
        "profile",
        "profile in bf16",
        "paper",
    ]
    assert len(rows) == len(experiments.ingredients(SMOKE.encoder))
    for row in rows:
        for part in ("held out", "over profile", "test"):
            check_interval(row[part])
        assert row["score"] == pytest.approx(row["held out"]["mAP"], abs=1e-3)


def test_a_variant_differs_from_the_profile_in_what_its_name_says() -> None:
    for base in (SMOKE.ptgan, FULL.ptgan):
        variants = experiments.kinds(base) | experiments.changed_losses(base)
        for name, config in variants.items():
            mine, theirs = asdict(config), asdict(base)
            changed = {k for k in mine if mine[k] != theirs[k]} - {"alarms"}
            if name == "code mode":
                assert "steps" not in changed and "finetune_encoder" in changed
            else:
                assert len(changed) <= (2 if name == "aligned" else 1), name
    for name, config in experiments.ingredients(SMOKE.encoder).items():
        assert config.steps == SMOKE.encoder.steps, name


def test_a_rehearsal_leaves_the_stages_and_the_records_alone(tiny_run: Run) -> None:
    run = experiments.scaled(tiny_run, 0.5)
    assert run.folder != tiny_run.folder and run.scale != tiny_run.scale
    assert run.profile.encoder.steps == 2
    assert experiments.scaled(tiny_run, 1) is tiny_run


def test_a_variant_that_stops_is_a_row_and_a_mistake_is_an_error(
    tiny_run: Run, monkeypatch
) -> None:
    raised: list[Exception] = [ReIDError("it broke"), ReIDConfigError("no such kind")]

    def stops(*_: object, **__: object) -> None:
        raise raised.pop(0)

    monkeypatch.setattr(stages, "ptgan", stops)
    variants = {"paper": tiny_run.profile.ptgan}
    rows = [*experiments.drawn_rows(tiny_run, variants)]
    assert rows[0] == {"system": "paper", "stopped": "it broke"}
    assert {row["system"] for row in rows[1:]} == {"photograph", "truth"} | RIVALS
    with pytest.raises(ReIDConfigError, match="no such kind"):
        next(experiments.drawn_rows(tiny_run, variants))
