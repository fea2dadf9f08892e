"""The labs: marked by nbgrader, taken by a student, failed by plausible mistakes."""

import inspect
import os
import re
from pathlib import Path
from pydoc import locate
from typing import Any

import matplotlib
import nbformat
import pytest
import torch
from nbformat import NotebookNode

from book import labs as course
from book import tools
from reidlib import labs
from reidlib.training import extract

SOURCES = course.sources()
PAGE = (tools.REPOSITORY / "book" / "labs.md").read_text("utf-8")
# What a student may well write: tests that are seen pass it, those that are hidden not.
MISTAKES = {
    "lab1_metric": ("cosine", "np.where(length > 0, length, 1)", "length"),
    "lab2_parts": ("stripes", ".mean(dim=(3, 4))", ".amax(dim=(3, 4))"),
    "lab3_poses": ("farthest", "if len(used) < self.n_poses", "if len(used) < 1"),
    "lab4_fusion": ("reliable", "(agreement / temperature)", "agreement"),
    "lab5_robustness": ("corrupt", "edge = ", "rng.manual_seed(0)\n    edge = "),
}
lab = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def identity(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def run(cells: list[NotebookNode], names: dict[str, Any]) -> list[Exception | None]:
    """What each code cell raised, one after the other in one space of names."""
    raised: list[Exception | None] = []
    for cell in cells:
        try:
            exec(compile(cell.source, identity(cell) or "a cell", "exec"), names)
        except (AssertionError, NotImplementedError, NameError) as error:
            raised.append(error)
        else:
            raised.append(None)
    return raised


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """One home for all labs, so that their people are rendered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REIDLIB_HOME", str(tmp_path_factory.mktemp("labs-home")))
        patch.setenv("MPLBACKEND", "agg")
        matplotlib.use("agg")
        yield


@pytest.fixture(scope="module")
def bundle(home: None) -> labs.Bundle:
    return labs.prepare()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose student versions were generated."""
    made = tmp_path_factory.mktemp("course")
    assert course.generate(made) == []
    return made


def released(folder: Path, source: Path) -> NotebookNode:
    path = folder / "release" / source.stem / f"{source.stem}.ipynb"
    return nbformat.read(path, as_version=4)


def test_there_are_five_labs_and_a_mistake_for_each():
    assert [source.stem for source in SOURCES] == list(MISTAKES)


@lab
def test_a_lab_is_a_pair_that_was_executed_whole(source: Path):
    assert tools.problems(source) == []


@lab
def test_a_lab_is_worth_ten_points_and_says_so_at_every_exercise(source: Path):
    notebook = tools.read_source(source)
    marks = [c.metadata["nbgrader"] for c in notebook.cells if identity(c)]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    graded = {m["grade_id"]: m["points"] for m in marks if m["grade"]}
    assert sum(graded.values()) == 10
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    said = re.findall(r"^## \d\..*\((\d+) points\)$", text, re.MULTILINE)
    assert [int(points) for points in said] == list(graded.values())
    (minutes,) = re.findall(r"\*\*Time:\*\* (\d+) minutes", text)
    assert 60 <= int(minutes) <= 120
    assert all(m["locked"] for m in marks if m["grade"])
    assert {f"{m}-test" for m in (x["grade_id"] for x in marks if x["solution"])} == {
        *graded,
        f"{source.stem.partition('_')[0]}-stretch-test",
    }


@lab
def test_a_student_gets_no_solution_and_no_hidden_test(folder: Path, source: Path):
    given, ours = released(folder, source), tools.read_source(source)
    text = "\n".join(cell.source for cell in given.cells)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    for cell, mine in zip(given.cells, ours.cells, strict=True):
        shown = re.sub(
            r"### BEGIN HIDDEN.*?### END HIDDEN TESTS", "", mine.source, flags=re.S
        )
        if cell.metadata.get("nbgrader", {}).get("solution"):
            assert "raise NotImplementedError()" in cell.source
        else:
            assert cell.source.strip() == shown.strip()
        locked = identity(mine) and mine.metadata["nbgrader"]["locked"]
        assert cell.metadata.get("editable", True) is not bool(locked)


@lab
def test_unsolved_given_cells_run_and_seen_tests_ask_for_the_code(
    folder: Path, source: Path, bundle: labs.Bundle
):
    cells = code(released(folder, source))
    for cell, error in zip(cells, run(cells, {}), strict=True):
        if identity(cell).endswith("-setup"):
            assert error is None
        if cell.metadata.get("nbgrader", {}).get("grade"):
            assert isinstance(error, (NotImplementedError, NameError)), identity(cell)
        assert isinstance(error, (NotImplementedError, NameError, type(None)))


@lab
def test_hidden_tests_catch_a_mistake_that_seen_tests_pass(
    folder: Path, source: Path, bundle: labs.Bundle
):
    part, right, wrong = MISTAKES[source.stem]
    exercise = f"{source.stem.partition('_')[0]}-{part}"
    ours = code(tools.read_source(source))
    given = code(released(folder, source))
    end = [identity(cell) for cell in ours].index(f"{exercise}-test")
    (answer,) = [cell for cell in ours if identity(cell) == exercise]
    assert right in answer.source
    answer.source = answer.source.replace(right, wrong)
    names: dict[str, Any] = {}
    assert run(ours[:end], names) == [None] * end
    assert run([given[end]], dict(names)) == [None]
    (error,) = run([ours[end]], names)
    assert isinstance(error, AssertionError)


def test_the_model_answers_earn_every_point_from_nbgrader(
    folder: Path, bundle: labs.Bundle
):
    for source in SOURCES:
        notebook = tools.read_source(source)
        for cell in code(notebook):  # only what is marked or locked: plots take time
            if not identity(cell) or identity(cell).endswith("-stretch"):
                cell.source = ""
        target = folder / "submitted" / "ada" / source.stem / f"{source.stem}.ipynb"
        tools.same_text(target, tools.dumps(tools.clean(notebook)))
    table, found = course.grade(folder)
    assert found == []
    assert table["lab"].tolist() == [source.stem for source in SOURCES]
    assert table["score"].tolist() == table["max_score"].tolist() == [10.0] * 5


def test_all_that_is_marked_reads_one_world(monkeypatch: pytest.MonkeyPatch):
    for given, wanted in (("elsewhere", "elsewhere"), (None, str(tools.REPOSITORY))):
        monkeypatch.delenv("REIDLIB_HOME", raising=False)
        if given:
            monkeypatch.setenv("REIDLIB_HOME", given)
        with course._one_world():
            assert os.environ["REIDLIB_HOME"] == wanted
        assert os.environ.get("REIDLIB_HOME") == given


def test_maps_are_what_the_encoder_pools(bundle: labs.Bundle):
    r2, images = bundle.phi.r2, bundle.query.images[:5]
    last = [name for name in ("layer3", "layer4") if hasattr(r2.trunk, name)][-1]
    pooled = labs.maps(r2, images, last).mean(dim=(2, 3))
    torch.testing.assert_close(pooled, extract(r2, images), atol=1e-4, rtol=1e-3)


def test_the_prepared_parts_share_no_people_and_come_back_equal(bundle: labs.Bundle):
    assert not {*bundle.train.pids} & {*bundle.query.pids, *bundle.gallery.pids}
    again = labs.prepare()
    assert torch.equal(again.query.drawn, bundle.query.drawn)
    drawn = bundle.draw(bundle.query.images[:3], bundle.phi.poses)
    torch.testing.assert_close(drawn, bundle.query.drawn[:3], atol=1e-4, rtol=1e-3)


def seams() -> list[tuple[str, list[str]]]:
    """Name and arguments of every callable in the page's table of seams."""
    rows = re.findall(r"^\| \w+ \|.*`(reidlib[\w.]+)\(([\w, ]*)\)`", PAGE, re.M)
    return [(name, arguments.split(", ")) for name, arguments in rows]


def test_the_page_lists_five_seams():
    assert len(seams()) == 5


@pytest.mark.parametrize(("name", "arguments"), seams())
def test_a_seam_exists_as_the_page_describes_it(name: str, arguments: list[str]):
    found = locate(name)
    assert callable(found)
    have = [*inspect.signature(found).parameters]
    assert have[: len(arguments)] == arguments


@lab
def test_the_page_links_and_times_every_lab(source: Path):
    (minutes,) = re.findall(r"\*\*Time:\*\* (\d+) minutes", source.read_text("utf-8"))
    assert re.search(rf"`{source.stem}`.*\| {minutes} \| 10 \|", PAGE)
