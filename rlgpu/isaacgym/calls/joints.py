"""Calls that find joints, and read and set their positions, targets and frames.

A joint holds each body but the root. Joints that are fixed have no degree of freedom: their
position, velocity and targets are 0, and cannot be set.
"""

from __future__ import annotations

import numpy as np

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.environments import actor_of
from rlgpu.isaacgym.calls.loading import find
from rlgpu.isaacgym.calls.simulation import world_of
from rlgpu.isaacgym.calls.states import StateCalls
from rlgpu.isaacgym.records.enums import IndexDomain
from rlgpu.isaacgym.records.geometry import Transform
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation.snapshots import joint_poses

_INVALID = -1


@strict
class JointCalls(StateCalls):
    """Finding, reading and setting joints."""

    def get_sim_joint_count(self, sim: Sim) -> int:
        """Returns the number of joints in all environments."""
        return sum(env.num_joints for env in sim.envs)

    def get_env_joint_count(self, env: Env) -> int:
        """Returns the number of joints of all actors."""
        return env.num_joints

    def get_actor_joint_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's joints."""
        return len(actor_of(env, handle).asset.joints)

    def get_actor_joint_names(self, env: Env, handle: int) -> list[str]:
        """Returns the names of an actor's joints."""
        return list(actor_of(env, handle).asset.joints)

    def get_actor_joint_dict(self, env: Env, handle: int) -> dict[str, int]:
        """Returns the index of each of an actor's joints by name."""
        return {name: i for i, name in enumerate(actor_of(env, handle).asset.joints)}

    def get_actor_joint_handle(self, env: Env, handle: int, index: int) -> int:
        """Returns the environment's handle of an actor's joint."""
        return self.get_actor_joint_index(env, handle, index, IndexDomain.DOMAIN_ENV)

    def find_actor_joint_handle(self, env: Env, handle: int, name: str) -> int:
        """Returns the environment's handle of a joint, -1 without one."""
        return self.find_actor_joint_index(env, handle, name, IndexDomain.DOMAIN_ENV)

    def get_actor_joint_index(self, env: Env, handle: int, index: int, domain: IndexDomain) -> int:
        """Returns an actor's joint in another domain of indices."""
        actor_of(env, handle)  # refuses a handle that does not exist
        first = sum(len(actor.asset.joints) for actor in env.actors[:handle])
        before = sum(other.num_joints for other in env.sim.envs[: env.index])
        offsets = {
            IndexDomain.DOMAIN_ACTOR: 0,
            IndexDomain.DOMAIN_ENV: first,
            IndexDomain.DOMAIN_SIM: first + before,
        }
        return index + offsets[domain]

    def find_actor_joint_index(self, env: Env, handle: int, name: str, domain: IndexDomain) -> int:
        """Returns a joint of a name in a domain of indices, -1 without one."""
        index = find(actor_of(env, handle).asset.joints, name)
        return _INVALID if index < 0 else self.get_actor_joint_index(env, handle, index, domain)

    def get_joint_handle(self, env: Env, actor: str, joint: str) -> int:
        """Returns the environment's handle of a joint by the names of its actor and its own."""
        handle = find([a.name for a in env.actors], actor)
        return _INVALID if handle < 0 else self.find_actor_joint_handle(env, handle, joint)

    def get_joint_name(self, env: Env, joint: int) -> str:
        """Returns the name of a joint by its handle."""
        actor, index = _joint(env, joint)
        return actor.asset.joints[index]

    def get_joint_position(self, env: Env, joint: int) -> float:
        """Returns the position of a joint [rad or m]."""
        dof = _dof(env, joint)
        return 0.0 if dof is None else self.get_dof_position(env, dof)

    def get_joint_velocity(self, env: Env, joint: int) -> float:
        """Returns the velocity of a joint [rad/s or m/s]."""
        dof = _dof(env, joint)
        return 0.0 if dof is None else self.get_dof_velocity(env, dof)

    def get_joint_target_position(self, env: Env, joint: int) -> float:
        """Returns the position target of a joint."""
        dof = _dof(env, joint)
        return 0.0 if dof is None else self.get_dof_target_position(env, dof)

    def set_joint_target_position(self, env: Env, joint: int, target: float) -> None:
        """Sets the position target of a joint."""
        self.set_dof_target_position(env, _movable(env, joint), target)

    def get_joint_target_velocity(self, env: Env, joint: int) -> float:
        """Returns the velocity target of a joint."""
        dof = _dof(env, joint)
        return 0.0 if dof is None else self.get_dof_target_velocity(env, dof)

    def set_joint_target_velocity(self, env: Env, joint: int, target: float) -> None:
        """Sets the velocity target of a joint."""
        self.set_dof_target_velocity(env, _movable(env, joint), target)

    def get_joint_transform(self, env: Env, joint: int) -> Transform:
        """Returns the frame of a joint now, in its environment; it moves with the child body."""
        actor, index = _joint(env, joint)
        return Transform.from_buffer(
            joint_poses(world_of(env.sim), env)[actor.first_body + 1 + index]
        )

    def get_actor_joint_transforms(self, env: Env, handle: int) -> np.ndarray:
        """Returns the frames of an actor's joints now, layout ``Transform.dtype``."""
        actor = actor_of(env, handle)
        first = actor.first_body + 1
        poses = joint_poses(world_of(env.sim), env)[first : first + len(actor.asset.joints)]
        return np.ascontiguousarray(poses, np.float32).view(Transform.dtype).reshape(-1)


def _joint(env: Env, joint: int) -> tuple[Actor, int]:
    """Returns the actor of a joint and the joint's index there."""
    index = joint
    for actor in env.actors:
        if 0 <= index < len(actor.asset.joints):
            return actor, index
        index -= len(actor.asset.joints)
    raise IndexError(f"joint handle {joint} in an environment of {env.num_joints} joints")


def _dof(env: Env, joint: int) -> int | None:
    """Returns the first degree of freedom of a joint in its environment, None if it is fixed."""
    actor, index = _joint(env, joint)
    model, body = actor.asset.model, index + 2
    moves = model.body_jntnum[body] > 0
    return actor.first_dof + int(model.body_jntadr[body]) if moves else None


def _movable(env: Env, joint: int) -> int:
    """Returns the first degree of freedom of a joint, refusing one that is fixed."""
    dof = _dof(env, joint)
    if dof is None:
        actor, index = _joint(env, joint)
        raise ValueError(
            f"joint {actor.asset.joints[index]} of {actor.name} is fixed and has no target; set "
            "those of joints with a degree of freedom"
        )
    return dof
