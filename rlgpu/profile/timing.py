"""Timing of functions on any device, and the memory bandwidth of a copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from rlgpu.device import Phase, is_gpu

ROUNDS = 7
COPY_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}


def seconds_once(function: Callable[[], object], device: torch.device, calls: int = 1) -> float:
    """Returns the mean time of a call, over one round of ``calls`` calls.

    Args:
        function: What to time.
        device: Where it runs; a GPU is waited for before and after.
        calls: Calls in the round.
    """
    if is_gpu(device):
        torch.cuda.synchronize(device)
    begun = time.perf_counter()
    for _ in range(calls):
        function()
    if is_gpu(device):
        torch.cuda.synchronize(device)
    return (time.perf_counter() - begun) / calls


def seconds_of(
    phase: Callable[[], Any],
    device: torch.device,
    *,
    calls: int = 1,
    before: Callable[[], object] = lambda: None,
) -> float:
    """Returns the median time per call in seconds, over several rounds of ``calls`` calls.

    Args:
        phase: Function to time; two initial calls warm it up and capture it.
        device: Device that it runs on; on a GPU, times come from CUDA events.
        calls: Calls per round.
        before: Called before each round, not included in the time.
    """
    for _ in range(2):
        before()
        phase()
    times = []
    for _ in range(ROUNDS):
        before()
        if is_gpu(device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(calls):
                phase()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1e3 / calls)
        else:
            times.append(seconds_once(phase, device, calls))
    return statistics.median(times)


def repeated(function: Callable[[], object], times: int) -> Callable[[], None]:
    """Returns a function that calls ``function`` several times, to be captured as one graph."""

    def run() -> None:
        for _ in range(times):
            function()

    return run


def copy_bandwidth(device: torch.device) -> float:
    """Returns the bytes read and written per second by a large copy within the device."""
    size = COPY_BYTES[device.type]
    return 2 * size / copy_seconds(device, 2 * size, launches=4)


def copy_seconds(device: torch.device, num_bytes: float, *, launches: int) -> float:
    """Returns the time of a copy that reads and writes so many bytes in all.

    Args:
        device: Where it copies.
        num_bytes: Bytes read plus bytes written.
        launches: Copies in one graph, or in one round on a CPU.
    """
    source = torch.zeros(max(int(num_bytes / 2), 1), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copies = repeated(lambda: target.copy_(source), launches)
    phase: Phase[None] = Phase(copies, device, name="copy", enabled=True)
    return seconds_of(phase, device) / launches
