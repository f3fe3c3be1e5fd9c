"""Convex pairs of any worlds in the lanes of one vector (csrc/kernels/physics/batch.h)."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.pair_kinds import PairKind, kind_of
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.pairs import colliding_pairs
from tests.sim.fused_steps import falls, step_errors

WEDGE = "0 0 0  .2 0 0  0 .15 0  .2 .15 0  .1 .07 .12"
SHAPES = (
    'type="cylinder" size=".08 .1"',
    'type="ellipsoid" size=".12 .08 .06"',
    'type="mesh" mesh="wedge"',
    'type="box" size=".1 .07 .05"',
    'type="capsule" size=".05 .1"',
    'type="mesh" mesh="wedge"',
    'type="cylinder" size=".1 .05"',
)


def heap() -> mujoco.MjModel:
    """Returns bodies of all convex kinds that lie on each other."""
    bodies = "".join(
        f'<body pos="{0.1 * (i % 2)} {0.1 * (i // 4)} {0.15 + 0.08 * i}"><freejoint/>'
        f'<geom {shape} mass="1" condim="{(3, 4, 6)[i % 3]}"/></body>'
        for i, shape in enumerate(SHAPES)
    )
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option timestep="0.004" integrator="implicitfast"/>
      <asset><mesh name="wedge" vertex="{WEDGE}"/></asset>
      <worldbody><geom type="plane" size="5 5 1"/>{bodies}</worldbody></mujoco>""")
    assert accept(model) == []
    return model


def settling(model: mujoco.MjModel, count: int) -> PhysicsState:
    """Returns worlds at different moments of different falls."""
    return falls(model, count, seed=5, speed=0.7, steps=(20, 120))


def stepped(
    tables: torch.Tensor, state: PhysicsState, rows: torch.Tensor, lanes: int
) -> torch.Tensor:
    """Returns qpos, qvel and qacc of some worlds after three steps, which remember axes."""
    after = PhysicsState(*(values[rows].clone() for values in state))
    physics_step(
        tables, torch.zeros(len(rows), 0), after, PhysicsOutputs(), num_steps=3, num_threads=1,
        lanes=lanes,
    )  # fmt: skip
    return torch.cat((after.qpos, after.qvel, after.qacc), dim=1)


def test_the_heap_has_more_kinds_and_contacts_than_fit_into_a_vector() -> None:
    model = heap()
    convex = [pair for pair in colliding_pairs(model) if kind_of(pair) is PairKind.CONVEX]
    assert len({pair.kind for pair in convex}) >= 9
    assert len(convex) >= 16


@pytest.mark.parametrize("lanes", [0, 4])
def test_pairs_do_not_depend_on_other_lanes(lanes) -> None:
    """A third of the worlds has a body that is nowhere; the others move as each does alone."""
    model = heap()
    count, tables = 70, Tables(model).pack()
    state, every = settling(model, count), torch.arange(count)
    broken = every % 3 == 0
    state.qpos[broken, 7:10] = torch.nan
    together = stepped(tables, state, every, lanes)
    alone = torch.cat([stepped(tables, state, every[i : i + 1], lanes) for i in range(count)])
    assert alone[~broken].isfinite().all()
    assert torch.equal(together[~broken], alone[~broken])


def test_a_heap_moves_as_in_mujoco() -> None:
    model = heap()
    model.opt.iterations, model.opt.tolerance, model.opt.ls_iterations = 200, 1e-14, 100
    model.opt.ccd_iterations, model.opt.ccd_tolerance = 500, 1e-14
    state = settling(model, 60)
    double, single = step_errors(model, state.qpos.double().numpy(), state.qvel.double().numpy())
    assert np.median(double) < 1e-6, double
    assert np.median(single) < 1e-3, single
