"""Physical parameters that differ between environments, in MuJoCo's model fields.

A parameter is addressed by the engine-neutral names of ``rlgpu.sim.PARAMETERS`` and indexed as in
``Simulator``: bodies without the world, joints in the asset's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.sim.mujoco.layout import Layout
from rlgpu.sim.mujoco.worlds import Worlds
from rlgpu.sim.simulator import checked_parameter

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "body_mass": ("body_mass", "body_inertia"),
    "body_com": ("body_ipos",),
    "friction": ("geom_friction",),
    "joint_damping": ("dof_damping",),
    "joint_armature": ("dof_armature",),
    "drive_stiffness": ("actuator_gainprm", "actuator_biasprm"),
    "drive_damping": ("actuator_biasprm",),
    "gravity": ("opt.gravity",),
}
"""MuJoCo's fields behind each parameter."""
# A position actuator's force is kp * target - kp * q - kd * qd: biasprm is (0, -kp, -kd).
_BIAS_COLUMN = {"drive_stiffness": 1, "drive_damping": 2}


def fields_of(names: Iterable[str]) -> list[str]:
    """Returns the model fields that need a value per world for the given parameters to vary."""
    return sorted({field for name in names for field in _FIELDS[name]})


class Parameters:
    """The scene's varying parameters: holds their current values and writes new ones."""

    def __init__(self, worlds: Worlds, names: Iterable[str], where: Layout) -> None:
        """Reads the asset's own values.

        Args:
            worlds: Built with ``fields_of(names)``.
            names: Names from ``rlgpu.sim.PARAMETERS``.
            where: The scene's layout.
        """
        self._worlds, self._where = worlds, where
        self._position_joints = where.driven[where.position_drives]
        self._fields = {field: worlds.field(field) for field in fields_of(names)}
        # Inertias are scaled from these, so that they do not depend on earlier writes.
        self._originals = {
            field: self._fields[field].clone()
            for field in ("body_mass", "body_inertia")
            if field in self._fields
        }
        self.values: Mapping[str, Tensor] = {name: self._read(name) for name in names}
        """Current values by name, as ``Simulator.parameters`` describes them."""

    def write(self, name: str, values: Tensor) -> None:
        """Gives every world its own value of a parameter.

        Raises:
            WrongShape: ``values`` does not have the parameter's shape.
        """
        self._write(name, checked_parameter(name, values, self.values).copy_(values), ALL_ROWS)
        self.values[name].copy_(self._read(name))  # as precisely as the engine has them
        self._worlds.fields_written(_FIELDS[name])

    def write_rows(self, values: Mapping[str, Tensor], rows: Rows) -> None:
        """Gives some worlds new values.

        Args:
            values: Values by name, R rows of each.
            rows: The worlds, all of them or shape [R], int64.
        """
        for name, new in values.items():
            self.values[name][rows] = new
            self._write(name, new, rows)
        self._worlds.fields_written(fields_of(values), rows)

    def _write(self, name: str, values: Tensor, rows: Rows) -> None:
        """Writes values into rows of the model's fields."""
        fields, where = self._fields, self._where
        if name == "body_mass":
            self._write_mass(values, rows)
        elif name == "body_com":
            fields["body_ipos"][rows, 1:] = values.to(fields["body_ipos"].dtype)
        elif name == "friction":
            fields["geom_friction"][rows, :, 0] = values.to(fields["geom_friction"].dtype)
        elif name in ("joint_damping", "joint_armature"):
            field = fields[_FIELDS[name][0]]
            own = field[rows]
            own[:, where.dofs] = values.to(field.dtype)
            field[rows] = own
        elif name == "gravity":
            fields["opt.gravity"][rows] = values.to(fields["opt.gravity"].dtype)
        else:
            self._write_gain(name, values, rows)

    def _write_mass(self, values: Tensor, rows: Rows) -> None:
        """Sets masses; a body keeps its shape, so its inertia is scaled from the asset's."""
        original = self._originals["body_mass"][rows, 1:]
        mass = values.to(original.dtype)
        # A body without mass in the asset has no inertia to scale either: it becomes a point mass.
        ratio = (mass / original).where(original > 0.0, 1.0)
        inertia = self._originals["body_inertia"][rows, 1:] * ratio[..., None]
        self._fields["body_inertia"][rows, 1:] = inertia
        self._fields["body_mass"][rows, 1:] = mass

    def _write_gain(self, name: str, values: Tensor, rows: Rows) -> None:
        """Sets a gain of the position drives; effort drives have none and are unchanged."""
        ids = self._where.position_drives
        gains = values[:, self._position_joints]
        columns = {"actuator_biasprm": (_BIAS_COLUMN[name], -1.0)}
        if name == "drive_stiffness":
            columns["actuator_gainprm"] = (0, 1.0)
        for field_name, (column, sign) in columns.items():
            field = self._fields[field_name]
            own = field[rows]
            own[:, ids, column] = sign * gains.to(field.dtype)
            field[rows] = own

    def _read(self, name: str) -> Tensor:
        """Returns a parameter's values, as a float32 copy."""
        fields, where = self._fields, self._where
        if name == "body_mass":
            values = fields["body_mass"][:, 1:]
        elif name == "body_com":
            values = fields["body_ipos"][:, 1:]
        elif name == "friction":
            values = fields["geom_friction"][..., 0]
        elif name in ("joint_damping", "joint_armature"):
            values = fields[_FIELDS[name][0]][:, where.dofs]
        elif name == "gravity":
            values = fields["opt.gravity"]
        else:
            bias = fields["actuator_biasprm"][..., _BIAS_COLUMN[name]]
            values = bias.new_zeros(len(bias), len(where.joint_names))
            values[:, self._position_joints] = -bias[:, where.position_drives]
        return values.float().clone()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the model fields behind the parameters, in the engine's own precision."""
        return {f"field.{name}": field.clone() for name, field in self._fields.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned, bit for bit."""
        if not self._fields:
            return
        for name, field in self._fields.items():
            field.copy_(state[f"field.{name}"])
        self._worlds.fields_written(self._fields.keys())
        for name, values in self.values.items():
            values.copy_(self._read(name))
