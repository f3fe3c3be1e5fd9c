"""The running simulation: steps the worlds and keeps the API's tensors current.

Tensors are allocated once. ``simulate`` rewrites all that a script has acquired; a setter changes
the state at once and rewrites what follows from it, except what the script may have written to
itself and not handed over yet: setting roots leaves the DOF tensor alone, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation.build import Group, build_groups, dof_properties
from rlgpu.isaacgym.simulation.compose import wxyz
from rlgpu.isaacgym.simulation.drives import drive_terms
from rlgpu.isaacgym.simulation.dynamics import actor_reading
from rlgpu.isaacgym.simulation.forces import Forces
from rlgpu.isaacgym.simulation.grouping import Kind, places_of
from rlgpu.isaacgym.simulation.holds import Holds
from rlgpu.isaacgym.simulation.joined import JoinedWorlds, joined_places
from rlgpu.isaacgym.simulation.layout import ActorLayout, ModelLayout
from rlgpu.isaacgym.simulation.limits import SpeedLimits
from rlgpu.isaacgym.simulation.readings import OF_POSES, Readings
from rlgpu.isaacgym.simulation.roots import read_roots, write_roots
from rlgpu.isaacgym.simulation.variation import of_drives
from rlgpu.sim.mujoco.worlds import Worlds


class World:
    """All environments of a simulation, stepped together.

    Tensors have R rows. Environments that hold the same are worlds of one model, and each is a row.
    If they hold different things, ``JoinedWorlds`` makes a single row of all: the API's tensors are
    flat either way. Actors that a model has and an environment lacks are in no tensor.
    """

    def __init__(self, sim: Sim, kinds: Sequence[Kind]) -> None:
        """Builds the worlds in the poses in which actors were created.

        Args:
            sim: The simulation.
            kinds: Its environments in groups.
        """
        self.sim, self._kinds = sim, kinds
        self._acquired: dict[tuple[str, str], tuple[Tensor, Callable[[], None]]] = {}
        self.drives_changed = False
        """Whether DOF properties of some actor changed since the last step."""
        self.written: set[str] = set()
        """Model fields that were written to since the last step."""
        self._group_of = places_of(kinds)
        self._is_alike = len(kinds) == 1 and kinds[0].roster is None
        self.num_rows = len(sim.envs) if self._is_alike else 1
        every = sim.envs[:1] if self._is_alike else sim.envs
        self.num_actors = sum(len(env.actors) for env in every)
        self.num_bodies = sum(env.num_bodies for env in every)
        self.num_dofs = sum(env.num_dofs for env in every)
        """Degrees of freedom of a row, as before them actors and bodies."""
        self.root_state = self._zeros(self.num_rows * self.num_actors, 13)
        self.dof_state = self._zeros(self.num_rows * self.num_dofs, 2)
        targets = (self._zeros(self.num_rows, self.num_dofs) for _ in range(3))
        self.position_targets, self.velocity_targets, self.efforts = targets
        self._build(frozenset())
        self._start_all()

    def _start_all(self) -> None:
        """Writes the poses in which actors were created, and what was set of them since."""
        sim = self.sim
        poses = [actor.pose.values() for env in sim.envs for actor in env.actors]
        if poses:
            self.root_state[:, :7] = torch.tensor(poses, device=sim.device)
        for env in sim.envs:
            for actor in env.actors:
                if actor.starts_elsewhere:
                    self._start(actor)
            for handle in range(len(env.attractors)):
                self.aim(env, handle)
        self.set_roots(self.root_state, None)
        self.set_dofs(self.dof_state, None)

    def _start(self, actor: Actor) -> None:
        """Writes what a script set of an actor before now."""
        start, dofs = actor.start, self.dofs_of(actor)
        for into, values in (
            (self.dof_state[dofs], start.dofs),
            (self.position_targets.view(-1)[dofs], start.position_targets),
            (self.velocity_targets.view(-1)[dofs], start.velocity_targets),
            (self.root_state[self.index_of(actor), 7:], start.root_velocity),
        ):
            into.copy_(torch.from_numpy(values))

    def index_of(self, actor: Actor) -> int:
        """Returns an actor's index in the simulation."""
        return self.sim.start(actor.env).actors + actor.handle

    def dofs_of(self, actor: Actor) -> slice:
        """Returns an actor's range of the simulation's degrees of freedom."""
        first = self.sim.start(actor.env).dofs + actor.first_dof
        return slice(first, first + len(actor.asset.dofs))

    def group_of(self, env: Env) -> tuple[Group, int]:
        """Returns the group of an environment and the environment's world there."""
        number, world = self._group_of[env.index]
        return self.groups[number], world

    def layout_of(self, env: Env) -> ModelLayout:
        """Returns where the parts of an environment are in its group's model."""
        group, world = self.group_of(env)
        return group.layouts[world]

    def aim(self, env: Env, handle: int) -> None:
        """Moves the target of an attractor to the pose that it says."""
        target, mocap = env.attractors[handle].target, self.layout_of(env).attractor_mocap[handle]
        for name, values in (("mocap_pos", list(target.p)), ("mocap_quat", wxyz(target.r))):
            array = self._array_of(name, env)
            array[mocap] = torch.tensor(values).to(array)

    def _array_of(self, name: str, env: Env) -> Tensor:
        """Returns an environment's part of an array."""
        number, world = self._group_of[env.index]
        if self._joined is None:
            return self.worlds.array(name)[world]
        return self._joined.array_of(name, number)[world]

    def pose_of(self, index: int) -> dict[str, np.ndarray]:
        """Returns what places the bodies of an environment: ``qpos``, and mocap poses if any.

        Args:
            index: The environment's index in the simulation.
        """
        env = self.sim.envs[index]
        is_moved = self.group_of(env)[0].worlds.model.nmocap > 0
        names = ("qpos", "mocap_pos", "mocap_quat") if is_moved else ("qpos",)
        return {name: self._array_of(name, env).cpu().numpy() for name in names}

    def state_of(self, env: Env) -> dict[str, np.ndarray]:
        """Returns what decides the forces in an environment, by the names of MuJoCo's arrays."""
        state = self.pose_of(env.index)
        return state | {n: self._array_of(n, env).cpu().numpy() for n in ("qvel", "ctrl")}

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, device=self.sim.device)

    def _build(self, also: frozenset[str]) -> None:
        sim = self.sim
        self.groups, self.fields = build_groups(sim, self._kinds, also)
        self.worlds: Worlds
        if self._is_alike:
            self._joined, places = None, self.groups[0].layout.places
            self.worlds = self.groups[0].worlds
        else:
            self._joined = JoinedWorlds(sim, self.groups)
            self.worlds = cast(Worlds, self._joined)
            places = joined_places(self.groups, sim)
        self.layout = ActorLayout(places, sim.device)
        owners = [env.index for env in sim.envs for _ in env.actors]
        self._env_of_actor = torch.tensor(owners, dtype=torch.int64, device=sim.device)
        array = self.worlds.array
        self.qpos, self.qvel, self.ctrl = array("qpos"), array("qvel"), array("ctrl")
        self.mocap_pos = self.mocap_quat = None
        if self.worlds.model.nmocap:
            self.mocap_pos, self.mocap_quat = array("mocap_pos"), array("mocap_quat")
        self.forces = Forces(sim, self.worlds, self.layout)
        self.readings = Readings(sim, self.worlds, self.layout, self.fields)
        self.set_gains()

    def _dof_properties(self) -> np.ndarray:
        """Returns the properties of all degrees of freedom, shape [R, D]."""
        if self._joined is None:
            return dof_properties(self.groups[0].envs)
        return np.concatenate([dof_properties([env])[0] for env in self.sim.envs])[None]

    def set_gains(self) -> None:
        """Takes over DOF properties: gains of targets and speed limits."""
        properties = self._dof_properties()
        terms = drive_terms(properties, self.sim.physics_dt)

        def tensor(values: np.ndarray) -> Tensor:
            alike = len(values) == 0 or (values == values[:1]).all()
            return torch.tensor(values[:1] if alike else values, device=self.sim.device).float()

        self._target_gain, self._velocity_gain = map(tensor, terms[:2])
        self.readings.limit = tensor(terms.limit)
        self.readings.drag = tensor(-terms.bias_v * (self.layout.places.holds < 0))
        self.holds = Holds(self.worlds, self.layout.places, terms)
        self.limits = SpeedLimits(self.worlds, self.layout, properties)

    @property
    def roots(self) -> Tensor:
        """The root tensor as [R, A, 13]."""
        return self.root_state.view(self.num_rows, self.num_actors, 13)

    @property
    def dofs(self) -> Tensor:
        """The DOF tensor as [R, D, 2]."""
        return self.dof_state.view(self.num_rows, self.num_dofs, 2)

    def acquire(self, kind: str, name: str = "") -> Tensor:
        """Returns the tensor of a quantity; from now on ``simulate`` keeps it current.

        Args:
            kind: A method of ``Readings``, ``jacobian`` or ``mass_matrix``.
            name: The name of the actors that it is about, for Jacobians and mass matrices.
        """
        key = kind, name
        if key not in self._acquired:
            self._acquired[key] = self._reading(key)
            if kind in OF_POSES:
                self.worlds.forward()
            self._acquired[key][1]()
        return self._acquired[key][0]

    def _reading(self, key: tuple[str, str]) -> tuple[Tensor, Callable[[], None]]:
        """Returns a quantity's tensor and what brings it up to date."""
        kind, name = key
        if name:
            return actor_reading(self.groups, name, kind, self.fields)
        found: tuple[Tensor, Callable[[], None]] = getattr(self.readings, kind)()
        return found

    def simulate(self) -> None:
        """Advances all environments by the simulation's time step."""
        self._take_over_properties()
        self.ctrl[:, self.layout.motors] = (
            self._target_gain * self.position_targets
            + self._velocity_gain * self.velocity_targets
            + self.efforts
        ).to(self.ctrl.dtype)
        wanted = self.ctrl.clone() if self.holds.any else self.ctrl
        self.forces.write()
        for _ in range(self.sim.num_substeps):
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
            for number, group in enumerate(self.groups):
                model, properties = group.worlds.model, dof_properties(group.envs)
                # Fields that have rows are written even where they are the model's again.
                where, base = group.layout, self.fields
                wide = of_drives(self.sim, group.kind, model, properties, where, base)
                self.vary(wide)
                for name, values in wide.items():
                    field = self._varying_fields(name)[number]
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
        self._read_poses(self._touched(mask))

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
        self._read_poses(self._touched(mask))

    def set_dof_values(self, into: Tensor, values: Tensor, actors: Tensor | None) -> None:
        """Copies targets or efforts, shape [R, D], of some actors or of all if None."""
        given = values.reshape(into.shape)
        if actors is None:
            into.copy_(given)
        else:
            into.copy_(torch.where(self._mask(actors)[:, self.layout.dof_actor], given, into))

    def _mask(self, actors: Tensor | None) -> Tensor:
        """Returns which actors are meant, shape [R, A]."""
        count = self.num_rows * self.num_actors
        if actors is None:
            mask = torch.ones(count, dtype=torch.bool, device=self.sim.device)
        else:
            mask = torch.zeros(count, dtype=torch.bool, device=self.sim.device)
            mask[actors.long()] = True
        return mask.view(self.num_rows, self.num_actors)

    def _touched(self, mask: Tensor) -> Tensor:
        """Returns which environments have any of the masked actors, shape [N]."""
        if self._joined is None:
            return mask.any(dim=1)
        touched = torch.zeros(len(self.sim.envs), device=mask.device)
        return touched.index_add_(0, self._env_of_actor, mask[0].float()) > 0

    def varying_field(self, name: str, env: Env) -> Tensor:
        """Makes a model field vary between worlds and returns an environment's.

        Rebuilds the worlds if the field did not vary. ``written`` must name it after a write.
        """
        number, world = self._group_of[env.index]
        return self._varying_fields(name)[number][world]

    def set_gravity(self, gravity: Tensor) -> None:
        """Sets gravity of all environments [m/s^2], shape [3]."""
        for field in self._varying_fields("opt.gravity"):
            field.copy_(gravity.expand_as(field))
        self.written.add("opt.gravity")

    def vary(self, names: Collection[str]) -> None:
        """Makes model fields vary between worlds, which are rebuilt once if some did not.

        Tensors that scripts hold stay the same: they are rewritten from the new worlds.
        """
        if self.fields.issuperset(names):
            return
        state, old, forces = self.worlds.state_dict(), self._acquired, self.forces
        self._build(self.fields.union(names))
        self.worlds.load_state_dict(state)
        self.forces = forces.moved(self.worlds, self.layout)
        self.sim.renderers = None
        for key, (held, _) in old.items():
            tensor, update = self._reading(key)
            self._acquired[key] = held, _both(update, held, tensor)

    def _varying_fields(self, name: str) -> list[Tensor]:
        """Returns each group's rows of a model field, shape [N of the group, ...]."""
        self.vary([name])
        if self._joined is None:
            return [self.worlds.field(name)]
        return [self._joined.field_of(name, number) for number in range(len(self.groups))]


def _both(update: Callable[[], None], held: Tensor, tensor: Tensor) -> Callable[[], None]:
    """Returns a function that updates a tensor and copies it into the one that scripts hold."""

    def run() -> None:
        update()
        held.copy_(tensor)

    return run
