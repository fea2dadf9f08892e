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
# # Lab 2: part-based and attention features
#
# **Goal.** Pool an encoder's map in two ways that keep what averaging throws
# away: by horizontal stripes, and by attention. Train a light head for each,
# and compare them honestly.
#
# **You need** chapter 3 (R2, average pooling) and a little PyTorch.
# **Time:** 90 minutes. **Points:** 10.
#
# **How it works.** Write your code where it says `YOUR CODE HERE`. The cell
# after each exercise tests it. Your teacher runs more tests than you see, on
# other data. Locked cells come back as they were.

# %% nbgrader={"grade": false, "grade_id": "lab2-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from copy import deepcopy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reidlib import labs, plots
from reidlib.data import class_labels
from reidlib.retrieval import Interval, bootstrap, paired_bootstrap

plots.style()
bundle = labs.prepare()
train, query, gallery = bundle.train, bundle.query, bundle.gallery
parts = {"train": train, "query": query, "gallery": gallery}
maps = {k: labs.maps(bundle.phi.r2, p.images) for k, p in parts.items()}
labels = torch.as_tensor(class_labels(train.pids))
print("maps (N, C, h, w):", tuple(maps["train"].shape))


# %% [markdown]
# ## The seam
#
# An encoder is any module from pictures `(B, 3, H, W)` in [-1, 1] to
# descriptors `(B, D)`; `reidlib.training.extract(network, images)` runs it.
# Inside ours, `encoder.trunk` is a residual network, and `labs.maps(encoder,
# images, stage)` gives what it holds after a stage: `C` numbers for each of
# `h` by `w` places. The trunk stays as it is in this lab. You replace what
# comes after: from maps `(B, C, h, w)` to vectors. So one pass over the
# pictures is enough, and training takes seconds.
#
# ## 1. Stripes (3 points)
#
# People stand upright: shoes are below, hair is above. The mean over the whole
# map mixes them. Cut the map into `n` horizontal stripes of equal height and
# average in each (PCB, Sun et al., ECCV 2018). Scale each stripe's mean to
# length one, so that no stripe outshouts the others, and put them side by
# side, from the top down. If `n` does not divide `h`, raise a `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "lab2-stripes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stripes(maps, n):
    """(B, C, h, w) -> (B, n C), each of the n parts of length one."""
    ### BEGIN SOLUTION
    if maps.shape[2] % n:
        raise ValueError(f"{n} stripes do not fit {maps.shape[2]} rows.")
    pooled = maps.unflatten(2, (n, -1)).mean(dim=(3, 4))  # (B, C, n)
    return F.normalize(pooled, dim=1).transpose(1, 2).flatten(1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab2-stripes-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
toy = torch.zeros(1, 2, 4, 2)
toy[0, 0, :2], toy[0, 1, :2] = 3.0, 4.0
toy[0, 1, 2:] = 5.0
found = stripes(toy, 2)  # both channels of the upper stripe, then of the lower
torch.testing.assert_close(found, torch.tensor([[0.6, 0.8, 0.0, 1.0]]))
assert stripes(torch.rand(3, 5, 4, 2), 4).shape == (3, 20)
### BEGIN HIDDEN TESTS
x = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
wanted = []
for picture in x:
    row = []
    for k in range(3):
        part = picture[:, 2 * k : 2 * k + 2].reshape(3, -1).mean(dim=1)
        row.append(part / part.norm())
    wanted.append(torch.cat(row))
torch.testing.assert_close(stripes(x, 3), torch.stack(wanted))
one = F.normalize(x.mean(dim=(2, 3)), dim=1)
torch.testing.assert_close(stripes(x, 1), one)
torch.testing.assert_close(stripes(x.flip(3), 3), stripes(x, 3))
try:
    stripes(x, 4)
except ValueError:
    pass
else:
    raise AssertionError("4 stripes cannot divide a height of 6: ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Attention (3 points)
#
# Stripes are blind to what they average: a railing counts as much as a coat.
# Let the network say where to look. A 1x1 convolution scores every place, a
# softmax over all `h w` places turns scores into weights that sum to one, and
# the descriptor is the weighted mean
#
# $$
# f = \sum_{u} a_u \, x_u, \qquad
# a = \operatorname{softmax}_u (w^\top x_u + b).
# $$
#
# Begin from plain averaging: with `w` and `b` zero at the start, all weights
# are equal. `weights(maps)` returns `a`, `(B, h, w)`; `forward` returns `f`.

# %% nbgrader={"grade": false, "grade_id": "lab2-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def weights(self, maps):
        """(B, C, h, w) -> (B, h, w), positive, each picture's sum is 1."""
        ### BEGIN SOLUTION
        scores = self.score(maps).squeeze(1)
        return scores.flatten(1).softmax(dim=1).view_as(scores)
        ### END SOLUTION

    def forward(self, maps):
        """(B, C, h, w) -> (B, C)."""
        ### BEGIN SOLUTION
        return (maps * self.weights(maps)[:, None]).sum(dim=(2, 3))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab2-attention-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
x = torch.rand(2, 3, 4, 2, generator=torch.Generator().manual_seed(1))
fresh = Attention(3)
torch.testing.assert_close(fresh(x), x.mean(dim=(2, 3)))
torch.testing.assert_close(fresh.weights(x), torch.full((2, 4, 2), 1 / 8))
with torch.no_grad():
    fresh.score.weight.fill_(1.0)
a = fresh.weights(x).detach()
torch.testing.assert_close(a.sum(dim=(1, 2)), torch.ones(2))
highest = x[0].sum(dim=0).argmax()
assert a[0].argmax() == highest, "the highest score has the most weight"
### BEGIN HIDDEN TESTS
keen = Attention(3)
with torch.no_grad():
    keen.score.weight[0, 1] = 100.0  # looks where channel 1 is strongest
a = keen.weights(x)
torch.testing.assert_close(a.sum(dim=(1, 2)), torch.ones(2))
for picture, found in zip(x, keen(x)):
    place = picture[1].flatten().argmax()
    torch.testing.assert_close(found, picture.flatten(1)[:, place], atol=0.05,
                               rtol=0.05)
torch.testing.assert_close(keen(x[1:]), keen(x)[1:])
keen(x).sum().backward()
assert keen.score.weight.grad is not None, "the scores must be able to learn"
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A light head (2 points)
#
# The head is given: pooling, a batch norm (the *neck*), a linear classifier
# of the training people. Its descriptor is what comes out of the neck.

# %% nbgrader={"grade": false, "grade_id": "lab2-head", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Head(nn.Module):
    def __init__(self, pool, width, classes):
        super().__init__()
        self.pool, self.neck = pool, nn.BatchNorm1d(width)
        self.classify = nn.Linear(width, classes, bias=False)

    def forward(self, maps):
        return self.neck(self.pool(maps))


# %% [markdown]
# Write its training: `steps` times, draw `batch` rows with
# `torch.randint(len(maps), (batch,), generator=draws)`, take the cross-entropy
# of `head.classify(head(maps[rows]))`, and step AdamW with the learning rate
# given and PyTorch's other defaults. Return the head in **evaluation mode**: a
# batch norm in training mode would let the other pictures of a batch into each
# descriptor.

# %% nbgrader={"grade": false, "grade_id": "lab2-train", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit(head, maps, labels, steps=150, batch=64, lr=3e-3):
    """Train in place on cached maps; returns the head, ready to describe."""
    draws = torch.Generator().manual_seed(0)
    ### BEGIN SOLUTION
    optimiser = torch.optim.AdamW(head.parameters(), lr=lr)
    head.train()
    for _ in range(steps):
        rows = torch.randint(len(maps), (batch,), generator=draws)
        loss = F.cross_entropy(head.classify(head(maps[rows])), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return head.eval()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab2-train-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
torch.manual_seed(0)
who = torch.arange(5).repeat(8)
toy = torch.randn(5, 6, 1, 1)[who] + 0.1 * torch.randn(40, 6, 4, 2)
head = fit(Head(Attention(6), 6, 5), toy, who, steps=120, batch=20)
right = head.classify(head(toy)).argmax(dim=1) == who
assert right.all(), "the head should know its own training pictures"
assert not head.training, "return the head in evaluation mode"
### BEGIN HIDDEN TESTS
torch.testing.assert_close(head(toy[:3]), head(toy)[:3])
torch.manual_seed(1)
before = Head(Attention(6), 6, 5)
start = {k: v.clone() for k, v in before.state_dict().items()}
after = fit(before, toy, who, steps=5, batch=20)
now = after.state_dict()
moved = {k for k, v in now.items() if not torch.equal(v, start[k])}
assert {"pool.score.weight", "neck.weight", "classify.weight"} <= moved
same = Head(Attention(6), 6, 5)
same.load_state_dict(start)
draws = torch.Generator().manual_seed(0)
adamw = torch.optim.AdamW(same.parameters(), lr=3e-3)
for _ in range(5):
    rows = torch.randint(40, (20,), generator=draws)
    adamw.zero_grad()
    F.cross_entropy(same.classify(same(toy[rows])), who[rows]).backward()
    adamw.step()
torch.testing.assert_close(after(toy), same.eval()(toy))
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Compare (2 points)
#
# Three heads, one recipe: global average, stripes, attention. The first is
# there so that a gain of the other two is not merely that of training; and R2
# as it is, because forty people are few, and a head may learn them by heart.

# %% nbgrader={"grade": false, "grade_id": "lab2-pools", "locked": true, "schema_version": 3, "solution": false, "task": false}
C, rows = maps["train"].shape[1:3]
classes = len(labels.unique())
pools = {
    "global": (lambda x: x.mean(dim=(2, 3)), C),
    "stripes": (lambda x: stripes(x, rows), rows * C),
    "attention": (Attention(C), C),
}

# %% tags=["nbval-ignore-output"] nbgrader={"grade": false, "grade_id": "lab2-results", "locked": true, "schema_version": 3, "solution": false, "task": false}
alone = bundle.judge(query.features, gallery.features)
print(f"{'R2 as it is':12} mAP", bootstrap(alone)["mAP"])
results = {}
for name, (pool, width) in pools.items():
    torch.manual_seed(0)
    head = fit(Head(deepcopy(pool), width, classes), maps["train"], labels)
    with torch.no_grad():
        described = [head(maps[k]) for k in ("query", "gallery")]
    results[name] = bundle.judge(*described)
    print(f"{name:12} mAP", bootstrap(results[name])["mAP"])
attention = head.pool  # of the last


# %% [markdown]
# Three intervals that overlap say little: the queries are the same. Write the
# table that does say something: for every system but `base`, the *paired*
# difference of mAP to `base`, as an `Interval(value, low, high)`.
# `paired_bootstrap(a, b)` returns `difference`, `low` and `high` of a - b.

# %% nbgrader={"grade": false, "grade_id": "lab2-gains", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gains(results, base):
    """Name -> Interval of (system - base), for all systems but the base."""
    ### BEGIN SOLUTION
    found = {}
    for name, result in results.items():
        if name != base:
            gain = paired_bootstrap(result, results[base])
            found[name] = Interval(gain.difference, gain.low, gain.high)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab2-gains-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
table = gains(results, "global")
assert set(table) == {"stripes", "attention"}
intervals = [isinstance(gain, Interval) for gain in table.values()]
assert all(intervals), "an Interval each"
wanted = results["stripes"].mAP - results["global"].mAP
assert abs(table["stripes"].value - wanted) < 1e-9, "system minus base"
### BEGIN HIDDEN TESTS
for name, gain in table.items():
    wanted = results[name].mAP - results["global"].mAP
    assert abs(gain.value - wanted) < 1e-9, "system minus base"
    assert gain.low <= gain.value <= gain.high
    paired = paired_bootstrap(results[name], results["global"])
    width = paired.high - paired.low
    assert abs(gain.high - gain.low - width) < 0.03, "paired"
assert set(gains(results, "stripes")) == {"global", "attention"}
### END HIDDEN TESTS

# %% tags=["nbval-ignore-output"]
for name, gain in table.items():
    print(f"{name:10} {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
figure = plots.gains(table, "gain in mAP over global average pooling")


# %% [markdown]
# *Differences to the same head on the global average, with 95 % intervals over
# people. Look at whether an interval crosses the line at zero. Alt text: two
# dots with horizontal bars beside a vertical line at zero.*

# %% tags=["nbval-ignore-output"] nbgrader={"grade": false, "grade_id": "lab2-look", "locked": true, "schema_version": 3, "solution": false, "task": false}
with torch.no_grad():
    a = attention.weights(maps["query"][:8])
print(f"weights from {a.min():.3f} to {a.max():.3f}; equal ones are "
      f"{1 / a[0].numel():.3f}")
seen = F.interpolate(a[:, None] / a.max(), query.images.shape[2:])
seen = (255 * seen.expand(-1, 3, -1, -1)).to(torch.uint8)
shown = torch.cat([query.images[:8], seen])
plots.picture_grid(shown, columns=8, rows=["query", "weight"], height=1)
plt.show()

# %% [markdown]
# *Queries, and below each the weights of its places: the brighter, the
# heavier. Alt text: eight people, and under each a coarse grid of greys.*
#
# ## Discuss
#
# Stripes suppose that shoes are below. Which pictures break that, and how
# does a crop that misses the feet show in the ranking? Where does your
# attention look: at the person, or at the camera's background?
#
# *Your answer:*

# %% [markdown]
# ## Stretch
#
# Pose says where parts are. Is that better than stripes? Take the finer map
# `labs.maps(bundle.phi.r2, images, "layer2")`, and average it in a disc around
# the shoulders (joints 2 and 5) and hips (9 and 12) of `query.points`, which
# are shares of the width and of the height. A radius of 0.12 of the height
# holds a few places. Where a joint is missing, or no place is near, average
# over the whole map. Compare with four stripes of that map.

# %% nbgrader={"grade": false, "grade_id": "lab2-stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
def around(part, joints=(2, 5, 9, 12), radius=0.12):
    x = labs.maps(bundle.phi.r2, part.images, "layer2")
    h, w = x.shape[2:]
    v, u = torch.meshgrid((torch.arange(h) + 0.5) / h,
                          (torch.arange(w) + 0.5) / w, indexing="ij")
    pooled = []
    for joint in joints:
        at = torch.as_tensor(part.points[:, joint])[:, :, None, None]
        near = ((u - at[:, 0]) / 2) ** 2 + (v - at[:, 1]) ** 2 < radius ** 2
        # a joint that is missing is everywhere
        near |= ~near.flatten(1).any(dim=1)[:, None, None]
        near = near[:, None].float()
        pooled.append((x * near).sum(dim=(2, 3)) / near.sum(dim=(2, 3)))
    return torch.cat([F.normalize(p, dim=1) for p in pooled], dim=1)


by_pose = bundle.judge(around(query), around(gallery))
fine = [labs.maps(bundle.phi.r2, p.images, "layer2") for p in (query, gallery)]
by_stripe = bundle.judge(*(stripes(x, 4) for x in fine))
paired_bootstrap(by_pose, by_stripe)
### END SOLUTION
