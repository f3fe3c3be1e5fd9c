"""physics_step as an op: arguments, sizes, outputs. Its arithmetic: tests/sim/test_fused.py."""

from __future__ import annotations

import mujoco
import pytest
import torch

from rlgpu.ops import (
    PhysicsModel,
    PhysicsOutputs,
    PhysicsState,
    in_blocks,
    physics_step,
    physics_tables,
    write_blocks,
)
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.refusals import names

BALL = """<mujoco><option integrator="implicitfast"/><worldbody>
  <geom type="plane" size="5 5 1"/>
  <body name="ball" pos="0 0 0.099"><freejoint/><geom type="sphere" size="0.1" mass="2"/></body>
</worldbody></mujoco>"""


@pytest.fixture(scope="module")
def model() -> PhysicsModel:
    """A ball that touches the ground; its wrench is measured."""
    return Tables(mujoco.MjModel.from_xml_string(BALL)).pack([1])


def state(n: int) -> PhysicsState:
    qpos = torch.tensor([[0.0, 0.0, 0.099, 1.0, 0.0, 0.0, 0.0]]).repeat(n, 1)
    return PhysicsState(
        qpos, torch.zeros(n, 6), torch.zeros(n, 6), torch.zeros(n, dtype=torch.bool)
    )


def outputs(n: int) -> PhysicsOutputs:
    widths = (6, 3, 4, 9, 3, 6, 6)
    return PhysicsOutputs(
        *(torch.full((n, 1 if i == 0 else 2, width), -7.0) for i, width in enumerate(widths)),
        qfrc_actuator=torch.full((n, 6), -7.0),
    )


@pytest.mark.parametrize("n", [0, 1, 3, 4, 15, 16, 17, 33])
def test_every_world_is_stepped_whatever_their_number(model, n) -> None:
    """Full vectors, part of one, and none: the ball's weight is 19.62 N, its push somewhat more."""
    worlds, results = state(n), outputs(n)
    physics_step(model, torch.zeros(n, 0), worlds, results, num_steps=1, num_threads=2)
    assert (worlds.qvel[:, 2] != 0).all()
    assert (results.wrenches[:, 0, 2] > 19.62).all()
    # Reported at the start of the step: the pose is that before it.
    torch.testing.assert_close(results.xpos[:, 1], torch.tensor([[0.0, 0.0, 0.099]]).expand(n, 3))
    assert torch.equal(results.xquat[:, 1], torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(n, 4))
    assert torch.equal(results.cfrc_ext[:, 1, 5], -results.cfrc_ext[:, 0, 5])


def test_without_steps_only_the_bodies_are_updated(model) -> None:
    """Poses and velocities follow the state; wrenches and the state itself are left alone."""
    worlds, results = state(2), outputs(2)
    worlds.qvel[:, 0] = 3.0
    worlds = worlds._replace(act=torch.zeros(2, 0))
    before = [x.clone() for x in worlds]
    physics_step(model, torch.zeros(2, 0), worlds, results, num_steps=0, num_threads=1)
    assert all(torch.equal(a, b) for a, b in zip(worlds, before, strict=True))
    assert (results.cvel[:, 1, 3] == 3.0).all()
    assert (results.wrenches == -7.0).all()
    assert (results.qfrc_actuator == -7.0).all()


def test_the_op_passes_torchs_checks(model) -> None:
    """Schema, fake kernel and mutation marks."""
    pushes = torch.ones(3, 2, 6)
    arguments = (*model, torch.zeros(3, 0), pushes, None, *state(3), *outputs(3), 1, 1, 0)
    torch.library.opcheck(torch.ops.rlgpu.physics_step.default, arguments)
    without = (*model, torch.zeros(3, 0), None, None, *state(3), *PhysicsOutputs(), 1, 1, 0)
    torch.library.opcheck(torch.ops.rlgpu.physics_step.default, without)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"qvel": torch.zeros(3, 5)}, ("qvel", [3, 5], [3, 6])),
        ({"qacc": torch.zeros(3, 6).double()}, ("qacc", "Double", "Float")),
        ({"qpos": torch.zeros(7, 3).T}, ("qpos", "contiguous")),
        ({"diverged": torch.zeros(3)}, ("diverged", "Float", "Bool")),
    ],
)
def test_wrong_tensors_are_refused(model, change, named) -> None:
    """The message names the tensor, what it is and what was wanted."""
    worlds = state(3)._replace(**change)
    with pytest.raises(ValueError) as refusal:
        physics_step(model, torch.zeros(3, 0), worlds, PhysicsOutputs(), num_steps=1, num_threads=1)
    assert names(refusal.value, "physics_step", *named)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"num_steps": -1, "num_threads": 1}, ("steps", -1, 0)),
        ({"num_steps": 1, "num_threads": 0}, ("threads", 0, 1)),
        ({"num_steps": 1, "num_threads": 1, "lanes": 5}, ("lanes", 5, 0)),
    ],
)
def test_wrong_numbers_are_refused(model, how, named) -> None:
    """Steps, threads and lanes."""
    with pytest.raises(ValueError) as refusal:
        physics_step(model, torch.zeros(3, 0), state(3), PhysicsOutputs(), **how)
    assert names(refusal.value, *named)


def test_the_tables_are_named_once() -> None:
    """Python asks the kernels for the names: every list is there, and no name occurs twice."""
    names = physics_tables()
    assert set(names) == {"sizes", "ints", "constants", "parameters"}
    everything = [name for part in names.values() for name in part]
    assert len(everything) == len(set(everything))


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_every_world_has_the_parameters_of_its_row(model, lanes) -> None:
    """Balls under gravity of their own fall by it; two get another one, wherever they lie."""
    n = 37
    first = physics_tables()["parameters"].index("gravity")
    sizes, ints, constants = (
        len(physics_tables()[kind]) for kind in ("sizes", "ints", "constants")
    )
    column = int(model.header[sizes + ints + constants + first]) + 2
    rows = model.parameters.repeat(n, 1)
    rows[:, column] = -torch.arange(1.0, n + 1)
    blocks = in_blocks(rows)
    assert blocks.shape == (3, rows.shape[1], 16)
    changed = torch.tensor([5, 36])
    rows[changed, column] = torch.tensor([-50.0, -60.0])
    write_blocks(blocks, changed, rows[changed])
    now = state(n)
    now.qpos[:, 2] = 5.0
    try:
        physics_step(
            model._replace(parameters=blocks),
            torch.zeros(n, 0),
            now,
            PhysicsOutputs(),
            num_steps=1,
            num_threads=2,
            lanes=lanes,
        )
    except ValueError as error:
        pytest.skip(str(error))
    torch.testing.assert_close(now.qacc[:, 2], rows[:, column])
    assert not now.qacc[:, :2].any()
