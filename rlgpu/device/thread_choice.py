"""How many threads share a piece of work on a machine that others use, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PERIOD = 64
"""Calls from one trial of another number of threads to the next."""
_TRIALS = 3
"""Calls of a trial."""
_BUSY = 0.85
"""Share of the time of all threads below which some of them lost their cores meanwhile."""
_GAIN = 0.9
"""Share of the time of before that another number of threads must take to be chosen."""


class ThreadChoice:
    """Chooses the number of threads by what calls take; results must not depend on it.

    A thread that lost its core to another program is waited for by all others, up to ten
    milliseconds a call. Fewer threads are tried where threads lose their cores, and twice as many
    now and then after that.
    """

    def __init__(self, most: int, *, adapts: bool = True) -> None:
        """Begins with the most threads.

        Args:
            most: The most that are allowed.
            adapts: Whether fewer may be chosen.
        """
        self.most = self.chosen = most
        self._adapts = adapts and most > 1
        self._trial = 0
        self._times = _Times()
        self._trial_times = _Times()

    @contextmanager
    def measured(self, work: Callable[[], float] = lambda: 1.0) -> Iterator[int]:
        """Yields the number of threads for a call, and measures it.

        Args:
            work: Returns after the call how much was done, in any unit.
        """
        if not self._adapts:
            yield self.most
            return
        num_threads = self._trial or self.chosen
        wall, cpu = time.perf_counter(), time.process_time()
        yield num_threads
        seconds = time.perf_counter() - wall
        busy = (time.process_time() - cpu) / (seconds * num_threads) if seconds else 1.0
        self.note(seconds / max(work(), 1.0), busy)

    def note(self, seconds: float, busy: float) -> None:
        """Takes what a call took.

        Args:
            seconds: Time of the call, by its work [s].
            busy: CPU time as a share of the time of all threads.
        """
        times = self._trial_times if self._trial else self._times
        times.add(seconds, busy)
        if self._trial and times.count == _TRIALS:
            if times.seconds < _GAIN * self._times.seconds:
                self.chosen = self._trial
            self._trial, self._times = 0, _Times()
        elif not self._trial and times.count >= _PERIOD:
            self._trial = self._next()
            self._trial_times = _Times()
            if not self._trial:
                self._times = _Times()

    def _next(self) -> int:
        """Returns the number of threads to try; 0 if there is no reason for a trial."""
        if self._times.busy < _BUSY and self.chosen > 1:
            return self.chosen // 2
        return min(2 * self.chosen, self.most) if self.chosen < self.most else 0


class _Times:
    """Means over calls."""

    def __init__(self) -> None:
        self.count, self.seconds, self.busy = 0, 0.0, 0.0

    def add(self, seconds: float, busy: float) -> None:
        """Adds a call."""
        self.count += 1
        self.seconds += (seconds - self.seconds) / self.count
        self.busy += (busy - self.busy) / self.count
