"""FusionNet's training: whom it learns from, and what it holds in memory."""

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.data import validation_split
from reidlib.errors import ReIDDataError
from reidlib.training import FusionConfig, train_fusion
from reidlib.training import fusion as module

CONFIG = FusionConfig(steps=12, batch=8, validations=1, held_out=0.25, hidden=8)


@pytest.fixture
def cached() -> tuple[torch.Tensor, torch.Tensor, pd.DataFrame]:
    torch.manual_seed(0)
    table = pd.DataFrame({"pid": np.repeat(np.arange(8), 4), "camid": [1, 2, 3, 4] * 8})
    return torch.randn(32, 6), torch.randn(32, 2, 6), table


def test_features_are_held_once_and_nobody_learns_from_those_held_out(
    cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, generated, table = cached
    seen = {}

    def noted(task, data, config, *, sampler, **rest):
        seen.update(data=data, items=torch.cat([sampler(s) for s in range(12)]))
        return pd.DataFrame({"loss": [0.0]})

    monkeypatch.setattr(module, "fit", noted)
    train_fusion(source, generated, table, CONFIG)
    tensors = seen["data"].tensors
    assert tensors["first"].data_ptr() == source.data_ptr()
    assert tensors["second"].data_ptr() == generated.data_ptr()
    out = validation_split(table["pid"], 0.25, 0)
    assert set(seen["items"].tolist()) == set(np.flatnonzero(~out))
    labels = tensors["labels"]
    assert (labels[torch.as_tensor(out)] == -1).all()
    assert labels.max() == table["pid"][~out].nunique() - 1


def test_it_learns_to_tell_the_training_identities_apart(cached) -> None:
    source, generated, table = cached
    centres = torch.eye(8, 6)[table["pid"].to_numpy()]
    config = FusionConfig(steps=60, batch=8, validations=2, held_out=0.25, lr=0.02)
    _, history = train_fusion(centres + source / 10, generated, table, config)
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]


@pytest.mark.parametrize("cameras", [[1, 1, 1, 1], [1, 2, 2, 2]])
def test_people_whom_nobody_can_find_again_watch_no_training(cached, cameras) -> None:
    source, generated, table = cached
    out = validation_split(table["pid"], CONFIG.held_out)
    table.loc[out, "camid"] = cameras * 2
    if len(set(cameras)) > 1:
        train_fusion(source, generated, table, CONFIG)
        return
    said = "None of the 2 held-out training identities was seen by two cameras"
    with pytest.raises(ReIDDataError, match=said):
        train_fusion(source, generated, table, CONFIG)
