"""Models that hold more actors than each of their environments has.

Environments that differ only in actors without joints, such as objects and obstacles, can be worlds
of one model that holds all of these. An environment parks the actors that it lacks out of reach,
where they touch nothing; no tensor shows them.

A model has a slot for each of its actors. Actors without joints are optional, unless an attractor
holds one. All environments of a model have its other actors, in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil
from typing import NamedTuple

from rlgpu.isaacgym.records.geometry import Vec3
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.sim.mujoco.worlds import Capabilities

_STEEPEST = 0.5
"""Least cosine between the way out and the normal of a ground plane."""

_MOST_CANDIDATES = 64
"""Models that are tried for environments with other actors, the newest ones."""

Trait = tuple[Hashable, ...]
"""What actors must have in common to take the same slot."""


class Described(NamedTuple):
    """An actor and what decides its slot."""

    actor: Actor
    trait: Trait
    label: int
    """Its collision group, by first appearance in its environment; -1 for -1."""
    is_optional: bool


@dataclass(frozen=True)
class Roster:
    """The actors of a model."""

    slots: tuple[Described, ...]
    """Actors that stand for all that take the same slot; those that are not optional come first."""

    def seats(self, actors: Sequence[Described]) -> tuple[int, ...]:
        """Returns the slot of each actor of an environment.

        Args:
            actors: The environment's actors; the roster must have slots for all of them.
        """
        free: dict[tuple[Trait, bool], list[int]] = {}
        for index, slot in enumerate(self.slots):
            free.setdefault((slot.trait, slot.is_optional), []).append(index)
        return tuple(free[actor.trait, actor.is_optional].pop(0) for actor in actors)

    def stage(self, env: Env, seats: Sequence[int]) -> Env:
        """Returns an environment of all actors as they are now, to compose the model from.

        Handles are slots.

        Args:
            env: The environment.
            seats: The slot of each of its actors.
        """
        own = dict(zip(seats, env.actors, strict=True))
        actors = [own.get(index, slot.actor) for index, slot in enumerate(self.slots)]
        bodies = accumulate((len(actor.asset.bodies) for actor in actors), initial=0)
        dofs = accumulate((len(actor.asset.dofs) for actor in actors), initial=0)
        stage = replace(env, actors=[], attractors=[])
        for handle, parts in enumerate(zip(actors, self.slots, bodies, dofs, strict=False)):
            actor, slot, first_body, first_dof = parts
            stage.actors.append(
                replace(
                    actor,
                    env=stage,
                    handle=handle,
                    group=slot.label,
                    first_body=first_body,
                    first_dof=first_dof,
                )
            )
        for attractor in env.attractors:
            tied = copy(attractor)
            owner, body = owner_of(env, attractor.rigid_handle)
            tied.rigid_handle = stage.actors[seats[owner]].first_body + body
            stage.attractors.append(tied)
        return stage


def way_out(sim: Sim) -> Vec3 | None:
    """Returns the direction that leads away from all ground planes; None if there is none."""
    gravity = Vec3(*sim.params.gravity)
    up = gravity.normalize() * -1.0 if gravity.length() > 0 else Vec3(z=1.0)
    normals = [plane.normal.normalize() for plane in sim.grounds]
    return up if all(up.dot(normal) >= _STEEPEST for normal in normals) else None


def owner_of(env: Env, body: int) -> tuple[int, int]:
    """Returns the actor that a body of an environment is of, and the body's index there."""
    owner = max(i for i, actor in enumerate(env.actors) if actor.first_body <= body)
    return owner, body - env.actors[owner].first_body


class Cast(NamedTuple):
    """An environment's place in a model: the roster, and the slot of each of its actors."""

    roster: Roster
    seats: tuple[int, ...]


class Member(NamedTuple):
    """Environments with the same actors."""

    actors: tuple[Described, ...]
    ties: Hashable
    """What else must be the same in all environments of a model."""
    num_envs: int


def stage_of(env: Env, cast: Cast | None) -> Env:
    """Returns an environment of all actors of a model, as they are now."""
    return stage_alone(env) if cast is None else cast.roster.stage(env, cast.seats)


def stage_alone(env: Env) -> Env:
    """Returns an environment of the same actors as they are now; later changes leave it alone."""
    stage = replace(env, actors=[])
    stage.actors.extend(replace(actor, env=stage) for actor in env.actors)
    return stage


def cast_members(members: Sequence[Member], able: Capabilities) -> list[Cast | None]:
    """Returns in which model each member takes part; None in one of its own actors.

    Members share a model if stepping it costs less than stepping two: a call has a price, and
    parked bodies are simulated like the others.

    Args:
        members: All environments, by their actors.
        able: What decides the prices.
    """
    casts: list[Cast | None] = [None] * len(members)
    cores: dict[Hashable, list[int]] = {}
    for index, member in enumerate(members):
        core = tuple(actor.trait for actor in member.actors if not actor.is_optional)
        cores.setdefault((core, member.ties), []).append(index)
    for indices in cores.values():
        for union in _unite([_Union.of(members[i], i) for i in indices], able):
            own = [members[i] for i in union.members]
            if len(union.members) > 1 and not _are_alike(own):
                roster = _roster(own)
                for index, member in zip(union.members, own, strict=True):
                    casts[index] = Cast(roster, roster.seats(member.actors))
    return casts


@dataclass(frozen=True)
class _Union:
    """Members that share a model."""

    members: tuple[int, ...]
    optional: Mapping[Trait, int]
    """Number of slots of each trait that are optional."""
    bodies: Mapping[Trait, int]
    """Number of bodies of an actor of each of these traits."""
    core_bodies: int
    num_envs: int

    @classmethod
    def of(cls, member: Member, index: int) -> _Union:
        optional = [actor for actor in member.actors if actor.is_optional]
        core = [actor for actor in member.actors if not actor.is_optional]
        return cls(
            (index,),
            Counter(actor.trait for actor in optional),
            {actor.trait: len(actor.actor.asset.bodies) for actor in optional},
            sum(len(actor.actor.asset.bodies) for actor in core),
            member.num_envs,
        )

    def joined(self, other: _Union) -> _Union:
        """Returns the union of both."""
        return _Union(
            self.members + other.members,
            Counter(self.optional) | Counter(other.optional),
            {**self.bodies, **other.bodies},
            self.core_bodies,
            self.num_envs + other.num_envs,
        )

    def cost(self, able: Capabilities) -> float:
        """Returns the time of a step, in those of a body in worlds that are stepped together."""
        bodies = sum(count * self.bodies[trait] for trait, count in self.optional.items())
        calls = ceil(self.num_envs / able.worlds_together)
        return able.bodies_per_call + calls * (1 + self.core_bodies + bodies)


def _unite(unions: list[_Union], able: Capabilities) -> list[_Union]:
    """Returns unions whose steps cost less; the largest take in others first."""
    alike: dict[Hashable, _Union] = {}
    for union in unions:
        key = frozenset(union.optional.items())
        alike[key] = alike[key].joined(union) if key in alike else union
    found: list[_Union] = []
    for union in sorted(alike.values(), key=lambda u: -sum(u.optional.values())):
        gains = [_gain(other, union, able) for other in found[-_MOST_CANDIDATES:]]
        best = max(range(len(gains)), key=gains.__getitem__, default=0)
        if gains and gains[best] > 0:
            best -= len(gains)
            found[best] = found[best].joined(union)
        else:
            found.append(union)
    return found


def _gain(one: _Union, other: _Union, able: Capabilities) -> float:
    return one.cost(able) + other.cost(able) - one.joined(other).cost(able)


def _are_alike(members: Sequence[Member]) -> bool:
    """Returns whether members have the same slots in the same order."""
    orders = {tuple((a.trait, a.is_optional) for a in member.actors) for member in members}
    return len(orders) == 1


def _roster(members: Sequence[Member]) -> Roster:
    """Returns the slots of members that share a model."""
    slots = [actor for actor in members[0].actors if not actor.is_optional]
    counts: Counter[Trait] = Counter()
    for member in members:
        own: Counter[Trait] = Counter()
        for actor in (a for a in member.actors if a.is_optional):
            own[actor.trait] += 1
            if own[actor.trait] > counts[actor.trait]:
                slots.append(actor)
                counts[actor.trait] += 1
    return Roster(tuple(slots))
