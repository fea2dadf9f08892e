"""Chapter 8 says where each table and figure of the paper went, and that is so."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
CHAPTER = REPOSITORY / "notebooks" / "08_benchmarks.py"
ROBUSTNESS = CHAPTER.with_name("09_robustness.py")  # shows Figs. 9 and 10
PAPER = [f"Table {n}" for n in ["I", "II", "III", "IV", "V", "VI", "VII"]]
PAPER += [f"Fig. {n}" for n in range(1, 11 if ROBUSTNESS.is_file() else 9)]
INDEX = re.findall(
    r"^# \| ((?:Table|Fig\.) \w+) \| \[\]\((\S+)\), (.+) \|$",
    CHAPTER.read_text("utf-8"),
    re.MULTILINE,
)


def source(target: str) -> Path:
    """The file behind a link of the chapter; chapters are built beside each other."""
    if target.endswith(".ipynb"):
        return REPOSITORY / "notebooks" / Path(target).with_suffix(".py")
    return REPOSITORY / "book" / "chapters" / target


def test_every_table_and_figure_of_the_paper_has_its_place_in_the_index():
    assert [name for name, _, _ in INDEX] == PAPER


@pytest.mark.parametrize(("name", "target", "section"), INDEX, ids=lambda x: x[:12])
def test_the_index_leads_to_a_section_that_exists(name: str, target: str, section: str):
    path = Path(*source(target).parts)
    text = path.resolve().read_text("utf-8")
    heads = [
        head.lstrip("# ").strip() for head in re.findall(r"^(?:# )?#+ .+$", text, re.M)
    ]
    assert section in heads


def test_every_link_of_the_chapter_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", CHAPTER.read_text("utf-8"))
    assert len(links) > 20
    for target in links:
        assert source(target).resolve().is_file(), target
