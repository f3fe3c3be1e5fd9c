"""Queries for what the host may do with tensors on a device."""

from __future__ import annotations

import torch


def host_may_read(device: torch.device) -> bool:
    """Returns whether the host can read a tensor's values without synchronising.

    Code that can branch on values may skip work. On a GPU a branch would stall the device's queue
    and could not be captured in a CUDA graph.
    """
    return device.type == "cpu"
