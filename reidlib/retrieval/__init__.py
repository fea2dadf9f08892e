"""How well features retrieve: ranking, metrics, re-ranking, confidence intervals."""

from reidlib.retrieval.metrics import RetrievalResult, evaluate, evaluate_distances
from reidlib.retrieval.ranking import PROTOCOLS, Ranking
from reidlib.retrieval.rerank import k_reciprocal_distance
from reidlib.retrieval.statistics import (
    Comparison,
    Interval,
    as_record,
    bootstrap,
    paired_bootstrap,
)

__all__ = [
    "PROTOCOLS",
    "Comparison",
    "Interval",
    "Ranking",
    "RetrievalResult",
    "as_record",
    "bootstrap",
    "evaluate",
    "evaluate_distances",
    "k_reciprocal_distance",
    "paired_bootstrap",
]
