"""How many CPU threads torch takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_torch_thread(device: torch.device) -> Iterator[None]:
    """Runs torch on one thread, where the work is small and an engine on the CPU has its own.

    A rollout's tensors of a few hundred rows cost less than waking a second thread for each.

    Args:
        device: Where the environments are; nothing changes unless that is the CPU.
    """
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
