"""Domain randomisation: physical parameters, noise and delays that differ between environments.

All parameters are drawn and applied by the same few tensor operations, over the environments that
are reset or, on a GPU, where the host does not look at which they are, over all of them.

Source: IsaacGymEnvs, docs/domain_randomization.md and utils/dr_utils.py. Its second number of a
Gaussian is called the variance there, but used as the standard deviation, as here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.device.rows import ALL_ROWS, Rows, per_row
from rlgpu.envs.randomization_config import Noise, Randomization, Spread
from rlgpu.envs.varied_parameters import VariedParameters, share_of
from rlgpu.sim import Simulator


class Randomizer:
    """Draws and applies what a configuration randomises."""

    def __init__(
        self, settings: Randomization, sim: Simulator, num_observations: int, num_actions: int
    ) -> None:
        """Begins with no noise and no delay.

        Args:
            settings: What is randomised.
            sim: Its scene lets the parameters vary.
            num_observations: Columns of the observations, O.
            num_actions: Columns of the actions, A.

        Raises:
            UsageError: A body or joint has an unknown name.
        """
        self._settings, self._num_envs = settings, sim.num_envs
        self._parameters = VariedParameters(settings, sim)
        n, device = sim.num_envs, sim.device
        self.most_delay = max(settings.action_delay, default=0)
        self._noise = torch.zeros(n, num_observations, device=device)
        self._action_noise = torch.zeros(n, num_actions, device=device)
        self._host_may_read = host_may_read(device)
        self._device, self._rows = device, torch.arange(n, device=device)
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
        noise that is held, delays, and the latest actions, each in the place of its step modulo
        the number of places."""

    def draw(self, generator: torch.Generator) -> None:
        """Draws the noise of a step and, where the host does not know which, that of a reset."""
        settings = self._settings
        self.buffers["steps"] += 1
        for noise, drawn in (
            (settings.observations, self._noise),
            (settings.actions, self._action_noise),
        ):
            if noise.range:
                fill(drawn, noise, noise.range, generator)
        if not self._host_may_read:
            self._new = self._draw_new(self._num_envs, generator)

    def _draw_new(self, rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns what resets of some environments need: parameters' numbers, noise, delays."""
        settings, drawn = self._settings, {}
        if self._parameters.names:
            drawn["parameters"] = self._parameters.draw(rows, generator)
        for name, noise in (
            ("held_observations", settings.observations),
            ("held_actions", settings.actions),
        ):
            if noise.range_correlated:
                drawn[name] = torch.empty(rows, self.buffers[name].shape[1], device=self._device)
                fill(drawn[name], noise, noise.range_correlated, generator)
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
        late, places = buffers["late"], self.most_delay + 1
        now = buffers["steps"] % places
        late.index_copy_(0, now[None], actions[None])
        return late[(now - buffers["delay"]) % places, self._rows]

    def _noisy(self, noise: Noise, values: Tensor, drawn: Tensor, held: Tensor) -> Tensor:
        """Returns values after one operation by the sum of both parts.

        Source: IsaacGymEnvs, tasks/base/vec_task.py, ``noise_lambda``.
        """
        if noise.range and noise.range_correlated:
            drawn = drawn + held
        elif noise.range_correlated:
            drawn = held
        elif not noise.range:
            return values
        return self._applied(noise, values, drawn)

    def _applied(self, noise: Noise, values: Tensor, drawn: Tensor) -> Tensor:
        """Returns values after an operation by drawn numbers, as far as they are in effect."""
        adds = noise.operation == "additive"
        if noise.schedule == "none":
            return values + drawn if adds else values * drawn
        share = share_of(noise, self.buffers["steps"])
        return values + share * drawn if adds else values * (share * drawn + (1.0 - share))

    def reset(self, mask: Tensor, generator: torch.Generator) -> None:
        """Gives environments that are reset new noise and delays, and if due new parameters.

        Args:
            mask: Environments that are reset, shape [N], bool.
            generator: For what has not been drawn yet.
        """
        buffers = self.buffers
        buffers["late"].masked_fill_(mask[None, :, None], 0.0)
        rows: Rows = ALL_ROWS
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
        if self._parameters.names:
            self._parameters.write(rows, new["parameters"], buffers["steps"], first, due)
        buffers["since"][rows] = torch.where(due, 0, since)
        for name in ("held_observations", "held_actions", "delay"):
            if name in new:
                before = buffers[name][rows]
                buffers[name][rows] = torch.where(per_row(mask, before), new[name], before)

    def advance(self) -> None:
        """Counts a step."""
        since = self.buffers["since"]
        since += (since >= 0).long()


def fill(into: Tensor, spread: Spread, limits: list[float], generator: torch.Generator) -> None:
    """Fills a tensor with random numbers of a spread's distribution."""
    first, second = limits
    if spread.distribution == "gaussian":
        into.normal_(first, second, generator=generator)
    elif spread.distribution == "loguniform":
        into.uniform_(math.log(first), math.log(second), generator=generator).exp_()
    else:
        into.uniform_(first, second, generator=generator)
