"""Environments with Gymnasium's interface for tests, as a user's own file has them."""

import multiprocessing
import signal
import time
from pathlib import Path

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


class Five(Counter):
    """Five steps of reward 1, whatever is done."""

    def step(self, action):
        self.count += 1
        return self._observed(), 1.0, self.count == 5, False, {}


class Several(Bounded):
    """Takes two choices and shows them."""

    action_space = spaces.MultiDiscrete([3, 2], start=[0, 5])


class Strange(Counter):
    """Observes texts, inside a dictionary."""

    observation_space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Text(3)})


class Mixed(Counter):
    """Observes choices, numbers, an image and a mask, in a dictionary."""

    observation_space = spaces.Dict(
        {
            "action_mask": spaces.MultiBinary(2),
            "choice": spaces.Discrete(3, start=1),
            "inner": spaces.Tuple((spaces.MultiDiscrete([2, 2]), spaces.Box(-1.0, 1.0, (2,)))),
            "pixels": spaces.Box(0, 255, (3, 20, 24), np.uint8),
        }
    )

    def _observed(self):
        pixels = np.zeros((3, 20, 24), np.uint8)
        pixels[2, 0, 1] = 255
        return {
            "action_mask": np.array([1, 0], np.int8),
            "choice": 2,
            "inner": (np.array([1, 0]), np.array([0.5, -0.5], np.float32)),
            "pixels": pixels,
        }


class Pixels(Counter):
    """Observes two stacked grey images; their brightness is the constructor's."""

    observation_space = spaces.Box(0, 255, (2, 36, 40), np.uint8)

    def __init__(self, brightness=0, name="none"):
        self.brightness, self.name = brightness, name

    def _observed(self):
        pixels = np.zeros((2, 36, 40), np.uint8)
        pixels[1] = self.brightness
        return pixels


class Forbidding(Counter):
    """Forbids the action taken before, and says so beside the observation."""

    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.mask = np.array([1, 1, 1], np.int8)
        return np.zeros(2, np.float32), {"action_mask": self.mask}

    def step(self, action):
        assert self.mask[action], "a forbidden action"
        self.mask = (np.arange(3) != action).astype(np.int8)
        self.count = (self.count + 1) % 7
        reward = float(action == 2)
        return np.zeros(2, np.float32), reward, False, self.count == 0, {"action_mask": self.mask}


class ForbiddingByMethod(Forbidding):
    """Says so by a method."""

    def reset(self, *, seed=None, options=None):
        observation, _ = super().reset(seed=seed)
        return observation, {}

    def action_masks(self):
        return self.mask.astype(bool)


class Many(gymnasium.vector.VectorEnv):
    """Many environments at once."""


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


class Misshapen(Counter):
    """Observes a number too many from its first reset, its first step or its ninth step on."""

    def __init__(self, since="reset"):
        self.since, self.steps = {"reset": 0, "step": 1, "later": 9}[since], 0

    def step(self, action):
        self.steps += 1
        return super().step(action)

    def _observed(self):
        return np.zeros(2 if self.steps < self.since else 3, np.float32)


class Table(Counter):
    """Takes a table of choices."""

    action_space = spaces.MultiDiscrete([[2, 3], [4, 2]])


class Logged(Counter):
    """Writes to a file when it is opened and closed; may fail at several places."""

    def __init__(self, log, fails=""):
        self.log, self.fails = Path(log), fails
        if fails == "third" and self._lines("open") == 3:  # one of them only to look at the spaces
            raise ZeroDivisionError("the third cannot be opened")
        self._write("open")

    def _lines(self, word):
        return self.log.read_text().splitlines().count(word) if self.log.exists() else 0

    def _write(self, word):
        with self.log.open("a") as file:
            file.write(f"{word}\n")

    def step(self, action):
        if self.fails == "step":
            raise ZeroDivisionError("in a step")
        return super().step(action)

    def close(self):
        self._write("close")
        if self.fails == "close":
            raise ZeroDivisionError("in close")


class Parent(Counter):
    """Has a process of its own while it runs, which it ends by SIGTERM."""

    def reset(self, *, seed=None, options=None):
        if not hasattr(self, "process"):
            context = multiprocessing.get_context("fork")
            self.process = context.Process(target=time.sleep, args=(60.0,))
            self.process.start()
        return super().reset(seed=seed, options=options)

    def close(self):
        if hasattr(self, "process"):
            self.process.terminate()
            self.process.join(5.0)
            assert self.process.exitcode == -signal.SIGTERM


class Stamped(Counter):
    """Observes the seconds since 1970, 20 ms apart, and a mask of both actions beside them."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(2)

    def step(self, action):
        self.count += 1
        return self._observed(), float(action), self.count == 7, False, {"action_mask": [1, 1]}

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self._observed(), {"action_mask": [1, 1]}

    def _observed(self):
        return np.array([1.79e9 + 0.02 * self.count, self.count])
