"""The fused engine on robot files: which it takes, how fast it steps them, and how exactly.

    python benchmarks/robots.py FILE.xml ...

Each file runs on the integrator implicitfast with native convex collisions, from its first
keyframe, under random controls. For those that the engine takes, the table has the time of a
physics step of one world on one core with MuJoCo C and with the fused engine, measured in turns,
and how far one step's velocities are apart from an exact solution of MuJoCo's
in single precision [m/s, rad/s]. The others are listed with their reasons.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command_line import read_command_line, refuse
from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.reasons import group_reasons

WORLDS, STEPS, ROUNDS, SETTLING = 64, 4, 25, 150


class Measured(NamedTuple):
    """What was measured on one file."""

    contacts: float
    mujoco_us: float
    fused_us: float
    errors: np.ndarray
    """Largest difference of a velocity after one step of each world."""


def load(path: Path) -> mujoco.MjModel:
    """Returns a file's model on the integrator and the collisions of the fused engine."""
    model = mujoco.MjModel.from_xml_path(str(path))
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
    return model


def controls(model: mujoco.MjModel, rng: np.random.Generator) -> np.ndarray:
    """Returns random controls of all worlds about the first keyframe's, shape [N, nu]."""
    middle = model.key_ctrl[0] if model.nkey else np.zeros(model.nu)
    limits = np.where(model.actuator_ctrllimited[:, None] > 0, model.actuator_ctrlrange, [-1, 1])
    return middle + 0.3 * np.ptp(limits, axis=1) * (rng.random((WORLDS, model.nu)) - 0.5)


def state_of(datas: list[mujoco.MjData]) -> PhysicsState:
    """Returns MuJoCo's states as the fused engine's."""
    fields = ("qpos", "qvel", "qacc_warmstart", "act")
    columns = (np.array([getattr(data, name) for data in datas]) for name in fields)
    *state, act = (torch.tensor(column, dtype=torch.float32) for column in columns)
    return PhysicsState(*state, torch.zeros(len(datas), dtype=torch.bool), act)


def measure(model: mujoco.MjModel) -> Measured:
    """Steps a model on both engines in turns."""
    rng, tables = np.random.default_rng(0), Tables(model).pack()
    datas = [mujoco.MjData(model) for _ in range(WORLDS)]
    for data, ctrl in zip(datas, controls(model, rng), strict=True):
        data.qpos[:] = model.key_qpos[0] if model.nkey else model.qpos0
        data.qvel[:] = 0.1 * rng.normal(size=model.nv)
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data, SETTLING)
    state, contacts = state_of(datas), []
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        ctrl = controls(model, rng)
        start = time.perf_counter()
        for data, row in zip(datas, ctrl, strict=True):
            data.ctrl[:] = row
            mujoco.mj_step(model, data, STEPS)
        times[0].append(time.perf_counter() - start)
        contacts.append(np.mean([data.ncon for data in datas]))
        row_tensor = torch.tensor(ctrl, dtype=torch.float32)
        start = time.perf_counter()
        physics_step(tables, row_tensor, state, PhysicsOutputs(), num_steps=STEPS, num_threads=1)
        times[1].append(time.perf_counter() - start)
    after = state_of(datas)
    ctrl = torch.tensor(np.array([data.ctrl for data in datas]), dtype=torch.float32)
    physics_step(tables, ctrl, after, PhysicsOutputs(), num_steps=1, num_threads=1)
    exact = copy.copy(model)  # some files stop before it is there
    exact.opt.iterations, exact.opt.tolerance, exact.opt.ls_iterations = 200, 1e-12, 100
    exact.opt.ccd_tolerance, exact.opt.ccd_iterations = 1e-14, 500
    for data in datas:
        mujoco.mj_step(exact, data)
    expected = np.array([data.qvel for data in datas])
    mujoco_us, fused_us = (1e6 * statistics.median(t) / WORLDS / STEPS for t in times)
    errors = np.abs(after.qvel.numpy() - expected).max(axis=1)
    return Measured(float(np.mean(contacts)), mujoco_us, fused_us, errors)


def main(paths: list[Path]) -> None:
    """Prints a line for each file and the medians."""
    torch.set_num_threads(1)
    refused, ratios, unread = [], [], 0
    print(f"{'file':44} {'dofs':>4} {'contacts':>8} {'MuJoCo us':>9} {'fused us':>8} {'x':>5}"
          f"  {'|dv| p50':>8} {'p99':>7}")  # fmt: skip
    for path in paths:
        name = "/".join(path.parts[-2:])
        try:
            model = load(path)
        except ValueError:
            unread += 1  # a part of a model, or one whose files are missing
            continue
        if model.nv == 0:
            continue
        if reasons := accept(model):
            refused.append(f"{name}: {'; '.join(group_reasons(reasons))}")
            continue
        m = measure(model)
        ratios.append(m.mujoco_us / m.fused_us)
        print(
            f"{name:44} {model.nv:4} {m.contacts:8.1f} {m.mujoco_us:9.1f} {m.fused_us:8.2f} "
            f"{ratios[-1]:5.1f}  {np.median(m.errors):8.0e} {np.quantile(m.errors, 0.99):7.0e}",
            flush=True,
        )
    for line in refused:
        print(line)
    taken = len(ratios)
    speed = f", median {statistics.median(ratios):.1f} times as fast" if ratios else ""
    print(f"{taken} of {taken + len(refused)} taken{speed}; not loaded by MuJoCo: {unread}")


if __name__ == "__main__":
    files = read_command_line(sys.argv[1:], {}, __doc__, others="words").others
    if not files:
        refuse("no files given; wanted: python benchmarks/robots.py FILE.xml ...")
    main([Path(word) for word in files])
