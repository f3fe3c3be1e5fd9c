"""Shared fixtures; skips CUDA tests on machines without a GPU."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: processes must not fight for the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests import examples  # noqa: E402, F401  # registers the profile of random examples

# A job in the background, or under nohup, ignores these signals, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
STAND_INS = Path(__file__).parent / "stand_ins"


def interpreter(path: Path, stand_in: str, python: str | Path = sys.executable) -> Path:
    """Writes an interpreter that has a stand-in for NVIDIA's isaacgym, and returns its path."""
    path.write_text(f'#!/bin/sh\nPYTHONPATH={STAND_INS / stand_in} exec {python} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that starts within milliseconds, with torch and rlgpu imported."""
    folder = tmp_path_factory.mktemp("warm")
    path, script = folder / "python", Path(__file__).with_name("warm_python.py")
    command = f"{sys.executable} -I -S {script} {folder} {os.getpid()}"
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session", autouse=True)
def isaacgym_python(tmp_path_factory: pytest.TempPathFactory, warm_python: Path) -> Iterator[Path]:
    """The interpreter of ``sim=isaacgym``: this one, with rlgpu's Isaac Gym in NVIDIA's place."""
    path = interpreter(tmp_path_factory.mktemp("isaacgym") / "python", "mujoco", warm_python)
    os.environ["ISAACGYM_PYTHON"] = str(path)
    yield path
    del os.environ["ISAACGYM_PYTHON"]


@pytest.fixture(scope="session", autouse=True)
def _warm_curves(warm_python: Path) -> None:
    """Has the warm interpreter draw learning curves: importing Matplotlib takes longer."""
    from rlgpu.training import metrics

    metrics.PYTHON = str(warm_python)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips tests marked ``cuda`` if there is no NVIDIA GPU."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU, torch sees none")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, and a GPU if there is one."""
    return torch.device(request.param)
