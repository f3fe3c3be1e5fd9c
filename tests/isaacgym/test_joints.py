"""Joints, which hold each body but the root, and states of several environments at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scenes import GYM, at, close, joint, link, new_env, new_sim, run, urdf

from rlgpu.isaacgym.api import gymapi
from tests.refusals import names

LIFT = "".join(
    [
        link("base"),
        link("mount"),
        link("arm", 1.0, (0, 0, -0.5)),
        link("slider", 1.0),
        joint("bolt", "base", "mount", "fixed", xyz="0 0 1"),
        joint("hinge", "mount", "arm", xyz="0.5 0 0"),
        joint("rail", "arm", "slider", "prismatic", axis="0 0 1", xyz="0 0 -1"),
    ]
)
"""A plate bolted 1 m above the base, an arm that turns about y 0.5 m before it, and a slider."""


@pytest.fixture
def lifts(tmp_path):
    """Two environments: a ball and a lift, and a ball and a lift 2 m to the left."""
    sim = new_sim("auto", gravity=(0, 0, 0))
    options = gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, LIFT), options)
    ball, envs = GYM.create_sphere(sim, 0.1, None), []
    for y in (0.0, 2.0):
        envs.append(new_env(sim))
        GYM.create_actor(envs[-1], ball, at(9, 9, 9 + y), "ball", 0, 0)
        GYM.create_actor(envs[-1], asset, at(y=y), "lift", 0, 0)
    GYM.prepare_sim(sim)
    return sim, envs


def set_dofs(env, angle, way, flags=gymapi.STATE_ALL, speed=0.0):
    """Puts the joints of a lift into a state."""
    states = np.array([(angle, speed), (way, 0.0)], gymapi.DofState.dtype)
    GYM.set_actor_dof_states(env, 1, states, flags)


def test_joints_are_counted_and_found_also_where_they_are_fixed(lifts):
    """A lift has three joints and two degrees of freedom; handles count a bolt as well."""
    sim, envs = lifts
    assert GYM.get_actor_joint_names(envs[1], 1) == ["bolt", "hinge", "rail"]
    assert GYM.get_actor_joint_dict(envs[1], 1) == {"bolt": 0, "hinge": 1, "rail": 2}
    counts = GYM.get_actor_joint_count(envs[0], 1), GYM.get_actor_joint_count(envs[0], 0)
    assert counts == (3, 0)
    assert (GYM.get_env_joint_count(envs[0]), GYM.get_sim_joint_count(sim)) == (3, 6)
    assert GYM.find_actor_joint_handle(envs[1], 1, "hinge") == 1
    assert GYM.get_joint_handle(envs[1], "lift", "rail") == 2
    assert GYM.find_actor_joint_handle(envs[1], 1, "none") == -1
    assert GYM.get_actor_joint_index(envs[1], 1, 2, gymapi.DOMAIN_SIM) == 5
    assert GYM.get_joint_name(envs[1], 2) == "rail"
    with pytest.raises(IndexError) as refusal:
        GYM.get_joint_name(envs[1], 3)
    assert names(refusal.value, 3)


def test_joints_have_positions_and_targets(lifts):
    """Those of their degree of freedom; a bolt has none."""
    _, envs = lifts
    set_dofs(envs[1], 0.3, 0.2, speed=0.7)
    found = [GYM.get_joint_position(envs[1], i) for i in range(3)]
    close(found, [0.0, 0.3, 0.2], rtol=1e-6)
    close([GYM.get_joint_velocity(envs[1], i) for i in range(3)], [0.0, 0.7, 0.0], rtol=1e-6)
    GYM.set_joint_target_position(envs[1], 2, 0.1)
    GYM.set_joint_target_velocity(envs[1], 1, 0.4)
    close(GYM.get_actor_dof_position_targets(envs[1], 1), [0.0, 0.1])
    close(GYM.get_actor_dof_velocity_targets(envs[1], 1), [0.4, 0.0])
    close(GYM.get_joint_target_position(envs[1], 2), 0.1)
    close(GYM.get_joint_target_velocity(envs[1], 1), 0.4)
    assert GYM.get_joint_target_position(envs[1], 0) == 0.0
    with pytest.raises(ValueError) as refusal:
        GYM.set_joint_target_position(envs[1], 0, 1.0)
    assert names(refusal.value, "bolt", "lift")


def test_frames_of_joints_move_with_their_bodies(lifts):
    """A quarter turn about y turns the arm from -z to -x; the rail is 1 m along it, less 0.2 m."""
    _, envs = lifts
    set_dofs(envs[1], math.pi / 2, 0.2)
    frames = GYM.get_actor_joint_transforms(envs[1], 1)
    assert frames.dtype == gymapi.Transform.dtype
    places = np.stack([frames["p"][axis] for axis in "xyz"], axis=-1)
    # The slider is 1 m less 0.2 m from the hinge.
    close(places, [[0, 2, 1], [0.5, 2, 1], [-0.3, 2, 1]], atol=1e-6)
    half = math.sqrt(0.5)
    close(frames["r"]["y"], [0, half, half], atol=1e-6)
    close(frames["r"]["w"], [1, half, half], atol=1e-6)
    one = GYM.get_joint_transform(envs[1], 2)
    close(list(one.p), [-0.3, 2, 1], atol=1e-6)
    frame = GYM.get_dof_frame(envs[1], 1)
    # The rail itself does not slide; its axis was z and points to x.
    close([*frame.origin, *frame.axis], [-0.5, 2, 1, 1, 0, 0], atol=1e-6)


def test_states_of_several_environments_are_arrays(lifts):
    """One handle for all or one for each; the same numbers as environment by environment."""
    sim, envs = lifts
    set_dofs(envs[0], 0.1, 0.0)
    set_dofs(envs[1], 0.3, 0.2, speed=0.7)
    states = GYM.get_vec_actor_dof_states(envs, 1, gymapi.STATE_ALL)
    close(states["pos"], [[0.1, 0.0], [0.3, 0.2]], rtol=1e-6)
    close(states["vel"], [[0.0, 0.0], [0.7, 0.0]], rtol=1e-6)
    positions = GYM.get_vec_actor_dof_states(tuple(envs), np.array([1, 1]), gymapi.STATE_POS)
    close(positions["vel"], np.zeros((2, 2)))
    poses = GYM.get_vec_rigid_transform(envs, 0)
    assert poses.dtype == gymapi.Transform.dtype
    close(poses["p"]["z"], [9.0, 11.0])
    close(GYM.get_vec_rigid_transform(envs, [1, 0])["p"]["z"], [0.0, 11.0])
    GYM.set_rigid_linear_velocity(envs[1], 0, gymapi.Vec3(1, 2, 3))
    GYM.set_rigid_angular_velocity(envs[1], 0, gymapi.Vec3(4, 5, 6))
    close(GYM.get_vec_rigid_linear_velocity(envs, 0)["y"], [0.0, 2.0])
    close(GYM.get_vec_rigid_angular_velocity(envs, [0, 0])["z"], [0.0, 6.0])
    run(sim, 1)
    forces = GYM.get_vec_env_rigid_contact_forces(envs)
    assert (forces.shape, forces.dtype) == ((2, 5), gymapi.Vec3.dtype)
    with pytest.raises(ValueError) as refusal:
        GYM.get_vec_rigid_transform(envs, [0, 0, 0])
    assert names(refusal.value, "get_vec_rigid_transform", 3, 2)
    with pytest.raises(ValueError) as refusal:
        GYM.get_vec_actor_dof_states(envs, [0, 1], gymapi.STATE_ALL)
    assert names(refusal.value, "get_vec_actor_dof_states", "0, 2")
