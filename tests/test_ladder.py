"""Whether drawings add to an R2 that had everything else: tiny, and as recorded."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from book import ladder
from reidlib.records import read_record
from reidlib.runs import Run
from tests.test_experiments import MANIFEST, check_interval


def test_the_cosine_is_the_shares_of_the_cosines() -> None:
    torch.manual_seed(0)
    base, more = torch.randn(2, 5), torch.randn(2, 3, 4)
    a, b = ladder.beside(0.4)(base, more)
    own = torch.cosine_similarity(base[0], base[1], dim=0)
    each = torch.cosine_similarity(more[0], more[1], dim=1)
    assert a @ b == pytest.approx(float(0.6 * own + 0.4 * each.mean()), abs=1e-6)
    assert F.normalize(a, dim=0).tolist() == pytest.approx(a.tolist(), abs=1e-6)


def test_every_system_is_compared_with_the_one_it_is_built_on(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--root", str(tiny_run.data.root), "--profile", "tiny"]
    record = read_record(ladder.main([*words, "--out", str(tmp_path)]))
    assert record["manifest"].keys() >= MANIFEST
    rows = {row["system"]: row for row in record["rows"]}
    assert len(rows) == 11
    for name, row in rows.items():
        check_interval(row)
        check_interval(row["over base"])
        gap = row["mAP"] - rows[row["base"]]["mAP"]
        assert row["over base"]["mAP"] == pytest.approx(gap)
        assert ("weight" in row) == ("+" in name)
    pairs = {
        "R2 + drawings": f"R2 + {ladder.MATCHED}",
        f"R2 + {ladder.MIXED}": f"R2 + {ladder.MORE}",
        "trained on + drawings": f"trained on + {ladder.MATCHED}",
    }
    assert {name for name, row in rows.items() if "over views" in row} == {*pairs}
    for name, rival in pairs.items():
        drawn, views = rows[name], rows[rival]
        check_interval(drawn["over views"])
        gap = drawn["mAP"] - views["mAP"]
        assert drawn["over views"]["mAP"] == pytest.approx(gap)
    assert rows["R2"]["base"] == "R2"


def test_the_recorded_drawings_add_to_training_on_and_to_views() -> None:
    record = read_record(ladder.RESULTS / "market1501-holdout-ladder-longer.json")
    rows = {row["system"]: row for row in record["rows"]}
    for name in ("R2", "trained on", "trained on + views"):
        over = rows[f"{name} + drawings"]["over base"]
        assert over["interval"]["mAP"][0] > 0
        low, high = over["interval"]["rank1"]
        assert low < 0 < high  # what the chapter says


def test_the_recorded_fair_control_is_ahead_on_small_photographs() -> None:
    record = read_record(ladder.RESULTS / "market1501-holdout-ladder-smoke.json")
    rows = {row["system"]: row for row in record["rows"]}
    for name in ("drawings", ladder.MIXED):
        assert rows[f"R2 + {name}"]["over base"]["interval"]["mAP"][0] > 0
        assert rows[f"R2 + {name}"]["over views"]["interval"]["mAP"][1] < 0
    added = rows[f"trained on + {ladder.MATCHED} + drawings"]["over base"]
    assert added["interval"]["mAP"][0] > 0 and added["mAP"] < 0.01
