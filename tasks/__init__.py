"""Tasks included with rlgpu. A new task needs one module, its YAML files and one line here."""

from __future__ import annotations

from rlgpu.envs import Task
from tasks.ant import Ant
from tasks.cartpole import Cartpole
from tasks.humanoid import Humanoid

TASKS: dict[str, type[Task]] = {"Ant": Ant, "Cartpole": Cartpole, "Humanoid": Humanoid}
