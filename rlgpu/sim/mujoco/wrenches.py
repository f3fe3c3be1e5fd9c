"""Reads contact wrenches from MuJoCo's derived arrays, for engines that do not report them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class WrenchReader:
    """Contact wrenches of chosen bodies, about their origins and in their axes."""

    def __init__(
        self, array: Callable[[str], Tensor], bodies: Sequence[int], roots: Sequence[int]
    ) -> None:
        """Binds the arrays to read.

        Args:
            array: Returns live arrays by name, as ``Worlds.array``.
            bodies: Ids of the bodies, S of them.
            roots: Ids of the roots of their trees, about whose centres MuJoCo's wrenches are.
        """
        self._forces, self._com = array("cfrc_ext"), array("subtree_com")
        self._xpos, self._xmat = array("xpos"), array("xmat")
        device = self._forces.device
        # A slice reads without gathering.
        self._bodies = evenly_spaced(bodies) or torch.tensor(bodies, device=device)
        self._roots = evenly_spaced(roots) or torch.tensor(roots, device=device)
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


def evenly_spaced(ids: Sequence[int]) -> slice | None:
    """Returns a slice of just these indices, or None if there is none.

    A single index that is repeated gives a slice of one element, which broadcasts.
    """
    if len(set(ids)) == 1:
        return slice(ids[0], ids[0] + 1)
    step = ids[1] - ids[0] if len(ids) > 1 else 1
    if step < 1 or list(ids) != list(range(ids[0], ids[0] + step * len(ids), step)):
        return None
    return slice(ids[0], ids[-1] + 1, step)
