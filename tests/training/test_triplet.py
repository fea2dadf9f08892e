"""The batch-hard triplet loss against naive loops, and the warm-up schedule."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reidlib.errors import ReIDConfigError
from reidlib.training.losses import warmup_cosine
from reidlib.training.triplet import batch_hard_triplet


def naive(features, labels, margin):
    points, costs = features.tolist(), []
    for a, anchor in enumerate(points):
        away = [math.dist(anchor, other) for other in points]
        near = [d for d, y in zip(away, labels, strict=True) if y != labels[a]]
        far = [d for i, d in enumerate(away) if labels[i] == labels[a] and i != a]
        if near and far:
            gap = max(far) - min(near)
            soft = math.log1p(math.exp(gap))
            costs.append(soft if margin is None else max(0.0, gap + margin))
    return sum(costs) / len(costs) if costs else 0.0


def features(n, dim=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator, dtype=dtype).requires_grad_()


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.3, 2.0, None]),
)
def test_the_loss_is_that_of_a_naive_loop(labels, margin):
    x = features(len(labels), seed=sum(labels))
    found = batch_hard_triplet(x, torch.tensor(labels), margin)
    assert found.item() == pytest.approx(naive(x, labels, margin))


@pytest.mark.parametrize("margin", [0.3, 3.0, None])
def test_the_gradient_is_that_of_finite_differences(margin):
    labels = torch.tensor([0, 0, 1, 1, 1, 2])  # 2 has no positive
    assert torch.autograd.gradcheck(
        lambda x: batch_hard_triplet(x, labels, margin), [features(6)]
    )


@pytest.mark.parametrize("margin", [0.3, None])
def test_equal_features_give_finite_gradients(margin):
    x = torch.zeros(4, 3, requires_grad=True)
    loss = batch_hard_triplet(x, torch.tensor([0, 0, 1, 1]), margin)
    loss.backward()
    assert loss.item() == pytest.approx(margin or math.log(2))
    assert torch.equal(x.grad, torch.zeros(4, 3))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
@pytest.mark.parametrize("margin", [0.3, None])
def test_a_batch_without_triplets_costs_nothing_and_pulls_nothing(labels, margin):
    x = features(len(labels))
    loss = batch_hard_triplet(x, torch.tensor(labels), margin)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_small_distances_far_from_the_origin_are_not_lost_to_rounding():
    x = torch.tensor([[1000.0], [1000.25], [1001.0], [1001.5]])
    loss = batch_hard_triplet(x, torch.tensor([0, 0, 1, 1]), 1.0)
    costs = [0.25 - 1.0, 0.25 - 0.75, 0.5 - 0.75, 0.5 - 1.25]
    assert loss.item() == pytest.approx(sum(c + 1 for c in costs) / 4)


def test_half_precision_features_are_measured_in_single_precision():
    x = features(6, dtype=torch.bfloat16)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    loss = batch_hard_triplet(x, labels)
    loss.backward()
    assert (loss.dtype, x.grad.dtype) == (torch.float32, torch.bfloat16)
    assert loss.item() == pytest.approx(naive(x, labels.tolist(), 0.3), rel=1e-5)


def test_a_feature_that_is_no_number_shows_in_the_loss():
    x = torch.tensor([[0.0], [math.nan], [1.0], [2.0]])
    assert batch_hard_triplet(x, torch.tensor([0, 0, 1, 1])).isnan()


@pytest.mark.parametrize(
    ("progress", "factor"),
    [(0, 0.01), (0.1, 0.505), (0.2, 1), (0.4, 0.853553), (0.6, 0.5), (1, 0)],
)
def test_the_rate_rises_in_a_line_and_falls_by_a_cosine(progress, factor):
    assert warmup_cosine(0.2)(progress) == pytest.approx(factor, abs=1e-6)


def test_without_warm_up_the_cosine_begins_at_once():
    found = [warmup_cosine(0.0)(p) for p in (0, 0.5, 1)]
    assert found == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("warmup", [-0.1, 1.0, math.nan])
def test_a_warm_up_of_the_whole_run_is_refused(warmup):
    with pytest.raises(ReIDConfigError, match="leaves nothing to train with.*0.1"):
        warmup_cosine(warmup)
