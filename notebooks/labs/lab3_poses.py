# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 3: another way to choose poses
#
# **Goal.** Write a chooser that picks real poses instead of averaging them,
# and judge it three ways: does it cover the poses there are, could its poses
# be people, and does it help retrieval?
#
# **You need** chapter 5 (pose clustering) and NumPy. **Time:** 100 minutes.
# **Points:** 10.
#
# **How it works.** Write your code where it says `YOUR CODE HERE`. The cell
# after each exercise tests it. Your teacher runs more tests than you see, on
# other data. Locked cells come back as they were.

# %% nbgrader={"grade": false, "grade_id": "lab3-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from reidlib import labs, plots, posesets
from reidlib.fusing import rules
from reidlib.pose import PoseClusterer, torso_valid
from reidlib.retrieval import Interval, paired_bootstrap

plots.style()
bundle = labs.prepare()
train, query, gallery = bundle.train, bundle.query, bundle.gallery
print("poses of the training pictures:", train.points.shape)
print("with a whole torso:", int(torso_valid(train.points).sum()))

# %% [markdown]
# ## The seam
#
# A chooser is a scikit-learn estimator: `fit(points)` takes poses
# `(N, 25, 2)` in shares of width and height, NaN where a joint is missing, and
# leaves `poses_` `(K, 25, 2)`. `PoseClusterer` is one; yours will be another.
#
# Poses are compared by `posesets.distances(a, b)`: the root mean square over
# the joints that both have, in shares of the picture's height; NaN if they
# have none in common.
#
# ## 1. Farthest point (4 points)
#
# A mean of poses may be no pose: average a left and a right step and both
# feet meet. Choose real ones instead.
#
# 1. Use only poses with a whole torso (`torso_valid`).
# 2. Begin with the *medoid*: the pose of the smallest mean distance to all.
# 3. Add the pose whose distance to the nearest chosen one is largest, until
#    there are `n_poses`. Of equals take the first. No distance is NaN: usable
#    poses share at least their shoulders and hips.
#
# A chosen pose stays as it was, its dtype and its missing joints too. If there
# are fewer usable poses than `n_poses`, raise a `ValueError` that says how
# many there are.
#
# Gonzalez (1985) showed that this greedy choice never leaves a pose more than
# twice as far from its nearest choice as the best possible choice would, if
# distances obey the triangle inequality. Ours do where no joint is missing.

# %% nbgrader={"grade": false, "grade_id": "lab3-farthest", "locked": false, "schema_version": 3, "solution": true, "task": false}
class FarthestPoint(BaseEstimator):
    """K real poses, each far from the others."""

    def __init__(self, n_poses=4):
        self.n_poses = n_poses

    def fit(self, points, y=None):
        """(N, 25, 2) -> self, with poses_ (K, 25, 2)."""
        ### BEGIN SOLUTION
        used = np.asarray(points)[torso_valid(points)]
        if len(used) < self.n_poses:
            raise ValueError(f"{len(used)} usable poses are fewer than "
                             f"{self.n_poses}; give more.")
        gaps = np.nan_to_num(posesets.distances(used, used))
        chosen = [int(gaps.mean(axis=1).argmin())]
        while len(chosen) < self.n_poses:
            chosen.append(int(gaps[:, chosen].min(axis=1).argmax()))
        self.poses_ = used[chosen]
        ### END SOLUTION
        return self


# %% nbgrader={"grade": true, "grade_id": "lab3-farthest-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
base = np.random.default_rng(0).uniform(0.2, 0.6, (25, 2))
toy = base + [[[0, lower]] for lower in (0, 0.02, 0.06, 0.1, 0.3)]
order = [2, 4, 0, 3]  # the middle, the far end, the near end, between
np.testing.assert_array_equal(FarthestPoint(4).fit(toy).poses_, toy[order])
found = FarthestPoint(4).fit(train.points).poses_
assert found.shape == (4, 25, 2)
assert torso_valid(found).all(), "every chosen pose has a whole torso"
real = {pose.tobytes() for pose in train.points}
assert all(pose.tobytes() in real for pose in found), "real poses, unchanged"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(5)
cloud = rng.uniform(0.2, 0.8, (30, 25, 2))
cloud[3, 4] = cloud[9, 7] = np.nan
cloud[11, 9] = np.nan  # a hip: not usable
usable = [i for i in range(30) if i != 11]


def gap(i, j):
    delta = (cloud[i] - cloud[j]) * [0.5, 1.0]
    return np.sqrt(np.nanmean((delta ** 2).sum(axis=1)))


mean = {i: np.mean([gap(i, j) for j in usable]) for i in usable}
order = [min(usable, key=mean.get)]
while len(order) < 5:
    order.append(max(usable, key=lambda i: min(gap(i, j) for j in order)))
np.testing.assert_array_equal(FarthestPoint(5).fit(cloud).poses_, cloud[order])
assert clone(FarthestPoint(7)).n_poses == 7
try:
    FarthestPoint(30).fit(cloud)
except ValueError as error:
    assert "29" in str(error), "say how many usable poses there are"
else:
    raise AssertionError("29 usable poses cannot give 30: ValueError")
### END HIDDEN TESTS

# %% [markdown]
# Here are three choosers with three poses each: look before you measure. Come
# back later, and change `K`.

# %% nbgrader={"grade": false, "grade_id": "lab3-k", "locked": false, "schema_version": 3, "solution": false, "task": false}
K = 3

# %% nbgrader={"grade": false, "grade_id": "lab3-sets", "locked": true, "schema_version": 3, "solution": false, "task": false}
choosers = {
    "K-means": PoseClusterer(algorithm="kmeans", n_poses=K),
    "GMM": PoseClusterer(algorithm="gmm", n_poses=K),
    "farthest": FarthestPoint(K),
}
sets = {name: c.fit(train.points).poses_ for name, c in choosers.items()}

# %% tags=["nbval-ignore-output"]
figure = plots.pose_grid(
    np.concatenate([*sets.values()]), columns=K,
    titles=[f"{name} {k + 1}" for name in sets for k in range(K)],
)

# %% [markdown]
# *The poses of each chooser, a row each. Look at the last row: what are the
# far poses? Often those of a bad crop, not of an unusual stance. Alt text:
# three rows of three stick figures, orange on the person's right, blue on the
# left.*
#
# ## 2. Coverage (3 points)
#
# A chooser covers a crowd if everybody in it has a chosen pose nearby. For
# each test pose with a whole torso, take the distance to the nearest of the K.
# Return the mean and the largest, in **per cent of the picture's height**.

# %% nbgrader={"grade": false, "grade_id": "lab3-coverage", "locked": false, "schema_version": 3, "solution": true, "task": false}
def coverage(poses, points):
    """(K, 25, 2), (N, 25, 2) -> {"mean": ..., "worst": ...} in per cent."""
    ### BEGIN SOLUTION
    used = np.asarray(points)[torso_valid(points)]
    nearest = np.nanmin(posesets.distances(used, poses), axis=1)
    return {"mean": 100 * nearest.mean(), "worst": 100 * nearest.max()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab3-coverage-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
own = coverage(query.points[torso_valid(query.points)], query.points)
assert own["worst"] < 0.01, "poses cover themselves"
two = coverage(sets["K-means"][:2], query.points)
three = coverage(sets["K-means"], query.points)
assert three["mean"] <= two["mean"], "one more pose cannot cover less"
tenth = coverage(toy[:1], toy[:1] + [0, 0.1])
np.testing.assert_allclose([*tenth.values()], 10, err_msg="in per cent")
### BEGIN HIDDEN TESTS
found = coverage(cloud[:1], cloud[:1] + [0.0, 0.1])  # lower by a tenth
np.testing.assert_allclose([*found.values()], 10, rtol=1e-6)
gaps = [min(gap(i, j) for j in usable[:3]) for i in usable]
found = coverage(cloud[usable[:3]], cloud)
np.testing.assert_allclose(found["mean"], 100 * np.mean(gaps), rtol=1e-6)
np.testing.assert_allclose(found["worst"], 100 * np.max(gaps), rtol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# And could the poses be people's? `posesets.plausibility` counts what no
# person does: joints outside the picture, limbs too long, poses that nobody in
# training is near.

# %% tags=["nbval-ignore-output"]
covered = {k: coverage(v, query.points) for k, v in sets.items()}
pd.DataFrame(covered).T.round(1)

# %% tags=["nbval-ignore-output"]
posesets.plausibility(sets, train.points)

# %% [markdown]
# The lower, the better, in both columns of the first table. Farthest point
# aims at the worst case, and its mean is above that of K-means. With so few
# poses it need not win the worst case either. Set `K = 6` above, run all
# again, and compare.
#
# ## 3. What retrieval says (3 points)
#
# Poses are chosen so that a generator can redraw everybody in them.
# `bundle.draw(images, poses)` gives the features of those drawings,
# `(N, K, D)`, and `rules.slots(w)` joins them with the pictures' own features.
# A rule is called with both: `rule(part.features, drawn)`. What it returns for
# query and gallery goes to `bundle.judge(query, gallery)`, so both must be
# drawn. `paired_bootstrap(a, b)` compares two results of `judge`, and returns
# `difference`, `low` and `high` of a - b. Write a function that returns the
# paired gain in mAP of `slots(weight)` over `rules.input_only`, as an
# `Interval`: above zero if the drawings help.

# %% nbgrader={"grade": false, "grade_id": "lab3-gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gain(poses, weight=0.3):
    """(K, 25, 2) -> Interval of mAP(slots) - mAP(input only) on the test."""
    ### BEGIN SOLUTION
    judged = []
    drawn = [bundle.draw(p.images, poses) for p in (query, gallery)]
    for rule in (rules.slots(weight), rules.input_only):
        judged.append(bundle.judge(*(
            rule(p.features, d) for p, d in zip((query, gallery), drawn)
        )))
    found = paired_bootstrap(*judged)
    return Interval(found.difference, found.low, found.high)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab3-gain-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
one = gain(sets["farthest"][:1])
assert isinstance(one, Interval), "return an Interval"
assert one.low <= one.value <= one.high
### BEGIN HIDDEN TESTS
none = gain(sets["farthest"][:1], weight=0.0)
assert abs(none.value) < 1e-6, "without weight the drawings change nothing"
drawn = [bundle.draw(p.images, sets["farthest"][:1]) for p in (query, gallery)]
joined = [rules.slots(0.3)(p.features, d)
          for p, d in zip((query, gallery), drawn)]
wanted = bundle.judge(*joined).mAP
alone = bundle.judge(query.features, gallery.features).mAP
assert abs(one.value - (wanted - alone)) < 1e-6
### END HIDDEN TESTS

# %% tags=["nbval-ignore-output"]
figure = plots.gains({name: gain(poses) for name, poses in sets.items()},
                     "gain in mAP over the picture alone")

# %% [markdown]
# *What each set of poses adds, with 95 % intervals over people. Look at
# which lie above zero. Whether two choosers differ, these intervals do not
# say: that needs `paired_bootstrap` of the two. Alt text: three dots with
# horizontal bars beside a vertical line at zero.*
#
# ## Discuss
#
# The gains are nearly equal: is that what you expected? Does better coverage
# mean better retrieval? The generator learnt from common
# poses: what does it draw in a pose at the edge of the crowd? And `weight` was
# given; who should choose it, and on which people?
#
# *Your answer:*

# %% [markdown]
# ## Stretch
#
# Choose by *view* instead: the most typical pose of each of front, back and
# side (`reidlib.pose.views`), then farthest points until there are K. Is it
# the view that helps, or the stance?

# %% nbgrader={"grade": false, "grade_id": "lab3-stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
from reidlib.pose import views


class ByView(FarthestPoint):
    def fit(self, points, y=None):
        used = np.asarray(points)[torso_valid(points)]
        gaps = posesets.distances(used, used)
        seen, chosen = views(used), []
        for name in ("front", "back", "side"):
            rows = np.flatnonzero(seen == name)
            mean = gaps[np.ix_(rows, rows)].mean(axis=1)
            chosen.append(int(rows[mean.argmin()]))
        while len(chosen) < self.n_poses:
            chosen.append(int(gaps[:, chosen].min(axis=1).argmax()))
        self.poses_ = used[chosen[: self.n_poses]]
        return self


for chooser in (ByView(K + 2), FarthestPoint(K + 2)):
    print(gain(chooser.fit(train.points).poses_))
### END SOLUTION
