"""Commands and links in the pages that a visitor reads first."""

import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from reidlib import cli

REPOSITORY = Path(__file__).parent.parent
PAGES = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "book").glob("*.md")),
    *sorted((REPOSITORY / "book" / "results").rglob("*.md")),
]
TEXT = {path: path.read_text("utf-8") for path in PAGES}
COMMANDS = [
    line.strip()
    for text in TEXT.values()
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
LINKS = [
    (path, target)
    for path, text in TEXT.items()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    if not target.startswith(("http:", "https:", "mailto:"))
]


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def test_the_pages_hold_commands_and_links():
    assert len(COMMANDS) > 5
    assert len(LINKS) > 5


@pytest.mark.parametrize(
    ("path", "target"), LINKS, ids=[f"{path.stem}:{target}" for path, target in LINKS]
)
def test_a_link_leads_to_a_file_of_the_repository(path: Path, target: str):
    assert (path.parent / target).exists()


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.startswith("make ")], ids=str
)
def test_a_make_command_names_a_target_and_settings_that_exist(command: str):
    makefile = (REPOSITORY / "Makefile").read_text()
    for word in words(command)[1:]:
        name, equals, _ = word.partition("=")
        pattern = rf"^{name} *\?=" if equals else rf"^{name}:"
        assert re.search(pattern, makefile, re.MULTILINE), word


@pytest.mark.parametrize("command", [c for c in COMMANDS if " -m " in c], ids=str)
def test_a_module_on_a_command_line_exists(command: str):
    parts = words(command)
    module = parts[parts.index("-m") + 1]
    package = find_spec(module)
    assert package is not None
    if package.submodule_search_locations is not None:
        assert find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if "-m reidlib " in c], ids=str
)
def test_a_command_of_the_library_takes_the_flags_shown(
    command: str, capsys: pytest.CaptureFixture[str]
):
    parts = words(command)
    options = parts[parts.index("reidlib") + 1 :]
    depth = 2 if options[0] == "train" else 1
    with pytest.raises(SystemExit) as stop:
        cli.main([*options[:depth], "--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    assert all(word in shown for word in options if word.startswith("--"))


@pytest.mark.parametrize("command", [c for c in COMMANDS if "papermill" in c], ids=str)
def test_a_papermill_command_names_a_chapter_and_its_parameters(command: str):
    parts = words(command.replace("$chapter", "01_data"))
    notebook = parts[parts.index(".venv/bin/papermill") + 1]
    assert (REPOSITORY / notebook).with_suffix(".py").is_file()
    names = [parts[i + 1] for i, word in enumerate(parts) if word in {"-p", "-r"}]
    assert names == ["dataset", "root", "profile", "seed"]


def test_make_help_names_every_target():
    makefile = (REPOSITORY / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(f"make {name}" in shown for name in targets.split() if name != "help")
