"""One step of a model from many states, on the fused engine and on MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.tables import Tables

DOUBLE, SINGLE = torch.float64, torch.float32


def mujoco_step(
    model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray | None = None
) -> np.ndarray:
    """Returns MuJoCo's velocities after a step from each state, of which some have contacts."""
    data, after = mujoco.MjData(model), []
    for i, (q, v) in enumerate(zip(qpos, qvel, strict=True)):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = q, v
        if ctrl is not None:
            data.ctrl[:] = ctrl[i]
        mujoco.mj_step(model, data)
        after.append(data.qvel.copy())
    return np.array(after)


def step_errors(
    model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest error of each state's velocities, in double and single precision."""
    expected = mujoco_step(model, qpos, qvel, ctrl)
    double, single = (
        np.abs(fused_step(model, qpos, qvel, dtype, ctrl=ctrl) - expected).max(axis=1)
        for dtype in (DOUBLE, SINGLE)
    )
    return double, single


def falls(
    model: mujoco.MjModel, count: int, *, seed: int, speed: float, steps: tuple[int, int]
) -> PhysicsState:
    """Returns worlds at different moments of different falls, in single precision.

    Args:
        model: The model.
        count: Number of worlds.
        seed: Of the falls.
        speed: Standard deviation of the first velocities [m/s, rad/s].
        steps: A fall has as many steps as the first number or more, but fewer than the second.
    """
    rng, data, rows = np.random.default_rng(seed), mujoco.MjData(model), []
    for _ in range(count):
        mujoco.mj_resetData(model, data)
        data.qvel[:] = speed * rng.normal(size=model.nv)
        mujoco.mj_step(model, data, int(rng.integers(*steps)))
        rows.append((data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy()))
    values = (torch.tensor(np.array(x), dtype=SINGLE) for x in zip(*rows, strict=True))
    return PhysicsState(*values, torch.zeros(count, dtype=torch.bool), torch.zeros(count, 0))


def fused_step(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    qvel: np.ndarray,
    dtype: torch.dtype,
    *,
    ctrl: np.ndarray | None = None,
    lanes: int = 0,
) -> np.ndarray:
    """Returns the fused engine's velocities after a step from each state."""
    count = len(qpos)
    state = PhysicsState(
        torch.tensor(qpos, dtype=dtype),
        torch.tensor(qvel, dtype=dtype),
        torch.zeros(count, model.nv, dtype=dtype),
        torch.zeros(count, dtype=torch.bool),
    )
    controls = torch.zeros(count, model.nu, dtype=dtype)
    if ctrl is not None:
        controls = torch.tensor(ctrl, dtype=dtype)
    tables = Tables(model).pack(dtype=dtype)
    outputs = PhysicsOutputs()
    physics_step(tables, controls, state, outputs, num_steps=1, num_threads=1, lanes=lanes)
    return state.qvel.double().numpy()
