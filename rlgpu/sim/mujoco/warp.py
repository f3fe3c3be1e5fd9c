"""MuJoCo Warp on an NVIDIA GPU, with its arrays exposed as torch tensors without copies.

On a GPU, ``step`` and ``reset`` never wait for the device and may be captured in a CUDA graph;
outside a capture, the physics of a control step is itself a graph. On Warp's CPU device the same
code runs with the physics recorded and replayed in C++: slower than MuJoCo C, and used to test the
engine without a GPU.

MuJoCo Warp neither stops at a non-finite state nor recovers from one, and continues with whatever
fits when contacts or constraints overflow. Here, a non-finite state restarts the world, and both
events are reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from torch import Tensor

from rlgpu.device import is_gpu
from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.sim.mujoco.contacts import add_possible_friction, bounds
from rlgpu.sim.mujoco.fused.inverse_weights import DERIVED_FROM, InverseWeights
from rlgpu.sim.mujoco.fused.parameter_tables import model_field
from rlgpu.sim.mujoco.warp_contacts import ContactSums
from rlgpu.sim.mujoco.worlds import DERIVING_FIELDS, Capabilities, WorldsRequest, check_saved
from rlgpu.sim.mujoco.wrenches import WrenchReader

# MuJoCo C also treats a state beyond this as bad. Source: mjMAXVAL, mujoco.h.
_MAX_VALUE = 1e10
_LEFT_OUT = mjw.OverflowType.ALL & ~mjw.OverflowType.ITERATIONS & ~mjw.OverflowType.LS_ITERATIONS
"""Overflows that drop contacts or constraints; a solver at its iteration limit does not."""
_MAX_CONTACTS = 64
"""Default contact budget per world if the geometry allows more."""
# Fields that MuJoCo derives from masses and inertias also need one row per world.
_DERIVED = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "tendon_invweight0",
    "tendon_length0",
    "actuator_acc0",
)
_STATE = (
    "qpos",
    "qvel",
    "act",
    "ctrl",
    "qacc_warmstart",
    "qfrc_applied",
    "xfrc_applied",
    "mocap_pos",
    "mocap_quat",
    "time",
)
"""All state that carries over from step to step."""


class WarpWorlds:
    """``Worlds`` on MuJoCo Warp, on an NVIDIA GPU or Warp's CPU device."""

    capabilities = Capabilities(
        stacks_on_terrain=False, restarts_in_check=True, worlds_together=1024
    )
    has_mass_matrix = False

    @classmethod
    def build(cls, model: mujoco.MjModel, request: WorldsRequest) -> WarpWorlds:
        """Returns worlds of a model, at its own pose."""
        return cls(
            model,
            request.num_worlds,
            device=request.device,
            fields=request.fields,
            nconmax=request.nconmax,
            njmax=request.njmax,
            deterministic=request.deterministic,
        )

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        *,
        device: torch.device,
        fields: Sequence[str] = (),
        nconmax: int = 0,
        njmax: int = 0,
        deterministic: bool = False,
    ) -> None:
        """Builds N worlds at the model's own pose.

        Args:
            model: The compiled model.
            num_worlds: Number of worlds, N.
            device: A CUDA device, or the CPU.
            fields: Model fields that differ between worlds.
            nconmax: Contact budget per world (worlds share the total); 0 is the maximum that
                the geometry allows, up to 64.
            njmax: Constraint rows per world; 0 allocates enough for the contacts and limits.
            deterministic: Whether to order contacts, constraints and sums identically in every run;
                slower.

        Raises:
            RuntimeError: Warp cannot use the device.
        """
        wp.config.log_level = wp.LOG_WARNING  # no line per compiled kernel
        wp.init()
        self.num_worlds, self.device, self.model = num_worlds, device, model
        self.capturable = is_gpu(device)
        self._wp_device = _warp_device(device)
        counted = add_possible_friction(model, fields)
        nconmax, njmax = _budget(counted, nconmax, njmax)
        self.description = (
            f"MuJoCo Warp {mjw.__version__} on {device}, at most {nconmax} contacts (nconmax) and "
            f"{njmax} constraint rows (njmax) per world"
        )
        with wp.ScopedDevice(self._wp_device):
            self._m = _put_model(model, fields, num_worlds, deterministic)
            self._d = mjw.make_data(counted, num_worlds, nconmax=nconmax, njmax=njmax)
            wp.synchronize_device()
        self._field_names = set(fields)
        self._shared: dict[str, Tensor] = {}
        self._derived: dict[str, Tensor] = {}
        self._inverse_weights = self._bind_inverse_weights()
        self._arrays: dict[str, Tensor] = {}
        self._contacts: ContactSums | None = None
        self._wrench_reader: WrenchReader | None = None
        self._qpos, self._qvel = self.array("qpos"), self.array("qvel")
        self._warm_start, self._overflow = self.array("qacc_warmstart"), self.array("overflow")
        self._qpos0 = torch.tensor(model.qpos0, dtype=torch.float32, device=device)
        self.diverged = torch.zeros(num_worlds, dtype=torch.bool, device=device)
        self.overflowed = torch.zeros(num_worlds, dtype=torch.bool, device=device)
        self._in_capture = False
        self._joined: list[Any] = []  # Warp's captures, whose memory torch's graphs use
        self._graphs: dict[int, Any] = {}
        self._start_over()

    def _bind_inverse_weights(self) -> InverseWeights | None:
        """Returns what derives constants where only masses and armatures differ, else None."""
        varying = DERIVING_FIELDS & self._field_names
        if not varying or not varying <= DERIVED_FROM:
            return None
        self._shared = {n: model_field(self.model, n).to(self.device) for n in DERIVED_FROM}
        self._derived = {name: wp.to_torch(getattr(self._m, name)) for name in _DERIVED}
        return InverseWeights(self.model, self.device)

    def array(self, name: str) -> Tensor:
        """Returns a live tensor of an ``MjData`` field, shape [N, ...], float32."""
        # One tensor per array: torch.compile treats two over the same memory as unrelated.
        if name not in self._arrays:
            self._arrays[name] = wp.to_torch(getattr(self._d, name))
        return self._arrays[name]

    def field(self, name: str) -> Tensor:
        """Returns a live tensor of a model field, shape [N, ...], float32."""
        if name not in self._field_names:
            raise KeyError(name)
        holder = self._m.opt if name.startswith("opt.") else self._m
        view: Tensor = wp.to_torch(getattr(holder, name.removeprefix("opt.")))
        return view

    def wrenches(self, bodies: Sequence[int]) -> Tensor:
        """Returns a live tensor of contact wrenches on bodies, shape [N, S, 6], float32."""
        sums = self._contact_sums().sums
        self._wrench_reader = WrenchReader(self.model, self.array, sums, bodies)
        return self._wrench_reader.wrenches

    def contact_forces(self) -> Tensor:
        """Returns a live tensor of net contact forces on all bodies, shape [N, nbody - 1, 3]."""
        return self._contact_sums().sums[:, 1:, 3:]

    def _contact_sums(self) -> ContactSums:
        """Returns the sums of contacts; ``step`` updates them from now on."""
        if self._contacts is None:
            with wp.ScopedDevice(self._wp_device):
                self._contacts = ContactSums(
                    self._m, self._d, deterministic=bool(self._m.opt.deterministic)
                )
        return self._contacts

    def prepare(self, num_steps: int) -> None:
        """Compiles all kernels and records ``step(num_steps)`` as a Warp graph."""
        before = self.state_dict()
        with wp.ScopedDevice(self._wp_device):
            # Warp's own stream and torch's do not wait for each other.
            wp.synchronize_device()
            self._physics(num_steps)
            with wp.ScopedCapture() as capture:
                self._physics(num_steps)
            self._kinematics()
            wp.synchronize_device()
        self._graphs[num_steps] = capture.graph
        self.load_state_dict(before)
        self._overflow.zero_()

    def _physics(self, num_steps: int) -> None:
        for _ in range(num_steps):
            mjw.step(self._m, self._d)
        if self._contacts is not None:
            self._contacts.update()

    def _kinematics(self) -> None:
        mjw.kinematics(self._m, self._d)
        mjw.com_pos(self._m, self._d)
        mjw.com_vel(self._m, self._d)

    def _start_over(self) -> None:
        self._qpos.copy_(self._qpos0.expand_as(self._qpos))
        self._qvel.zero_()

    def step(self, num_steps: int) -> None:
        """Advances every world by physics steps under one held ``ctrl``."""
        if not self._in_capture and num_steps not in self._graphs:
            self.prepare(num_steps)
        with self._on_torch_stream():
            if self._in_capture:
                self._physics(num_steps)
            else:
                wp.capture_launch(self._graphs[num_steps])

    def check(self) -> None:
        """Brings the flags up to date, and restarts worlds whose state is not finite."""
        bad = ~(_is_bounded(self._qpos) & _is_bounded(self._qvel) & _is_bounded(self._warm_start))
        self.diverged.copy_(bad)
        self.overflowed.copy_((self._overflow & int(_LEFT_OUT)) != 0)
        self._overflow.zero_()
        self.reset(bad, self._qpos0, torch.zeros_like(self._qvel))
        if self._wrench_reader is not None:
            self._wrench_reader.read()

    def reset(self, mask: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives the masked worlds a state without history."""
        chosen = mask[:, None]
        self._qpos.copy_(torch.where(chosen, qpos, self._qpos))
        self._qvel.copy_(torch.where(chosen, qvel, self._qvel))
        self._warm_start.masked_fill_(chosen, 0.0)

    def reset_rows(self, rows: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives worlds a state without history."""
        self._qpos[rows], self._qvel[rows], self._warm_start[rows] = qpos, qvel, 0.0

    @torch.compiler.disable  # torch.compile cannot trace Warp's launches
    def forward(self, mask: Tensor | None = None) -> None:
        """Brings poses and velocities of all bodies in line with ``qpos`` and ``qvel``."""
        with self._on_torch_stream(), wp.ScopedDevice(self._wp_device):
            self._kinematics()

    def fields_written(self, names: Collection[str], rows: Rows = ALL_ROWS) -> None:
        """Recomputes the constants that MuJoCo derives from model fields."""
        if not DERIVING_FIELDS & set(names):
            return
        if self._inverse_weights is not None:
            self._derive(self._inverse_weights, rows)
            return
        with self._on_torch_stream(), wp.ScopedDevice(self._wp_device):
            mjw.set_const(self._m, self._d, restore=False)
            if not self._in_capture:
                # set_const frees its temporaries without waiting for torch's streams.
                wp.synchronize_device()

    def _derive(self, weights: InverseWeights, rows: Rows) -> None:
        """Brings constants up to date at every reset: MuJoCo Warp's own way takes far longer."""
        own = {name: self.field(name)[rows].double() for name in DERIVED_FROM & self._field_names}
        for name, values in weights.of(self._shared | own).items():
            self._derived[name][rows] = values.float()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Joins the CUDA graph that torch is capturing on its current stream."""
        stream = wp.stream_from_torch(torch.cuda.current_stream(self.device))
        with wp.ScopedStream(stream, sync_enter=False, sync_exit=False):
            wp.capture_begin(stream=stream, external=True)
            self._in_capture = True
            try:
                yield
            finally:
                self._in_capture = False
                self._joined.append(wp.capture_end(stream=stream))

    def _on_torch_stream(self) -> Any:
        if not is_gpu(self.device) or self._in_capture:
            return nullcontext()
        stream = wp.stream_from_torch(torch.cuda.current_stream(self.device))
        return wp.ScopedStream(stream, sync_enter=False, sync_exit=False)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns all state that carries over from step to step, as copies."""
        return {name: self.array(name).clone() for name in self._saved()}

    def _saved(self) -> list[str]:
        """Returns the names of the state arrays that are not empty for this model."""
        return [name for name in _STATE if 0 not in getattr(self._d, name).shape]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        current = {name: self.array(name) for name in self._saved()}
        check_saved(state, current)
        for name, tensor in current.items():
            tensor.copy_(state[name])

    def close(self) -> None:
        """Frees the engine's memory."""
        self._joined.clear()
        self._graphs.clear()
        self._arrays.clear()
        del self._m, self._d


def _warp_device(device: torch.device) -> Any:
    index = device.index or 0
    name = f"cuda:{index}" if is_gpu(device) else "cpu"
    if is_gpu(device) and index >= wp.get_cuda_device_count():
        raise RuntimeError(
            f"Warp {wp.config.version} finds no device {name}: its CUDA 13 build needs an NVIDIA "
            "driver of version 580 or newer; update the driver, or use warp-lang==1.17.0 "
            "(driver 525 or newer)"
        )
    return wp.get_device(name)


def _is_bounded(x: Tensor) -> Tensor:
    """Returns whether all numbers in a row are below ``_MAX_VALUE``; NaN compares false."""
    return (x.abs() < _MAX_VALUE).all(dim=-1)


def _budget(model: mujoco.MjModel, nconmax: int, njmax: int) -> tuple[int, int]:
    """Returns the contacts and constraint rows allocated per world; 0 selects the default."""
    most = bounds(model)
    contacts = nconmax or max(min(most.contacts, _MAX_CONTACTS), 1)
    rows = most.contact_rows * contacts // max(most.contacts, 1)
    return contacts, njmax or max(min(rows, most.contact_rows) + most.other_rows, 1)


def _put_model(
    model: mujoco.MjModel, fields: Sequence[str], num_worlds: int, deterministic: bool
) -> Any:
    wanted = {*fields, *(_DERIVED if DERIVING_FIELDS & set(fields) else ())}
    batched = {name: num_worlds for name in wanted if not name.startswith("opt.")}
    m = mjw.put_model(model, batch_sizes=batched)
    # Both are compiled into the kernels, so they are set first. Overflows are reported by us; the
    # device would print a line for each.
    m.opt.warn_overflow = 0
    m.opt.deterministic = deterministic
    if "opt.gravity" in wanted:
        gravity = np.tile(model.opt.gravity, (num_worlds, 1)).astype(np.float32)
        m.opt.gravity = wp.array(gravity, dtype=wp.vec3)
    return m
