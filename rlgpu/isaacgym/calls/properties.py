"""Calls that read and set properties of actors, before and after the simulation is prepared."""

from __future__ import annotations

import numpy as np
import torch

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.environments import actor_of
from rlgpu.isaacgym.calls.loading import checked_list
from rlgpu.isaacgym.calls.simulation import note_restitution, refuse_late, running_world
from rlgpu.isaacgym.records.geometry import Transform
from rlgpu.isaacgym.records.properties import (
    DOF_PROPERTIES,
    ActuatorProperties,
    AttractorProperties,
    RigidBodyProperties,
    RigidShapeProperties,
    TendonProperties,
)
from rlgpu.isaacgym.records.scene import Actor, Env
from rlgpu.isaacgym.simulation.tendons import late_changes
from rlgpu.isaacgym.simulation.variation import write_bodies, write_shapes

_BODY_FIELDS = ("body_mass", "body_ipos", "body_gravcomp", "body_inertia", "body_iquat")


@strict
class PropertyCalls:
    """Properties of degrees of freedom, bodies, shapes, tendons and attractors of actors."""

    def get_actor_dof_properties(self, env: Env, handle: int) -> np.ndarray:
        """Returns a copy of the properties of an actor's degrees of freedom."""
        return actor_of(env, handle).dof_properties.copy()

    def set_actor_dof_properties(self, env: Env, handle: int, props: np.ndarray) -> bool:
        """Sets the properties of an actor's degrees of freedom.

        Raises:
            ValueError: ``props`` has another layout or length.
        """
        actor = actor_of(env, handle)
        names = props.dtype.names or ()
        if props.shape != (len(actor.asset.dofs),) or set(names) != set(DOF_PROPERTIES.names or ()):
            raise ValueError(
                f"set_actor_dof_properties: expected {len(actor.asset.dofs)} rows of "
                "get_actor_dof_properties' layout"
            )
        if not np.array_equal(actor.dof_properties, props):
            actor.dof_properties = props.copy()
            if world := running_world(env.sim):
                world.drives_changed = True
        return True

    def get_actor_rigid_body_properties(self, env: Env, handle: int) -> list[RigidBodyProperties]:
        """Returns copies of the properties of an actor's bodies."""
        return [p.__copy__() for p in actor_of(env, handle).body_properties]

    def set_actor_rigid_body_properties(
        self,
        env: Env,
        handle: int,
        props: list[RigidBodyProperties],
        recomputeInertia: bool = False,
    ) -> bool:
        """Sets the properties of an actor's bodies.

        Args:
            env: The environment.
            handle: The actor.
            props: As ``get_actor_rigid_body_properties`` returns them.
            recomputeInertia: Whether inertia grows with the mass instead of being taken over.
        """
        actor = actor_of(env, handle)
        values = checked_list(
            "set_actor_rigid_body_properties", props, len(actor.asset.bodies), RigidBodyProperties
        )
        for new, old in zip(values, actor.body_properties, strict=True):
            if new.mass <= 0:
                raise ValueError(f"set_actor_rigid_body_properties: mass {new.mass} kg")
            new.invMass = 1.0 / new.mass
            if recomputeInertia and old.mass > 0:
                ratio = new.mass / old.mass
                new.inertia.set_rows(np.array(old.inertia.rows()) * ratio)
                new.invInertia.set_rows(np.array(old.invInertia.rows()) / ratio)
        if values != actor.body_properties:
            actor.body_properties = values
            _changed_bodies(env)
        return True

    def get_actor_rigid_shape_properties(self, env: Env, handle: int) -> list[RigidShapeProperties]:
        """Returns copies of the properties of an actor's shapes."""
        actor = actor_of(env, handle)
        return [p.__copy__() for p in actor.asset.visible_shapes(actor.shape_properties)]

    def set_actor_rigid_shape_properties(
        self, env: Env, handle: int, props: list[RigidShapeProperties]
    ) -> bool:
        """Sets the properties of an actor's shapes; of a running simulation, friction."""
        actor = actor_of(env, handle)
        values = checked_list(
            "set_actor_rigid_shape_properties",
            props,
            len(actor.asset.first_parts),
            RigidShapeProperties,
        )
        note_restitution(env.sim.notes, *values)
        values = actor.asset.expand_shapes(values)
        filters = [p.filter for p in actor.shape_properties]
        if env.sim.world is not None and [p.filter for p in values] != filters:
            refuse_late(env.sim, "set_actor_rigid_shape_properties with another filter")
        actor.shape_properties = values
        world = running_world(env.sim)
        if world is not None:
            field = world.varying_field("geom_friction", env)
            row = field.cpu().numpy().astype(float)
            write_shapes(env.sim, env, world.layout_of(env).shapes, row)
            field.copy_(torch.from_numpy(row))
            world.written.add("geom_friction")
        return True

    def get_actor_scale(self, env: Env, handle: int) -> float:
        """Returns an actor's scale."""
        return actor_of(env, handle).scale

    def set_actor_scale(self, env: Env, handle: int, scale: float) -> bool:
        """Scales an actor's lengths; its masses grow with the volume. Before ``prepare_sim``.

        Centres of mass, inertia and the limits of sliding joints follow.
        """
        actor = actor_of(env, handle)
        if scale != actor.scale:
            refuse_late(env.sim, "set_actor_scale")
            if scale <= 0:
                raise ValueError(f"set_actor_scale: {scale}; a scale is positive")
            _scale_properties(actor, scale / actor.scale)
            actor.scale = scale
        return True

    # Actuators and tendons

    def get_actor_actuator_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's actuators."""
        return len(actor_of(env, handle).asset.actuators)

    def get_actor_actuator_name(self, env: Env, handle: int, index: int) -> str:
        """Returns the name of an actor's actuator."""
        return actor_of(env, handle).asset.actuators[index].name

    def get_actor_actuator_joint_name(self, env: Env, handle: int, index: int) -> str:
        """Returns the joint of an actor's actuator."""
        return actor_of(env, handle).asset.actuators[index].joint

    def get_actor_actuator_properties(self, env: Env, handle: int) -> list[ActuatorProperties]:
        """Returns copies of the properties of an actor's actuators."""
        return [a.properties.__copy__() for a in actor_of(env, handle).asset.actuators]

    def find_actor_actuator_index(self, env: Env, handle: int, name: str) -> int:
        """Returns an actuator of a name, -1 if there is none."""
        names = [a.name for a in actor_of(env, handle).asset.actuators]
        return names.index(name) if name in names else -1

    def get_actor_tendon_count(self, env: Env, handle: int) -> int:
        """Returns the number of an actor's tendons."""
        return len(actor_of(env, handle).asset.tendons)

    def get_actor_tendon_name(self, env: Env, handle: int, index: int) -> str:
        """Returns the name of an actor's tendon."""
        return actor_of(env, handle).asset.tendons[index]

    def find_actor_tendon_index(self, env: Env, handle: int, name: str) -> int:
        """Returns a tendon of a name, -1 if there is none."""
        names = actor_of(env, handle).asset.tendons
        return names.index(name) if name in names else -1

    def get_actor_tendon_properties(self, env: Env, handle: int) -> list[TendonProperties]:
        """Returns copies of the properties of an actor's tendons."""
        return [p.__copy__() for p in actor_of(env, handle).tendon_properties]

    def set_actor_tendon_properties(
        self, env: Env, handle: int, props: list[TendonProperties]
    ) -> bool:
        """Sets the properties of an actor's tendons.

        Raises:
            RuntimeError: The simulation is prepared, and its engine cannot change one of them.
        """
        actor = actor_of(env, handle)
        values = checked_list(
            "set_actor_tendon_properties", props, len(actor.asset.tendons), TendonProperties
        )
        if values != actor.tendon_properties:
            changes = late_changes(actor, values)
            if changes or not env.sim.prepared:
                refuse_late(env.sim, f"set_actor_tendon_properties, {', '.join(changes)}")
            actor.tendon_properties = values
            if world := running_world(env.sim):
                world.drives_changed = True
        return True

    # Attractors

    def get_attractor_properties(self, env: Env, handle: int) -> AttractorProperties:
        """Returns a copy of an attractor's properties."""
        return env.attractors[handle].__copy__()

    def set_attractor_properties(
        self, env: Env, handle: int, properties: AttractorProperties
    ) -> None:
        """Sets an attractor's properties; of a running simulation, its target."""
        old = env.attractors[handle]
        if env.sim.world is not None:
            for name in ("axes", "offset", "rigid_handle", "stiffness", "damping"):
                if getattr(properties, name) != getattr(old, name):
                    refuse_late(env.sim, f"set_attractor_properties with another {name}")
        env.attractors[handle] = properties.__copy__()
        self.set_attractor_target(env, handle, properties.target)

    def set_attractor_target(self, env: Env, handle: int, target: Transform) -> None:
        """Moves the pose that an attractor pulls to."""
        env.attractors[handle].target = target
        world = running_world(env.sim)
        if world is not None:
            world.aim(env, handle)


def _scale_properties(actor: Actor, ratio: float) -> None:
    """Scales an actor's mass properties and the limits of its sliding joints by a ratio."""
    bodies = [body.__copy__() for body in actor.body_properties]
    for body in bodies:
        body.mass, body.com = body.mass * ratio**3, body.com * ratio
        body.invMass = 1.0 / body.mass
        body.inertia.set_rows((np.array(body.inertia.rows()) * ratio**5).tolist())
        body.invInertia.set_rows((np.array(body.invInertia.rows()) / ratio**5).tolist())
    actor.body_properties = bodies
    slides = [dof for dof in range(len(actor.asset.dofs)) if not actor.asset.rotates(dof)]
    table = actor.dof_properties.copy()
    limited = [dof for dof in slides if table["hasLimits"][dof]]
    for name in ("lower", "upper"):
        table[name][limited] *= ratio
    actor.dof_properties = table


def _changed_bodies(env: Env) -> None:
    """Hands changed body properties to a running simulation."""
    world = running_world(env.sim)
    if world is None:
        return
    group, _ = world.group_of(env)
    before = {
        name: world.varying_field(name, env).cpu().numpy().astype(float)
        if name in world.fields
        else getattr(group.worlds.model, name)
        for name in _BODY_FIELDS
    }
    row = {name: values.copy() for name, values in before.items()}
    write_bodies(env, world.layout_of(env).places.bodies, row)
    # What stays the same need not differ between worlds: some engines share it.
    changed = [name for name in _BODY_FIELDS if not np.array_equal(row[name], before[name])]
    world.vary(changed)
    for name in changed:
        world.varying_field(name, env).copy_(torch.from_numpy(row[name]))
    world.written.update(changed)
