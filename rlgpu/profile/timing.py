"""Times functions on any device, and what memory can do at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from rlgpu.graphs import Phase

ROUNDS = 7
COPY_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}


def seconds_of(
    phase: Callable[[], Any],
    device: torch.device,
    *,
    calls: int = 1,
    before: Callable[[], object] = lambda: None,
) -> float:
    """Returns the median time of a call, over several rounds of ``calls`` calls.

    Args:
        phase: What to time; two calls warm it up and capture it.
        device: Where it runs; on a GPU, events on its stream are read.
        calls: Calls a round.
        before: Called before each round, outside the time.
    """
    for _ in range(2):
        before()
        phase()
    times = []
    for _ in range(ROUNDS):
        before()
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(calls):
                phase()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1e3 / calls)
        else:
            begun = time.perf_counter()
            for _ in range(calls):
                phase()
            times.append((time.perf_counter() - begun) / calls)
    return statistics.median(times)


def repeated(function: Callable[[], object], times: int) -> Callable[[], None]:
    """Returns a function that calls another several times, to be captured as one graph."""

    def run() -> None:
        for _ in range(times):
            function()

    return run


def copy_bandwidth(device: torch.device) -> float:
    """Returns the bytes a second, read and written, of a large copy within the device."""
    size = COPY_BYTES[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    phase = Phase(lambda: target.copy_(source), device, name="copy", enabled=True)
    return 2 * size / seconds_of(phase, device, calls=4)
