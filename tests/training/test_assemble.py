"""Environments as a configuration asks for them."""

from __future__ import annotations

import torch

from rlgpu.config import compose
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.training import build_env


def test_number_and_seed_are_the_configurations_unless_they_are_given() -> None:
    """A seed of 0 is given; the first observations follow from the seed."""
    composed = compose(["task=Cartpole", "num_envs=3", "seed=5"], TASKS, ENGINES)
    config, task_class = composed.config, composed.task_class
    ours = build_env(config, task_class).observations
    assert ours.shape[0] == 3
    assert torch.equal(ours, build_env(config, task_class, 3, 5).observations)
    assert build_env(config, task_class, 2, 5).observations.shape[0] == 2
    assert not torch.equal(ours, build_env(config, task_class, 3, 0).observations)
