"""Judging sets of poses, against hand-computed answers and loops."""

import json
import subprocess
import sys
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from book import poses as script
from reidlib import posesets
from reidlib.data import load_dataset
from reidlib.data.synthetic import write_world
from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.pose import SKELETONS, PoseClusterer, torso_valid

LIMBS = SKELETONS["body25"].limbs
MANIFEST = {"dataset", "protocol", "seed", "data", "code", "versions", "wall_s"}
MEASURES = ["joints outside", "limbs off", "sides agree", "nearest real"]


def standing(count: int = 90, noise: float = 0.004, seed: int = 0) -> np.ndarray:
    """(count, 25, 2): fronts, backs and fronts at the right, toes never seen."""
    rng = np.random.default_rng(seed)
    one = rng.uniform(0.3, 0.7, (25, 2))
    one[[5, 12], 0], one[[2, 9], 0] = 0.7, 0.3  # left joints at the image's right
    one[[2, 5], 1], one[[9, 12], 1] = 0.3, 0.6
    back = one * [-1, 1] + [1, 0]
    kinds = np.stack([one, back, one + [0.2, 0.0]])
    points = kinds[np.arange(count) % 3] + rng.normal(0, noise, (count, 25, 2))
    points[:, 19:] = np.nan
    points[::10, 4] = np.nan
    return points


def rand_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """Hubert and Arabie's index from the four kinds of pairs."""
    same = np.array([[x[i] == x[j] for i, j in combinations(range(len(a)), 2)]
                     for x in (a, b)])  # fmt: skip
    both, pairs = same.all(axis=0).sum(), comb(len(a), 2)
    first, second = same.sum(axis=1)
    chance = first * second / pairs
    return (both - chance) / ((first + second) / 2 - chance)


def test_filled_poses_are_what_the_clusterer_clusters():
    points = standing()
    points[3, 2] = np.nan
    points[5, 0] = 1.3  # outside the picture
    rows = posesets.filled(points)
    assert rows.shape == (89, 38)
    assert rows.max() <= 1
    means = KMeans(3, n_init=10, random_state=4).fit(rows).cluster_centers_
    ours = PoseClusterer("body", "kmeans", 3, 4).fit(points).poses_[:, :19]
    for pose in ours.reshape(3, -1):
        assert np.abs(means - pose).max(axis=1).min() < 1e-4


def test_well_parted_poses_are_grouped_alike_by_every_fit():
    table = posesets.stability(standing(), [3], range(3), 4)
    assert table[["method", "K", "over", "pairs"]].to_numpy().tolist() == [
        ["K-means", 3, "seeds", 3],
        ["K-means", 3, "bootstraps", 6],
        ["GMM", 3, "seeds", 3],
        ["GMM", 3, "bootstraps", 6],
    ]
    assert table.query("method == 'K-means'")["min"].tolist() == [1, 1]


def test_stability_is_the_rand_index_of_all_pairs_of_seeds():
    points = standing(noise=0.2)
    points = points[torso_valid(points)]
    rows = posesets.filled(points)
    for method, model in (
        ("K-means", lambda s: KMeans(7, n_init=10, random_state=s)),
        ("GMM", lambda s: GaussianMixture(7, reg_covar=1e-4, random_state=s)),
    ):
        labels = [model(s).fit(rows).predict(rows) for s in (1, 5, 8)]
        by_hand = [rand_by_hand(a, b) for a, b in combinations(labels, 2)]
        table = posesets.stability(points, [7], (1, 5, 8), 2)
        found = table[(table["method"] == method) & (table["over"] == "seeds")].iloc[0]
        wanted = [np.mean(by_hand), min(by_hand), max(by_hand)]
        np.testing.assert_allclose(list(found[["mean", "min", "max"]]), wanted)
        assert wanted[1] < 1


def test_selection_has_the_criteria_by_their_formulas():
    points = standing(noise=0.05)
    rows = posesets.filled(points)
    table = posesets.selection(points, [2, 3, 5], seed=1)
    assert table.index.tolist() == [2, 3, 5]
    assert table["silhouette"].idxmax() == 3
    mixture = GaussianMixture(3, reg_covar=1e-4, random_state=1).fit(rows)
    free = 3 * (38 + 38 * 39 // 2) + 2
    likelihood = mixture.score_samples(rows).sum()
    n = len(rows)
    assert table.loc[3, "AIC"] == pytest.approx(2 * (free - likelihood) / n)
    bic = free * np.log(n) - 2 * likelihood
    assert table.loc[3, "BIC"] == pytest.approx(bic / n)
    nearest = ((rows[:, None] - KMeans(3, n_init=10, random_state=1).fit(rows)
                .cluster_centers_) ** 2).sum(-1).min(1)  # fmt: skip
    assert table.loc[3, "inertia"] == pytest.approx(nearest.mean())


def test_limbs_are_measured_by_the_torso_in_a_picture_of_two_by_one():
    pose = np.full((1, 25, 2), np.nan)
    pose[0, [2, 5]] = [0.2, 0.2], [0.8, 0.2]
    pose[0, [9, 12]] = [0.4, 0.6], [0.6, 0.6]  # the torso is 0.4 high
    pose[0, 3] = [0.2, 0.5]  # upper arm of 0.3
    pose[0, 6] = [0.8 - 0.6, 0.2]  # and one of 0.6 of the width, 0.3 of the height
    ratio = posesets.limb_ratios(pose)[0]
    known = {limb: ratio[k] for k, limb in enumerate(LIMBS) if not np.isnan(ratio[k])}
    assert known == {(2, 3): pytest.approx(0.75), (5, 6): pytest.approx(0.75)}


def test_plausibility_counts_what_is_wrong_with_a_pose():
    real = standing()
    good = standing(seed=0)[:4]
    bad = good.copy()
    bad[0, 3] = [1.2, 0.5]  # outside, and both limbs at this elbow too long
    bad[1, [9, 12]] = bad[1, [12, 9]]  # hips turned round, thighs cross
    table = posesets.plausibility({"good": good, "bad": bad}, real, draws=50)
    values = table.pivot(index="set", columns="measure", values="value")
    assert [*table["measure"][:4]] == MEASURES
    assert values.loc["good", "sides agree"] == 1
    # a distance to itself: rounded differently by processors
    assert values.loc["good", "nearest real"] == pytest.approx(0, abs=1e-6)
    assert LIMBS[0] == (1, 8)  # the limb that is left out
    joints = np.isfinite(bad[..., 0]).sum()
    assert values.loc["bad", "joints outside"] == pytest.approx(1 / joints)
    assert values.loc["bad", "sides agree"] == 0.75
    assert values.loc["bad", "limbs off"] > values.loc["good", "limbs off"]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_the_nearest_real_pose_is_so_many_per_cent_of_the_height_away():
    real = standing()
    moved = real[1:2] + [0.0, 0.03]
    table = posesets.plausibility({"moved": moved}, real[1:2], draws=5)
    near = table.set_index("measure").loc["nearest real"]
    assert near[["value", "low", "high"]].tolist() == pytest.approx([3, 3, 3])
    wide = posesets.distances(real[:1], real[:1] + [0.1, 0.0])
    assert wide[0, 0] == pytest.approx(0.05)  # a picture is half as wide as high


def test_a_measure_without_anything_to_measure_is_nan():
    pose = standing()[:3].copy()
    pose[:, [2, 5]] = np.nan
    table = posesets.plausibility({"x": pose}, standing(), draws=5)
    values = table.set_index("measure")["value"]
    assert np.isnan(values[["limbs off", "sides agree"]]).all()
    assert np.isfinite(values[["joints outside", "nearest real"]]).all()


def test_medoids_are_the_nearest_poses_by_a_loop():
    points = standing(noise=0.05)
    points[7, 9] = np.nan  # no torso: never a medoid
    clusterer = PoseClusterer("body", "kmeans", 5).fit(points)
    found = posesets.medoids(clusterer, points)
    mean = np.ma.masked_invalid(points[torso_valid(points)]).mean(0).filled(np.nan)
    for pose, row in zip(clusterer.poses_, found, strict=True):
        gaps = []
        for other in points:
            shift = (np.where(np.isnan(other), mean, other) - pose) * [0.5, 1.0]
            far = np.nanmean((shift**2).sum(-1))
            gaps.append(far if torso_valid(other) else np.inf)
        assert row == np.argmin(gaps)


def test_zeros_for_missing_joints_pull_centres_to_the_corner():
    points = standing()
    points[:30] = np.nan
    centres, samples = posesets.with_zeros(points, 4)
    assert centres.shape == (4, 25, 2)
    assert samples.shape == (1000, 25, 2)
    assert np.isnan(centres[:, 19:]).all()
    assert posesets.faults(centres, samples)["K-means: joints near the corner"] >= 0.25
    clean = posesets.faults(points[30:], points[30:])
    assert [*clean.values()] == [0, 0]
    half = np.array([[[0.1, 0.1], [1.1, 0.5], [np.nan, np.nan]]])
    assert [*posesets.faults(half, half).values()] == [0.5, 0.5]


def test_bad_sets_say_what_is_wrong():
    points = standing(12)
    none = np.full((4, 25, 2), np.nan)
    for call in (
        lambda: posesets.stability(none, [2], range(2)),
        lambda: posesets.selection(none, [2]),
        lambda: posesets.plausibility({"x": points}, none),
        lambda: posesets.medoids(PoseClusterer(n_poses=2).fit(points), none),
    ):
        with pytest.raises(ReIDDataError, match="no pose shows both hips"):
            call()
    with pytest.raises(ReIDConfigError, match="K=13 is more than 12 different poses"):
        posesets.stability(points, [13], range(2))
    with pytest.raises(ReIDConfigError, match="K=1 has no silhouette; take 2 to 11"):
        posesets.selection(points, [1])
    with pytest.raises(ReIDConfigError, match="no two fits to compare"):
        posesets.stability(points, [2], range(1))
    for bad in (none, none[:0]):
        with pytest.raises(ReIDDataError, match="the set 'x' has a pose without"):
            posesets.plausibility({"x": bad}, points)


@pytest.mark.parametrize(("target", "algorithm"), posesets.METHODS.values())
def test_joints_that_are_never_seen_stay_missing(target, algorithm):
    fitted = PoseClusterer(target, algorithm, 3).fit(standing())
    assert np.isnan(fitted.poses_[:, 19:]).all()
    assert np.isfinite(fitted.poses_[:, :19]).all()
    assert np.isnan(fitted.sample(5, clip=False)[:, 19:]).all()


def test_constant_poses_are_one_pose_and_not_twelve():
    constant = np.repeat(standing()[1:2], 40, axis=0)
    for algorithm in ("kmeans", "gmm"):
        with pytest.raises(ReIDConfigError, match="more than the 1 different poses"):
            PoseClusterer("body", algorithm, 12).fit(constant)
        one = PoseClusterer("body", algorithm, 1, mode="means").fit(constant)
        np.testing.assert_allclose(one.poses_[0], constant[0], atol=1e-6)
        joint = PoseClusterer("joint", algorithm, 12, mode="means").fit(constant)
        assert joint.poses_.shape == (12, 25, 2)
    with pytest.raises(ReIDConfigError, match="K=2 is more than 1 different poses"):
        posesets.selection(constant, [2])


def test_k_above_the_number_of_whole_torsos_is_refused():
    points = standing(20)
    points[:12, 2] = np.nan
    with pytest.raises(ReIDConfigError, match=r"n_poses=9 is more than the 8 diff"):
        PoseClusterer("body", "kmeans", 9).fit(points)
    assert PoseClusterer("joint", "kmeans", 9).fit(points).poses_.shape == (9, 25, 2)


def test_a_component_that_empties_is_never_drawn(monkeypatch):
    """As if a component had lost all its members to the others."""
    points = standing()
    clusterer = PoseClusterer("body", "gmm", 3)
    fit = GaussianMixture.fit

    def emptied(self, rows):
        fit(self, rows)
        self.weights_ = np.array([0.5, 0.5, 1e-300])
        self.means_[2] = 0
        return self

    monkeypatch.setattr(GaussianMixture, "fit", emptied)
    clusterer.fit(points)
    assert np.isfinite(clusterer.visible_).all()
    assert np.isfinite(clusterer.poses_[:, :19]).all()
    assert clusterer.visible_[2].max() < 1e-6
    with pytest.raises(ReIDDataError, match="1 of 3 clusters lost all their poses"):
        clusterer.set_params(mode="means").fit(points)


def test_a_mixture_needs_two_poses():
    for target in ("body", "joint"):
        with pytest.raises(ReIDDataError, match="needs two poses with a whole torso"):
            PoseClusterer(target, "gmm", 1).fit(standing()[:1])


def test_a_joint_that_one_pose_shows_is_as_good_as_never_seen():
    points = standing()
    points[4, 20] = 0.5
    for target in ("body", "joint"):
        poses = PoseClusterer(target, "gmm", 3).fit(points).poses_
        assert np.isnan(poses[:, 20]).all()


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> dict:
    """What the script finds on a tiny world."""
    root = tmp_path_factory.mktemp("poses") / "world"
    write_world(root, ids=24, seed=3, images_per_id=6)
    data = load_dataset("synthetic", root)
    return script.measure(data, ks=(2, 3), selected=(2, 3), fits=2, drawn=30)


def test_the_record_holds_what_the_script_makes(small: dict):
    path = script.RESULTS / "market1501-holdout-poses.json"
    assert path.stat().st_size <= 200_000
    record = json.loads(path.read_text("utf-8"))
    assert record.keys() == {*small, "manifest", "schema", "digest"}
    assert record["manifest"].keys() >= MANIFEST
    for trace in ("/", ".jpg"):  # of a folder, of a photograph
        assert trace not in path.read_text("utf-8")
    check_poses(record, posesets.PAPER_K)
    assert {row["K"] for row in record["stability"]} == set(posesets.PAPER_K)
    assert [row["K"] for row in record["selection"]] == list(script.SELECTED_K)
    for name in ("stability", "selection", "plausibility"):
        assert record[name][0].keys() == small[name][0].keys(), name
    for row in record["stability"]:
        assert row["min"] <= row["mean"] <= row["max"] <= 1
    assert record["counts"]["training"] == 9520  # market1501's hold-out training half


def check_poses(record: dict, ks: tuple[int, ...]) -> None:
    """K poses for every method and K, and a control for each measure."""
    assert record["poses"].keys() == posesets.METHODS.keys()
    for by_k in [*record["poses"].values(), record["medoids"]]:
        assert by_k.keys() == {str(k) for k in ks}
        for k, poses in by_k.items():
            assert len(poses) == int(k)
            numbers = np.array(poses, float)
            assert numbers.shape[1] == 2 * len(record["joints"])
            assert np.nanmin(numbers) >= 0
            assert np.nanmax(numbers) <= 1
    sets = {(row["set"], row["K"]) for row in record["plausibility"]}
    wanted = {(name, k) for name in posesets.METHODS for k in ks}
    assert sets == wanted | {("real people", 0)}
    for row in record["plausibility"]:
        assert row["measure"] in MEASURES
        assert row["low"] <= row["value"] <= row["high"]


def test_the_script_measures_any_data_set_with_keypoints(small: dict):
    check_poses(small, (2, 3))
    assert len(small["plausibility"]) == (4 * 2 + 1) * len(MEASURES)
    assert len(small["stability"]) == 2 * 2 * 2
    assert small["handling"].keys() == {"2", "3"}
    assert small["missing"].keys() == set(SKELETONS["body25"].joints)


def test_the_script_says_what_it_needs():
    path = Path(script.__file__)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "dataset, root" in done.stderr
