import numpy as np
import pytest
import torch
from scipy.ndimage import binary_closing

from reidlib.errors import ReIDConfigError
from reidlib.pose import SKELETONS
from reidlib.quality import pictures


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) * 2 - 1


def one_pose(**joints):
    pose = np.full((1, 25, 2), np.nan)
    for name, place in joints.items():
        pose[0, SKELETONS["body25"].joints.index(name)] = place
    return pose


def test_ssim_of_flat_pictures_is_the_likeness_of_their_means():
    a, b = 0.5, -0.2
    made, truth = torch.full((2, 3, 16, 16), a), torch.full((2, 3, 16, 16), b)
    c1 = (0.01 * 2) ** 2
    wanted = (2 * a * b + c1) / (a * a + b * b + c1)
    assert pictures.ssim(made, truth).tolist() == pytest.approx([wanted] * 2, abs=1e-4)


def test_the_ssim_map_is_the_formula_in_a_gaussian_window():
    made, truth = noise(1, 3, 20, 16), noise(1, 3, 20, 16, seed=1)
    field = pictures.ssim_map(made, truth)[1]
    row, column, wanted = 9, 7, []
    steps = np.arange(-5, 6)
    window = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * 1.5**2))
    window /= window.sum()
    for channel in range(3):
        part = slice(row - 5, row + 6), slice(column - 5, column + 6)
        x, y = made[0, channel][part].numpy(), truth[0, channel][part].numpy()
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
        both = (window * x * y).sum() - mx * my
        c1, c2 = 0.02**2, 0.06**2
        value = (2 * mx * my + c1) * (2 * both + c2)
        wanted.append(value / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert float(field[0, row, column]) == pytest.approx(np.mean(wanted), abs=1e-4)


def test_every_picture_is_measured_by_itself():
    made, truth = noise(5, 3, 32, 16), noise(5, 3, 32, 16, seed=1)
    mask = noise(5, 32, 16, seed=2) > 0
    for measure in (pictures.ssim, pictures.l1):
        alone = [float(measure(made[i : i + 1], truth[i : i + 1])) for i in range(5)]
        assert measure(made, truth).tolist() == pytest.approx(alone, abs=1e-5)
    for measure in (pictures.masked_ssim, pictures.masked_l1):
        rows = [slice(i, i + 1) for i in range(5)]
        alone = [float(measure(made[i], truth[i], mask[i])) for i in rows]
        assert measure(made, truth, mask).tolist() == pytest.approx(alone, abs=1e-5)


def test_more_pictures_than_a_chunk_are_measured_alike(monkeypatch):
    made, truth = noise(5, 3, 16, 16), noise(5, 3, 16, 16, seed=1)
    whole = pictures.ssim_map(made, truth)
    monkeypatch.setattr(pictures, "CHUNK", 2)
    for one, other in zip(whole, pictures.ssim_map(made, truth), strict=True):
        torch.testing.assert_close(one, other)


def test_the_masked_error_is_the_mean_over_the_persons_pixels():
    made, truth = noise(2, 3, 12, 12), noise(2, 3, 12, 12, seed=1)
    mask = torch.zeros(2, 12, 12, dtype=torch.bool)
    mask[0, 3:5, 2:9] = True
    mask[1, 0, 0] = True
    total = [
        abs(float(made[0, c, y, x] - truth[0, c, y, x]))
        for c in range(3)
        for y in (3, 4)
        for x in range(2, 9)
    ]
    wanted = [np.mean(total), float((made - truth)[1, :, 0, 0].abs().mean())]
    found = pictures.masked_l1(made, truth, mask)
    assert found.tolist() == pytest.approx(wanted)


def test_edges_are_the_steps_to_the_pixels_below_and_beside():
    made = noise(2, 3, 5, 4)
    mask = noise(2, 5, 4, seed=1) > -0.5
    wanted = []
    for picture, person in zip(made, mask, strict=True):
        steps = []
        for y, x in person.nonzero().tolist():
            down = picture[:, y + 1, x] if y < 4 else picture[:, y, x]
            right = picture[:, y, x + 1] if x < 3 else picture[:, y, x]
            both = (down - picture[:, y, x]).abs() + (right - picture[:, y, x]).abs()
            steps.append(float(both.mean()))
        wanted.append(np.mean(steps))
    assert pictures.edges(made, mask).tolist() == pytest.approx(wanted, abs=1e-5)
    assert pictures.edges(torch.ones(2, 3, 5, 4), mask).tolist() == [0, 0]


def test_an_empty_mask_gives_no_number():
    made, truth = noise(2, 3, 16, 16), noise(2, 3, 16, 16, seed=1)
    mask = torch.zeros(2, 16, 16)
    mask[1] = 1
    for measure in (pictures.masked_ssim, pictures.masked_l1):
        assert measure(made, truth, mask).isnan().tolist() == [True, False]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ReIDConfigError, match="two batches .* of one shape"):
        pictures.l1(noise(2, 3, 16, 16), noise(1, 3, 16, 16))
    with pytest.raises(ReIDConfigError, match="one mask per picture"):
        made = noise(2, 3, 16, 16)
        pictures.masked_l1(made, made, torch.ones(2, 3, 16, 16))


def test_a_limb_is_a_bar_with_round_ends():
    ends = np.array([[20.0, 60.0], [40.0, 90.0]])
    pose = one_pose(RKnee=ends[0] / (64, 128), RAnkle=ends[1] / (64, 128))
    mask = pictures.pose_mask(pose, (128, 64))[0].numpy()
    bar = np.zeros((128, 64), bool)
    line = ends[1] - ends[0]
    for y in range(128):
        for x in range(64):
            place = np.array([x + 0.5, y + 0.5])
            along = np.clip((place - ends[0]) @ line / (line @ line), 0, 1)
            bar[y, x] = np.linalg.norm(place - ends[0] - along * line) <= 4
    assert (mask == binary_closing(bar, np.ones((5, 5)))).all()


def test_a_lone_joint_is_a_disc_and_a_missing_pose_is_empty():
    pose = np.concatenate([one_pose(RWrist=(0.5, 0.5)), one_pose()])
    masks = pictures.pose_mask(pose, (128, 64))
    assert int(masks[0].sum()) == pytest.approx(np.pi * 16, rel=0.1)
    assert not masks[1].any()


def test_the_mask_grows_with_the_picture():
    pose = one_pose(RShoulder=(0.3, 0.2), RElbow=(0.3, 0.4), RWrist=(0.5, 0.5))
    small, large = (pictures.pose_mask(pose, s) for s in ((128, 64), (256, 128)))
    shares = [float(m.float().mean()) for m in (small, large)]
    assert shares[0] == pytest.approx(shares[1], rel=0.05)


def test_the_torso_has_no_holes():
    pose = one_pose(
        Neck=(0.5, 0.2), MidHip=(0.5, 0.5), RShoulder=(0.35, 0.2),
        LShoulder=(0.65, 0.2), RHip=(0.38, 0.5), LHip=(0.62, 0.5),
    )  # fmt: skip
    mask = pictures.pose_mask(pose, (128, 64))[0]
    assert mask[int(0.2 * 128) : int(0.5 * 128), int(0.4 * 64) : int(0.6 * 64)].all()


def test_half_colours_are_the_means_above_and_below_the_hips():
    picture = torch.zeros(1, 3, 8, 4)
    picture[0, 0, :4], picture[0, 2, 4:] = 0.8, -0.6
    pose = one_pose(RHip=(0.5, 0.4), LHip=(0.5, 0.6))
    found = pictures.half_colours(picture, torch.ones(1, 8, 4), pose)
    wanted = torch.tensor([[[0.8, 0, 0], [0, 0, -0.6]]])
    torch.testing.assert_close(found, wanted)


def test_half_colours_without_hips_or_person_are_missing():
    picture = noise(1, 3, 8, 4)
    bare = pictures.half_colours(picture, torch.ones(1, 8, 4), one_pose())
    empty = pictures.half_colours(
        picture, torch.zeros(1, 8, 4), one_pose(RHip=(0.5, 0.5))
    )
    assert bare.isnan().all() and empty.isnan().all()


def test_grey_drawings_follow_brightness_and_not_chroma():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (300, 2, 3))
    made = np.repeat(truth.mean(2, keepdims=True), 3, axis=2)
    found = pictures.colour_correlation(made, truth)
    assert found["upper brightness"] == pytest.approx(1)
    assert np.isnan(found["upper chroma"])
    paler = pictures.colour_correlation(0.3 * truth + 0.1, truth)
    assert [*paler.values()] == pytest.approx([1] * 4)
    other = pictures.colour_correlation(truth[::-1], truth)
    assert max(abs(v) for v in other.values()) < 0.3


def test_colours_that_are_missing_take_no_part():
    truth = np.random.default_rng(0).uniform(-1, 1, (20, 2, 3))
    made = truth.copy()
    made[3] = np.nan
    assert [*pictures.colour_correlation(made, truth).values()] == pytest.approx(
        [1] * 4
    )
    nothing = pictures.colour_correlation(np.full((4, 2, 3), np.nan), truth[:4])
    assert np.isnan([*nothing.values()]).all()
    assert np.isnan([*pictures.colour_correlation(made[:1], truth[:1]).values()]).all()


def test_masks_in_chunks_are_the_same(monkeypatch):
    points = np.random.default_rng(0).uniform(0, 1, (5, 25, 2))
    whole = pictures.pose_mask(points, (32, 16))
    monkeypatch.setattr(pictures, "CHUNK", 2)
    assert torch.equal(pictures.pose_mask(points, (32, 16)), whole)
