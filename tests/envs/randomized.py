"""Go2 environments that randomise what a test asks for."""

from __future__ import annotations

from dataclasses import replace

import torch

from rlgpu.config import compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.envs.randomization_config import Randomization
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS

ENGINE_NAMES = ["mujoco", "fused"]


def make_env(
    n: int = 4,
    engine: str = "mujoco",
    *,
    episode_length: int = 1000,
    use_compile: bool = False,
    **settings,
) -> VecEnv:
    """Returns Go2 environments that randomise what the settings say, and nothing else."""
    words = ["task=Go2", "task.noise.level=0", f"task.episode_length={episode_length}"]
    config = compose(words, TASKS, ENGINES).config.task
    config = replace(config, randomize=True, randomization=Randomization(**settings))
    task = TASKS["Go2"](config)
    simulator = make_simulator(engine, scene_of(task), config.timing(), n)
    return VecEnv(task, simulator, seed=0, use_compile=use_compile)


def reset(env: VecEnv, *which: int) -> None:
    """Draws again and resets some environments."""
    mask = torch.zeros(env.num_envs, dtype=torch.bool)
    mask[list(which)] = True
    env._randomizer.draw(env.generator)
    env._reset(mask, env.task.reset_state(env.generator))
