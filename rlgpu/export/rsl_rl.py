"""Our environments as rsl_rl's ``VecEnv`` (3 and newer)."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rlgpu.envs import Environments
from rlgpu.errors import UsageError
from rlgpu.export.common import Stepper, seen_by
from rlgpu.spaces import Continuous


class RslRlEnv:
    """N environments with observation groups ``policy`` and ``critic``; tensors on the device.

    In the runner's configuration: ``obs_groups={"actor": ["policy"], "critic": ["critic"]}``.
    """

    def __init__(self, env: Environments) -> None:
        """Wraps environments.

        Args:
            env: The environments, just made.

        Raises:
            UsageError: Their actions are choices, which rsl_rl does not have.
        """
        if not isinstance(env.action_space, Continuous):
            kind, wanted = type(env.action_space).__name__, Continuous.__name__
            said = f"its actions are {kind}; rsl_rl has continuous actions only"
            raise UsageError(said, key="action_space", value=kind, allowed=[wanted])
        self._stepper, self._env = Stepper(env), env
        self.num_envs, self.num_actions, self.device = env.num_envs, env.num_actions, env.device
        self.max_episode_length = env.episode_length
        self.cfg = env.config
        self._columns = {"policy": seen_by(env, "actor"), "critic": seen_by(env, "critic")}

    @property
    def episode_length_buf(self) -> Tensor:
        """Steps of each running episode, shape [N], int64; may be set if rlgpu counts them.

        Raises:
            UsageError: They are set, but the environments count them.
        """
        return self._env.episode_step

    @episode_length_buf.setter
    def episode_length_buf(self, values: Tensor) -> None:
        self._env.set_ages(values)

    @property
    def unwrapped(self) -> Environments:
        """Our environments."""
        return self._env

    def _groups(self, observations: Tensor) -> Any:
        if observations.dtype == torch.float64:  # its networks are float32
            observations = observations.float()
        groups = {name: observations[:, columns] for name, columns in self._columns.items()}
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    def get_observations(self) -> Any:
        """Returns the current observations by group."""
        return self._groups(self._env.observations)

    def seed(self, seed: int) -> int:
        """Begins new episodes, and seeds all random numbers from now on; returns the seed."""
        self._stepper.seed(seed)
        return seed

    def reset(self) -> tuple[Any, dict[str, Any]]:
        """Begins new episodes."""
        return self._groups(self._stepper.reset()), {}

    def step(self, actions: Tensor) -> tuple[Any, Tensor, Tensor, dict[str, Any]]:
        """Steps the environments; ``time_outs`` are in the last value."""
        step = self._stepper.step(actions)
        ended = (step.terminated | step.truncated).to(torch.long)
        extras = {"time_outs": step.truncated}
        return self._groups(step.observations), step.rewards, ended, extras

    def close(self) -> None:
        """Frees what the simulation holds."""
        self._env.close()
