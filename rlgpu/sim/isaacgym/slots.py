"""Which arrays client and worker exchange for a scene."""

from __future__ import annotations

import mujoco

from rlgpu.sim.isaacgym import mjcf
from rlgpu.sim.isaacgym.collision import solid_geoms
from rlgpu.sim.isaacgym.worker.protocol import Slot
from rlgpu.sim.scene import SceneSpec


def slots_of(model: mujoco.MjModel, scene: SceneSpec, num_envs: int) -> list[Slot]:
    """Returns the slots, numbered as Isaac Gym numbers bodies and joints.

    Args:
        model: The scene's compiled model.
        scene: What is driven and measured.
        num_envs: Number of environments N.
    """
    floating = mjcf.is_free(model)
    joints = model.njnt - int(floating)
    bodies = model.nbody - 1 + int(mjcf.needs_base(model))
    modes = {drive.mode for drive in scene.drives.values()}
    widest = max(bodies, joints, len(solid_geoms(model)))
    wanted = {
        "parameter": ((widest,), bool(scene.parameters)),
        "efforts": ((joints,), "effort" in modes),
        "positions": ((joints,), "position" in modes),
        "forces": ((bodies, 3), "gravity" in scene.parameters),
        "reset_root": ((13,), floating),
        "reset_dof": ((joints, 2), joints > 0),
        "root": ((13,), floating),
        "dof": ((joints, 2), joints > 0),
        "bodies": ((bodies, 13), scene.body_states),
        "contacts": ((bodies, 3), scene.contact_forces),
        "wrenches": ((len(scene.wrench_bodies), 6), bool(scene.wrench_bodies)),
    }
    slots = [Slot(name, "f4", (num_envs, *shape)) for name, (shape, used) in wanted.items() if used]
    return [*slots, Slot("reset_ids", "i4", (num_envs,)), Slot("reset_count", "i4", (1,))]
