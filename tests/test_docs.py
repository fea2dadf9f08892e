"""Commands and links in the pages that a visitor reads first."""

import ast
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from reidlib import cli
from reidlib.models import Encoder
from reidlib.profiles import FULL, SMOKE

REPOSITORY = Path(__file__).parent.parent
BOOK = REPOSITORY / "book"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
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
BLOCKS = [
    (path, block)
    for path, text in TEXT.items()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]
SECTIONS = [
    found
    for text in TEXT.values()
    for found in re.findall(r"<chapters/(\w+)>`, \"([^\"]+)\"", text)
]
MODULES = sorted((REPOSITORY / "reidlib").rglob("*.py"))
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


@pytest.mark.parametrize(
    ("path", "block"), BLOCKS, ids=[path.stem for path, _ in BLOCKS]
)
def test_a_python_block_compiles_and_what_it_imports_is_there(path: Path, block: str):
    tree = ast.parse(block, str(path))
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert imports
    exec(compile(ast.Module(imports, []), str(path), "exec"), {})


@pytest.mark.parametrize(("chapter", "title"), SECTIONS, ids=str)
def test_a_section_that_is_named_stands_in_its_chapter(chapter: str, title: str):
    source = (REPOSITORY / "notebooks" / f"{chapter}.py").read_text("utf-8")
    headings = re.findall(r"^# #+ (.*)$", source, re.MULTILINE)
    assert any(heading.startswith(title) for heading in headings)


def test_a_link_into_a_page_names_one_of_its_headings():
    for path, text in TEXT.items():
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            page = TEXT[(path.parent / target).resolve()] if target else text
            titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
            slugs = [
                re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles
            ]
            assert anchor in slugs, f"{path.name}: #{anchor}"


def described(text: str) -> list[str]:
    """Names under Args: of a Google-style docstring."""
    section = re.search(r"^Args:\n((?: +.*\n?|\n)*)", text, re.MULTILINE)
    rows = section[1].splitlines() if section else []
    found = [re.match(r"    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", row) for row in rows]
    names = [name for match in found if match for name in match[1].split(", ")]
    return [name.lstrip("*") for name in names]


def accepted(node: ast.AST) -> list[str]:
    """Names that a function, or a class's constructor, takes."""
    if isinstance(node, ast.ClassDef):
        made = [n for n in node.body if getattr(n, "name", "") == "__init__"]
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
        if not made:
            return [ast.unparse(field.target) for field in fields]
        node = made[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    given = node.args
    rest = [one for one in (given.vararg, given.kwarg) if one]
    return [a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_docstring_describes_arguments_that_exist(path: Path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            names, known = described(text), accepted(node)
            assert set(names) <= set(known), f"{node.name}: {names} of {known}"


def test_the_dictionary_of_common_slips_finds_none():
    speller = Path(sys.executable).with_name("codespell")
    done = subprocess.run(
        [speller, "."], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_reference_can_be_looked_up():
    text = (REPOSITORY / "book" / "references.bib").read_text("utf-8")
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert len(entries) == text.count("\n@") + 1
    for key, entry in entries:
        assert re.search(r"^  (doi|eprint|pages) = ", entry, re.MULTILINE), key


def test_the_sizes_in_the_notation_are_those_of_the_profiles():
    rows = [r.split("|")[1:-1] for r in TEXT[BOOK / "notation.md"].splitlines()]
    cells = {row[0].strip(" $"): [c.strip() for c in row[2:]] for row in rows if row}
    small = Encoder(SMOKE.encoder.arch, weights=None)
    assert cells["D"] == ["2,048", str(small.features)]
    assert cells["H, W"] == [f"{h}, {w}" for h, w in (FULL.size, SMOKE.size)]
    assert cells["K"] == [f"8 to 24, final {FULL.poses}", str(SMOKE.poses)]
