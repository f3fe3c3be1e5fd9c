"""The fused engine's tables of tendons: their paths, the bodies that they pull, their Jacobians."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.adhesion_tables import Adhesion, adhesion_tables
from rlgpu.sim.mujoco.fused.packing import matrix_of, offsets
from rlgpu.sim.mujoco.fused.pattern import Pattern, chain_of
from rlgpu.sim.mujoco.fused.site_tables import (
    pushed_bodies,
    relative_dofs,
    site_actuators,
    site_tables,
)
from rlgpu.sim.mujoco.specials import is_disabled

_WRAP, _EQ = mujoco.mjtWrap, mujoco.mjtEq
_AROUND = (int(_WRAP.mjWRAP_SPHERE), int(_WRAP.mjWRAP_CYLINDER))


class Segment(NamedTuple):
    """A part of a spatial tendon between two sites, or around a geom between them."""

    sites: tuple[int, int]
    geom: int
    """The geom that it may go around, or -1."""
    side: int
    """The site on whose side of the geom it stays, or -1."""
    scale: float
    """One over the divisor of the pulley before it."""


class TendonTables(NamedTuple):
    """Tables of the tendons that change a model's motion, and of actuators that count as such."""

    number: dict[int, int]
    """The place of each such tendon of the model in the tables."""
    of_actuator: dict[int, int]
    """The place of each actuator that is a further tendon."""
    columns: list[list[int]]
    """The dofs that change each one's length, leaves first."""
    ints: dict[str, Any]
    constants: dict[str, Any]

    @classmethod
    def of(cls, model: mujoco.MjModel, mass: Pattern, adhesive: Sequence[Adhesion]) -> TendonTables:
        """Lists the tendons of a model.

        Args:
            model: The compiled model.
            mass: The entries of the mass matrix.
            adhesive: The actuators on bodies.
        """
        tendons, at_sites = acting_tendons(model), site_actuators(model)
        parts = [_parts_of(model, tendon) for tendon in tendons]
        parts += [
            _Parts([], {}, pushed_bodies(model, sites), relative_dofs(model, sites))
            for _, sites in at_sites
        ]
        parts += [_Parts([], {}, [], adhesion.dofs) for adhesion in adhesive]
        columns = [part.columns for part in parts]
        first_pull = offsets([len(part.pulled) for part in parts])
        pulls = [
            {body: first + i for i, body in enumerate(part.pulled)}
            for first, part in zip(first_pull[:-1], parts, strict=True)
        ]
        paths = [part.path for part in parts]
        sites = {site for path in paths for s in path for site in (*s.sites, s.side) if site >= 0}
        sites = sites.union(*(actuator.sites for actuator in at_sites))
        points = {site: i for i, site in enumerate(sorted(sites))}
        pushes = pulls[len(tendons) :][: len(at_sites)]
        actuators = [*(a.actuator for a in at_sites), *(a.actuator for a in adhesive)]
        tables = [
            _paths(model, paths, pulls, points),
            site_tables(model, at_sites, points, pushes),
            adhesion_tables(adhesive, len(tendons) + len(at_sites)),
            (_entries(columns, mass), _forces(model, tendons, len(actuators))),
        ]
        ints = {
            "tendon_sites": [-1] * len(tendons) + [*range(len(at_sites))] + [-1] * len(adhesive),
            "tendon_pulls": first_pull,
            "pull_body": [body for part in parts for body in part.pulled],
            "tendon_columns": offsets([len(dofs) for dofs in columns]),
            "tendon_dof": [dof for dofs in columns for dof in dofs],
            **_touches(model, columns, pulls),
        }
        coefs = [part.weights.get(dof, 0.0) for part in parts for dof in part.columns]
        return cls(
            number={tendon: i for i, tendon in enumerate(tendons)},
            of_actuator={actuator: len(tendons) + i for i, actuator in enumerate(actuators)},
            columns=columns,
            ints=ints | {name: table for those, _ in tables for name, table in those.items()},
            constants={name: table for _, those in tables for name, table in those.items()}
            | {"tendon_coef": coefs},
        )


class _Parts(NamedTuple):
    """One tendon, or an actuator that counts as one."""

    path: list[Segment]
    weights: dict[int, float]
    """By how much the position of each dof counts in its length."""
    pulled: list[int]
    """The bodies that it pulls."""
    columns: list[int]
    """The dofs that change its length, leaves first."""


def _parts_of(model: mujoco.MjModel, tendon: int) -> _Parts:
    path, weights = segments_of(model, tendon), _joint_weights(model, tendon)
    pulled = _pulled_bodies(model, path)
    return _Parts(path, weights, pulled, _columns(model, weights, pulled))


def _paths(
    model: mujoco.MjModel,
    paths: list[list[Segment]],
    pulls: list[dict[int, int]],
    points: dict[int, int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of the segments, of their points and of the geoms that they go around.

    Args:
        model: The compiled model.
        paths: The segments of each tendon.
        pulls: The place of each body that a tendon pulls among those of all tendons.
        points: The place of each site that a tendon or an actuator needs.
    """
    segments = [segment for path in paths for segment in path]
    owner = [i for i, path in enumerate(paths) for _ in path]
    wraps = sorted({segment.geom for segment in segments if segment.geom >= 0})
    sites = list(points)
    ints = {
        "segment_points": [points[site] for s in segments for site in s.sites],
        "segment_side": [points.get(s.side, -1) for s in segments],
        "segment_wrap": [wraps.index(s.geom) if s.geom >= 0 else -1 for s in segments],
        "segment_pulls": [
            pulls[i].get(body, -1)
            for i, segment in zip(owner, segments, strict=True)
            for body in _ends(model, segment)
        ],
        "point_body": model.site_bodyid[sites],
        "wrap_body": model.geom_bodyid[wraps],
        "wrap_is_cylinder": model.geom_type[wraps] == int(mujoco.mjtGeom.mjGEOM_CYLINDER),
        "tendon_segments": offsets([len(path) for path in paths]),
    }
    constants = {
        "point_pos": model.site_pos[sites],
        "wrap_pos": model.geom_pos[wraps],
        "wrap_mat": [matrix_of(model.geom_quat[geom]) for geom in wraps],
        "wrap_radius": model.geom_size[wraps, 0],
        "segment_scale": [segment.scale for segment in segments],
    }
    return ints, constants


def _touches(
    model: mujoco.MjModel, columns: list[list[int]], pulls: list[dict[int, int]]
) -> dict[str, Any]:
    """Returns the pulled bodies that each column's dof moves."""
    moving = {body: set(chain_of(model, body)) for bodies in pulls for body in bodies}
    found = [
        [pull for body, pull in bodies.items() if dof in moving[body]]
        for dofs, bodies in zip(columns, pulls, strict=True)
        for dof in dofs
    ]
    return {
        "tendon_touches": offsets([len(those) for those in found]),
        "touch_pull": [pull for those in found for pull in those],
    }


def acting_tendons(model: mujoco.MjModel) -> list[int]:
    """Returns the tendons that exert forces, or on which constraints or actuators act."""
    is_tendon = model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_TENDON)
    pulled = set(model.actuator_trnid[is_tendon, 0].tolist())
    tied = model.eq_type == int(_EQ.mjEQ_TENDON)
    coupled = {*model.eq_obj1id[tied].tolist(), *model.eq_obj2id[tied].tolist()}
    forces = (
        (model.tendon_stiffness != 0)
        | (model.tendon_damping != 0)
        | (model.tendon_stiffnesspoly != 0).any(axis=1)
        | (model.tendon_dampingpoly != 0).any(axis=1)
        | (model.tendon_armature != 0)
        | (model.tendon_frictionloss != 0)
        | (model.tendon_limited != 0)
    )
    return [i for i in range(model.ntendon) if forces[i] or i in pulled or i in coupled]


def segments_of(model: mujoco.MjModel, tendon: int) -> list[Segment]:
    """Returns the parts of a spatial tendon in their order; none of a fixed one."""
    first = int(model.tendon_adr[tendon])
    objects = range(first, first + int(model.tendon_num[tendon]))
    kinds = [int(model.wrap_type[i]) for i in objects]
    if kinds[0] == int(_WRAP.mjWRAP_JOINT):
        return []
    found, i, scale = [], 0, 1.0
    while i < len(objects) - 1:
        here, after = objects[i], objects[i + 1]
        if kinds[i] == int(_WRAP.mjWRAP_PULLEY):
            scale, i = 1.0 / float(model.wrap_prm[here]), i + 1
        elif kinds[i + 1] == int(_WRAP.mjWRAP_PULLEY):
            i += 1
        elif kinds[i + 1] in _AROUND:
            sites = (int(model.wrap_objid[here]), int(model.wrap_objid[objects[i + 2]]))
            side = round(float(model.wrap_prm[after]))
            found.append(Segment(sites, int(model.wrap_objid[after]), side, scale))
            i += 2
        else:
            sites = (int(model.wrap_objid[here]), int(model.wrap_objid[after]))
            found.append(Segment(sites, -1, -1, scale))
            i += 1
    return found


def _joint_weights(model: mujoco.MjModel, tendon: int) -> dict[int, float]:
    """Returns by how much each dof's position counts in a fixed tendon's length."""
    weights: dict[int, float] = {}
    first = int(model.tendon_adr[tendon])
    for i in range(first, first + int(model.tendon_num[tendon])):
        if model.wrap_type[i] == int(_WRAP.mjWRAP_JOINT):
            dof = int(model.jnt_dofadr[model.wrap_objid[i]])
            weights[dof] = weights.get(dof, 0.0) + float(model.wrap_prm[i])
    return weights


def _ends(model: mujoco.MjModel, segment: Segment) -> tuple[int, int, int]:
    """Returns the bodies of a segment's sites and of its geom, -1 without one."""
    first, second = (int(model.site_bodyid[site]) for site in segment.sites)
    return first, second, int(model.geom_bodyid[segment.geom]) if segment.geom >= 0 else -1


def _pulled_bodies(model: mujoco.MjModel, path: list[Segment]) -> list[int]:
    bodies = sorted({body for segment in path for body in _ends(model, segment)} - {-1})
    return [body for body in bodies if chain_of(model, body)]


def _columns(model: mujoco.MjModel, weights: dict[int, float], bodies: list[int]) -> list[int]:
    chains = (chain_of(model, body) for body in bodies)
    return sorted({*weights, *itertools.chain.from_iterable(chains)}, reverse=True)


def _entries(columns: list[list[int]], mass: Pattern) -> dict[str, Any]:
    """Returns which products of two columns of a tendon the mass matrix has an entry for."""
    found: list[list[tuple[int, int, int]]] = []
    start = 0
    for dofs in columns:
        place = {dof: start + i for i, dof in enumerate(dofs)}
        found.append([])
        for dof in dofs:
            for entry in range(mass.adr[dof], mass.adr[dof] + mass.depth[dof]):
                if mass.col[entry] in place:
                    found[-1].append((entry, place[dof], place[mass.col[entry]]))
        start += len(dofs)
    entries = [entry for those in found for entry in those]
    return {
        "tendon_entries": offsets([len(those) for those in found]),
        "entry_m": [entry for entry, _, _ in entries],
        "entry_first": [first for _, first, _ in entries],
        "entry_second": [second for _, _, second in entries],
    }


def _forces(model: mujoco.MjModel, tendons: list[int], further: int) -> dict[str, Any]:
    """Returns the tables of springs and dampers; the further tendons have none."""
    has_springs, has_dampers = (not is_disabled(model, part) for part in ("SPRING", "DAMPER"))
    tables = {
        "tendon_stiffness": model.tendon_stiffness[tendons] * has_springs,
        "tendon_damping": model.tendon_damping[tendons] * has_dampers,
        "tendon_slack": model.tendon_lengthspring[tendons],
    }
    return {
        name: np.pad(table, [(0, further), (0, 0)][: table.ndim]) for name, table in tables.items()
    }
