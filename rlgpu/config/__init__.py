"""The configuration: its typed schema, and composing it from files and the command line."""

from rlgpu.config.algorithms import check_used, without_unused
from rlgpu.config.by_joint import by_joint, check_joint_words, named_joints
from rlgpu.config.compose import Composed, check_words, compose
from rlgpu.config.files import absolute_function, load_function, names_function
from rlgpu.config.idle import Needs, check_actions
from rlgpu.config.keys import Key, closest_key, help_text, keys_of, leaves
from rlgpu.config.limits import (
    Count,
    Fraction,
    Length,
    NonNegative,
    Positive,
    Range,
    Size,
    Span,
    Text,
    convert,
)
from rlgpu.config.project import INCLUDED, Project
from rlgpu.config.reading import ROBOT, read_file, read_words, yaml_text
from rlgpu.config.resolve import minibatch_split
from rlgpu.config.saved import SavedRun, plain
from rlgpu.config.schema import NETWORK_KEYS, Config, DqnConfig, TrainConfig
from rlgpu.config.task_file import is_foreign, is_gym, task_name

__all__ = [
    "INCLUDED",
    "NETWORK_KEYS",
    "ROBOT",
    "Composed",
    "Config",
    "Count",
    "DqnConfig",
    "Fraction",
    "Key",
    "Length",
    "Needs",
    "NonNegative",
    "Positive",
    "Project",
    "Range",
    "SavedRun",
    "Size",
    "Span",
    "Text",
    "TrainConfig",
    "absolute_function",
    "by_joint",
    "check_actions",
    "check_joint_words",
    "check_used",
    "check_words",
    "closest_key",
    "compose",
    "convert",
    "help_text",
    "is_foreign",
    "is_gym",
    "keys_of",
    "leaves",
    "load_function",
    "minibatch_split",
    "named_joints",
    "names_function",
    "plain",
    "read_file",
    "read_words",
    "task_name",
    "without_unused",
    "yaml_text",
]
