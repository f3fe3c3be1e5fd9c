"""The fused engine's tables of actuators that pull a body towards what it touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.packing import offsets
from rlgpu.sim.mujoco.fused.pattern import relative_signs
from rlgpu.sim.mujoco.pairs import Pair

_BODY = int(mujoco.mjtTrn.mjTRN_BODY)


class Adhesion(NamedTuple):
    """An actuator on a body, which acts through the body's contacts."""

    actuator: int
    pairs: list[int]
    """The pairs of geoms, among all that may touch, of which the body has one."""
    signs: list[dict[int, float]]
    """For each of these, the sign with which dofs move its second geom relative to the first."""

    @property
    def dofs(self) -> list[int]:
        """The dofs that contacts of the body can move, leaves first."""
        return sorted({dof for signs in self.signs for dof in signs}, reverse=True)


def adhesions(model: mujoco.MjModel, pairs: Sequence[Pair]) -> list[Adhesion]:
    """Returns the actuators on bodies, in the model's order.

    Args:
        model: The compiled model.
        pairs: Its pairs of geoms that may touch, in the engine's order.
    """
    found = []
    for actuator in np.flatnonzero(model.actuator_trntype == _BODY).tolist():
        body = int(model.actuator_trnid[actuator, 0])
        bodies = [model.geom_bodyid[[pair.geom1, pair.geom2]] for pair in pairs]
        touching = [number for number, both in enumerate(bodies) if body in both]
        signs = [relative_signs(model, *map(int, bodies[number])) for number in touching]
        found.append(Adhesion(actuator, touching, signs))
    return found


def adhesion_tables(
    adhesive: Sequence[Adhesion], first_tendon: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of indices and those of constants.

    Args:
        adhesive: The actuators.
        first_tendon: The place of the first one among the tendons; the others follow.
    """
    ints = {
        "adhesion_tendon": [first_tendon + i for i in range(len(adhesive))],
        "adhesion_pairs": offsets(len(a.pairs) for a in adhesive),
        "adhesion_pair": [pair for a in adhesive for pair in a.pairs],
        "adhesion_signs": offsets(len(a.dofs) * len(a.pairs) for a in adhesive),
    }
    signs = [part.get(dof, 0.0) for a in adhesive for dof in a.dofs for part in a.signs]
    return ints, {"adhesion_sign": signs}
