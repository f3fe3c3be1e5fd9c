"""The running simulation: steps the worlds and keeps the API's tensors current.

Tensors are allocated once. ``simulate`` rewrites all that a script has acquired; a setter changes
the state at once and rewrites what follows from it, except what the script may have written to
itself and not handed over yet: setting roots leaves the DOF tensor alone, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.isaacgym.records.scene import Actor, Sim
from rlgpu.isaacgym.simulation.build import build, dof_properties
from rlgpu.isaacgym.simulation.drives import actuators_of, drive_fields, drive_terms
from rlgpu.isaacgym.simulation.forces import Forces
from rlgpu.isaacgym.simulation.holds import Holds
from rlgpu.isaacgym.simulation.limits import SpeedLimits
from rlgpu.isaacgym.simulation.readings import OF_POSES, Readings
from rlgpu.isaacgym.simulation.roots import read_roots, write_roots
from rlgpu.isaacgym.simulation.variation import differing
from rlgpu.sim.mujoco.layout import index_of


class World:
    """All environments of a simulation, stepped together."""

    def __init__(self, sim: Sim) -> None:
        """Builds the worlds in the poses in which actors were created."""
        self.sim = sim
        first = sim.envs[0]
        self.num_envs, self.num_actors = len(sim.envs), len(first.actors)
        self.num_bodies, self.num_dofs = first.num_bodies, first.num_dofs
        zeros = self._zeros
        self.root_state = zeros(self.num_envs * self.num_actors, 13)
        self.dof_state = zeros(self.num_envs * self.num_dofs, 2)
        self.position_targets = zeros(self.num_envs, self.num_dofs)
        self.velocity_targets = zeros(self.num_envs, self.num_dofs)
        self.efforts = zeros(self.num_envs, self.num_dofs)
        self._acquired: dict[tuple[str, Actor | None], tuple[Tensor, Callable[[], None]]] = {}
        self.drives_changed = False
        """Whether DOF properties of some actor changed since the last step."""
        self.written: set[str] = set()
        """Model fields that were written to since the last step."""
        self._build(frozenset())
        poses = [[actor.pose.values() for actor in env.actors] for env in sim.envs]
        self.roots[..., :7] = torch.tensor(poses, device=sim.device)
        for env in sim.envs:
            for actor in env.actors:
                if actor.starts_elsewhere:
                    self._start(actor)
        self.set_roots(self.root_state, None)
        self.set_dofs(self.dof_state, None)

    def _start(self, actor: Actor) -> None:
        """Writes what a script set of an actor before now."""
        env, start, dofs = actor.env.index, actor.start, actor.dof_range
        for into, values in (
            (self.dofs[env, dofs], start.dofs),
            (self.position_targets[env, dofs], start.position_targets),
            (self.velocity_targets[env, dofs], start.velocity_targets),
            (self.roots[env, actor.handle, 7:], start.root_velocity),
        ):
            into.copy_(torch.from_numpy(values))

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, device=self.sim.device)

    def _build(self, also: frozenset[str]) -> None:
        sim = self.sim
        self.worlds, self.layout, self.fields = build(sim, also)
        array = self.worlds.array
        self.qpos, self.qvel, self.ctrl = array("qpos"), array("qvel"), array("ctrl")
        self.mocap_pos = self.mocap_quat = None
        if self.worlds.model.nmocap:
            self.mocap_pos, self.mocap_quat = array("mocap_pos"), array("mocap_quat")
        self.forces = Forces(sim, self.worlds, self.layout)
        self.readings = Readings(sim, self.worlds, self.layout, self.fields)
        self.set_gains()

    def set_gains(self) -> None:
        """Takes over DOF properties: gains of targets and speed limits."""
        properties = dof_properties(self.sim)
        model = self.worlds.model
        terms = drive_terms(properties, float(model.opt.timestep))

        def tensor(values: np.ndarray) -> Tensor:
            alike = len(values) == 0 or (values == values[:1]).all()
            return torch.tensor(values[:1] if alike else values, device=self.sim.device).float()

        self._target_gain, self._velocity_gain = map(tensor, terms[:2])
        motors, holds = actuators_of(model, self.layout.dof_joints)
        self._motors = index_of(motors.tolist(), self.sim.device)
        self.readings.limit = tensor(terms.limit)
        self.readings.drag = tensor(-terms.bias_v * (holds < 0))
        self.holds = Holds(self.worlds, self.layout.dof_joints, terms)
        self.limits = SpeedLimits(self.sim, self.worlds, self.layout, properties)

    @property
    def roots(self) -> Tensor:
        """The root tensor as [N, A, 13]."""
        return self.root_state.view(self.num_envs, self.num_actors, 13)

    @property
    def dofs(self) -> Tensor:
        """The DOF tensor as [N, D, 2]."""
        return self.dof_state.view(self.num_envs, self.num_dofs, 2)

    def acquire(self, kind: str, actor: Actor | None = None) -> Tensor:
        """Returns the tensor of a quantity; from now on ``simulate`` keeps it current.

        Args:
            kind: A method of ``Readings``.
            actor: The actor that it is about, for Jacobians and mass matrices.
        """
        key = kind, actor
        if key not in self._acquired:
            self._acquired[key] = self._reading(key)
            if kind in OF_POSES:
                self.worlds.forward()
            self._acquired[key][1]()
        return self._acquired[key][0]

    def _reading(self, key: tuple[str, Actor | None]) -> tuple[Tensor, Callable[[], None]]:
        """Returns a quantity's tensor and what brings it up to date."""
        kind, actor = key
        make = getattr(self.readings, kind)
        found: tuple[Tensor, Callable[[], None]] = make() if actor is None else make(actor)
        return found

    def simulate(self) -> None:
        """Advances all environments by the simulation's time step."""
        self._take_over_properties()
        self.ctrl[:, self._motors] = (
            self._target_gain * self.position_targets
            + self._velocity_gain * self.velocity_targets
            + self.efforts
        ).to(self.ctrl.dtype)
        wanted = self.ctrl.clone() if self.holds.any else self.ctrl
        self.forces.write()
        for _ in range(max(self.sim.params.substeps, 1)):
            if self.holds.any:
                self.holds.apply(wanted)
            self.readings.before_step()
            self.worlds.step(1)
            self.limits.apply()
        self.worlds.check()
        if host_may_read(self.worlds.device) and bool(self.worlds.diverged.any()):
            self.sim.notes.add(
                "an environment reached a non-finite state and restarted in its first pose"
            )
        self.efforts.zero_()
        self.forces.clear()
        self.read_roots()
        self.read_dofs()
        self._read_acquired()

    def _take_over_properties(self) -> None:
        """Hands properties that changed since the last step to the worlds, all at once."""
        if self.drives_changed:
            self.drives_changed = False
            model = self.worlds.model
            fields = drive_fields(model, self.layout.dof_joints, dof_properties(self.sim))
            # Fields that have rows are written even where they are the model's again.
            wide = {n: v for n, v in fields.items() if n in self.fields} | differing(fields, model)
            for name, values in wide.items():
                field = self.varying_field(name)
                field.copy_(torch.from_numpy(values).to(field))
            self.written.update(wide)
            self.set_gains()
        if self.written:
            self.worlds.fields_written(sorted(self.written))
            self.written.clear()

    def read_roots(self) -> None:
        """Rewrites the root tensor."""
        read_roots(self)

    def read_dofs(self) -> None:
        """Rewrites the DOF tensor."""
        self.dofs[..., 0].copy_(self.qpos[:, self.layout.dof_qpos])
        self.dofs[..., 1].copy_(self.qvel[:, self.layout.dof_qvel])

    def _read_acquired(self) -> None:
        """Rewrites all acquired tensors after a step: forces first, while poses are the step's."""
        for (kind, _), (_, update) in self._acquired.items():
            if kind not in OF_POSES:
                update()
        self._read_poses(None)

    def _read_poses(self, mask: Tensor | None) -> None:
        """Rewrites what follows from poses, of which those of masked environments changed."""
        updates = [update for (kind, _), (_, update) in self._acquired.items() if kind in OF_POSES]
        if updates:
            self.worlds.forward(mask)
        for update in updates:
            update()

    def set_roots(self, state: Tensor, actors: Tensor | None) -> None:
        """Puts roots into the given states.

        Args:
            state: States of all actors, 13 numbers each.
            actors: Indices of the actors to set; all if None.
        """
        mask = self._mask(actors)
        given = state.reshape(self.roots.shape)
        if state.data_ptr() != self.root_state.data_ptr():
            self.roots.copy_(torch.where(mask[..., None], given, self.roots))
        write_roots(self, mask)
        self._read_poses(mask.any(dim=1))

    def set_dofs(self, state: Tensor, actors: Tensor | None) -> None:
        """Puts degrees of freedom into the given states.

        Args:
            state: Positions and velocities of all degrees of freedom, two numbers each.
            actors: Indices of the actors to set; all if None.
        """
        mask = self._mask(actors)
        of_dof = mask[:, self.layout.dof_actor]
        given = state.reshape(self.dofs.shape)
        for part, array, where in (
            (0, self.qpos, self.layout.dof_qpos),
            (1, self.qvel, self.layout.dof_qvel),
        ):
            array[:, where] = torch.where(of_dof, given[..., part].to(array.dtype), array[:, where])
        if state.data_ptr() != self.dof_state.data_ptr():
            self.dofs.copy_(torch.where(of_dof[..., None], given, self.dofs))
        self._read_poses(mask.any(dim=1))

    def set_dof_values(self, into: Tensor, values: Tensor, actors: Tensor | None) -> None:
        """Copies targets or efforts, shape [N, D], of some actors or of all if None."""
        given = values.reshape(into.shape)
        if actors is None:
            into.copy_(given)
        else:
            into.copy_(torch.where(self._mask(actors)[:, self.layout.dof_actor], given, into))

    def _mask(self, actors: Tensor | None) -> Tensor:
        """Returns which actors are meant, shape [N, A]."""
        count = self.num_envs * self.num_actors
        if actors is None:
            mask = torch.ones(count, dtype=torch.bool, device=self.sim.device)
        else:
            mask = torch.zeros(count, dtype=torch.bool, device=self.sim.device)
            mask[actors.long()] = True
        return mask.view(self.num_envs, self.num_actors)

    def varying_field(self, name: str) -> Tensor:
        """Makes a model field vary between worlds and returns it; rebuilds them if it did not.

        Tensors that scripts hold stay the same: they are rewritten from the new worlds.
        """
        if name not in self.fields:
            state, old, forces = self.worlds.state_dict(), self._acquired, self.forces
            self._build(self.fields | {name})
            self.worlds.load_state_dict(state)
            self.forces = forces.moved(self.worlds, self.layout)
            self.sim.renderers = None
            for key, (held, _) in old.items():
                tensor, update = self._reading(key)
                self._acquired[key] = held, _both(update, held, tensor)
        return self.worlds.field(name)


def _both(update: Callable[[], None], held: Tensor, tensor: Tensor) -> Callable[[], None]:
    """Returns a function that updates a tensor and copies it into the one that scripts hold."""

    def run() -> None:
        update()
        held.copy_(tensor)

    return run
