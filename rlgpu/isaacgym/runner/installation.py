"""Makes ``import isaacgym`` find this package, and old scripts run on new Python."""

from __future__ import annotations

import importlib
import os
import sys

from rlgpu.isaacgym.runner.compatibility import bring_back, use_placeholders
from rlgpu.isaacgym.runner.settings import Settings

_MODULES = ("gymapi", "gymtorch", "gymutil", "torch_utils", "terrain_utils")


def install(*, engine: str = "auto", num_threads: int = 0, missing: str = "error") -> None:
    """Makes ``import isaacgym`` find this package in this process.

    Also brings back what old scripts expect and new libraries dropped: NumPy's aliases such as
    ``np.float``, ``gym`` by gymnasium where gym is not installed, and renamed functions of torch.

    Args:
        engine: ``mujoco``, ``mujoco_warp``, or ``auto``: by the device of the script's tensors.
        num_threads: Threads of ``mujoco``; 0 is one a core.
        missing: What happens if a script imports a module that is not installed: ``error``, or
            ``placeholder``: a stand-in that raises when it is used.

    Raises:
        ImportError: NVIDIA's own isaacgym has been imported already.
        ValueError: ``missing`` is neither.
    """
    if missing not in ("error", "placeholder"):
        raise ValueError(f"missing={missing!r} is not one of error, placeholder")
    package = importlib.import_module("rlgpu.isaacgym.api")
    present = sys.modules.get("isaacgym")
    if present not in (None, package):
        raise ImportError(
            f"isaacgym has been imported from {getattr(present, '__file__', 'elsewhere')}; call "
            "rlgpu.isaacgym.install() before"
        )
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported, below
    Settings(engine, num_threads).use()
    sys.modules["isaacgym"] = package
    for name in _MODULES:
        sys.modules[f"isaacgym.{name}"] = importlib.import_module(f"rlgpu.isaacgym.api.{name}")
    bring_back()
    if missing == "placeholder":
        use_placeholders()
