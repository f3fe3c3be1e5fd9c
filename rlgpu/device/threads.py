"""CPU cores that this process may use, and the threads that torch takes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import torch

_MEMBERSHIP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def one_torch_thread(device: torch.device) -> AbstractContextManager[None]:
    """Runs torch on one thread, where the work is small and an engine on the CPU has its own.

    A rollout's tensors of a few hundred rows cost less than waking a second thread for each.

    Args:
        device: Where the environments are; nothing changes unless that is the CPU.
    """
    return torch_threads(1) if device.type == "cpu" else nullcontext()


@contextmanager
def torch_threads(num_threads: int) -> Iterator[None]:
    """Runs torch, and ops that take its threads, on a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def num_usable_cores() -> int:
    """Returns how many cores this process may use at a time, at least 1.

    That is fewer than the machine has under ``taskset``, Slurm or a cpuset, which limit the
    affinity, and in a container whose cgroup limits the CPU time.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    return max(math.ceil(min(cores, cgroup_cores(_MEMBERSHIP, _CGROUPS))), 1)


def cgroup_cores(membership: Path, root: Path) -> float:
    """Returns the cores that the CPU time of a process's cgroups amounts to; infinity if unlimited.

    Args:
        membership: The process's ``/proc/<pid>/cgroup``.
        root: Folder that the cgroups are mounted in, of version 1 or 2.

    Source: Documentation/admin-guide/cgroup-v2.rst (``cpu.max``) and scheduler/sched-bwc.rst
    (``cpu.cfs_quota_us``) of the Linux kernel.
    """
    limit = math.inf
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not on Linux
        return limit
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if (root / controllers).is_dir() else root / "cpu"
        group = mount / path.lstrip("/")
        # Every ancestor limits, too. A container may not show its own group, only the mount.
        for folder in [group, *group.parents][: len(group.parts) - len(mount.parts) + 1]:
            with suppress(OSError, ValueError):
                limit = min(limit, _quota(folder))
    return limit


def _quota(folder: Path) -> float:
    """Returns the cores that one cgroup allows.

    Raises:
        OSError: It has no limit of CPU time.
        ValueError: The limit is not a number: ``max``.
    """
    if (folder / "cpu.max").exists():
        quota, period = map(float, (folder / "cpu.max").read_text().split())
    else:
        quota = float((folder / "cpu.cfs_quota_us").read_text())
        period = float((folder / "cpu.cfs_period_us").read_text())
    return quota / period if quota > 0 else math.inf
