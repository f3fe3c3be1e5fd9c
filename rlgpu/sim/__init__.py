"""Engines behind one protocol. Importing this imports no engine."""

from __future__ import annotations

import torch

from rlgpu.sim.scene import PARAMETERS, Drive, SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState, Simulator

__all__ = [
    "ENGINES",
    "GPU_ENGINES",
    "PARAMETERS",
    "Drive",
    "ResetState",
    "SceneSpec",
    "SimState",
    "Simulator",
    "Timing",
    "make_simulator",
]

ENGINES = ("mujoco", "mujoco_warp")
"""Names that ``sim=`` accepts."""
GPU_ENGINES = ("mujoco_warp",)
"""Those that run on an NVIDIA GPU."""


def make_simulator(
    engine: str,
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    *,
    device: torch.device | None = None,
    num_threads: int = 0,
    nconmax: int = 0,
    njmax: int = 0,
) -> Simulator:
    """Returns an engine by name; only that engine is imported.

    Args:
        engine: One of ``ENGINES``.
        scene: What to simulate and measure.
        timing: Physics and control steps.
        num_envs: Number of worlds.
        device: Where to simulate; the CPU if None.
        num_threads: ``mujoco``: threads; 0 is one a core.
        nconmax: ``mujoco_warp``: contacts set aside a world; 0 follows from the model.
        njmax: ``mujoco_warp``: constraint rows set aside a world; 0 follows from the model.

    Raises:
        ValueError: No engine has that name.
    """
    if engine == "mujoco":
        from rlgpu.sim.mujoco import MujocoSimulator  # noqa: PLC0415

        return MujocoSimulator(scene, timing, num_envs, num_threads=num_threads)
    if engine == "mujoco_warp":
        from rlgpu.sim.mujoco_warp import MujocoWarpSimulator  # noqa: PLC0415

        return MujocoWarpSimulator(
            scene,
            timing,
            num_envs,
            device=device or torch.device("cpu"),
            nconmax=nconmax,
            njmax=njmax,
        )
    raise ValueError(f"sim={engine} is not an engine; allowed: {', '.join(ENGINES)}")
