"""An estimate of the memory that training needs, so that too much is refused before allocating."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import torch

from rlgpu.config import Config
from rlgpu.device import is_gpu
from rlgpu.errors import Conflict

_COPIES = 6
"""Of the parameters: themselves, gradients, two moments, and two checkpoints."""


def check_memory(config: Config, num_observations: int, num_actions: int) -> None:
    """Checks that a run's largest tensors fit into the memory that is free.

    Args:
        config: The run's configuration.
        num_observations: Width of the observations.
        num_actions: Width of the actions.

    Raises:
        UsageError: They do not fit.
    """
    needed = needed_bytes(config, num_observations, num_actions)
    device = torch.device(config.rl_device)
    free = free_bytes(device)
    if free is not None and needed > free:
        raise Conflict(
            f"num_envs={config.num_envs} with train.horizon_length={config.train.horizon_length}, "
            f"train.hidden_sizes={config.train.hidden_sizes}: about {_size(needed)} are needed, "
            f"{_size(free)} are free on {device}; make them smaller",
            key="num_envs",
            value=config.num_envs,
            other="train.horizon_length",
        )


def needed_bytes(config: Config, num_observations: int, num_actions: int) -> int:
    """Returns the bytes of a rollout, of the networks and of a minibatch's activations."""
    train = config.train
    steps = 1 if config.test else train.horizon_length
    rows = steps * config.num_envs
    rollout = 4 * rows * (4 * num_observations + 4 * num_actions + 10)
    per_step = 8 * steps**2 + 2000 * steps
    widths = [num_observations, *train.hidden_sizes, num_actions + 1]
    networks = 1 + train.separate
    weights = sum(a * b + b for a, b in itertools.pairwise(widths))
    minibatch = min(train.minibatch_size, rows)
    activations = 8 * minibatch * sum(widths)
    orders = 0 if config.test else train.num_epochs * (8 * rows + 100 * (rows // minibatch))
    return rollout + per_step + networks * (4 * _COPIES * weights + activations) + orders


def free_bytes(device: torch.device) -> int | None:
    """Returns the memory that is free on a device, or None if the system does not say."""
    if is_gpu(device):
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # A container may allow less than the machine has.
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return min(free, max(limit - used, 0))


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
