"""How many cores this process may use, and that engines and environments respect it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlgpu.device import num_usable_cores
from rlgpu.device.threads import cgroup_cores
from rlgpu.foreign.gymnasium.env import GymEnv
from rlgpu.foreign.gymnasium.task import GymTaskConfig
from rlgpu.sim.mujoco.batch import BatchWorlds
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.models import task_model


@pytest.fixture
def one_core() -> Iterator[None]:
    """Allows one core only, as ``taskset`` and Slurm do."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.mark.usefixtures("one_core")
def test_one_allowed_core_gives_one_thread_and_one_process() -> None:
    """Whatever the machine has: fused, MuJoCo C and Gymnasium's environments."""
    assert num_usable_cores() == 1
    model = task_model("Cartpole")
    assert FusedWorlds(model, 64)._choice.most == 1
    before = len(os.listdir("/proc/self/task"))
    batch = BatchWorlds(model, 64)
    assert len(os.listdir("/proc/self/task")) <= before + 1
    batch.close()
    env = GymEnv("CartPole-v1", GymTaskConfig(), 64, 0)
    env.close()
    assert len(env.sim._processes) == 1


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/", {}, math.inf),
        ("0::/", {"cpu.max": "max 100000"}, math.inf),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2.0),
        ("0::/a/b", {"cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}, 1.0),
        ("0::/not/shown", {"cpu.max": "50000 100000"}, 0.5),
        (
            "3:cpu,cpuacct:/j\n2:memory:/j",
            {
                "cpu,cpuacct/j/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/j/cpu.cfs_period_us": "100000",
            },
            4.0,
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
    ],
)
def test_a_cgroup_limits_the_cores(membership, files, cores, tmp_path: Path) -> None:
    """Both versions; the strictest of a group and its ancestors counts."""
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert cgroup_cores(tmp_path / "membership", tmp_path / "groups") == cores


def test_without_cgroups_nothing_limits(tmp_path: Path) -> None:
    """As on systems other than Linux."""
    assert cgroup_cores(tmp_path / "none", tmp_path) == math.inf
