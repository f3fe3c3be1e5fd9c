"""The fused engine's worlds: state tensors, and rlgpu's own kernels that step them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mujoco
import torch
from mujoco.batch import Batch
from torch import Tensor

from rlgpu.device import (
    ThreadChoice,
    host_may_branch,
    host_may_read,
    is_gpu,
    num_usable_cores,
)
from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.errors import UnsupportedModel
from rlgpu.ops import (
    PhysicsModel,
    PhysicsOutputs,
    PhysicsState,
    in_blocks,
    load_extension,
    physics_step,
    write_blocks,
)
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.fluid_tables import has_fluid
from rlgpu.sim.mujoco.fused.hull_thinning import LEAST_VERTICES, describe_deviations
from rlgpu.sim.mujoco.fused.inverse_weights import InverseWeights
from rlgpu.sim.mujoco.fused.parameter_tables import PARAMETER_FIELDS, model_field
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.worlds import DERIVING_FIELDS, Capabilities, WorldsRequest, check_saved

_VERSION = mujoco.__version__
_FEWEST_LANES = 4
"""Lanes of the narrowest vectors, which every CPU has."""
_SPATIAL = ("cvel", "cfrc_ext", "xfrc_applied", "cdof")
_OF_DOFS = ("cdof", "qfrc_actuator")
_DERIVED_FIELDS = ("body_invweight0", "dof_invweight0", "tendon_invweight0")
_STATE = (
    "qpos",
    "qvel",
    "qacc_warmstart",
    "act",
    "ctrl",
    "xfrc_applied",
    "mocap_pos",
    "mocap_quat",
)
"""All state that carries over from step to step."""


class FusedWorlds:
    """``Worlds`` in rlgpu's own kernels.

    Physics is MuJoCo's, in float32: the same model, constraints and integrator, solved to the same
    minimum. One step differs by rounding (tests/sim/test_fused.py).
    """

    capabilities = Capabilities(
        has_contact_sensors=False,
        varying_fields=frozenset(PARAMETER_FIELDS),
        traceable=True,
        has_actuator_armature=False,
        worlds_together=8,
        bodies_per_call=5.0,
    )
    has_mass_matrix = False

    @classmethod
    def build(cls, model: mujoco.MjModel, request: WorldsRequest) -> FusedWorlds:
        """Returns worlds of a model, at its own pose."""
        return cls(
            model,
            request.num_worlds,
            device=request.device,
            fields=request.fields,
            num_threads=request.num_threads,
            lanes=request.lanes,
            hull_vertices=request.hull_vertices,
        )

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        *,
        device: torch.device | None = None,
        fields: Sequence[str] = (),
        num_threads: int = 0,
        lanes: int = 0,
        hull_vertices: int = 0,
    ) -> None:
        """Builds N worlds at the model's own pose.

        Args:
            model: The compiled model.
            num_worlds: Number of worlds, N.
            device: Where they are; the CPU if None.
            fields: Model fields that differ between worlds.
            num_threads: Threads that step them on a CPU; 0 is one per core that this process may
                use. Results do not depend on it.
            lanes: As ``physics_step`` takes it; 0 chooses. Four worlds or fewer get vectors of
                four, which round products differently.
            hull_vertices: The most vertices of a mesh's convex hull, at least 8; 0 keeps all.

        Raises:
            UnsupportedModel: The model needs something that this engine does not simulate.
            ValueError: The device has no such number of lanes, or hulls cannot be so small.
            RuntimeError: The compiled extension is missing, or lacks CUDA.
        """
        if reasons := _reasons_against(model, fields):
            said = f"it does not simulate this model: {'; '.join(reasons)}; use sim=auto"
            raise UnsupportedModel(said, reasons)
        self.num_worlds, self.model, self.device = num_worlds, model, device or torch.device("cpu")
        self.capturable = is_gpu(self.device)
        load_extension(self.device)
        where = str(self.device) if is_gpu(self.device) else "the CPU"
        self.description = f"rlgpu's fused engine on {where}, physics of MuJoCo {_VERSION}"
        adapts = not (num_threads or self.capturable)
        self._choice = ThreadChoice(num_threads or num_usable_cores(), adapts=adapts)
        self._lanes = lanes or _default_lanes(num_worlds, self.device)
        if 0 < hull_vertices < LEAST_VERTICES:
            raise ValueError(f"hull_vertices={hull_vertices}: use {LEAST_VERTICES} or more, or 0")
        self._tables = Tables(model, hull_vertices=hull_vertices, fields=fields)
        if hull_vertices:
            self.description += describe_deviations(hull_vertices, self._tables.hull_deviations)
        self._packed: PhysicsModel = self._tables.pack(device=self.device)
        self._fields = {name: self._own_field(name) for name in fields}
        self._deriving = DERIVING_FIELDS & set(fields)
        self.diverged, self.overflowed = torch.zeros(2, num_worlds, device=self.device).bool()
        self._state, self._act = self._initial_state()
        self._arrays = {
            "qpos": self._state.qpos,
            "qvel": self._state.qvel,
            "qacc_warmstart": self._state.qacc,
            "ctrl": self._zeros(model.nu),
            "act": self._act,
        }
        self._mocap_pose = self._bind_mocap_pose()
        self._outputs = PhysicsOutputs()
        self._derived = self._bind_derived()
        self._inverse_weights = InverseWeights(model, self.device) if self._deriving else None
        self._shared = {name: model_field(model, name).to(self.device) for name in PARAMETER_FIELDS}
        if fields:
            self.fields_written(fields)
        self.forward()  # refuses a number of lanes that this device lacks

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(self.num_worlds, *shape, device=self.device)

    def _initial_state(self) -> tuple[PhysicsState, Tensor]:
        """Returns the state at the model's own pose, and its activations, shape [N, na]."""
        model, act = self.model, self._zeros(self.model.na)
        qpos = model_field(model, "qpos0").float().repeat(self.num_worlds, 1).to(self.device)
        qvel, qacc = self._zeros(model.nv), self._zeros(model.nv)
        return PhysicsState(qpos, qvel, qacc, self.diverged, act), act

    def _bind_mocap_pose(self) -> Tensor | None:
        """Returns live poses of mocap bodies, first the model's, [N, nmocap, 7]; None if none."""
        if not self.model.nmocap:
            return None
        bodies = self.model.body_mocapid.argsort(kind="stable")[-self.model.nmocap :].tolist()
        fields = (model_field(self.model, name)[:, bodies] for name in ("body_pos", "body_quat"))
        pose = torch.cat(list(fields), dim=-1).float().to(self.device)
        live = pose.repeat(self.num_worlds, 1, 1)
        self._arrays["mocap_pos"], self._arrays["mocap_quat"] = live[..., :3], live[..., 3:]
        return live

    def _own_field(self, name: str) -> Tensor:
        """Returns a row of a model field for each world, shape [N, ...], float64."""
        field = model_field(self.model, name)
        return field.expand(self.num_worlds, *field.shape[1:]).to(self.device, copy=True)

    def _bind_derived(self) -> dict[str, Tensor]:
        """Returns live tensors of the constants that MuJoCo derives from fields that differ."""
        if not self._deriving:
            return {}
        if not host_may_read(self.device):
            return {name: self._own_field(name) for name in _DERIVED_FIELDS}
        # MuJoCo itself derives them, in memory that it shares with us.
        self._batch = Batch(self.model, self.num_worlds, self._choice.most)
        for name in self._deriving:
            shared = torch.from_numpy(self._batch.expand(name))
            self._fields[name] = shared.copy_(self._fields[name])
        return {name: torch.from_numpy(self._batch.expand(name)) for name in _DERIVED_FIELDS}

    def array(self, name: str) -> Tensor:
        """Returns a live tensor of an ``MjData`` field, shape [N, ...], float32."""
        if name not in self._arrays:
            width = {"xquat": 4, "xmat": 9}.get(name, 6 if name in _SPATIAL else 3)
            rows = self.model.nv if name in _OF_DOFS else self.model.nbody
            tensor = self._zeros(*((rows,) if name == "qfrc_actuator" else (rows, width)))
            self._arrays[name] = tensor
            if name != "xfrc_applied":
                self._outputs = self._outputs._replace(**{name: tensor})
        return self._arrays[name]

    def field(self, name: str) -> Tensor:
        """Returns a live tensor of a model field, shape [N, ...], float64."""
        return self._fields[name]

    def wrenches(self, bodies: Sequence[int]) -> Tensor:
        """Returns a live tensor of contact wrenches on bodies, shape [N, S, 6]."""
        packed = self._tables.pack(bodies, device=self.device)
        self._packed = packed._replace(parameters=self._packed.parameters)
        wrenches = self._zeros(len(bodies), 6)
        self._outputs = self._outputs._replace(wrenches=wrenches)
        return wrenches

    def contact_forces(self) -> Tensor:
        """Returns a live tensor of net contact forces on all bodies, shape [N, nbody - 1, 3]."""
        return self.array("cfrc_ext")[:, 1:, 3:]

    def prepare(self, num_steps: int) -> None:
        """Does nothing: the kernels are compiled already."""

    def step(self, num_steps: int) -> None:
        """Advances every world by physics steps under one held ``ctrl``."""
        with self._choice.measured() as num_threads:
            self._run(self._outputs, num_steps, num_threads)

    def _run(self, outputs: PhysicsOutputs, num_steps: int, num_threads: int = 0) -> None:
        physics_step(
            self._packed,
            self._arrays["ctrl"],
            self._state,
            outputs,
            num_steps=num_steps,
            num_threads=num_threads or self._choice.most,
            lanes=self._lanes,
            xfrc_applied=self._arrays.get("xfrc_applied"),
            mocap_pose=self._mocap_pose,
        )

    def check(self) -> None:
        """Does nothing: the kernels restart diverged worlds, and no contact is ever dropped."""

    def forward(self, mask: Tensor | None = None) -> None:
        """Brings poses and velocities of all bodies in line with ``qpos`` and ``qvel``."""
        self._run(self._outputs._replace(wrenches=None, cfrc_ext=None), 0)

    def reset(self, mask: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives the masked worlds a state without history."""
        chosen = mask[:, None]
        self._state.qpos.copy_(torch.where(chosen, qpos, self._state.qpos))
        self._state.qvel.copy_(torch.where(chosen, qvel, self._state.qvel))
        self._state.qacc.masked_fill_(chosen, 0.0)
        self._act.masked_fill_(chosen, 0.0)

    def reset_rows(self, rows: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives worlds a state without history."""
        self._state.qpos[rows], self._state.qvel[rows], self._state.qacc[rows] = qpos, qvel, 0.0
        self._act[rows] = 0.0

    def fields_written(self, names: Collection[str], rows: Rows = ALL_ROWS) -> None:
        """Packs the model fields into rows of parameters, with the constants derived from them."""
        if self._deriving & set(names):
            self._derive(rows)
        parameters = self._packed.parameters
        if parameters.dim() == 2:
            self._packed = self._packed._replace(parameters=in_blocks(self._rows(ALL_ROWS)))
        # In place: a CUDA graph reads them at this address.
        elif isinstance(rows, Tensor):
            write_blocks(parameters, rows, self._rows(rows))
        else:
            parameters.copy_(in_blocks(self._rows(rows)))

    def _rows(self, rows: Rows) -> Tensor:
        """Returns rows of parameters for some worlds, float32."""
        own = self._fields | self._derived
        fields = {name: self._shared[name] for name in PARAMETER_FIELDS if name not in own}
        fields |= {name: field[rows] for name, field in own.items()}
        found = self._tables.parameters.rows(fields).float()
        return found.expand(self.num_worlds, -1) if isinstance(rows, slice) else found

    def _derive(self, rows: Rows) -> None:
        """Brings the constants that MuJoCo derives from masses and armatures up to date."""
        if host_may_branch(self.device):
            self._batch.set_const(None if isinstance(rows, slice) else rows.numpy())
            return
        assert self._inverse_weights is not None
        found = self._inverse_weights.of(self._shared | self._fields)
        for name in _DERIVED_FIELDS:
            self._derived[name].copy_(found[name])

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that does nothing: launches join a capture of torch's by themselves."""
        return nullcontext()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns all state that carries over from step to step, as copies."""
        return {name: tensor.clone() for name, tensor in self._saved().items()}

    def _saved(self) -> dict[str, Tensor]:
        found = {name: self._arrays[name] for name in _STATE if name in self._arrays}
        return {name: tensor for name, tensor in found.items() if tensor.shape[1] > 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if "xfrc_applied" in state:
            self.array("xfrc_applied")  # it carries over, whether or not it was asked for here
        current = self._saved()
        check_saved(state, current)
        for name, tensor in current.items():
            tensor.copy_(state[name])

    def close(self) -> None:
        """Frees the worlds' memory; each thread keeps what it steps them in for the next ones."""
        self._arrays.clear()
        self._fields.clear()
        self._derived.clear()
        self.__dict__.pop("_batch", None)  # closing twice is allowed


def _reasons_against(model: mujoco.MjModel, fields: Collection[str]) -> list[str]:
    """Returns why the engine cannot simulate a model whose fields differ between worlds."""
    reasons = accept(model)
    if "body_iquat" in fields and has_fluid(model):
        reasons.append("inertial axes differ between worlds in a fluid")
    return reasons


def _default_lanes(num_worlds: int, device: torch.device) -> int:
    """Returns the lanes for some worlds; a few would leave those of wide vectors empty."""
    is_small = not is_gpu(device) and num_worlds <= _FEWEST_LANES
    return _FEWEST_LANES if is_small else 0
