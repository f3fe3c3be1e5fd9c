"""MuJoCo C on the CPU, through MuJoCo's own batch stepper, which has its own threads.

Torch tensors alias MuJoCo's float64 state rows without copies. MuJoCo itself restarts a world whose
state is not finite and increments a warning counter, by which the restart is detected.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from rlgpu.device import num_usable_cores
from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.sim.mujoco.contact_sensors import ContactSensors
from rlgpu.sim.mujoco.worlds import DERIVING_FIELDS, Capabilities, WorldsRequest, check_saved

_BAD_STATE = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
    int(mujoco.mjtWarning.mjWARN_BADCTRL),
]
_FULL = [int(mujoco.mjtWarning.mjWARN_CONTACTFULL), int(mujoco.mjtWarning.mjWARN_CNSTRFULL)]
_POSES = int(mujoco.mjtStage.mjSTAGE_VEL)
_NOTHING = int(mujoco.mjtStage.mjSTAGE_NONE)


class BatchWorlds:
    """``Worlds`` on MuJoCo C."""

    capabilities = Capabilities(
        wrenches_need_sensors=True,
        has_bounding_volumes=True,
        varies_tendon_paths=True,
        threads_share_calls=True,
    )
    capturable = False
    has_mass_matrix = True

    @classmethod
    def build(cls, model: mujoco.MjModel, request: WorldsRequest) -> BatchWorlds:
        """Returns worlds of a model, at its own pose."""
        return cls(
            model, request.num_worlds, fields=request.fields, num_threads=request.num_threads
        )

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        *,
        fields: Sequence[str] = (),
        num_threads: int = 0,
    ) -> None:
        """Builds N worlds at the model's own pose.

        Args:
            model: The compiled model.
            num_worlds: Number of worlds, N.
            fields: Model fields that differ between worlds.
            num_threads: Threads that step them; 0 is one per core that this process may use.
                Results do not depend on it.
        """
        self.num_worlds, self.device, self.model = num_worlds, torch.device("cpu"), model
        self.description = f"MuJoCo {mujoco.__version__} on the CPU"
        self._batch = Batch(model, num_worlds, num_threads or num_usable_cores())
        self._rows = torch.from_numpy(self._batch.state)
        self._warning_counts: np.ndarray = self._batch.warning[:, :, 1]
        self._fields = {name: torch.from_numpy(self._batch.expand(name)) for name in fields}
        self._arrays: dict[str, Tensor] = {}
        self._readers: list[Callable[[], None]] = []
        self._qpos, self._qvel = self.array("qpos"), self.array("qvel")
        self._warm_start = self.array("qacc_warmstart")
        self._has_history = bool(model.na or model.nhistory or model.nplastic or model.npluginstate)
        """Whether the state is more than positions, velocities and the solver's warm start."""
        held = ("mocap_pos", "mocap_quat") if model.nmocap else ()
        self._mocap_poses: list[np.ndarray] = [self._batch.bind(name) for name in held]
        self.diverged = torch.zeros(num_worlds, dtype=torch.bool)
        self.overflowed = torch.zeros(num_worlds, dtype=torch.bool)
        self._has_flags = False
        """Whether a flag may be set."""

    def array(self, name: str) -> Tensor:
        """Returns a live tensor of an ``MjData`` field, shape [N, ...], float64."""
        if name in self._arrays:
            return self._arrays[name]
        with warnings.catch_warnings():
            # Outputs are read-only in NumPy, which torch cannot express and warns about.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._arrays[name] = torch.from_numpy(self._batch.bind(name))
        return self._arrays[name]

    def field(self, name: str) -> Tensor:
        """Returns a live tensor of a model field, shape [N, ...], float64."""
        return self._fields[name]

    def wrenches(self, bodies: Sequence[int]) -> Tensor:
        """Returns a live tensor of contact wrenches on bodies, shape [N, S, 6], float32.

        Raises:
            ValueError: The model has no contact sensors on these bodies.
        """
        sensors = ContactSensors(self.model, self.array, bodies)
        self._readers.append(sensors.read_wrenches)
        return sensors.wrenches

    def contact_forces(self) -> Tensor:
        """Returns a live tensor of net contact forces on all bodies, shape [N, nbody - 1, 3].

        Raises:
            ValueError: The model has no contact sensors on all bodies.
        """
        sensors = ContactSensors(self.model, self.array, range(1, self.model.nbody))
        self._readers.append(sensors.read_forces)
        return sensors.forces_w

    def prepare(self, num_steps: int) -> None:
        """Does nothing: MuJoCo C is compiled already."""

    def step(self, num_steps: int) -> None:
        """Advances every world by physics steps under one held ``ctrl``."""
        failed: np.ndarray | None = None
        poses = [pose.copy() for pose in self._mocap_poses]
        try:
            self._batch.step(nstep=num_steps, stage=_NOTHING)
        except SimulationError as error:
            failed = np.asarray(error.ids)
        was_given = self._read_warnings()
        if failed is not None:
            self.diverged[torch.from_numpy(failed)] = self._has_flags = True
        if was_given:
            diverged = self.diverged.numpy()
            for pose, before in zip(self._mocap_poses, poses, strict=True):
                pose[diverged] = before[diverged]  # MuJoCo restarts with those of the model

    def check(self) -> None:
        """Updates the contacts; ``step`` updates the flags, and MuJoCo restarts worlds itself."""
        for read in self._readers:
            read()

    def forward(self, mask: Tensor | None = None) -> None:
        """Brings poses and velocities of bodies in line with ``qpos`` and ``qvel``."""
        ids = None if mask is None else mask.nonzero().squeeze(-1).numpy()
        if ids is None or len(ids) > 0:
            self._batch.forward(ids, stage=_POSES)

    def reset(self, mask: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives the masked worlds a state without history."""
        rows = mask.nonzero().squeeze(-1)
        self.reset_rows(rows, qpos[rows], qvel[rows])

    def reset_rows(self, rows: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives worlds a state without history."""
        if self._has_history and rows.numel():
            ids = rows.numpy()
            poses = [pose[ids] for pose in self._mocap_poses]
            self._batch.reset(ids, stage=_NOTHING)
            for pose, before in zip(self._mocap_poses, poses, strict=True):
                pose[ids] = before
        self._qpos[rows], self._qvel[rows] = qpos, qvel
        self._warm_start[rows] = 0.0

    def fields_written(self, names: Collection[str], rows: Rows = ALL_ROWS) -> None:
        """Recomputes the constants that MuJoCo derives from model fields."""
        if DERIVING_FIELDS & set(names):
            self._batch.set_const(None if isinstance(rows, slice) else rows.numpy())

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that does nothing: this engine is not capturable."""
        return nullcontext()

    def _read_warnings(self) -> bool:
        """Sets the flags of worlds in which MuJoCo has warned since the last look.

        Returns whether it has.
        """
        was_given = bool(np.count_nonzero(self._warning_counts))  # any() takes twice as long
        if was_given or self._has_flags:
            given = self._warning_counts > 0
            for flag, kinds in ((self.diverged, _BAD_STATE), (self.overflowed, _FULL)):
                flag.copy_(torch.from_numpy(given[:, kinds].any(axis=1)))
            # MuJoCo counts from 1 again where it restarts a world: only from 0 is that a change.
            self._warning_counts[:] = 0
        self._has_flags = was_given
        return was_given

    def state_dict(self) -> dict[str, Tensor]:
        """Returns MuJoCo's state rows."""
        return {"rows": self._rows.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        check_saved(state, {"rows": self._rows})
        self._rows.copy_(state["rows"])

    def close(self) -> None:
        """Frees MuJoCo's threads and memory."""
        self.__dict__.pop("_batch", None)  # closing twice is allowed
