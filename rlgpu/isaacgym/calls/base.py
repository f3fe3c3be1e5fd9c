"""State that all calls share."""

from __future__ import annotations

from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.runner.settings import Settings


class Calls:
    """A group of calls of a gym."""

    settings: Settings
    """Settings of simulations that the gym creates from now on."""
    notes: Notes
    """Remarks that the gym has made."""
