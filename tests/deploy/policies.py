"""Environments with an untrained policy, for the tests of exports."""

from __future__ import annotations

from rlgpu.config import Config, compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.learner import Ppo
from rlgpu.ops import select_kernels
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS


def untrained(task: str, *words: str, n: int) -> tuple[Config, VecEnv, Ppo]:
    """Returns a configuration, ``n`` environments on MuJoCo C, and an agent that fits them."""
    config = compose([f"task={task}", f"num_envs={n}", *words], TASKS, ENGINES).config
    made = TASKS[task](config.task)
    sim = make_simulator("mujoco", scene_of(made), config.task.timing(), n)
    env = VecEnv(made, sim, seed=0, separate_critic=config.train.has_separate_critic)
    shared = {"kernels": select_kernels("torch", env.device), "device": env.device, "seed": 0}
    spaces = env.observation_space, env.action_space
    agent = Ppo(config.train, *spaces, max_iterations=1, num_minibatches=1, **shared)
    agent.observation_normalizer.update(env.reset())
    return config, env, agent
