"""How well features retrieve: ranking, metrics, re-ranking, confidence intervals."""

from reidlib.retrieval.clusters import ClusterQuality, cluster_quality
from reidlib.retrieval.collapse import Collapse, detect_collapse
from reidlib.retrieval.index import Found, GalleryIndex
from reidlib.retrieval.learned import LearnedMetric, fit_metric
from reidlib.retrieval.metrics import RetrievalResult, evaluate, evaluate_distances
from reidlib.retrieval.openset import identification, verification
from reidlib.retrieval.operating import OperatingCurve
from reidlib.retrieval.pooling import PooledQueries, pool_queries
from reidlib.retrieval.posedistance import heading_difference, pose_distance
from reidlib.retrieval.posewise import (
    PoseCurve,
    PoseMap,
    by_pose_cluster,
    by_pose_distance,
)
from reidlib.retrieval.protocols import PROTOCOLS, Conventions
from reidlib.retrieval.ranking import Ranking
from reidlib.retrieval.rerank import (
    PRESETS,
    k_reciprocal_distance,
    reranked_distance,
)
from reidlib.retrieval.statistics import (
    Comparison,
    Interval,
    Spread,
    as_record,
    bootstrap,
    interval,
    over_trials,
    paired_bootstrap,
)
from reidlib.retrieval.streaming import evaluate_stream

__all__ = [
    "ClusterQuality",
    "Collapse",
    "Comparison",
    "Conventions",
    "Found",
    "GalleryIndex",
    "Interval",
    "LearnedMetric",
    "OperatingCurve",
    "PRESETS",
    "PROTOCOLS",
    "PooledQueries",
    "PoseCurve",
    "PoseMap",
    "Ranking",
    "RetrievalResult",
    "Spread",
    "as_record",
    "bootstrap",
    "by_pose_cluster",
    "by_pose_distance",
    "cluster_quality",
    "detect_collapse",
    "evaluate",
    "evaluate_distances",
    "evaluate_stream",
    "fit_metric",
    "heading_difference",
    "identification",
    "interval",
    "k_reciprocal_distance",
    "over_trials",
    "paired_bootstrap",
    "pool_queries",
    "pose_distance",
    "reranked_distance",
    "verification",
]
