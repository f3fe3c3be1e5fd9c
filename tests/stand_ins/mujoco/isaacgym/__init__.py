"""Stands in for NVIDIA's package in a worker under test: rlgpu's own Isaac Gym API."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))
del sys.modules["isaacgym"]  # this very module; the next line puts rlgpu's in its place

from rlgpu.isaacgym import install  # noqa: E402

install(engine=os.environ.get("STAND_IN_ENGINE", "mujoco"))
