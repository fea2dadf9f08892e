"""Several GPUs from one notebook, by accelerate's ``notebook_launcher``."""

from typing import Any

import torch
from accelerate import PartialState, notebook_launcher
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from reidlib import stages
from reidlib.errors import ReIDConfigError, ReIDError
from reidlib.where import Where

STAGES = ("r1", "r2", "ptgan", "poser", "poses", "fusion", "extractor")


def train_on(
    processes: int,
    dataset: str = "synthetic",
    root: str = "",
    profile: str = "smoke",
    seed: int = 0,
    stage: str = "extractor",
    **choice: Any,
) -> None:
    """Make a stage, and those before it, in several processes; they stay on disk.

    The chapter that calls this in its first cell then finds the stages finished. The
    processes are forked: with GPUs this must come before anything uses one. Without
    GPUs they share the CPU and talk by gloo.

    Args:
        processes: how many; with GPUs, one for each.
        dataset, root, profile, seed: as in every chapter.
        stage: "r1", "r2", "ptgan", "poser", "poses", "fusion" or "extractor".
        choice: protocol, trial, boxes or tensorboard, as on the command line.

    Raises:
        ReIDConfigError: no such stage, too many processes, or a GPU is in use already.
        ReIDError: a process has failed; its own message follows.
    """
    gpus = torch.cuda.device_count()
    if stage not in STAGES:
        raise ReIDConfigError(
            f"There is no stage '{stage}'; choose one of {', '.join(STAGES)}."
        )
    if processes < 1 or 0 < gpus < processes:
        most = f"1 to {gpus}, one for each GPU" if gpus else "1 or more"
        raise ReIDConfigError(f"{processes} processes cannot be started; give {most}.")
    if processes > 1 and torch.cuda.is_initialized():
        raise ReIDConfigError(
            "This session has used a GPU, so no process can be forked from it; restart "
            "the notebook and call train_on in its first cell."
        )
    where = Where(dataset, root, profile, seed, **choice)
    if processes == 1:
        return _make(where, stage)
    try:
        notebook_launcher(
            _forked,
            (where, stage),
            num_processes=processes,
            rdzv_backend="c10d",  # which finds a free port
            rdzv_endpoint="127.0.0.1:0",
        )
    except ChildFailedError as error:
        said: Any = error.get_first_failure()[1].message
        said = said["message"] if isinstance(said, dict) else said
        raise ReIDError(f"A process of train_on has failed: {said}") from error


def _forked(where: Where, stage: str) -> None:
    PartialState._reset_state()  # what the notebook knew: that it is alone
    torch.set_num_threads(1)  # those of the notebook are not here, and waited for
    _make(where, stage)


def _make(where: Where, stage: str) -> None:
    run = where.open()
    if stage == "fusion":
        stages.fusion(run, stages.poses(run))
    else:
        getattr(stages, stage)(run)
