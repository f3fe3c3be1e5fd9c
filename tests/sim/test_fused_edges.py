"""Edges of capsules on the faces of other geoms, within margins, against MuJoCo C.

MuJoCo finds the edge of a capsule that is thicker by half the margin.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.sim.mujoco.fused.coverage import accept
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step

PRISM = "-.1 -.08 0  .12 -.09 0  0 .1 0  -.08 -.06 .1  .1 -.07 .1  0 .08 .1"
OTHERS = {
    "a disc": 'type="cylinder" size=".1 .05"',
    "a prism": 'type="mesh" mesh="prism"',
}


def model_of(other: str, margin: float) -> mujoco.MjModel:
    """Returns a capsule and another geom that float, with a margin of their own each."""
    model = mujoco.MjModel.from_xml_string(f"""<mujoco><option timestep="0.002" gravity="0 0 0"
      integrator="implicitfast" iterations="200" tolerance="1e-14"/><asset>
      <mesh name="prism" vertex="{PRISM}"/></asset><default><geom margin="{margin}" condim="1"/>
      </default><worldbody>
      <body><freejoint/><geom type="capsule" size=".04 .1" mass="1"/></body>
      <body><freejoint/><geom {other} mass="1"/></body></worldbody></mujoco>""")
    model.opt.ccd_tolerance, model.opt.ccd_iterations = 1e-10, 200
    assert accept(model) == []
    return model


def states(model: mujoco.MjModel, count: int, nearest: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns states in which a capsule that lies almost flat comes near a face of the other."""
    rng, data = np.random.default_rng(0), mujoco.MjData(model)
    qpos, qvel = np.zeros((count, 14)), 0.5 * rng.normal(size=(count, 12))
    along = np.array([np.sqrt(0.5), 0, np.sqrt(0.5), 0])  # a capsule along x
    for q in qpos:
        q[10:] = rng.normal(size=4)
        q[10:] /= np.linalg.norm(q[10:])
        turn, own = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, np.array([0.0, 0, 1]), rng.uniform(0, 6))
        mujoco.mju_mulQuat(own, turn, along)
        mujoco.mju_axisAngle2Quat(turn, np.array([0.0, 1, 0]), rng.normal() * 0.03)
        mujoco.mju_mulQuat(own, turn.copy(), own.copy())
        mujoco.mju_mulQuat(q[3:7], q[10:], own)
        place = np.array([*rng.uniform(-0.1, 0.1, 2), 0.0])
        low, high, wanted = 0.0, 0.6, rng.uniform(nearest, 2 * model.geom_margin[0])
        for _ in range(40):  # above a face, so high that the distance is as wanted
            place[2] = 0.5 * (low + high)
            mujoco.mju_rotVecQuat(q[:3], place, q[10:])
            data.qpos[:] = q
            mujoco.mj_kinematics(model, data)
            if mujoco.mj_geomDistance(model, data, 0, 1, 1.0, None) < wanted:
                low = place[2]
            else:
                high = place[2]
    return qpos, qvel


@pytest.mark.parametrize("margin", [0.0, 0.002, 0.01])
@pytest.mark.parametrize("other", OTHERS)
def test_a_capsule_lies_on_a_face(other, margin) -> None:
    """One or two contacts, near the rim as well, and in penetration."""
    model = model_of(OTHERS[other], margin)
    qpos, qvel = states(model, 120, -0.001)
    expected = mujoco_step(model, qpos, qvel)
    touching = np.abs(expected - qvel).max(axis=1) > 1e-3
    assert touching.sum() > 30
    double = np.abs(fused_step(model, qpos, qvel, DOUBLE) - expected).max(axis=1)
    single = np.abs(fused_step(model, qpos, qvel, SINGLE) - expected).max(axis=1)
    assert (double > 1e-6).mean() <= 0.01, double
    assert np.quantile(single, 0.9) < 1e-3, single
