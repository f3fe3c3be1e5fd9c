"""Calls of the tensor API: acquiring, refreshing, setting states, applying forces."""

from __future__ import annotations

import torch

from rlgpu.isaacgym.calls.checks import idle, strict
from rlgpu.isaacgym.calls.environments import actor_of
from rlgpu.isaacgym.calls.simulation import world_of
from rlgpu.isaacgym.calls.timers import timed
from rlgpu.isaacgym.records.buffers import Tensor
from rlgpu.isaacgym.records.enums import CoordinateSpace
from rlgpu.isaacgym.records.properties import ForceSensor
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation.world import World

_ENV_SPACE = CoordinateSpace.ENV_SPACE


@strict
class TensorCalls:
    """States, targets and forces of all environments as tensors."""

    # Tensors stay valid and current for the life of the simulation. Those of quantities that a
    # scene does not have are None, as in Isaac Gym.

    def acquire_actor_root_state_tensor(self, sim: Sim) -> Tensor | None:
        """Returns position, quaternion, linear and angular velocity of all actors' roots."""
        return _described(_tensors_of(sim).root_state)

    def acquire_dof_state_tensor(self, sim: Sim) -> Tensor | None:
        """Returns position and velocity of all degrees of freedom."""
        return _described(_tensors_of(sim).dof_state)

    def acquire_rigid_body_state_tensor(self, sim: Sim) -> Tensor | None:
        """Returns position, quaternion, linear and angular velocity of all bodies."""
        return self._acquire(sim, "rigid_body_state")

    def acquire_net_contact_force_tensor(self, sim: Sim) -> Tensor | None:
        """Returns the net contact force on all bodies [N], in world axes."""
        return self._acquire(sim, "net_contact_force")

    def acquire_dof_force_tensor(self, sim: Sim) -> Tensor | None:
        """Returns the forces of drives and efforts [N m or N]; 0 for actors not enabled."""
        return self._acquire(sim, "dof_force")

    def acquire_force_sensor_tensor(self, sim: Sim) -> Tensor | None:
        """Returns force [N] and torque [N m] of all force sensors."""
        if not any(actor.asset.sensors for env in sim.envs for actor in env.actors):
            return None
        return self._acquire(sim, "force_sensor")

    def get_actor_force_sensor(self, env: Env, handle: int, index: int) -> ForceSensor | None:
        """Returns one of an actor's force sensors, None if there is none of the index."""
        actor, sim = actor_of(env, handle), env.sim
        if not 0 <= index < len(actor.asset.sensors):
            return None
        before = [*(a for e in sim.envs[: env.index] for a in e.actors), *env.actors[:handle]]
        row = sum(len(other.asset.sensors) for other in before) + index

        def read() -> list[float]:
            values: list[float] = _tensors_of(sim).acquire("force_sensor").view(-1, 6)[row].tolist()
            return values

        return ForceSensor(row, read)

    def acquire_jacobian_tensor(self, sim: Sim, name: str) -> Tensor | None:
        """Returns the Jacobians of the actors of a name, one for each environment with one."""
        return _described(_tensors_of(sim).acquire("jacobian", name))

    def acquire_mass_matrix_tensor(self, sim: Sim, name: str) -> Tensor | None:
        """Returns mass matrices of the actors of a name, one for each environment with one."""
        return _described(_tensors_of(sim).acquire("mass_matrix", name))

    def _acquire(self, sim: Sim, name: str) -> Tensor | None:
        world = _tensors_of(sim)
        return _described(world.acquire(name))

    @timed("physics_data_movement")
    def refresh_actor_root_state_tensor(self, sim: Sim) -> bool:
        """Rewrites the tensor, and so undoes what was written to it but not set."""
        _tensors_of(sim).read_roots()
        return True

    @timed("physics_data_movement")
    def refresh_dof_state_tensor(self, sim: Sim) -> bool:
        """Rewrites the tensor, and so undoes what was written to it but not set."""
        _tensors_of(sim).read_dofs()
        return True

    @idle
    def refresh_rigid_body_state_tensor(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensor current."""
        return True

    @idle
    def refresh_net_contact_force_tensor(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensor current."""
        return True

    @idle
    def refresh_dof_force_tensor(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensor current."""
        return True

    @idle
    def refresh_force_sensor_tensor(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensor current."""
        return True

    @idle
    def refresh_jacobian_tensors(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensors current."""
        return True

    @idle
    def refresh_mass_matrix_tensors(self, sim: Sim) -> bool:
        """Does nothing: ``simulate`` and setters keep the tensors current."""
        return True

    @timed("physics_data_movement")
    def set_actor_root_state_tensor(self, sim: Sim, states: Tensor) -> bool:
        """Sets the roots of all actors."""
        world = _tensors_of(sim)
        world.set_roots(_floats("set_actor_root_state_tensor", states, world.root_state), None)
        return True

    @timed("physics_data_movement")
    def set_actor_root_state_tensor_indexed(
        self, sim: Sim, states: Tensor, indices: Tensor, count: int
    ) -> bool:
        """Sets the roots of some actors.

        Args:
            sim: The simulation.
            states: States of all actors.
            indices: Indices of the actors in the simulation, int32.
            count: Number of indices that count.
        """
        world = _tensors_of(sim)
        given = _floats("set_actor_root_state_tensor_indexed", states, world.root_state)
        world.set_roots(given, self._actors(sim, indices, count))
        return True

    @timed("physics_data_movement")
    def set_dof_state_tensor(self, sim: Sim, states: Tensor) -> bool:
        """Sets position and velocity of all degrees of freedom."""
        world = _tensors_of(sim)
        world.set_dofs(_floats("set_dof_state_tensor", states, world.dof_state), None)
        return True

    @timed("physics_data_movement")
    def set_dof_state_tensor_indexed(
        self, sim: Sim, states: Tensor, indices: Tensor, count: int
    ) -> bool:
        """Sets position and velocity of the degrees of freedom of some actors."""
        world = _tensors_of(sim)
        given = _floats("set_dof_state_tensor_indexed", states, world.dof_state)
        world.set_dofs(given, self._actors(sim, indices, count))
        return True

    def set_dof_position_target_tensor(self, sim: Sim, targets: Tensor) -> bool:
        """Sets the position targets of all degrees of freedom; they stay until set again."""
        return self._set(sim, "position_targets", targets, None, 0)

    def set_dof_position_target_tensor_indexed(
        self, sim: Sim, targets: Tensor, indices: Tensor, count: int
    ) -> bool:
        """Sets the position targets of the degrees of freedom of some actors."""
        return self._set(sim, "position_targets", targets, indices, count)

    def set_dof_velocity_target_tensor(self, sim: Sim, targets: Tensor) -> bool:
        """Sets the velocity targets of all degrees of freedom; they stay until set again."""
        return self._set(sim, "velocity_targets", targets, None, 0)

    def set_dof_velocity_target_tensor_indexed(
        self, sim: Sim, targets: Tensor, indices: Tensor, count: int
    ) -> bool:
        """Sets the velocity targets of the degrees of freedom of some actors."""
        return self._set(sim, "velocity_targets", targets, indices, count)

    def set_dof_actuation_force_tensor(self, sim: Sim, forces: Tensor) -> bool:
        """Sets the efforts of all degrees of freedom in the next ``simulate``."""
        return self._set(sim, "efforts", forces, None, 0)

    def set_dof_actuation_force_tensor_indexed(
        self, sim: Sim, forces: Tensor, indices: Tensor, count: int
    ) -> bool:
        """Sets the efforts of the degrees of freedom of some actors in the next ``simulate``."""
        return self._set(sim, "efforts", forces, indices, count)

    def _set(self, sim: Sim, name: str, values: Tensor, indices: Tensor | None, count: int) -> bool:
        world = _tensors_of(sim)
        into = getattr(world, name)
        given = _floats(name, values, into)
        actors = None if indices is None else self._actors(sim, indices, count)
        world.set_dof_values(into, given, actors)
        return True

    def _actors(self, sim: Sim, indices: Tensor, count: int) -> torch.Tensor:
        """Returns checked indices of actors."""
        ids = indices.torch.reshape(-1)[:count]
        total = len(_tensors_of(sim).root_state)
        if indices.torch.dtype != torch.int32:
            raise TypeError(f"actor indices must be int32, got {indices.torch.dtype}")
        if ids.numel() < count:
            raise ValueError(f"{count} actor indices were announced, {ids.numel()} given")
        # On a GPU, a look would wait for the device.
        if not ids.is_cuda and count and not 0 <= int(ids.min()) <= int(ids.max()) < total:
            raise IndexError(
                f"actor indices go from {int(ids.min())} to {int(ids.max())}; the simulation has "
                f"{total} actors"
            )
        return ids

    def apply_rigid_body_force_tensors(
        self,
        sim: Sim,
        forceTensor: Tensor | None = None,
        torqueTensor: Tensor | None = None,
        space: CoordinateSpace = _ENV_SPACE,
    ) -> bool:
        """Applies forces at centres of mass and torques on all bodies in the next ``simulate``."""
        world = _tensors_of(sim)
        force, torque = (
            None if given is None else _vectors("apply_rigid_body_force_tensors", given, sim)
            for given in (forceTensor, torqueTensor)
        )
        world.forces.add(force, torque, space)
        return True

    def apply_rigid_body_force_at_pos_tensors(
        self,
        sim: Sim,
        forceTensor: Tensor,
        posTensor: Tensor | None = None,
        space: CoordinateSpace = _ENV_SPACE,
    ) -> bool:
        """Applies forces at points on all bodies in the next ``simulate``."""
        call = "apply_rigid_body_force_at_pos_tensors"
        force = _vectors(call, forceTensor, sim)
        at = None if posTensor is None else _vectors(call, posTensor, sim)
        _tensors_of(sim).forces.add(force, None, space, at)
        return True


def _tensors_of(sim: Sim) -> World:
    """Returns the simulation's worlds, whose tensors a script is going to keep."""
    sim.prepared = True
    return world_of(sim)


def _described(tensor: torch.Tensor) -> Tensor | None:
    return Tensor(tensor) if tensor.numel() else None


def _floats(call: str, given: Tensor, like: torch.Tensor) -> torch.Tensor:
    """Returns a tensor checked for type, device and number of elements."""
    tensor = given.torch
    if tensor.dtype != torch.float32 or tensor.numel() != like.numel():
        raise ValueError(
            f"{call}: expected {like.numel()} float32 numbers, got {tensor.numel()} of "
            f"{tensor.dtype}"
        )
    if tensor.device.type != like.device.type:
        raise ValueError(
            f"{call}: the tensor is on {tensor.device}, the simulation on {like.device}"
        )
    return tensor


def _vectors(call: str, given: Tensor, sim: Sim) -> torch.Tensor:
    world = _tensors_of(sim)
    count = world.num_rows * world.num_bodies
    tensor = given.torch
    if tensor.dtype != torch.float32 or tensor.numel() != 3 * count:
        raise ValueError(
            f"{call}: expected three float32 numbers for each of {count} bodies, got "
            f"{tensor.numel()} of {tensor.dtype}"
        )
    return tensor.reshape(world.num_rows, world.num_bodies, 3)
