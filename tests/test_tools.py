"""The chores around notebooks, on a small one made for each test."""

import json
from pathlib import Path

import nbformat
import pytest

from book import tools

SOURCE = """\
# %% [markdown]
# # Title

# %% tags=["parameters"]
seed = 0

# %% tags=["nbval-ignore-output"]
print(seed + 1)

# %% [markdown]
# # Title
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "00_small.py"
    path.write_text(SOURCE)
    return path


def test_executing_twice_leaves_no_difference(source: Path):
    assert tools.execute([source]) == []
    first = source.with_suffix(".ipynb").read_bytes()
    assert tools.execute([source]) == []
    assert source.with_suffix(".ipynb").read_bytes() == first


def test_executing_keeps_tags_counts_cells_and_names_equal_cells_apart(source: Path):
    tools.execute([source])
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert [c.get("execution_count") for c in notebook.cells] == [None, 1, 2, None]
    assert notebook.cells[2].metadata == {"tags": ["nbval-ignore-output"]}
    assert notebook.cells[2].outputs[0].text == "1\n"
    assert len({cell.id for cell in notebook.cells}) == 4


def test_a_cell_that_fails_is_reported_and_writes_nothing(source: Path):
    source.write_text('# %%\nraise ValueError("no images: give the folder")\n')
    assert tools.execute([source]) == [
        "00_small: ValueError: no images: give the folder"
    ]
    assert not source.with_suffix(".ipynb").exists()


def test_an_edited_source_is_found_to_differ(source: Path):
    tools.execute([source])
    source.write_text(SOURCE.replace("seed + 1", "seed + 2"))
    (found,) = tools.problems(source)
    assert "differs from 00_small.py" in found


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("print('/' + 'home' + '/someone')", "an absolute path"),
        ("print('2021-05-' + '03 10:20')", "a time: 2021-05-03 10:20"),
        ("object()", "a memory address"),
        ("import sys; sys.stderr.write('careful')", "wrote an error or a warning"),
    ],
)
def test_an_output_that_changes_from_run_to_run_is_refused(
    source: Path, statement: str, fault: str
):
    source.write_text(f"# %%\n{statement}\n")
    assert any(fault in text for text in tools.execute([source]))


def test_a_run_takes_parameters_and_leaves_no_trace_of_papermill(source: Path):
    tools.execute([source])
    output = source.parent / "runs" / "00_small.ipynb"
    assert tools.run(source.with_suffix(".ipynb"), output, {"seed": "7"}) == []
    text = output.read_text()
    assert '"8\\n"' in text
    assert "papermill" not in text
    assert str(source.parent) not in text
    left = sorted(path.name for path in output.parent.iterdir())
    assert left == [output.name, output.with_suffix(".json").name]
    spent = json.loads(output.with_suffix(".json").read_text())
    assert 0 < spent["seconds"] < 60


def test_a_run_with_an_unknown_parameter_says_which_there_are(source: Path):
    tools.execute([source])
    notebook, output = source.with_suffix(".ipynb"), source.parent / "out.ipynb"
    assert tools.run(notebook, output, {"sed": "7"}) == [
        "00_small: no parameter is called 'sed'; there are seed"
    ]
    assert tools.run(notebook, output, {"seed": "x"}) == [
        "00_small: seed is 'x', not of type int"
    ]
    assert not output.exists()


def test_collecting_chapters_removes_those_that_are_gone(source: Path):
    tools.execute([source])
    target = source.parent / "chapters"
    target.mkdir()
    (target / "99_old.ipynb").write_text("{}")
    tools.chapters([source.with_suffix(".ipynb")], target)
    assert [path.name for path in target.iterdir()] == ["00_small.ipynb"]


def test_a_record_gathers_the_chapters_of_a_run(tmp_path: Path):
    results = tmp_path / "runs" / "market1501" / "full" / "results"
    results.mkdir(parents=True)
    part = {"manifest": {"dataset": "market1501"}, "results": {"mAP": 0.5}}
    (results / "08_benchmarks.json").write_text(json.dumps(part))
    assert tools.record(results.parent, tmp_path / "kept") == ""
    kept = tmp_path / "kept" / "market1501" / "full.json"
    found = json.loads(kept.read_text())
    assert found.keys() == {"08_benchmarks", "schema", "digest"}
    assert found["08_benchmarks"] == part
    assert "run the chapters first" in tools.record(tmp_path, tmp_path / "kept")
