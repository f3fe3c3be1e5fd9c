"""How two geoms push each other: MuJoCo's parameters of a contact, from geoms, pairs and options.

Source: mj_contactParam, mj_narrowphase and mj_setContact in engine_collision_driver.c.
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.pairs import Pair

MIN_FRICTION = 1e-5
"""Smallest coefficient of friction, MuJoCo's mjMINMU."""


class ContactParameters(NamedTuple):
    """What contacts of one pair of geoms have in common."""

    condim: int
    """Dimensions: 1, 3, 4 or 6."""
    friction: np.ndarray
    """Coefficients along two tangents, of spin [m], and of roll about the tangents [m], shape
    [5]."""
    follows: tuple[int, ...]
    """Geoms whose largest coefficients these are; none if the contacts have their own."""
    solref: np.ndarray
    """Time constant [s] and damping ratio, or negative stiffness and damping, shape [2]."""
    solreffriction: np.ndarray
    """The same of friction, zeros if it is ``solref``; counts with elliptic cones."""
    solimp: np.ndarray
    """Impedance, shape [5]."""
    margin: float
    """Distance from which on there is a force [m]."""
    gap: float
    """Further distance in which contacts are found that have none [m]."""


def contact_parameters(model: mujoco.MjModel, pair: Pair) -> ContactParameters:
    """Returns the parameters of a pair's contacts."""
    found = _of_pair(model, pair.explicit) if pair.explicit >= 0 else _of_geoms(model, pair)
    option = model.opt
    if option.enableflags & mujoco.mjtEnableBit.mjENBL_OVERRIDE:
        found = found._replace(
            friction=option.o_friction.copy(),
            follows=(),
            solref=option.o_solref.copy(),
            solreffriction=np.zeros(2),
            solimp=option.o_solimp.copy(),
            margin=float(option.o_margin),
        )
    return found._replace(friction=np.maximum(found.friction, MIN_FRICTION))


def _of_pair(model: mujoco.MjModel, number: int) -> ContactParameters:
    return ContactParameters(
        condim=int(model.pair_dim[number]),
        friction=model.pair_friction[number].copy(),
        follows=(),
        solref=model.pair_solref[number],
        solreffriction=model.pair_solreffriction[number],
        solimp=model.pair_solimp[number],
        margin=float(model.pair_margin[number]),
        gap=float(model.pair_gap[number]),
    )


def _of_geoms(model: mujoco.MjModel, pair: Pair) -> ContactParameters:
    both = [pair.geom1, pair.geom2]
    first, second = model.geom_priority[both]
    # The geom of higher priority decides alone.
    decisive = both[:1] if first > second else both[1:] if second > first else both
    solref, solimp = _mixed(model, decisive)
    friction = model.geom_friction[decisive].max(axis=0)
    return ContactParameters(
        condim=int(model.geom_condim[decisive].max()),
        friction=friction[[0, 0, 1, 2, 2]],
        follows=tuple(decisive),
        solref=solref,
        solreffriction=np.zeros(2),
        solimp=solimp,
        margin=float(model.geom_margin[both].sum()),
        gap=float(model.geom_gap[both].sum()),
    )


def _mixed(model: mujoco.MjModel, decisive: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns solref and solimp of one geom, or mixed of two."""
    if len(decisive) == 1:
        return model.geom_solref[decisive[0]], model.geom_solimp[decisive[0]]
    weights = model.geom_solmix[decisive]
    small = weights < mujoco.mjMINVAL
    if small.all():
        weights = np.ones(2)
    elif small.any():
        weights = (~small).astype(float)
    weights = weights / weights.sum()
    solref = model.geom_solref[decisive]
    mixed = weights @ solref if (solref[:, 0] > 0).all() else solref.min(axis=0)
    solimp = model.geom_solimp[decisive]
    # What is equal stays as it is: a power must not be rounded.
    return mixed, np.where(solimp[0] == solimp[1], solimp[0], weights @ solimp)
