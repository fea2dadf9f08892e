"""Networks drawn as boxes and arrows."""

import matplotlib.pyplot as plt
import pytest

from reidlib.diagrams import flow
from reidlib.errors import ReIDConfigError

BOXES = {"picture": (0, 0, (3, 8, 4)), "network": (1, 0, ()), "loss": (1, 1, (1,))}


def test_every_box_shows_its_name_and_shape_and_every_arrow_its_label():
    figure = flow(BOXES, [("picture", "network"), ("network", "loss", "eq. 4")])
    written = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert written == ["picture\n3×8×4", "network", "loss\n1", "eq. 4"]
    assert len(figure.axes[0].patches) == len(BOXES)
    plt.close(figure)


def test_an_arrow_goes_from_edge_to_edge():
    figure = flow(BOXES, [("picture", "network"), ("loss", "network")])
    sideways, upwards = [t for t in figure.axes[0].texts if not t.get_text()]
    assert 0 < sideways.xyann[0] < sideways.xy[0] < 1
    assert sideways.xyann[1] == sideways.xy[1] == 0
    assert 0 < upwards.xy[1] < upwards.xyann[1] < 1
    plt.close(figure)


def test_an_arrow_to_nowhere_is_refused():
    with pytest.raises(ReIDConfigError, match="'judge', which is no box; choose from"):
        flow(BOXES, [("picture", "judge")])
