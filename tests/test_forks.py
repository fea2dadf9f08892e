"""What a fork gets: workflows, hooks, templates. None of them runs here."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")))
OFFICIAL = re.compile(r"actions/[\w-]+@v\d+")


def steps(path: Path) -> list[dict[str, str]]:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_make_targets_that_exist(path: Path):
    makefile = (REPOSITORY / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        make, target = command.split()
        assert make == "make"
        assert target in targets.split()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_uses_official_actions_and_few_rights(path: Path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert all(OFFICIAL.fullmatch(name) for name in used)
    rights = yaml.safe_load(path.read_text("utf-8"))["permissions"]
    assert rights["contents"] == "read"


def test_the_published_folder_is_the_one_that_make_book_fills():
    book = GITHUB / "workflows" / "book.yml"
    (path,) = [s["with"]["path"] for s in steps(book) if "upload" in s.get("uses", "")]
    assert path == "book/_build/html"
    assert "build -W -n --keep-going book" in (REPOSITORY / "Makefile").read_text()


def test_hooks_are_local_and_call_installed_tools():
    text = (REPOSITORY / ".pre-commit-config.yaml").read_text("utf-8")
    (repository,) = yaml.safe_load(text)["repos"]
    assert repository["repo"] == "local"
    called = {tool for hook in repository["hooks"] for tool in hook["entry"].split()}
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    for tool in (Path(word) for word in called if ".venv/bin/" in word):
        name = tool.name.strip("'")
        assert name == "python" or f'"{name}"' in project, name


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_something(path: Path):
    form = yaml.safe_load(path.read_text("utf-8"))
    if path.stem != "config":
        names = [field["id"] for field in form["body"]]
        assert len(names) == len(set(names)) > 0
