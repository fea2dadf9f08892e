"""Equations 3-6 against naive loops and hand-made gradients, and the GAN's step."""

import math

import numpy as np
import pytest
import torch

from reidlib.data import Draws
from reidlib.models import Discriminator, Encoder, Generator
from reidlib.training.losses import (
    SMOOTH_REAL,
    adversarial_loss,
    class_loss,
    constant_then_linear,
    gradient_penalty,
    reconstruction_loss,
    smooth_targets,
    step_down,
)
from reidlib.training.ptgan import PtGANConfig, code_mode, gan_task


def rng(seed=0):
    return np.random.default_rng(seed)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def made_up_map():
    """A (3, 1, 2, 2) map of logits, and a target for each cell."""
    return rng().normal(size=(3, 1, 2, 2)) * 3, rng(1).uniform(size=(3, 1, 2, 2))


def test_cross_entropy_is_the_mean_of_equation_3_over_the_map():
    logits, targets = made_up_map()
    total = 0.0
    for x, t in zip(logits.ravel(), targets.ravel(), strict=True):
        total -= t * math.log(sigmoid(x)) + (1 - t) * math.log(1 - sigmoid(x))
    found = adversarial_loss(tensor(logits), torch.tensor(targets), "nonsat")
    assert found.item() == pytest.approx(total / 12)


def test_cross_entropy_pulls_a_logit_by_sigmoid_minus_target():
    logits, targets = made_up_map()
    x = tensor(logits)
    adversarial_loss(x, torch.tensor(targets), "nonsat").backward()
    expected = [sigmoid(v) - t for v, t in zip(logits.flat, targets.flat, strict=True)]
    assert x.grad.flatten().tolist() == pytest.approx([e / 12 for e in expected])


def test_least_squares_and_their_gradient_are_those_of_the_code():
    logits, targets = made_up_map()
    x = tensor(logits)
    loss = adversarial_loss(x, torch.tensor(targets), "lsgan")
    loss.backward()
    pairs = list(zip(logits.flat, targets.flat, strict=True))
    assert loss.item() == pytest.approx(sum((a - t) ** 2 for a, t in pairs) / 12)
    expected = [2 * (a - t) / 12 for a, t in pairs]
    assert x.grad.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["nonsat", "lsgan"])
def test_one_number_as_target_stands_for_the_whole_map(mode):
    x = torch.tensor(made_up_map()[0])
    whole = adversarial_loss(x, torch.full_like(x, 0.9), mode)
    assert adversarial_loss(x, 0.9, mode) == whole


def test_the_generators_side_still_pulls_when_the_judge_is_certain():
    x = tensor([[-20.0]])
    adversarial_loss(x, 1.0, "nonsat").backward()
    turned = x.grad.item()
    (minimax,) = torch.autograd.grad(torch.log(1 - torch.sigmoid(x)), x)
    assert turned == pytest.approx(-1.0)
    assert abs(minimax.item()) < 1e-8


def test_a_target_above_one_has_no_best_logit_under_cross_entropy():
    costs = [
        adversarial_loss(torch.tensor([v]), 1.1, "nonsat") for v in (10.0, 100.0, 1e4)
    ]
    assert costs[0] > costs[1] > costs[2]
    assert costs[2] < -900


@pytest.mark.parametrize("mode", ["nonsat", "lsgan"])
def test_smoothed_targets_fill_their_range_and_never_leave_it(mode):
    drawn = smooth_targets(torch.zeros(50, 1, 20, 20), mode, Draws(0, 0, 50))
    low, high = SMOOTH_REAL[mode]
    assert low <= drawn.min() < low + 0.01
    assert high - 0.01 < drawn.max() <= high
    assert drawn.mean().item() == pytest.approx((low + high) / 2, abs=0.005)


def test_smoothed_targets_of_cross_entropy_never_exceed_one():
    assert SMOOTH_REAL["nonsat"] == (0.8, 1.0)  # LSGAN alone may pass 1
    assert SMOOTH_REAL["lsgan"] == (0.8, 1.1)
    assert (
        smooth_targets(torch.zeros(100_000, 1), "nonsat", Draws(0, 0, 100_000)).max()
        <= 1
    )


def test_smoothed_targets_differ_from_cell_to_cell_and_draw_to_draw():
    logits, draws = torch.zeros(2, 1, 6, 2), Draws(0, 0, 2)
    first, second = (smooth_targets(logits, "nonsat", draws) for _ in range(2))
    assert len(first.unique()) == first.numel()
    assert not torch.equal(first, second)


def test_smoothed_targets_are_a_function_of_seed_and_step():
    logits = torch.zeros(2, 1, 6, 2)
    once, again = (smooth_targets(logits, "nonsat", Draws(3, 4, 2)) for _ in range(2))
    other = smooth_targets(logits, "nonsat", Draws(3, 5, 2))
    assert torch.equal(once, again) and not torch.equal(once, other)


def test_the_gradient_penalty_is_the_square_of_a_slope_known_by_hand():
    images = torch.randn(3, 3, 4, 2, requires_grad=True)
    weights = torch.randn(3, 4, 2)
    logits = (images * weights).sum((1, 2, 3)).view(3, 1, 1, 1)
    steep = gradient_penalty(logits, images)
    assert steep.item() == pytest.approx(weights.square().sum().item(), rel=1e-5)


def pictures():
    return rng(2).uniform(-1, 1, (2, 3, 4, 2)), rng(3).uniform(-1, 1, (2, 3, 4, 2))


def test_reconstruction_losses_are_those_of_naive_loops():
    drawn, target = pictures()
    squares, distances, norms = 0.0, 0.0, 0.0
    for one, other in zip(drawn, target, strict=True):
        energy = 0.0
        for a, b in zip(one.ravel(), other.ravel(), strict=True):
            squares += (a - b) ** 2
            distances += abs(a - b)
            energy += (a - b) ** 2
        norms += math.sqrt(energy)
    expected = {"l2_mse": squares / 48, "l1": distances / 48, "l2_norm": norms / 2}
    for kind, value in expected.items():
        found = reconstruction_loss(tensor(drawn), torch.tensor(target), kind)
        assert found.item() == pytest.approx(value), kind


def test_reconstruction_gradients_are_those_derived_by_hand():
    drawn, target = pictures()
    gap = drawn - target
    norm = np.sqrt((gap**2).sum((1, 2, 3), keepdims=True))
    expected = {
        "l2_mse": 2 * gap / 48,
        "l1": np.sign(gap) / 48,
        "l2_norm": gap / norm / 2,
    }
    for kind, value in expected.items():
        x = tensor(drawn)
        reconstruction_loss(x, torch.tensor(target), kind).backward()
        np.testing.assert_allclose(x.grad, value, atol=1e-12, err_msg=kind)


def test_class_loss_and_gradient_are_those_of_equation_5():
    scores, labels = rng(4).normal(size=(3, 5)), [4, 0, 2]
    said = [[math.exp(v) for v in row] for row in scores]
    said = [[v / sum(row) for v in row] for row in said]
    x = tensor(scores)
    loss = class_loss(x, torch.tensor(labels))
    loss.backward()
    wanted = -sum(math.log(row[y]) for row, y in zip(said, labels, strict=True)) / 3
    assert loss.item() == pytest.approx(wanted)
    truth = [[float(c == y) for c in range(5)] for y in labels]
    np.testing.assert_allclose(x.grad, (np.array(said) - truth) / 3)


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1.0), (10, 1.0), (15, 0.5), (20, 0.0)]
)
def test_the_gans_learning_rate_falls_linearly_after_half_of_the_epochs(epoch, factor):
    assert constant_then_linear(epoch / 20) == pytest.approx(factor)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1), (39, 1), (40, 0.1), (60, 0.1)])
def test_the_encoders_learning_rate_drops_at_epoch_40_of_60(epoch, factor):
    assert step_down(epoch / 60) == factor


class Players:
    """G, D, a frozen R1 and one batch, with what a step needs around them."""

    def __init__(self, learning_rate=1e-3, **changes):
        torch.manual_seed(0)
        size = (64, 32)
        self.config = PtGANConfig(lr=learning_rate, **changes)
        self.r1 = Encoder("resnet10", None).eval().requires_grad_(False)
        self.g = Generator(512, 50, 4, 1, size, native_aspect=True)
        self.d = Discriminator(3, 4, size)
        self.task = gan_task(self.r1, self.g, self.d, self.config)
        self.task.prepared = {"g": self.g, "d": self.d, "r1": self.r1}
        self.batch = {
            "source": torch.rand(4, 3, *size) * 2 - 1,
            "target": torch.rand(4, 3, *size) * 2 - 1,
            "pose": torch.rand(4, 50),
            "labels": torch.tensor([0, 1, 2, 0]),
        }

    def step(self, backward=torch.Tensor.backward):
        """As the loop does it: every phase, and its optimiser."""
        made, batch = {}, self.batch | {"draws": Draws(0, 0, 4)}
        for name, phase in self.task.phases.items():
            loss, shown = phase(self.task, batch)
            self.task.optimizers[name].zero_grad()
            backward(loss)
            self.task.optimizers[name].step()
            made |= shown
        return made


def copy_of(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def changed(network, before):
    return [
        k
        for k, _ in network.named_parameters()
        if not torch.equal(network.state_dict()[k], before[k])
    ]


@pytest.mark.parametrize("config", [{}, {"adversarial": "lsgan"}])
def test_a_step_moves_both_players_and_never_r1(config):
    players = Players(**config)
    before = [copy_of(n) for n in (players.g, players.d, players.r1)]
    losses = players.step()
    assert len(changed(players.g, before[0])) == len(list(players.g.parameters()))
    assert changed(players.d, before[1])
    for key, value in players.r1.state_dict().items():  # batch norm's buffers too
        assert torch.equal(value, before[2][key])
    assert [p for p in players.r1.parameters() if p.grad is not None] == []
    wanted = {"d_adv", "d_class", "d_right", "g_adv", "g_class", "rec"}
    assert set(losses) == wanted
    assert all(math.isfinite(v.item()) for v in losses.values())


def test_the_discriminator_learns_nothing_from_the_generators_turn():
    players = Players()
    seen = []

    def backward(loss):
        loss.backward()
        g = [p.grad is not None for p in players.g.parameters()]
        d = [p.grad.clone() for p in players.d.parameters()]
        seen.append((g, d))

    players.step(backward)
    (g_first, d_first), (g_second, d_second) = seen
    assert not any(g_first)  # the drawing is detached in D's turn
    assert all(g_second)
    pairs = zip(d_first, d_second, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_both_losses_are_weighted_as_equation_6_sorted_by_player():
    players = Players(learning_rate=0.0, lambda_rec=7.0, lambda_class=3.0)
    totals = []

    def backward(loss):
        totals.append(loss.item())
        loss.backward()

    made = {k: v.item() for k, v in players.step(backward).items()}
    assert totals[0] == pytest.approx(made["d_adv"] + 3 * made["d_class"], rel=1e-5)
    expected = made["g_adv"] + 7 * made["rec"] + 3 * made["g_class"]
    assert totals[1] == pytest.approx(expected, rel=1e-5)


CODE = {
    "adversarial": "lsgan",
    "reconstruction": "l1",
    "d_adversarial": 10.0,
    "class_loss_in_g": False,
}


def test_the_codes_mode_weighs_the_judge_by_ten_and_spares_g_the_class_loss():
    config = code_mode(steps=5)
    assert (config.adversarial, config.reconstruction) == ("lsgan", "l1")
    assert (config.d_adversarial, config.class_loss_in_g) == (10.0, False)
    assert config.steps == 5
    assert (config.real, config.finetune_encoder) == ("source", True)
    players = Players(learning_rate=0.0, **CODE)
    totals = []

    def backward(loss):
        totals.append(loss.item())
        loss.backward()

    made = {k: v.item() for k, v in players.step(backward).items()}
    assert totals[0] == pytest.approx(10 * made["d_adv"] + made["d_class"], rel=1e-5)
    assert totals[1] == pytest.approx(made["g_adv"] + 10 * made["rec"], rel=1e-5)


def test_the_players_overfit_four_pictures():
    players = Players(learning_rate=2e-3, lambda_class=0.1, lambda_rec=100.0)
    plain = torch.rand(4, 3, 1, 1) * 1.6 - 0.8
    players.batch["target"] = plain.expand(4, 3, 64, 32).contiguous()
    first = players.step()["rec"].item()
    for _ in range(60):
        last = players.step()["rec"].item()
    assert last < 0.25 * first
