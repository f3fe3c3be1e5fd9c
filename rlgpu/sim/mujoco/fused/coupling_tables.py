"""The fused engine's tables of constraints over several joints (csrc/.../couplings.h)."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.impedances import impedance, safe_timestep
from rlgpu.sim.mujoco.fused.least_inertias import least_of_points, least_of_turns
from rlgpu.sim.mujoco.fused.packing import offsets
from rlgpu.sim.mujoco.fused.parameter_tables import Inertia
from rlgpu.sim.mujoco.fused.pattern import chain_of
from rlgpu.sim.mujoco.fused.tendon_tables import TendonTables
from rlgpu.sim.mujoco.specials import is_disabled

_EQ = mujoco.mjtEq
_UNBOUNDED = (-np.inf, np.inf)


class _Row(NamedTuple):
    dofs: list[int]
    """Dofs that it couples, leaves first."""
    sides: list[int]
    """The body that each one moves: 1 the first, 2 the second, 3 both; 0 for tendons and joints."""
    bounds: tuple[float, float]
    """Least and most slope of its cost."""
    inertia: Inertia


class CouplingTables:
    """Rows of the tendons' and the equalities' constraints, in the kernels' order."""

    def __init__(self, model: mujoco.MjModel, tendons: TendonTables) -> None:
        """Lists the rows.

        Args:
            model: A compiled model.
            tendons: Its tendons.
        """
        self._model, self._tendons, self._rows = model, tendons, list[_Row]()
        self.ints: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self._losses()
        self._limits()
        self._couplings()
        self._anchors()
        counts = [len(row.dofs) for row in self._rows]
        self.ints |= {
            "row_columns": offsets(counts),
            "row_dof": [dof for row in self._rows for dof in row.dofs],
            "row_sides": [side for row in self._rows for side in row.sides],
        }
        self.constants |= {
            "row_low": [row.bounds[0] for row in self._rows],
            "row_high": [row.bounds[1] for row in self._rows],
        }

    @property
    def coupled(self) -> list[list[int]]:
        """The dofs that each row couples, leaves first."""
        return [row.dofs for row in self._rows]

    @property
    def inertias(self) -> list[Inertia]:
        """Where each row's inverse inertia comes from."""
        return [row.inertia for row in self._rows]

    def _impedance(self, solref: np.ndarray, solimp: np.ndarray) -> list[float]:
        return impedance(solref, solimp, safe_timestep(self._model))

    def _add_tendon_row(self, tendon: int, bounds: tuple[float, float]) -> int:
        dofs = self._tendons.columns[self._tendons.number[tendon]]
        inertia = Inertia("tendon_invweight0", (tendon,))
        self._rows.append(_Row(dofs, [0] * len(dofs), bounds, inertia))
        return len(self._rows) - 1

    def _with(self, has: np.ndarray, *disabling: str) -> list[int]:
        """Returns the tendons with a property that moves something, but none if it is disabled."""
        if is_disabled(self._model, *disabling, "CONSTRAINT"):
            return []
        number, columns = self._tendons.number, self._tendons.columns
        return [i for i in np.flatnonzero(has).tolist() if columns[number[i]]]

    def _losses(self) -> None:
        model = self._model
        lossy = self._with(model.tendon_frictionloss > 0, "FRICTIONLOSS")
        losses = [float(model.tendon_frictionloss[i]) for i in lossy]
        rows = [
            self._add_tendon_row(i, (-loss, loss)) for i, loss in zip(lossy, losses, strict=True)
        ]
        self.ints |= {
            "tendon_loss": [self._tendons.number[i] for i in lossy],
            "tendon_loss_row": rows,
        }
        self.constants["tendon_loss_impedance"] = [
            self._impedance(model.tendon_solref_fri[i], model.tendon_solimp_fri[i]) for i in lossy
        ]

    def _limits(self) -> None:
        model = self._model
        limited = self._with(model.tendon_limited != 0, "LIMIT")
        self.ints |= {
            "tendon_limit": [self._tendons.number[i] for i in limited],
            "tendon_limit_row": [self._add_tendon_row(i, (-np.inf, 0.0)) for i in limited],
        }
        self.constants |= {
            "tendon_limit_range": model.tendon_range[limited],
            "tendon_limit_margin": model.tendon_margin[limited],
            "tendon_limit_impedance": [
                self._impedance(model.tendon_solref_lim[i], model.tendon_solimp_lim[i])
                for i in limited
            ],
        }

    def _couplings(self) -> None:
        model, number = self._model, self._tendons.number
        rows, sides, references, chosen = [], [], [], []
        for i in active_equalities(model, _EQ.mjEQ_JOINT, _EQ.mjEQ_TENDON):
            ids = [int(side[i]) for side in (model.eq_obj1id, model.eq_obj2id)]
            given = [side for side in ids if side >= 0]
            is_tendon = model.eq_type[i] == int(_EQ.mjEQ_TENDON)
            if is_tendon:
                inertia = Inertia("tendon_invweight0", tuple(given))
                dofs = {dof for side in given for dof in self._tendons.columns[number[side]]}
                places = [number[side] if side >= 0 else -1 for side in ids]
                reference = [model.tendon_length0[side] for side in ids]
            else:
                dofs = {int(model.jnt_dofadr[side]) for side in given}
                inertia = Inertia("dof_invweight0", tuple(int(model.jnt_dofadr[s]) for s in given))
                places = [int(model.jnt_dofadr[side]) if side >= 0 else -1 for side in ids]
                reference = [model.qpos0[model.jnt_qposadr[side]] for side in ids]
            if not dofs:
                continue
            chosen.append(i)
            rows.append(len(self._rows))
            sides.append(places)
            references.append(reference)
            self._rows.append(
                _Row(sorted(dofs, reverse=True), [0] * len(dofs), _UNBOUNDED, inertia)
            )
        self.ints |= {
            "coupling_row": rows,
            "coupling_sides": sides,
            "coupling_is_tendon": model.eq_type[chosen] == int(_EQ.mjEQ_TENDON),
        }
        self.constants |= {
            "coupling_reference": references,
            "coupling_polynomial": model.eq_data[chosen, :5],
            "coupling_impedance": self._equality_impedances(chosen),
        }

    def _anchors(self) -> None:
        model = self._model
        rows, chosen = [], []
        for i in active_equalities(model, _EQ.mjEQ_CONNECT, _EQ.mjEQ_WELD):
            bodies = anchored_bodies(model, i)
            first, second = (chain_of(model, body) for body in bodies)
            dofs = sorted({*first, *second}, reverse=True)
            if not dofs:
                continue
            sides = [(dof in first) + 2 * (dof in second) for dof in dofs]
            least = least_of_points(model, zip(bodies, _arms(model, i), strict=True))
            leasts = least, least_of_turns(model, bodies)
            chosen.append(i)
            rows.append(len(self._rows))
            for k in range(6 if model.eq_type[i] == int(_EQ.mjEQ_WELD) else 3):
                places = tuple(2 * body + (k >= 3) for body in bodies)
                inertia = Inertia("body_invweight0", places, leasts[k >= 3])
                self._rows.append(_Row(dofs, sides, _UNBOUNDED, inertia))
        frames = [_frames(model, i) for i in chosen]
        self.ints |= {
            "anchor_row": rows,
            "anchor_body": [anchored_bodies(model, i) for i in chosen],
            "anchor_is_weld": model.eq_type[chosen] == int(_EQ.mjEQ_WELD),
        }
        self.constants |= {
            "anchor_pos": [pos for pos, _ in frames],
            "anchor_quat": [quat for _, quat in frames],
            "anchor_torquescale": model.eq_data[chosen, 10],
            "anchor_impedance": self._equality_impedances(chosen),
        }

    def _equality_impedances(self, chosen: list[int]) -> list[list[float]]:
        model = self._model
        return [self._impedance(model.eq_solref[i], model.eq_solimp[i]) for i in chosen]


def active_equalities(model: mujoco.MjModel, *kinds: mujoco.mjtEq) -> list[int]:
    """Returns the equalities of some kinds that hold from the start, in the model's order."""
    if is_disabled(model, "EQUALITY", "CONSTRAINT"):
        return []
    of_kind = np.isin(model.eq_type, [int(kind) for kind in kinds])
    return [int(i) for i in np.flatnonzero(of_kind & (model.eq_active0 != 0))]


def anchored_bodies(model: mujoco.MjModel, equality: int) -> tuple[int, int]:
    """Returns the bodies that a connect or a weld holds together."""
    ids = int(model.eq_obj1id[equality]), int(model.eq_obj2id[equality])
    if model.eq_objtype[equality] == int(mujoco.mjtObj.mjOBJ_BODY):
        return ids
    return int(model.site_bodyid[ids[0]]), int(model.site_bodyid[ids[1]])


def _arms(model: mujoco.MjModel, equality: int) -> np.ndarray:
    """Returns how far from both bodies' centres of mass a connect or a weld acts, shape [2]."""
    pos, _ = _frames(model, equality)
    arms: np.ndarray = np.linalg.norm(
        pos - model.body_ipos[list(anchored_bodies(model, equality))], axis=1
    )
    return arms


def _frames(model: mujoco.MjModel, equality: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns places, shape [2, 3], and turns, shape [2, 4], in both bodies' axes."""
    data, none = model.eq_data[equality], np.array([1.0, 0, 0, 0])
    if model.eq_objtype[equality] != int(mujoco.mjtObj.mjOBJ_BODY):
        sites = [int(model.eq_obj1id[equality]), int(model.eq_obj2id[equality])]
        return model.site_pos[sites], model.site_quat[sites]
    if model.eq_type[equality] == int(_EQ.mjEQ_CONNECT):
        return data[:6].reshape(2, 3), np.array([none, none])
    return np.array([data[3:6], data[:3]]), np.array([data[6:10], none])
