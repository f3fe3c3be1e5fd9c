"""Puts environments and agent together as a configuration says."""

from __future__ import annotations

import os

import numpy as np
import torch

from rlgpu.config import Config
from rlgpu.errors import UsageError
from rlgpu.learner import Ppo
from rlgpu.ops import select_kernels
from rlgpu.sim import make_simulator
from rlgpu.task import Task
from rlgpu.vec_env import VecEnv


def make_env(
    config: Config, task_class: type[Task], num_envs: int, seed: int, *, training: bool = False
) -> VecEnv:
    """Returns environments of a task on the configured engine.

    Args:
        config: The run's configuration.
        task_class: The task.
        num_envs: How many environments.
        seed: Seed of the resets.
        training: Whether they will be stepped so often that compiling their code pays.

    Raises:
        UsageError: The engine is not installed, or cannot use the device.
    """
    task = task_class(config.task)
    device = torch.device(config.sim_device)
    try:
        sim = make_simulator(
            config.sim.engine,
            task.scene(),
            config.task.timing(),
            num_envs,
            device=device,
            num_threads=config.sim.num_threads,
            nconmax=config.sim.nconmax,
            njmax=config.sim.njmax,
        )
    except ImportError as error:
        raise UsageError(
            f"sim={config.sim.engine}: {error}; pip install mujoco-warp==4.0.0 warp-lang==1.19.0"
        ) from error
    except RuntimeError as error:
        raise UsageError(f"sim={config.sim.engine}: {error}") from error
    compiled = training and config.compile and device.type == "cuda"
    return VecEnv(task, sim, seed=seed, compiled=compiled)


def make_agent(config: Config, env: VecEnv) -> Ppo:
    """Returns a fresh agent for the environments.

    Raises:
        UsageError: The compiled kernels are asked for and not there.
    """
    device = torch.device(config.rl_device)
    try:
        kernels = select_kernels(config.kernels, device)
    except RuntimeError as error:
        raise UsageError(f"kernels={config.kernels}: {error}") from error
    batch_size = config.train.horizon_length * config.num_envs
    return Ppo(
        config.train,
        env.num_observations,
        env.num_actions,
        max_iterations=config.max_iterations,
        num_minibatches=max(batch_size // config.train.minibatch_size, 1),
        kernels=kernels,
        device=device,
        seed=config.seed,
        precision=config.precision,
        compiled=config.compile and device.type == "cuda",
    )


def seed_everything(config: Config) -> None:
    """Seeds the global generators; rlgpu's own take the seed explicitly."""
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    torch.use_deterministic_algorithms(config.torch_deterministic)
    if config.torch_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch asks for it
    # For kernels=torch and whatever a task multiplies; the compiled ops are told on their own.
    torch.set_float32_matmul_precision("highest" if config.precision == "fp32" else "high")
