"""The tasks that come with rlgpu. A new one is one file, its YAML files and one line here."""

from __future__ import annotations

from rlgpu.task import Task
from tasks.ant import Ant
from tasks.cartpole import Cartpole

TASKS: dict[str, type[Task]] = {"Ant": Ant, "Cartpole": Cartpole}
