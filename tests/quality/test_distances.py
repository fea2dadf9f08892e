from itertools import combinations

import numpy as np
import pytest
import torch

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.quality import (
    bootstrap_rows,
    diversity,
    jackknife_rows,
    reid_fid,
    retention,
    share,
)
from reidlib.retrieval import interval


def gaussian(mean, scale, n=200, seed=0):
    """Rows with exactly this mean and diagonal covariance scale ** 2."""
    x = torch.randn(
        n, len(mean), generator=torch.Generator().manual_seed(seed)
    ).double()
    x = x - x.mean(0)
    x = torch.linalg.qr(x)[0] * (n - 1) ** 0.5  # covariance 1
    return x * torch.tensor(scale) + torch.tensor(mean)


def test_the_frechet_distance_of_two_gaussians_has_its_closed_form():
    a = gaussian([0.0, 1.0, 2.0], [1.0, 2.0, 0.5])
    b = gaussian([1.0, 1.0, -1.0], [2.0, 0.3, 0.5], seed=1)
    wanted = 1 + 9 + (2 - 1) ** 2 + (2 - 0.3) ** 2
    assert reid_fid(a, b) == pytest.approx(wanted)
    assert reid_fid(b, a) == pytest.approx(wanted)
    assert reid_fid(a + 1000, b + 1000) == pytest.approx(wanted)  # moved together


def test_the_frechet_distance_to_itself_is_zero_even_with_few_pictures():
    few = torch.randn(6, 40)
    assert reid_fid(few, few.clone()) == pytest.approx(0, abs=1e-4)


def test_float32_features_lose_nothing():
    a, b = gaussian([0.0, 5.0], [1.0, 2.0]), gaussian([0.0, 5.0], [1.0, 1.0])
    assert reid_fid(a.float(), b.float()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "real, drawn, error, message",
    [
        (torch.ones(9, 4), torch.randn(9, 4), ReIDDataError, "are equal; the network"),
        (torch.randn(9, 4), torch.randn(9, 5), ReIDConfigError, "of one network"),
        (torch.randn(9), torch.randn(9, 4), ReIDConfigError, r"give \(N, D\)"),
        (torch.randn(1, 4), torch.randn(9, 4), ReIDDataError, "two or more"),
        (torch.randn(9, 4), torch.full((9, 4), np.nan), ReIDDataError, "NaN"),
    ],
)
def test_features_that_have_no_distance_are_refused(real, drawn, error, message):
    with pytest.raises(error, match=message):
        reid_fid(real, drawn)


def gallery_of(people=8, views=3, features=16):
    rng = torch.Generator().manual_seed(0)
    centres = torch.randn(people, features, generator=rng)
    pids, camids = (
        np.repeat(np.arange(1, people + 1), views),
        np.tile([1, 2, 3], people),
    )
    noise = torch.randn(len(pids), features, generator=rng)
    return centres[pids - 1] + 0.1 * noise, pids, camids


def test_drawings_equal_to_their_sources_retain_everything():
    gallery, pids, camids = gallery_of()
    mine = camids == 1
    ids = pids[mine], camids[mine], pids, camids
    found = retention(gallery[mine], gallery[mine], gallery, *ids)
    assert found.real.rank(1) == 1 and found.share().value == 1
    assert str(found.share("mAP")) == "1.00 [1.00, 1.00]"


def test_half_of_the_drawings_at_the_wrong_person_retain_half():
    gallery, pids, camids = gallery_of()
    mine = camids == 1
    ids = pids[mine], camids[mine], pids, camids
    drawn = gallery[mine].clone()
    drawn[:4] = drawn[[1, 2, 3, 0]]  # four drawings show another person
    found = retention(drawn, gallery[mine], gallery, *ids)
    assert found.drawn.rank(1) == 0.5
    assert found.share().value == 0.5
    assert found.share().low < 0.5 < found.share().high


def test_a_collapsed_network_is_no_judge_of_identity():
    gallery, pids, camids = gallery_of()
    ids = pids, camids, pids, camids
    with pytest.raises(ReIDDataError, match="all 24 gallery features are equal"):
        retention(gallery, gallery, torch.ones_like(gallery), *ids)
    with pytest.raises(ReIDConfigError, match="one source for each drawing"):
        retention(gallery, gallery[:3], gallery, *ids)


def test_one_drawing_can_be_looked_up():
    gallery, pids, camids = gallery_of()
    ids = pids[:1], camids[:1], pids, camids
    assert retention(gallery[:1], gallery[:1], gallery, *ids).drawn.rank(1) == 1


def test_diversity_equals_loops_over_pairs():
    rng = np.random.default_rng(0)
    pids, poses = (v.ravel() for v in np.mgrid[0:4, 0:3])
    drawn, real = (torch.tensor(rng.normal(size=(12, 5))) for _ in range(2))
    found = diversity(drawn, real, pids, poses)
    for name, same in (("over poses", pids), ("over persons", poses)):
        mean = []
        for x in (drawn, real):
            groups = {}
            for i, j in combinations(range(12), 2):
                if same[i] == same[j]:
                    gap = float((x[i] - x[j]).square().sum())
                    groups.setdefault(same[i], []).append(gap)
            mean.append(np.mean([np.mean(g) for g in groups.values()]))
        assert found[name] == pytest.approx((mean[0] / mean[1]) ** 0.5)


def test_collapse_shows_as_no_diversity():
    pids, poses = (v.ravel() for v in np.mgrid[0:4, 0:3])
    real = torch.randn(12, 3, 4, 4)
    by_person = real[(pids * 3).tolist()]  # the same for all poses of a person
    found = diversity(by_person, real, pids, poses)
    assert found["over poses"] == pytest.approx(0, abs=1e-6)
    assert found["over persons"] > 0.5
    assert diversity(real, real, pids, poses) == pytest.approx(
        {"over poses": 1, "over persons": 1}
    )


def test_several_drawings_of_one_person_in_one_pose_count_once():
    drawn = torch.tensor([[0.0], [99.0], [2.0], [50.0]])
    real = torch.tensor([[0.0], [4.0]])
    ids = np.array([1, 1, 1, 1]), np.array([0, 0, 1, -1])
    found = diversity(drawn, real, *ids, np.array([1, 1]), np.array([0, 1]))
    assert found["over poses"] == pytest.approx(0.5)
    assert np.isnan(found["over persons"])  # there is only one


def test_real_pictures_that_do_not_differ_are_refused():
    with pytest.raises(ReIDDataError, match="all 2 real features are equal"):
        diversity(torch.randn(2, 3), torch.ones(2, 3), np.arange(2), np.arange(2))


def test_a_share_is_the_ratio_of_the_means_of_rows_that_have_both():
    pids = np.array([1, 1, 2, 3])
    found = share([1.0, 2.0, np.nan, 3.0], [2.0, 2.0, 5.0, 4.0], pids)
    assert found.value == pytest.approx(6 / 8)
    assert np.isnan(share([1.0, 1.0], [0.0, 0.0], [1, 2]).value)


def test_the_bootstrap_of_a_mean_agrees_with_the_one_of_retrieval():
    rng = np.random.default_rng(0)
    pids, values = rng.integers(0, 60, 300), rng.normal(size=300)
    mine = bootstrap_rows(lambda rows: float(values[rows].mean()), pids, n_boot=4000)
    theirs = interval(values, pids, n_boot=4000)
    assert mine.value == pytest.approx(theirs.value)
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=40)
    found = jackknife_rows(
        lambda rows: float(values[rows].mean()), np.arange(40), groups=40
    )
    error = values.std(ddof=1) / 40**0.5
    assert found.high - found.value == pytest.approx(1.96 * error)
    bare = jackknife_rows(lambda rows: float(len(rows)), np.arange(40), groups=0)
    assert bare.value == 40 and np.isnan(bare.low)


def test_intervals_need_two_people_and_sane_settings():
    with pytest.raises(ReIDDataError, match="needs two or more"):
        bootstrap_rows(lambda rows: 0.0, [7, 7])
    with pytest.raises(ReIDConfigError, match="n_boot = 0"):
        bootstrap_rows(lambda rows: 0.0, [1, 2], n_boot=0)
    with pytest.raises(ReIDConfigError, match="groups = 1"):
        jackknife_rows(lambda rows: 0.0, [1, 2], groups=1)
