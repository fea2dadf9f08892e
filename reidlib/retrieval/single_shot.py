"""CMC with one gallery image of each identity: CUHK03 (classic) and CUHK01.

For each query one valid gallery image of every identity is drawn; one of them is
right. (Distractors share pid 0, so they count as one identity, as in open-reid.) Tools
draw ten times and average. Here the average over *all* draws is computed: the right
image h is overtaken by identity j with probability p_j(h), the share of j's images that
score higher, independently of the others, so its rank is a sum of independent yes/no
draws (a Poisson binomial), whose distribution is a product of polynomials. Tied images
come in random order: seen from h, which holds a uniform place u in that order, each
tied image stands above with probability u; the integral over u is that of a polynomial,
and Gauss-Legendre nodes make it exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidlib.retrieval.marks import Values
from reidlib.retrieval.protocols import Conventions
from reidlib.retrieval.truth import Indices, Truth


class SingleShot:
    """Marks of single draws; made once for a gallery, then asked query by query."""

    def __init__(self, truth: Truth, rules: Conventions, width: int) -> None:
        self._truth, self._rules, self._width = truth, rules, width
        _, self._identity = np.unique(truth.gallery_pids, return_inverse=True)
        self._n = int(self._identity.max()) + 1

    def mark(self, scores: NDArray[Any], query: int) -> tuple[Values, float]:
        """(width,) CMC and AP of a query from its (G,) scores, nothing blanked.

        A query without a match earns 0.
        """
        matches, junk = self._truth.split(query)
        if len(matches) == 0:
            return np.zeros(self._width), 0.0
        valid = np.ones(len(scores), bool)
        valid[self._truth.junk] = valid[junk] = valid[matches] = False
        hits = np.sort(scores[matches])[::-1]
        rest, identity = scores[valid], self._identity[valid]
        if self._rules.repeats:
            return self._drawn(hits, rest, identity, query)
        sizes = np.bincount(identity, minlength=self._n)
        keep = sizes > 0
        shares = np.stack(
            [
                np.bincount(identity[above], minlength=self._n)[keep] / sizes[keep]
                for hit in hits
                for above in (rest > hit, rest >= hit)
            ]
        ).reshape(len(hits), 2, -1)
        chance = _placed(shares[:, 0], shares[:, 1], self._rules.ties).mean(axis=0)
        places = np.arange(1, len(chance) + 1)
        reached = np.cumsum(chance)[np.minimum(np.arange(self._width), len(chance) - 1)]
        return np.minimum(reached, 1), float((chance / places).sum())

    def _drawn(
        self, hits: NDArray[Any], rest: NDArray[Any], identity: Indices, query: int
    ) -> tuple[Values, float]:
        """The mean of `repeats` seeded draws; ordered by score, not by file."""
        rng = np.random.default_rng([self._rules.seed, query])
        repeats = self._rules.repeats or 1
        order = np.lexsort((rest, identity))
        sizes = np.bincount(identity, minlength=self._n)
        sizes = sizes[sizes > 0]
        pick = (rng.random((repeats, len(sizes))) * sizes).astype(np.int64)
        drawn = rest[order][pick + np.cumsum(sizes) - sizes]
        hit = hits[(rng.random(repeats) * len(hits)).astype(np.int64), None]
        above, upto = (drawn > hit).astype(float), (drawn >= hit).astype(float)
        curve, ap = np.zeros(self._width), 0.0
        for chance in _placed(above, upto, self._rules.ties):
            reached = np.cumsum(chance)
            curve += reached[np.minimum(np.arange(self._width), len(chance) - 1)]
            ap += float((chance / np.arange(1, len(chance) + 1)).sum())
        return np.minimum(curve / repeats, 1), ap / repeats


def _placed(above: Values, upto: Values, ties: str) -> Values:
    """(R, J + 1) distribution of the 0-based rank of each of R right images.

    above, upto: (R, J) probability that identity j scores higher; as high or higher.
    """
    if ties == "best":
        return poisson_binomial(above)
    tied = (upto > above).any(axis=0).sum()
    if ties != "expected" or tied == 0:
        return poisson_binomial(upto)
    whole = (above == 0) & (upto == 1)
    if (whole == (upto > above)).all():  # the place among whole ties is uniform
        rows = zip(poisson_binomial(above), whole.sum(axis=1).tolist(), strict=True)
        placed = [np.convolve(row, np.full(m + 1, 1 / (m + 1))) for row, m in rows]
        return np.stack([row[: above.shape[1] + 1] for row in placed])
    nodes, weights = np.polynomial.legendre.leggauss(int(tied) // 2 + 1)
    total = np.zeros((above.shape[0], above.shape[1] + 1))
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += weight * poisson_binomial(above + node * (upto - above))
    return total


def poisson_binomial(chances: Values) -> Values:
    """(R, J + 1) distribution of the number of successes of J independent draws.

    chances: (R, J) in [0, 1], each row a set of draws of its own.

    >>> poisson_binomial(np.array([[0.5, 0.5]]))
    array([[0.25, 0.5 , 0.25]])
    """
    n_rows, n = chances.shape
    found = np.zeros((n_rows, n + 1))
    found[:, 0] = 1
    used = 1
    for column in chances.T[chances.any(axis=0)]:  # never above: nothing to do
        chance = column[:, None]
        grown = found[:, :used] * chance
        found[:, :used] *= 1 - chance
        found[:, 1 : used + 1] += grown
        used += 1
    return found
