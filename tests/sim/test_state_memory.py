"""Which fields of a state are the engine's own memory."""

from __future__ import annotations

import pytest
import torch

from rlgpu.config import compose
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.sim.simulator import SHARED_WITH_THE_ENGINE
from rlgpu.tasks import TASKS

ARRAYS = ("qpos", "qvel", "xpos", "xquat", "cvel", "qfrc_actuator", "ctrl")


def simulator(engine: str, name: str):
    """Returns three environments of a task on an engine."""
    config = compose([f"task={name}"], TASKS, ENGINES).config.task
    return make_simulator(engine, TASKS[name](config).scene(), config.timing(), 3)


def storages(tensors) -> set[int]:
    """Returns where tensors that hold anything are stored."""
    return {x.untyped_storage().data_ptr() for x in tensors if x.numel()}


@pytest.mark.parametrize("engine", ["mujoco", "fused", "mujoco_warp"])
@pytest.mark.parametrize("name", ["Cartpole", "Ant", "Go2"])
def test_only_the_fields_that_are_listed_share_the_engines_memory(engine, name) -> None:
    """Written to, the others leave every array of the engine as it is."""
    sim = simulator(engine, name)
    sim.step()
    sim.refresh()
    kept = [x for field, x in sim.state._asdict().items() if field not in SHARED_WITH_THE_ENGINE]
    worlds = [sim.worlds.array(array) for array in ARRAYS]
    assert not storages(kept) & storages([*worlds, sim.worlds.diverged, sim.worlds.overflowed])
    before = [array.clone() for array in worlds]
    for field in kept:
        field.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, worlds, strict=True))


def test_where_dtype_and_layout_are_the_states_joints_are_shared() -> None:
    """Cartpole's joints in single precision; MuJoCo C's are in double precision, and copied."""
    for engine, is_shared in (("fused", True), ("mujoco_warp", True), ("mujoco", False)):
        sim = simulator(engine, "Cartpole")
        shared = storages([sim.state.joint_pos]) & storages([sim.worlds.array("qpos")])
        assert bool(shared) == is_shared
