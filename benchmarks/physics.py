"""Control steps per second of bare engines, side by side: medians of rounds in turn.

    python benchmarks/physics.py                    fused and mujoco on the CPU, 512 environments
    python benchmarks/physics.py fused mujoco_warp device=cuda:0 num_envs=1024,4096,65536
    python benchmarks/physics.py fused:1 fused:8 fused:32 device=cuda:0    lanes of a warp per world

Each engine steps the same robots under random targets, with nothing around it. The robots: Ant and
Cartpole as the tasks have them; a quadruped with PD drives, dry friction and a box; a humanoid with
self-collision. The last two are in benchmarks/assets.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import mujoco
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line  # noqa: E402
from rlgpu.config import compose  # noqa: E402
from rlgpu.profile.timing import seconds_once  # noqa: E402
from rlgpu.sim import (  # noqa: E402
    ENGINES,
    Drive,
    FusedSettings,
    SceneSpec,
    Simulator,
    Timing,
    make_simulator,
)
from rlgpu.tasks import TASKS  # noqa: E402

ASSETS = Path(__file__).parent / "assets"
ROUNDS = 9
STEPS = 20
SETTLE = 40


def main(arguments: list[str]) -> None:
    """Prints a table for each number of environments."""
    defaults = {"device": "cpu", "num_envs": [512]}
    options, engines = read_command_line(arguments, defaults, __doc__, others="words")
    for num_envs in options["num_envs"]:
        compare(engines or ["fused", "mujoco"], num_envs, torch.device(options["device"]))


def compare(engines: list[str], num_envs: int, device: torch.device) -> None:
    """Prints a row per robot: control steps per second of each engine, the first over the second.

    Args:
        engines: Names; ``fused:8`` is the fused engine with 8 lanes.
        num_envs: Environments of each.
        device: Where they all run.
    """
    print(f"{num_envs} environments on {device}, {ROUNDS} rounds in turn, medians")
    print(f"{'robot':12}" + "".join(f"{name:>14}" for name in engines) + f"{'ratio':>10}")
    for name, (scene, timing, reach) in robots().items():
        runs = []
        for word in engines:
            engine, _, lanes = word.partition(":")
            settings = FusedSettings(lanes=int(lanes)) if lanes else None
            sim = make_simulator(engine, scene, timing, num_envs, device=device, settings=settings)
            runs.append(stepper(sim, reach))
        rounds = [[seconds_once(run, device, 1) for run in runs] for _ in range(ROUNDS)]
        speeds = [
            num_envs * STEPS / statistics.median(column) for column in zip(*rounds, strict=True)
        ]
        ratio = statistics.median(r[1] / r[0] for r in rounds) if len(engines) > 1 else 1.0
        print(f"{name:12}" + "".join(f"{speed:14,.0f}" for speed in speeds) + f"{ratio:9.1f}x")


def robots() -> dict[str, tuple[SceneSpec, Timing, float]]:
    """Returns the robots: scene, timing, and the reach of the random targets about the middle."""
    found = {}
    for name, reach in (("Ant", 15.0), ("Cartpole", 100.0)):
        config = compose([f"task={name}"], TASKS, ENGINES).config
        scene = TASKS[name](config.task).scene()
        found[name] = (scene, config.task.timing(), reach)
    pd = Drive("position", stiffness=20.0, damping=0.5, effort_limit=25.0)
    found["quadruped"] = (robot("quadruped", pd), Timing(0.005, 4), 0.3)
    found["humanoid"] = (robot("humanoid", Drive("effort")), Timing(1 / 120, 2), 40.0)
    return found


def robot(name: str, drive: Drive) -> SceneSpec:
    """Returns a robot of benchmarks/assets with one kind of drive on all joints."""
    asset = ASSETS / f"{name}.xml"
    joints = [joint.name for joint in mujoco.MjSpec.from_file(str(asset)).joints[1:]]
    return SceneSpec(asset, dict.fromkeys(joints, drive))


def stepper(sim: Simulator, reach: float) -> Callable[[], None]:
    """Returns a function that makes ``STEPS`` control steps under random targets."""
    rng = torch.Generator().manual_seed(0)
    shape = (STEPS, sim.num_envs, len(sim.joint_names))
    noise = (2.0 * torch.rand(shape, generator=rng) - 1.0).to(sim.device)
    low, high = sim.joint_lower, sim.joint_upper
    middle = torch.where(low.isfinite() & high.isfinite(), (low + high) / 2, 0.0)
    targets = reach * noise + (middle if reach < 1.0 else 0.0)

    def run() -> None:
        for t in range(STEPS):
            sim.set_targets(targets[t])
            sim.step()

    for _ in range(SETTLE // STEPS):
        run()
    return run


if __name__ == "__main__":
    main(sys.argv[1:])
