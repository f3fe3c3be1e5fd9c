"""Flattens a compiled model into the tables that the kernels read (csrc/kernels/physics/tables.h).

Everything that a step would recompute from constants is computed here once: which dofs a contact
moves, which rows of the solver's matrix it couples, the curves of constraint impedances.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
import torch

from rlgpu.ops import PhysicsModel, physics_tables
from rlgpu.sim.mujoco.contact_parameters import contact_parameters
from rlgpu.sim.mujoco.fused.actuator_tables import actuator_tables
from rlgpu.sim.mujoco.fused.adhesion_tables import adhesions
from rlgpu.sim.mujoco.fused.ball_tables import ball_spring_tables, joints_of, moving_dofs
from rlgpu.sim.mujoco.fused.coupling_tables import CouplingTables
from rlgpu.sim.mujoco.fused.fluid_tables import fluid_tables
from rlgpu.sim.mujoco.fused.geometry_tables import GeometryTables
from rlgpu.sim.mujoco.fused.impedances import friction_damping, impedance, safe_timestep
from rlgpu.sim.mujoco.fused.joint_parameters import JointParameters
from rlgpu.sim.mujoco.fused.packing import matrix_of, offsets
from rlgpu.sim.mujoco.fused.pair_kinds import slots_of
from rlgpu.sim.mujoco.fused.parameter_tables import (
    PARAMETER_FIELDS,
    ParameterTables,
    anisotropy_of,
    has_elliptic_cones,
    has_gain_slopes,
    model_field,
)
from rlgpu.sim.mujoco.fused.pattern import (
    chain_of,
    mass_tables,
    path_tables,
    relative_signs,
    solver_tables,
    tree_pattern,
)
from rlgpu.sim.mujoco.fused.tendon_tables import TendonTables
from rlgpu.sim.mujoco.fused.terrain import TerrainTables
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.mujoco.pairs import colliding_pairs, solved_order
from rlgpu.sim.mujoco.specials import is_disabled

_MIN_VALUE = 1e-15


class Tables:
    """Named arrays of one model, before they are packed."""

    def __init__(
        self, model: mujoco.MjModel, *, hull_vertices: int = 0, fields: Collection[str] = ()
    ) -> None:
        """Computes all tables of a model that ``accept`` accepts.

        Args:
            model: The model.
            hull_vertices: The most vertices of a mesh's hull; 0 keeps all.
            fields: Fields of the model that will differ between worlds.
        """
        self.model = model
        self._pairs = solved_order(model, colliding_pairs(model))
        self._parameters_of = [contact_parameters(model, pair) for pair in self._pairs]
        tendons = TendonTables.of(model, tree_pattern(model), adhesions(model, self._pairs))
        self._couplings = CouplingTables(model, tendons)
        joints = JointParameters.of(model, fields)
        self.parameters = ParameterTables(
            model, self._pairs, self._parameters_of, self._couplings.inertias, joints
        )
        """The tables of numbers that may differ between worlds."""
        self.ints: dict[str, Any] = tendons.ints | self._couplings.ints
        self.constants: dict[str, Any] = tendons.constants | self._couplings.constants
        self._tree()
        self._joints()
        self._limits_and_losses(joints)
        for ints, constants in (
            ball_spring_tables(model),
            actuator_tables(model, tendons),
            fluid_tables(model),
        ):
            self.ints |= ints
            self.constants |= constants
        self.hull_deviations = self._contacts(hull_vertices)
        """How far whole hulls are from those with fewer vertices [m], by mesh."""
        self._terrain = TerrainTables.of(model, self._pairs)
        self.constants |= self._terrain.constants
        standalone = [j for j in range(model.njnt) if _is_standalone(model, j)]
        self.ints["standalone_dof"] = [model.jnt_dofadr[j] for j in standalone]
        self.constants["timestep"] = [model.opt.timestep]
        scale = model.stat.meaninertia * max(1, model.nv)
        self.constants["noslip_gain"] = [model.opt.noslip_tolerance * scale]
        self.constants["inverse_impratio"] = [1.0 / max(model.opt.impratio, _MIN_VALUE)]

    def _tree(self) -> None:
        model = self.model
        moves = [bool(chain_of(model, body)) for body in range(model.nbody)]
        self.ints |= {
            "body_parent": model.body_parentid,
            "body_root": model.body_rootid,
            "body_mocap": model.body_mocapid,
            "body_joint": np.maximum(model.body_jntadr, 0),
            "body_num_joints": model.body_jntnum,
            "body_moves": moves,
            "body_turned": np.abs(model.body_quat - [1, 0, 0, 0]).max(axis=1) > 0,
        }
        levels = _levels(model)
        children: list[list[int]] = [[] for _ in range(model.nbody)]
        for body in range(1, model.nbody):
            if moves[body]:
                children[int(model.body_parentid[body])].append(body)
        self.ints |= {
            "level_adr": offsets(map(len, levels)),
            "level_body": [body for level in levels for body in level],
            "child_adr": offsets(map(len, children)),
            "child_body": [body for those in children for body in those],
        }
        self.constants |= {
            "qpos0": model.qpos0,
            "body_pos": model.body_pos,
            "body_quat": model.body_quat,
        }

    def _joints(self) -> None:
        model = self.model
        scalar, balls = (
            joints_of(model, *SCALAR_JOINTS),
            joints_of(model, mujoco.mjtJoint.mjJNT_BALL),
        )
        _, dofs, addresses = moving_dofs(model)
        ball_dofs = [int(model.jnt_dofadr[i]) for i in balls]
        ball_addresses = [int(model.jnt_qposadr[i]) for i in balls]
        clamped = [i for i in scalar if model.jnt_actfrclimited[i]]
        if is_disabled(model, "ACTUATION"):
            clamped = []
        clamped_dofs = [int(model.jnt_dofadr[i]) for i in clamped]
        self.ints |= {
            "joint_type": model.jnt_type,
            "joint_qpos": model.jnt_qposadr,
            "joint_dof": model.jnt_dofadr,
            "joint_offset": np.abs(model.jnt_pos).max(axis=1, initial=0) > 0,
            "dof_body": model.dof_bodyid,
            "dof_qpos": _scattered(model.nv, dofs + ball_dofs, addresses + ball_addresses, 0),
        }
        self.constants |= {
            "joint_pos": model.jnt_pos,
            "joint_axis": model.jnt_axis,
            "dof_spring_ref": _scattered(model.nv, dofs, model.qpos_spring[addresses], 0.0),
            "dof_force_low": _scattered(
                model.nv, clamped_dofs, model.jnt_actfrcrange[clamped, 0], -np.inf
            ),
            "dof_force_high": _scattered(
                model.nv, clamped_dofs, model.jnt_actfrcrange[clamped, 1], np.inf
            ),
        }

    def _limits_and_losses(self, joints: JointParameters) -> None:
        """Lists limits of joints, ball joints last, dofs with dry friction, and lifted bodies."""
        model = self.model
        limited, lossy = joints.limited.tolist(), joints.lossy.tolist()
        self._num_ball_limits = int(joints.turns.sum())
        self.ints |= {
            "limit_dof": [model.jnt_dofadr[i] for i in limited],
            "loss_dof": lossy,
            "lifted_body": joints.lifted.tolist(),
        }
        timestep = safe_timestep(model)
        self.constants |= {
            "limit_margin": model.jnt_margin[limited],
            "limit_impedance": [
                impedance(model.jnt_solref[i], model.jnt_solimp[i], timestep) for i in limited
            ],
            "loss_impedance": [
                impedance(model.dof_solref[i], model.dof_solimp[i], timestep) for i in lossy
            ],
        }

    def _contacts(self, hull_vertices: int) -> dict[str, float]:
        """Lists the geoms, pairs and slots, the dofs that each slot moves, and the matrices."""
        model, timestep = self.model, safe_timestep(self.model)
        geometry = GeometryTables.of(model, self._pairs, hull_vertices)
        geoms = geometry.geoms
        slots = [slots_of(model, pair) for pair in self._pairs]
        columns = [
            relative_signs(model, *map(int, model.geom_bodyid[[pair.geom1, pair.geom2]]))
            for pair in self._pairs
        ]
        mass = tree_pattern(model)
        slot_pair = [pair for pair, count in enumerate(slots) for _ in range(count)]
        counts = [len(columns[pair]) for pair in slot_pair]
        contacts = self._parameters_of
        dimensions = [contact.condim for contact in contacts]
        self.ints |= {
            **mass_tables(mass),
            **solver_tables(model, columns, self._couplings.coupled),
            **path_tables(mass, self._swept(columns)),
            **geometry.ints,
            "geom_body": model.geom_bodyid[geoms],
            "pair_slot": offsets(slots),
            "pair_frictionless": [dims == 1 for dims in dimensions],
            **_wide(model, [dimensions[pair] for pair in slot_pair], counts),
            "slot_pair": slot_pair,
            "slot_columns": offsets(counts)[:-1],
            "slot_num_columns": counts,
            "column_dof": [dof for pair in slot_pair for dof in columns[pair]],
        }
        self.constants |= {
            **geometry.constants,
            "geom_pos": model.geom_pos[geoms],
            "geom_mat": [matrix_of(model.geom_quat[g]) for g in geoms],
            "geom_size": model.geom_size[geoms],
            "pair_margin": [contact.margin for contact in contacts],
            "pair_detection": [contact.margin + contact.gap for contact in contacts],
            "pair_impedance": [
                impedance(contact.solref, contact.solimp, timestep) for contact in contacts
            ],
            "pair_friction_damping": [friction_damping(model, contact) for contact in contacts],
            "pair_anisotropy": [anisotropy_of(contact) for contact in contacts],
            "column_sign": [sign for pair in slot_pair for sign in columns[pair].values()],
        }
        return geometry.deviations

    def _swept(self, columns: Iterable[Iterable[int]]) -> list[Iterable[int]]:
        """Returns the dofs that noslip.h moves for each pair and each tendon with friction."""
        if self.model.opt.noslip_iterations == 0:
            return []
        return [*columns, *(self._couplings.coupled[row] for row in self.ints["tendon_loss_row"])]

    def _sizes(self, ints: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Returns how many of everything there are, but for the parameters."""
        model = self.model
        is_coupled = len(ints["ball_in_parent"]) > 0 or len(ints["wet_body"]) > 0
        return {
            "nq": model.nq,
            "nv": model.nv,
            "nu": model.nu,
            "na": model.na,
            "has_gain_slopes": int(has_gain_slopes(model)),
            "nbody": model.nbody,
            "nmocap": model.nmocap,
            "noslip_iterations": model.opt.noslip_iterations,
            "num_m": len(ints["m_col"]),
            "num_h": len(ints["h_col"]),
            "num_limits": len(ints["limit_dof"]),
            "num_ball_limits": self._num_ball_limits,
            "num_sprung_balls": len(ints["sprung_dof"]),
            "num_ball_actuators": len(ints["ball_in_parent"]),
            "num_implicit": len(ints["m_col"]) if is_coupled else 0,
            "num_wet": len(ints["wet_body"]),
            "num_losses": len(ints["loss_dof"]),
            "num_geoms": len(ints["geom_body"]),
            "num_pairs": len(ints["pair_kind"]),
            "num_bridges": int((ints["pair_bridge"] >= 0).sum()) // 2,
            "num_slots": len(ints["slot_pair"]),
            "num_columns": len(ints["column_dof"]),
            "num_watched": len(ints["watched_body"]),
            "num_standalone": len(ints["standalone_dof"]),
            "num_levels": len(ints["level_adr"]) - 1,
            "is_elliptic": int(has_elliptic_cones(model)),
            "num_wide": len(ints["wide_dims"]),
            "num_turning": int(ints["wide_columns"][-1]),
            "num_lifted": len(ints["lifted_body"]),
            "num_tendons": len(ints["tendon_segments"]) - 1,
            "num_tendon_columns": len(ints["tendon_dof"]),
            "num_pulls": len(ints["pull_body"]),
            "num_site_actuators": len(ints["sites_points"]) // 2,
            "num_adhesions": len(ints["adhesion_tendon"]),
            "num_rows": len(ints["row_columns"]) - 1,
            "num_row_columns": len(ints["row_dof"]),
            "num_tendon_losses": len(ints["tendon_loss"]),
            "num_tendon_limits": len(ints["tendon_limit"]),
            "num_couplings": len(ints["coupling_row"]),
            "num_anchors": len(ints["anchor_row"]),
            "num_convex": len(ints["convex_pair"]),
            **self._terrain.sizes,
        }

    def pack(
        self,
        watched: Sequence[int] = (),
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> PhysicsModel:
        """Returns the tables as the kernels read them, with one row of parameters for all worlds.

        Args:
            watched: Bodies whose contact wrenches are reported.
            dtype: float32, or float64 for the exact variant that tests use.
            device: Where the worlds are; the CPU if None.
        """
        names, model = physics_tables(), self.model
        tables = self.ints | {"watched_body": watched}
        ints = {name: np.asarray(tables[name], np.int32).ravel() for name in names["ints"]}
        constants = {
            name: np.asarray(self.constants[name], np.float64).ravel()
            for name in names["constants"]
        }
        fields = {name: model_field(model, name) for name in PARAMETER_FIELDS}
        parameters = self.parameters.tables(fields)
        widths = [table.shape[1] for table in parameters]
        sizes = self._sizes(ints) | {"num_parameters": sum(widths)}
        header = [
            *(sizes[name] for name in names["sizes"]),
            *offsets(map(len, ints.values()))[:-1],
            *offsets(map(len, constants.values()))[:-1],
            *offsets(widths)[:-1],
        ]
        return PhysicsModel(
            header=torch.tensor(header, dtype=torch.int32, device="cpu"),
            ints=torch.from_numpy(np.concatenate(list(ints.values()))).to(device),
            constants=torch.from_numpy(np.concatenate(list(constants.values()))).to(device, dtype),
            parameters=torch.cat(parameters, dim=1).to(device, dtype),
        )


def _wide(model: mujoco.MjModel, dimensions: list[int], counts: list[int]) -> dict[str, list[int]]:
    """Returns the tables of contacts with elliptic cones or more than three dimensions.

    Args:
        model: The model.
        dimensions: Of each slot.
        counts: Jacobian columns of each slot.
    """
    is_elliptic = has_elliptic_cones(model)
    least = 1 if is_elliptic else 3  # without friction there is no cone
    wide = [slot for slot, dims in enumerate(dimensions) if dims > least]
    turns = [counts[slot] if dimensions[slot] > 3 else 0 for slot in wide]
    *starts, end = offsets(turns)
    numbers = {slot: number for number, slot in enumerate(wide)}
    return {
        "slot_wide": [numbers.get(slot, -1) for slot in range(len(dimensions))],
        "wide_dims": [dimensions[slot] for slot in wide],
        "wide_columns": [
            *(start if n else -1 for start, n in zip(starts, turns, strict=True)),
            end,
        ],
    }


def _is_standalone(model: mujoco.MjModel, joint: int) -> bool:
    """Returns whether a joint is a free joint and the only one of its tree."""
    body = model.jnt_bodyid[joint]
    return bool(
        model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
        and model.tree_dofnum[model.body_treeid[body]] == 6
    )


def _levels(model: mujoco.MjModel) -> list[list[int]]:
    """Returns the bodies by their distance from the world, which is left out."""
    depth = [0] * model.nbody
    for body in range(1, model.nbody):
        depth[body] = depth[int(model.body_parentid[body])] + 1
    return [
        [body for body in range(1, model.nbody) if depth[body] == level + 1]
        for level in range(max(depth))
    ]


def _scattered(size: int, ids: list[int], values: Any, rest: float) -> np.ndarray:
    table = np.full(size, rest, dtype=np.float64)
    table[ids] = values
    return table
