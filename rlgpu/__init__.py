"""rlgpu: robotics reinforcement learning across thousands of parallel environments."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # editors and type checkers see the names at once
    from rlgpu.api import (
        Action,
        Policy,
        PPOAgent,
        Result,
        TrainingFailed,
        UsageError,
        load_policy,
        make_env,
        train,
    )

# Idle OpenMP threads that spin for long slow down the simulator's threads and other programs; those
# that sleep at once must be woken for every operation, which costs training alone a tenth. So they
# spin for a fraction of a millisecond. The variables are read when torch is imported, so they are
# set before that; what the user has set is kept.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

__version__ = "0.1.0"

__all__ = [
    "Action",
    "PPOAgent",
    "Policy",
    "Result",
    "TrainingFailed",
    "UsageError",
    "load_policy",
    "make_env",
    "train",
]


def __getattr__(name: str) -> Any:
    """Imports the Python API when it is first used, since torch is slow to import."""
    if name not in __all__:
        raise AttributeError(f"module 'rlgpu' has no attribute {name!r}")
    return getattr(importlib.import_module("rlgpu.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
