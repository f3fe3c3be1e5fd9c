"""Registry of engines: their settings, where they run, and how to install and build them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch

from rlgpu.config import Range, Size
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import Simulator

Threads = Annotated[int, Range(0, 1024)]


@dataclass(frozen=True)
class FusedSettings:
    """rlgpu's own kernels; ``sim.*`` on the command line."""

    engine: Literal["fused"] = "fused"
    """Name of the engine."""
    num_threads: Threads = 0
    """Threads that step the worlds on a CPU; 0 is one per core. Results do not depend on it."""
    lanes: Annotated[int, Range(0, 32)] = 0
    """On a CPU, worlds per vector: 4, 8 or 16; 0 is the most that it has. On a GPU, lanes of a warp
    that share a world: 1, 2, 4, 8, 16 or 32; 0 is 1."""


@dataclass(frozen=True)
class MujocoSettings:
    """MuJoCo C on the CPU; ``sim.*`` on the command line."""

    engine: Literal["mujoco"] = "mujoco"
    """Name of the engine."""
    num_threads: Threads = 0
    """Threads that step the worlds; 0 is one per core. Results do not depend on it."""


@dataclass(frozen=True)
class MujocoWarpSettings:
    """MuJoCo Warp on an NVIDIA GPU; ``sim.*`` on the command line."""

    engine: Literal["mujoco_warp"] = "mujoco_warp"
    """Name of the engine."""
    nconmax: Size = 0
    """Contact budget per world; 0 derives it from the model."""
    njmax: Size = 0
    """Constraint rows per world; 0 derives it from the model."""


class Engine(NamedTuple):
    """Registry entry of an engine; creating it does not import the engine."""

    settings: type
    """Dataclass of its settings; every field has a usable default."""
    devices: tuple[str, ...]
    """Types of devices that it runs on, ``cpu`` or ``cuda``; the first is its default."""
    install: str
    """The command that installs it."""
    build: Callable[[SceneSpec, Timing, int, torch.device, Any, bool], Simulator]
    """Imports and builds it from scene, timing, num_envs, device, settings and deterministic."""
    accept: Callable[[SceneSpec, Timing], list[str]]
    """Returns why it cannot simulate a scene; empty if it can."""


def make_simulator(
    engine: str,
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    *,
    device: torch.device | None = None,
    settings: Any = None,
    deterministic: bool = False,
) -> Simulator:
    """Builds a simulator by engine name; imports only that engine.

    Args:
        engine: One of ``ENGINES``.
        scene: What to simulate and measure.
        timing: Physics and control steps.
        num_envs: Number of worlds.
        device: Where to simulate; the CPU if None.
        settings: The engine's settings; its defaults if None.
        deterministic: Whether repeated runs must agree bit for bit, at some cost in speed.

    Raises:
        ValueError: No engine has that name, or the scene uses a name that the asset lacks.
        ImportError: The engine is not installed.
        RuntimeError: The engine cannot use the device.
    """
    if engine not in ENGINES:
        raise ValueError(f"sim={engine} is not an engine; allowed: {', '.join(ENGINES)}")
    entry = ENGINES[engine]
    where = device or torch.device("cpu")
    return entry.build(scene, timing, num_envs, where, settings or entry.settings(), deterministic)


def _fused(
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    device: torch.device,
    settings: FusedSettings,
    deterministic: bool,
) -> Simulator:
    from rlgpu.sim.mujoco.fused.worlds import FusedWorlds  # noqa: PLC0415

    def build(model: Any, fields: list[str]) -> FusedWorlds:
        return FusedWorlds(
            model,
            num_envs,
            device=device,
            fields=fields,
            num_threads=settings.num_threads,
            lanes=settings.lanes,
        )

    return _on_worlds(scene, timing, build)


def _accept_fused(scene: SceneSpec, timing: Timing) -> list[str]:
    """Returns what in a scene's model the fused engine does not simulate."""
    if importlib.util.find_spec("rlgpu._C") is None:
        return ["rlgpu's compiled extension is not built"]
    try:
        from rlgpu.sim.mujoco.fused.coverage import accept  # noqa: PLC0415
        from rlgpu.sim.mujoco.model import build_model  # noqa: PLC0415
    except ImportError:
        return []  # building it reports what is missing, and how to install it
    return accept(build_model(scene, timing))


def _accept_all(scene: SceneSpec, timing: Timing) -> list[str]:
    """Returns nothing: MuJoCo's own engines simulate every model."""
    return []


def _mujoco(
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    device: torch.device,
    settings: MujocoSettings,
    deterministic: bool,
) -> Simulator:
    from rlgpu.sim.mujoco.batch import BatchWorlds  # noqa: PLC0415

    def build(model: Any, fields: list[str]) -> BatchWorlds:
        return BatchWorlds(model, num_envs, fields=fields, num_threads=settings.num_threads)

    return _on_worlds(scene, timing, build)


def _mujoco_warp(
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    device: torch.device,
    settings: MujocoWarpSettings,
    deterministic: bool,
) -> Simulator:
    from rlgpu.sim.mujoco.warp import WarpWorlds  # noqa: PLC0415

    def build(model: Any, fields: list[str]) -> WarpWorlds:
        return WarpWorlds(
            model,
            num_envs,
            device=device,
            fields=fields,
            nconmax=settings.nconmax,
            njmax=settings.njmax,
            deterministic=deterministic,
        )

    return _on_worlds(scene, timing, build)


def _on_worlds(
    scene: SceneSpec, timing: Timing, build: Callable[[Any, list[str]], Any]
) -> Simulator:
    """Returns the MuJoCo simulator on the worlds that ``build(model, fields)`` returns."""
    from rlgpu.sim.mujoco.model import build_model  # noqa: PLC0415
    from rlgpu.sim.mujoco.parameters import fields_of  # noqa: PLC0415
    from rlgpu.sim.mujoco.simulator import MujocoSimulator  # noqa: PLC0415

    worlds = build(build_model(scene, timing), fields_of(scene.parameters))
    return MujocoSimulator(worlds, scene, timing)


_INSTALL_MUJOCO = "pip install mujoco==4.0.0"

ENGINES: Mapping[str, Engine] = {
    "fused": Engine(FusedSettings, ("cpu", "cuda"), _INSTALL_MUJOCO, _fused, _accept_fused),
    "mujoco": Engine(MujocoSettings, ("cpu",), _INSTALL_MUJOCO, _mujoco, _accept_all),
    "mujoco_warp": Engine(
        MujocoWarpSettings,
        ("cuda", "cpu"),  # the CPU is slow, and there to test without a GPU
        "pip install mujoco-warp==4.0.0 warp-lang==1.19.0",
        _mujoco_warp,
        _accept_all,
    ),
}
"""Engines by the name that ``sim=`` accepts."""
