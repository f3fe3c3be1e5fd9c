"""Frames of bodies in a state: positions, orientations and velocities that belong together."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

from rlgpu.sim.simulator import ResetState, SimState


class Frames(NamedTuple):
    """Frames of one body, shapes [N, 3 or 4], or of several, shapes [N, B, 3 or 4]."""

    pos_w: Tensor
    """Positions [m]."""
    quat_w: Tensor
    """Orientations (x, y, z, w)."""
    lin_vel_w: Tensor
    """Velocities of the origins [m/s]."""
    ang_vel_w: Tensor
    """Angular velocities [rad/s]."""


def frames_of(state: SimState | ResetState, kind: Literal["root", "object", "body"]) -> Frames:
    """Returns a state's tensors of its root, its objects or all bodies."""
    return Frames(*(getattr(state, f"{kind}_{field}") for field in Frames._fields))
