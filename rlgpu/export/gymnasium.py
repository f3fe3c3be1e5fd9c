"""Our environments as ``gymnasium.vector.VectorEnv``."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlgpu.envs import VecEnv
from rlgpu.export.common import Stepper, action_space, box


class GymnasiumEnv(VectorEnv[Any, Any, Any]):
    """N environments, reset in the step in which they end; arrays on the host."""

    def __init__(self, env: VecEnv) -> None:
        """Wraps environments.

        Args:
            env: The environments, just made.
        """
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._stepper, self.num_envs = Stepper(env), env.num_envs
        self.single_observation_space = box(env.observation_space)
        self.single_action_space = action_space(env)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: Of the random numbers of resets from now on; of several the first, as all
                environments share one generator.
            options: Not used.
        """
        one = seed[0] if isinstance(seed, list) else seed
        return self._stepper.reset(one).cpu().numpy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps the environments; ``final_obs`` is in the last value where episodes ended."""
        step = self._stepper.step(actions)
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
        self._stepper.env.sim.close()
