"""What the inverse inertias of constraints are at least, for bodies that move little by them.

MuJoCo estimates the inverse inertia of a contact, connect or weld from how forces at the bodies'
centres of mass move these. The centre of a balanced wheel on its axle does not move, and nothing
turns a body on slides: the estimate is zero, and the constraint's weight infinite. MuJoCo bounds
its inverse by 1e-15, which single precision does not bear.
"""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

_HARDLY = 1e-4
"""A share of the inverse inertia at a constraint's place that counts as none."""
_LEAST = 0.03
"""The share that stands for it: the constraint gives way by a thirtieth of the usual amount."""
_LEAST_ARM = 0.01
"""The least distance of a constraint from a centre of mass [m]."""


def least_of_points(model: mujoco.MjModel, places: Iterable[tuple[int, float]]) -> float:
    """Returns the least inverse inertia of a constraint on points of bodies [1 / kg].

    0 if MuJoCo's own is large enough.

    Args:
        model: A compiled model.
        places: The bodies, and the points' distances from their centres of mass [m].
    """
    moved = turned = 0.0
    for body, arm in places:
        moved += float(model.body_invweight0[body, 0])
        turned += float(model.body_invweight0[body, 1]) * max(arm, _LEAST_ARM) ** 2
    return _LEAST * turned if moved <= _HARDLY * turned else 0.0


def least_of_turns(model: mujoco.MjModel, bodies: Iterable[int]) -> float:
    """Returns the least inverse inertia of a constraint on bodies' turns [1 / (kg m^2)].

    It is any number for bodies that never turn, and 0 for others.
    """
    moved, turned = model.body_invweight0[list(bodies)].sum(axis=0)
    return 0.0 if turned > 0 else float(moved)


def least_of_geoms(model: mujoco.MjModel, *geoms: int) -> float:
    """Returns the least inverse inertia of contacts between geoms [1 / kg]; 0 as above."""
    bodies = [int(model.geom_bodyid[geom]) for geom in geoms]
    arms = (
        float(np.linalg.norm(model.geom_pos[geom] - model.body_ipos[body]))
        + float(model.geom_rbound[geom])
        for geom, body in zip(geoms, bodies, strict=True)
    )
    return least_of_points(model, zip(bodies, arms, strict=True))
