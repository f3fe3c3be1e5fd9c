"""The object that ``acquire_gym`` returns: all calls of the API."""

from __future__ import annotations

from rlgpu.isaacgym.calls.environments import EnvironmentCalls
from rlgpu.isaacgym.calls.graphics import GraphicsCalls
from rlgpu.isaacgym.calls.loading import LoadingCalls
from rlgpu.isaacgym.calls.properties import PropertyCalls
from rlgpu.isaacgym.calls.simulation import SimulationCalls
from rlgpu.isaacgym.calls.states import StateCalls
from rlgpu.isaacgym.calls.tensors import TensorCalls
from rlgpu.isaacgym.calls.unsupported import UnsupportedCalls


class Gym(
    SimulationCalls,
    LoadingCalls,
    EnvironmentCalls,
    PropertyCalls,
    StateCalls,
    TensorCalls,
    GraphicsCalls,
    UnsupportedCalls,
):
    """All calls; without state of its own, so one is as good as another."""
