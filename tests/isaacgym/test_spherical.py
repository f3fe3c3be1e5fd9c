"""Spherical joints are three DOFs that move as MuJoCo's ball joint."""

from __future__ import annotations

import math

import mujoco
import pytest
import torch
from scenes import GYM, at, close, joint, link, new_env, new_sim, run, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi

INERTIA = (0.02, 0.03, 0.01)
BALL = """<mujoco><option timestep="0.001" integrator="implicitfast"/><worldbody><body pos="0 0 1">
<joint type="ball"/>
<inertial pos="0.1 0 -0.3" mass="1" diaginertia="0.02 0.03 0.01"/></body></worldbody></mujoco>"""
MJCF = """<mujoco><worldbody><body name="base"><inertial pos="0 0 0" mass="1"
diaginertia="1 1 1"/><body name="bob"><joint name="neck" type="ball"/>
<inertial pos="0.1 0 -0.3" mass="1" diaginertia="0.02 0.03 0.01"/></body></body></worldbody>
<actuator><motor name="push" joint="neck" gear="1 0 0"/></actuator></mujoco>"""


def load(sim, tmp_path, kind, name="bob.xml", damping=0.0):
    """Returns a pendulum on a spherical joint."""
    options = gymapi.AssetOptions()
    options.fix_base_link = True
    options.default_dof_drive_mode = gymapi.DOF_MODE_EFFORT
    if kind == "mjcf":
        (tmp_path / name).write_text(MJCF)
        return GYM.load_asset(sim, str(tmp_path), name, options)
    text = link("base") + link("bob", 1.0, (0.1, 0, -0.3), INERTIA)
    more = f'<dynamics damping="{damping}"/>'
    file = urdf(tmp_path, text + joint("neck", "base", "bob", "spherical", more=more))
    return GYM.load_asset(sim, *file, options)


@pytest.mark.parametrize("kind", ["urdf", "mjcf"])
def test_a_spherical_joint_swings_as_mujocos_ball(kind, tmp_path):
    """A pendulum that also spins, 0.4 s after it was let go with a velocity about each axis."""
    sim = new_sim("auto", dt=0.001)
    asset = load(sim, tmp_path, kind)
    GYM.create_actor(new_env(sim), asset, at(z=1.0), "bob", 0, 0)
    GYM.prepare_sim(sim)
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    start = torch.tensor([[0, 3.0], [0, -2.0], [0, 5.0]])
    GYM.set_dof_state_tensor(sim, unwrap(start))
    run(sim, 400)
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    data.qvel[:] = start[:, 1]
    mujoco.mj_step(model, data, 400)
    mujoco.mj_kinematics(model, data)
    w, x, y, z = data.xquat[1]
    close(bodies[1, 3:7], [x, y, z, w], atol=2e-3)
    assert abs(w) < 0.95


def test_a_spherical_joint_is_described_as_one_joint_of_three_dofs(tmp_path):
    """Its DOFs are rotations, named after it; efforts and limits are those of each."""
    sim = new_sim("auto")
    asset = load(sim, tmp_path, "urdf", damping=0.1)
    assert GYM.get_asset_dof_names(asset) == ["neck_x", "neck_y", "neck_z"]
    assert GYM.get_asset_joint_names(asset) == ["neck"]
    assert GYM.get_asset_joint_type(asset, 0) == gymapi.JOINT_BALL
    assert {GYM.get_asset_dof_type(asset, i) for i in range(3)} == {gymapi.DOF_ROTATION}
    properties = GYM.get_asset_dof_properties(asset)
    assert properties["hasLimits"].tolist() == [False] * 3
    close(properties["damping"], 0.1)


def test_actuators_of_ball_joints_are_reported(tmp_path, capsys):
    """They are left out, as a motor about one axis has no counterpart."""
    asset = load(new_sim("auto"), tmp_path, "mjcf", "driven.xml")
    assert GYM.get_asset_dof_names(asset) == ["neck_x", "neck_y", "neck_z"]
    assert GYM.get_asset_actuator_count(asset) == 0
    said = capsys.readouterr().err
    assert "actuator push" in said
    assert "neck_x, neck_y, neck_z" in said


def test_frames_of_dofs_are_where_their_axes_are_now(tmp_path):
    """The second hinge turns with the first, by 0.3 rad about x; all meet in one point."""
    sim = new_sim("auto")
    asset, envs = load(sim, tmp_path, "urdf"), [new_env(sim) for _ in range(2)]
    for env in envs:
        GYM.create_actor(env, asset, at(x=0.5, z=1.0), "bob", 0, 0)
    GYM.prepare_sim(sim)
    states = GYM.get_actor_dof_states(envs[1], 0, gymapi.STATE_ALL)
    states["pos"] = [0.3, 0.2, 0.0]
    GYM.set_actor_dof_states(envs[1], 0, states, gymapi.STATE_ALL)
    frames = GYM.get_actor_dof_frames(envs[1], 0)
    for frame in frames:
        close(list(gymapi.Vec3.from_buffer(frame["origin"])), [0.5, 0, 1.0], atol=1e-7)
    axes = [list(gymapi.Vec3.from_buffer(axis)) for axis in frames["axis"]]
    close(axes[0], [1, 0, 0], atol=1e-6)
    close(axes[1], [0, math.cos(0.3), math.sin(0.3)], atol=1e-6)
    close(list(GYM.get_dof_frame(envs[1], 1).axis), axes[1])
    close(list(GYM.get_dof_frame(envs[0], 1).axis), [0, 1, 0])
