"""Random models that combine the fused engine's features, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.random_models import RandomModel

NAMES = ("qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat", "xfrc_applied")


def models(first: int, count: int) -> list[mujoco.MjModel]:
    """Returns the models of some seeds that MuJoCo compiles and the engine takes."""
    found = []
    for seed in range(first, first + count):
        try:
            model = mujoco.MjModel.from_xml_string(RandomModel(seed).text)
        except ValueError:  # more than six joints of a body, a ball joint before a hinge, ...
            continue
        # Without inverse inertia, MuJoCo's own forces are rounding errors.
        moving = model.body_dofnum[model.body_weldid] > 0
        if not accept(model) and (model.body_invweight0[moving, 0] > 1e-3).all():
            found.append(model)
    return found


def run(model: mujoco.MjModel, count: int) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Returns states along a run of MuJoCo, and the velocities and activations after one step."""
    rng, data, found, after = np.random.default_rng(0), mujoco.MjData(model), [], []
    data.qvel[:] = 0.5 * rng.normal(size=model.nv)
    for _ in range(count):
        data.ctrl[:] = rng.uniform(-1.5, 1.5, model.nu)
        data.mocap_pos[:] += 0.02 * rng.normal(size=data.mocap_pos.shape)
        data.mocap_quat[:] += 0.1 * rng.normal(size=data.mocap_quat.shape)
        data.xfrc_applied[1:] = 0.3 * rng.normal(size=(model.nbody - 1, 6))
        data.qacc_warmstart[:] = 0
        before = {name: getattr(data, name).copy() for name in NAMES}
        mujoco.mj_step(model, data)
        if data.warning.number.any() or np.abs(data.qacc).max() > 1e5:
            break
        found.append(before)
        after.append(np.concatenate((data.qvel, data.act)))
        mujoco.mj_step(model, data, 5)
    return found, np.array(after)


def step(
    model: mujoco.MjModel, states: list[dict[str, np.ndarray]], dtype: torch.dtype
) -> np.ndarray:
    """Returns the fused engine's velocities and activations after one step."""
    at = {name: torch.tensor(np.array([s[name] for s in states]), dtype=dtype) for name in NAMES}
    count, act = len(states), at["act"]
    flags, none = torch.zeros(count, dtype=torch.bool), torch.zeros(count, model.nv, dtype=dtype)
    state = PhysicsState(at["qpos"], at["qvel"], none, flags, act)
    pose = torch.cat((at["mocap_pos"], at["mocap_quat"]), dim=-1) if model.nmocap else None
    physics_step(
        Tables(model).pack(dtype=dtype),
        at["ctrl"],
        state,
        PhysicsOutputs(),
        num_steps=1,
        num_threads=1,
        xfrc_applied=at["xfrc_applied"],
        mocap_pose=pose,
    )
    return torch.cat((state.qvel, act), dim=1).double().numpy()


@pytest.mark.parametrize("first", [0, 100])
def test_random_models_move_as_in_mujoco(first) -> None:
    """One step from states along a run, in both precisions, with pushes and moving bases."""
    found, tried = [], 0
    for model in models(first, 100):
        states, expected = run(model, 6)
        if not states:
            continue
        tried += 1
        scale = 1 + np.abs(expected).max(axis=1, keepdims=True)
        double, single = (
            (np.abs(step(model, states, dtype) - expected) / scale).max(axis=1)
            for dtype in (torch.float64, torch.float32)
        )
        assert np.median(double) < 1e-7, double
        found.extend(zip(double, single, strict=True))
    assert tried > 20
    both = np.array(found)
    np.testing.assert_array_less(np.quantile(both, 0.97, axis=0), [1e-7, 1e-3])


def test_neighbours_of_random_worlds_keep_their_bits() -> None:
    """Whatever becomes of one world, the others step as alone."""
    for model in models(200, 40):
        rng, count = np.random.default_rng(0), 7
        qvel = torch.tensor(rng.normal(size=(count, model.nv))).float()
        after = []
        for broken in (False, True):
            worlds = FusedWorlds(model, count)
            worlds.array("qvel").copy_(qvel)
            if broken:
                worlds.array("qvel")[3] = worlds.array("ctrl")[3] = float("nan")
            worlds.step(10)
            after.append(worlds.array("qpos").clone())
        others = [row for row in range(count) if row != 3]
        assert torch.equal(after[0][others], after[1][others])
        assert torch.isfinite(after[1]).all()
