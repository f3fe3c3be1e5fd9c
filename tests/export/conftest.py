"""Environments for the tests of exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rlgpu
from rlgpu.envs import VecEnv

COUNTER = f"gym:{Path(__file__).parents[1] / 'foreign' / 'envs_of_ours.py'}:Counter"
"""Shows its step and the last action, 3 or 4; its reward is the step. It ends by time at step 3
with action 3, and in failure at step 5."""


@pytest.fixture
def make() -> Iterator[Callable[..., VecEnv]]:
    """Returns a function that makes environments, closed after the test."""
    made = []

    def build(task: str = "Cartpole", num_envs: int = 16, **settings: Any) -> VecEnv:
        engine = {} if task.startswith("gym:") else {"sim": "mujoco"}
        made.append(rlgpu.make_env(task, num_envs=num_envs, seed=1, **engine, **settings))
        return made[-1]

    yield build
    for env in made:
        env.close()


@pytest.fixture
def cartpoles(make) -> VecEnv:
    """16 Cartpoles with short episodes, so that some end by time and others by failure."""
    return make(task_={"episode_length": 30})
