"""Physical parameters that differ between environments, in MuJoCo's fields, for both engines.

A parameter is addressed by the engine-neutral names of ``rlgpu.sim.PARAMETERS`` and indexed as the
seam does: bodies without the world, joints in the asset's order.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rlgpu.sim.mjcf import Layout

FIELDS: Mapping[str, tuple[str, ...]] = {
    "body_mass": ("body_mass", "body_inertia"),
    "friction": ("geom_friction",),
    "joint_damping": ("dof_damping",),
    "joint_armature": ("dof_armature",),
    "drive_stiffness": ("actuator_gainprm", "actuator_biasprm"),
    "drive_damping": ("actuator_biasprm",),
    "gravity": ("opt.gravity",),
}
"""MuJoCo's fields behind each parameter."""
DERIVING = frozenset({"body_mass", "joint_armature"})
"""Parameters that constants of the model are derived from."""


def read(name: str, fields: Mapping[str, Tensor], where: Layout) -> Tensor:
    """Returns a parameter's values, as a float32 copy.

    Args:
        name: One of ``PARAMETERS``.
        fields: MuJoCo's fields, each with a leading dimension N.
        where: The scene's layout.
    """
    values = fields[FIELDS[name][-1]]
    if name == "body_mass":
        values = fields["body_mass"][:, 1:]
    elif name == "friction":
        values = values[..., 0]
    elif name in ("joint_damping", "joint_armature"):
        values = values[:, where.dofs]
    elif name.startswith("drive_"):
        # A position actuator's force is kp * target - kp * q - kd * qd.
        column = values[..., 1 if name == "drive_stiffness" else 2]
        values = column.new_zeros(len(column), len(where.joint_names))
        values[:, where.driven] = -column
    return values.float().clone()


def write(name: str, values: Tensor, fields: Mapping[str, Tensor], where: Layout) -> None:
    """Writes a parameter into MuJoCo's fields; the counterpart of ``read``.

    Raises:
        ValueError: ``values`` has another shape than the parameter.
    """
    current = read(name, fields, where)
    if values.shape != current.shape:
        raise ValueError(
            f"parameter {name} has shape {tuple(current.shape)}, got {tuple(values.shape)}"
        )
    first = fields[FIELDS[name][0]]
    if name == "body_mass":
        # The body keeps its shape: its inertia scales with its mass.
        ratio = (values / current).to(first.dtype)
        fields["body_inertia"][:, 1:] *= ratio[..., None]
        first[:, 1:] = values
    elif name == "friction":
        first[..., 0] = values
    elif name in ("joint_damping", "joint_armature"):
        first[:, where.dofs] = values
    elif name.startswith("drive_"):
        driven = values[:, where.driven].to(first.dtype)
        if name == "drive_stiffness":
            first[..., 0] = driven
        fields["actuator_biasprm"][..., 1 if name == "drive_stiffness" else 2] = -driven
    else:
        first.copy_(values)
