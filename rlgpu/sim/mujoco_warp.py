"""The GPU engine: MuJoCo Warp, its arrays seen through torch tensors without copies.

On a GPU ``step`` and ``reset`` never wait for the device and may be captured in a CUDA graph; on
their own, the physics of a control step is a graph too. On Warp's CPU device the same code runs
with the physics recorded and replayed in C++: slower than ``mujoco``, and how the engine is tested
where there is no GPU.

MuJoCo Warp neither stops at a non-finite state nor recovers from one, and goes on with what fitted
where contacts or constraints overflow; here the first restarts a world, and both are reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from torch import Tensor

from rlgpu.sim import mjcf, parameters
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState

# Beyond this MuJoCo C calls a state bad, too. Source: mjMAXVAL, mujoco.h.
_MAX_VALUE = 1e10
_ROOM = mjw.OverflowType.ALL & ~mjw.OverflowType.ITERATIONS & ~mjw.OverflowType.LS_ITERATIONS
"""Overflows that leave something out; a solver that stops at its limit does not."""
_MAX_CONTACTS = 64
"""Contacts a world that are set aside unasked, where the geometry would allow more."""
# What MuJoCo derives from masses and inertias must have a row a world as well.
_DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "tendon_invweight0")


class MujocoWarpSimulator:
    """``Simulator`` on MuJoCo Warp, on an NVIDIA GPU or Warp's CPU device."""

    def __init__(
        self,
        scene: SceneSpec,
        timing: Timing,
        num_envs: int,
        *,
        device: torch.device,
        nconmax: int = 0,
        njmax: int = 0,
    ) -> None:
        """Builds N worlds at the asset's default pose.

        Args:
            scene: What to simulate and measure.
            timing: Physics and control steps.
            num_envs: Number of worlds, N.
            device: A CUDA device, or the CPU.
            nconmax: Contacts set aside for each world (they share them); 0 is the most that the
                geometry allows, up to 64.
            njmax: Constraint rows set aside for each world; 0 fits the contacts and limits.

        Raises:
            ValueError: The scene names joints or bodies that the asset does not have.
            RuntimeError: Warp cannot use the device.
        """
        wp.config.log_level = wp.LOG_WARNING  # not a line for each kernel compiled
        wp.init()
        self.num_envs, self.timing, self.device = num_envs, timing, device
        self.capturable = device.type == "cuda"
        self.model = mjcf.build_model(scene, timing)
        self._wp_device = _warp_device(device)
        nconmax, njmax = _room(self.model, nconmax, njmax)
        self.description = (
            f"MuJoCo Warp {mjw.__version__} on {device}, room for {nconmax} contacts (nconmax) and "
            f"{njmax} constraint rows (njmax) a world"
        )
        with wp.ScopedDevice(self._wp_device):
            self._m = _put_model(self.model, scene, num_envs)
            self._d = mjw.make_data(self.model, num_envs, nconmax=nconmax, njmax=njmax)
        self._where = where = mjcf.layout(self.model, scene, device)
        self.joint_names, self.body_names = where.joint_names, where.body_names
        self.joint_lower, self.joint_upper = where.joint_lower, where.joint_upper
        self._contact_forces, self._body_states = scene.contact_forces, scene.body_states
        self._bind(scene)
        self._in_capture = False
        self._joined: list[Any] = []  # Warp's side of torch's graphs, whose memory they use
        self._graph = self._capture_physics()
        self._restart_everyone()

    def _bind(self, scene: SceneSpec) -> None:
        view, d = wp.to_torch, self._d
        self._qpos, self._qvel, self._ctrl = view(d.qpos), view(d.qvel), view(d.ctrl)
        self._qacc_warmstart, self._overflow = view(d.qacc_warmstart), view(d.overflow)
        names = ("cfrc_ext", "subtree_com", "xpos", "xquat", "xmat", "cvel")
        self._derived = {name: view(getattr(d, name)) for name in names}
        state = mjcf.empty_state(self.model, scene, self.num_envs, self.device)
        aliases: dict[str, Tensor] = {
            "joint_pos": self._qpos[:, self._where.qpos],
            "joint_vel": self._qvel[:, self._where.dofs],
        }
        if self._where.floating:
            aliases["root_pos_w"] = self._qpos[:, :3]
            aliases["root_lin_vel_w"] = self._qvel[:, :3]
        self.state: SimState = state._replace(**aliases)
        self._fields = {
            field: view(_field(self._m, field))
            for name in scene.parameters
            for field in parameters.FIELDS[name]
        }
        self.parameters: Mapping[str, Tensor] = {
            name: parameters.read(name, self._fields, self._where) for name in scene.parameters
        }

    def _capture_physics(self) -> Any:
        """Returns the physics of a control step as a graph of Warp's; its kernels are compiled."""
        with wp.ScopedDevice(self._wp_device):
            self._physics()
            with wp.ScopedCapture() as capture:
                self._physics()
            if self._body_states:
                self._kinematics()
            # What ran is on Warp's own stream; torch's would not wait for it.
            wp.synchronize_device()
        return capture.graph

    def _physics(self) -> None:
        for _ in range(self.timing.decimation):
            mjw.step(self._m, self._d)

    def _kinematics(self) -> None:
        mjw.kinematics(self._m, self._d)
        mjw.com_pos(self._m, self._d)
        mjw.com_vel(self._m, self._d)

    def _restart_everyone(self) -> None:
        everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._put(everyone, self._where.qpos0, torch.zeros_like(self._qvel))
        self._overflow.zero_()
        self._read_root()
        self._refresh_bodies()

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
        if self.device.type == "cpu" or self._in_capture:
            return nullcontext()
        stream = wp.stream_from_torch(torch.cuda.current_stream(self.device))
        return wp.ScopedStream(stream, sync_enter=False, sync_exit=False)

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._ctrl.copy_(targets.index_select(1, self._where.driven))

    def step(self) -> None:
        """Advances all environments by one control step; ``refresh`` then reads the result."""
        with self._on_torch_stream():
            if self._in_capture:
                self._physics()
            else:
                wp.capture_launch(self._graph)

    def refresh(self) -> None:
        """Brings ``state`` up to date, and restarts worlds whose state is not finite."""
        state = self.state
        bad = ~(
            _is_bounded(self._qpos) & _is_bounded(self._qvel) & _is_bounded(self._qacc_warmstart)
        )
        state.diverged.copy_(bad)
        state.overflowed.copy_((self._overflow & int(_ROOM)) != 0)
        self._overflow.zero_()
        if self._contact_forces:
            forces_w = self._derived["cfrc_ext"][:, 1:, 3:]
            state.contact_force_w.copy_(forces_w.masked_fill(bad[:, None, None], 0.0))
        if len(self._where.wrenches):
            mjcf.read_wrenches(state, self._derived, self._where.wrenches)
            state.contact_wrench_b.masked_fill_(bad[:, None, None], 0.0)
        self._put(bad, self._where.qpos0, torch.zeros_like(self._qvel))
        self._read_root()
        self._refresh_bodies()

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        qpos = mjcf.reset_positions(self._where, to)
        self._put(mask, qpos, mjcf.reset_velocities(self._where, to, qpos, self.model.nv))
        self.state.contact_wrench_b.masked_fill_(mask[:, None, None], 0.0)
        self.state.contact_force_w.masked_fill_(mask[:, None, None], 0.0)
        self._read_root()
        self._refresh_bodies()

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter."""
        parameters.write(name, values, self._fields, self._where)
        self.parameters[name].copy_(values)
        if name in parameters.DERIVING:
            with self._on_torch_stream(), wp.ScopedDevice(self._wp_device):
                mjw.set_const(self._m, self._d, restore=False)
                if not self._in_capture:
                    # Its temporaries are freed without regard to torch's streams.
                    wp.synchronize_device()

    def _put(self, mask: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives masked worlds a state without history; all that survives a step is set."""
        chosen = mask[:, None]
        self._qpos.copy_(torch.where(chosen, qpos, self._qpos))
        self._qvel.copy_(torch.where(chosen, qvel, self._qvel))
        self._qacc_warmstart.masked_fill_(chosen, 0.0)

    def _read_root(self) -> None:
        if self._where.floating:
            mjcf.read_root(self.state, self._qpos, self._qvel)

    def _refresh_bodies(self) -> None:
        if self._body_states:
            self._kinematics_now()
            mjcf.read_bodies(self.state, self._derived)

    @torch.compiler.disable  # Warp's launches are no tensor code
    def _kinematics_now(self) -> None:
        with self._on_torch_stream(), wp.ScopedDevice(self._wp_device):
            self._kinematics()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns all that survives a step, and the contact quantities."""
        return {
            "qpos": self._qpos.clone(),
            "qvel": self._qvel.clone(),
            "qacc_warmstart": self._qacc_warmstart.clone(),
            "contact_wrench_b": self.state.contact_wrench_b.clone(),
            "contact_force_w": self.state.contact_force_w.clone(),
            **{f"parameter.{name}": values.clone() for name, values in self.parameters.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments.
        """
        mjcf.check_saved(state, "qpos", self._qpos)
        for name in self.parameters:
            self.set_parameter(name, state[f"parameter.{name}"].to(self.device))
        self._qpos.copy_(state["qpos"])
        self._qvel.copy_(state["qvel"])
        self._qacc_warmstart.copy_(state["qacc_warmstart"])
        self._read_root()
        self._refresh_bodies()
        self.state.contact_wrench_b.copy_(state["contact_wrench_b"])
        self.state.contact_force_w.copy_(state["contact_force_w"])

    def close(self) -> None:
        """Frees the engine's memory."""
        self._joined.clear()
        del self._graph, self._m, self._d


def _warp_device(device: torch.device) -> Any:
    index = device.index or 0
    name = f"cuda:{index}" if device.type == "cuda" else "cpu"
    if device.type == "cuda" and index >= wp.get_cuda_device_count():
        raise RuntimeError(
            f"Warp {wp.config.version} finds no device {name}: its CUDA 13 build needs an NVIDIA "
            "driver of version 580 or newer; update the driver, or use warp-lang==1.17.0 "
            "(driver 525 or newer)"
        )
    return wp.get_device(name)


def _is_bounded(x: Tensor) -> Tensor:
    """Returns whether all numbers of a row are finite and sane; NaN compares false."""
    return (x.abs() < _MAX_VALUE).all(dim=-1)


def _room(model: mujoco.MjModel, nconmax: int, njmax: int) -> tuple[int, int]:
    """Returns the contacts and constraint rows to set aside for each world; 0 is our choice."""
    most = mjcf.bounds(model)
    contacts = nconmax or max(min(most.contacts, _MAX_CONTACTS), 1)
    rows = most.contact_rows * contacts // max(most.contacts, 1)
    return contacts, njmax or max(min(rows, most.contact_rows) + most.other_rows, 1)


def _put_model(model: mujoco.MjModel, scene: SceneSpec, num_envs: int) -> Any:
    fields = {field for name in scene.parameters for field in parameters.FIELDS[name]}
    if parameters.DERIVING & set(scene.parameters):
        fields |= set(_DERIVED)
    batched = {field: num_envs for field in fields if not field.startswith("opt.")}
    m = mjw.put_model(model, batch_sizes=batched)
    # The device would print a line for each; we count them. Compiled into the kernels, so first.
    m.opt.warn_overflow = 0
    if "opt.gravity" in fields:
        gravity = np.tile(model.opt.gravity, (num_envs, 1)).astype(np.float32)
        m.opt.gravity = wp.array(gravity, dtype=wp.vec3)
    return m


def _field(m: Any, name: str) -> Any:
    return (
        getattr(m.opt, name.removeprefix("opt.")) if name.startswith("opt.") else getattr(m, name)
    )
