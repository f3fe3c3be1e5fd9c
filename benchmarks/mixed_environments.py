"""What it costs that environments of an Isaac Gym script hold different actors.

    python benchmarks/mixed_environments.py [num_envs=62] [engine=mujoco]

Environments hold one of two robots and some of five kinds of objects, in 62 combinations. Steps
them, and the same number of alike environments of every eleventh combination, in turns. Prints
medians of the processor's time on one thread, which other jobs change little, and the ratio.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from scenes import GYM, unwrap

from benchmarks.command_line import read_command_line
from tests.isaacgym.mixed import Scene, build, contents

KINDS = 62


def step(scene: Scene, targets: torch.Tensor) -> float:
    """Returns the processor's time for a step [ms], the mean of five."""
    start = time.process_time()
    for _ in range(5):
        GYM.set_dof_position_target_tensor(scene.sim, unwrap(targets.uniform_(-0.3, 0.3)))
        GYM.simulate(scene.sim)
    return (time.process_time() - start) / 5 * 1e3


def main(arguments: list[str]) -> None:
    """Prints milliseconds a step, and the ratio."""
    defaults = {"num_envs": KINDS, "engine": "mujoco", "rounds": 20}
    options, _ = read_command_line(arguments, defaults, __doc__)
    count, engine = options["num_envs"], options["engine"]
    kinds = {"mixed": [contents(i % KINDS) for i in range(count)]}
    kinds |= {f"alike {i}": [contents(i)] * count for i in range(0, KINDS, 11)}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        scenes = {name: build(engine, Path(folder), kind, 1) for name, kind in kinds.items()}
    targets = {name: torch.zeros(len(s.tensors["dof_state"])) for name, s in scenes.items()}
    times: dict[str, list[float]] = {name: [] for name in scenes}
    for _ in range(options["rounds"]):
        for name, scene in scenes.items():
            times[name].append(step(scene, targets[name]))
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    alike = statistics.mean(value for name, value in medians.items() if name != "mixed")
    groups = len(scenes["mixed"].sim.world.groups)
    print(f"{count} environments of {min(count, KINDS)} contents, {groups} groups, {engine}")
    mixed = medians["mixed"]
    print(f"mixed {mixed:.2f} ms a step, alike {alike:.2f} ms; speed {alike / mixed:.2f} of alike")


if __name__ == "__main__":
    main(sys.argv[1:])
