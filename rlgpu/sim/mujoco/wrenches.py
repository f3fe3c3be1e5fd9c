"""Reads contact wrenches from MuJoCo's derived arrays, for engines that do not report them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import torch
from torch import Tensor

from rlgpu.sim.mujoco.layout import index_of, root_index


class WrenchReader:
    """Contact wrenches of chosen bodies, about their origins and in their axes."""

    def __init__(
        self, model: mujoco.MjModel, array: Callable[[str], Tensor], bodies: Sequence[int]
    ) -> None:
        """Binds the arrays to read.

        Args:
            model: The compiled model.
            array: Returns live arrays by name, as ``Worlds.array``.
            bodies: Ids of the bodies, S of them.
        """
        self._forces, self._com = array("cfrc_ext"), array("subtree_com")
        self._xpos, self._xmat = array("xpos"), array("xmat")
        device = self._forces.device
        self._bodies = index_of(bodies, device)
        # MuJoCo's wrenches are about the centre of mass of a body's whole tree.
        self._roots = root_index(model, bodies, device)
        self.wrenches = torch.zeros(len(self._forces), len(bodies), 6, device=device)
        """Force [N] and torque [N m] as last read, shape [N, S, 6]."""

    def read(self) -> None:
        """Updates ``wrenches`` from the arrays, which must be of one instant."""
        wrench_w = self._forces[:, self._bodies].float()
        torque_w, force_w = wrench_w[..., :3], wrench_w[..., 3:]
        arm_w = (self._com[:, self._roots] - self._xpos[:, self._bodies]).float()
        torque_w = torque_w + torch.linalg.cross(arm_w, force_w)
        to_body = self._xmat[:, self._bodies].float().reshape(-1, 3, 3)
        both_w = torch.stack((force_w, torque_w), dim=-2).flatten(0, 1)  # [N*S, 2, 3]
        # Columns of to_body are the body's axes. A batched product is fastest on the CPU; elsewhere
        # the sum is fused with the surrounding operations.
        if to_body.device.type == "cpu":
            both_b = torch.bmm(both_w, to_body)
        else:
            both_b = (both_w[..., None] * to_body[:, None]).sum(-2)
        self.wrenches.copy_(both_b.view(self.wrenches.shape))
