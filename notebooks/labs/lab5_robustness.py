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
# # Lab 5: a corruption of your own
#
# **Goal.** Invent something that spoils pictures, write it so that it can be
# repeated, and report how a descriptor bears it: a curve with intervals, and a
# paired comparison of two descriptors.
#
# **You need** chapter 2 (mAP, intervals) and PyTorch. **Time:** 75 minutes.
# **Points:** 10.
#
# **How it works.** Write your code where it says `YOUR CODE HERE`. The cell
# after each exercise tests it. Your teacher runs more tests than you see, on
# other data. Locked cells come back as they were.

# %% nbgrader={"grade": false, "grade_id": "lab5-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from reidlib import labs, plots
from reidlib.retrieval import Interval, bootstrap, paired_bootstrap
from reidlib.training import extract

plots.style(photographs=True)
bundle = labs.prepare()
query, gallery = bundle.query, bundle.gallery
print("queries:", tuple(query.images.shape), query.images.dtype)

# %% [markdown]
# ## The seam
#
# A corruption is a plain function of three arguments:
#
# | argument | what |
# |---|---|
# | `images` | `(N, 3, H, W)` uint8, of any size; never changed in place |
# | `severity` | a number in [0, 1]; 0 changes nothing, 1 is the worst |
# | `rng` | a `torch.Generator`; **all** chance comes from it |
#
# It returns uint8 pictures of the same shape. Equal generators give equal
# pictures, so that a report can be repeated; and each picture of a batch gets
# a draw of its own, so that a report is not about one unlucky draw.
#
# ## 1. Your corruption (4 points)
#
# Anything that a street does to a camera: rain, a shadow, a lamp post, glare,
# a dirty lens, compression. It must meet the contract, and at severity 1 it
# must change the pictures by at least 10 grey levels on average. A severity
# outside [0, 1] is a `ValueError`. Two hints: `torch.rand(..., generator=rng)`
# draws, and sums of bytes overflow, so compute in float, clamp to 0 … 255,
# and round.

# %% nbgrader={"grade": false, "grade_id": "lab5-corrupt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def corrupt(images, severity, rng):
    """A corruption of your own: see the table above."""
    ### BEGIN SOLUTION
    if not 0 <= severity <= 1:  # a shadow falls over each from one side
        raise ValueError(f"severity is {severity}; give 0 to 1.")
    n, _, _, width = images.shape
    edge = torch.rand(n, 1, 1, 1, generator=rng) * width
    left = torch.rand(n, 1, 1, 1, generator=rng) < 0.5
    column = torch.arange(width).view(1, 1, 1, -1)
    dark = torch.where(left, column < edge + 1, column >= edge - 1)
    light = torch.where(dark, 1 - 0.9 * severity, 1.0)
    return (images * light).round().clamp(0, 255).to(torch.uint8)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab5-corrupt-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def again(seed):
    return torch.Generator().manual_seed(seed)


def change(severity, seed=0):
    new = corrupt(query.images, severity, again(seed))
    return float((new.float() - query.images.float()).abs().mean())


before = query.images.clone()
worst = corrupt(query.images, 1.0, again(0))
assert worst.shape == query.images.shape and worst.dtype == torch.uint8
assert torch.equal(query.images, before), "changed in place"
assert torch.equal(corrupt(query.images, 0.0, again(0)), query.images)
same = corrupt(query.images, 1.0, again(0))
assert torch.equal(same, worst), "not repeatable"
assert change(0.0) < change(0.5) < change(1.0), "more severe, more change"
assert change(1.0) >= 10, f"{change(1.0):.1f} grey levels are too few"
crowd = query.images[:1, :, :48, :20].expand(16, -1, -1, -1).clone()
spoilt = corrupt(crowd, 1.0, again(0))
assert spoilt.shape == crowd.shape, "any height and width"
kinds = {picture.numpy().tobytes() for picture in spoilt}
assert len(kinds) > 1, "a draw of its own for each picture"
### BEGIN HIDDEN TESTS
torch.manual_seed(1)
first = corrupt(query.images, 0.7, again(3))
torch.manual_seed(2)
assert torch.equal(corrupt(query.images, 0.7, again(3)), first), (
    "chance came from elsewhere than rng"
)
assert not torch.equal(corrupt(query.images, 0.7, again(4)), first), (
    "another seed, another draw"
)
steps = [change(s, seed=5) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
assert steps == sorted(steps) and steps[0] == 0
rng = again(0)
twice = [corrupt(crowd, 1.0, rng) for _ in range(2)]
assert not torch.equal(*twice), "the generator must move on, not be re-seeded"
for wrong in (-0.1, 1.5):
    try:
        corrupt(crowd, wrong, again(0))
    except ValueError:
        continue
    raise AssertionError(f"severity {wrong} must raise a ValueError")
### END HIDDEN TESTS

# %% tags=["nbval-ignore-output"]
levels = (0.0, 0.25, 0.5, 0.75, 1.0)
shown = [corrupt(query.images[:60:15], s, again(0)) for s in levels]
figure = plots.picture_grid(
    torch.cat(shown), columns=4, rows=[f"{s:.2f}" for s in levels], height=1.1
)

# %% [markdown]
# *Four queries, more spoilt from row to row. Look at the last row: could you
# still match these people? If not, your scale ends too late. Alt text: five
# rows of four small pedestrians; the lower the row, the worse the picture.*
#
# ## 2. The curve (3 points)
#
# Spoil the **queries** only: the gallery is the archive, taken on better days.
# For each severity make a new generator with `manual_seed(seed)`, so that the
# draws are the same and only the severity changes; describe the spoilt queries
# with `extract(network, images)`; judge them against the clean gallery, which
# the same network has described. (`gallery.features` are R2's.)
# Return the *results*: intervals come later.

# %% nbgrader={"grade": false, "grade_id": "lab5-curve", "locked": false, "schema_version": 3, "solution": true, "task": false}
def curve(network, corrupt, severities, seed=0):
    """-> {severity: RetrievalResult}, the gallery clean."""
    ### BEGIN SOLUTION
    archive, found = extract(network, gallery.images), {}
    for severity in severities:
        rng = torch.Generator().manual_seed(seed)
        spoilt = corrupt(query.images, severity, rng)
        found[severity] = bundle.judge(extract(network, spoilt), archive)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab5-curve-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
r2 = bundle.phi.r2
found = curve(r2, corrupt, (0.0, 1.0))
assert list(found) == [0.0, 1.0]
clean = bundle.judge(query.features, gallery.features)
assert abs(found[0.0].mAP - clean.mAP) < 1e-3, "severity 0 is the clean test"
### BEGIN HIDDEN TESTS
seen = []


def spy(images, severity, rng):
    seen.append((len(images), severity, float(torch.rand(1, generator=rng))))
    return torch.zeros_like(images)  # black queries


black = curve(r2, spy, (0.2, 0.9), seed=7)
wanted = [(len(query.pids), s) for s in (0.2, 0.9)]
assert [row[:2] for row in seen] == wanted, (
    "spoil the queries, once for each severity, and never the gallery"
)
assert seen[0][2] == seen[1][2] == float(torch.rand(1, generator=again(7))), (
    "a new generator with the same seed for each severity"
)
assert black[0.2].mAP == black[0.9].mAP < clean.mAP
other = bundle.phi.drawn_encoder
wanted = bundle.judge(*(extract(other, p.images) for p in (query, gallery)))
found_ = curve(other, corrupt, [0.0])[0.0].mAP
assert abs(found_ - wanted.mAP) < 1e-6, "the same network for both"
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The report (3 points)
#
# Two numbers sum up a curve. The mAP at each severity, as an `Interval` from
# `bootstrap`; and what was *lost*, the paired difference to severity 0. While
# the damage is mild its interval is narrower, because a query that is hard is
# hard in both; near the floor, where all are hard, it is not. A loss is
# negative. Return both for every severity.

# %% nbgrader={"grade": false, "grade_id": "lab5-report", "locked": false, "schema_version": 3, "solution": true, "task": false}
def report(results):
    """{severity: result}, 0.0 among them -> {severity: (mAP, change)}."""
    ### BEGIN SOLUTION
    found = {}
    for severity, result in results.items():
        loss = paired_bootstrap(result, results[0.0])
        change = Interval(loss.difference, loss.low, loss.high)
        found[severity] = (bootstrap(result)["mAP"], change)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab5-report-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
rows = report(found)
assert list(rows) == [0.0, 1.0]
assert all(isinstance(part, Interval) for row in rows.values() for part in row)
assert rows[0.0][1].value == 0, "nothing is lost at severity 0"
assert rows[1.0][1].value < 0, "a loss is negative"
### BEGIN HIDDEN TESTS
rows = report(black | {0.0: clean})
for severity, (score, lost) in rows.items():
    assert abs(score.value - (black | {0.0: clean})[severity].mAP) < 1e-9
    now = score.value - clean.mAP
    assert abs(lost.value - now) < 1e-9, "now minus clean"
    assert lost.low <= lost.value <= lost.high
wanted = paired_bootstrap(black[0.9], clean)
width = rows[0.9][1].high - rows[0.9][1].low
assert abs(width - (wanted.high - wanted.low)) < 0.03, "paired"
### END HIDDEN TESTS

# %% tags=["nbval-ignore-output"]
rows = report(curve(r2, corrupt, levels))
series = {"R2": {s: score for s, (score, _) in rows.items()}}
ax = plots.interval_lines(series, "mAP", xlabel="severity")
for severity, (score, lost) in rows.items():
    print(f"{severity:.2f}  mAP {score}  change {lost}")

# %% [markdown]
# *mAP against severity, with 95 % intervals over people. Look at where the
# curve begins to fall, not only at its end. Alt text: a line with error bars
# that starts high on the left and falls to the right.*
#
# ## Discuss
#
# Which failure did you measure: the descriptor's, or a lack of such pictures
# in its training? How would you tell the two apart?
#
# *Your answer:*

# %% [markdown]
# ## Stretch
#
# The whole extractor `bundle.phi` looks at the picture and at drawings of it.
# Is it more robust than R2, or does the generator pass the damage on to every
# drawing? Compare what both *lose*: `(phi at s - phi at 0) - (R2 at s - R2
# at 0)`, query by query (`reidlib.retrieval.interval`).

# %% nbgrader={"grade": false, "grade_id": "lab5-stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
from reidlib.retrieval import interval

whole, plain = (curve(n, corrupt, (0.0, 0.5)) for n in (bundle.phi, r2))
lost = [
    two[0.5].average_precision - two[0.0].average_precision
    for two in (whole, plain)
]
print("phi loses less by", interval(lost[0] - lost[1], query.pids))
### END SOLUTION
