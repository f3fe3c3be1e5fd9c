"""Engines behind one protocol. Importing this imports no engine."""

from __future__ import annotations

from rlgpu.sim.scene import Drive, SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState, Simulator

__all__ = [
    "ENGINES",
    "Drive",
    "ResetState",
    "SceneSpec",
    "SimState",
    "Simulator",
    "Timing",
    "make_simulator",
]

ENGINES = ("mujoco",)
"""Names that ``sim=`` accepts."""


def make_simulator(
    engine: str, scene: SceneSpec, timing: Timing, num_envs: int, *, num_threads: int = 0
) -> Simulator:
    """Returns an engine by name; only that engine is imported.

    Raises:
        ValueError: No engine has that name.
    """
    if engine == "mujoco":
        from rlgpu.sim.mujoco import MujocoSimulator  # noqa: PLC0415

        return MujocoSimulator(scene, timing, num_envs, num_threads=num_threads)
    raise ValueError(f"sim={engine} is not an engine; allowed: {', '.join(ENGINES)}")
