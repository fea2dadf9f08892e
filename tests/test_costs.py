"""What a call costs is measured from outside it."""

import time

import numpy as np
import pytest

from reidlib.costs import extra_memory, milliseconds, resident


def test_a_median_is_of_warm_calls_only():
    naps = iter([0.2, 0.02, 0.02, 0.02])
    assert 20 <= milliseconds(lambda: time.sleep(next(naps)), repeats=3) < 150
    assert next(naps, None) is None


@pytest.mark.skipif(np.isnan(resident("VmRSS")), reason="Linux tells; others do not")
def test_memory_is_that_beyond_what_was_there():
    held = np.ones(2**23)  # 64 MB, there before
    assert extra_memory(lambda: np.ones(2**22).sum()) == pytest.approx(32, abs=8)
    assert extra_memory(lambda: held.sum()) < 8
