"""How many processes share a grid."""

import os

import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.robustness.spread import cores

linux = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="processes are not forked here"
)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.delenv("REIDLIB_WORKERS", raising=False)


@linux
def test_every_core_that_the_process_may_use_has_a_worker(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 4, 5})
    assert cores() == 3
    monkeypatch.setenv("REIDLIB_WORKERS", "2")
    assert cores() == 2
    monkeypatch.setenv("REIDLIB_WORKERS", "8")
    assert cores() == 3


def test_several_threads_of_torch_leave_no_core_free(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert cores() == 1


def test_what_is_given_counts_for_more_than_the_environment(monkeypatch):
    monkeypatch.setenv("REIDLIB_WORKERS", "1")
    assert cores(2) == 2


@linux
@pytest.mark.parametrize("told", ["0", "-1", "many", ""])
def test_no_number_of_workers_is_an_error(monkeypatch, told):
    monkeypatch.setenv("REIDLIB_WORKERS", told)
    with pytest.raises(ReIDConfigError, match="REIDLIB_WORKERS"):
        cores()


def test_fewer_than_one_worker_is_an_error():
    with pytest.raises(ReIDConfigError, match="0 workers"):
        cores(0)
