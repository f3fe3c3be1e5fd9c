"""Physical parameters that differ between environments, in Isaac Gym's properties of actors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.sim.mujoco.layout import Layout
from rlgpu.sim.physx import mjcf
from rlgpu.sim.physx.collision import ground_of, owner_of, solid_geoms
from rlgpu.sim.physx.forces import BodyForces
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import checked_parameter

_PROPERTIES = {
    "joint_damping": "damping",
    "joint_armature": "armature",
    "drive_stiffness": "stiffness",
    "drive_damping": "damping",
}
"""Isaac Gym's properties of joints behind parameters."""
_MOST_MATERIALS = 64000


class Parameters:
    """The scene's varying parameters: holds their current values and writes new ones."""

    def __init__(
        self, model: mujoco.MjModel, scene: SceneSpec, where: Layout, answer: Mapping[str, Any],
        num_envs: int, host: Mapping[str, Tensor], forces: BodyForces | None,
        write: Callable[..., object],
    ) -> None:  # fmt: skip
        """Reads the asset's own values.

        Args:
            model: The scene's compiled model.
            scene: Which parameters vary.
            where: Its layout.
            answer: The worker's, with the names in Isaac Gym's order.
            num_envs: Number of environments.
            host: The slots on the host, of which ``parameter`` takes values over.
            forces: The forces on bodies, by which gravity varies.
            write: Has the worker take over the slot ``parameter`` as the property ``name``.
        """
        self._host, self._forces, self._write_property = host, forces, write
        device = where.joint_lower.device

        def own(values: Any) -> Tensor:
            tensor = torch.tensor(np.array(values), dtype=torch.float32, device=device)
            return tensor.repeat(num_envs, *[1] * tensor.dim())

        drives = [scene.drives.get(name) for name in where.joint_names]
        tracking = [drive if drive and drive.mode == "position" else None for drive in drives]
        dofs = where.dofs
        self.current = {
            "body_mass": own(model.body_mass[1:]),
            "body_com": own(model.body_ipos[1:]),
            "friction": own(model.geom_friction[:, 0]),
            "joint_damping": own(model.dof_damping[dofs]),
            "joint_armature": own(model.dof_armature[dofs]),
            "drive_stiffness": own([drive.stiffness if drive else 0.0 for drive in tracking]),
            "drive_damping": own([drive.damping if drive else 0.0 for drive in tracking]),
            "gravity": own(model.opt.gravity),
        }
        """Current values of all parameters, also of those that do not vary."""
        self.values: Mapping[str, Tensor] = {n: self.current[n] for n in scene.parameters}
        """Current values by name, as ``Simulator.parameters`` describes them."""
        self._tracks = own([drive is not None for drive in tracking]).bool()
        self._gravity = self.current["gravity"].clone()
        self._heavy = 1.0 - own(model.body_gravcomp[1:])
        names = answer["body_names"]
        self._bodies = [names.index(name) for name in where.body_names]
        self._joints = [answer["dof_names"].index(name) for name in where.joint_names]
        left: dict[str, list[int]] = {name: [] for name in names}
        for geom in solid_geoms(model):
            left[owner_of(model, geom)].append(geom)
        self._geoms = [left[owner].pop(0) for owner in answer["shape_names"]]
        self._ground = ground_of(model, varies="friction" in scene.parameters)
        materials = num_envs * len(self._geoms)
        if "friction" in scene.parameters and materials > _MOST_MATERIALS:
            raise ValueError(
                f"friction varies in {materials} shapes, num_envs times {len(self._geoms)}; PhysX "
                f"takes {_MOST_MATERIALS} materials"
            )

    def write(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a parameter.

        Raises:
            ValueError: ``values`` does not have the parameter's shape.
        """
        current = checked_parameter(name, values, self.values)
        if name.startswith("drive_"):
            values = torch.where(self._tracks, values, 0.0)
        current.copy_(values)
        if name in ("gravity", "body_mass"):
            self._write_weights()
        if name == "body_mass":
            self._hand_over("mass", self._bodies, values.clamp(min=mjcf.LEAST_MASS))
        elif name == "body_com":
            columns = [3 * body + axis for body in self._bodies for axis in range(3)]
            self._hand_over("com", columns, values.flatten(1), others=0.0)
        elif name == "friction":
            self._write_friction(values)
        elif name in _PROPERTIES:
            total = values
            if name.endswith("_damping"):
                total = self.current["joint_damping"] + self.current["drive_damping"]
            self._hand_over(_PROPERTIES[name], self._joints, total)

    def _hand_over(
        self, name: str, columns: list[int], values: Tensor, others: float = 1.0
    ) -> None:
        """Has the worker write a property; a base, whose mass does not matter, has ``others``."""
        slot = self._host["parameter"]
        slot.fill_(others)
        slot[:, columns] = values.cpu()
        self._write_property(name=name)

    def _write_friction(self, values: Tensor) -> None:
        """Writes shapes' friction; the ground's own is one number for all environments."""
        friction = values[:, self._geoms]
        if self._ground:
            larger = friction.maximum(values[:, self._ground.geom, None])
            friction = 2.0 * larger - self._ground.own_friction
        self._hand_over("friction", list(range(len(self._geoms))), friction)

    def _write_weights(self) -> None:
        """Adds what gravity differs by as forces on the bodies."""
        if self._forces is not None:
            excess = (self.current["gravity"] - self._gravity)[:, None]
            mass = self.current["body_mass"] * self._heavy
            self._forces.set_weights(mass[..., None] * excess)
