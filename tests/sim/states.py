"""Steps and states of simulators, for the tests of the behaviour that all engines share."""

from __future__ import annotations

import torch

from rlgpu.sim import ResetState, Timing

FINE = Timing(physics_dt=0.001, decimation=1)


def everyone(sim) -> torch.Tensor:
    return torch.ones(sim.num_envs, dtype=torch.bool)


def advance(sim) -> None:
    sim.step()
    sim.refresh()


def at_rest(sim, **root) -> ResetState:
    joints = torch.zeros(sim.num_envs, len(sim.joint_names))
    return ResetState(joints, joints.clone(), **root)


def rows(sim, *values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).expand(sim.num_envs, -1).clone()
