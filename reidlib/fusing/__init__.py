"""Fusion of the features of a picture and of pictures drawn from it: which, and how.

`evidence` gathers K more features of every picture, from drawings or from a control;
the rules and the learned fusions make one descriptor of K + 1 features.
"""

from reidlib.fusing.attentive import AttentionFusion
from reidlib.fusing.endtoend import Joint, JointConfig
from reidlib.fusing.kinds import KINDS, Evidence, evidence, pictures
from reidlib.fusing.rules import (
    Rule,
    fitted_weight,
    input_only,
    maximum,
    mean,
    reduced,
    slots,
    weighted_sum,
)
from reidlib.fusing.trained import attention, fusionnet, joint, second_encoder

__all__ = [
    "KINDS",
    "AttentionFusion",
    "Evidence",
    "Joint",
    "JointConfig",
    "Rule",
    "attention",
    "evidence",
    "fitted_weight",
    "fusionnet",
    "input_only",
    "joint",
    "maximum",
    "mean",
    "pictures",
    "reduced",
    "second_encoder",
    "slots",
    "weighted_sum",
]
