"""What a folder is: which data set, one level off, zipped, or re-arranged by a tool.

Only names are looked at, and the first line of CSV files; no loader is imported.
Layouts and file names: the data sets' papers. The tools are torchreid
(KaiyangZhou/deep-person-reid), open-reid (Cysu/open-reid) and layumi's
Person_reID_baseline_pytorch, each as its own preparation script leaves a data set.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from reidlib.data.market import EXTENSIONS, LAYOUT, parse_name
from reidlib.data.trees import Tree, ZipTree, join
from reidlib.pose.files import first_few

PYTHON = ".venv/bin/python"
_TRAIN = LAYOUT["train"]
_DUKE = re.compile(r"\d+_c\d+_f\d+")  # 0005_c2_f0046985.jpg
_MARKET = re.compile(r"-?\d+_c\d+s\d+_")  # 0002_c1s1_000451_03.jpg
_CUHK01 = re.compile(r"\d{7}\.png$")
_TORCHREID = (
    "market1501/Market-1501-v15.09.15",
    "dukemtmc-reid/DukeMTMC-reID",
    "cuhk03/cuhk03_release",
)
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".rar", ".7z")
# Folders that are never a person, though they hold pictures or keypoints.
_NOBODY = {"train", "train_all", "val", "test", "query", "gallery", "images"}
_NOBODY |= {"keypoints", "openpose", *LAYOUT.values()}
_MOST = 200  # folders looked into on each level; a data set is not buried deeper
Hit = tuple[str, str]  # name for load_dataset, and the data set in words


@dataclass(frozen=True)
class Layout:
    """What `detect` made of a folder.

    Attributes:
        name: the data set's name for `load_dataset`, "" where none is recognised.
        root: the folder to give to `load_dataset`; maybe not the one looked at.
        what: the data set in words.
        advice: why the folder looked at cannot be given as it is, and what to give or
            do instead; "" where it can.
        command: what to run next, for a shell.
    """

    name: str
    root: Path
    what: str
    advice: str = ""
    command: str = ""


def doctor_command(name: str, root: Path) -> str:
    """The doctor's command line for a shell; the name may be empty."""
    words = [PYTHON, "-m", "reidlib", "doctor", *([name] if name else []), str(root)]
    return shlex.join(words)


def _pictures(files: list[str]) -> list[str]:
    return [name for name in files if name.lower().endswith(EXTENSIONS)]


def _data_set(tree: Tree, at: str) -> Hit | None:
    """The data set that a folder is the root of."""
    folders, files = tree.look(at)
    if _TRAIN in folders:
        if "world.json" in files:
            return "synthetic", "a synthetic world"
        return _market_or_duke(_pictures(tree.look(join(at, _TRAIN))[1]))
    if "campus" in folders:
        pictures = tree.look(join(at, "campus"))[1]
        if any(_CUHK01.match(name) for name in pictures):
            return "cuhk01", "CUHK01"
    if "cuhk-03.mat" in files or {"images_detected", "images_labeled"} & set(folders):
        return "cuhk03", "CUHK03"
    tables = [name for name in files if name.lower().endswith(".csv")]
    for table in tables[:_MOST]:
        if _lists_people(tree, join(at, table)):
            return "folder", f"a folder of pictures with {table}"
    return None


def _lists_people(tree: Tree, table: str) -> bool:
    """Whether a CSV has the columns path and pid."""
    columns = tree.head(table).lower().split(",")
    return {"path", "pid"} <= {column.strip() for column in columns}


def _market_or_duke(names: list[str]) -> Hit:
    """By the form of the names; where that is neither's, by the number of cameras."""
    form = Counter(
        "duke" if _DUKE.match(name) else "market" if _MARKET.match(name) else "?"
        for name in names
    )
    cameras = {parsed[1] for name in names if (parsed := parse_name(name))}
    if form["duke"] > form["market"] or (set(form) == {"?"} and 6 < len(cameras) <= 8):
        return "dukemtmc", "DukeMTMC-reID"
    return "market1501", "Market-1501" if form["market"] else "Market-1501's layout"


def _people(tree: Tree, at: str) -> Hit | None:
    """A directory for each person, with pictures in it."""
    folders = [name for name in tree.look(at)[0] if name not in _NOBODY]
    some = folders[:20]
    if len(some) > 1 and all(_pictures(tree.look(join(at, n))[1]) for n in some):
        return "folder", f"a folder of {len(folders):,} directories, one for a person"
    return None


def _tool(tree: Tree, at: str = "") -> Hit | None:
    """A copy that another tool re-arranged: its name, and what to make of it."""
    folders, files = tree.look(at)
    if "images" in folders and "meta.json" in files:
        return (
            "open-reid's copy (images/ and meta.json)",
            "its own splits are not the published ones; give the original download, "
            "which open-reid keeps in raw/.",
        )
    if at == "" and "pytorch" in folders and _tool(tree, "pytorch"):
        return _tool(tree, "pytorch")
    if "train_all" in folders and _people(tree, join(at, "train_all")):
        part = tree.place / join(at, "train_all")
        return (
            "layumi's copy (a directory for each person in train_all, query, gallery)",
            "the protocol needs the original folder with bounding_box_train, query "
            f"and bounding_box_test; give that, or {part} as a folder of people.",
        )
    return None


def _below(
    tree: Tree, kind: Callable[[Tree, str], Hit | None], levels: int = 2
) -> list[tuple[str, Hit]]:
    """Every data set on the nearest level below that has one."""
    level = [""]
    for _ in range(levels):
        level = [join(at, name) for at in level for name in tree.look(at)[0]][:_MOST]
        found = [(at, hit) for at in level if (hit := kind(tree, at))]
        if found:
            return found
    return []


def detect(root: str | Path) -> Layout:
    """Say what a folder is, and what to give where it cannot be given as it is.

    Recognised are Market-1501, DukeMTMC-reID, a synthetic world, CUHK01, CUHK03 and a
    folder of one's own pictures (a CSV with the columns path and pid, or a directory
    for each person); the same up to two levels below or above; the same in a zip; and
    the copies that layumi's baseline, torchreid and open-reid make.

    Args:
        root: a folder, or an archive.

    Returns:
        The layout. Nothing that is wrong with the folder is raised.
    """
    root = Path(root)
    if not root.exists():
        return _unknown(root, f"{root} does not exist; check its spelling.")
    if root.is_file():
        return _file(root)
    if not os.access(root, os.R_OK | os.X_OK):
        return _unknown(root, f"{root} may not be read; change its permissions.")
    tree = Tree(root)
    folders, files = tree.look()
    if not folders and not files:
        return _unknown(root, f"{root} is empty; put the data set's files into it.")
    if hit := _data_set(tree, ""):
        return Layout(hit[0], root, hit[1], command=doctor_command(hit[0], root))
    tool = _tool(tree)
    is_tool = f"{root} is {tool[0]}; " if tool else ""
    if found := _below(tree, _data_set):
        return _near(root, is_tool, [(root / at, hit) for at, hit in found])
    for above in root.absolute().parents[:2]:
        if hit := _data_set(Tree(above), ""):
            return _near(root, is_tool, [(above, hit)])
    packed = [
        root / at / name
        for at in ("", *folders)
        for name in tree.look(at)[1]
        if name.lower().endswith((".zip", *_ARCHIVES))
    ]
    if packed:
        many = f"{root} holds {len(packed):,} archives, the first: "
        return _file(packed[0], is_tool + (many if len(packed) > 1 else ""))
    if tool:
        return _unknown(root, is_tool + tool[1], tool[0])
    if hit := _people(tree, ""):
        return Layout(hit[0], root, hit[1], command=doctor_command(hit[0], root))
    if found := _below(tree, _people, 1):
        return _near(root, "", [(root / at, hit) for at, hit in found])
    above = root.absolute().parent
    if _pictures(files) and (hit := _people(Tree(above), "")):
        return _near(root, "", [(above, hit)])
    return _unlabelled(root, folders, files)


def _unknown(root: Path, advice: str, what: str = "nothing known") -> Layout:
    return Layout("", root, what, advice, doctor_command("", root))


def _near(root: Path, start: str, found: list[tuple[Path, Hit]]) -> Layout:
    """The data set lies below or above."""
    place, (name, what) = found[0]
    if f"{place.parent.name}/{place.name}" in _TORCHREID:
        what += ", as torchreid keeps it"
    if len(found) > 1:
        places = first_few([f"{hit[1]} in {path}" for path, hit in found])
        advice = f"{root} holds {len(found):,} data sets ({places}); give one of them."
    elif place in root.absolute().parents:
        advice = f"{root} is a part of {place} ({what}); give that folder."
    else:
        depth = len(place.relative_to(root).parts)
        level = "one level" if depth == 1 else f"{depth} levels"
        advice = f"{root} is {level} too high: {what} is in {place}; give that folder."
    if start:
        advice = f"{start}the original ({what}) is in {place}; give that folder."
    return Layout(name, place, what, advice, doctor_command(name, place))


def _file(path: Path, start: str = "") -> Layout:
    """A file where a folder is wanted: an archive, or something from a data set."""
    if path.name.lower().endswith(_ARCHIVES):
        advice = f"{start}{path} is still packed; unpack it and give the folder."
        return _unknown(path, advice, "an archive")
    if path.suffix.lower() == ".csv" and _lists_people(Tree(path.parent), path.name):
        what = "a table of pictures"
        return Layout("folder", path, what, command=doctor_command("folder", path))
    if path.suffix.lower() != ".zip":
        here = detect(path.parent)
        advice = f"{path} is a file; give the folder that holds it."
        return Layout(here.name, here.root, here.what, advice, here.command)
    try:
        tree = ZipTree(path)
    except (BadZipFile, OSError) as fault:
        advice = f"{path} is no whole zip file ({fault}); download it again."
        return _unknown(path, advice, "a broken archive")
    found = [("", hit)] if (hit := _data_set(tree, "")) else []
    found = found or _below(tree, _data_set, 3)
    found = found or ([("", hit)] if (hit := _people(tree, "")) else [])
    found = found or _below(tree, _people, 3)
    target = path.with_suffix("")
    at, (name, what) = found[0] if found else ("", ("", "no data set known to reidlib"))
    place = target / at
    files = sum(not name.endswith("/") for name in tree.names)
    holds = f"is a zip of {files:,} files with {what}"
    return Layout(
        name,
        place,
        what,
        f"{start}{path} {holds}; unpack it and give {place}.",
        shlex.join([PYTHON, "-m", "zipfile", "-e", str(path), str(target)])
        + f" && {doctor_command(name, place)}",
    )


def _unlabelled(root: Path, folders: list[str], files: list[str]) -> Layout:
    """Pictures without their folder, pictures of nobody in particular, or neither."""
    pictures = _pictures(files)
    kinds = [
        ("market1501", _TRAIN, [n for n in pictures if parse_name(n)]),
        ("cuhk01", "campus", [n for n in pictures if _CUHK01.match(n)]),
    ]
    for name, folder, named in kinds:
        if len(named) * 2 > len(pictures):
            place = root.absolute().with_name(f"{root.absolute().name}-{name}")
            link = shlex.join(["ln", "-s", str(root.absolute()), str(place / folder)])
            what = f"pictures named as in {name}"
            return Layout(
                name,
                place,
                what,
                f"{root} holds {len(named):,} {what}, outside of a folder {folder}; "
                f"give a folder that holds them as {folder}.",
                f"mkdir {shlex.quote(str(place))} && {link} && "
                + doctor_command(name, place),
            )
    if pictures:
        return _unknown(
            root,
            f"{root} holds {len(pictures):,} pictures and does not say who is on them; "
            "make a directory for each person, or write a CSV of path,pid,camid.",
            "pictures without identities",
        )
    found = first_few([f"{name}/" for name in folders] + files)
    return _unknown(
        root,
        f"{root} holds no data set known to reidlib (found: {found}); expected "
        f"{_TRAIN}, campus, cuhk-03.mat, images_detected, a directory for each person "
        "or a CSV of path,pid,camid.",
    )
