"""Times that a simulation spends on physics, graphics and transfers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from rlgpu.isaacgym.records.structs import PerformanceTimers


class Stopwatch:
    """Adds up the times of the parts of a simulation, for all sets of timers that are read."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._read: dict[int, tuple[float, dict[str, float]]] = {}
        self._next = 0

    @contextmanager
    def measuring(self, part: str) -> Iterator[None]:
        """Adds the time of a block to a part; nothing if there are no timers.

        Args:
            part: A field of ``PerformanceTimers``.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._read:
                self._spent[part] += time.perf_counter() - start

    def create(self) -> int:
        """Starts a set of timers and returns its handle."""
        handle, self._next = self._next, self._next + 1
        self._read[handle] = time.perf_counter(), self._spent.copy()
        return handle

    def read(self, handle: int) -> PerformanceTimers:
        """Returns the times since a set of timers was created or last read.

        Raises:
            IndexError: There is no such set.
        """
        self._check(handle)
        now, (start, before) = time.perf_counter(), self._read[handle]
        timers = PerformanceTimers()
        for part, seconds in self._spent.items():
            setattr(timers, part, seconds - before.get(part, 0.0))
        timers.total_time = now - start
        self._read[handle] = now, self._spent.copy()
        return timers

    def destroy(self, handle: int) -> None:
        """Removes a set of timers.

        Raises:
            IndexError: There is no such set.
        """
        self._check(handle)
        del self._read[handle]

    def _check(self, handle: int) -> None:
        if handle not in self._read:
            raise IndexError(
                f"performance timers {handle}: there are {sorted(self._read)}; use a handle from "
                "create_performance_timers"
            )
