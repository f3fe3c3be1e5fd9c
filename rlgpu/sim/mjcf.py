"""What the two MuJoCo engines share: the compiled model, its layout, and the seam's conventions.

MuJoCo: quaternions (w, x, y, z); a free joint's velocity is (linear of the origin in world axes,
angular in body axes); ``cvel`` and ``cfrc_ext`` are (angular, linear) and (torque, force) in world
axes at the centre of mass of the whole tree; body 0 is the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.rotations import quat_rotate, quat_rotate_inverse
from rlgpu.sim.scene import PARAMETERS, Drive, SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState

XYZW = [1, 2, 3, 0]
WXYZ = [3, 0, 1, 2]
_SCALAR_JOINTS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)


def build_model(scene: SceneSpec, timing: Timing) -> mujoco.MjModel:
    """Returns the compiled model: the asset with the scene's actuators and the engine's options.

    Raises:
        ValueError: A drive, wrench body or parameter names something that there is not.
    """
    spec = mujoco.MjSpec.from_file(str(scene.asset))
    spec.option.timestep = timing.physics_dt
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    joints = [joint.name for joint in spec.joints if joint.type in _SCALAR_JOINTS]
    bodies = [body.name for body in spec.bodies[1:]]
    for kind, wanted, known, where in (
        ("drives", scene.drives, joints, scene.asset),
        ("wrench_bodies", scene.wrench_bodies, bodies, scene.asset),
        ("parameters", scene.parameters, list(PARAMETERS), "what engines let vary"),
    ):
        for name in wanted:
            if name not in known:
                raise ValueError(f"{kind}: {name!r} is not in {where}; it has {known}")
    for joint in joints:
        if joint in scene.drives:
            _add_actuator(spec, joint, scene.drives[joint])
    if scene.wrench_bodies or scene.contact_forces:
        # Contact wrenches per body are computed only where a sensor asks for accelerations.
        spec.bodies[1].add_site(name="rlgpu_accelerometer")
        spec.add_sensor(
            type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname="rlgpu_accelerometer",
        )
    return spec.compile()


def _add_actuator(spec: mujoco.MjSpec, joint: str, drive: Drive) -> None:
    actuator = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, gear=[1, 0, 0, 0, 0, 0]
    )
    if drive.mode == "effort":
        actuator.set_to_motor()
    else:
        actuator.set_to_position(kp=drive.stiffness, kv=drive.damping)
    if np.isfinite(drive.effort_limit):
        actuator.forcelimited = True
        actuator.forcerange = [-drive.effort_limit, drive.effort_limit]


class Layout(NamedTuple):
    """Where the scene's joints and bodies are in the model's arrays."""

    joint_names: tuple[str, ...]
    body_names: tuple[str, ...]
    joint_lower: Tensor
    joint_upper: Tensor
    floating: bool
    """Whether the first joint is free."""
    qpos: slice
    """The joints' place in ``qpos``."""
    dofs: slice
    """The joints' place in ``qvel``."""
    driven: Tensor
    """Joint of each actuator, shape [U], int64."""
    wrenches: Tensor
    """Body of each measured wrench, shape [S], int64."""
    qpos0: Tensor
    """The asset's own pose, shape [nq]."""


def layout(model: mujoco.MjModel, scene: SceneSpec, device: torch.device) -> Layout:
    """Returns the layout of a compiled scene, its tensors on ``device``."""
    joints = [model.joint(i) for i in range(model.njnt)]
    scalar = [joint for joint in joints if mujoco.mjtJoint(joint.type[0]) in _SCALAR_JOINTS]
    names = tuple(joint.name for joint in scalar)
    limited = [bool(joint.limited[0]) for joint in scalar]
    low = [j.range[0] if on else -np.inf for j, on in zip(scalar, limited, strict=True)]
    high = [j.range[1] if on else np.inf for j, on in zip(scalar, limited, strict=True)]
    driven = [names.index(model.actuator(i).name) for i in range(model.nu)]
    wrenches = [model.body(name).id for name in scene.wrench_bodies]
    return Layout(
        joint_names=names,
        body_names=tuple(model.body(i).name for i in range(1, model.nbody)),
        joint_lower=torch.tensor(low, dtype=torch.float32, device=device),
        joint_upper=torch.tensor(high, dtype=torch.float32, device=device),
        floating=model.njnt > 0 and joints[0].type[0] == mujoco.mjtJoint.mjJNT_FREE,
        # Joints follow the base without gaps, so slices serve and nothing is gathered.
        qpos=_contiguous([int(joint.qposadr[0]) for joint in scalar]),
        dofs=_contiguous([int(joint.dofadr[0]) for joint in scalar]),
        driven=torch.tensor(driven, dtype=torch.int64, device=device),
        wrenches=torch.tensor(wrenches, dtype=torch.int64, device=device),
        qpos0=torch.tensor(model.qpos0, dtype=torch.float32, device=device),
    )


def _contiguous(ids: list[int]) -> slice:
    first = ids[0] if ids else 0
    if ids != list(range(first, first + len(ids))):
        raise ValueError(f"joints must follow each other in the asset, got addresses {ids}")
    return slice(first, first + len(ids))


def empty_state(
    model: mujoco.MjModel, scene: SceneSpec, num_envs: int, device: torch.device
) -> SimState:
    """Returns zeroed tensors of a scene's state; a fixed base has its pose already."""

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(num_envs, *shape, dtype=dtype, device=device)

    joints = sum(int(kind) in map(int, _SCALAR_JOINTS) for kind in model.jnt_type)
    bodies = model.nbody - 1
    kept = bodies if scene.body_states else 0
    state = SimState(
        root_pos_w=zeros(3),
        root_quat_w=zeros(4),
        root_lin_vel_w=zeros(3),
        root_ang_vel_w=zeros(3),
        joint_pos=zeros(joints),
        joint_vel=zeros(joints),
        contact_wrench_b=zeros(len(scene.wrench_bodies), 6),
        contact_force_w=zeros(bodies if scene.contact_forces else 0, 3),
        body_pos_w=zeros(kept, 3),
        body_quat_w=zeros(kept, 4),
        body_lin_vel_w=zeros(kept, 3),
        body_ang_vel_w=zeros(kept, 3),
        diverged=zeros(dtype=torch.bool),
        overflowed=zeros(dtype=torch.bool),
    )
    state.root_pos_w.copy_(torch.from_numpy(model.body_pos[1].copy()))
    state.root_quat_w.copy_(torch.from_numpy(model.body_quat[1][XYZW]))
    return state


def read_root(state: SimState, qpos: Tensor, qvel: Tensor) -> None:
    """Writes a free root's pose and velocity into ``state``, from [N, nq] and [N, nv]."""
    state.root_pos_w.copy_(qpos[:, 0:3])
    state.root_quat_w[:, :3].copy_(qpos[:, 4:7])
    state.root_quat_w[:, 3].copy_(qpos[:, 3])
    state.root_lin_vel_w.copy_(qvel[:, 0:3])
    state.root_ang_vel_w.copy_(quat_rotate(state.root_quat_w, qvel[:, 3:6].float()))


def read_wrenches(state: SimState, derived: Mapping[str, Tensor], ids: Tensor) -> None:
    """Writes the contact wrenches of bodies ``ids``, about their origins and in their axes.

    Args:
        state: Written.
        derived: ``cfrc_ext`` [N, nbody, 6], ``subtree_com`` and ``xpos`` [N, nbody, 3], ``xmat``
            [N, nbody, 9 or 3, 3].
        ids: Bodies, shape [S], int64.
    """
    wrench_w = derived["cfrc_ext"].index_select(1, ids).float()
    torque_w, force_w = wrench_w[..., :3], wrench_w[..., 3:]
    arm_w = (derived["subtree_com"][:, 1:2] - derived["xpos"].index_select(1, ids)).float()
    torque_w = torque_w + torch.linalg.cross(arm_w, force_w)
    to_body = derived["xmat"].index_select(1, ids).float().reshape(-1, 3, 3)
    both_w = torch.stack((force_w, torque_w), dim=-2).flatten(0, 1)  # [N*S, 2, 3]
    # Columns of to_body are the body's axes. A batched product is fastest on the CPU; elsewhere the
    # sum is fused with what surrounds it.
    if to_body.device.type == "cpu":
        both_b = torch.bmm(both_w, to_body)
    else:
        both_b = (both_w[..., None] * to_body[:, None]).sum(-2)
    state.contact_wrench_b.copy_(both_b.view(state.contact_wrench_b.shape))


def read_bodies(state: SimState, derived: Mapping[str, Tensor]) -> None:
    """Writes poses and velocities of all bodies.

    Args:
        state: Written.
        derived: ``xpos`` and ``subtree_com`` [N, nbody, 3], ``xquat`` [N, nbody, 4], ``cvel``
            [N, nbody, 6].
    """
    state.body_pos_w.copy_(derived["xpos"][:, 1:])
    state.body_quat_w.copy_(derived["xquat"][:, 1:, XYZW])
    angular, linear = derived["cvel"][:, 1:, :3], derived["cvel"][:, 1:, 3:]
    arm_w = derived["xpos"][:, 1:] - derived["subtree_com"][:, 1:2]
    state.body_ang_vel_w.copy_(angular)
    state.body_lin_vel_w.copy_(linear + torch.linalg.cross(angular, arm_w))


def reset_positions(where: Layout, to: ResetState) -> Tensor:
    """Returns the positions of a reset, in MuJoCo's order, shape [N, nq]."""
    qpos = where.qpos0.to(to.joint_pos.dtype).repeat(len(to.joint_pos), 1)
    qpos[:, where.qpos] = to.joint_pos
    if where.floating and to.root_pos_w is not None:
        qpos[:, 0:3] = to.root_pos_w
    if where.floating and to.root_quat_w is not None:
        quat = to.root_quat_w / to.root_quat_w.norm(dim=-1, keepdim=True)
        qpos[:, 3:7] = quat[:, WXYZ]
    return qpos


def reset_velocities(where: Layout, to: ResetState, qpos: Tensor, num_dofs: int) -> Tensor:
    """Returns the velocities of a reset in MuJoCo's order, shape [N, nv].

    Args:
        where: The layout.
        to: The state wanted.
        qpos: Its positions, as ``reset_positions`` returns them.
        num_dofs: Width of the result, nv.
    """
    qvel = qpos.new_zeros(len(qpos), num_dofs)
    qvel[:, where.dofs] = to.joint_vel
    if where.floating and to.root_lin_vel_w is not None:
        qvel[:, 0:3] = to.root_lin_vel_w
    if where.floating and to.root_ang_vel_w is not None:
        qvel[:, 3:6] = quat_rotate_inverse(qpos[:, 3:7][:, XYZW], to.root_ang_vel_w)
    return qvel


def check_saved(state: Mapping[str, Tensor], name: str, current: Tensor) -> None:
    """Refuses a saved engine state that does not fit this simulation.

    Raises:
        ValueError: It belongs to another scene, engine or number of environments.
    """
    saved = tuple(state[name].shape) if name in state else None
    if saved != tuple(current.shape):
        raise ValueError(
            f"the saved engine state has {name} of shape {saved}, this simulation "
            f"{tuple(current.shape)}; use the same task, sim and num_envs"
        )


class Bounds(NamedTuple):
    """The most that one world of a model can have at once."""

    contacts: int
    contact_rows: int
    """Constraint rows of the contacts."""
    other_rows: int
    """Rows of joint limits, friction losses and equalities."""


def bounds(model: mujoco.MjModel) -> Bounds:
    """Returns the most contacts and constraint rows of one world.

    Contacts are counted over the pairs of geoms that may collide, as MuJoCo filters them.
    """
    contacts = rows = 0
    pyramidal = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    for a in range(model.ngeom):
        for b in range(a + 1, model.ngeom):
            if _may_collide(model, a, b):
                count = _contacts_of(model.geom_type[a], model.geom_type[b])
                condim = max(model.geom_condim[a], model.geom_condim[b])
                contacts += count
                rows += count * (2 * (condim - 1) if pyramidal and condim > 1 else condim)
    limited = int(model.jnt_limited.sum() + 2 * model.tendon_limited.sum())
    lossy = int((model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum())
    return Bounds(contacts, int(rows), limited + lossy + 6 * model.neq)


def _may_collide(model: mujoco.MjModel, a: int, b: int) -> bool:
    type_a, type_b = model.geom_contype[[a, b]]
    affinity_a, affinity_b = model.geom_conaffinity[[a, b]]
    if not (type_a & affinity_b or type_b & affinity_a):
        return False
    # Bodies welded together never collide; nor do parent and child, unless the parent is the world.
    weld_a, weld_b = model.body_weldid[model.geom_bodyid[[a, b]]]
    parent_a = model.body_weldid[model.body_parentid[weld_a]]
    parent_b = model.body_weldid[model.body_parentid[weld_b]]
    related = (weld_a == parent_b and weld_a != 0) or (weld_b == parent_a and weld_b != 0)
    return bool(weld_a != weld_b and not related)


def _contacts_of(first: int, second: int) -> int:
    """Returns the most contacts of two geoms of the given types.

    Source: MuJoCo's collision table, engine_collision_driver.c.
    """
    plane, sphere = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_SPHERE)
    capsule, box = int(mujoco.mjtGeom.mjGEOM_CAPSULE), int(mujoco.mjtGeom.mjGEOM_BOX)
    low, high = sorted((int(first), int(second)))
    if sphere in (low, high):
        return 1
    if high == capsule:
        return 2
    return 8 if (low, high) == (box, box) else 4 if low in (plane, capsule, box) else 5
