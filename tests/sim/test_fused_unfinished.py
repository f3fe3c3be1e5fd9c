"""Worlds of the fused engine that take its solver long, and go on in vectors with others."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.pattern import bridge_of, elimination_pattern, parents_of
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.sim.fused_steps import falls, step_errors

# Limbs that touch each other and the floor, limits, a loss, a coupling, a ball joint: all kinds of
# rows, and a matrix whose pattern depends on who touches whom.
CRAB = """<mujoco>
  <option timestep="0.004" integrator="implicitfast" cone="{cone}" impratio="{impratio}"/>
  <default><geom condim="{condim}" friction=".8 .05 .02" contype="1" conaffinity="1"/>
    <joint damping="0.2" armature="0.01" limited="true" range="-100 100"/></default>
  <worldbody><geom type="plane" size="5 5 1"/>
    <body pos="0 0 .35"><freejoint/><geom type="sphere" size=".1" mass="2"/>
      <body pos=".12 0 0"><joint name="a" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 .25 0 0" size=".03" mass=".3"/>
        <body pos=".25 0 0"><joint axis="0 1 0" frictionloss=".1"/>
          <geom type="capsule" fromto="0 0 0 .2 0 0" size=".03" mass=".2"/></body></body>
      <body pos="-.12 0 0"><joint name="b" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 -.25 0 0" size=".03" mass=".3"/>
        <body pos="-.25 0 0"><joint axis="0 1 0"/>
          <geom type="capsule" fromto="0 0 0 -.2 0 0" size=".03" mass=".2"/></body></body>
      <body pos="0 .12 0"><joint type="ball" range="0 70"/>
        <geom type="box" pos="0 .15 0" size=".03 .12 .03" mass=".3"/></body>
    </body>
    <body pos="0 0 .8"><freejoint/><geom type="box" size=".15 .1 .04" mass=".5"/></body>
  </worldbody>
  <equality><joint joint1="a" joint2="b" polycoef="0 -1 0 0 0"/></equality></mujoco>"""

KINDS = [("pyramidal", 1, 3), ("pyramidal", 1, 6), ("elliptic", 1, 3), ("elliptic", 30, 6)]


def crab(cone: str, impratio: float, condim: int) -> mujoco.MjModel:
    text = CRAB.format(cone=cone, impratio=impratio, condim=condim)
    model = mujoco.MjModel.from_xml_string(text)
    assert accept(model) == []
    return model


def falling(model: mujoco.MjModel, count: int) -> PhysicsState:
    """Returns worlds at different moments of different falls."""
    return falls(model, count, seed=3, speed=2.0, steps=(5, 150))


def stepped(
    tables: torch.Tensor, state: PhysicsState, rows: torch.Tensor, lanes: int, threads: int
) -> torch.Tensor:
    """Returns qpos, qvel and qacc of some of the worlds after a step, shape [rows, ...]."""
    after = PhysicsState(*(values[rows].clone() for values in state))
    ctrl = torch.zeros(len(rows), 0)
    outputs = PhysicsOutputs()
    physics_step(tables, ctrl, after, outputs, num_steps=1, num_threads=threads, lanes=lanes)
    return torch.cat((after.qpos, after.qvel, after.qacc), dim=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}-{kind[2]}")
@pytest.mark.parametrize("lanes", [0, 4])
def test_a_world_moves_as_it_does_alone(kind, lanes) -> None:
    """To the last bit, whoever shares its vectors, in whichever order, on however many threads."""
    model = crab(*kind)
    count, tables = 150, Tables(model).pack()
    state, every = falling(model, count), torch.arange(count)
    together = stepped(tables, state, every, lanes, 1)
    alone = torch.cat([stepped(tables, state, every[i : i + 1], lanes, 1) for i in range(count)])
    assert together.isfinite().all()
    assert torch.equal(together, alone)
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    assert torch.equal(stepped(tables, state, shuffled, lanes, 2), alone[shuffled])


def test_a_world_is_not_disturbed_by_broken_ones() -> None:
    """A body that is nowhere leaves its world busy with others, and its lane to the next world."""
    body = '<body pos="{x} 0 .2"><freejoint/><geom type="box" size=".1 .08 .05" mass="1"/></body>'
    bodies = "".join(body.format(x=x) for x in range(4))
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option timestep="0.004" integrator="implicitfast"/>
      <worldbody><geom type="plane" size="5 5 1"/>{bodies}</worldbody></mujoco>""")
    count, tables = 256, Tables(model).pack()
    state, every = falling(model, count), torch.arange(count)
    broken = every % 3 == 0
    state.qpos[broken, :3] = torch.nan
    for lanes in (0, 4):
        together = stepped(tables, state, every, lanes, 1)
        alone = torch.cat(
            [stepped(tables, state, every[i : i + 1], lanes, 1) for i in range(count)]
        )
        assert torch.equal(together[~broken], alone[~broken])


def test_chains_are_joined_only_by_limbs_of_two_branches() -> None:
    model = crab("pyramidal", 1, 3)
    alone = elimination_pattern(model, [])
    assert parents_of(alone) == model.dof_parentid.tolist()
    # Dofs 0 to 5 are the trunk's, 6 and 7 one arm's, 8 and 9 the other's.
    assert bridge_of(alone, {9: 1.0, 8: 1.0, 5: 1.0}) == (-1, -1)
    assert bridge_of(alone, {9: 1.0, 8: 1.0, 7: -1.0, 6: -1.0}) == (9, 7)
    coupled = elimination_pattern(model, [[8, 6]])
    assert parents_of(coupled)[6:10] == [5, 6, 6, 8]
    assert bridge_of(coupled, {9: 1.0, 8: 1.0, 6: -1.0}) == (-1, -1)
    assert bridge_of(coupled, {9: 1.0, 8: 1.0, 7: -1.0, 6: -1.0}) == (9, 7)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}-{kind[2]}")
def test_limbs_that_touch_move_as_in_mujoco(kind) -> None:
    """One step of each world: the contacts between limbs decide the matrix's pattern."""
    model = crab(*kind)
    model.opt.iterations, model.opt.tolerance, model.opt.ls_iterations = 200, 1e-14, 100
    state = falling(model, 100)
    double, single = step_errors(model, state.qpos.double().numpy(), state.qvel.double().numpy())
    assert np.quantile(double, 0.9) < 1e-7, double
    assert np.quantile(single, 0.9) < 1e-3, single
