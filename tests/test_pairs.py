"""Every chapter is a pair: a py:percent source and its executed, clean twin."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml

from book import tools

REPOSITORY = Path(__file__).parent.parent
NOTEBOOKS = REPOSITORY / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("*.py"))
PARAMETERS = {"dataset": "synthetic", "root": "", "profile": "smoke", "seed": 0}

pair = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def test_pipeline_and_contents_name_the_chapters_that_exist():
    stems = [source.stem for source in SOURCES]
    needs = re.search(
        r"^NEEDS = \{\n(.*?)^\}", (REPOSITORY / "Snakefile").read_text(), re.M | re.S
    )
    assert needs is not None
    toc = (REPOSITORY / "book" / "_toc.yml").read_text()
    assert re.findall(r'^    "(\w+)": \[', needs.group(1), re.MULTILINE) == stems
    assert (
        re.findall(r"- file: chapters/(\w+)", yaml.dump(yaml.safe_load(toc))) == stems
    )
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == stems


@pair
def test_a_pair_has_equal_cells(source: Path):
    text = jupytext.read(source)
    twin = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert [(c.cell_type, c.source) for c in twin.cells] == [
        (c.cell_type, c.source) for c in text.cells
    ]
    assert [c.metadata.get("tags", []) for c in twin.cells] == [
        c.metadata.get("tags", []) for c in text.cells
    ]


@pair
def test_a_chapter_was_executed_whole_and_cleanly(source: Path):
    assert tools.problems(source) == []


@pair
def test_a_chapter_has_one_cell_with_the_four_parameters(source: Path):
    twin = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    (cell,) = [c for c in twin.cells if "parameters" in c.metadata.get("tags", [])]
    values: dict[str, object] = {}
    exec(cell.source, {}, values)
    assert values == PARAMETERS


@pair
def test_an_executed_chapter_is_stored_as_it_would_be_written_again(source: Path):
    target = source.with_suffix(".ipynb")
    again = tools.dumps(tools.clean(nbformat.read(target, as_version=4)))
    assert target.read_text("utf-8") == again


@pair
def test_every_exercise_of_a_chapter_has_its_solution(source: Path):
    text = source.read_text("utf-8")
    asked = re.findall(r"^# ```\{exercise\}.*\n# :label: (\S+)", text, re.MULTILINE)
    folded = r"^# ```\{solution-start\} (\S+)\n# :class: dropdown\n# ```\n"
    solved = re.findall(folded, text, re.MULTILINE)
    assert asked == solved
    ends = re.findall(r"solution(?:-(start|end))?\}", text)
    assert ends == ["start", "end"] * len(asked)
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("source", SOURCES[:7], ids=lambda path: path.stem)
def test_a_chapter_on_the_method_asks_questions_before_its_recap(source: Path):
    text = source.read_text("utf-8")
    questions, _, rest = text.partition("# ## Check yourself\n")[2].partition(
        "# ## Recap\n"
    )
    asked, _, answers = questions.partition("# ```{admonition} Answers\n")
    count = len(re.findall(r"^# \d\. ", asked, re.MULTILINE))
    assert 3 <= count <= 5
    assert count == len(re.findall(r"^# \d\. ", answers, re.MULTILINE))
    assert rest.count("# ```{exercise}") >= 4
