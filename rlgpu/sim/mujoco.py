"""The CPU engine: MuJoCo C on its own batch stepper, which has its own threads.

MuJoCo's float64 state rows are aliased by torch tensors without copies; each step casts them once
into the float32 tensors of ``SimState``, so that tasks read the same dtype from every engine.
Poses behind contact quantities are those of the last physics step's start, when the contacts were
solved, so wrenches are consistent with the frames they are turned into.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from rlgpu.rotations import quat_rotate, quat_rotate_inverse
from rlgpu.sim.scene import Drive, SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState

_XYZW = [1, 2, 3, 0]
_WXYZ = [3, 0, 1, 2]
_SCALAR_JOINTS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
_BAD_STATE = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
    int(mujoco.mjtWarning.mjWARN_BADCTRL),
]


def build_model(scene: SceneSpec, timing: Timing) -> mujoco.MjModel:
    """Returns the compiled model: the asset with the scene's actuators and the engine's options.

    Raises:
        ValueError: A drive or wrench body names something that the asset does not have.
    """
    spec = mujoco.MjSpec.from_file(str(scene.asset))
    spec.option.timestep = timing.physics_dt
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    joints = [joint.name for joint in spec.joints if joint.type in _SCALAR_JOINTS]
    bodies = [body.name for body in spec.bodies[1:]]
    for kind, wanted, known in (
        ("drives", scene.drives, joints),
        ("wrench_bodies", scene.wrench_bodies, bodies),
    ):
        for name in wanted:
            if name not in known:
                raise ValueError(f"{kind}: {name!r} is not in {scene.asset}; it has {known}")
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


class MujocoSimulator:
    """``Simulator`` on MuJoCo C, on the CPU."""

    capturable = False

    def __init__(
        self, scene: SceneSpec, timing: Timing, num_envs: int, *, num_threads: int = 0
    ) -> None:
        """Builds N worlds at the asset's default pose.

        Args:
            scene: What to simulate and measure.
            timing: Physics and control steps.
            num_envs: Number of worlds, N.
            num_threads: Threads that step them; 0 is one for each core. Results do not depend
                on it.

        Raises:
            ValueError: The scene names joints or bodies that the asset does not have.
        """
        # Warnings are counted and reported; MuJoCo would also print them and write a log file.
        mujoco.set_mju_user_warning(lambda _text: None)
        self.num_envs, self.timing = num_envs, timing
        self.device = torch.device("cpu")
        self.model = model = build_model(scene, timing)
        self._batch = Batch(model, num_envs, num_threads)
        self._contact_forces, self._body_states = scene.contact_forces, scene.body_states
        self._stage = (
            mujoco.mjtStage.mjSTAGE_VEL if scene.body_states else mujoco.mjtStage.mjSTAGE_NONE
        )
        self._bind_names(model, scene)
        self._bind_arrays(len(scene.wrench_bodies))
        self._refresh()

    def _bind_names(self, model: mujoco.MjModel, scene: SceneSpec) -> None:
        joints = [model.joint(i) for i in range(model.njnt)]
        scalar = [joint for joint in joints if mujoco.mjtJoint(joint.type[0]) in _SCALAR_JOINTS]
        self.joint_names = tuple(joint.name for joint in scalar)
        self.body_names = tuple(model.body(i).name for i in range(1, model.nbody))
        limited = [bool(joint.limited[0]) for joint in scalar]
        low = [j.range[0] if on else -np.inf for j, on in zip(scalar, limited, strict=True)]
        high = [j.range[1] if on else np.inf for j, on in zip(scalar, limited, strict=True)]
        self.joint_lower = torch.tensor(low, dtype=torch.float32)
        self.joint_upper = torch.tensor(high, dtype=torch.float32)
        self._floating = model.njnt > 0 and joints[0].type[0] == mujoco.mjtJoint.mjJNT_FREE
        qpos_ids = [int(joint.qposadr[0]) for joint in scalar]
        dof_ids = [int(joint.dofadr[0]) for joint in scalar]
        # Joints follow the base without gaps, so slices serve and nothing is gathered.
        self._qpos_slice = _contiguous(qpos_ids)
        self._dof_slice = _contiguous(dof_ids)
        driven = [self.joint_names.index(model.actuator(i).name) for i in range(model.nu)]
        self._driven = torch.tensor(driven, dtype=torch.int64)
        self._wrench_ids = [model.body(name).id for name in scene.wrench_bodies]
        self._wrench_index = torch.tensor(self._wrench_ids, dtype=torch.int64)

    def _bind_arrays(self, num_wrenches: int) -> None:
        bind = self._batch.bind
        n, joints, bodies = self.num_envs, len(self.joint_names), len(self.body_names)
        self._qpos = torch.from_numpy(bind("qpos"))
        self._qvel = torch.from_numpy(bind("qvel"))
        self._ctrl = torch.from_numpy(bind("ctrl"))
        self._warnings: np.ndarray = self._batch.warning
        self._seen_warnings = self._count_bad_states()
        wanted: set[str] = set()
        if num_wrenches:
            wanted |= {"cfrc_ext", "subtree_com", "xpos", "xmat"}
        if self._contact_forces:
            wanted |= {"cfrc_ext"}
        if self._body_states:
            wanted |= {"subtree_com", "xpos", "xquat", "cvel"}
        self._derived = {name: _output(bind(name)) for name in sorted(wanted)}
        kept = bodies if self._body_states else 0
        forces = bodies if self._contact_forces else 0
        self.state = SimState(
            root_pos_w=torch.zeros(n, 3),
            root_quat_w=torch.zeros(n, 4),
            root_lin_vel_w=torch.zeros(n, 3),
            root_ang_vel_w=torch.zeros(n, 3),
            joint_pos=torch.zeros(n, joints),
            joint_vel=torch.zeros(n, joints),
            contact_wrench_b=torch.zeros(n, num_wrenches, 6),
            contact_force_w=torch.zeros(n, forces, 3),
            body_pos_w=torch.zeros(n, kept, 3),
            body_quat_w=torch.zeros(n, kept, 4),
            body_lin_vel_w=torch.zeros(n, kept, 3),
            body_ang_vel_w=torch.zeros(n, kept, 3),
            diverged=torch.zeros(n, dtype=torch.bool),
        )
        if not self._floating:
            self.state.root_pos_w.copy_(torch.from_numpy(self.model.body_pos[1].copy()))
            self.state.root_quat_w.copy_(torch.from_numpy(self.model.body_quat[1][_XYZW]))

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._ctrl.copy_(targets.index_select(1, self._driven))

    def step(self) -> None:
        """Advances all environments by one control step."""
        failed: np.ndarray | None = None
        try:
            self._batch.step(nstep=self.timing.decimation, stage=self._stage)
        except SimulationError as error:
            failed = np.asarray(error.ids)
        counts = self._count_bad_states()
        self.state.diverged.copy_(torch.from_numpy(counts != self._seen_warnings))
        self._seen_warnings = counts
        if failed is not None:
            self.state.diverged[torch.from_numpy(failed)] = True
        self._refresh()

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        ids = mask.nonzero().squeeze(-1)
        if ids.numel() == 0:
            return
        self._batch.reset(ids.numpy(), stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[ids, self._qpos_slice] = to.joint_pos[ids].double()
        self._qvel[ids, self._dof_slice] = to.joint_vel[ids].double()
        if self._floating:
            self._reset_root(ids, to)
        if self._body_states:
            self._batch.forward(ids.numpy(), stage=mujoco.mjtStage.mjSTAGE_VEL)
        self._seen_warnings = self._count_bad_states()
        self._refresh_joints_and_root()
        if self._body_states:
            self._refresh_bodies()
        self.state.contact_wrench_b[ids] = 0.0
        self.state.contact_force_w[ids] = 0.0

    def _reset_root(self, ids: Tensor, to: ResetState) -> None:
        if to.root_pos_w is not None:
            self._qpos[ids, 0:3] = to.root_pos_w[ids].double()
        if to.root_quat_w is not None:
            quat = to.root_quat_w[ids].double()
            self._qpos[ids, 3:7] = (quat / quat.norm(dim=-1, keepdim=True))[:, _WXYZ]
        if to.root_lin_vel_w is not None:
            self._qvel[ids, 0:3] = to.root_lin_vel_w[ids].double()
        if to.root_ang_vel_w is not None:
            quat = self._qpos[ids, 3:7][:, _XYZW]
            self._qvel[ids, 3:6] = quat_rotate_inverse(quat, to.root_ang_vel_w[ids].double())

    def _refresh(self) -> None:
        self._refresh_joints_and_root()
        if self._contact_forces:
            self.state.contact_force_w.copy_(self._derived["cfrc_ext"][:, 1:, 3:])
        if self._wrench_ids:
            self._refresh_wrenches()
        if self._body_states:
            self._refresh_bodies()

    def _refresh_joints_and_root(self) -> None:
        state = self.state
        state.joint_pos.copy_(self._qpos[:, self._qpos_slice])
        state.joint_vel.copy_(self._qvel[:, self._dof_slice])
        if self._floating:
            state.root_pos_w.copy_(self._qpos[:, 0:3])
            state.root_quat_w[:, :3].copy_(self._qpos[:, 4:7])
            state.root_quat_w[:, 3].copy_(self._qpos[:, 3])
            state.root_lin_vel_w.copy_(self._qvel[:, 0:3])
            # MuJoCo keeps a free joint's angular velocity in body axes.
            ang_vel_b = self._qvel[:, 3:6].float()
            state.root_ang_vel_w.copy_(quat_rotate(state.root_quat_w, ang_vel_b))

    def _refresh_wrenches(self) -> None:
        derived, ids = self._derived, self._wrench_index
        # cfrc_ext is (torque about the tree's centre of mass, force) in world axes.
        wrench_w = derived["cfrc_ext"].index_select(1, ids).float()
        torque_w, force_w = wrench_w[..., :3], wrench_w[..., 3:]
        arm_w = (derived["subtree_com"][:, 1:2] - derived["xpos"].index_select(1, ids)).float()
        torque_w = torque_w + torch.linalg.cross(arm_w, force_w)
        to_body = derived["xmat"].index_select(1, ids).float().unflatten(-1, (3, 3))
        both_w = torch.stack((force_w, torque_w), dim=-2)  # [N, S, 2, 3]
        # Columns of to_body are the body's axes.
        both_b = torch.bmm(both_w.flatten(0, 1), to_body.flatten(0, 1))
        self.state.contact_wrench_b.copy_(both_b.view(self.state.contact_wrench_b.shape))

    def _refresh_bodies(self) -> None:
        state, derived = self.state, self._derived
        state.body_pos_w.copy_(derived["xpos"][:, 1:])
        state.body_quat_w.copy_(derived["xquat"][:, 1:, _XYZW])
        # cvel is (angular, linear) in world axes, the linear part at the tree's centre of mass.
        angular, linear = derived["cvel"][:, 1:, :3], derived["cvel"][:, 1:, 3:]
        arm_w = derived["xpos"][:, 1:] - derived["subtree_com"][:, 1:2]
        state.body_ang_vel_w.copy_(angular)
        state.body_lin_vel_w.copy_(linear + torch.linalg.cross(angular, arm_w))

    def _count_bad_states(self) -> np.ndarray:
        counts: np.ndarray = self._warnings[:, _BAD_STATE, 1].sum(axis=1)
        return counts

    def state_dict(self) -> dict[str, Tensor]:
        """Returns MuJoCo's state rows and the contact quantities, which those do not hold."""
        return {
            "rows": torch.from_numpy(self._batch.state).clone(),
            "contact_wrench_b": self.state.contact_wrench_b.clone(),
            "contact_force_w": self.state.contact_force_w.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene or number of environments.
        """
        rows = torch.from_numpy(self._batch.state)
        if state["rows"].shape != rows.shape:
            raise ValueError(
                f"the saved engine state has shape {tuple(state['rows'].shape)}, this simulation "
                f"{tuple(rows.shape)}; use the same task and num_envs"
            )
        rows.copy_(state["rows"])
        if self._body_states:
            self._batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)
        self._refresh()
        self.state.contact_wrench_b.copy_(state["contact_wrench_b"])
        self.state.contact_force_w.copy_(state["contact_force_w"])

    def close(self) -> None:
        """Frees MuJoCo's threads and memory."""
        del self._batch


def _contiguous(ids: list[int]) -> slice:
    first = ids[0] if ids else 0
    if ids != list(range(first, first + len(ids))):
        raise ValueError(f"joints must follow each other in the asset, got addresses {ids}")
    return slice(first, first + len(ids))


def _output(array: np.ndarray) -> Tensor:
    """Aliases a read-only output of the batch, which torch would warn about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
