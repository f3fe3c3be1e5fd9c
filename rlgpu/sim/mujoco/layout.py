"""Locates a scene's joints and bodies in MuJoCo's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.sim.names import Names
from rlgpu.sim.scene import SceneSpec

Index = slice | Tensor
"""Indices, as a range if they are consecutive."""
SCALAR_JOINTS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
_NO_BIAS = int(mujoco.mjtBias.mjBIAS_NONE)


class Layout(NamedTuple):
    """Locations of the scene's joints and bodies in the model's arrays."""

    joint_names: tuple[str, ...]
    body_names: tuple[str, ...]
    joint_lower: Tensor
    joint_upper: Tensor
    root: int
    """Id of the robot's root body."""
    floating: bool
    """Whether the root has a free joint."""
    root_qpos: slice
    """Position and orientation of a floating root in ``qpos``."""
    root_dofs: slice
    """Its velocity in ``qvel``."""
    qpos: Index
    """Places of the joints in ``qpos``; a slice, which reads without gathering, if possible."""
    dofs: Index
    """Places of the joints in ``qvel``; likewise."""
    object_qpos: Index
    """Places of the poses of the objects' bodies in ``qpos``, 7 each."""
    object_dofs: Index
    """Places of their velocities in ``qvel``, 6 each."""
    force_bodies: Index
    """Ids of the bodies that the task pushes."""
    driven: Tensor
    """Joint of each actuator, shape [U], int64."""
    position_drives: Tensor
    """Actuators whose target is a position, shape [P], int64."""
    roots: Index
    """Root of each body's tree, the world's left out: a slice of one where there is one tree, which
    reads without gathering, else shape [nbody - 1], int64."""
    qpos0: Tensor
    """The asset's own pose, shape [nq]."""


def layout(model: mujoco.MjModel, scene: SceneSpec, device: torch.device) -> Layout:
    """Returns the layout of a compiled scene, its tensors on ``device``."""
    scalar = [model.joint(i) for i in scalar_joints(model)]
    names = Names(joint.name for joint in scalar)
    limited = [bool(joint.limited[0]) for joint in scalar]
    low = [j.range[0] if on else -np.inf for j, on in zip(scalar, limited, strict=True)]
    high = [j.range[1] if on else np.inf for j, on in zip(scalar, limited, strict=True)]
    driven = [names.index(model.actuator(i).name) for i in range(model.nu)]
    tracking = [i for i in range(model.nu) if model.actuator_biastype[i] != _NO_BIAS]
    root = root_body(model, scene)
    joint = free_joint(model, root)
    moved = [free_joint(model, model.body(name).id) for name in scene.object_bodies]
    qpos = int(model.jnt_qposadr[joint]) if joint >= 0 else 0
    dof = int(model.jnt_dofadr[joint]) if joint >= 0 else 0
    return Layout(
        joint_names=names,
        body_names=Names(model.body(i).name for i in range(1, model.nbody)),
        joint_lower=torch.tensor(low, dtype=torch.float32, device=device),
        joint_upper=torch.tensor(high, dtype=torch.float32, device=device),
        root=root,
        floating=joint >= 0,
        root_qpos=slice(qpos, qpos + 7),
        root_dofs=slice(dof, dof + 6),
        qpos=index_of([int(joint.qposadr[0]) for joint in scalar], device),
        dofs=index_of([int(joint.dofadr[0]) for joint in scalar], device),
        object_qpos=_ranges([model.jnt_qposadr[j] for j in moved], 7, device),
        object_dofs=_ranges([model.jnt_dofadr[j] for j in moved], 6, device),
        force_bodies=index_of([model.body(name).id for name in scene.force_bodies], device),
        driven=torch.tensor(driven, dtype=torch.int64, device=device),
        position_drives=torch.tensor(tracking, dtype=torch.int64, device=device),
        roots=root_index(model, range(1, model.nbody), device),
        qpos0=torch.tensor(model.qpos0, dtype=torch.float32, device=device),
    )


def index_of(ids: Sequence[int], device: torch.device) -> Index:
    """Returns an index of these entries; a slice, which reads without gathering, if possible."""
    if not ids:
        return slice(0, 0)
    step = ids[1] - ids[0] if len(ids) > 1 else 1
    if step > 0 and list(ids) == [ids[0] + i * step for i in range(len(ids))]:
        return slice(ids[0], ids[-1] + 1, step)
    return torch.tensor(ids, dtype=torch.int64, device=device)


def root_index(model: mujoco.MjModel, bodies: Sequence[int], device: torch.device) -> Index:
    """Returns an index of the root of each body's tree; a single one, to broadcast, if shared."""
    roots = [int(model.body_rootid[body]) for body in bodies]
    return index_of(roots[:1] if len(set(roots)) == 1 else roots, device)


def scalar_joints(model: mujoco.MjModel) -> list[int]:
    """Returns the ids of the hinges and slides, in the asset's order."""
    return [j for j in range(model.njnt) if mujoco.mjtJoint(model.jnt_type[j]) in SCALAR_JOINTS]


def root_body(model: mujoco.MjModel, scene: SceneSpec) -> int:
    """Returns the id of the robot's root body."""
    return int(model.body(scene.root).id) if scene.root else 1


def free_joint(model: mujoco.MjModel, body: int) -> int:
    """Returns the id of a body's free joint; -1 if it has none."""
    joint = int(model.body_jntadr[body])
    is_free = joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
    return joint if is_free else -1


def _ranges(starts: Sequence[int], width: int, device: torch.device) -> Index:
    """Returns an index of ``width`` entries from each start on."""
    return index_of([int(start) + i for start in starts for i in range(width)], device)
