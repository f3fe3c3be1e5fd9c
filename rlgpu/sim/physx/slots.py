"""Which arrays client and worker exchange for a scene."""

from __future__ import annotations

import mujoco

from rlgpu.sim.physx.actors import actors_of
from rlgpu.sim.physx.collision import solid_geoms
from rlgpu.sim.physx.worker.protocol import Slot
from rlgpu.sim.scene import SceneSpec


def slots_of(model: mujoco.MjModel, scene: SceneSpec, num_envs: int) -> list[Slot]:
    """Returns the slots, numbered as Isaac Gym numbers actors, bodies and joints.

    Args:
        model: The scene's compiled model.
        scene: What is driven and measured.
        num_envs: Number of environments N.
    """
    actors = actors_of(model)
    free = sum(actor.is_free for actor in actors)
    jointed = sum(bool(actor.joints) for actor in actors)
    joints = sum(len(actor.joints) for actor in actors)
    bodies = sum(len(actor.body_names(model)) for actor in actors)
    modes = {drive.mode for drive in scene.drives.values()}
    # A centre of mass has three numbers.
    widest = max(3 * bodies, joints, len(solid_geoms(model)))
    wanted = {
        "parameter": ((widest,), bool(scene.parameters)),
        "efforts": ((joints,), "effort" in modes),
        "positions": ((joints,), "position" in modes),
        "forces": ((bodies, 3), "gravity" in scene.parameters or bool(scene.force_bodies)),
        "reset_root": ((len(actors), 13), free > 0),
        "reset_dof": ((joints, 2), joints > 0),
        "root": ((len(actors), 13), free > 0),
        "dof": ((joints, 2), joints > 0),
        "bodies": ((bodies, 13), scene.body_states),
        "contacts": ((bodies, 3), scene.contact_forces),
        "wrenches": ((len(scene.wrench_bodies), 6), bool(scene.wrench_bodies)),
    }
    slots = [Slot(name, "f4", (num_envs, *shape)) for name, (shape, used) in wanted.items() if used]
    if free:
        slots.append(Slot("reset_root_ids", "i4", (num_envs, free)))
    if joints:
        slots.append(Slot("reset_dof_ids", "i4", (num_envs, jointed)))
    return [*slots, Slot("reset_count", "i4", (1,))]
