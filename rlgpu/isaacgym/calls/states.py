"""Calls that read and set states, targets and forces of single environments, as NumPy arrays.

They are slow, one actor a call, and meant for scripts without tensors and for a few environments.
"""

from __future__ import annotations

import numpy as np
import torch

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.environments import actor_of, actor_of_body
from rlgpu.isaacgym.calls.simulation import world_of
from rlgpu.isaacgym.records.enums import CONSTANTS, CoordinateSpace
from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3, Velocity
from rlgpu.isaacgym.records.properties import (
    DofFrame,
    DofState,
    RigidBodyState,
)
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation.build import initial_poses
from rlgpu.isaacgym.simulation.snapshots import dof_frames
from rlgpu.isaacgym.simulation.world import World

_POS, _VEL = CONSTANTS["STATE_POS"], CONSTANTS["STATE_VEL"]
_ENV_SPACE = CoordinateSpace.ENV_SPACE


@strict
class StateCalls:
    """States, targets and forces of single environments."""

    # Degrees of freedom

    def get_actor_dof_states(self, env: Env, handle: int, flags: int) -> np.ndarray:
        """Returns position and velocity of an actor's degrees of freedom."""
        if env.sim.prepared:
            world = world_of(env.sim)
            values = world.dof_state[_dofs(world, env, handle)].cpu().numpy()
        else:
            values = actor_of(env, handle).start.dofs
        states = np.zeros(len(values), dtype=DofState.dtype)
        states["pos"] = values[:, 0] * bool(flags & _POS)
        states["vel"] = values[:, 1] * bool(flags & _VEL)
        return states

    def set_actor_dof_states(self, env: Env, handle: int, states: np.ndarray, flags: int) -> bool:
        """Sets position and velocity of an actor's degrees of freedom, as the flags say."""
        if not env.sim.prepared:
            start = actor_of(env, handle).start.dofs
            for bit, name, part in ((_POS, "pos", 0), (_VEL, "vel", 1)):
                if flags & bit:
                    start[:, part] = states[name]
            return True
        world = world_of(env.sim)
        all_states, where = world.dof_state.clone(), _dofs(world, env, handle)
        for bit, name, part in ((_POS, "pos", 0), (_VEL, "vel", 1)):
            if flags & bit:
                all_states[where, part] = _tensor(states[name], world)
        world.set_dofs(all_states, _index(env, handle))
        return True

    def get_actor_dof_forces(self, env: Env, handle: int) -> np.ndarray:
        """Returns the forces of an actor's drives and efforts [N m or N]."""
        world = world_of(env.sim)
        forces = world.acquire("dof_force")[_dofs(world, env, handle)]
        return np.asarray(forces.cpu().numpy().copy())

    def get_actor_dof_position_targets(self, env: Env, handle: int) -> np.ndarray:
        """Returns the position targets of an actor's degrees of freedom."""
        return _read("position_targets", env, handle)

    def set_actor_dof_position_targets(self, env: Env, handle: int, targets: np.ndarray) -> bool:
        """Sets the position targets of an actor's degrees of freedom."""
        return _write("position_targets", env, handle, targets)

    def get_actor_dof_velocity_targets(self, env: Env, handle: int) -> np.ndarray:
        """Returns the velocity targets of an actor's degrees of freedom."""
        return _read("velocity_targets", env, handle)

    def set_actor_dof_velocity_targets(self, env: Env, handle: int, targets: np.ndarray) -> bool:
        """Sets the velocity targets of an actor's degrees of freedom."""
        return _write("velocity_targets", env, handle, targets)

    def apply_actor_dof_efforts(self, env: Env, handle: int, efforts: np.ndarray) -> bool:
        """Sets the efforts of an actor's degrees of freedom in the next ``simulate``."""
        return _write("efforts", env, handle, efforts)

    def apply_dof_effort(self, env: Env, dof: int, effort: float) -> None:
        """Sets the effort of a degree of freedom in the next ``simulate``."""
        _targets(env, "efforts")[dof] = effort

    def get_dof_position(self, env: Env, dof: int) -> float:
        """Returns the position of a degree of freedom [rad or m]."""
        return float(_dof_row(env, dof)[0])

    def get_dof_velocity(self, env: Env, dof: int) -> float:
        """Returns the velocity of a degree of freedom [rad/s or m/s]."""
        return float(_dof_row(env, dof)[1])

    def get_dof_target_position(self, env: Env, dof: int) -> float:
        """Returns the position target of a degree of freedom."""
        return float(_targets(env, "position_targets")[dof])

    def set_dof_target_position(self, env: Env, dof: int, target: float) -> None:
        """Sets the position target of a degree of freedom."""
        _targets(env, "position_targets")[dof] = target

    def get_dof_target_velocity(self, env: Env, dof: int) -> float:
        """Returns the velocity target of a degree of freedom."""
        return float(_targets(env, "velocity_targets")[dof])

    def set_dof_target_velocity(self, env: Env, dof: int, target: float) -> None:
        """Sets the velocity target of a degree of freedom."""
        _targets(env, "velocity_targets")[dof] = target

    def get_dof_frame(self, env: Env, dof: int) -> DofFrame:
        """Returns origin and axis of a degree of freedom now, in its environment."""
        origins, axes = dof_frames(world_of(env.sim), env)
        return DofFrame(Vec3(*origins[dof].tolist()), Vec3(*axes[dof].tolist()))

    def get_actor_dof_frames(self, env: Env, handle: int) -> np.ndarray:
        """Returns origins and axes of an actor's degrees of freedom now, in its environment."""
        actor = actor_of(env, handle)
        own = slice(actor.first_dof, actor.first_dof + len(actor.asset.dofs))
        origins, axes = (part[own] for part in dof_frames(world_of(env.sim), env))
        frames = np.zeros(len(origins), dtype=DofFrame.dtype)
        for name, values in (("origin", origins), ("axis", axes)):
            for i, axis in enumerate("xyz"):
                frames[name][axis] = values[:, i]
        return frames

    # Bodies

    def get_sim_rigid_body_states(self, sim: Sim, flags: int) -> np.ndarray:
        """Returns pose and velocity of all bodies of all environments."""
        return _records(world_of(sim).acquire("rigid_body_state"), flags)

    def get_env_rigid_body_states(self, env: Env, flags: int) -> np.ndarray:
        """Returns pose and velocity of an environment's bodies."""
        return _records(_bodies(env), flags)

    def get_actor_rigid_body_states(self, env: Env, handle: int, flags: int) -> np.ndarray:
        """Returns pose and velocity of an actor's bodies."""
        actor = actor_of(env, handle)
        own = slice(actor.first_body, actor.first_body + len(actor.asset.bodies))
        return _records(_bodies(env)[own], flags)

    def set_actor_rigid_body_states(
        self, env: Env, handle: int, states: np.ndarray, flags: int
    ) -> bool:
        """Sets an actor's root from the first of its bodies' states, as the flags say.

        The other bodies follow from the joints; set those with ``set_actor_dof_states``.
        """
        root = np.asarray(states).reshape(-1)[0]
        if not env.sim.prepared:
            actor, vel = actor_of(env, handle), Velocity.from_buffer(root["vel"])
            if flags & _POS:
                actor.pose = Transform.from_buffer(root["pose"])
            if flags & _VEL:
                actor.start.root_velocity[:] = [*vel.linear, *vel.angular]
            return True
        world = world_of(env.sim)
        given = world.root_state.clone()
        row = given[world.index_of(actor_of(env, handle))]
        if flags & _POS:
            pose = Transform.from_buffer(root["pose"])
            row[:7] = _tensor(pose.values(), world)
        if flags & _VEL:
            vel = Velocity.from_buffer(root["vel"])
            row[7:] = _tensor([*vel.linear, *vel.angular], world)
        world.set_roots(given, _index(env, handle))
        return True

    def get_rigid_transform(self, env: Env, body: int) -> Transform:
        """Returns the pose of a body in its environment."""
        if not env.sim.prepared:
            return initial_poses(env)[body]
        row = _bodies(env)[body].tolist()
        return Transform(Vec3(*row[:3]), Quat(*row[3:7]))

    def get_rigid_linear_velocity(self, env: Env, body: int) -> Vec3:
        """Returns the velocity of a body's centre of mass [m/s]."""
        return Vec3(*_bodies(env)[body, 7:10].tolist())

    def get_rigid_angular_velocity(self, env: Env, body: int) -> Vec3:
        """Returns the angular velocity of a body [rad/s]."""
        return Vec3(*_bodies(env)[body, 10:13].tolist())

    def set_rigid_transform(self, env: Env, body: int, pose: Transform) -> None:
        """Sets the pose of an actor's root."""
        self._set_root(env, body, slice(0, 7), pose.values())

    def set_rigid_linear_velocity(self, env: Env, body: int, velocity: Vec3) -> None:
        """Sets the velocity of an actor's root [m/s]."""
        self._set_root(env, body, slice(7, 10), list(velocity))

    def set_rigid_angular_velocity(self, env: Env, body: int, velocity: Vec3) -> None:
        """Sets the angular velocity of an actor's root [rad/s]."""
        self._set_root(env, body, slice(10, 13), list(velocity))

    def _set_root(self, env: Env, body: int, part: slice, values: list[float]) -> None:
        actor = actor_of_body(env, body)
        if body != actor.first_body:
            raise NotImplementedError(
                "only roots can be set: the other bodies of an articulation follow from its joints"
            )
        if not env.sim.prepared:
            row = np.array([*actor.pose.values(), *actor.start.root_velocity])
            row[part] = values
            actor.pose, actor.start.root_velocity[:] = Transform.from_buffer(row[:7]), row[7:]
            return
        world = world_of(env.sim)
        given = world.root_state.clone()
        given[world.index_of(actor), part] = _tensor(values, world)
        world.set_roots(given, _index(env, actor.handle))

    def apply_body_forces(
        self,
        env: Env,
        body: int,
        force: Vec3 | None = None,
        torque: Vec3 | None = None,
        space: CoordinateSpace = _ENV_SPACE,
    ) -> None:
        """Applies a force at a body's centre of mass and a torque in the next ``simulate``."""
        world = world_of(env.sim)
        forces = [
            None if given is None else _single(world, env, body, given) for given in (force, torque)
        ]
        world.forces.add(forces[0], forces[1], space)

    def apply_body_force_at_pos(
        self,
        env: Env,
        body: int,
        force: Vec3,
        pos: Vec3 | None = None,
        space: CoordinateSpace = _ENV_SPACE,
    ) -> None:
        """Applies a force at a point on a body in the next ``simulate``."""
        world = world_of(env.sim)
        at = None if pos is None else _single(world, env, body, pos)
        world.forces.add(_single(world, env, body, force), None, space, at)


def _dofs(world: World, env: Env, handle: int) -> slice:
    return world.dofs_of(actor_of(env, handle))


def _dof_row(env: Env, dof: int) -> torch.Tensor:
    """Returns position and velocity of an environment's degree of freedom."""
    return _part(world_of(env.sim).dof_state, env)[dof]


def _part(values: torch.Tensor, env: Env) -> torch.Tensor:
    """Returns an environment's part of a tensor of degrees of freedom."""
    first = env.sim.start(env).dofs
    return values[first : first + env.num_dofs]


def _index(env: Env, handle: int) -> torch.Tensor:
    return torch.tensor([env.sim.start(env).actors + handle], device=env.sim.device)


def _tensor(values: object, world: World) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32), device=world.root_state.device)


def _targets(env: Env, name: str) -> torch.Tensor | _Waiting:
    """Returns an environment's targets, which can be read and written by index."""
    if not env.sim.prepared and name != "efforts":
        return _Waiting(env, name)
    targets: torch.Tensor = getattr(world_of(env.sim), name)
    return _part(targets.view(-1), env)


class _Waiting:
    """An environment's targets before the simulation is prepared."""

    def __init__(self, env: Env, name: str) -> None:
        self._env, self._name = env, name

    def _find(self, dof: int) -> tuple[np.ndarray, int]:
        for actor in self._env.actors:
            if 0 <= dof - actor.first_dof < len(actor.asset.dofs):
                return getattr(actor.start, self._name), dof - actor.first_dof
        raise IndexError(f"DOF {dof} in an environment of {self._env.num_dofs}")

    def __getitem__(self, dof: int) -> float:
        values, index = self._find(dof)
        return float(values[index])

    def __setitem__(self, dof: int, value: float) -> None:
        values, index = self._find(dof)
        values[index] = value


def _read(name: str, env: Env, handle: int) -> np.ndarray:
    """Returns an actor's targets, also those that wait for the simulation to be prepared."""
    if not env.sim.prepared:
        return np.array(getattr(actor_of(env, handle).start, name))
    world = world_of(env.sim)
    tensor: torch.Tensor = getattr(world, name)
    return np.asarray(tensor.view(-1)[_dofs(world, env, handle)].cpu().numpy().copy())


def _write(name: str, env: Env, handle: int, values: np.ndarray) -> bool:
    actor, given = actor_of(env, handle), np.asarray(values, dtype=np.float32)
    if given.shape != (len(actor.asset.dofs),):
        raise ValueError(
            f"expected {len(actor.asset.dofs)} numbers, one a degree of freedom, got {given.shape}"
        )
    if not env.sim.prepared and name != "efforts":
        getattr(actor.start, name)[:] = given
    else:
        world = world_of(env.sim)
        tensor: torch.Tensor = getattr(world, name)
        tensor.view(-1)[world.dofs_of(actor)] = torch.as_tensor(given, device=tensor.device)
    return True


def _bodies(env: Env) -> torch.Tensor:
    """Returns the states of an environment's bodies, shape [B, 13]."""
    first = env.sim.start(env).bodies
    return world_of(env.sim).acquire("rigid_body_state")[first : first + env.num_bodies]


def _records(states: torch.Tensor, flags: int) -> np.ndarray:
    values = states.reshape(-1, 13).cpu().numpy().astype(np.float32)
    values[:, :7] *= bool(flags & _POS)
    values[:, 7:] *= bool(flags & _VEL)
    return np.ascontiguousarray(values).view(RigidBodyState.dtype).reshape(-1)


def _single(world: World, env: Env, body: int, value: Vec3) -> torch.Tensor:
    """Returns zeros of shape [R, B, 3] but for one body."""
    tensor = torch.zeros(world.num_rows, world.num_bodies, 3, device=world.root_state.device)
    tensor.view(-1, 3)[env.sim.start(env).bodies + body] = _tensor(list(value), world)
    return tensor
