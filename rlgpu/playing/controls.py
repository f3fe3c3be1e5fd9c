"""Keys of the viewer's window: pause, speed, single steps, the environment that is shown."""

from __future__ import annotations

SPACE, MINUS, EQUAL = 32, 45, 61
RIGHT, LEFT, DOWN, UP = 262, 263, 264, 265
KEYPAD_MINUS, KEYPAD_PLUS = 333, 334
KEYS_HELP = (
    "space pauses, + and - change the speed, the right arrow takes one step; the up and down "
    "arrows switch environments"
)
_LEAST_SPEED, _MOST_SPEED = 1 / 16, 16.0
_BEHIND = 0.1
"""Delay that is caught up with [s]; a longer one is forgotten."""
_SHIFTS = {UP: 1, DOWN: -1}
_FACTORS = {MINUS: 0.5, KEYPAD_MINUS: 0.5, EQUAL: 2.0, KEYPAD_PLUS: 2.0}


class Controls:
    """What has been asked for by keys, and when the next step is due.

    The keys are those that the window's own help lists, which MuJoCo leaves to the program.
    """

    def __init__(self, num_envs: int, step_dt: float, now: float) -> None:
        """Begins at real time.

        Args:
            num_envs: Number of environments.
            step_dt: Duration of a step [s].
            now: The clock [s].
        """
        self.shown = 0
        """Index of the environment that is shown."""
        self.paused = False
        self.speed = 1.0
        """Simulated time over real time."""
        self._num_envs, self._step_dt = num_envs, step_dt
        self._due, self._asked = now, 0

    def press(self, key: int) -> None:
        """Does what a key means; all other keys are the window's."""
        self.shown = (self.shown + _SHIFTS.get(key, 0)) % self._num_envs
        speed = self.speed * _FACTORS.get(key, 1.0)
        self.speed = min(max(speed, _LEAST_SPEED), _MOST_SPEED)
        if key == SPACE:
            self.paused, self._asked = not self.paused, 0
        elif key == RIGHT and self.paused:
            self._asked += 1

    def is_due(self, now: float) -> bool:
        """Returns whether a step is to be taken now, and counts on it being taken."""
        if self.paused:
            self._due = now
            if not self._asked:
                return False
            self._asked -= 1
            return True
        if now < self._due:
            return False
        self._due = max(self._due, now - _BEHIND) + self._step_dt / self.speed
        return True

    def until_due(self, now: float) -> float:
        """Returns the time until the next step [s], infinite while paused."""
        return float("inf") if self.paused else max(self._due - now, 0.0)

    def caption(self) -> str:
        """Returns what the window says about the controls, empty at real time."""
        speed = "" if self.speed == 1.0 else f"speed {self.speed:g}"
        return ", ".join(word for word in ("paused" if self.paused else "", speed) if word)
