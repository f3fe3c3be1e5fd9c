"""Places out of reach, for bodies that a model has and some of its worlds do not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import numpy as np

_UP = (0.0, 0.0, 1.0)


def parking_places(
    model: mujoco.MjModel, bodies: Sequence[int], *, distance: float, up: Sequence[float] = _UP
) -> np.ndarray:
    """Returns positions in which bodies touch nothing, one above the other, shape [M, 3].

    Args:
        model: The model; its own pose says where the scene ends.
        bodies: Roots of the bodies' trees, M of them.
        distance: Distance of the lowest place from the highest shape of the scene [m].
        up: Unit vector along which the places follow each other.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    bounds, upward = model.geom_rbound, np.asarray(up)  # bounds of planes are 0
    top = float((data.geom_xpos @ upward + bounds).max(initial=0.0))
    # Of the spheres about roots' origins that hold all shapes of a tree.
    roots = model.body_rootid[model.geom_bodyid]
    reaches = np.linalg.norm(data.geom_xpos - data.xpos[roots], axis=1) + bounds
    radius = float(reaches[np.isin(roots, bodies)].max(initial=1.0))
    base = math.ceil(top + distance + radius)
    heights = base + 3.0 * np.arange(len(bodies)) * radius
    places: np.ndarray = heights[:, None] * upward
    return places
