"""Says what works on this machine, and what to do about what does not.

    rlgpu doctor

One line each. The exit code is 1 if nothing can be trained here.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import rlgpu
from rlgpu.errors import Unavailable, UsageError, first_line, one_line, shown

_OLDEST_DRIVER = 12040
"""CUDA version from which graphs have conditional nodes, as the driver counts."""


class Finding(NamedTuple):
    """One line of the report."""

    name: str
    works: bool
    text: str
    """What was found; where it does not work, also what to do."""
    is_needed: bool = False
    """Whether nothing can be trained without it."""


def _python() -> Finding:
    works = sys.version_info >= (3, 11)
    advice = "" if works else "; rlgpu needs 3.11 or newer"
    return Finding("python", works, f"{platform.python_version()}, {sys.executable}{advice}", True)


def _package() -> Finding:
    folder = Path(rlgpu.__file__).parent
    needed = ("torch", "mujoco", "omegaconf", "yaml", "tensorboard", "rich", "matplotlib")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        what = f"{', '.join(missing)} missing; pip install -r requirements.txt"
        return Finding("package", False, what, True)
    return Finding("package", True, f"rlgpu {rlgpu.__version__} in {folder}", True)


def _driver() -> Finding:
    from rlgpu.sim.physx.worker.driver import DriverError, version  # noqa: PLC0415

    try:
        number = version()
    except DriverError as error:
        return Finding("driver", False, f"{error}; training runs on the CPU")
    shown = f"CUDA {number // 1000}.{number % 1000 // 10}"
    if number < _OLDEST_DRIVER:
        return Finding("driver", True, f"{shown}; from CUDA 12.4 on, updates end early in graphs")
    return Finding("driver", True, shown)


def _gpu() -> Finding:
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        why = "torch is a CPU build" if torch.version.cuda is None else "torch sees none"
        what = f"{why} (torch {torch.__version__})"
        return Finding("gpu", False, f"{what}; on a machine with one, install a CUDA build of it")
    major, minor = torch.cuda.get_device_capability()
    known = torch.cuda.get_arch_list()
    name = f"{torch.cuda.get_device_name()}, sm_{major}{minor}, torch {torch.__version__}"
    if not any(arch.endswith((f"_{major}{minor}", f"_{major}0")) for arch in known):
        return Finding("gpu", False, f"{name} was not built for it ({', '.join(known)})")
    return Finding("gpu", True, f"{torch.cuda.device_count()} x {name}")


def _nvcc() -> Finding:
    homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda"]
    found = shutil.which("nvcc") or next(
        (str(f) for f in (Path(home, "bin", "nvcc") for home in homes if home) if f.is_file()), None
    )
    if not found:
        what = "not found; needed to build the extension for a GPU: put it on PATH"
        return Finding("nvcc", False, what)
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    release = next((line for line in done.stdout.splitlines() if "release" in line), "unknown")
    return Finding("nvcc", done.returncode == 0, f"{found}, {release.strip()}")


def _extension() -> Finding:
    import torch  # noqa: PLC0415

    from rlgpu.ops.extension import load_extension  # noqa: PLC0415

    try:
        extension = load_extension(torch.device("cpu"))
    except RuntimeError as error:
        return Finding("extension", False, first_line(error))
    if torch.cuda.is_available() and not extension.with_cuda:
        what = "for the CPU only; with nvcc on PATH: pip install --no-build-isolation -e ."
        return Finding("extension", False, what)
    return Finding("extension", True, "CPU and CUDA" if extension.with_cuda else "CPU")


def _engine(name: str, module: str) -> Callable[[], Finding]:
    def check() -> Finding:
        from rlgpu.sim import ENGINES  # noqa: PLC0415

        devices = ", ".join(ENGINES[name].devices)
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            return Finding(f"sim={name}", False, f"{first_line(error)}; {ENGINES[name].install}")
        version = getattr(found, "__version__", rlgpu.__version__)
        return Finding(f"sim={name}", True, f"{found.__name__} {version}, on {devices}")

    check.__name__ = f"sim={name}"
    return check


def _isaacgym() -> Finding:
    from rlgpu.sim.physx.probe import probe  # noqa: PLC0415

    try:
        return Finding("sim=isaacgym", True, probe())
    except (RuntimeError, ValueError) as error:
        return Finding("sim=isaacgym", False, one_line(error))


def _display() -> Finding:
    from rlgpu.device import has_display  # noqa: PLC0415

    if has_display():
        return Finding("display", True, os.environ.get("DISPLAY", "of this system"))
    return Finding("display", False, "none: no viewer here; use headless=True, capture_video=True")


def _video() -> Finding:
    from rlgpu.playing import require_video  # noqa: PLC0415

    try:
        require_video()
    except Unavailable as error:
        reason = " ".join(error.reason.split())  # OpenGL's may have several lines
        return Finding("video", False, f"{reason}; {error.remedy}")
    return Finding("video", True, f"drawn by {os.environ.get('MUJOCO_GL', 'OpenGL')}")


CHECKS: Sequence[Callable[[], Finding]] = (
    _python,
    _package,
    _video,  # before MuJoCo is imported, which is when it chooses how to draw
    _driver,
    _gpu,
    _nvcc,
    _extension,
    _engine("fused", "rlgpu._C"),
    _engine("mujoco", "mujoco"),
    _engine("mujoco_warp", "mujoco_warp"),
    _isaacgym,
    _display,
)


def findings() -> Iterator[Finding]:
    """Yields what was found, one thing after the other."""
    for check in CHECKS:
        try:
            finding = check()
        except Exception as error:  # a broken library may raise anything
            name = check.__name__.strip("_")
            finding = Finding(name, False, f"{type(error).__name__}: {first_line(error)}")
        yield finding
        if finding.is_needed and not finding.works:
            return


def run(words: list[str]) -> int:
    """Prints the report and returns the exit code: 0, or 1 if nothing can be trained.

    Raises:
        UsageError: There are arguments.
    """
    if words:
        said = f"{shown(words[0])}: rlgpu doctor takes no arguments"
        raise UsageError(said, key="doctor", value=words[0])
    can_train = True
    for finding in findings():
        mark = "ok" if finding.works else "NO" if finding.is_needed else "--"
        print(f"{mark}  {finding.name:15} {finding.text}", flush=True)
        can_train = can_train and (finding.works or not finding.is_needed)
    return 0 if can_train else 1
