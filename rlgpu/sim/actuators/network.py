"""Motors whose torques a network says: a TorchScript file, as legged_gym and Isaac Lab have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgpu.device.rows import per_row
from rlgpu.errors import Unreadable, UsageError
from rlgpu.sim.actuator_settings import ActuatorNetwork
from rlgpu.sim.actuators.motors import Gains

KEY = "task.actuators.network.file"


class NetworkMotors:
    """Torques of a network that sees how far joints are from their targets, and their speeds."""

    def __init__(
        self, gains: Gains, settings: ActuatorNetwork, n: int, device: torch.device
    ) -> None:
        """Loads the network.

        Args:
            gains: Of the drives; those that are no position drives are refused.
            settings: Where it is, and what it sees.
            n: Number of environments N.
            device: Of the tensors.

        Raises:
            UsageError: It cannot be used.
        """
        if not bool(gains.is_position[gains.is_driven].all()):
            said = "task.actuators.model=network: it needs position drives, these are of torques"
            raise UsageError(said, key="task.actuators.model", value="network")
        if not settings.file:
            said = f"{KEY}: none is given; wanted a TorchScript file, e.g. {KEY}=motor.pt"
            raise UsageError(said, key=KEY, value="")
        self._settings, self._rows = settings, gains.is_driven.nonzero()[:, 0]
        self._network = _loaded(Path(settings.file), device)
        joints = len(self._rows)
        # The first argument is the module itself.
        arguments = len(self._network.forward.schema.arguments) - 1
        self._has_memory = arguments > 1
        seen = torch.zeros(n, max(settings.steps) + 1, joints, device=device)
        self.buffers = {"errors": seen, "velocities": seen.clone()}
        if self._has_memory:
            layers, size = _lstm_sizes(self._network, settings.file)
            memory = torch.zeros(n, joints, layers, size, device=device)
            self.buffers = {"hidden": memory, "cell": memory.clone()}
        self._try(n, len(gains.is_driven), device)

    def _try(self, n: int, joints: int, device: torch.device) -> None:
        """Runs it once."""
        zero, file = torch.zeros(n, joints, device=device), self._settings.file
        try:
            said = self.torques(zero, zero, zero)
        except Exception as error:  # of whatever kind TorchScript raises
            lines = [line for line in str(error).splitlines() if line.strip()]
            said_of = (
                f"{KEY}={file}: it does not take or return what it should: {lines[-1].strip()}"
            )
            raise UsageError(said_of, key=KEY, value=file) from error
        if not bool(said.isfinite().all()):
            said_of = f"{KEY}={file}: its torques of a joint at rest at its target are not finite"
            raise UsageError(said_of, key=KEY, value=file)
        self.reset(torch.ones(n, dtype=torch.bool, device=device))

    def torques(self, targets: Tensor, pos: Tensor, vel: Tensor) -> Tensor:
        """Returns the network's torques, 0 of passive joints, all [N, J]."""
        settings, rows = self._settings, self._rows
        error = settings.position_scale * (targets - pos)[:, rows]
        velocity = settings.velocity_scale * vel[:, rows]
        with torch.no_grad():
            ask = self._with_memory if self._has_memory else self._with_history
            said = ask(error, velocity)
        torques = settings.torque_scale * said.reshape(error.shape)
        return torch.zeros_like(pos).index_copy(1, rows, torques)

    def _with_history(self, error: Tensor, velocity: Tensor) -> Tensor:
        columns = []
        for name, now in (("errors", error), ("velocities", velocity)):
            past = self.buffers[name]
            past.copy_(torch.cat((now[:, None], past[:, :-1]), dim=1))
            columns.append(past[:, self._settings.steps].transpose(1, 2).flatten(0, 1))
        if self._settings.velocity_first:
            columns.reverse()
        return self._network(torch.cat(columns, dim=-1))

    def _with_memory(self, error: Tensor, velocity: Tensor) -> Tensor:
        columns = [error.flatten(), velocity.flatten()]
        if self._settings.velocity_first:
            columns.reverse()
        hidden, cell = self.buffers["hidden"], self.buffers["cell"]
        before = tuple(x.flatten(0, 1).transpose(0, 1).contiguous() for x in (hidden, cell))
        said, after = self._network(torch.stack(columns, dim=-1)[:, None], before)
        for memory, value in zip((hidden, cell), after, strict=True):
            memory.copy_(value.transpose(0, 1).unflatten(0, memory.shape[:2]))
        return said

    def reset(self, mask: Tensor) -> None:
        """Forgets what was seen, of environments that are reset."""
        for value in self.buffers.values():
            value.masked_fill_(per_row(mask, value), 0.0)


def _loaded(file: Path, device: torch.device) -> Any:
    """Returns the network.

    Raises:
        Unreadable: It cannot be loaded.
    """
    if not file.is_file():
        said = f"{KEY}={file}: there is no such file; it is a TorchScript file"
        raise Unreadable(said, "missing", key=KEY, value=str(file), path=file)
    try:
        return torch.jit.load(str(file), map_location="cpu").to(device).eval()
    except RuntimeError as error:
        said = f"{KEY}={file}: not a TorchScript file"
        raise Unreadable(said, "form", key=KEY, value=str(file), path=file) from error


def _lstm_sizes(network: Any, file: str) -> tuple[int, int]:
    """Returns layers and units of its LSTM."""
    weights = {name: value.shape for name, value in network.named_parameters()}
    layers = [name for name in weights if ".weight_hh_l" in f".{name}"]
    if not layers:
        said = f"{KEY}={file}: it takes a memory, but has no LSTM"
        raise UsageError(said, key=KEY, value=file)
    return len(layers), weights[layers[0]][1]
