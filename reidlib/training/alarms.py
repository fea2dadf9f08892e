"""Signs that the two players of a GAN have stopped playing."""

import logging

from reidlib.errors import ReIDError

log = logging.getLogger(__name__)

LOOKS = 3  # an alarm needs this many looks in a row
SAME = 0.02  # drawings differ by less than this share of what photographs do
CERTAIN = 0.999  # D is right about every cell
LOST = 8.0  # G's loss when D believes one in 3,000 of its cells
LOST_SQUARES = 0.95  # the same with squares (LSGAN), whose loss ends near 1
GUESS = 0.55  # D is right no more often than a coin
APART = 3.0  # the reconstruction error over the least so far


def gan_alarm(rows: list[dict[str, float]], lost: float = LOST) -> None:
    """Look at the history of a pt-GAN; see ``PtGANConfig.alarms``.

    Args:
        rows: of every look so far: d_right, g_adv, rec, by_pose, by_person.
        lost: G's adversarial loss from which D has won.

    Raises:
        ReIDError: the drawings no longer differ, D has won for good, or the
            reconstruction diverges; the message says which, and what helps.
    """
    if len(rows) < LOOKS:
        return
    last = rows[-LOOKS:]
    step = int(rows[-1]["step"])
    for what, name in (("by_person", "people"), ("by_pose", "poses")):
        if all(row[what] < SAME for row in last):
            raise ReIDError(
                f"pt-GAN at step {step}: drawings of different {name} differ by "
                f"{last[-1][what]:.1%} of what photographs do, so G ignores its "
                "input; lower lr, or give lambda_rec more weight."
            )
    if all(row["d_right"] >= CERTAIN and row["g_adv"] > lost for row in last):
        raise ReIDError(
            f"pt-GAN at step {step}: D is right about {last[-1]['d_right']:.1%} of its "
            f"cells and G's loss is {last[-1]['g_adv']:.1f}, so G has nothing left to "
            "follow; set spectral or penalty, or lower D's weight."
        )
    least = min(row["rec"] for row in rows)
    if all(row["rec"] > APART * least for row in last):
        raise ReIDError(
            f"pt-GAN at step {step}: the reconstruction error is "
            f"{last[-1]['rec']:.3g}, {last[-1]['rec'] / least:.1f} times its least; "
            "lower lr."
        )
    if all(row["d_right"] < GUESS for row in last):
        log.warning(
            "pt-GAN at step %d: D only guesses (%.0f %% right), so it teaches G "
            "nothing; norm='batch' helps on small pictures.",
            step,
            100 * last[-1]["d_right"],
        )
