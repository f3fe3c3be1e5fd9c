"""Domain randomisation: physical parameters, noise and delays that differ between environments.

Every parameter is one tensor operation over the environments that are reset or, on a GPU, where the
host does not look at which they are, over all of them.

Source: IsaacGymEnvs, docs/domain_randomization.md and utils/dr_utils.py. Its second number of a
Gaussian is called the variance there, but used as the standard deviation, as here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.envs.randomization_config import Noise, Randomization, Spread, Varied
from rlgpu.errors import UsageError
from rlgpu.rows import per_row
from rlgpu.sim import Simulator

PARAMETER_OF: Mapping[str, str] = {
    "gravity": "gravity",
    "mass": "body_mass",
    "center_of_mass": "body_com",
    "friction": "friction",
    "stiffness": "drive_stiffness",
    "damping": "drive_damping",
    "joint_damping": "joint_damping",
    "armature": "joint_armature",
}
"""The simulator's parameter behind each that can vary."""


def varied(settings: Randomization) -> dict[str, Varied]:
    """Returns the parameters that vary, by the simulator's names.

    Raises:
        UsageError: A range is not two numbers in order.
    """
    chosen = {parameter: getattr(settings, key) for key, parameter in PARAMETER_OF.items()}
    for key in (*PARAMETER_OF, "observations", "actions"):
        _check(f"task.randomization.{key}", getattr(settings, key))
    return {parameter: spread for parameter, spread in chosen.items() if spread.range}


def _check(key: str, spread: Spread) -> None:
    is_gaussian = spread.distribution == "gaussian"
    if spread.range:
        _check_range(f"{key}.range", spread.range, is_ordered=not is_gaussian)
    if isinstance(spread, Noise) and spread.range_correlated:
        _check_range(f"{key}.range_correlated", spread.range_correlated, is_ordered=not is_gaussian)
    if spread.distribution == "loguniform" and spread.range and spread.range[0] <= 0.0:
        raise UsageError(f"{key}.range={spread.range}: a loguniform range must be above 0")


def _check_range(key: str, values: list[float], *, is_ordered: bool = True) -> None:
    if len(values) != 2 or (is_ordered and values[0] > values[1]):
        raise UsageError(f"{key}={values}: give two numbers, the smaller one first")


class Randomizer:
    """Draws and applies what a configuration randomises."""

    def __init__(
        self, settings: Randomization, sim: Simulator, num_observations: int, num_actions: int
    ) -> None:
        """Keeps the values of the asset, which numbers are added to or factors of.

        Args:
            settings: What is randomised.
            sim: Its scene lets the parameters vary.
            num_observations: Columns of the observations, O.
            num_actions: Columns of the actions, A.

        Raises:
            UsageError: A body or joint has an unknown name.
        """
        self._settings, self._sim = settings, sim
        n, device = sim.num_envs, sim.device
        self._varied = varied(settings)
        self._originals = {name: sim.parameters[name].clone() for name in self._varied}
        self._chosen = {name: self._mask_of(name, v) for name, v in self._varied.items()}
        self.most_delay = max(settings.action_delay, default=0)
        self._noise = torch.zeros(n, num_observations, device=device)
        self._action_noise = torch.zeros(n, num_actions, device=device)
        self._host_may_read = host_may_read(device)
        self._new: dict[str, Tensor] = {}
        self.buffers = {
            "steps": torch.zeros((), dtype=torch.int64, device=device),
            "since": torch.full((n,), -1, dtype=torch.int64, device=device),
            "held_observations": torch.zeros_like(self._noise),
            "held_actions": torch.zeros_like(self._action_noise),
            "delay": torch.zeros(n, dtype=torch.int64, device=device),
            "late": torch.zeros(self.most_delay + 1, n, num_actions, device=device),
        }
        """What checkpoints keep: steps so far, steps since parameters were drawn (-1: never),
        noise that is held, delays, and the latest actions, the newest first."""

    def _mask_of(self, name: str, spread: Varied) -> Tensor:
        """Returns which entries of a parameter vary, in a shape that broadcasts."""
        values, sim = self._originals[name], self._sim
        names = {"body": sim.body_names, "joint": sim.joint_names, "drive": sim.joint_names}
        known = names.get(name.split("_", maxsplit=1)[0], ())
        if unknown := [x for x in spread.only if x not in known]:
            allowed = ", ".join(known) or "none can be chosen here"
            raise UsageError(f"task.randomization: {unknown[0]} is not one of {allowed}")
        chosen = [not spread.only or x in spread.only for x in known]
        mask = torch.tensor(chosen or [True], device=sim.device)
        return mask[:, None] if values.dim() == 3 else mask

    def draw(self, generator: torch.Generator) -> None:
        """Draws the noise of a step and, where the host does not know which, that of a reset."""
        settings = self._settings
        self.buffers["steps"] += 1
        for noise, drawn in (
            (settings.observations, self._noise),
            (settings.actions, self._action_noise),
        ):
            if noise.range:
                drawn.copy_(sample(noise, noise.range, drawn.shape, generator))
        if not self._host_may_read:
            self._new = self._draw_new(self._sim.num_envs, generator)

    def _draw_new(self, rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns what resets of some environments need: parameters' numbers, noise, delays."""
        settings, drawn = self._settings, {}
        for name, spread in self._varied.items():
            shape = (rows, *self._originals[name].shape[1:])
            if spread.per_robot:
                shape = (rows, *[1] * (len(shape) - 1))
            drawn[name] = sample(spread, spread.range, shape, generator)
        for name, noise in (("held_observations", settings.observations),
                            ("held_actions", settings.actions)):  # fmt: skip
            if noise.range_correlated:
                shape = (rows, self.buffers[name].shape[1])
                drawn[name] = sample(noise, noise.range_correlated, shape, generator)
        if settings.action_delay:
            least, most = settings.action_delay
            delay = torch.empty(rows, dtype=torch.int64, device=generator.device)
            drawn["delay"] = delay.random_(least, most + 1, generator=generator)
        return drawn

    def observe(self, observations: Tensor) -> Tensor:
        """Returns observations with noise, [N, O]."""
        held = self.buffers["held_observations"]
        return self._noisy(self._settings.observations, observations, self._noise, held)

    def act(self, actions: Tensor) -> Tensor:
        """Returns actions with noise, as late as each environment's are, [N, A]."""
        buffers, held = self.buffers, self.buffers["held_actions"]
        actions = self._noisy(self._settings.actions, actions, self._action_noise, held)
        if not self.most_delay:
            return actions
        late = buffers["late"]
        late.copy_(torch.cat((actions[None], late[:-1])))
        rows = torch.arange(len(actions), device=actions.device)
        return late[buffers["delay"], rows]

    def _noisy(self, noise: Noise, values: Tensor, drawn: Tensor, held: Tensor) -> Tensor:
        share = self._share(noise)
        if noise.range:
            values = _applied(noise, values, drawn, share)
        return _applied(noise, values, held, share) if noise.range_correlated else values

    def _share(self, spread: Spread) -> Tensor:
        """Returns how much of a randomisation is in effect, from 0 to 1, shape []."""
        steps = self.buffers["steps"].float()
        if spread.schedule == "linear":
            return (steps / max(spread.schedule_steps, 1)).clamp(max=1.0)
        if spread.schedule == "constant":
            return (steps > spread.schedule_steps).float()
        return torch.ones_like(steps)

    def reset(self, mask: Tensor, generator: torch.Generator) -> None:
        """Gives environments that are reset new noise and delays, and if due new parameters.

        Args:
            mask: Environments that are reset, shape [N], bool.
            generator: For what has not been drawn yet.
        """
        buffers = self.buffers
        buffers["late"].masked_fill_(mask[None, :, None], 0.0)
        rows: slice | Tensor = slice(None)
        new = self._new
        if self._host_may_read:  # only these rows are drawn and written
            rows = mask.nonzero()[:, 0]
            if not len(rows):
                return
            new = self._draw_new(len(rows), generator)
            mask = mask[rows]
        since = buffers["since"][rows]
        first = mask & (since < 0)
        due = first | (mask & (since >= self._settings.frequency))
        self._vary(rows, new, first, due)
        buffers["since"][rows] = torch.where(due, 0, since)
        for name in ("held_observations", "held_actions", "delay"):
            if name in new:
                before = buffers[name][rows]
                buffers[name][rows] = torch.where(per_row(mask, before), new[name], before)

    def _vary(
        self, rows: slice | Tensor, drawn: Mapping[str, Tensor], first: Tensor, due: Tensor
    ) -> None:
        """Gives environments that are due their new parameters."""
        values = {}
        for name, spread in self._varied.items():
            before, original = self._sim.parameters[name][rows], self._originals[name][rows]
            new = _applied(spread, original, drawn[name], self._share(spread))
            new = torch.where(self._chosen[name], new, original)
            changes = first if spread.setup_only else due
            values[name] = torch.where(per_row(changes, new), new, before)
        if values:
            self._sim.set_parameters(values, rows)

    def advance(self) -> None:
        """Counts a step."""
        since = self.buffers["since"]
        since += (since >= 0).long()


def sample(
    spread: Spread, limits: list[float], shape: torch.Size | tuple[int, ...],
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Returns random numbers of a spread's distribution on the generator's device."""
    first, second = limits
    device = generator.device
    if spread.distribution == "gaussian":
        return first + second * torch.randn(shape, generator=generator, device=device)
    drawn = torch.rand(shape, generator=generator, device=device)
    if spread.distribution == "loguniform":
        low, high = math.log(first), math.log(second)
        return torch.exp(low + drawn * (high - low))
    return first + drawn * (second - first)


def _applied(spread: Spread, values: Tensor, drawn: Tensor, share: Tensor) -> Tensor:
    """Returns values after an operation by drawn numbers, of which a share is in effect."""
    if spread.operation == "additive":
        return values + share * drawn
    return values * (share * drawn + (1.0 - share))
