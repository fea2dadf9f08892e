"""Notebook chores of the book: execute, run, check and collect the chapters.

    python book/tools.py execute notebooks/01_data.py ...   the committed pairs
    python book/tools.py run NOTEBOOK OUTPUT -p name=value  one chapter, as papermill
    python book/tools.py check notebooks/*.py               are the pairs in step?
    python book/tools.py chapters NOTEBOOK ...              into book/chapters
    python book/tools.py record runs/synthetic/smoke        into book/results

The py:percent file is the source of a pair. What lands in an .ipynb is cleaned so
that executing it again leaves no difference: cell ids come from the cells' text,
and times, paths and widget states are dropped.
"""

import argparse
import ast
import hashlib
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import papermill
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

REPOSITORY = Path(__file__).resolve().parent.parent
CHAPTERS = REPOSITORY / "book" / "chapters"
SKIP = "skip-execution"  # tag of a cell that is shown and never run
KERNELS = Config(KernelManager={"transport_encryption": "auto"})
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
MAX_BYTES = 300_000
UNSTABLE = {
    "an absolute path": re.compile(
        r"(?<![\w.:/-])/(?:home|root|tmp|usr|opt|var|mnt|srv|work|Users|private)/\w"
        r"|\b[A-Z]:\\\w"
    ),
    "a time": re.compile(
        r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\b\d{1,2}:\d\d:\d\d\b|\bit/s\b"
    ),
    "a memory address": re.compile(r"\bat 0x[0-9a-f]{6,}"),
}


def read_source(path: Path) -> NotebookNode:
    """Cells of a py:percent file, without outputs."""
    return jupytext.read(path, fmt="py:percent")


def clean(notebook: NotebookNode) -> NotebookNode:
    """Drop what changes from one execution to the next, in place.

    Keeps sources, tags, outputs and what `glue` stored. Numbers executed cells
    1, 2, 3, ... and names every cell by a digest of its text.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    executed = 0
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        for name in ("execution", "papermill", "widgets"):
            cell.metadata.pop(name, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            executed += 1
            cell.execution_count = executed
        cell.outputs = [output for output in cell.outputs if not is_empty(output)]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


def is_empty(output: NotebookNode) -> bool:
    """Whether an output shows nothing later: a stream without text, a live widget."""
    widget = "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    return widget or (output.output_type == "stream" and not output.text)


def same_text(path: Path, text: str) -> bool:
    """Write a file through a temporary name; False if it had another content."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return False


def dumps(notebook: NotebookNode) -> str:
    """A valid notebook as text, keys sorted."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def contents(notebook: NotebookNode) -> list[tuple[str, str, dict[str, object]]]:
    """(type, source, metadata) of every cell: what a pair must share."""
    return [
        (cell.cell_type, cell.source, {k: v for k, v in cell.metadata.items() if v})
        for cell in notebook.cells
    ]


def output_text(output: NotebookNode) -> str:
    """Everything readable in an output: streams, errors, text and HTML."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return "\n".join(
        str(value)
        for kind, value in output.get("data", {}).items()
        if not kind.startswith("image/") or kind == "image/svg+xml"
    )


def problems(source: Path) -> list[str]:
    """What is wrong with a pair; one sentence each, none if it may be committed.

    Args:
        source: the py:percent half; the .ipynb lies beside it.
    """
    target = source.with_suffix(".ipynb")
    mend = f"run python book/tools.py execute {source}"
    if not target.exists():
        return [f"{target} is missing: {mend}"]
    found = []
    if target.stat().st_size > MAX_BYTES:
        found.append(f"{target} is larger than {MAX_BYTES // 1000} kB")
    for number, line in enumerate(source.read_text("utf-8").splitlines(), 1):
        if len(line) > 79 and not line.startswith("# %%"):
            found.append(f"{source}:{number} is longer than 79 characters")
    notebook = nbformat.read(target, as_version=4)
    if contents(notebook) != contents(read_source(source)):
        found.append(f"{target} differs from {source.name}: {mend}")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += [f"{target}, cell {cell.id}: {text}" for text in faults(cell)]
    return found


def faults(cell: NotebookNode) -> list[str]:
    """What is wrong with the outputs of one code cell."""
    if SKIP in cell.metadata.get("tags", []):
        return []
    found = []
    if cell.execution_count is None and cell.source.strip():
        found.append("was never executed")
    for output in cell.outputs:
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append(f"wrote an error or a warning: {output_text(output)[:200]}")
        for name, pattern in UNSTABLE.items():
            if match := pattern.search(output_text(output)):
                found.append(f"shows {name}: {match.group()}")
    return found


def quieten() -> None:
    """What a kernel inherits: one thread, no progress bars, inline figures."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TQDM_DELAY", "1000000")  # heeded by notebook bars
    os.environ.pop("MPLBACKEND", None)
    logging.getLogger("papermill").setLevel(logging.ERROR)


def execute(sources: list[Path]) -> list[str]:
    """Execute py:percent files into the .ipynb beside them; returns what is wrong."""
    found = []
    for source in sources:
        notebook = read_source(source)
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            record_timing=False,
            skip_cells_with_tag=SKIP,
            config=KERNELS,
            resources={"metadata": {"path": str(source.resolve().parent)}},
        )
        try:
            client.execute()
        except CellExecutionError as error:
            found.append(f"{source.stem}: {error.ename}: {error.evalue}")
            continue
        same_text(source.with_suffix(".ipynb"), dumps(clean(notebook)))
        found += problems(source)
    return found


def typed(notebook: Path, values: dict[str, str]) -> dict[str, object]:
    """Parameters as the types that the notebook's own defaults have.

    Raises:
        ValueError: the notebook has no such parameter, or the value does not fit.
    """
    known = papermill.inspect_notebook(notebook)
    result: dict[str, object] = {}
    for name, value in values.items():
        if name not in known:
            names = ", ".join(known)
            raise ValueError(f"no parameter is called {name!r}; there are {names}")
        kind = type(ast.literal_eval(known[name]["default"]))
        try:
            result[name] = kind(value)
        except ValueError as error:
            raise ValueError(
                f"{name} is {value!r}, not of type {kind.__name__}"
            ) from error
    return result


def run(notebook: Path, output: Path, parameters: dict[str, str]) -> list[str]:
    """Run one chapter with papermill; `output` appears only when it is complete.

    Its time and day stay beside it, in a file with the suffix .json. A chapter that
    fails leaves `output` with the suffix .partial.ipynb to look at, and its last
    sentence in a file with the suffix .error.
    """
    partial = output.with_suffix(".partial.ipynb")
    report = output.with_suffix(".error")
    output.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        papermill.execute_notebook(
            notebook,
            partial,
            typed(notebook, parameters),
            kernel_name="python3",
            progress_bar=False,
            config=KERNELS,
            cwd=REPOSITORY,
        )
    except (PapermillExecutionError, ValueError) as error:
        found = f"{notebook.stem}: {error}"
        if isinstance(error, PapermillExecutionError):
            found = f"{notebook.stem}: {error.ename}: {error.evalue}"
        report.write_text(found + "\n", encoding="utf-8")
        return [found]
    same_text(output, dumps(clean(nbformat.read(partial, as_version=4))))
    output.touch()  # the pipeline compares times
    partial.unlink()
    seconds = round(time.monotonic() - started)
    spent = {"seconds": seconds, "finished": time.strftime("%Y-%m-%d", time.gmtime())}
    output.with_suffix(".json").write_text(json.dumps(spent) + "\n", encoding="utf-8")
    print(f"{notebook.stem}: done in {seconds} s")
    return []


def chapters(notebooks: list[Path], target: Path = CHAPTERS) -> None:
    """Copy notebooks into the book, cleaned; others that were there are removed."""
    names = {path.name for path in notebooks}
    for old in target.glob("*.ipynb"):
        if old.name not in names:
            old.unlink()
    for path in notebooks:
        same_text(target / path.name, dumps(clean(nbformat.read(path, as_version=4))))


def record(run_folder: Path, target: Path = REPOSITORY / "book" / "results") -> str:
    """Gather the results of all chapters of a run into one file of the book.

    Returns:
        What is wrong, empty if nothing is.
    """
    files = sorted((run_folder / "results").glob("*.json"))
    if not files:
        return f"{run_folder} has no results/*.json: run the chapters first"
    from reidlib.records import write_record  # torch takes its time

    found = {path.stem: json.loads(path.read_text("utf-8")) for path in files}
    write_record(target / run_folder.parent.name / f"{run_folder.name}.json", found)
    return ""


def parse_parameter(text: str) -> tuple[str, str]:
    """Split `name=value`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def main() -> int:
    """Command line; prints what is wrong, one sentence a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("execute", "check"):
        commands.add_parser(name).add_argument("sources", nargs="+", type=Path)
    copy = commands.add_parser("chapters")
    copy.add_argument("notebooks", nargs="+", type=Path)
    copy.add_argument("--to", type=Path, default=CHAPTERS)
    gather = commands.add_parser("record")
    gather.add_argument("run_folder", type=Path)
    one = commands.add_parser("run")
    one.add_argument("notebook", type=Path)
    one.add_argument("output", type=Path)
    one.add_argument("-p", dest="parameters", action="append", type=parse_parameter)
    arguments = parser.parse_args()
    quieten()

    if arguments.command == "execute":
        found = execute(arguments.sources)
    elif arguments.command == "check":
        found = [text for path in arguments.sources for text in problems(path)]
    elif arguments.command == "run":
        parameters = dict(arguments.parameters or [])
        found = run(arguments.notebook, arguments.output, parameters)
    elif arguments.command == "record":
        found = [text for text in [record(arguments.run_folder.resolve())] if text]
    else:
        chapters(arguments.notebooks, arguments.to)
        found = []
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
