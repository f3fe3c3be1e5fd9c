"""The fused engine's tables of geoms and of the pairs that may touch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco

from rlgpu.sim.mujoco.contact_parameters import contact_parameters
from rlgpu.sim.mujoco.fused.hulls import HullTables
from rlgpu.sim.mujoco.fused.pair_kinds import SHAPES, PairKind, ShapeKind, kind_of
from rlgpu.sim.mujoco.pairs import Pair

_ALWAYS, _OVER_PLANE, _CENTRES = range(3)
"""How a pair is found to be far apart, ``NearKind`` in csrc."""
_SLACK = 1e-5
"""Share of a distance by which the tests of spheres err on the safe side."""


class GeometryTables(NamedTuple):
    """Tables by name, and the geoms that they number."""

    geoms: list[int]
    """Geoms of the model that may touch another one."""
    ints: dict[str, Any]
    constants: dict[str, Any]
    deviations: dict[str, float]
    """How far the whole hull of a mesh is from the one with fewer vertices [m], by name."""

    @classmethod
    def of(
        cls, model: mujoco.MjModel, pairs: Sequence[Pair], hull_vertices: int = 0
    ) -> GeometryTables:
        """Computes the tables of a model.

        Args:
            model: The model.
            pairs: Its pairs that may touch, all of which the engine can collide.
            hull_vertices: The most vertices of a mesh's hull; 0 keeps all.
        """
        geoms = sorted({geom for pair in pairs for geom in (pair.geom1, pair.geom2)})
        index = {geom: i for i, geom in enumerate(geoms)}
        kinds = [kind_of(pair) for pair in pairs]
        has_hull = {
            geom
            for pair, kind in zip(pairs, kinds, strict=True)
            for geom in (pair.geom1, pair.geom2)
            if kind in (PairKind.CONVEX, PairKind.PLANE_HULL, PairKind.TERRAIN_CONVEX)
        }
        hulls = HullTables(
            model, [geom if geom in has_hull else None for geom in geoms], hull_vertices
        )
        hull_ints, hull_constants = hulls.tables()
        nearness = [_nearness(model, pair) for pair in pairs]
        shapes = [SHAPES.get(mujoco.mjtGeom(model.geom_type[geom])) for geom in geoms]
        convex = [i for i, kind in enumerate(kinds) if kind is PairKind.CONVEX]

        def shapes_of(pair: int) -> tuple[ShapeKind | None, ...]:
            return tuple(shapes[index[geom]] for geom in (pairs[pair].geom1, pairs[pair].geom2))

        ints = {
            "pair_kind": kinds,
            "pair_geom1": [index[pair.geom1] for pair in pairs],
            "pair_geom2": [index[pair.geom2] for pair in pairs],
            "pair_near": [near for near, _ in nearness],
            "convex_pair": sorted(convex, key=shapes_of),
            "geom_shape": [int(ShapeKind.POINT if shape is None else shape) for shape in shapes],
            "geom_hull": hulls.geom_hull,
            **hull_ints,
        }
        constants = {
            "pair_reach": [reach for _, reach in nearness],
            "geom_box": model.geom_aabb[geoms],
            **hull_constants,
        }
        return cls(geoms, ints, constants, hulls.deviations)


def _nearness(model: mujoco.MjModel, pair: Pair) -> tuple[int, float]:
    """Returns how a pair is found to be far apart, and the distance that says so [m]."""
    first, second = model.geom_rbound[[pair.geom1, pair.geom2]]
    contact = contact_parameters(model, pair)
    detection = contact.margin + contact.gap
    if pair.kind[0] == mujoco.mjtGeom.mjGEOM_HFIELD:
        return _ALWAYS, float(second) * (1.0 + _SLACK) + detection + _SLACK
    if pair.kind[0] == mujoco.mjtGeom.mjGEOM_PLANE:
        return _OVER_PLANE, float(second) * (1.0 + _SLACK) + detection + _SLACK
    return _CENTRES, float(first + second) * (1.0 + _SLACK) + detection + _SLACK
