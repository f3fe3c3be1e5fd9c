"""Writes worlds to files that C++ programs read (physics_file.h), to run kernels without Python.

python benchmarks/physics_file.py build/physics       the robots of benchmarks/physics.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line  # noqa: E402
from benchmarks.physics import robots, stepper  # noqa: E402
from rlgpu.ops import PhysicsModel, PhysicsState  # noqa: E402
from rlgpu.sim import make_simulator  # noqa: E402
from rlgpu.sim.mujoco.fused.tables import Tables  # noqa: E402

NUM_WORLDS = 1024


def main(folder: Path) -> None:
    """Writes a file per robot, of worlds in the middle of random motion."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (scene, timing, reach) in robots().items():
        sim = make_simulator("fused", scene, timing, NUM_WORLDS)
        stepper(sim, reach)()
        worlds = sim.worlds
        names = ("qpos", "qvel", "qacc_warmstart")
        state = PhysicsState(*(worlds.array(field) for field in names), worlds.diverged)
        packed = Tables(worlds.model).pack()
        path = folder / f"{name}.worlds"
        write_worlds(path, packed, worlds.array("ctrl"), state, num_steps=timing.decimation)
        print(f"wrote {path}")


def write_worlds(
    path: Path,
    model: PhysicsModel,
    ctrl: Tensor,
    state: PhysicsState,
    *,
    num_steps: int,
    num_watched: int = 0,
) -> None:
    """Writes a model and its worlds, float32.

    Args:
        path: The file.
        model: With one row of parameters for all worlds.
        ctrl: Controls, shape [N, nu].
        state: Of the N worlds.
        num_steps: Physics steps of a launch.
        num_watched: Bodies whose wrenches the model reports.
    """
    widths = (x.shape[1] for x in (state.qpos, state.qvel, ctrl))
    counts = [*(x.numel() for x in model), len(ctrl), num_steps, *widths, num_watched]
    with path.open("wb") as file:
        file.write(np.array(counts, np.int64).tobytes())
        for tensor in (*model, ctrl, state.qpos, state.qvel, state.qacc):
            file.write(tensor.numpy().tobytes())


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(Path(*read_command_line(sys.argv[1:], {}, __doc__, others="words").others))
