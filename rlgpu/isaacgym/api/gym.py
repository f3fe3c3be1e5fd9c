"""The object that ``acquire_gym`` returns: all calls of the API."""

from __future__ import annotations

from rlgpu.isaacgym.calls.contacts import ContactCalls
from rlgpu.isaacgym.calls.environments import EnvironmentCalls
from rlgpu.isaacgym.calls.graphics import GraphicsCalls
from rlgpu.isaacgym.calls.joints import JointCalls
from rlgpu.isaacgym.calls.loading import LoadingCalls
from rlgpu.isaacgym.calls.properties import PropertyCalls
from rlgpu.isaacgym.calls.simulation import SimulationCalls
from rlgpu.isaacgym.calls.states import StateCalls
from rlgpu.isaacgym.calls.tendons import TendonCalls
from rlgpu.isaacgym.calls.tensors import TensorCalls
from rlgpu.isaacgym.calls.timers import TimerCalls
from rlgpu.isaacgym.calls.unsupported import UnsupportedCalls
from rlgpu.isaacgym.calls.vectors import VectorCalls
from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.runner.settings import Settings


class Gym(
    SimulationCalls,
    LoadingCalls,
    EnvironmentCalls,
    PropertyCalls,
    TendonCalls,
    VectorCalls,
    JointCalls,
    StateCalls,
    TensorCalls,
    GraphicsCalls,
    ContactCalls,
    TimerCalls,
    UnsupportedCalls,
):
    """All calls, with the settings of new simulations and the remarks made so far."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Starts without remarks.

        Args:
            settings: Engine and threads of simulations; the defaults if None.
        """
        self.settings, self.notes = settings or Settings(), Notes()
