"""What figures show: frames, titles and notes of rank lists, and places of systems."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from reidlib import plots
from reidlib.retrieval import Ranking

PIDS = [1, 1, -1, 2, 1]  # relevant, the query's camera, junk, wrong, relevant
CAMERAS = [2, 1, 2, 2, 3]


@pytest.fixture
def ranking() -> Ranking:
    far = np.arange(5.0)[None]
    return Ranking.from_distances(far, [1], PIDS, [1], CAMERAS, top_k=5)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def shown(figure) -> list[tuple[str, str | None, str]]:
    """Title, frame and note of every picture."""
    cells = []
    for ax in figure.axes:
        edge = ax.spines["left"]
        frame = to_hex(edge.get_edgecolor()) if edge.get_visible() else None
        cells.append((ax.get_title(), frame, ax.get_xlabel()))
    return cells


def listed(ranking, **options):
    pictures = torch.zeros(5, 3, 8, 4, dtype=torch.uint8)
    return plots.rank_list(ranking, [0], pictures[:1], pictures, **options)


def test_a_rank_list_leaves_out_what_does_not_count(ranking: Ranking):
    assert shown(listed(ranking, k=3)) == [
        ("query", None, ""),
        ("1", plots.RIGHT.lower(), ""),
        ("2", plots.WRONG.lower(), ""),
        ("3", plots.RIGHT.lower(), ""),
    ]


def test_junk_and_the_same_camera_are_marked_and_have_no_rank(ranking: Ranking):
    junk = np.array(PIDS) == -1
    far = [0.25, np.nan, 1.0, 2.0, 3.0]
    figure = listed(ranking, k=5, junk=junk, apart=lambda q, g: far[g])
    assert shown(figure) == [
        ("query", None, ""),
        ("1", plots.RIGHT.lower(), "0.2"),
        ("same cam.", plots.JUNK, ""),
        ("junk", plots.JUNK, "1.0"),
        ("2", plots.WRONG.lower(), "2.0"),
        ("3", plots.RIGHT.lower(), "3.0"),
    ]


def test_several_rankings_have_a_named_line_each(ranking: Ranking):
    back = Ranking.from_distances(
        -np.arange(5.0)[None], [1], PIDS, [1], CAMERAS, top_k=5
    )
    figure = listed({"R1": ranking, "R2": back}, k=2)
    cells = [(title, frame) for title, frame, _ in shown(figure)]
    right, wrong = plots.RIGHT.lower(), plots.WRONG.lower()
    assert cells[:3] == [("query", None), ("1", right), ("2", wrong)]
    assert cells[3:] == [("query", None), ("1", right), ("2", wrong)]
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == ["R1", "R2"]


def test_a_system_stands_at_its_cost_and_accuracy_re_ranking_included():
    limits = {"interval": {"mAP": [0.4, 0.6]}, "mAP": 0.5}
    plain = {"system": "R2", "group": "as retrieved", "ms": 2.0, "memory_mb": 30}
    again = plain | {"group": "re-ranked", "re-ranking ms": 3.0, "memory_mb": None}
    (ax,) = plots.trade_off([plain | limits, again | limits]).axes
    places = [tuple(marks.get_offsets()[0]) for marks in ax.collections]
    assert places == [(2.0, 0.5), (5.0, 0.5)]
    assert [text.get_text() for text in ax.texts] == ["R2"]
    assert [marks.get_sizes()[0] for marks in ax.collections] == [22, 12]
