"""How scripts are run: the engine and what the runner or ``install`` was told."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlgpu.device import is_gpu
from rlgpu.errors import NoGpu

ENGINES = {"mujoco": ("cpu",), "mujoco_warp": ("cpu", "cuda"), "fused": ("cpu",)}
"""Engines and the devices they run on."""


@dataclass(frozen=True)
class Settings:
    """Choices that Isaac Gym's API has no place for."""

    engine: str = "auto"
    """``mujoco``, ``mujoco_warp``, ``fused``; ``auto`` is ``mujoco_warp`` on a GPU, and on a CPU
    ``fused``, or ``mujoco`` for scenes that it does not cover."""
    num_threads: int = 0
    """Threads of the engines on a CPU; 0 is one a core."""
    cuda_is_cpu: bool = False
    """Whether the CPU has taken the place of CUDA in this process."""


def choose_engine(settings: Settings, device: torch.device) -> str:
    """Returns the engine for a device.

    Raises:
        NoGpu: There is no such device.
        ValueError: The engine does not exist, or does not run on it.
    """
    if is_gpu(device) and not torch.cuda.is_available():
        raise NoGpu(
            "the script asks for tensors on a GPU, and torch finds none; pass --sim_device cpu "
            "--pipeline cpu --rl_device cpu (IsaacGymEnvs: sim_device=cpu pipeline=cpu "
            "rl_device=cpu)"
        )
    name = settings.engine
    if name == "auto":
        return "mujoco_warp" if is_gpu(device) else "fused"
    if name not in ENGINES:
        raise ValueError(f"engine {name!r} is not one of {', '.join(ENGINES)}, auto")
    if device.type not in ENGINES[name]:
        raise ValueError(f"engine {name} does not run on {device}; use {', '.join(ENGINES)}")
    return name
