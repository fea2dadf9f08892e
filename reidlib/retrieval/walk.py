"""Every query in turn: its scores, its matches and its junk, under the one protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reidlib.retrieval.ranking import (
    Features,
    FourIds,
    Truth,
    as_array,
    feature_pair,
    score_blocks,
)


class Row(NamedTuple):
    """One query against the gallery."""

    query: int
    scores: NDArray[Any]  # (G,), higher = nearer; may be overwritten
    matches: NDArray[np.int64]  # gallery indices that are relevant
    junk: NDArray[np.int64]  # that count neither way


class Walk:
    """Features and ids, checked as `evaluate` checks them; iterate over the rows.

    One block of scores is held at a time, never (Q, G).

    Attributes:
        truth: who counts for whom.
        query, gallery: (Q, D) and (G, D) tensors.
    """

    def __init__(
        self,
        query_features: Features,
        gallery_features: Features,
        ids: FourIds,
        protocol: str,
        metric: str,
    ) -> None:
        self.query, self.gallery = feature_pair(query_features, gallery_features)
        self.metric = metric
        self.truth = Truth((len(self.query), len(self.gallery)), ids, protocol)

    def __iter__(self) -> Iterator[Row]:
        for start, block in score_blocks(self.query, self.gallery, self.metric):
            for query, scores in enumerate(as_array(block), start):
                matches, junk = self.truth.split(query)
                junk = np.concatenate([junk, self.truth.junk])
                yield Row(query, scores, matches, junk)

    def distances(self) -> Iterator[Row]:
        """The same with distances, which compare across queries, for scores.

        1 - cosine, or Euclidean: those of `Ranking`.
        """
        squares = self.query.square().sum(dim=1).cpu().numpy()
        for row in self:
            scores = row.scores
            if self.metric == "cosine":
                np.subtract(1, scores, out=scores)
                np.maximum(scores, 0, out=scores)
            else:
                scores *= -2
                scores += squares[row.query]
                np.sqrt(np.maximum(scores, 0, out=scores), out=scores)
            yield row
