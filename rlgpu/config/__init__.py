"""The configuration: its typed schema, and composing it from files and the command line."""

from rlgpu.config.compose import Composed, compose
from rlgpu.config.resolve import minibatch_split
from rlgpu.config.schema import Config, TrainConfig

__all__ = ["Composed", "Config", "TrainConfig", "compose", "minibatch_split"]
