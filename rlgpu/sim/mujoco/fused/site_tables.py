"""The fused engine's tables of actuators at sites, which count as further tendons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.pattern import chain_of
from rlgpu.sim.mujoco.fused.servos import is_servo

_SITE = int(mujoco.mjtTrn.mjTRN_SITE)


class SiteActuator(NamedTuple):
    """An actuator that pushes and turns the body of a site."""

    actuator: int
    sites: tuple[int, ...]
    """The site and, if there is one, the site that it refers to."""


def site_actuators(model: mujoco.MjModel) -> list[SiteActuator]:
    """Returns the actuators at sites, in the model's order."""
    found = []
    for actuator in np.flatnonzero(model.actuator_trntype == _SITE).tolist():
        sites = model.actuator_trnid[actuator].tolist()
        found.append(SiteActuator(actuator, tuple(site for site in sites if site >= 0)))
    return found


def pushed_bodies(model: mujoco.MjModel, sites: Sequence[int]) -> list[int]:
    """Returns the bodies of sites, without those that cannot move."""
    bodies = sorted({int(model.site_bodyid[site]) for site in sites})
    return [body for body in bodies if chain_of(model, body)]


def relative_dofs(model: mujoco.MjModel, sites: Sequence[int]) -> list[int]:
    """Returns the dofs that move one site, or two relative to each other, leaves first."""
    chains = [set(chain_of(model, int(model.site_bodyid[site]))) for site in sites]
    moving = chains[0] ^ chains[1] if len(chains) > 1 else chains[0]
    return sorted(moving, reverse=True)


def site_tables(
    model: mujoco.MjModel,
    actuators: Sequence[SiteActuator],
    points: Mapping[int, int],
    pulls: Sequence[Mapping[int, int]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of indices and those of constants.

    Args:
        model: The compiled model.
        actuators: Its actuators at sites.
        points: The place of each site among the points of tendons.
        pulls: For each actuator, the place of each body that it pushes among those pulled.
    """
    pushed = [
        [bodies.get(int(model.site_bodyid[site]), -1) for site in actuator.sites]
        for actuator, bodies in zip(actuators, pulls, strict=True)
    ]
    both = [(*actuator.sites, *actuator.sites)[:2] for actuator in actuators]
    ints = {
        "sites_points": [_pair(points[site] for site in a.sites) for a in actuators],
        "sites_pulls": [_pair(places) for places in pushed],
    }
    return ints, {
        "sites_gear": [model.actuator_gear[a.actuator] for a in actuators],
        "sites_quat": [model.site_quat[list(sites)] for sites in both],
        "sites_period": [_period(model, a) for a in actuators],
    }


def _pair(values: Any) -> list[int]:
    return [*values, -1][:2]


def _period(model: mujoco.MjModel, actuator: SiteActuator) -> float:
    """Returns the angle after which a servo's setpoint repeats, times the gear; 0 without.

    Source: MuJoCo, wrapPeriod in engine_forward.c: of a gear that only turns.
    """
    gear = model.actuator_gear[actuator.actuator]
    repeats = len(actuator.sites) == 2 and not gear[:3].any() and is_servo(model, actuator.actuator)
    return 2.0 * np.pi * float(np.linalg.norm(gear[3:])) if repeats else 0.0
