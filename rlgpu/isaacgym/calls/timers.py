"""Calls that measure the time of a simulation's parts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.records.structs import PerformanceTimers

_Call = Callable[..., Any]


@strict
class TimerCalls:
    """Performance timers."""

    def create_performance_timers(self, sim: Sim) -> int:
        """Starts a set of timers and returns its handle."""
        return sim.stopwatch.create()

    def get_performance_timers(self, sim: Sim, handle: int) -> PerformanceTimers:
        """Returns the times since a set of timers was created or last read [s].

        On a GPU, times are those of the host, which does not wait for the device.
        """
        return sim.stopwatch.read(handle)

    def destroy_performance_timers(self, sim: Sim, handle: int) -> None:
        """Removes a set of timers."""
        sim.stopwatch.destroy(handle)


def timed(part: str) -> Callable[[_Call], _Call]:
    """Measures a call with an argument ``sim`` as a part of a simulation's time.

    Args:
        part: A field of ``PerformanceTimers``.
    """

    def measure(call: _Call) -> _Call:
        @functools.wraps(call)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            given = (*args, *kwargs.values())
            sim = next((value for value in given if isinstance(value, Sim)), None)
            if sim is None:  # the call refuses the arguments
                return call(self, *args, **kwargs)
            with sim.stopwatch.measuring(part):
                return call(self, *args, **kwargs)

        return wrapper

    return measure
