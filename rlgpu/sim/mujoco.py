"""The CPU engine: MuJoCo C on its own batch stepper, which has its own threads.

MuJoCo's float64 state rows are aliased by torch tensors without copies; each step casts them once
into the float32 tensors of ``SimState``, so that tasks read the same dtype from every engine.
Poses behind contact quantities are those of the last physics step's start, when the contacts were
solved, so wrenches are consistent with the frames they are turned into.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from rlgpu.sim import mjcf, parameters
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import ResetState

_BAD_STATE = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
    int(mujoco.mjtWarning.mjWARN_BADCTRL),
]
_FULL = [int(mujoco.mjtWarning.mjWARN_CONTACTFULL), int(mujoco.mjtWarning.mjWARN_CNSTRFULL)]


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
        self.model = mjcf.build_model(scene, timing)
        self.description = f"MuJoCo {mujoco.__version__} on the CPU"
        self._batch = Batch(self.model, num_envs, num_threads)
        self._contact_forces, self._body_states = scene.contact_forces, scene.body_states
        self._stage = (
            mujoco.mjtStage.mjSTAGE_VEL if scene.body_states else mujoco.mjtStage.mjSTAGE_NONE
        )
        self._where = where = mjcf.layout(self.model, scene, self.device)
        self.joint_names, self.body_names = where.joint_names, where.body_names
        self.joint_lower, self.joint_upper = where.joint_lower, where.joint_upper
        self.state = mjcf.empty_state(self.model, scene, num_envs, self.device)
        self._bind_arrays(bool(scene.wrench_bodies))
        self._fields = {
            field: torch.from_numpy(self._batch.expand(field))
            for name in scene.parameters
            for field in parameters.FIELDS[name]
        }
        self.parameters: Mapping[str, Tensor] = {
            name: parameters.read(name, self._fields, where) for name in scene.parameters
        }
        self.refresh()

    def _bind_arrays(self, wrenches: bool) -> None:
        bind = self._batch.bind
        self._qpos = torch.from_numpy(bind("qpos"))
        self._qvel = torch.from_numpy(bind("qvel"))
        self._ctrl = torch.from_numpy(bind("ctrl"))
        self._warnings: np.ndarray = self._batch.warning
        self._seen = self._count(_BAD_STATE), self._count(_FULL)
        wanted: set[str] = set()
        if wrenches:
            wanted |= {"cfrc_ext", "subtree_com", "xpos", "xmat"}
        if self._contact_forces:
            wanted |= {"cfrc_ext"}
        if self._body_states:
            wanted |= {"subtree_com", "xpos", "xquat", "cvel"}
        self._derived = {name: _output(bind(name)) for name in sorted(wanted)}

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that does nothing: this engine is not capturable."""
        return nullcontext()

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._ctrl.copy_(targets.index_select(1, self._where.driven))

    def step(self) -> None:
        """Advances all environments by one control step; ``refresh`` then reads the result."""
        failed: np.ndarray | None = None
        try:
            self._batch.step(nstep=self.timing.decimation, stage=self._stage)
        except SimulationError as error:
            failed = np.asarray(error.ids)
        seen, self._seen = self._seen, (self._count(_BAD_STATE), self._count(_FULL))
        self.state.diverged.copy_(torch.from_numpy(self._seen[0] != seen[0]))
        self.state.overflowed.copy_(torch.from_numpy(self._seen[1] != seen[1]))
        if failed is not None:
            self.state.diverged[torch.from_numpy(failed)] = True

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        ids = mask.nonzero().squeeze(-1)
        if ids.numel() == 0:
            return
        chosen = to.rows(ids, torch.float64)
        self._batch.reset(ids.numpy(), stage=mujoco.mjtStage.mjSTAGE_NONE)
        qpos = mjcf.reset_positions(self._where, chosen)
        self._qpos[ids] = qpos
        self._qvel[ids] = mjcf.reset_velocities(self._where, chosen, qpos, self.model.nv)
        if self._body_states:
            self._batch.forward(ids.numpy(), stage=mujoco.mjtStage.mjSTAGE_VEL)
        self._seen = self._count(_BAD_STATE), self._count(_FULL)
        self._refresh_joints_and_root()
        if self._body_states:
            mjcf.read_bodies(self.state, self._derived)
        self.state.contact_wrench_b[ids] = 0.0
        self.state.contact_force_w[ids] = 0.0

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter."""
        parameters.write(name, values, self._fields, self._where)
        self.parameters[name].copy_(values)
        if name in parameters.DERIVING:
            self._batch.set_const()

    def refresh(self) -> None:
        """Brings ``state`` up to date."""
        self._refresh_joints_and_root()
        if self._contact_forces:
            self.state.contact_force_w.copy_(self._derived["cfrc_ext"][:, 1:, 3:])
        if len(self._where.wrenches):
            mjcf.read_wrenches(self.state, self._derived, self._where.wrenches)
        if self._body_states:
            mjcf.read_bodies(self.state, self._derived)

    def _refresh_joints_and_root(self) -> None:
        self.state.joint_pos.copy_(self._qpos[:, self._where.qpos])
        self.state.joint_vel.copy_(self._qvel[:, self._where.dofs])
        if self._where.floating:
            mjcf.read_root(self.state, self._qpos, self._qvel)

    def _count(self, kinds: list[int]) -> np.ndarray:
        counts: np.ndarray = self._warnings[:, kinds, 1].sum(axis=1)
        return counts

    def state_dict(self) -> dict[str, Tensor]:
        """Returns MuJoCo's state rows, and what those do not hold."""
        return {
            "rows": torch.from_numpy(self._batch.state).clone(),
            "contact_wrench_b": self.state.contact_wrench_b.clone(),
            "contact_force_w": self.state.contact_force_w.clone(),
            **{f"parameter.{name}": values.clone() for name, values in self.parameters.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments.
        """
        rows = torch.from_numpy(self._batch.state)
        mjcf.check_saved(state, "rows", rows)
        for name in self.parameters:
            self.set_parameter(name, state[f"parameter.{name}"])
        rows.copy_(state["rows"])
        if self._body_states:
            self._batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)
        self.refresh()
        self.state.contact_wrench_b.copy_(state["contact_wrench_b"])
        self.state.contact_force_w.copy_(state["contact_force_w"])

    def close(self) -> None:
        """Frees MuJoCo's threads and memory."""
        del self._batch


def _output(array: np.ndarray) -> Tensor:
    """Aliases a read-only output of the batch, which torch would warn about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
