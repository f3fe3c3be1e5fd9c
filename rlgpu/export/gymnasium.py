"""Our environments as ``gymnasium.vector.VectorEnv``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlgpu.device import derived_seed
from rlgpu.envs import Environments
from rlgpu.export.common import Stepper, action_space, policy_box, seen_by


class GymnasiumEnv(VectorEnv[Any, Any, Any]):
    """N environments, reset in the step in which they end; arrays on the host.

    Observations, the final ones included, have the columns that the policy sees.
    """

    def __init__(self, env: Environments) -> None:
        """Wraps environments.

        Args:
            env: The environments, just made.
        """
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._stepper, self.num_envs = Stepper(env), env.num_envs
        self.single_observation_space = policy_box(env)
        self._columns = seen_by(env, "actor")
        self.single_action_space = action_space(env)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: Seed of all random numbers from now on; several are taken together as one, as
                environments may share a generator.
            options: Not used.

        Raises:
            UsageError: A seed is negative.
        """
        return self._stepper.reset(_single(seed))[:, self._columns].cpu().numpy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps the environments; ``final_obs`` is in the last value where episodes ended."""
        step = self._stepper.step(actions, self._columns)
        observations, rewards, terminated, truncated, final = (x.cpu().numpy() for x in step)
        ended = terminated | truncated
        info: dict[str, Any] = {}
        if ended.any():
            rows = np.full(self.num_envs, None, dtype=object)
            for index in np.flatnonzero(ended):
                rows[index] = final[index]
            info = {"final_obs": rows, "_final_obs": ended}
        return observations, rewards, terminated, truncated, info

    def close_extras(self, **kwargs: Any) -> None:
        """Frees what the simulation holds."""
        self._stepper.env.close()


def _single(seed: int | Sequence[int | None] | None) -> int | None:
    """Returns the one seed that one or several are."""
    if seed is None or isinstance(seed, int | np.integer):
        return seed if seed is None else int(seed)
    given = [-1 if one is None else int(one) for one in seed]
    if lowest := next((one for one in seed if one is not None and one < 0), None):
        return int(lowest)
    return derived_seed([one + 1 for one in given]) if max(given, default=-1) >= 0 else None
