import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError
from reidlib.models.poser import Found, Poser, centre_of_mass, poser_loss
from reidlib.quality import find_joints, pck


def poses(count, seed=0, missing=0.2):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.05, 0.95, (count, 25, 2)).astype(np.float32)
    points[rng.random((count, 25)) < missing] = np.nan
    return points


@pytest.mark.parametrize("size", [(128, 64), (64, 32), (70, 33)])
def test_joints_and_maps_have_their_shapes(size):
    found = Poser(8)(torch.randn(2, 3, *size))
    assert found.points.shape == (2, 25, 2) and found.visible.shape == (2, 25)
    assert found.heat.shape[-2:] == (-(-size[0] // 4), -(-size[1] // 4))
    torch.testing.assert_close(found.heat.exp().sum((2, 3)), torch.ones(2, 25))
    assert (found.points > 0).all() and (found.points < 1).all()


def test_the_centre_of_mass_of_one_cell_is_its_middle():
    heat = torch.zeros(1, 2, 8, 4)
    heat[0, 0, 5, 1], heat[0, 1, 0, 0], heat[0, 1, 0, 1] = 1, 0.5, 0.5
    wanted = torch.tensor([[[1.5 / 4, 5.5 / 8], [1 / 4, 0.5 / 8]]])
    torch.testing.assert_close(centre_of_mass(heat), wanted)


def test_a_picture_is_judged_alone():
    judge, images = Poser(8).eval(), torch.randn(3, 3, 64, 32)
    whole, alone = judge(images), judge(images[1:2])
    torch.testing.assert_close(whole.points[1:2], alone.points, atol=1e-5, rtol=1e-4)


def test_the_loss_equals_loops_over_joints():
    generator = torch.Generator().manual_seed(0)
    heat = torch.randn(2, 25, 6, 4, generator=generator)
    heat = heat.flatten(2).log_softmax(-1).view(2, 25, 6, 4)
    visible = torch.randn(2, 25, generator=generator)
    found = Found(centre_of_mass(heat.exp()), visible, heat)
    points = poses(2)
    total = {"heat": [], "place": [], "visible": []}
    for b in range(2):
        for j in range(25):
            x, y = points[b, j]
            p = 1 / (1 + np.exp(-float(visible[b, j])))
            if np.isnan(x):
                total["visible"].append(-np.log(1 - p))
                continue
            total["visible"].append(-np.log(p))
            bump = np.array(
                [
                    [
                        np.exp(-((r + 0.5 - 6 * y) ** 2 + (c + 0.5 - 4 * x) ** 2) / 2)
                        for c in range(4)
                    ]
                    for r in range(6)
                ]
            )
            bump /= bump.sum()
            total["heat"].append(-(bump * heat[b, j].numpy()).sum())
            gap = np.abs(found.points[b, j].numpy() - points[b, j])
            total["place"].append(gap.sum())
    loss, parts = poser_loss(found, torch.from_numpy(points))
    for name, values in total.items():
        assert float(parts[name]) == pytest.approx(np.mean(values), rel=1e-4)
    wanted = np.mean(total["heat"]) + 10 * np.mean(total["place"])
    assert float(loss) == pytest.approx(wanted + np.mean(total["visible"]), rel=1e-4)


def test_missing_joints_leave_the_gradients_finite():
    judge = Poser(8)
    points = torch.full((2, 25, 2), torch.nan)
    loss, parts = poser_loss(judge(torch.randn(2, 3, 32, 16)), points)
    loss.backward()
    assert float(parts["heat"].detach()) == 0
    gradients = [p.grad for p in judge.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_the_judge_learns_four_pictures_by_heart():
    torch.manual_seed(0)
    judge, images = Poser(16), torch.randn(4, 3, 64, 32)
    points = poses(4)
    adam = torch.optim.AdamW(judge.parameters(), lr=3e-3)
    for _ in range(120):
        loss, _ = poser_loss(judge(images), torch.from_numpy(points))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert np.mean(pck(find_joints(judge, images), points, (64, 32))) > 0.95
    guessed = judge(images).visible > 0
    assert (guessed.numpy() == np.isfinite(points[..., 0])).mean() > 0.95


def test_a_width_that_groups_cannot_share_is_refused():
    with pytest.raises(ReIDConfigError, match="multiple of 8"):
        Poser(12)


def test_pck_counts_joints_within_a_tenth_of_the_body():
    wanted = np.full((1, 25, 2), np.nan)
    wanted[0, 0], wanted[0, 1], wanted[0, 2] = (0.5, 0.1), (0.5, 0.3), (0.5, 0.9)
    # the body is 0.8 * 128 = 102.4 px high, a tenth of it 10.24 px
    found = wanted.copy()
    found[0, 0] += (0, 10.0 / 128)  # right
    found[0, 1] += (8 / 64, 8 / 128)  # 11.3 px: wrong
    found[0, 2] = np.nan  # not found: wrong
    found[0, 3] = 0.5  # not asked for
    assert pck(found, wanted, (128, 64)).tolist() == pytest.approx([1 / 3])
    assert pck(found, wanted, (128, 64), at=0.2).tolist() == pytest.approx([2 / 3])


def test_pckh_takes_half_of_the_heads_box():
    wanted = np.full((1, 25, 2), np.nan)
    wanted[0, 1], wanted[0, 17] = (0.5, 0.25), (0.25, 0.125)  # 16 x 16 px
    wanted[0, 4] = (0.5, 0.5)
    found = wanted.copy()
    found[0, 4] += (7 / 64, -7 / 128)  # 9.9 px away, but within 8 along x and y
    found[0, 17] += (8 / 64, 0)  # at the limit: wrong
    values = pck(found, wanted, (128, 64), at=0.5, unit="head")
    assert values.tolist() == pytest.approx([2 / 3])


def test_pictures_without_asked_joints_or_extent_have_no_pck():
    wanted = np.full((3, 25, 2), np.nan)
    wanted[1, 4] = 0.5  # one joint has no height
    wanted[2, [4, 7]] = [[0.5, 0.2], [0.5, 0.6]]  # no head
    found = np.full((3, 25, 2), 0.5)
    assert np.isnan(pck(found, wanted, (128, 64))).tolist() == [True, True, False]
    assert np.isnan(pck(found, wanted, (128, 64), unit="head")).all()


def test_pck_refuses_other_shapes_and_units():
    points = poses(2)
    with pytest.raises(ReIDConfigError, match="give .P, 25, 2. twice"):
        pck(points[:1], points, (128, 64))
    with pytest.raises(ReIDConfigError, match="must be 'body' or 'head'"):
        pck(points, points, (128, 64), unit="torso")
