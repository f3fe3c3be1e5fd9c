"""Known faults of an Isaac Gym installation: what its output says, what that means, what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    """A fault and its remedy."""

    name: str
    sign: str
    """Regular expression that its output matches."""
    meaning: str
    """What it means and what to do; ``{env}`` is the environment's folder."""


FAULTS = (
    Fault(
        "no_package",
        r"No module named '?isaacgym",
        "that Python has no Isaac Gym: run {env}/bin/pip install -e isaacgym/python with NVIDIA's "
        "download (docs/isaacgym.md), or give another one as sim.python=PATH",
    ),
    Fault(
        "python_version",
        r"No gym module found for the active version of Python|gym_3\d\.so.*No such file",
        "Isaac Gym has bindings for Python 3.6, 3.7 and 3.8 only; give such a one as "
        "sim.python=PATH",
    ),
    Fault(
        "libpython",
        r"libpython3\.\d+m?\.so\S*: cannot open shared object",
        "its environment lacks libpython: conda install -p {env} python=3.8, or apt install "
        "libpython3.8",
    ),
    Fault(
        "libstdcxx",
        r"(GLIBCXX|CXXABI)_[\d.]+'? not found|libstdc\+\+\.so\S*: cannot open",
        "its environment's libstdc++ is missing or too old: conda install -p {env} -c conda-forge "
        "libstdcxx-ng",
    ),
    Fault(
        "numpy",
        r"numpy' has no attribute '(float|int|bool|object)'",
        "its NumPy is too new: {env}/bin/pip install 'numpy<1.24'",
    ),
    Fault(
        "no_driver",
        r"libcuda\.so\S*: cannot open|Falling back to CPU|"
        r"CUDA_ERROR_NO_DEVICE|no CUDA-capable device",
        "it finds no NVIDIA driver or GPU: nvidia-smi must list one",
    ),
    Fault(
        "unknown_gpu",
        r"CUDA_ERROR_NO_BINARY_FOR_GPU|CUDA_ERROR_UNSUPPORTED_PTX_VERSION|no kernel image|"
        r"CUDA_ERROR_INVALID_PTX|driver version is insufficient|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|"
        r"\+\+\+ Using GPU PhysX\s*\Z",  # the last it says before a crash, reported of H100
        "Isaac Gym's PhysX does not know this GPU or driver; try sim_device=cpu, another driver, "
        "or sim=mujoco_warp",
    ),
    Fault(
        "gpu_memory",
        r"out of memory|CUDA_ERROR_OUT_OF_MEMORY|fail to allocate memory|PxgCudaDeviceMemory",
        "the GPU's memory did not suffice; use fewer num_envs",
    ),
    Fault(
        "no_viewer",
        r"lavapipe|VK_ERROR|Graphics is nullptr|Nvf device",
        "its viewer could not be opened; use headless=True",
    ),
    Fault(
        "second_simulation",
        r"Failed to create Foundation|Foundation object exists",
        "another simulation is in its process",
    ),
)

_BY_NAME = {fault.name: fault for fault in FAULTS}

BROKEN = re.compile(
    r"no kernel image is available|PhysX Internal CUDA error|an illegal memory access|"
    r"Must enable GPU pipeline|[Bb]uffer overflow"
)
"""What Isaac Gym prints when it goes on with wrong numbers."""


def fault_in(said: str, name: str = "") -> Fault | None:
    """Returns the known fault that a worker's output shows, if there is one.

    Args:
        said: The output.
        name: The fault's name, if the worker itself knows it.
    """
    shown = (fault for fault in FAULTS if re.search(fault.sign, said))
    return _BY_NAME.get(name) or next(shown, None)


def explain_fault(fault: Fault | None, python: Path, said: str = "") -> str:
    """Returns ``": "`` and what a fault means, or an empty string.

    Args:
        fault: The known fault, if it is one.
        python: The interpreter.
        said: Output whose last line is quoted where nothing is known.
    """
    if fault is not None:
        return ": " + fault.meaning.format(env=python.parent.parent)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f": it said {lines[-1][:120]!r}" if lines else ""
