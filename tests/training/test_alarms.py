"""What stops a pt-GAN that has collapsed, on made-up histories."""

import pytest

from reidlib.errors import ReIDError
from reidlib.training.alarms import LOOKS, LOST_SQUARES, gan_alarm

WELL = {
    "step": 300.0,
    "d_right": 0.8,
    "g_adv": 1.0,
    "rec": 0.1,
    "by_pose": 0.2,
    "by_person": 0.4,
}
ILL = {
    "drawings of different people differ by 1.0%": {"by_person": 0.01},
    "drawings of different poses differ by 0.5%": {"by_pose": 0.005},
    "G has nothing left to follow": {"d_right": 1.0, "g_adv": 9.0},
    "4.0 times its least; lower lr": {"rec": 0.4},
}


@pytest.mark.parametrize("words", ILL)
def test_each_collapse_is_explained_after_some_looks_in_a_row(words) -> None:
    ill = WELL | ILL[words]
    for count in range(LOOKS):
        gan_alarm([WELL] * 3 + [ill] * count)
    with pytest.raises(ReIDError, match=words):
        gan_alarm([WELL] + [ill] * LOOKS)


def test_a_run_that_recovers_is_not_stopped() -> None:
    ill = WELL | {"by_pose": 0.0}
    gan_alarm([WELL, ill, ill, WELL])
    gan_alarm([ill, ill, WELL, ill, ill])


def test_a_judge_that_wins_fairly_or_a_loss_that_is_high_alone_is_no_alarm() -> None:
    gan_alarm([WELL | {"d_right": 1.0}] * LOOKS)
    gan_alarm([WELL | {"g_adv": 20.0}] * LOOKS)


def test_a_judge_that_only_guesses_is_told_in_the_log(caplog) -> None:
    gan_alarm([WELL | {"d_right": 0.5}] * LOOKS)
    assert "D only guesses (50 % right)" in caplog.text


def test_a_judge_of_squares_has_won_when_its_loss_is_near_one() -> None:
    ill = WELL | {"d_right": 1.0, "g_adv": 0.98}
    gan_alarm([ill] * LOOKS)
    with pytest.raises(ReIDError, match="nothing left"):
        gan_alarm([ill] * LOOKS, lost=LOST_SQUARES)
