"""Tests, and chapters that nbval re-checks: one thread, no bars, inline figures."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TQDM_DELAY", "1000000")  # heeded by notebook bars
os.environ.pop("MPLBACKEND", None)
