"""Environments of a task on MuJoCo C, and robots put into a state by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.envs import Task, VecEnv
from rlgpu.sim import ResetState, make_simulator


def env_of(task_class: type[Task], n: int = 2, engine: str = "mujoco", **changes) -> VecEnv:
    """Returns N environments with the configuration's own values, and changes to them."""
    task = task_class(task_class.Config(name=task_class.__name__, **changes))
    simulator = make_simulator(engine, task.scene(), task.config.timing(), n)
    return VecEnv(task, simulator, seed=0)


def place(env: VecEnv, **values) -> Tensor:
    """Puts every robot into one state, joints at rest at 0 unless given; returns observations."""
    n, joints = env.num_envs, len(env.sim.joint_names)
    rows = {k: torch.tensor(v, dtype=torch.float32).expand(n, -1) for k, v in values.items()}
    for name in ("joint_pos", "joint_vel"):
        rows.setdefault(name, torch.zeros(n, joints))
    env.sim.reset(torch.ones(n, dtype=torch.bool), ResetState(**rows))
    return env._observe()
