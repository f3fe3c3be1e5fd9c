"""The torques of a scene's drives, from joint states, for an engine that does not report them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import SimState


class DriveForces:
    """Applies the law of each drive to a state.

    An engine applies it in every physics step, with the joint states of that step; here it is
    applied to those at the end of the control step.
    """

    def __init__(
        self,
        scene: SceneSpec,
        joint_names: Sequence[str],
        num_envs: int,
        parameters: Mapping[str, Tensor],
        device: torch.device,
    ) -> None:
        """Reads the drives.

        Args:
            scene: Contains them; without its ``drive_forces``, nothing is computed.
            joint_names: Names of the joints, J of them.
            num_envs: Number of environments N.
            parameters: The simulator's; gains that vary are read from here.
            device: Of the states.
        """
        self._wanted = scene.drive_forces
        if not self._wanted:
            return
        drives = [scene.drives.get(name) for name in joint_names]

        def row(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device)

        is_position = [drive is not None and drive.mode == "position" for drive in drives]
        self._is_position = torch.tensor(is_position, device=device)
        self._stiffness = row([drive.stiffness if drive else 0.0 for drive in drives])
        self._damping = row([drive.damping if drive else 0.0 for drive in drives])
        self._limit = row([drive.effort_limit if drive else 0.0 for drive in drives])
        self._parameters = parameters
        self._targets = torch.zeros(num_envs, len(drives), device=device)

    def targets(self, targets: Tensor) -> None:
        """Keeps the targets, shape [N, J]."""
        if self._wanted:
            self._targets.copy_(targets)

    def write(self, state: SimState) -> None:
        """Writes ``drive_force``."""
        if not self._wanted:
            return
        stiffness = self._parameters.get("drive_stiffness", self._stiffness)
        damping = self._parameters.get("drive_damping", self._damping)
        tracking = stiffness * (self._targets - state.joint_pos) - damping * state.joint_vel
        force = torch.where(self._is_position, tracking, self._targets)
        state.drive_force.copy_(force.clamp(-self._limit, self._limit))
