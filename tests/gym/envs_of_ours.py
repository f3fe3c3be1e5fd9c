"""Environments with Gymnasium's interface for tests, as a user's own file has them."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Counter(gymnasium.Env):
    """Counts its steps: ends in failure at 5 with action 1, by time at 3 otherwise."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.taken = 0, 3
        return self._observed(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.count, self.taken = self.count + 1, int(action)
        failed = self.count == 5
        late = self.count == 3 and action == 3
        return self._observed(), float(self.count), failed, late, {}

    def _observed(self):
        return np.array([self.count, self.taken], np.float32)


class Bounded(Counter):
    """Takes a number from 0 to 10 and one from -1 to 3, and shows them."""

    observation_space = spaces.Box(-np.inf, np.inf, (2, 1))
    action_space = spaces.Box(np.array([0.0, -1.0]), np.array([10.0, 3.0]), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        return np.zeros((2, 1), np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return action.astype(np.float32)[:, None], 0.0, False, False, {}


class Several(Bounded):
    """Takes two choices and shows them."""

    action_space = spaces.MultiDiscrete([3, 2], start=[0, 5])


class Strange(Counter):
    """Observes a dictionary."""

    observation_space = spaces.Dict({"a": spaces.Discrete(2)})


class Endless(Counter):
    """Takes numbers without bounds."""

    action_space = spaces.Box(-np.inf, np.inf, (1,))


class Texts(Counter):
    """Takes texts."""

    action_space = spaces.Text(3)


class Failing(Counter):
    """Fails in its seventh step."""

    def reset(self, *, seed=None, options=None):
        self.steps = getattr(self, "steps", 0)
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.steps += 1
        if self.steps == 7:
            raise ZeroDivisionError("by the environment")
        return super().step(action)
