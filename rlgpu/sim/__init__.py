"""Simulation engines behind one protocol. Importing this package imports no engine."""

from rlgpu.sim.actuator_settings import ActuatorNetwork, ActuatorSettings
from rlgpu.sim.engines import (
    ENGINES,
    Engine,
    FusedSettings,
    IsaacGymSettings,
    MujocoSettings,
    MujocoWarpSettings,
    make_simulator,
)
from rlgpu.sim.scene import PARAMETERS, SIGNED_PARAMETERS, Asset, Drive, SceneSpec, Timing
from rlgpu.sim.simulator import Mirror, ResetState, SimState, Simulator

__all__ = [
    "ENGINES",
    "PARAMETERS",
    "SIGNED_PARAMETERS",
    "ActuatorNetwork",
    "ActuatorSettings",
    "Asset",
    "Drive",
    "Engine",
    "FusedSettings",
    "IsaacGymSettings",
    "Mirror",
    "MujocoSettings",
    "MujocoWarpSettings",
    "ResetState",
    "SceneSpec",
    "SimState",
    "Simulator",
    "Timing",
    "make_simulator",
]
