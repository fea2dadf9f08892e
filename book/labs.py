"""The course labs through nbgrader: what students get, and the marks they earn.

    python -m book.labs generate [COURSE]   student versions into COURSE/release
    python -m book.labs grade [COURSE]      marks of COURSE/submitted into grades.csv

COURSE is a course folder of nbgrader, ``build/labs`` by default, with a configuration
of its own: inside it, every command of nbgrader works as well. A student's work lies in
``submitted/STUDENT/LAB/LAB.ipynb``.
"""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeFactory
from traitlets.config import PyFileConfigLoader

from book import tools

LABS = tools.REPOSITORY / "notebooks" / "labs"
COURSE = tools.REPOSITORY / "build" / "labs"
CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "labs"
c.KernelManager.transport_encryption = "auto"
c.Execute.timeout = 600  # the first that is marked renders the people of all
c.Execute.iopub_timeout = 120
"""


def sources() -> list[Path]:
    """The teacher's versions, in the order of the labs."""
    return sorted(LABS.glob("lab*.py"))


def open_course(course: Path) -> NbGraderAPI:
    """nbgrader, at work in this folder; it is made if it is not there."""
    tools.same_text(course / "nbgrader_config.py", CONFIG)
    beside = str(Path(sys.executable).parent)  # nbgrader calls alembic by its name
    if beside not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ["PATH"]
    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root = str(course.resolve())
    config.Application.log_level = logging.ERROR
    folder = CourseDirectory(config=config)
    return NbGraderAPI(folder, exchange=ExchangeFactory(config=config), config=config)


def generate(course: Path = COURSE) -> list[str]:
    """Write every lab's student version; returns what is wrong.

    Solutions become stubs, hidden tests vanish, and what a student may not change is
    locked: nbgrader keeps the originals in the course's gradebook.
    """
    api, found = open_course(course), []
    for source in sources():
        name = source.stem
        target = course / "source" / name / f"{name}.ipynb"
        tools.same_text(target, tools.dumps(tools.clean(tools.read_source(source))))
        found += _faults(name, api.generate_assignment(name))
    return found


def grade(course: Path = COURSE) -> tuple[pd.DataFrame, list[str]]:
    """Mark whatever was handed in, and write `grades.csv` and feedback pages.

    Returns:
        A row for each student and lab, with `score` and `max_score`; what is wrong.
    """
    api, found = open_course(course), []
    with _one_world():
        for work in sorted((course / "submitted").glob("*/*")):
            student, name = work.parent.name, work.name
            done = _faults(f"{student}, {name}", api.autograde(name, student))
            found += done or _faults(name, api.generate_feedback(name, student))
    columns = ["student", "name", "score", "max_score"]
    with api.gradebook as marks:
        rows = [r for s in sources() for r in marks.submission_dicts(s.stem)]
    table = pd.DataFrame(rows, columns=columns).rename(columns={"name": "lab"})
    table = table.sort_values(["student", "lab"], ignore_index=True)
    tools.same_text(course / "grades.csv", table.to_csv(index=False))
    return table, found


@contextmanager
def _one_world() -> Iterator[None]:
    """Let all that is marked read the people rendered here, not render its own."""
    name = "REIDLIB_HOME"
    before = os.environ.get(name)
    os.environ.setdefault(name, str(tools.REPOSITORY))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _faults(name: str, done: dict) -> list[str]:
    """What nbgrader says of a step that failed."""
    if done["success"]:
        return []
    return [f"{name}: {done.get('log') or done.get('error')}"]


def main() -> int:
    """Command line; prints the marks, and what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["generate", "grade"])
    parser.add_argument("course", nargs="?", type=Path, default=COURSE)
    arguments = parser.parse_args()
    tools.quieten()
    warnings.filterwarnings("ignore", module=r"nbgrader\.")
    if arguments.command == "generate":
        found = generate(arguments.course)
    else:
        table, found = grade(arguments.course)
        print(table.to_string(index=False))
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
