"""Collisions, differences between environments, properties, drives and attractors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scenes import (
    GYM,
    PENDULUM,
    at,
    close,
    joint,
    link,
    new_env,
    new_sim,
    run,
    unwrap,
    urdf,
    wrapped,
)

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.simulation.collision import STATIC, Shape, collide, masks
from tests.refusals import names


def touch(a, b):
    """Whether MuJoCo lets two geoms of these masks collide."""
    return bool(a[0] & b[1] or b[0] & a[1])


def test_masks_express_groups_and_filters_exactly():
    """Every pair of 40 shapes collides by its masks exactly if the rules say so."""
    rng = np.random.default_rng(0)
    shapes = [Shape(STATIC, -1, 0)]
    for actor in range(4):
        group = int(rng.integers(-1, 2))
        shapes += [Shape(actor, group, int(rng.integers(0, 3))) for _ in range(10)]
    found = masks(shapes)
    for a, mask_a in zip(shapes, found, strict=True):
        for b, mask_b in zip(shapes, found, strict=True):
            assert touch(mask_a, mask_b) == collide(a, b), (a, b)


def test_filters_groups_and_the_file_decide_who_collides():
    """A shared bit, another group, or the file's own masks keep shapes apart."""
    one = Shape(0, 3, 1)
    assert not collide(one, Shape(0, 3, 1))
    assert collide(Shape(0, 3, 0), Shape(0, 3, 0))
    assert not collide(one, Shape(1, 4, 0))
    assert collide(one, Shape(1, -1, 2))
    assert collide(one, Shape(STATIC, -1, 0))
    assert not collide(Shape(0, 0, 0, (1, 0)), Shape(0, 0, 0, (1, 0)))
    with pytest.raises(NotImplementedError) as refusal:
        masks([Shape(i, i, 0) for i in range(40)])
    assert names(refusal.value, 40, 31)


def test_actors_of_different_groups_fall_through_each_other():
    """Two balls on one spot: in one group they part, in two they stay."""
    for groups, parts in (((0, 0), True), ((0, 1), False)):
        sim = new_sim("mujoco", gravity=(0, 0, 0))
        env, ball = new_env(sim), GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
        for i, group in enumerate(groups):
            GYM.create_actor(env, ball, at(x=0.1 * i, z=1.0), f"ball{i}", group, 0)
        GYM.prepare_sim(sim)
        roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
        run(sim, 20)
        assert (float(roots[1, 0] - roots[0, 0]) > 0.15) == parts


def test_environments_differ_in_mass_friction_and_gains():
    """The second environment's body is twice as heavy, and its drive twice as stiff."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index in range(2):
        env = new_env(sim)
        handle = GYM.create_actor(env, ball, at(), "ball", index, 0)
        properties = GYM.get_actor_rigid_body_properties(env, handle)
        properties[0].mass *= 1 + index
        GYM.set_actor_rigid_body_properties(env, handle, properties, recomputeInertia=True)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    mass = properties[0].mass / 2
    force, torque = torch.zeros(2, 3), torch.zeros(2, 3)
    force[:, 0], torque[:, 2] = mass, 1e-3 * mass
    GYM.apply_rigid_body_force_tensors(sim, unwrap(force), unwrap(torque), gymapi.ENV_SPACE)
    run(sim, 1)
    close(roots[:, 7], [0.01, 0.005], rtol=1e-4)
    # I = 0.4 m r^2 grows with the mass: w = 1e-3 m / I * dt.
    close(roots[:, 12], [1e-3 / 0.004 * 0.01, 0.5e-3 / 0.004 * 0.01], rtol=1e-3)


def two_balls():
    """Returns a simulation of two balls without gravity, their environments and their roots."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    envs = [new_env(sim) for _ in range(2)]
    for index, env in enumerate(envs):
        GYM.create_actor(env, ball, at(), "ball", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    return sim, envs, roots


def test_properties_change_while_the_simulation_runs():
    """A mass set between steps acts in the next one, and gravity too."""
    sim, envs, roots = two_balls()
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    properties = GYM.get_actor_rigid_body_properties(envs[1], 0)
    properties[0].mass *= 4
    GYM.set_actor_rigid_body_properties(envs[1], 0, properties, recomputeInertia=True)
    params = GYM.get_sim_params(sim)
    params.gravity = gymapi.Vec3(0, 0, -2.0)
    GYM.set_sim_params(sim, params)
    force = torch.zeros(2, 3)
    force[:, 0] = properties[0].mass / 4
    GYM.apply_rigid_body_force_tensors(sim, unwrap(force), None, gymapi.ENV_SPACE)
    run(sim, 1)
    close(roots[:, 7], [0.01, 0.0025], rtol=1e-4)
    close(roots[:, 9], [-0.02, -0.02], rtol=1e-4)
    close(bodies, roots, atol=1e-6)  # held since before the change


def test_forces_wait_while_a_property_becomes_per_environment():
    """A force applied before a mass is set acts once, on the new mass."""
    sim, envs, roots = two_balls()
    properties = GYM.get_actor_rigid_body_properties(envs[1], 0)
    force = torch.zeros(2, 3)
    force[:, 0] = properties[0].mass
    GYM.apply_rigid_body_force_tensors(sim, unwrap(force), None, gymapi.ENV_SPACE)
    properties[0].mass *= 4
    GYM.set_actor_rigid_body_properties(envs[1], 0, properties, recomputeInertia=True)
    for _ in range(2):
        run(sim, 1)
        close(roots[:, 7], [0.01, 0.0025], rtol=1e-4)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_moved_centre_of_mass_counts_where_it_was_the_origin(is_prepared):
    """A ball that spins by 1.5 rad about a centre 0.1 m ahead: its origin circles that centre."""
    sim = new_sim("mujoco", dt=0.001, gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    envs = [new_env(sim) for _ in range(2)]
    for index, env in enumerate(envs):
        GYM.create_actor(env, ball, at(), "ball", index, 0)
    if is_prepared:
        GYM.prepare_sim(sim)
        run(sim, 1)
    properties = GYM.get_actor_rigid_body_properties(envs[1], 0)
    properties[0].com = gymapi.Vec3(0.1, 0, 0)
    GYM.set_actor_rigid_body_properties(envs[1], 0, properties, recomputeInertia=False)
    if not is_prepared:
        GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    spinning = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3.0]]).repeat(2, 1)
    GYM.set_actor_root_state_tensor(sim, unwrap(spinning))
    run(sim, 500)
    close(roots[0, :3], [0, 0, 0], atol=1e-4)
    close(roots[1, :3], [0.1 - 0.1 * math.cos(1.5), -0.1 * math.sin(1.5), 0], atol=1e-3)


def test_environments_of_different_sizes_share_a_model():
    """A ball of 0.1 m and one of 0.2 m rest at their radii."""
    sim = new_sim("mujoco", dt=0.005, ground=True)
    for index, radius in enumerate((0.1, 0.2)):
        asset = GYM.create_sphere(sim, radius, gymapi.AssetOptions())
        GYM.create_actor(new_env(sim), asset, at(z=radius), "ball", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 200)
    close(roots[:, 2], [0.1, 0.2], atol=2e-3)
    assert len(sim.world.groups) == 1


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_a_fixed_base_moves_where_its_root_is_set(engine, tmp_path):
    """Setting a fixed root moves the whole robot, one environment only."""
    sim = new_sim(engine, gravity=(0, 0, 0))
    options = gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    for index in range(2):
        GYM.create_actor(new_env(sim), asset, at(x=float(index)), "arm", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim)).view(2, 2, 13)
    close(roots[:, 0], [0.0, 1.0])
    roots[1, 2] = 3.0
    GYM.set_actor_root_state_tensor(sim, unwrap(roots))
    close(bodies[:, 1, :3], [[0, 0, 0], [1, 0, 3]], atol=1e-6)
    run(sim, 1)
    close(roots[:, 2], [0.0, 3.0])


def test_gravity_can_be_switched_off_for_an_actor():
    """An asset without gravity hovers beside one with it."""
    sim = new_sim("mujoco")
    env = new_env(sim)
    for index, off in enumerate((True, False)):
        options = gymapi.AssetOptions()
        options.disable_gravity = off
        asset = GYM.create_sphere(sim, 0.1, options)
        GYM.create_actor(env, asset, at(x=float(index), z=1.0), f"ball{index}", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 10)
    close(roots[:, 9], [0.0, -0.981], atol=1e-5)


def test_a_free_root_takes_nothing_from_the_defaults_of_joints(tmp_path):
    """MJCF defaults for joints give no inertia, spring or damping to the root's own motion."""
    (tmp_path / "robot.xml").write_text(
        """<mujoco><default>
        <joint armature="5" stiffness="9" damping="3" frictionloss="2"/></default>
        <worldbody><body name="ball"><freejoint/><geom size="0.1" mass="2"/>
        <body name="arm"><joint name="hinge"/><geom size="0.05" mass="0.1"/></body>
        </body></worldbody></mujoco>"""
    )
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    asset = GYM.load_asset(sim, str(tmp_path), "robot.xml", gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), asset, at(), "robot", 0, 0)
    GYM.prepare_sim(sim)
    model = sim.world.worlds.model
    for values in (model.dof_armature, model.dof_damping, model.dof_frictionloss):
        close(values[:6], 0.0)
    assert model.jnt_stiffness[0] == 0.0
    properties = GYM.get_asset_dof_properties(asset)[0]
    close([properties[n] for n in ("armature", "stiffness", "damping")], [5, 9, 3])
    assert properties["friction"] == 0.0  # Isaac Gym's importer does not read it


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_drives_take_nothing_from_the_defaults_of_actuators(engine, tmp_path):
    """20 N on 2 kg for 0.1 s give 1 m/s, though the file's default motor is delayed and clamped."""
    (tmp_path / "slider.xml").write_text(
        """<mujoco><default><motor ctrlrange="-1 1" forcerange="-2 2" gear="3" delay="0.05"/>
        </default><worldbody><body name="base"><body name="mass">
        <joint name="lift" type="slide" axis="0 0 1"/><geom size="0.1" mass="2"/>
        </body></body></worldbody></mujoco>"""
    )
    sim = new_sim(engine, dt=0.002, gravity=(0, 0, 0))
    options = gymapi.AssetOptions()
    options.fix_base_link, options.default_dof_drive_mode = True, gymapi.DOF_MODE_EFFORT
    asset = GYM.load_asset(sim, str(tmp_path), "slider.xml", options)
    GYM.create_actor(new_env(sim), asset, at(), "slider", 0, 0)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    for _ in range(50):
        GYM.set_dof_actuation_force_tensor(sim, unwrap(torch.tensor([20.0])))
        GYM.simulate(sim)
    close(dofs[0, 1], 1.0, rtol=1e-4)


def test_free_bodies_lose_velocity_by_their_damping():
    """With rates of 2 and 3 per second, after half a second e^-1 and e^-1.5 are left."""
    sim, options = new_sim("mujoco", dt=0.001, gravity=(0, 0, 0)), gymapi.AssetOptions()
    options.linear_damping, options.angular_damping = 2.0, 3.0
    ball = GYM.create_sphere(sim, 0.1, options)
    GYM.create_actor(new_env(sim), ball, at(), "ball", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    roots[0, 7], roots[0, 12] = 1.0, 2.0
    GYM.set_actor_root_state_tensor(sim, unwrap(roots))
    run(sim, 500)
    close([roots[0, 7], roots[0, 12] / 2], np.exp([-1.0, -1.5]), rtol=3e-3)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_an_attractor_pulls_a_body_to_its_target(engine):
    """A ball tied to a point hangs there, and follows when the point moves."""
    sim = new_sim(engine, dt=0.005)
    env, ball = new_env(sim), GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(env, ball, at(z=1.0), "ball", 0, 0)
    properties = gymapi.AttractorProperties()
    properties.stiffness, properties.damping, properties.axes = 5e7, 5e3, gymapi.AXIS_TRANSLATION
    properties.rigid_handle, properties.target.p = 0, gymapi.Vec3(0.2, 0, 1.0)
    handle = GYM.create_rigid_body_attractor(env, properties)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 100)
    close(roots[0, :3], [0.2, 0, 1.0], atol=2e-3)
    GYM.set_attractor_target(env, handle, at(x=-0.1, z=1.2))
    run(sim, 200)
    close(roots[0, :3], [-0.1, 0, 1.2], atol=2e-3)


def test_targets_persist_and_single_environments_can_be_driven(tmp_path):
    """A velocity target set once for one actor keeps its joint turning."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    options = gymapi.AssetOptions()
    options.fix_base_link, options.default_dof_drive_mode = True, gymapi.DOF_MODE_VEL
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    envs = [new_env(sim) for _ in range(2)]
    for index, env in enumerate(envs):
        handle = GYM.create_actor(env, asset, at(), "arm", index, 0)
        properties = GYM.get_actor_dof_properties(env, handle)
        properties["damping"], properties["hasLimits"] = 50.0, False
        GYM.set_actor_dof_properties(env, handle, properties)
    GYM.set_actor_dof_velocity_targets(envs[1], 0, np.array([2.0], dtype=np.float32))
    run(sim, 100)
    states = [GYM.get_actor_dof_states(env, 0, gymapi.STATE_ALL) for env in envs]
    close([state["vel"][0] for state in states], [0.0, 2.0], atol=1e-3)
    pose = GYM.get_rigid_transform(envs[1], 1)
    close(2 * np.arctan2(pose.r.y, pose.r.w), states[1]["pos"][0], atol=1e-4)


def test_states_set_while_environments_are_created_are_where_it_starts(tmp_path):
    """DOF states, targets and root states set in the creating loop hold from the first step."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), gymapi.AssetOptions())
    for index in range(2):
        env = new_env(sim)
        handle = GYM.create_actor(env, asset, at(), "arm", index, 0)
        states = GYM.get_actor_dof_states(env, handle, gymapi.STATE_ALL)
        states["pos"] = 0.1 * index
        GYM.set_actor_dof_states(env, handle, states, gymapi.STATE_ALL)
        GYM.set_actor_dof_position_targets(env, handle, np.full(1, 0.5, np.float32))
        GYM.set_dof_target_velocity(env, 0, 0.25)
        GYM.set_rigid_linear_velocity(env, 0, gymapi.Vec3(0, 0, 1.0))
        assert GYM.get_dof_target_velocity(env, 0) == 0.25
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    close(dofs, [[0, 0], [0.1, 0]])
    close(sim.world.position_targets, 0.5)
    close(sim.world.velocity_targets, 0.25)
    close(sim.world.roots[:, 0, 9], 1.0)


def test_gains_change_while_the_simulation_runs(tmp_path):
    """One environment's drive becomes a velocity drive; the other's stays passive."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    options = gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    envs = [new_env(sim) for _ in range(2)]
    for index, env in enumerate(envs):
        GYM.create_actor(env, asset, at(), "arm", index, 0)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    GYM.set_dof_velocity_target_tensor(sim, unwrap(torch.ones(2)))
    run(sim, 10)
    close(dofs[:, 1], [0.0, 0.0])
    properties = GYM.get_actor_dof_properties(envs[1], 0)
    properties["driveMode"], properties["damping"] = gymapi.DOF_MODE_VEL, 100.0
    GYM.set_actor_dof_properties(envs[1], 0, properties)
    run(sim, 50)
    close(dofs[:, 1], [0.0, 1.0], atol=1e-4)
    GYM.set_actor_dof_properties(envs[0], 0, properties)  # all alike again
    run(sim, 50)
    close(dofs[:, 1], [1.0, 1.0], atol=1e-4)


def test_options_without_effect_are_said_once(tmp_path, capsys):
    """A script that sets the thickness of shapes learns that it changes nothing."""
    sim, options = new_sim("mujoco"), gymapi.AssetOptions()
    options.thickness, options.fix_base_link = 0.01, True
    for _ in range(2):
        GYM.load_asset(sim, *urdf(tmp_path, PENDULUM, "said.urdf"), options)
    said = [line for line in capsys.readouterr().err.splitlines() if "said.urdf" in line]
    assert said == ["isaacgym: said.urdf: options without effect here: thickness"]


def test_shapes_that_do_not_collide_have_mass(tmp_path):
    """As in MuJoCo: rlgpu's own Ant has its mass in capsules and its contacts in spheres."""
    (tmp_path / "robot.xml").write_text(
        """<mujoco><worldbody><body name="ball"><freejoint/><geom size="0.1" mass="2"/>
        <geom size="0.2" mass="3" contype="0" conaffinity="0"/></body></worldbody></mujoco>"""
    )
    asset = GYM.load_asset(new_sim("mujoco"), str(tmp_path), "robot.xml", gymapi.AssetOptions())
    assert asset.body_properties[0].mass == pytest.approx(5.0)
    assert GYM.get_asset_rigid_shape_count(asset) == 1


def test_collapsing_fixed_joints_keeps_mass_and_marked_links(tmp_path):
    """A fixed link merges into its parent with its mass, unless it is marked."""
    text = link("base") + link("sensor", 0.5, (0.1, 0, 0)) + link("foot", 0.25)
    text += joint("j1", "base", "sensor", "fixed", xyz="0 0 1")
    marked = joint("j2", "sensor", "foot", "fixed").replace("type=", 'dont_collapse="true" type=')
    sim, options = new_sim("mujoco"), gymapi.AssetOptions()
    options.collapse_fixed_joints = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, text + marked), options)
    assert GYM.get_asset_rigid_body_names(asset) == ["base", "foot"]
    env = new_env(sim)
    GYM.create_actor(env, asset, at(), "robot", 0, 0)
    body = GYM.get_actor_rigid_body_properties(env, 0)[0]
    assert body.mass == pytest.approx(1.5)
    # The sensor's centre is at (0.1, 0, 1): a third of it moves the common centre.
    close(list(body.com), [0.1 / 3, 0, 1 / 3], rtol=1e-6)
    # Izz = 0.1 + 0.1 and the distance of both centres along x, reduced mass 1/3.
    close(body.inertia.z.z, 0.2 + 0.01 / 3, rtol=1e-6)
