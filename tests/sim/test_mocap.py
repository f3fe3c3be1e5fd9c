"""Mocap bodies: poses that each world carries, on MuJoCo C and on the fused engine."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.batch import BatchWorlds
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from rlgpu.sim.mujoco.worlds import Worlds
from tests.refusals import names

SCENE = """<mujoco><option timestep="0.002" integrator="implicitfast"/><worldbody>
  <geom type="plane" size="9 9 1"/>
  <body name="base" mocap="true" pos="0 0 1" quat="1 0 0 0">
    <geom type="box" size=".1 .1 .1" pos=".02 0 0" mass="4"/>
    <body name="shelf" pos="0 .3 0" euler="0 0 20"><geom type="box" size=".2 .2 .02"/></body>
    <body name="arm" pos=".2 0 0"><joint name="hinge" axis="0 1 0" damping="0.02"/>
      <geom type="capsule" fromto="0 0 0 .4 0 0" size=".03" mass="1"/></body></body>
  <body name="ball" pos="0 .3 1.12"><freejoint/><geom size=".1" mass="0.5"/></body>
  <body name="obstacle" mocap="true" pos="2 0 .1"><geom type="sphere" size=".1"/></body>
  </worldbody><actuator>{actuator}</actuator></mujoco>"""
N = 11
ENGINES = {"mujoco": BatchWorlds, "fused": FusedWorlds}


def model_of(actuator: str = "") -> mujoco.MjModel:
    """Returns a base that holds an arm and a shelf with a ball on it, and an obstacle."""
    return mujoco.MjModel.from_xml_string(SCENE.format(actuator=actuator))


def poses() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns positions and orientations, not of unit length, of both bodies in every world."""
    rng = np.random.default_rng(0)
    pos = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.3, 1.6]]) + 0.1 * torch.tensor(
        rng.normal(size=(N, 2, 3))
    )
    quat = torch.tensor([1.0, 0, 0, 0]) + 0.2 * torch.tensor(rng.normal(size=(N, 2, 4)))
    pos[0], quat[0] = torch.tensor([[0.0, 0, 1], [2, 0, 0.1]]), torch.tensor([1.0, 0, 0, 0])
    return pos, quat


def worlds_of(engine: str, model: mujoco.MjModel) -> Worlds:
    """Returns worlds with poses of their own, but for the first one."""
    worlds = ENGINES[engine](model, N)
    for name, values in zip(("mocap_pos", "mocap_quat"), poses(), strict=True):
        worlds.array(name).copy_(values)
    return worlds


def test_bodies_are_where_their_world_has_them() -> None:
    """Poses of all bodies, and where the ball is after steps in which it meets the shelf."""
    model = model_of()
    assert accept(model) == []
    found = []
    for engine in ENGINES:
        worlds = worlds_of(engine, model)
        arrays = [worlds.array(name) for name in ("xpos", "xquat", "subtree_com")]
        worlds.forward()
        shown = [array.double().clone() for array in arrays]
        assert (shown[0][1:, 1] != shown[0][0, 1]).any(dim=-1).all()
        shown[2] = shown[2][:, model.body_rootid[1:]]  # of whole trees, as the fused engine has it
        worlds.step(50)
        found.append((*shown, worlds.array("qpos").double(), worlds.array("qvel").double()))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).abs().max() < 2e-5
    fallen = found[1][3][:, 3]
    assert fallen.std() > 0.005


def test_a_world_without_poses_has_the_models() -> None:
    """Nothing is written, and the bodies are as in the file."""
    model = model_of()
    worlds, data = FusedWorlds(model, 2), mujoco.MjData(model)
    xpos = worlds.array("xpos")
    worlds.forward()
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(xpos[1], data.xpos, atol=1e-6)
    assert "mocap_pos" in worlds.state_dict()


ACTUATORS = {
    "no state": '<motor joint="hinge"/>',
    "an activation": '<general joint="hinge" dyntype="filter" dynprm="0.05"/>',
}


@pytest.mark.parametrize("actuator", ACTUATORS)
@pytest.mark.parametrize("engine", ENGINES)
def test_poses_outlive_resets_and_restarts(engine, actuator) -> None:
    """Of one world by a reset, and of another that diverges."""
    model = model_of(ACTUATORS[actuator])
    worlds = worlds_of(engine, model)
    before = worlds.array("mocap_pos").clone(), worlds.array("mocap_quat").clone()
    qpos = torch.tensor(model.qpos0)[None].to(worlds.array("qpos").dtype)
    worlds.step(2)
    worlds.reset_rows(torch.tensor([3]), qpos, torch.zeros(1, model.nv).to(qpos))
    worlds.array("qvel")[5] = float("nan")
    worlds.step(2)
    assert worlds.diverged.nonzero().flatten().tolist() == [5]
    assert torch.equal(worlds.array("mocap_pos"), before[0])
    assert torch.equal(worlds.array("mocap_quat"), before[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_saved_state_has_the_poses(engine) -> None:
    """Steps after loading are those before, bit for bit."""
    model = model_of()
    worlds, other = worlds_of(engine, model), ENGINES[engine](model, N)
    worlds.step(10)
    other.load_state_dict(worlds.state_dict())
    for each in (worlds, other):
        each.step(10)
    assert torch.equal(worlds.array("qpos"), other.array("qpos"))
    assert torch.equal(worlds.array("mocap_quat"), other.array("mocap_quat"))


def test_neighbours_poses_change_nothing() -> None:
    """A world steps alike, whatever poses the others have."""
    model = model_of()
    apart, together = worlds_of("fused", model), FusedWorlds(model, N)
    for name in ("mocap_pos", "mocap_quat"):
        together.array(name).copy_(apart.array(name)[4].expand(N, 2, -1))
    for worlds in (apart, together):
        worlds.step(50)
    assert torch.equal(apart.array("qpos")[4], together.array("qpos")[4])


def test_the_kernels_refuse_poses_of_other_shapes() -> None:
    """One for each mocap body of each world."""
    tables, count = Tables(model_of()).pack(), 3
    state = PhysicsState(
        torch.zeros(count, 8), *torch.zeros(2, count, 7), torch.zeros(count, dtype=torch.bool)
    )
    with pytest.raises(ValueError) as refusal:
        physics_step(
            tables,
            torch.zeros(count, 0),
            state,
            PhysicsOutputs(),
            num_steps=1,
            num_threads=1,
            mocap_pose=torch.zeros(count, 1, 7),
        )
    assert names(refusal.value, "mocap_pose", [3, 1, 7], [3, 2, 7])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_saved_state_has_the_pushes(engine) -> None:
    """Also for worlds of which nobody has asked for them yet."""
    model = model_of()
    worlds, other = worlds_of(engine, model), ENGINES[engine](model, N)
    worlds.array("xfrc_applied")[:, 4, 0] = torch.linspace(-2, 2, N)
    worlds.step(2)
    other.load_state_dict(worlds.state_dict())
    for each in (worlds, other):
        each.step(5)
    assert torch.equal(worlds.array("qpos"), other.array("qpos"))
    assert worlds.array("qvel")[:, 1].abs().max() > 0.01
