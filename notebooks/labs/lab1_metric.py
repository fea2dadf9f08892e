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
# # Lab 1: another matching metric
#
# **Goal.** Replace the cosine by a distance that you learn from training
# people, and find out whether it pays.
#
# **You need** chapter 2 (ranking, mAP, intervals) and a little linear
# algebra: covariances and eigenvectors. **Time:** 90 minutes. **Points:** 10.
#
# **How it works.** Write your code where it says `YOUR CODE HERE`. The cell
# after each exercise tests it. Your teacher runs more tests than you see, on
# other data. Locked cells come back as they were.

# %% nbgrader={"grade": false, "grade_id": "lab1-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
from scipy.linalg import eigh
from sklearn.decomposition import PCA

from reidlib import labs, plots
from reidlib.data import validation_split
from reidlib.retrieval import (
    bootstrap,
    evaluate,
    paired_bootstrap,
)

plots.style()
bundle = labs.prepare()
train, query, gallery = bundle.train, bundle.query, bundle.gallery
print(len(train.pids), "training pictures of", len(set(train.pids)), "people")
print(len(query.pids), "queries,", len(gallery.pids), "gallery pictures")


# %% [markdown]
# ## The seam
#
# A metric enters the library in one of two ways. Either you give a matrix,
# `evaluate_distances(distances, ...)` with `distances` of shape `(Q, G)`,
# smaller is nearer. Or you give a *map* of the features, after which the
# Euclidean distance is yours: `evaluate(f(query), f(gallery), ...,
# metric="euclidean")`. The second never holds the matrix, so it works for
# large galleries. You will write one of each.
#
# ## 1. Cosine, and why one normalises (2 points)
#
# How long a vector is depends on more than who is seen, so retrieval compares
# directions:
#
# $$
# d(a, b) = 1 - \frac{a^\top b}{\lVert a \rVert \, \lVert b \rVert}.
# $$
#
# Write it for all pairs at once. A vector of length zero has no direction:
# let its distance to everything be exactly 1, never NaN.

# %% nbgrader={"grade": false, "grade_id": "lab1-cosine", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cosine_distance(a, b):
    """(N, D) and (M, D) arrays -> (N, M) distances in [0, 2]."""
    ### BEGIN SOLUTION
    return 1 - directions(a) @ directions(b).T


def directions(rows):
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab1-cosine-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
found = cosine_distance(np.array([[3., 4.]]), np.array([[4., 3.], [-3., -4.]]))
assert found.shape == (1, 2), "one row per row of a, one column per row of b"
np.testing.assert_allclose(found, [[0.04, 2]], atol=1e-12)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1)
a, b = rng.normal(size=(5, 7)), rng.normal(size=(4, 7))
loops = [[1 - x @ y / np.sqrt(x @ x * (y @ y)) for y in b] for x in a]
np.testing.assert_allclose(cosine_distance(a, b), loops, atol=1e-12)
np.testing.assert_allclose(
    cosine_distance(a * [[1], [2], [3], [4], [5]], b), loops, atol=1e-12
)
a[2] = 0
assert (cosine_distance(a, b)[2] == 1).all(), "a vector of zeros is at 1"
### END HIDDEN TESTS

# %% [markdown]
# The baseline. The interval draws *people* with replacement, 95 %.

# %% tags=["nbval-ignore-output"]
cosine = bundle.judge(query.features, gallery.features)
print("mAP of the cosine:", bootstrap(cosine)["mAP"])

# %% [markdown]
# ### Ties
#
# A metric that says "all the same" must earn nothing. What it earns depends
# on how a tool sorts equal distances. Here is a descriptor of zeros, scored
# with ties in the worst order, in the best, and on average over all orders.

# %% nbgrader={"grade": false, "grade_id": "lab1-ties", "locked": true, "schema_version": 3, "solution": false, "task": false}
nothing = [np.zeros((len(part.pids), 2)) for part in (query, gallery)]
for ties in ("worst", "best", "expected"):
    print(f"{ties:8} mAP {bundle.judge(*nothing, ties=ties).mAP:.3f}")


# %% [markdown]
# The library takes the worst unless you ask otherwise. Keep this in mind when
# your own metric rounds, clips or quantises.
#
# ## 2. What differs within a person, and between people (3 points)
#
# Directions of the feature space are not equally telling. Some change with
# the light and the pose of *one* person; others change from person to person.
# Two matrices say which. Over pairs of pictures from **different cameras**,
# with differences $\delta = x - z$:
#
# $$
# S = \operatorname{mean}_{\text{same person}} \delta \delta^\top, \qquad
# O = \operatorname{mean}_{\text{two persons}} \delta \delta^\top.
# $$
#
# Retrieval drops pictures of the same person in the query's own camera; we
# leave that camera out for strangers too, so that both means are of the same
# kind of pair. A hint: `np.triu_indices(n, 1)` gives both members of every
# pair once.

# %% nbgrader={"grade": false, "grade_id": "lab1-covariances", "locked": false, "schema_version": 3, "solution": true, "task": false}
def covariances(features, pids, camids):
    """(N, D), (N,), (N,) -> S and O, both (D, D)."""
    ### BEGIN SOLUTION
    first, second = np.triu_indices(len(pids), 1)
    crossed = camids[first] != camids[second]
    first, second = first[crossed], second[crossed]
    same = pids[first] == pids[second]
    deltas = features[first] - features[second]
    return tuple(d.T @ d / len(d) for d in (deltas[same], deltas[~same]))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab1-covariances-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
toy = np.array([[0., 0.], [2., 0.], [0., 4.], [9., 9.]])
same, other = covariances(toy, np.array([1, 1, 2, 1]), np.array([1, 2, 1, 1]))
np.testing.assert_allclose(same, [[53 / 2, 63 / 2], [63 / 2, 81 / 2]])
np.testing.assert_allclose(other, [[4, -8], [-8, 16]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2)
x, who = rng.normal(size=(9, 3)), rng.integers(1, 4, 9)
where = np.arange(9) % 3
sums, counts = np.zeros((2, 3, 3)), [0, 0]
for i in range(9):
    for j in range(i):
        if where[i] != where[j]:
            kind = int(who[i] != who[j])
            sums[kind] += np.outer(x[i] - x[j], x[i] - x[j])
            counts[kind] += 1
for found, total, count in zip(covariances(x, who, where), sums, counts):
    np.testing.assert_allclose(found, total / count)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The learned distance (3 points)
#
# If differences are normal with covariance $S$ for one person and $O$ for
# two, then $\log p(\delta \mid \text{two}) - \log p(\delta \mid
# \text{one})$ is, up to a constant, half of
#
# $$
# d^2(x, z) = \delta^\top \left( S^{-1} - O^{-1} \right) \delta
# $$
#
# (called KISSME by Köstinger et al., CVPR 2012; with a projection, XQDA, by
# Liao et al., CVPR 2015). Two repairs make it a distance. With few
# people $S$ is nearly singular, so it is *shrunk* towards equal variances:
#
# $$
# S' = (1 - s)\, S + s \,\frac{\operatorname{trace} S}{D} \, I.
# $$
#
# And the bracket may be indefinite. `ratios, W = eigh(O, S')` solves both: in
# the basis $W$, $S'$ is the identity and $O$ is $\operatorname{diag}(r)$, so
# the bracket is $\operatorname{diag}(1 - 1/r)$. Keep the directions with
# $r > 1$, in which two people differ more than one does, and return
#
# $$
# L = W_{r > 1} \operatorname{diag}\sqrt{1 - 1/r},
# $$
#
# a `(D, d)` matrix: the Euclidean distance of `x @ L` and `z @ L` is $d$.

# %% nbgrader={"grade": false, "grade_id": "lab1-learn", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learn(features, pids, camids, shrinkage):
    """(N, D), (N,), (N,) and s in [0, 1] -> (D, d) projection."""
    ### BEGIN SOLUTION
    same, other = covariances(features, pids, camids)
    level = np.trace(same) / len(same)
    same = (1 - shrinkage) * same + shrinkage * level * np.eye(len(same))
    ratios, basis = eigh(other, same)
    kept = ratios > 1
    return basis[:, kept] * np.sqrt(1 - 1 / ratios[kept])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab1-learn-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(3)
who, where = np.repeat(np.arange(1, 31), 4), np.tile([1, 2, 3, 4], 30)
telling = rng.normal(size=(30, 1))[who - 1] + 0.1 * rng.normal(size=(120, 1))
noise = 5 * rng.normal(size=(120, 1))
L = learn(np.hstack([telling, noise]), who, where, 0.0)
assert L.shape[0] == 2, "a row for each feature"
assert 1 <= L.shape[1] <= 2, "which ratios are above 1? Is it eigh(O, S')?"
step = np.linalg.norm(L, axis=1)  # how far one unit of each feature moves
assert step[0] > 5 * step[1], "the feature of noise must count for little"
# one person differs from camera to camera, more than two people do
swings = 2.0 * ((who + where) % 2)[:, None]
both = learn(np.hstack([telling, swings + noise / 50]), who, where, 0.0)
assert both.shape == (2, 1), "a direction of a ratio below 1 must go"
### BEGIN HIDDEN TESTS
from reidlib.retrieval import fit_metric

x = rng.normal(size=(120, 6)) + 2 * rng.normal(size=(30, 6))[who - 1]
x = np.hstack([x, swings + 0.1 * rng.normal(size=(120, 1))])


def between(rows):
    return ((rows[:, None] - rows[None]) ** 2).sum(-1)


for s in (0.0, 0.01, 0.3):
    reference = fit_metric(x, who, where, shrinkage=s).transform(x)
    mine = between(x @ learn(x, who, where, s))
    np.testing.assert_allclose(mine, between(reference), rtol=1e-3, atol=1e-3)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Choose by training people only (2 points)
#
# How much to shrink? The test must not decide. Hold out half of the *training*
# people: `validation_split(pids, 0.5)` is True in their rows. Learn on the
# others, and let every held-out picture search all held-out pictures, by the
# learned distance. Return the candidate of the highest mAP; of a tie the
# first.
#
# The features are prepared here: directions, then the 64 strongest principal
# axes, since 64 is what so few people can teach.

# %% nbgrader={"grade": false, "grade_id": "lab1-axes", "locked": true, "schema_version": 3, "solution": false, "task": false}
axes = PCA(64, random_state=0)
unit = {
    name: (part.features / part.features.norm(dim=1, keepdim=True)).numpy()
    for name, part in {"t": train, "q": query, "g": gallery}.items()
}
t = axes.fit_transform(unit["t"]).astype(float)
q, g = (axes.transform(unit[name]).astype(float) for name in "qg")


# %% nbgrader={"grade": false, "grade_id": "lab1-choose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose(features, pids, camids, candidates):
    """The best shrinkage, judged on held-out training people."""
    ### BEGIN SOLUTION
    held = validation_split(pids, 0.5)
    ids = (pids[held], pids[held], camids[held], camids[held])
    scores = []
    for s in candidates:
        kept = learn(features[~held], pids[~held], camids[~held], s)
        mapped = features[held] @ kept
        result = evaluate(mapped, mapped, *ids, metric="euclidean")
        scores.append(result.mAP)
    return candidates[int(np.argmax(scores))]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab1-choose-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
CANDIDATES = [0.01, 0.1, 0.3, 0.6, 0.9]
best = choose(t, train.pids, train.camids, CANDIDATES)
assert best in CANDIDATES
### BEGIN HIDDEN TESTS
from reidlib.retrieval import fit_metric


def judged(x, pids, camids, s):
    held = validation_split(pids, 0.5)
    ids = [rows[held] for rows in (pids, pids, camids, camids)]
    map_ = fit_metric(x[~held], pids[~held], camids[~held], shrinkage=s)
    mapped = map_.transform(x[held])
    return evaluate(mapped, mapped, *ids, metric="euclidean").mAP


def check(candidates, *data):
    score = {s: judged(*data, s) for s in candidates}
    chosen = choose(*data, candidates)
    enough = score[chosen] >= max(score.values()) - 1e-3
    assert enough, f"{chosen} is not the best of {score}"


check(CANDIDATES, t, train.pids, train.camids)
# here the swapped halves, and the cosine, would choose another
rng = np.random.default_rng(5)
who, where = np.repeat(np.arange(1, 25), 4), np.tile([1, 2, 3, 4], 24)
x = rng.normal(size=(24, 10))[who - 1] * np.linspace(2, 0.2, 10)
x += rng.normal(size=(96, 10)) * np.linspace(0.5, 1.5, 10)
x += rng.normal(size=(4, 10))[where - 1]
check([0.02, 0.2, 0.5, 0.8, 0.98], x, who, where)
### END HIDDEN TESTS

# %% [markdown]
# Now, once, the test. The difference is taken query by query and its interval
# over people: it is much narrower than the two intervals suggest.

# %% tags=["nbval-ignore-output"]
L = learn(t, train.pids, train.camids, best)
learned = bundle.judge(q @ L, g @ L, metric="euclidean")
print("learned:", bootstrap(learned)["mAP"], " shrinkage", best)
gain = paired_bootstrap(learned, cosine)
print(f"learned - cosine: {gain.difference:+.3f} "
      f"[{gain.low:+.3f}, {gain.high:+.3f}]")

# %% [markdown]
# ## Discuss
#
# Does the learned distance beat the cosine, and does the interval exclude
# zero? A learned metric needs people; forty are few. If it loses here, what
# would you change first: more people, fewer axes, or more shrinkage?
#
# *Your answer:*

# %% [markdown]
# ## Stretch
#
# Every camera has its colour cast. Before you learn, subtract from each
# feature the mean of its camera: `of_camera(features, camids, means)`, where
# `means` is a dict from camera to the mean of its training features. A camera
# that is not in it keeps its features, cast included. Does it help? And for a
# camera that training never saw? All six are in training here, so simulate
# one: leave its training pictures out, and look at its queries only.

# %% nbgrader={"grade": false, "grade_id": "lab1-stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
def of_camera(features, camids, means):
    none = np.zeros(features.shape[1])
    return features - np.array([means.get(c, none) for c in camids])


def centred(rows):
    """mAP of every query when training sees these rows only."""
    cameras = set(train.camids[rows])
    means = {c: t[rows & (train.camids == c)].mean(axis=0) for c in cameras}
    ct = of_camera(t[rows], train.camids[rows], means)
    cq = of_camera(q, query.camids, means)
    cg = of_camera(g, gallery.camids, means)
    L = learn(ct, train.pids[rows], train.camids[rows], best)
    return bundle.judge(cq @ L, cg @ L, metric="euclidean")


everything = centred(np.ones(len(t), dtype=bool))
print(paired_bootstrap(everything, learned))
new, without = 1, centred(train.camids != 1)
asked = query.camids == new
for result in (learned, everything, without):
    print(f"{result.per_query('mAP')[asked].mean():.3f}")
### END SOLUTION
