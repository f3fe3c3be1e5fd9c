"""The report of what works on a machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rlgpu import playing
from rlgpu.errors import Unavailable
from rlgpu.sim.physx.worker import driver
from rlgpu.tools import doctor
from tests.conftest import ROOT, interpreter


def report(**variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the doctor as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "rlgpu", "doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.mark.slow
def test_each_part_has_a_line(tmp_path) -> None:
    """With what works marked, nothing on standard error, and exit code 0 where one can train."""
    done = report(ISAACGYM_PYTHON=str(interpreter(tmp_path / "python", "idle")))
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(None, 2)[1::-1] for line in done.stdout.splitlines())
    assert len(lines) == len(doctor.CHECKS)
    for name in ("python", "package", "extension", "sim=fused", "sim=mujoco", "sim=isaacgym"):
        assert lines[name] == "ok", done.stdout


@pytest.mark.slow
def test_a_broken_isaac_gym_is_explained(tmp_path) -> None:
    """In its line, with the remedy; the others go on."""
    python = str(interpreter(tmp_path / "python", "idle"))
    done = report(ISAACGYM_PYTHON=python, STAND_IN_FAULT="numpy")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if "sim=isaacgym" in line)
    assert line.startswith("--")
    assert "pip install 'numpy<1.24'" in line


def test_what_is_missing_comes_with_advice(monkeypatch, tmp_path) -> None:
    """No driver, no compiler for it, no display."""
    monkeypatch.setattr(driver, "LIBRARY", "libno-such-driver.so")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", "")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "driver is not installed" in doctor._driver().text
    if not os.path.exists("/usr/local/cuda/bin/nvcc"):
        assert "put it on PATH" in doctor._nvcc().text
    assert "headless=True" in doctor._display().text


def test_without_pictures_the_line_has_the_reason_and_the_remedy(monkeypatch) -> None:
    """Not the key of the command line, which nobody gave here."""
    lacking = Unavailable("no OpenGL\nhere", "apt install it", key="capture_video", value=True)

    def require_video() -> None:
        raise lacking

    monkeypatch.setattr(playing, "require_video", require_video)
    found = doctor._video()
    assert (found.works, found.text) == (False, "no OpenGL here; apt install it")


def test_without_a_needed_package_nothing_else_is_tried(monkeypatch) -> None:
    """And the exit code says so."""
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    found = list(doctor.findings())
    assert found[-1].name == "package"
    assert "pip install -r requirements.txt" in found[-1].text
    assert doctor.run([]) == 1
