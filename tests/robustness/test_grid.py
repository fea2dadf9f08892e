"""The grid against naive loops, and what it does when it is killed or misled."""

from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from tqdm.auto import tqdm

from reidlib import robustness
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import evaluate, paired_bootstrap
from reidlib.robustness import (
    FACTORS,
    SCENES,
    corrupt,
    distances,
    factors_of,
    grid,
    one_each,
    read_table,
    scene,
)
from reidlib.robustness.spread import spread
from reidlib.runs import Run

NAMES = ["turned", "rotation"]
STEPS = {"turned": [90.0], "rotation": [20.0, 45.0]}


class Counted:
    """A system that counts the pictures it is asked to describe."""

    def __init__(self, describe: Callable[[Tensor], Tensor]) -> None:
        self.describe, self.seen = describe, 0

    def __call__(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return self.describe(images)


def coarse(images: Tensor) -> Tensor:
    """Mean colours of a 4 x 2 grid."""
    return torch.nn.functional.adaptive_avg_pool2d(images.float(), (4, 2)).flatten(1)


def fine(images: Tensor) -> Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(images.float(), (8, 4)).flatten(1)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="module")
def found(tiny_run: Run, shelf: Path):
    return grid(
        tiny_run,
        {"coarse": coarse, "fine": fine},
        NAMES,
        severities=STEPS,
        seeds=(0, 1),
        rows=one_each(tiny_run, 2),
        cache=shelf,
    )


def ids(run: Run, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    pids, gallery_pids, camids, gallery_camids = run.ids
    return pids[rows], gallery_pids, camids[rows], gallery_camids


def test_every_cell_is_what_a_plain_loop_finds(tiny_run: Run, found) -> None:
    rows = one_each(tiny_run, 2)
    gallery = tiny_run.images("gallery")
    clean = tiny_run.images("query")[rows.tolist()]
    cells = 0
    for system, describe in (("coarse", coarse), ("fine", fine)):
        for name in NAMES:
            for severity in (0.0, *STEPS[name]):
                for seed in (0, 1):
                    if name == "turned":
                        images = scene(tiny_run, name, severity, seed, rows=rows)
                    else:
                        keys = rows.tolist()
                        images = corrupt(clean, name, severity, seed, keys=keys)
                    query, known = describe(images), describe(gallery)
                    wanted = evaluate(query, known, *ids(tiny_run, rows))
                    marks = found.marks[system, name, severity, seed]
                    for metric in ("rank1", "mAP"):
                        expected = wanted.per_query(metric)
                        assert np.array_equal(marks[metric], expected, equal_nan=True)
                    cells += 1
    assert cells == len(found.marks)


def test_severity_zero_is_the_clean_result_under_every_factor(found) -> None:
    for system in found.systems:
        clean = [found.values(system, name, 0, "mAP") for name in NAMES]
        assert np.array_equal(*clean, equal_nan=True)


def test_distances_are_means_over_matches_and_over_other_people(tiny_run: Run) -> None:
    rows = np.arange(10)
    query = fine(tiny_run.images("query")[:10])
    gallery = fine(tiny_run.images("gallery"))
    near = distances(query, gallery, ids(tiny_run, rows))
    pids, gallery_pids, camids, gallery_camids = ids(tiny_run, rows)
    pairs = query.double()[:, None], gallery.double()[None]
    apart = 1 - torch.nn.functional.cosine_similarity(*pairs, dim=2).numpy()
    for row in rows:
        same = gallery_pids == pids[row]
        match = same & (gallery_camids != camids[row])
        other = ~same & (gallery_pids != -1)
        if match.any():
            assert near["intra"][row] == pytest.approx(apart[row, match].mean())
        else:
            assert np.isnan(near["intra"][row])
        assert near["inter"][row] == pytest.approx(apart[row, other].mean())


def test_differences_are_those_of_the_paired_bootstrap(tiny_run: Run, tmp_path) -> None:
    rows = one_each(tiny_run, 2)
    systems = {"coarse": coarse, "fine": fine}
    made = grid(
        tiny_run,
        systems,
        ["erasing"],
        severities={"erasing": [0.3]},
        rows=rows,
        cache=tmp_path,
    )
    images = corrupt(
        tiny_run.images("query")[rows.tolist()], "erasing", 0.3, keys=rows.tolist()
    )
    a, b = (
        evaluate(d(images), d(tiny_run.images("gallery")), *ids(tiny_run, rows))
        for d in (fine, coarse)
    )
    wanted = paired_bootstrap(a, b)
    gap = made.over("fine", "coarse", "erasing", 0.3)
    assert (gap.value, gap.low, gap.high) == pytest.approx(
        (wanted.difference, wanted.low, wanted.high)
    )


def test_seeds_are_averaged_query_by_query(found) -> None:
    each = [found.marks["fine", "rotation", 45.0, seed]["mAP"] for seed in (0, 1)]
    assert not np.array_equal(*each, equal_nan=True)
    whole = found.interval("fine", "rotation", 45.0)
    assert whole.value == pytest.approx(np.nanmean(each))
    assert found.curve("rotation")["fine"][45.0] == whole


def test_a_killed_run_goes_on_where_it_was(tiny_run: Run, tmp_path: Path) -> None:
    rows = one_each(tiny_run)

    class Killed(Counted):
        def __call__(self, images: Tensor) -> Tensor:
            if self.seen > 3 * len(rows) + len(tiny_run.data.gallery):
                raise KeyboardInterrupt
            return super().__call__(images)

    asked = {"names": NAMES, "severities": STEPS, "rows": rows, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        grid(tiny_run, {"fine": Killed(fine)}, **asked, cache=tmp_path / "a")
    unbroken, resumed, third = Counted(fine), Counted(fine), Counted(fine)
    whole = grid(tiny_run, {"fine": unbroken}, **asked, cache=tmp_path / "b")
    goes_on = grid(tiny_run, {"fine": resumed}, **asked, cache=tmp_path / "a")
    assert resumed.seen <= unbroken.seen - len(tiny_run.data.gallery) - 2 * len(rows)
    assert goes_on.table().equals(whole.table())
    last = grid(tiny_run, {"fine": third}, **asked, cache=tmp_path / "a")
    assert third.seen == 4  # the pictures by which a system is known
    wanted = [fine(tiny_run.images("query")[rows.tolist()])]
    wanted.append(fine(tiny_run.images("gallery")))
    for made in (whole, last):
        assert [*made.clean["fine"]] == ["query", "gallery"]
        pairs = zip(made.clean["fine"].values(), wanted, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_two_processes_find_what_one_finds(
    tiny_run: Run, found, shelf: Path, tmp_path: Path
) -> None:
    asked = {"severities": STEPS, "seeds": (0, 1), "rows": one_each(tiny_run, 2)}
    systems = {"coarse": coarse, "fine": fine}
    both = grid(tiny_run, systems, NAMES, **asked, cache=tmp_path, workers=2)
    assert both.table().equals(found.table())
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {p.name for p in shelf.iterdir()}


def test_the_processes_draw_no_bars_that_a_notebook_could_not_show() -> None:
    def silent(_: int) -> bool:
        return isinstance(vars(tqdm).get("__init__"), partialmethod)

    assert list(spread(silent, [0, 1, 2], 2)) == [True] * 3
    assert not silent(0)


def test_what_goes_wrong_in_a_process_is_said(tiny_run: Run, tmp_path: Path) -> None:
    def broken(images: Tensor, severity: float, generator: torch.Generator) -> Tensor:
        raise ReIDConfigError(f"a corruption of {severity} broke")

    with pytest.raises(ReIDConfigError, match="a corruption of 0.25 broke"):
        grid(
            tiny_run,
            {"fine": fine},
            ["mine"],
            rows=[0, 1],
            corruptions={"mine": broken},
            cache=tmp_path,
            workers=2,
        )


def test_another_system_of_the_same_name_is_measured_anew(
    tiny_run: Run, found, shelf: Path
) -> None:
    other = Counted(lambda images: fine(images) + 1)
    again = grid(
        tiny_run,
        {"coarse": coarse, "fine": other},
        NAMES,
        severities=STEPS,
        seeds=(0, 1),
        rows=one_each(tiny_run, 2),
        cache=shelf,
    )
    assert other.seen > len(tiny_run.data.gallery)
    assert again.key != found.key
    assert not again.table()["mAP"].equals(found.table()["mAP"])


def test_a_corruption_of_your_own_is_asked_at_four_severities(
    tiny_run: Run, tmp_path: Path
) -> None:
    def stripes(images: Tensor, severity: float, generator: torch.Generator) -> Tensor:
        made = images.clone()
        made[..., : round(severity * images.shape[-2]), :] = 0
        return made

    made = grid(
        tiny_run,
        {"fine": fine},
        ["mine"],
        corruptions={"mine": stripes},
        rows=one_each(tiny_run),
        cache=tmp_path,
    )
    assert made.severities == {"mine": (0.0, 0.25, 0.5, 0.75, 1.0)}
    marks = [made.interval("fine", "mine", s).value for s in (0.0, 1.0)]
    assert marks[1] < marks[0]
    dark = made.values("fine", "mine", 1.0, "mAP")
    # all queries are black: an unlucky tie with everybody
    assert np.nanmax(dark) < 0.2


def test_the_table_is_tidy_and_comes_back_from_its_csv(found, tmp_path: Path) -> None:
    table = found.table()
    assert len(table) == 2 * (2 + 3) * 2 == len(found.marks)
    keys = ["system", "factor", "severity", "seed"]
    assert not table.duplicated(keys).any()
    assert (table["mAP low"] <= table["mAP"]).all()
    assert (table["rank1"] <= table["rank1 high"]).all()
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_table(path, found.key), table)


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.99])
def test_a_table_that_is_cut_short_is_refused(
    found, tmp_path: Path, kept: float
) -> None:
    text = found.table().to_csv(index=False)
    path = tmp_path / "table.csv"
    path.write_text(text[: round(kept * len(text))])
    with pytest.raises(ReIDDataError, match=r"table\.csv .*write it again"):
        read_table(path)


def test_a_table_of_another_grid_is_refused(found, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    found.table().assign(grid="0" * 16).to_csv(path, index=False)
    with pytest.raises(ReIDDataError, match="of another grid"):
        read_table(path, found.key)


def test_a_file_that_is_missing_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReIDDataError, match="no table of a grid"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReIDDataError, match="lacks grid, of, system"):
        read_table(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["fog"]}, r"no factor 'fog'; choose .*corruptions=\{'fog'"),
        ({"severities": {"fog": [1]}}, "'fog', which is not asked"),
        ({"severities": {"rotation": [20, 10]}}, "give rising numbers above 0"),
        ({"severities": {"rotation": [0, 10]}}, "give rising numbers above 0"),
        ({"severities": {"rotation": []}}, "give rising numbers above 0"),
        ({"severities": {"rotation": [400]}}, "give 0 to 180 degrees"),
        ({"rows": []}, "queries, and there are 1, 1 and 0"),
        ({"seeds": ()}, "1, 0 and"),
        ({"systems": {}}, "there are 0, 1 and"),
        ({"workers": 0}, "0 workers do nothing"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_work(
    tiny_run: Run, tmp_path: Path, changes: dict, message: str
) -> None:
    counted = Counted(fine)
    asked = {"systems": {"fine": counted}, "names": ["rotation"], "rows": [0, 1]}
    with pytest.raises(ReIDConfigError, match=message):
        grid(tiny_run, cache=tmp_path, **asked | changes)
    assert counted.seen == 0


def test_photographs_know_no_scenes(tiny_run: Run, tmp_path: Path) -> None:
    elsewhere = replace(tiny_run, data=replace(tiny_run.data, root=tmp_path))
    assert factors_of(elsewhere).keys() == FACTORS.keys()
    assert factors_of(tiny_run).keys() == FACTORS.keys() | SCENES.keys()
    with pytest.raises(ReIDConfigError, match="'railing' .*no rendered world"):
        grid(elsewhere, {"fine": fine}, ["railing"], cache=tmp_path)


def test_a_mark_that_was_not_measured_is_refused(found) -> None:
    with pytest.raises(ReIDConfigError, match="no 'mAP' of 'fine' under 'JPEG' at 50"):
        found.values("fine", "JPEG", 50, "mAP")


def test_the_first_queries_of_the_first_people_are_chosen(tiny_run: Run) -> None:
    pids = tiny_run.data.query["pid"].to_numpy()
    rows = one_each(tiny_run, 2, people=3)
    assert np.unique(pids[rows]).tolist() == sorted(set(pids))[:3]
    for pid in np.unique(pids[rows]):
        assert (
            rows[pids[rows] == pid].tolist() == np.flatnonzero(pids == pid)[:2].tolist()
        )


def test_nothing_that_is_trained_depends_on_this_package() -> None:
    package = Path(robustness.__file__).parent
    for part in ("pose", "data", "models", "training", "retrieval", "quality"):
        for file in (package.parent / part).rglob("*.py"):
            assert "robustness" not in file.read_text("utf-8"), file
