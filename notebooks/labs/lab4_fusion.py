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
# # Lab 4: another fusion rule
#
# **Goal.** Write a rule that trusts a drawing as far as it agrees with its
# picture, and two controls without which no gain of a fusion means anything.
#
# **You need** chapter 6 (FusionNet, the rules) and PyTorch.
# **Time:** 90 minutes. **Points:** 10.
#
# **How it works.** Write your code where it says `YOUR CODE HERE`. The cell
# after each exercise tests it. Your teacher runs more tests than you see, on
# other data. Locked cells come back as they were.

# %% nbgrader={"grade": false, "grade_id": "lab4-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from reidlib import labs, plots
from reidlib.fusing import rules
from reidlib.retrieval import Interval, bootstrap, paired_bootstrap

plots.style()
bundle = labs.prepare()
train, query, gallery = bundle.train, bundle.query, bundle.gallery
print("of the pictures (N, D):   ", tuple(train.features.shape))
print("of the drawings (N, K, D):", tuple(train.drawn.shape))

# %% [markdown]
# ## The seam
#
# A rule is a plain function: features of the pictures `(N, D)` and of the
# drawings made from them `(N, K, D)` go in, descriptors `(N, D')` come out.
# `rules.input_only`, `rules.mean` and `rules.slots(w)` are three. Descriptors
# are compared by cosine. A rule sees one picture at a time: row *i* of the
# result depends on row *i* of the arguments only.
#
# ## 1. Controls (3 points)
#
# More numbers, a larger network, another average: many things move a mAP. Two
# controls say whether the *drawings* did it.
#
# * `copies(source, k)`: the picture's own feature instead of each drawing.
#   A rule that gains on copies gains by arithmetic.
# * `strangers(drawn, pids)`: each picture gets all K drawings of *one* picture
#   of **another person**. A rule that gains on strangers gains by noise. Draw
#   that picture anew for each row, with one `np.random.default_rng(0)`; if
#   nobody else is there, raise a `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "lab4-controls", "locked": false, "schema_version": 3, "solution": true, "task": false}
def copies(source, k):
    """(N, D) -> (N, k, D)."""
    ### BEGIN SOLUTION
    return source[:, None].expand(-1, k, -1)
    ### END SOLUTION


def strangers(drawn, pids):
    """(N, K, D), (N,) -> (N, K, D), each row another person's."""
    ### BEGIN SOLUTION
    rng, rows = np.random.default_rng(0), []
    for pid in pids:
        others = np.flatnonzero(pids != pid)
        if not len(others):
            raise ValueError("there is one person only, and no stranger")
        rows.append(rng.choice(others))
    return drawn[torch.as_tensor(np.array(rows))]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab4-controls-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
same = copies(query.features, 3)
assert same.shape == (len(query.pids), 3, query.features.shape[1])
assert torch.equal(same[:, 2], query.features)
mixed = strangers(query.drawn, query.pids)
assert mixed.shape == query.drawn.shape
kept = any(torch.equal(a, b) for a, b in zip(mixed, query.drawn))
assert not kept, "somebody has kept the own drawings"
lent = strangers(torch.arange(3.0).view(3, 1, 1), np.array([1, 1, 2]))
assert (lent[:2] == 2).all(), "another person, not only another picture"
### BEGIN HIDDEN TESTS
who = np.array([1, 1, 1, 1, 1, 1, 2, 2, 3])
lent = strangers(torch.arange(9.0)[:, None, None].expand(-1, 2, 1), who)
assert (lent[:, 0] == lent[:, 1]).all(), "all K drawings of one stranger"
owners = who[lent[:, 0, 0].long().numpy()]
assert (owners != who).all(), "another person, not only another picture"
try:
    strangers(torch.zeros(3, 2, 1), np.array([5, 5, 5]))
except ValueError:
    pass
else:
    raise AssertionError("one person has no stranger: ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Trust by agreement (3 points)
#
# `slots(w)` lays features side by side and gives every drawing the share
# $w / K$. But some drawings fail, and a failed drawing looks like nobody.
# Weigh drawing $k$ of a picture by its cosine $c_k$ to the picture itself,
#
# $$
# a = \operatorname{softmax}(c / \tau), \qquad
# f = \left[ \sqrt{1 - w}\; x, \; \sqrt{w a_1}\; x_1, \dots,
#            \sqrt{w a_K}\; x_K \right],
# $$
#
# where $x$ and all $x_k$ were scaled to length one first. The roots make
# $f$ of length one, and the cosine of two descriptors the weighted sum
# $(1 - w) \cos(x, x') + w \sum_k \sqrt{a_k a'_k} \cos(x_k, x'_k)$.

# %% nbgrader={"grade": false, "grade_id": "lab4-reliable", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reliable(weight, temperature=0.1):
    """w and tau -> a rule: (N, D), (N, K, D) -> (N, (K + 1) D)."""
    ### BEGIN SOLUTION
    def rule(source, drawn):
        x, made = F.normalize(source, dim=-1), F.normalize(drawn, dim=-1)
        agreement = (made * x[:, None]).sum(dim=-1)  # (N, K)
        trust = (agreement / temperature).softmax(dim=1)
        shares = (weight * trust).sqrt()[..., None]
        own = (1 - weight) ** 0.5 * x
        return torch.cat([own, (shares * made).flatten(1)], dim=1)

    return rule
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab4-reliable-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
x, made = torch.tensor([[2., 0.]]), torch.tensor([[[3., 4.], [0., -2.]]])
a = torch.tensor([0.6, 0.0]).softmax(dim=0)  # of the two cosines, tau = 1
own, one, two = 0.25**0.5, (0.75 * a[0]) ** 0.5, (0.75 * a[1]) ** 0.5
wanted = torch.tensor([[own, 0.0, 0.6 * one, 0.8 * one, 0.0, -two]])
torch.testing.assert_close(reliable(0.75, temperature=1.0)(x, made), wanted)
assert reliable(0.4)(query.features, query.drawn).shape == (
    len(query.pids), (1 + query.drawn.shape[1]) * query.features.shape[1]
)
### BEGIN HIDDEN TESTS
draws = torch.Generator().manual_seed(4)
x = torch.randn(6, 5, generator=draws)
made = torch.randn(6, 3, 5, generator=draws)
f = reliable(0.4, 0.2)(x, made)
torch.testing.assert_close(f.norm(dim=1), torch.ones(6))
torch.testing.assert_close(
    reliable(0.4, 0.2)(3 * x, made * torch.tensor([1., 7., 0.2])[:, None]), f
)
torch.testing.assert_close(reliable(0.4, 0.2)(x[2:3], made[2:3]), f[2:3])
even = rules.slots(0.4)(x, made)
torch.testing.assert_close(reliable(0.4, 1e6)(x, made), even, atol=1e-4,
                           rtol=1e-4)
for row, (a, b) in enumerate(zip(x, made)):
    c = [float(a @ k / a.norm() / k.norm()) for k in b]
    trust = np.exp(np.array(c) / 0.2) / np.exp(np.array(c) / 0.2).sum()
    lengths = f[row].view(4, 5).norm(dim=1).square()
    np.testing.assert_allclose(lengths, [0.6, *(0.4 * trust)], rtol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Choose the weight (2 points)
#
# `rules.fitted_weight(make, source, drawn, table)` finds the weight with the
# highest mAP among the pictures that you give, where `make` turns a weight
# into a rule and `table` holds their `pid` and `camid`. Call it for
# `reliable`, with the temperature given, on **training** pictures: our R2 has
# never seen those people either. Print the weight, and return the rule.

# %% nbgrader={"grade": false, "grade_id": "lab4-fit", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit(temperature):
    """tau -> the rule `reliable`, with the weight that training chooses."""
    ### BEGIN SOLUTION
    table = pd.DataFrame({"pid": train.pids, "camid": train.camids})
    weight = rules.fitted_weight(
        lambda w: reliable(w, temperature), train.features, train.drawn, table
    )
    print("weight", weight)
    return reliable(weight, temperature)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab4-fit-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
chosen = fit(0.1)
f = chosen(train.features, train.drawn)
assert f.shape[0] == len(train.pids)
### BEGIN HIDDEN TESTS
from reidlib.training import held_out_map

table = pd.DataFrame({"pid": train.pids, "camid": train.camids})
tried = [held_out_map(reliable(w, 0.1)(train.features, train.drawn), table)
         for w in rules.WEIGHTS]
mine = held_out_map(f, table)["score"]
assert mine >= max(score["score"] for score in tried) - 1e-6
assert float(f[0].norm()) > 0.99, "the rule itself, not its weight"
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The report (2 points)
#
# One table says it all: the paired gain in mAP over `rules.input_only` with
# the real drawings, with copies, and with strangers. Only then is a gain a
# gain *by drawings*: the first interval lies above zero, and the other two do
# not. Query and gallery both get the control.

# %% nbgrader={"grade": false, "grade_id": "lab4-report", "locked": false, "schema_version": 3, "solution": true, "task": false}
def report(rule):
    """A rule -> {"drawings", "copies", "strangers": Interval of the gain}."""
    ### BEGIN SOLUTION
    both, k = (query, gallery), query.drawn.shape[1]
    kinds = {
        "drawings": [p.drawn for p in both],
        "copies": [copies(p.features, k) for p in both],
        "strangers": [strangers(p.drawn, p.pids) for p in both],
    }
    alone, found = bundle.judge(query.features, gallery.features), {}
    for name, drawn in kinds.items():
        f = [rule(p.features, d) for p, d in zip(both, drawn)]
        gain = paired_bootstrap(bundle.judge(*f), alone)
        found[name] = Interval(gain.difference, gain.low, gain.high)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lab4-report-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
table = report(chosen)
assert list(table) == ["drawings", "copies", "strangers"]
assert all(isinstance(gain, Interval) for gain in table.values())
### BEGIN HIDDEN TESTS
nothing = report(rules.input_only)
assert all(abs(gain.value) < 1e-6 for gain in nothing.values())
only = report(lambda source, drawn: drawn.mean(dim=1))
assert abs(only["copies"].value) < 1e-6, "copies of the picture's own feature"
assert only["strangers"].value < -0.02, "strangers alone must lose"
f = [rules.mean(p.features, p.drawn) for p in (query, gallery)]
alone = bundle.judge(query.features, gallery.features).mAP
wanted = bundle.judge(*f).mAP - alone
assert abs(report(rules.mean)["drawings"].value - wanted) < 1e-6
### END HIDDEN TESTS

# %% tags=["nbval-ignore-output"]
both = (query, gallery)
known = pd.DataFrame({"pid": train.pids, "camid": train.camids})
share = rules.fitted_weight(rules.slots, train.features, train.drawn, known)
even = rules.slots(share)
beside = bundle.judge(*(even(p.features, p.drawn) for p in both))
mine = bundle.judge(*(chosen(p.features, p.drawn) for p in both))
print(f"slots({share}): mAP", bootstrap(beside)["mAP"])
print("reliable:   mAP", bootstrap(mine)["mAP"])
more = paired_bootstrap(mine, beside)
print(f"reliable - slots: {more.difference:+.3f} "
      f"[{more.low:+.3f}, {more.high:+.3f}]")
figure = plots.gains(table, "gain in mAP over the picture alone")

# %% [markdown]
# *Above: your rule and plain slots, each with the share that training chose,
# so that the shares are not what differs. Below: the gain of your rule with
# real drawings and with two controls; 95 % intervals over people. Look at the
# two lower rows first: they must not lie above zero. Alt text: three dots with
# horizontal bars beside a vertical line at zero.*
#
# ## Discuss
#
# Why can `reliable` gain on copies nothing at all? A drawing agrees most with
# its picture when it shows the picture's own pose. So does agreement measure
# quality, or sameness of pose, and what does that do to a drawing that adds
# something new? And how much do the cosines of one picture's drawings differ:
# are the weights far from even?
#
# *Your answer:*

# %% [markdown]
# ## Stretch
#
# Let the *pair* decide: compare drawing $k$ of the query with drawing $k$ of a
# gallery picture only if both agree with their sources. That is no rule any
# more, but a matrix of distances (`evaluate_distances`). Does it beat yours?

# %% nbgrader={"grade": false, "grade_id": "lab4-stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
from reidlib.retrieval import evaluate_distances


def trusted(part):
    x, made = (F.normalize(f, dim=-1) for f in (part.features, part.drawn))
    return x, made, (made * x[:, None]).sum(dim=-1).clamp(min=0)


(x, made, c), (y, drawn, d) = trusted(query), trusted(gallery)
pair = torch.minimum(c[:, None], d[None])  # (Q, G, K)
cosines = torch.einsum("qkd,gkd->qgk", made, drawn)
agreed = (pair * cosines).sum(-1) / pair.sum(-1).clamp(1e-9)
near = (1 - share) * x @ y.T + share * agreed
ids = (query.pids, gallery.pids, query.camids, gallery.camids)
paired_bootstrap(evaluate_distances(1 - near, *ids), beside)
### END SOLUTION
