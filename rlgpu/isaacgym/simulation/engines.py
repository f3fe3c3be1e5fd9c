"""Builds the worlds of a simulation, on another engine if the default one cannot have them."""

from __future__ import annotations

import torch

from rlgpu.errors import UnsupportedModel
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.build import UnsupportedVariation
from rlgpu.isaacgym.simulation.grouping import group_environments, recipe_of
from rlgpu.isaacgym.simulation.world import World
from rlgpu.ops import load_extension


def build_world(sim: Sim) -> World:
    """Returns the worlds of a simulation as it is described now.

    Raises:
        UnsupportedModel: The engine that the user named does not simulate them.
        UnsupportedVariation: Environments differ in what that engine's worlds share.
    """
    if not sim.may_change_engine:
        return _world(sim)
    reason = _reason_against(sim)
    if not reason:
        try:
            return _world(sim)
        except (UnsupportedModel, UnsupportedVariation) as error:
            reason = error.reasons[0]
    sim.engine = "mujoco"
    sim.notes.add(f"MuJoCo C instead of the faster engine, fused: {reason}")
    return _world(sim)


def _world(sim: Sim) -> World:
    """Returns the worlds of a simulation."""
    try:
        return World(sim, group_environments(sim))
    except (UnsupportedModel, NotImplementedError):
        if len({recipe_of(env) for env in sim.envs}) == 1:
            raise
        # A model of the actors of several kinds may be too much where each kind's is not.
        return World(sim, group_environments(sim, may_park=False))


def _reason_against(sim: Sim) -> str:
    """Returns why the fused engine cannot run, or would be slow; empty if it is right."""
    try:
        load_extension(torch.device("cpu"))
    except RuntimeError:
        return "the compiled extension is missing"
    places = {tuple(env.origin) for env in sim.envs}
    if sim.terrains and len(places) > 1:
        return "on a terrain, it would simulate environments at different places one by one"
    if _differ_in_tendons(sim):
        return "it would simulate environments with different tendons one by one"
    return ""


def _differ_in_tendons(sim: Sim) -> bool:
    """Returns whether alike actors have other tendon limits or paths in other environments."""
    found: dict[tuple[int, int], list[object]] = {}
    for actor in (actor for env in sim.envs for actor in env.actors if actor.asset.tendons):
        limits = [
            (p.is_fixed_limited, p.fixed_lower_limit, p.fixed_upper_limit)
            for p in actor.tendon_properties
        ]
        own: list[object] = [*limits, *actor.tendon_paths]
        if own != found.setdefault((id(actor.asset), actor.handle), own):
            return True
    return False
