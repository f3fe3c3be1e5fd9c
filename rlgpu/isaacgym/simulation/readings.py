"""What the API's tensors show besides roots and degrees of freedom.

Quantities of forces are those of the last physics step, of which MuJoCo's arrays still hold the
poses right after a step. Poses and velocities of bodies are of the state now.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlgpu.isaacgym.records.enums import ContactCollection
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.layout import ActorLayout
from rlgpu.rotations import quat_multiply, quat_rotate, quat_rotate_inverse, xyzw_of
from rlgpu.sim.mujoco.contact_sensors import CONTACT_NUMBERS
from rlgpu.sim.mujoco.readout import XYZW
from rlgpu.sim.mujoco.worlds import Worlds

Update = Callable[[], None]
OF_POSES = ("rigid_body_state", "jacobian", "mass_matrix")
"""Quantities that follow from the state alone, and change when a setter changes it."""


class Readings:
    """Reads body states, forces, Jacobians and mass matrices of all environments."""

    def __init__(
        self, sim: Sim, worlds: Worlds, where: ActorLayout, fields: frozenset[str]
    ) -> None:
        """Reads what does not change: masses, centres of mass, mounts of fixed roots."""
        self._sim, self._worlds, self._where, self._fields = sim, worlds, where, fields
        self.drag = torch.zeros(())
        """Damping of drives by actuators, shape [N or 1, D]."""
        self.limit = torch.zeros(())
        """Largest forces of drives, shape [N or 1, D]."""
        self._velocity = torch.zeros(())
        self._measures_dofs = False
        self._fused: tuple[Tensor, Tensor, Tensor] | None = None
        model, device = worlds.model, worlds.device

        def constant(values: object) -> Tensor:
            return torch.tensor(values, device=device).float()

        self._root_com = constant(model.body_ipos)[where.free_bodies]  # [F, 3]
        turns = [a.asset.model.body_quat[1][XYZW] for a in where.actors]
        self.mount = constant(np.array(turns).reshape(-1, 4))[where.held]  # [M, 4]
        self._mass = constant(model.body_mass)[where.bodies]  # [B]
        self._com = constant(model.body_ipos)[where.bodies]  # [B, 3]
        self._gravcomp = constant(model.body_gravcomp)[where.bodies]  # [B]

    def root_com(self) -> Tensor:
        """Returns the free roots' centres of mass in their frames [m], shape [N or 1, F, 3]."""
        return self._per_world("body_ipos", self._root_com, self._where.free_bodies)

    def before_step(self) -> None:
        """Remembers what a reading of the next physics step compares with."""
        if self._measures_dofs:
            self._velocity = self._worlds.array("qvel")[:, self._where.dof_qvel].clone()

    def _per_world(self, name: str, shared: Tensor, bodies: Tensor | None = None) -> Tensor:
        """Returns a field of bodies, all if None, shape [N or 1, B, ...]."""
        if name in self._fields:
            ids = self._where.bodies if bodies is None else bodies
            return self._worlds.field(name)[:, ids].float()
        return shared[None]

    def rigid_body_state(self) -> tuple[Tensor, Update]:
        """Returns the state of all bodies, shape [N * B, 13], and its update."""
        array, where = self._worlds.array, self._where
        xpos, xquat, cvel = array("xpos"), array("xquat"), array("cvel")
        tree = array("subtree_com")
        states = torch.zeros(len(xpos), where.num_bodies, 13, device=xpos.device)

        def update() -> None:
            angular, linear = cvel[:, where.bodies, :3], cvel[:, where.bodies, 3:]
            pos, quat = xpos[:, where.bodies], xyzw_of(xquat[:, where.bodies])
            com = self._per_world("body_ipos", self._com).to(pos.dtype)
            arm = pos + quat_rotate(quat, com.expand_as(pos)) - tree[:, where.body_roots]
            states[..., 0:3].copy_(pos)
            states[..., 3:7].copy_(quat)
            states[..., 7:10].copy_(linear + torch.linalg.cross(angular, arm))
            states[..., 10:13].copy_(angular)

        return states.view(-1, 13), update

    def _contacts(self) -> Callable[[], Tensor]:
        """Returns a function that reads the contact sensors' outputs, shape [N, K, 9]."""
        outputs = self._worlds.array("sensordata")
        outputs = outputs.view(len(outputs), outputs.shape[1] // CONTACT_NUMBERS, CONTACT_NUMBERS)
        return lambda: outputs[:, self._where.felt_sensors]

    def net_contact_force(self) -> tuple[Tensor, Update]:
        """Returns the contact force on all bodies [N], shape [N * B, 3], and its update."""
        if self._sim.params.physx.contact_collection == ContactCollection.CC_NEVER:
            raise RuntimeError(
                "contact forces are not collected: sim_params.physx.contact_collection is "
                "CC_NEVER; use CC_LAST_SUBSTEP (1) or CC_ALL_SUBSTEPS (2)"
            )
        if not self._sim.capabilities.has_contact_sensors:
            return self._net_force_of_wrenches()
        contacts = self._contacts()
        forces = torch.zeros_like(contacts()[..., :3], dtype=torch.float32)

        def update() -> None:
            # A sensor reports the force that its body exerts.
            forces.copy_(-contacts()[..., :3])

        return forces.view(-1, 3), update

    def _net_force_of_wrenches(self) -> tuple[Tensor, Update]:
        wrenches, xquat, _ = self._felt_wrenches()
        forces = torch.zeros(*wrenches.shape[:2], 3, device=wrenches.device)

        def update() -> None:
            forces.copy_(quat_rotate(xyzw_of(xquat[:, self._where.bodies]), wrenches[..., :3]))

        return forces.view(-1, 3), update

    def dof_force(self) -> tuple[Tensor, Update]:
        """Returns the forces of drives and efforts [N m or N], shape [N * D], and its update."""
        applied, velocity = self._worlds.array("qfrc_actuator"), self._worlds.array("qvel")
        forces = torch.zeros(len(applied), self._where.num_dofs, device=applied.device)
        self._measures_dofs = True
        measured = [a.measures_dof_forces for a in self._where.actors]
        mask = torch.tensor(measured, device=applied.device)[self._where.dof_actor]

        def update() -> None:
            dofs = self._where.dof_qvel
            # Drives damp by the velocity at the end of the step, except at their limits.
            change = velocity[:, dofs] - self._velocity
            free = applied[:, dofs].abs() < 0.999 * self.limit
            forces.copy_((applied[:, dofs] - self.drag * change * free) * mask)

        self.before_step()

        return forces.view(-1), update

    def force_sensor(self) -> tuple[Tensor, Update]:
        """Returns forces [N] and torques [N m] of all sensors, shape [N * S, 6], and its update.

        They are what acts on a sensor's body from outside: contacts and gravity, as its properties
        say. A body at rest on the ground feels nothing, a foot what it carries.
        """
        where = self._where
        starts = where.places.first_bodies.tolist()
        sensors = [
            (start, s)
            for start, actor in zip(starts, where.actors, strict=True)
            for s in actor.asset.sensors
        ]
        bodies = [start + s.body for start, s in sensors]
        properties = [s.properties for _, s in sensors]
        falls = self._column([p.enable_forward_dynamics_forces for p in properties])
        touch = self._column([p.enable_constraint_solver_forces for p in properties])
        in_world = self._column([p.use_world_frame for p in properties]).bool()
        turn = torch.tensor([list(s.pose.r) for _, s in sensors], device=self._worlds.device)
        at = torch.tensor([list(s.pose.p) for _, s in sensors], device=self._worlds.device)
        ids = torch.from_numpy(where.places.bodies[bodies]).to(at.device)
        xpos, xquat = self._worlds.array("xpos"), self._worlds.array("xquat")
        chosen, contact = self._index(bodies), self._contact_wrench(bodies)
        readings = torch.zeros(len(xpos), len(sensors), 6, device=at.device)

        def update() -> None:
            quat = xyzw_of(xquat[:, ids].float())
            origin = xpos[:, ids].float() + quat_rotate(quat, at.expand(len(quat), -1, -1))
            weight = self._weight(chosen)
            com = self._per_world("body_ipos", self._com)[:, chosen]
            arm = xpos[:, ids].float() + quat_rotate(quat, com.expand_as(origin)) - origin
            fall = torch.cat((weight.expand_as(arm), torch.linalg.cross(arm, weight)), dim=-1)
            wrench = fall * falls + contact(origin) * touch
            frame = quat_multiply(quat, turn.expand_as(quat))
            for part in (slice(0, 3), slice(3, 6)):
                local = quat_rotate_inverse(frame, wrench[..., part])
                readings[..., part] = torch.where(in_world, wrench[..., part], local)

        return readings.view(-1, 6), update

    def _index(self, values: list[int]) -> Tensor:
        """Returns indices as a tensor: a list would be converted at every reading."""
        return torch.tensor(values, dtype=torch.int64, device=self._worlds.device)

    def _column(self, values: list[bool]) -> Tensor:
        return torch.tensor(values, device=self._worlds.device).float()[:, None]

    def _weight(self, bodies: Tensor) -> Tensor:
        """Returns gravity's force on bodies [N], shape [N or 1, S, 3]."""
        gravity = torch.tensor(list(self._sim.params.gravity), device=self._worlds.device)
        mass = self._per_world("body_mass", self._mass)[:, bodies, None]
        return (
            (1 - self._per_world("body_gravcomp", self._gravcomp)[:, bodies, None]) * mass * gravity
        )

    def _contact_wrench(self, bodies: list[int]) -> Callable[[Tensor], Tensor]:
        """Returns a function of points that computes contact wrenches about them, [N, S, 6]."""
        if not self._sim.capabilities.has_contact_sensors:
            return self._contact_wrench_of_wrenches(bodies)
        place = {body: i for i, body in enumerate(self._where.places.felt.tolist())}
        if not set(bodies) <= set(place):
            # None of the sensors wants contacts.
            return lambda origin: torch.zeros(6, device=origin.device)
        contacts, rows = self._contacts(), self._index([place[body] for body in bodies])

        def compute(origin: Tensor) -> Tensor:
            contact = contacts()[:, rows].float()
            # A contact sensor reports what its body exerts.
            force = -contact[..., :3]
            arm = contact[..., 6:9] - origin
            return torch.cat((force, torch.linalg.cross(arm, force) - contact[..., 3:6]), dim=-1)

        return compute

    def _contact_wrench_of_wrenches(self, bodies: list[int]) -> Callable[[Tensor], Tensor]:
        wrenches, xquat, xpos = self._felt_wrenches()
        chosen = self._index(bodies)

        def compute(origin: Tensor) -> Tensor:
            quat = xyzw_of(xquat[:, self._where.bodies][:, chosen])
            felt = wrenches[:, chosen]
            force, torque = quat_rotate(quat, felt[..., :3]), quat_rotate(quat, felt[..., 3:])
            arm = xpos[:, self._where.bodies][:, chosen] - origin
            return torch.cat((force, torque + torch.linalg.cross(arm, force)), dim=-1)

        return compute

    def _felt_wrenches(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns contact wrenches of all bodies in their axes, orientations and positions."""
        if self._fused is None:
            wrenches = self._worlds.wrenches(self._where.places.bodies.tolist())
            self._fused = wrenches, self._worlds.array("xquat"), self._worlds.array("xpos")
        return self._fused
