"""Tests specific to the CPU engine."""

from __future__ import annotations

import torch

from rlgpu.envs import VecEnv
from rlgpu.sim import MujocoSettings, make_simulator
from rlgpu.tasks.ant import Ant, AntConfig


def run(num_threads: int) -> torch.Tensor:
    config = AntConfig(name="Ant")
    task = Ant(config)
    sim = make_simulator(
        "mujoco",
        task.scene(),
        config.timing(),
        37,
        settings=MujocoSettings(num_threads=num_threads),
    )
    env = VecEnv(task, sim, seed=3)
    g = torch.Generator().manual_seed(4)
    for _ in range(120):
        env.step(torch.rand(37, 8, generator=g) * 2 - 1)
    return env.observations


def test_trajectories_do_not_depend_on_the_number_of_threads() -> None:
    """120 steps of 37 ants with resets, on one, two and three threads."""
    one = run(1)
    assert torch.equal(one, run(2))
    assert torch.equal(one, run(3))


def test_state_rows_are_aliased_without_copies() -> None:
    """A write through torch changes MuJoCo's own state."""
    config = AntConfig(name="Ant")
    sim = make_simulator("mujoco", Ant(config).scene(), config.timing(), 2)
    sim.worlds.array("qpos")[1, 2] = 7.0
    assert sim.worlds._batch.bind("qpos")[1, 2] == 7.0


def test_a_world_that_runs_away_is_reported_each_time() -> None:
    """MuJoCo restarts it and counts its warnings from 1 again: once more after resets and none."""
    config = AntConfig(name="Ant")
    worlds = make_simulator("mujoco", Ant(config).scene(), config.timing(), 3).worlds
    home, still = worlds.array("qpos").clone(), torch.zeros_like(worlds.array("qvel"))
    for reset in (True, True, False, False):
        worlds.array("qvel")[1] = 1e12
        worlds.step(2)
        assert worlds.diverged.tolist() == [False, True, False]
        if reset:
            worlds.reset(torch.tensor([False, True, False]), home, still)
            worlds.step(2)
            assert not worlds.diverged.any()
