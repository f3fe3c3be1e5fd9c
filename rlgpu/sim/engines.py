"""Registry of engines: their settings, where they run, and how to install and build them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch

from rlgpu.config import Range, Size
from rlgpu.errors import UnknownName
from rlgpu.sim.reasons import group_reasons
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import Simulator

Threads = Annotated[int, Range(0, 1024)]


class BuildRequest(NamedTuple):
    """What an engine builds a simulator from."""

    scene: SceneSpec
    timing: Timing
    num_envs: int
    device: torch.device
    settings: Any
    """The engine's own settings."""
    deterministic: bool = False
    """Whether repeated runs must agree bit for bit, at some cost in speed."""
    viewer: bool = False
    """Whether the engine's own viewer is opened, if it has one."""


@dataclass(frozen=True)
class FusedSettings:
    """rlgpu's own kernels; ``sim.*`` on the command line."""

    engine: Literal["fused"] = "fused"
    """Name of the engine."""
    num_threads: Threads = 0
    """Threads that step the worlds on a CPU; 0 is one per core that this process may use.
    Results do not depend on it."""
    lanes: Annotated[int, Range(0, 32)] = 0
    """On a CPU, worlds per vector: 4, 8 or 16; 0 is the most that it has. On a GPU, lanes of a warp
    that share a world: 1, 2, 4, 8, 16 or 32; 0 is 1."""
    hull_vertices: Annotated[int, Range(8, 100_000, or_zero=True)] = 0
    """The most vertices of a mesh's convex hull, at least 8; 0 keeps all. Fewer are faster, and lie
    within the mesh: the console says by how much."""


@dataclass(frozen=True)
class MujocoSettings:
    """MuJoCo C on the CPU; ``sim.*`` on the command line."""

    engine: Literal["mujoco"] = "mujoco"
    """Name of the engine."""
    num_threads: Threads = 0
    """Threads that step the worlds; 0 is one per core that this process may use. Results
    do not depend on it."""


@dataclass(frozen=True)
class MujocoWarpSettings:
    """MuJoCo Warp on an NVIDIA GPU; ``sim.*`` on the command line."""

    engine: Literal["mujoco_warp"] = "mujoco_warp"
    """Name of the engine."""
    nconmax: Size = 0
    """Contact budget per world; 0 derives it from the model."""
    njmax: Size = 0
    """Constraint rows per world; 0 derives it from the model."""


@dataclass(frozen=True)
class IsaacGymSettings:
    """NVIDIA's own Isaac Gym Preview 4 in a worker process; ``sim.*`` on the command line."""

    engine: Literal["isaacgym"] = "isaacgym"
    """Name of the engine."""
    python: str = ""
    """Python 3.6, 3.7 or 3.8 that has Isaac Gym, or its environment's folder; empty: the variable
    ISAACGYM_PYTHON, else the first found in the usual places."""
    num_threads: Threads = 4
    """PhysX's threads for a simulation on the CPU."""
    position_iterations: Annotated[int, Range(1, 255)] = 4
    """PhysX's position iterations."""
    velocity_iterations: Annotated[int, Range(0, 255)] = 0
    """PhysX's velocity iterations."""
    contact_offset: Annotated[float, Range(1e-4, 1.0)] = 0.02
    """Distance at which PhysX generates contacts [m]."""
    max_depenetration_velocity: Annotated[float, Range(0.0, above=True)] = 10.0
    """Largest speed at which shapes that overlap are pushed apart [m/s]."""
    env_spacing: Annotated[float, Range(0.0, 1e4)] = 5.0
    """Distance of the environments in the viewer [m]."""
    exchange: Literal["auto", "host"] = "auto"
    """How numbers reach the worker on a GPU: ``auto`` within its memory if the driver allows it,
    ``host`` through the host's."""
    timeout: Annotated[float, Range(1.0, 1e5)] = 120.0
    """Longest time that a step may take before the worker counts as hung [s]."""


class Engine(NamedTuple):
    """Registry entry of an engine; creating it does not import the engine."""

    settings: type
    """Dataclass of its settings; every field has a usable default."""
    devices: tuple[str, ...]
    """Types of devices that it runs on, ``cpu`` or ``cuda``; the first is its default."""
    install: str
    """The command that installs it."""
    build: Callable[[BuildRequest], Simulator]
    """Imports it and builds a simulator."""
    accept: Callable[[SceneSpec, Timing], list[str]]
    """Returns why it cannot simulate a scene; empty if it can."""
    slow_start: str = ""
    """What to tell users before a start that may be slow."""
    has_viewer: bool = False
    """Whether it opens a viewer of its own."""


def make_simulator(
    engine: str,
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    *,
    device: torch.device | None = None,
    settings: Any = None,
    deterministic: bool = False,
    viewer: bool = False,
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
        viewer: Whether to open the engine's own viewer, if it has one.

    Raises:
        UnknownName: No engine has that name, or the scene uses a name that the asset lacks.
        ValueError: The engine does not simulate the scene.
        ImportError: The engine is not installed.
        RuntimeError: The engine cannot use the device, or does not start.
    """
    if engine not in ENGINES:
        said = f"sim={engine} is not an engine; allowed: {', '.join(ENGINES)}"
        raise UnknownName(engine, tuple(ENGINES), said, kind="sim")
    entry = ENGINES[engine]
    where = device or torch.device("cpu")
    chosen = settings or entry.settings()
    if scene.actuators.are_plain:
        built = BuildRequest(scene, timing, num_envs, where, chosen, deterministic, viewer)
        return entry.build(built)
    from rlgpu.sim.actuators import ActuatedSimulator, behind_actuators  # noqa: PLC0415

    plain, one = behind_actuators(scene, timing)
    behind = entry.build(BuildRequest(plain, one, num_envs, where, chosen, deterministic, viewer))
    return ActuatedSimulator(behind, scene, timing)


def _accept_fused(scene: SceneSpec, timing: Timing) -> list[str]:
    """Returns what in a scene's model the fused engine does not simulate."""
    if importlib.util.find_spec("rlgpu._C") is None:
        return ["rlgpu's compiled extension is not built"]
    try:
        from rlgpu.sim.mujoco.fused.coverage import accept  # noqa: PLC0415
        from rlgpu.sim.mujoco.model import build_model  # noqa: PLC0415
    except ImportError:
        return []  # building it reports what is missing, and how to install it
    return group_reasons(accept(build_model(scene, timing)))


def _accept_all(scene: SceneSpec, timing: Timing) -> list[str]:
    """Returns nothing: MuJoCo's own engines simulate every model."""
    return []


def _on_worlds(request: BuildRequest) -> Simulator:
    """Returns the MuJoCo simulator on the worlds of the engine that the settings name."""
    from rlgpu.sim.mujoco.model import build_model  # noqa: PLC0415
    from rlgpu.sim.mujoco.parameters import fields_of  # noqa: PLC0415
    from rlgpu.sim.mujoco.simulator import MujocoSimulator  # noqa: PLC0415
    from rlgpu.sim.mujoco.worlds import WorldsRequest, worlds_class  # noqa: PLC0415

    settings = asdict(request.settings)
    kind = worlds_class(settings.pop("engine"))
    sensors = kind.capabilities.wrenches_need_sensors
    model = build_model(request.scene, request.timing, contact_sensors=sensors)
    wanted = WorldsRequest(
        request.num_envs,
        request.device,
        tuple(fields_of(request.scene.parameters)),
        request.deterministic,
        **settings,
    )
    return MujocoSimulator(kind.build(model, wanted), request.scene, request.timing)


def _isaacgym(request: BuildRequest) -> Simulator:
    from rlgpu.sim.physx.simulator import IsaacGymSimulator  # noqa: PLC0415

    return IsaacGymSimulator(
        request.scene,
        request.timing,
        request.num_envs,
        device=request.device,
        settings=request.settings,
        viewer=request.viewer,
    )


def _accept_isaacgym(scene: SceneSpec, timing: Timing) -> list[str]:
    """Returns what in a scene's model Isaac Gym does not simulate."""
    from rlgpu.sim.mujoco.model import build_model  # noqa: PLC0415
    from rlgpu.sim.physx.coverage import refusals  # noqa: PLC0415

    return refusals(build_model(scene, timing), scene)


_INSTALL_MUJOCO = "pip install mujoco==4.0.0"

ENGINES: Mapping[str, Engine] = {
    "fused": Engine(FusedSettings, ("cpu", "cuda"), _INSTALL_MUJOCO, _on_worlds, _accept_fused),
    "mujoco": Engine(MujocoSettings, ("cpu",), _INSTALL_MUJOCO, _on_worlds, _accept_all),
    "mujoco_warp": Engine(
        MujocoWarpSettings,
        ("cuda", "cpu"),  # the CPU is slow, and there to test without a GPU
        "pip install mujoco-warp==4.0.0 warp-lang==1.19.0",
        _on_worlds,
        _accept_all,
        slow_start="preparing the simulation; the first run on a machine compiles its kernels, "
        "which takes about a minute",
    ),
    "isaacgym": Engine(
        IsaacGymSettings,
        ("cuda", "cpu"),
        "docs/isaacgym.md says how to set it up",
        _isaacgym,
        _accept_isaacgym,
        slow_start="starting Isaac Gym",
        has_viewer=True,
    ),
}
"""Engines by the name that ``sim=`` accepts."""
