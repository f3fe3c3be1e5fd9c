"""Queries for what the host and its devices can do."""

from __future__ import annotations

import os
import sys

import torch


def host_may_read(device: torch.device) -> bool:
    """Returns whether the host can read a tensor's values without synchronising.

    Code that can branch on values may skip work. On a GPU a branch would stall the device's queue
    and could not be captured in a CUDA graph.
    """
    return device.type == "cpu"


def is_gpu(device: torch.device) -> bool:
    """Returns whether a device is a GPU: it has a queue, graphs and memory of its own."""
    return device.type == "cuda"


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether memory did not suffice, on the host or on a device.

    Torch reports its failures on the host by a RuntimeError like any other, and by its text.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def has_display() -> bool:
    """Returns whether a window can be opened on this machine."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
