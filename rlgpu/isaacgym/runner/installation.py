"""Makes ``import isaacgym`` find this package, and old scripts run on new Python."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from rlgpu.isaacgym.runner.compatibility import bring_back, use_placeholders
from rlgpu.isaacgym.runner.settings import Settings
from rlgpu.isaacgym.runner.without_cuda import use_cpu_for_cuda

if TYPE_CHECKING:
    from rlgpu.isaacgym.api.gym import Gym

_MODULES = ("gymapi", "gymtorch", "gymutil", "torch_utils", "terrain_utils")


def install(
    *,
    engine: str = "auto",
    num_threads: int = 0,
    missing: str = "error",
    without_gpu: str = "error",
) -> Gym:
    """Makes ``import isaacgym`` find this package in this process; returns the gym of its scripts.

    Also brings back what old scripts expect and new libraries dropped: NumPy's aliases such as
    ``np.float``, ``gym`` by gymnasium where gym is not installed, and renamed functions of torch.
    A second call only changes the settings of the gym that is installed.

    Args:
        engine: ``mujoco``, ``mujoco_warp``, ``fused``, or ``auto``: by the device of the script's
            tensors and the scene.
        num_threads: Threads of the engines on a CPU; 0 is one a core.
        missing: What happens if a script imports a module that is not installed: ``error``, or
            ``placeholder``: a stand-in that raises when it is used.
        without_gpu: What happens if a script uses CUDA and torch finds no GPU: ``error``, or
            ``cpu``: everything that this process puts on CUDA from now on is on the CPU.

    Raises:
        ImportError: NVIDIA's own isaacgym has been imported already.
        ValueError: ``missing`` or ``without_gpu`` is neither.
    """
    if missing not in ("error", "placeholder"):
        raise ValueError(f"missing={missing!r} is not one of error, placeholder")
    if without_gpu not in ("error", "cpu"):
        raise ValueError(f"without_gpu={without_gpu!r} is not one of error, cpu")
    present = sys.modules.get("isaacgym")
    if not isinstance(present, _Package | None):
        raise ImportError(
            f"isaacgym has been imported from {getattr(present, '__file__', 'elsewhere')}; call "
            "rlgpu.isaacgym.install() before"
        )
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported, below
    package = present or _Package()
    gym = package.shared_gym
    on_cpu = without_gpu == "cpu" and not torch.cuda.is_available()
    if on_cpu and not gym.settings.cuda_is_cpu:
        use_cpu_for_cuda(gym.notes)
    gym.settings = Settings(engine, num_threads, on_cpu or gym.settings.cuda_is_cpu)
    sys.modules["isaacgym"] = package
    for name in _MODULES:
        sys.modules[f"isaacgym.{name}"] = getattr(package, name)
    if present is None:
        bring_back(gym.notes)
    if missing == "placeholder":
        use_placeholders(gym.notes)
    return gym


class _Package(ModuleType):
    """``isaacgym`` as scripts import it: the API's modules, and one gym for all scripts."""

    def __init__(self) -> None:
        package = importlib.import_module("rlgpu.isaacgym.api")
        super().__init__(package.__name__)
        for name in _MODULES:
            importlib.import_module(f"{package.__name__}.{name}")
        vars(self).update(vars(package))
        gymapi = ModuleType(package.gymapi.__name__)
        vars(gymapi).update(vars(package.gymapi), acquire_gym=self._acquire_gym)
        self.gymapi, self.shared_gym = gymapi, gymapi.Gym()

    def _acquire_gym(self, *_args: Any, **_kwargs: Any) -> Gym:
        """Returns the object with all calls."""
        return self.shared_gym
