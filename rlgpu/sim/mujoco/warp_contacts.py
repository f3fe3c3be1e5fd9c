"""Sums the contacts on every body in MuJoCo Warp's data, on the device."""

# The kernel is Warp's language, whose types mypy does not know.
# mypy: disable-error-code="valid-type,index,operator,call-overload"
from __future__ import annotations

from functools import cache
from typing import Any

import mujoco_warp as mjw
import warp as wp
from torch import Tensor


class ContactSums:
    """Net contact wrenches on all bodies, about the centres of mass of their trees."""

    def __init__(self, m: Any, d: Any, *, deterministic: bool) -> None:
        """Allocates what the sums need; kernels run on the device that is current.

        Args:
            m: MuJoCo Warp's model.
            d: Its data.
            deterministic: Whether to add in the same order in every run; slower.
        """
        self._m, self._d = m, d
        self._kernel = _kernel(deterministic)
        self._ids: Any = wp.array(list(range(d.naconmax)), dtype=int)
        self._each = wp.zeros(d.naconmax, dtype=wp.spatial_vector)
        self._sums: Any = wp.zeros((d.nworld, m.nbody), dtype=wp.spatial_vector)
        self.sums: Tensor = wp.to_torch(self._sums)  # type: ignore[arg-type]
        """Torque [N m] and force [N] in world axes, shape [N, nbody, 6]."""

    def update(self) -> None:
        """Adds up the contacts of the last physics step."""
        m, d = self._m, self._d
        mjw.contact_force(m, d, self._ids, True, self._each)
        self._sums.zero_()
        wp.launch(
            self._kernel,
            dim=d.naconmax,
            inputs=[
                m.geom_bodyid,
                m.body_rootid,
                d.subtree_com,
                d.contact.pos,
                d.contact.geom,
                d.contact.worldid,
                d.nacon,
                self._each,
            ],
            outputs=[self._sums],
        )


@cache
def _kernel(deterministic: bool) -> Any:
    """Returns the kernel that adds contacts to their bodies, one thread a contact."""
    options: dict[str, Any] = {"enable_backward": False}
    if deterministic:
        options["deterministic"] = wp.DeterministicMode.RUN_TO_RUN

    def add_contacts(
        geom_bodyid: wp.array[int],
        body_rootid: wp.array[int],
        subtree_com: wp.array2d[wp.vec3],
        pos: wp.array[wp.vec3],
        geom: wp.array[wp.vec2i],
        worldid: wp.array[int],
        nacon: wp.array[int],
        each: wp.array[wp.spatial_vector],
        sums: wp.array2d[wp.spatial_vector],
    ) -> None:
        contact = wp.tid()
        if contact >= nacon[0]:
            return
        world = worldid[contact]
        force = wp.spatial_top(each[contact])
        torque = wp.spatial_bottom(each[contact])
        for side in range(2):
            body = geom_bodyid[geom[contact][side]]
            sign = float(2 * side - 1)  # the force acts on the second geom
            arm = pos[contact] - subtree_com[world, body_rootid[body]]
            wrench = wp.spatial_vector(torque + wp.cross(arm, force), force)
            wp.atomic_add(sums, world, body, sign * wrench)

    return wp.kernel(add_contacts, module="unique", module_options=options)
