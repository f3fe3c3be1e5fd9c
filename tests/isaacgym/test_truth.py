"""Each observable of the API against a case worked by hand, on all engines."""

from __future__ import annotations

import math

import pytest
import torch
from scenes import (
    GYM,
    PENDULUM,
    at,
    close,
    ids,
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


@pytest.fixture(params=["mujoco", "fused", "mujoco_warp"])
def engine(request):
    if request.param == "mujoco_warp":
        pytest.importorskip("mujoco_warp")
    return request.param


def free_body(sim, tmp_path):
    """A body of 3 kg whose centre of mass is 0.2 m along its x axis."""
    file = urdf(tmp_path, link("body", 3.0, (0.2, 0, 0), (0.02, 0.05, 0.06)))
    return GYM.load_asset(sim, *file, gymapi.AssetOptions())


def test_a_spinning_body_off_its_centre_of_mass_falls_as_its_centre_does(engine, tmp_path):
    """Velocity tensors are those of the centre of mass, which moves on a parabola."""
    sim = new_sim(engine, dt=0.001)
    env = new_env(sim)
    GYM.create_actor(env, free_body(sim, tmp_path), at(z=5.0), "body", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    start = torch.tensor([[0, 0, 5.0, 0, 0, 0, 1, 1.0, 0, 2.0, 0, 0, 3.0]])
    GYM.set_actor_root_state_tensor(sim, unwrap(start))
    close(roots, start)
    close(bodies, start, atol=1e-6)
    run(sim, 500)
    # The centre starts at x = 0.2 and is at 0.2 + 0.5 * 1 after 0.5 s; it spins about z, a
    # principal axis, by 1.5 rad, so the origin is 0.2 m behind it along the turned x axis.
    turn = 1.5
    x, y = 0.7 - 0.2 * math.cos(turn), -0.2 * math.sin(turn)
    z = 5.0 + 2.0 * 0.5 - 0.5 * 9.81 * 0.25
    close(roots[0, :3], [x, y, z], atol=5e-3)
    close(roots[0, 3:7], [0, 0, math.sin(turn / 2), math.cos(turn / 2)], atol=1e-3)
    close(roots[0, 7:], [1.0, 0, 2.0 - 9.81 * 0.5, 0, 0, 3.0], atol=1e-3)
    close(bodies[0], roots[0], atol=1e-4)


def pendulum(sim, tmp_path, mode, stiffness=0.0, damping=0.0, **limits):
    options = gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    env = new_env(sim)
    handle = GYM.create_actor(env, asset, at(z=2.0), "pendulum", 0, 0)
    props = GYM.get_actor_dof_properties(env, handle)
    props["driveMode"], props["stiffness"], props["damping"] = mode, stiffness, damping
    for name, value in limits.items():
        props[name] = value
    GYM.set_actor_dof_properties(env, handle, props)
    return env, handle


def test_a_pd_driven_pendulum_follows_its_closed_form(engine, tmp_path):
    """Without gravity, I q'' = kp (target - q) - kd q': a damped oscillation."""
    sim = new_sim(engine, dt=0.0005, gravity=(0, 0, 0))
    pendulum(sim, tmp_path, gymapi.DOF_MODE_POS, 40.0, 2.0)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    GYM.set_dof_position_target_tensor(sim, unwrap(torch.tensor([0.5])))
    run(sim, 1000)
    # I = 1, so w0^2 = 40, decay 1 /s: q = target (1 - e^-t (cos wt + sin wt / w)), w^2 = 39.
    t, w = 0.5, math.sqrt(39.0)
    expected = 0.5 * (1 - math.exp(-t) * (math.cos(w * t) + math.sin(w * t) / w))
    speed = 0.5 * math.exp(-t) * (40.0 / w) * math.sin(w * t)
    # The drive is implicit: 20 N m s/rad * dt = 0.02 of additional damping.
    close(dofs[0], [expected, speed], atol=0.02)


def test_a_stiff_drive_is_stable_and_holds_against_gravity(engine, tmp_path):
    """At stiffness 4e5 and a step of 10 ms, where an explicit drive would explode, it settles."""
    sim = new_sim(engine, dt=0.01)
    pendulum(sim, tmp_path, gymapi.DOF_MODE_POS, 4e5, 100.0)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    GYM.set_dof_position_target_tensor(sim, unwrap(torch.tensor([1.0])))
    run(sim, 300)
    # Gravity's moment 2 * 9.81 * 0.5 * sin(1) = 8.25 N m bends it by 2e-5 rad.
    close(dofs[0], [1.0, 0.0], atol=1e-3)


def test_an_effort_acts_in_one_simulate_and_a_target_stays(engine, tmp_path):
    """A torque of 2 N m for 10 ms gives 0.02 rad/s, which then stays."""
    sim = new_sim(engine, dt=0.01, gravity=(0, 0, 0))
    pendulum(sim, tmp_path, gymapi.DOF_MODE_EFFORT)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    GYM.set_dof_actuation_force_tensor(sim, unwrap(torch.tensor([2.0])))
    run(sim, 1)
    close(dofs[0, 1], 0.02, rtol=1e-4)
    run(sim, 5)
    close(dofs[0, 1], 0.02, rtol=1e-4)


def test_dof_forces_are_those_of_the_drive_within_its_limit(engine, tmp_path):
    """A drive that would push with 400 N m is held to its limit of 30 N m."""
    sim = new_sim(engine, dt=0.001, gravity=(0, 0, 0))
    env, handle = pendulum(sim, tmp_path, gymapi.DOF_MODE_POS, 400.0, 0.0, effort=30.0)
    GYM.enable_actor_dof_force_sensors(env, handle)
    GYM.prepare_sim(sim)
    forces = wrapped(GYM.acquire_dof_force_tensor(sim))
    GYM.set_dof_position_target_tensor(sim, unwrap(torch.tensor([1.0])))
    run(sim, 1)
    close(forces, [30.0], rtol=1e-5)


def test_velocity_limits_hold_and_positions_agree_with_them(engine, tmp_path):
    """Under 1000 N m a joint limited to 8 rad/s moves at 8 rad/s."""
    sim = new_sim(engine, dt=0.01, substeps=2, gravity=(0, 0, 0))
    pendulum(sim, tmp_path, gymapi.DOF_MODE_EFFORT, velocity=8.0, hasLimits=False)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    for _ in range(50):
        GYM.set_dof_actuation_force_tensor(sim, unwrap(torch.tensor([1000.0])))
        GYM.simulate(sim)
    # The first substep ends at 5 rad/s, position 0.025; the others run at the limit.
    close(dofs[0], [0.025 + 99 * 8.0 * 0.005, 8.0], rtol=1e-3)


def box(sim, mass_density=1000.0, size=0.2, **options):
    chosen = gymapi.AssetOptions()
    chosen.density = mass_density
    for name, value in options.items():
        setattr(chosen, name, value)
    return GYM.create_box(sim, size, size, size, chosen)


def test_a_box_at_rest_reports_its_weight(engine):
    """A box of 8 kg on the ground: 78.48 N up on it."""
    sim = new_sim(engine, dt=0.005, ground=True)
    GYM.create_actor(new_env(sim), box(sim), at(z=0.1), "box", 0, 0)
    GYM.prepare_sim(sim)
    forces = wrapped(GYM.acquire_net_contact_force_tensor(sim))
    run(sim, 200)
    close(forces[0], [0, 0, 8 * 9.81], atol=0.05)


def test_applied_forces_are_not_contact_forces(engine):
    """With 30 N pressing down, the contact force is the weight and 30 N."""
    sim = new_sim(engine, dt=0.005, ground=True)
    GYM.create_actor(new_env(sim), box(sim), at(z=0.1), "box", 0, 0)
    GYM.prepare_sim(sim)
    forces = wrapped(GYM.acquire_net_contact_force_tensor(sim))
    for _ in range(200):
        push = torch.tensor([[0.0, 0.0, -30.0]])
        GYM.apply_rigid_body_force_tensors(sim, unwrap(push), None, gymapi.ENV_SPACE)
        GYM.simulate(sim)
    close(forces[0], [0, 0, 8 * 9.81 + 30.0], atol=0.05)


def test_force_sensors_separate_contacts_from_the_net_force(engine):
    """At rest contacts and gravity cancel; contacts alone carry the weight, in any frame."""
    sim = new_sim(engine, dt=0.005, ground=True)
    asset = box(sim)
    only_contacts, world = gymapi.ForceSensorProperties(), gymapi.ForceSensorProperties()
    only_contacts.enable_forward_dynamics_forces = False
    world.enable_forward_dynamics_forces, world.use_world_frame = False, True
    quarter = gymapi.Quat.from_axis_angle(gymapi.Vec3(1, 0, 0), math.pi / 2)
    GYM.create_asset_force_sensor(asset, 0, at())
    GYM.create_asset_force_sensor(asset, 0, at(x=0.1, quat=quarter), only_contacts)
    GYM.create_asset_force_sensor(asset, 0, at(x=0.1, quat=quarter), world)
    GYM.create_actor(new_env(sim), asset, at(z=0.1), "box", 0, 0)
    GYM.prepare_sim(sim)
    sensors = wrapped(GYM.acquire_force_sensor_tensor(sim))
    run(sim, 300)
    weight = 8 * 9.81
    close(sensors[0], [0] * 6, atol=0.05)
    # The sensor's y axis points up. The weight acts 0.1 m behind it: torque -r x F about y_world.
    close(sensors[2], [0, 0, weight, 0, 0.1 * weight, 0], atol=0.1)
    close(sensors[1], [0, weight, 0, 0, 0, -0.1 * weight], atol=0.1)
    sensor = GYM.get_actor_force_sensor(GYM.get_env(sim, 0), 0, 1)
    assert sensor.get_global_index() == 1
    forces = sensor.get_forces()
    close([*forces.force, *forces.torque], sensors[1], rtol=1e-6)
    run(sim, 1)
    close(list(sensor.get_forces().force), sensors[1, :3], rtol=1e-6)
    assert GYM.get_actor_force_sensor(GYM.get_env(sim, 0), 0, 3) is None


def test_a_force_at_a_point_moves_and_turns_a_box(engine):
    """10 N along y at x = 0.1 on 8 kg for 10 ms: v = 10/8 * 0.01, w = 1/I * 0.01."""
    for space in (gymapi.ENV_SPACE, gymapi.LOCAL_SPACE, gymapi.GLOBAL_SPACE):
        sim = new_sim(engine, dt=0.01, gravity=(0, 0, 0))
        GYM.create_actor(new_env(sim), box(sim), at(z=1.0), "box", 0, 0)
        GYM.prepare_sim(sim)
        roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
        force, point = torch.tensor([[0.0, 10.0, 0.0]]), torch.tensor([[0.1, 0.0, 1.0]])
        if space == gymapi.LOCAL_SPACE:
            point[0, 2] = 0.0
        GYM.apply_rigid_body_force_at_pos_tensors(sim, unwrap(force), unwrap(point), space)
        run(sim, 1)
        inertia = 8 * 0.04 / 6
        close(roots[0, 7:], [0, 0.0125, 0, 0, 0, 0.01 / inertia], atol=1e-5)
        run(sim, 1)
        close(roots[0, 8], 0.0125, atol=1e-5)


def test_a_block_slides_as_the_average_of_two_frictions_says(engine):
    """A block of friction 0.2 on ground of 1.0: (0.2 + 1) / 2 = 0.6, deceleration 5.886 m/s^2."""
    sim = new_sim(engine, dt=0.002, ground=True)
    asset = GYM.create_box(sim, 0.4, 0.4, 0.04, gymapi.AssetOptions())  # too flat to rock
    shapes = GYM.get_asset_rigid_shape_properties(asset)
    shapes[0].friction = 0.2
    GYM.set_asset_rigid_shape_properties(asset, shapes)
    GYM.create_actor(new_env(sim), asset, at(z=0.02), "box", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 200)
    roots[0, 7] = 2.0
    GYM.set_actor_root_state_tensor(sim, unwrap(roots))
    run(sim, 100)
    close(roots[0, 7], 2.0 - 0.6 * 9.81 * 0.2, rtol=0.02)


def test_two_actors_a_world_and_only_the_meant_rows_change(engine):
    """Setting one actor of one environment leaves every other byte as it was."""
    sim = new_sim(engine, dt=0.005, ground=True)
    small = box(sim, size=0.1)
    large = box(sim)
    for index in range(3):
        env = new_env(sim)
        GYM.create_actor(env, large, at(z=0.5), "large", index, 0)
        GYM.create_actor(env, small, at(x=1.0, z=0.3), "small", index, 0)
        assert GYM.get_actor_index(env, 1, gymapi.DOMAIN_SIM) == 2 * index + 1
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    run(sim, 5)
    before = roots.clone(), bodies.clone()
    given = torch.zeros(6, 13)
    given[:, 6], given[3, :3] = 1.0, torch.tensor([0.0, 2.0, 3.0])
    GYM.set_actor_root_state_tensor_indexed(sim, unwrap(given), ids(3), 1)
    others = [0, 1, 2, 4, 5]
    assert torch.equal(roots[others], before[0][others])
    assert torch.equal(bodies[others], before[1][others])
    close(roots[3], given[3])
    close(bodies[3], given[3], atol=1e-6)


def test_setting_roots_keeps_dof_values_not_handed_over_yet(engine, tmp_path):
    """A script writes to both tensors, then sets roots, then DOFs: both take effect."""
    sim = new_sim(engine, gravity=(0, 0, 0))
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), gymapi.AssetOptions())
    for index in range(2):
        GYM.create_actor(new_env(sim), asset, at(z=1.0), "robot", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    dofs[1] = torch.tensor([0.3, 0.0])
    roots[1, 2] = 4.0
    GYM.set_actor_root_state_tensor_indexed(sim, unwrap(roots), ids(1), 1)
    GYM.set_dof_state_tensor_indexed(sim, unwrap(dofs), ids(1), 1)
    run(sim, 1)
    close(dofs[:, 0], [0.0, 0.3], atol=1e-5)
    close(roots[:, 2], [1.0, 4.0], atol=1e-5)


def test_bodies_and_dofs_are_depth_first_in_declaration_order(tmp_path):
    """Links declared level by level come out branch by branch."""
    text = "".join(link(name) for name in ("base", "r1", "l1", "r2", "l2"))
    text += joint("jr1", "base", "r1") + joint("jl1", "base", "l1")
    text += joint("jr2", "r1", "r2") + joint("jl2", "l1", "l2")
    sim = new_sim("auto")
    asset = GYM.load_asset(sim, *urdf(tmp_path, text), gymapi.AssetOptions())
    assert GYM.get_asset_rigid_body_names(asset) == ["base", "r1", "r2", "l1", "l2"]
    assert GYM.get_asset_dof_names(asset) == ["jr1", "jr2", "jl1", "jl2"]


def test_jacobian_and_mass_matrix_agree_with_velocities_and_energy(engine, tmp_path):
    """J qd is the bodies' velocity, and qd' M qd twice the kinetic energy."""
    sim = new_sim(engine, gravity=(0, 0, 0))
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), asset, at(z=1.0), "robot", 0, 0)
    GYM.prepare_sim(sim)
    jacobian = wrapped(GYM.acquire_jacobian_tensor(sim, "robot"))
    mass = wrapped(GYM.acquire_mass_matrix_tensor(sim, "robot"))
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    quat = torch.nn.functional.normalize(torch.tensor([0.1, 0.2, 0.3, 0.9]), dim=0)
    root = torch.cat((torch.tensor([0.5, 0, 1.0]), quat, torch.randn(6)))[None]
    GYM.set_actor_root_state_tensor(sim, unwrap(root))
    GYM.set_dof_state_tensor(sim, unwrap(torch.tensor([[0.7, -1.3]])))
    speeds = torch.cat((root[0, 7:], torch.tensor([-1.3])))
    assert jacobian.shape == (1, 2, 6, 7)
    close(jacobian[0] @ speeds, bodies[:, 7:], atol=1e-5)
    # Base: 1 kg, I = 0.1; arm: 2 kg, I = (0.5, 0.5, 0.1) in its own axes.
    energy = 0.5 * (1.0 * bodies[0, 7:10] @ bodies[0, 7:10] + 0.1 * root[0, 10:] @ root[0, 10:])
    energy += 0.5 * 2.0 * bodies[1, 7:10] @ bodies[1, 7:10]
    from rlgpu.rotations import quat_rotate_inverse

    spin = quat_rotate_inverse(bodies[1:, 3:7], bodies[1:, 10:])[0]
    energy += 0.5 * (torch.tensor([0.5, 0.5, 0.1]) * spin * spin).sum()
    close(0.5 * speeds @ mass[0] @ speeds, energy, rtol=1e-4)


def test_balls_rest_on_terrain_where_its_heights_say(engine):
    """Heights of 0.3 m at x > 1 and 0 before: each ball, and each box on MuJoCo, stands there."""
    for as_mesh in (False, True):
        sim = new_sim(engine, dt=0.005)
        samples = torch.zeros(41, 21, dtype=torch.int16).numpy()
        samples[20:] = 30
        if as_mesh:
            from rlgpu.isaacgym.api import terrain_utils

            points, faces = terrain_utils.convert_heightfield_to_trimesh(samples, 0.1, 0.01, 0.75)
            params = gymapi.TriangleMeshParams()
            params.nb_vertices, params.nb_triangles = len(points), len(faces)
            params.transform.p = gymapi.Vec3(-1.0, -1.0, 0.0)
            GYM.add_triangle_mesh(sim, points.flatten(), faces.flatten(), params)
        else:
            params = gymapi.HeightFieldParams()
            params.nbRows, params.nbColumns = 21, 41
            params.row_scale = params.column_scale = 0.1
            params.vertical_scale = 0.01
            params.transform.p = gymapi.Vec3(-1.0, -1.0, 0.0)
            GYM.add_heightfield(sim, samples, params)
        env = new_env(sim)
        options = gymapi.AssetOptions()
        ball = GYM.create_sphere(sim, 0.1, options)
        # Boxes slip on height fields in MuJoCo Warp 4.0.
        other = ball if engine == "mujoco_warp" else box(sim)
        GYM.create_actor(env, other, at(x=0.03, y=0.02, z=0.15), "low", 0, 0)
        GYM.create_actor(env, ball, at(x=2.05, y=0.52, z=0.45), "ball", 0, 0)
        GYM.create_actor(env, other, at(x=2.55, y=-0.53, z=0.45), "high", 0, 0)
        GYM.prepare_sim(sim)
        roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
        run(sim, 300)
        close(roots[:, 2], [0.1, 0.4, 0.4], atol=0.01)
