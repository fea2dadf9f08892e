"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINES = [
    line
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
PINS = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in LINES}
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRA = [
    Requirement(text)
    for name, texts in EXTRAS.items()
    if name != "all"
    for text in texts
]


@pytest.mark.parametrize("requirement", CORE + EXTRA, ids=str)
def test_every_requirement_has_a_pin_that_satisfies_it(requirement: Requirement):
    pin = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin, prereleases=True)


@pytest.mark.parametrize("requirement", CORE, ids=str)
def test_the_installed_version_is_the_pinned_one(requirement: Requirement):
    installed = Version(version(requirement.name))
    assert installed.base_version == PINS[canonicalize_name(requirement.name)]


def test_what_is_installed_agrees_with_the_pins():
    differing = {}
    for name, pin in PINS.items():
        try:
            found = Version(version(name))
        except PackageNotFoundError:  # another extra, or another platform
            continue
        if found.public != Version(pin).public:
            differing[name] = (str(found), pin)
    assert differing == {}


def test_constraints_are_plain_pins_sorted_and_unique():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line) for line in LINES)
    assert len(PINS) == len(LINES)
    assert sorted(LINES, key=str.lower) == LINES


def test_torch_and_torchvision_are_the_pair_with_compiled_operators():
    assert PINS["torch"] == "2.14.1"
    assert PINS["torchvision"] == "0.29.1"


def test_all_holds_every_other_extra():
    (requirement,) = map(Requirement, EXTRAS["all"])
    assert requirement.name == PROJECT["name"]
    assert requirement.extras == EXTRAS.keys() - {"all"}


def test_conda_installs_the_same_package_under_the_same_constraints():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    python, pip, pips = environment["dependencies"]
    wanted = Requirement("python" + python.removeprefix("python").replace("=", "==", 1))
    (exact,) = wanted.specifier
    assert pip == "pip"
    assert pips == {"pip": ["-c constraints.txt", "-e .[all]"]}
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(
        exact.version
    )


def test_make_installs_extras_that_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    (extras,) = re.findall(r"^EXTRAS +\?= (\S+)$", makefile, re.MULTILINE)
    assert set(extras.split(",")) <= EXTRAS.keys()
