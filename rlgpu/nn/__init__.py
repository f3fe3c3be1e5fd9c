"""Networks, and running statistics that normalise their inputs and outputs."""

from rlgpu.nn.actor_critic import ActorCritic, Policy
from rlgpu.nn.flat_parameters import FlatParameters
from rlgpu.nn.memory import Sequences
from rlgpu.nn.normalizer import RunningNormalizer
from rlgpu.nn.tower import Layers, Tower

__all__ = [
    "ActorCritic",
    "FlatParameters",
    "Layers",
    "Policy",
    "RunningNormalizer",
    "Sequences",
    "Tower",
]
