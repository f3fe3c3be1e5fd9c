"""Calls that create environments and actors, and find their parts."""

from __future__ import annotations

import numpy as np

from rlgpu.isaacgym.calls.checks import idle, strict
from rlgpu.isaacgym.calls.loading import find, shape_ranges
from rlgpu.isaacgym.calls.simulation import refuse_late
from rlgpu.isaacgym.records.asset import Asset
from rlgpu.isaacgym.records.enums import IndexDomain
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.properties import (
    AttractorProperties,
    IndexRange,
)
from rlgpu.isaacgym.records.scene import Actor, Env, Sim

_INVALID = -1


@strict
class EnvironmentCalls:
    """Creating environments and actors, and finding their parts."""

    def create_env(self, sim: Sim, lower: Vec3, upper: Vec3, num_per_row: int) -> Env:
        """Returns a new environment, drawn in a grid of cells from ``lower`` to ``upper`` [m]."""
        refuse_late(sim, "create_env")
        env = Env(sim, len(sim.envs), lower.__copy__(), upper.__copy__(), num_per_row)
        sim.envs.append(env)
        return env

    def destroy_env(self, env: Env) -> None:
        """Removes the newest environment; before ``prepare_sim``."""
        refuse_late(env.sim, "destroy_env")
        if env is not env.sim.envs[-1]:
            raise NotImplementedError("destroy_env: only the newest environment can be removed")
        env.sim.envs.pop()
        env.sim.changed(env)

    def get_env_origin(self, env: Env) -> Vec3:
        """Returns where the environment is drawn [m]."""
        return env.origin

    def create_actor(
        self,
        env: Env,
        asset: Asset,
        pose: Transform,
        name: str | None = None,
        group: int = -1,
        filter: int = -1,
        segmentationId: int = 0,
    ) -> int:
        """Adds an articulation to an environment and returns its handle there.

        Args:
            env: The environment.
            asset: What to add.
            pose: Pose of its root in the environment.
            name: Its name; empty if None.
            group: Collision group; -1 collides with every group.
            filter: Its shapes do not touch those they share a bit with, 0 touches all; -1 keeps
                the asset's own rules.
            segmentationId: Number of its pixels in segmentation images.
        """
        refuse_late(env.sim, "create_actor")
        actor = Actor(
            env, len(env.actors), asset, pose.__copy__(), name or "", group, filter, segmentationId,
            first_body=env.num_bodies, first_dof=env.num_dofs,
            dof_properties=asset.dof_properties, body_properties=asset.body_properties,
            shape_properties=asset.shape_properties, tendon_properties=asset.tendon_properties,
            tendon_paths=asset.tendon_paths,
        )  # fmt: skip
        env.actors.append(actor)
        env.sim.changed(env)
        return actor.handle

    def create_rigid_body_attractor(self, env: Env, properties: AttractorProperties) -> int:
        """Adds a spring that pulls a body to a pose and returns its handle."""
        refuse_late(env.sim, "create_rigid_body_attractor")
        if not 0 <= properties.rigid_handle < env.num_bodies:
            raise ValueError(
                f"create_rigid_body_attractor: rigid_handle {properties.rigid_handle} is not a "
                f"body of the environment, which has {env.num_bodies}"
            )
        env.attractors.append(properties.__copy__())
        return len(env.attractors) - 1

    @idle
    def begin_aggregate(
        self, env: Env, max_bodies: int, max_shapes: int, enable_self_collisions: bool
    ) -> bool:
        """Does nothing: an environment is one broad phase anyway."""
        return True

    @idle
    def end_aggregate(self, env: Env) -> bool:
        """Does nothing."""
        return True

    @idle
    def create_aggregate(self, env: Env, actors: list[int]) -> bool:
        """Does nothing."""
        return True

    # Actors

    def get_actor_count(self, env: Env) -> int:
        """Returns the number of actors."""
        return len(env.actors)

    def get_actor_handle(self, env: Env, index: int) -> int:
        """Returns the handle of an actor by its index."""
        return actor_of(env, index).handle

    def find_actor_handle(self, env: Env, name: str) -> int:
        """Returns the handle of an actor, -1 if there is none of the name."""
        return find([actor.name for actor in env.actors], name)

    def get_actor_index(self, env: Env, handle: int, domain: IndexDomain) -> int:
        """Returns an actor's index among those of the environment or of the simulation."""
        index = actor_of(env, handle).handle
        return index + (env.sim.start(env).actors if domain == IndexDomain.DOMAIN_SIM else 0)

    def find_actor_index(self, env: Env, name: str, domain: IndexDomain) -> int:
        """Returns the index of an actor of a name, -1 if there is none."""
        handle = find([actor.name for actor in env.actors], name)
        return _INVALID if handle < 0 else self.get_actor_index(env, handle, domain)

    def get_actor_name(self, env: Env, handle: int) -> str:
        """Returns an actor's name."""
        return actor_of(env, handle).name

    def get_actor_asset(self, env: Env, handle: int) -> Asset:
        """Returns an actor's asset."""
        return actor_of(env, handle).asset

    # Bodies

    def get_env_rigid_body_count(self, env: Env) -> int:
        """Returns the number of bodies of all actors."""
        return env.num_bodies

    def get_actor_rigid_body_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's bodies."""
        return len(actor_of(env, handle).asset.bodies)

    def get_actor_rigid_body_names(self, env: Env, handle: int) -> list[str]:
        """Returns the names of an actor's bodies."""
        return list(actor_of(env, handle).asset.bodies)

    def get_actor_rigid_body_dict(self, env: Env, handle: int) -> dict[str, int]:
        """Returns the index of each of an actor's bodies by name."""
        return {name: i for i, name in enumerate(actor_of(env, handle).asset.bodies)}

    def get_actor_rigid_body_handle(self, env: Env, handle: int, index: int) -> int:
        """Returns the environment's handle of an actor's body."""
        return self.get_actor_rigid_body_index(env, handle, index, IndexDomain.DOMAIN_ENV)

    def get_actor_root_rigid_body_handle(self, env: Env, handle: int) -> int:
        """Returns the environment's handle of an actor's root."""
        return actor_of(env, handle).first_body

    def find_actor_rigid_body_handle(self, env: Env, handle: int, name: str) -> int:
        """Returns the environment's handle of a body, -1 if there is none of the name."""
        return self.find_actor_rigid_body_index(env, handle, name, IndexDomain.DOMAIN_ENV)

    def get_actor_rigid_body_index(
        self, env: Env, handle: int, index: int, domain: IndexDomain
    ) -> int:
        """Returns an actor's body in another domain of indices."""
        offsets = {
            IndexDomain.DOMAIN_ACTOR: 0,
            IndexDomain.DOMAIN_ENV: actor_of(env, handle).first_body,
            IndexDomain.DOMAIN_SIM: actor_of(env, handle).first_body + env.sim.start(env).bodies,
        }
        return index + offsets[domain]

    def find_actor_rigid_body_index(
        self, env: Env, handle: int, name: str, domain: IndexDomain
    ) -> int:
        """Returns a body of a name in a domain of indices, -1 if there is none."""
        index = find(actor_of(env, handle).asset.bodies, name)
        return (
            _INVALID if index < 0 else self.get_actor_rigid_body_index(env, handle, index, domain)
        )

    def get_rigid_name(self, env: Env, body: int) -> str:
        """Returns the name of a body by its handle."""
        actor = actor_of_body(env, body)
        return actor.asset.bodies[body - actor.first_body]

    def get_rigid_handle(self, env: Env, actor: str, body: str) -> int:
        """Returns the handle of a body by the names of its actor and its own."""
        handle = find([a.name for a in env.actors], actor)
        return _INVALID if handle < 0 else self.find_actor_rigid_body_handle(env, handle, body)

    def get_actor_rigid_shape_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's shapes."""
        return len(actor_of(env, handle).asset.first_parts)

    def get_actor_rigid_body_shape_indices(self, env: Env, handle: int) -> list[IndexRange]:
        """Returns the range of shapes of each of an actor's bodies."""
        return shape_ranges(actor_of(env, handle).asset)

    # Degrees of freedom

    def get_env_dof_count(self, env: Env) -> int:
        """Returns the number of degrees of freedom of all actors."""
        return env.num_dofs

    def get_actor_dof_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's degrees of freedom."""
        return len(actor_of(env, handle).asset.dofs)

    def get_actor_dof_names(self, env: Env, handle: int) -> list[str]:
        """Returns the names of an actor's degrees of freedom."""
        return list(actor_of(env, handle).asset.dofs)

    def get_actor_dof_dict(self, env: Env, handle: int) -> dict[str, int]:
        """Returns the index of each of an actor's degrees of freedom by name."""
        return {name: i for i, name in enumerate(actor_of(env, handle).asset.dofs)}

    def get_actor_dof_handle(self, env: Env, handle: int, index: int) -> int:
        """Returns the environment's handle of an actor's degree of freedom."""
        return self.get_actor_dof_index(env, handle, index, IndexDomain.DOMAIN_ENV)

    def find_actor_dof_handle(self, env: Env, handle: int, name: str) -> int:
        """Returns the environment's handle of a degree of freedom, -1 without one."""
        return self.find_actor_dof_index(env, handle, name, IndexDomain.DOMAIN_ENV)

    def get_actor_dof_index(self, env: Env, handle: int, index: int, domain: IndexDomain) -> int:
        """Returns an actor's degree of freedom in another domain of indices."""
        offsets = {
            IndexDomain.DOMAIN_ACTOR: 0,
            IndexDomain.DOMAIN_ENV: actor_of(env, handle).first_dof,
            IndexDomain.DOMAIN_SIM: actor_of(env, handle).first_dof + env.sim.start(env).dofs,
        }
        return index + offsets[domain]

    def find_actor_dof_index(self, env: Env, handle: int, name: str, domain: IndexDomain) -> int:
        """Returns a degree of freedom of a name in a domain of indices, -1 without one."""
        index = find(actor_of(env, handle).asset.dofs, name)
        return _INVALID if index < 0 else self.get_actor_dof_index(env, handle, index, domain)

    def get_actor_force_sensor_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's force sensors."""
        return len(actor_of(env, handle).asset.sensors)

    def enable_actor_dof_force_sensors(self, env: Env, handle: int) -> bool:
        """Has the forces of an actor's degrees of freedom measured."""
        actor_of(env, handle).measures_dof_forces = True
        return True


def actor_of(env: Env, handle: int) -> Actor:
    """Returns an actor by its handle.

    Raises:
        IndexError: The environment has no such actor.
    """
    if not 0 <= handle < len(env.actors):
        raise IndexError(
            f"actor handle {handle} in environment {env.index}, which has {len(env.actors)} actors"
        )
    return env.actors[handle]


def actor_of_body(env: Env, body: int) -> Actor:
    """Returns the actor of a body by the environment's handle of it.

    Raises:
        IndexError: The environment has no such body.
    """
    if not 0 <= body < env.num_bodies:
        raise IndexError(f"body handle {body} in an environment of {env.num_bodies} bodies")
    starts = np.array([actor.first_body for actor in env.actors])
    return env.actors[int(np.searchsorted(starts, body, side="right")) - 1]
