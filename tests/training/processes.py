"""Trains small things in as many processes as started it; ``test_distributed`` does."""

import json
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from filelock import FileLock

from reidlib.data.batches import TensorBatches
from reidlib.models import Encoder
from reidlib.training import PtGANConfig, train_ptgan
from reidlib.training.distributed import everyone, only_one, processes
from reidlib.training.loop import LoopConfig, Task, fit
from reidlib.training.poser import PoserConfig, train_poser


def gan() -> dict:
    """Losses of a pt-GAN: BatchNorm, smoothed labels, augmentation, a penalty."""
    generator = torch.Generator().manual_seed(3)
    shape = (24, 3, 64, 32)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    table = pd.DataFrame({"pid": np.repeat(np.arange(6), 4)})
    points = np.random.default_rng(0).uniform(0.2, 0.8, (24, 25, 2)).astype(np.float32)
    config = PtGANConfig(
        steps=4, batch=8, validations=2, ngf=2, ndf=4, blocks=1, native_aspect=True,
        norm="batch", held_out=0.34, watch=4, alarms=False, penalty=1.0,
    )  # fmt: skip
    torch.manual_seed(0)
    r1 = Encoder("resnet10", None)
    return train_ptgan(r1, images, table, points, config)[2].to_dict("list")


def gathered() -> dict:
    """A loss that needs the whole batch at once, such as the hardest negative."""
    torch.manual_seed(1)
    state, network = processes(), torch.nn.Linear(4, 3)
    data = TensorBatches(x=torch.randn(32, 4))

    def phase(task: Task, batch: dict) -> tuple:
        made = everyone(task.prepared["net"](batch["x"]))
        loss = (made[:, None] - made[None]).square().sum(-1).max()
        return loss, {"loss": loss}

    task = Task(
        {"net": network},
        {"net": torch.optim.SGD(network.parameters(), 0.01)},
        {"net": phase},
        # as if every device computed a little otherwise
        lambda: {"score": float(network.weight.detach().sum()) + state.process_index},
        lambda p: 1.0,
    )
    history = fit(task, data, LoopConfig(steps=6, batch=8, validations=3))
    maps = torch.arange(48.0).view(2, 2, 3, 4)
    if state.process_index:  # laid out otherwise, as bf16 networks on some GPUs have it
        maps = maps.to(memory_format=torch.channels_last)
    found = everyone(maps)[-2:].flatten().tolist()
    return history.to_dict("list") | {"maps": found}


def judge() -> dict:
    """Losses of the judge of poses, where some pictures have few joints."""
    generator = torch.Generator().manual_seed(3)
    shape = (24, 3, 64, 32)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    random = np.random.default_rng(0)
    points = random.uniform(0.2, 0.8, (24, 25, 2)).astype(np.float32)
    points[random.random((24, 25)) < random.random((24, 1)) ** 0.2] = np.nan
    config = PoserConfig(steps=4, batch=4, validations=4, width=8, held_out=0.34)
    pids = np.repeat(np.arange(6), 4)
    return train_poser(images, points, pids, config)[1].to_dict("list")


def queue(out: Path) -> dict:
    """Another run is at work for longer than processes wait for each other."""
    state = PartialState(cpu=True, timeout=timedelta(seconds=7))
    lock, other = out / ".stage.lock", FileLock(out / ".stage.lock", thread_local=False)
    if state.process_index == state.num_processes - 1:
        other.acquire()
        threading.Timer(11, other.release).start()
    state.wait_for_everyone()
    started = time.monotonic()
    with only_one(lock):
        return {"waited": time.monotonic() - started > 9}


def tiny() -> None:
    """A profile of its own for the tests below."""
    from dataclasses import replace

    from reidlib import profiles

    small = profiles.SMOKE
    made = replace(
        small,
        name="tiny",
        population=16,
        attributes=replace(small.attributes, steps=2, batch=4, validations=1),
        encoder=replace(small.encoder, steps=2, batch=4, validations=1, held_out=0.3),
        ptgan=replace(
            small.ptgan, steps=2, batch=4, ngf=2, ndf=4, blocks=1, validations=1,
            held_out=0.3, watch=4,
        ),
        fusion=replace(small.fusion, steps=2, batch=4, validations=1, held_out=0.3),
        poses=2,
    )  # fmt: skip
    profiles.PROFILES["tiny"] = made


def stage(folder: Path) -> dict:
    """A whole method at a tiny scale: every stage is made once, by one process."""
    from reidlib import runs, stages

    tiny()
    run = runs.begin("tests", root=str(folder), profile="tiny")
    chosen = stages.poses(run)
    found = stages.fusion(run, chosen)[1]
    generated = stages.generated(run, chosen)[0]
    return {
        "query": found["query"].double().sum().item(),
        "generated": [generated[s].double().sum().item() for s in ("train", "query")],
        "left": sorted(p.name for p in run.folder.iterdir() if p.suffix != ".lock"),
    }


def notebook(folder: Path, out: Path) -> dict:
    """What a notebook finds that has its stages made by two processes."""
    import logging

    from reidlib import launch
    from reidlib.errors import ReIDError

    tiny()
    assert processes().num_processes == 1  # a notebook that has looked already,
    torch.set_num_threads(2)  # and has computed with threads that no fork inherits
    torch.nn.Conv2d(8, 8, 3)(torch.zeros(8, 8, 64, 64)).sum().backward()
    inner, failed = launch._make, ""

    def told(*arguments) -> None:
        inner(*arguments)
        state = processes()
        (out / f"worker-{state.process_index}-of-{state.num_processes}").touch()

    launch._make = told
    launch.train_on(2, root=str(folder), profile="tiny", stage="fusion")
    try:
        launch.train_on(2, root=str(folder / "absent"), profile="tiny")
    except ReIDError as error:
        failed = str(error)
    logging.basicConfig(level=logging.INFO, filename=out / "log")
    found = stage(folder) | {"failed": failed, "log": (out / "log").read_text()}
    return found | {"workers": sorted(p.name for p in out.glob("worker-*"))}


def main() -> None:
    """Run what the command line names, and write what every process found."""
    torch.set_num_threads(1)
    what, out = sys.argv[1], Path(sys.argv[2])
    made = {"gan": gan, "gathered": gathered, "judge": judge}
    if what in made:
        found = made[what]()
    elif what == "queue":
        found = queue(out)
    else:
        world = Path(sys.argv[3])
        found = notebook(world, out) if what == "notebook" else stage(world)
    state = processes()
    text = json.dumps({"processes": state.num_processes, "found": found})
    (out / f"{what}-{state.num_processes}-{state.process_index}.json").write_text(text)


if __name__ == "__main__":
    main()
