"""Wrenches about the centres of mass of trees, turned into those about bodies' origins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import torch
from torch import Tensor

from rlgpu.device import is_gpu
from rlgpu.sim.mujoco.layout import index_of, root_index


class WrenchReader:
    """Contact wrenches of chosen bodies, about their origins and in their axes."""

    def __init__(
        self,
        model: mujoco.MjModel,
        array: Callable[[str], Tensor],
        contacts: Tensor,
        bodies: Sequence[int],
    ) -> None:
        """Binds the arrays to read.

        Args:
            model: The compiled model.
            array: Returns live arrays by name, as ``Worlds.array``.
            contacts: Net contact torques and forces on all bodies in world axes, about the centre
                of mass of a body's whole tree, shape [N, nbody, 6].
            bodies: Ids of the bodies, S of them.
        """
        self._contacts, self._com = contacts, array("subtree_com")
        self._xpos, self._xmat = array("xpos"), array("xmat")
        device = contacts.device
        self._bodies = index_of(bodies, device)
        self._roots = root_index(model, bodies, device)
        self.wrenches = torch.zeros(len(contacts), len(bodies), 6, device=device)
        """Force [N] and torque [N m] as last read, shape [N, S, 6]."""

    def read(self) -> None:
        """Updates ``wrenches`` from the arrays, which must be of one instant."""
        wrench_w = self._contacts[:, self._bodies]
        torque_w, force_w = wrench_w[..., :3], wrench_w[..., 3:]
        arm_w = self._com[:, self._roots] - self._xpos[:, self._bodies]
        torque_w = torque_w + torch.linalg.cross(arm_w, force_w)
        self.wrenches.copy_(in_body_axes(force_w, torque_w, self._xmat[:, self._bodies]))


def in_body_axes(force_w: Tensor, torque_w: Tensor, xmat: Tensor) -> Tensor:
    """Returns forces and torques in the axes of their bodies, shape [N, S, 6], float32.

    Args:
        force_w: Forces in world axes, shape [N, S, 3].
        torque_w: Torques in world axes, shape [N, S, 3].
        xmat: Orientations of the bodies, shape [N, S, 3, 3] or [N, S, 9].
    """
    to_body = xmat.float().reshape(-1, 3, 3)
    both_w = torch.stack((force_w.float(), torque_w.float()), dim=-2).flatten(0, 1)  # [N*S, 2, 3]
    # Columns of to_body are the body's axes. A batched product is fastest on the CPU; elsewhere
    # the sum is fused with the surrounding operations.
    if not is_gpu(to_body.device):
        both_b = torch.bmm(both_w, to_body)
    else:
        both_b = (both_w[..., None] * to_body[:, None]).sum(-2)
    return both_b.view(*force_w.shape[:2], 6)
