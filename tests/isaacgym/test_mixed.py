"""Environments that hold different actors behave as those of simulations of alike ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mixed import build, contents, drive, load, parts, play
from scenes import (
    GYM,
    add_steps,
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
from rlgpu.isaacgym.simulation import grouping

KINDS = tuple(contents(index) for index in (0, 3, 13, 14, 15, 30, 31, 47))
ENVIRONMENTS = KINDS + KINDS[::-1]


def assert_equal_alone(mixed, found, engine, folder, history):
    """Asserts that each kind moves the same in a simulation of environments of this kind alone."""
    for kind in KINDS:
        numbers = [n for n, names in enumerate(ENVIRONMENTS) if names == kind]
        alike = build(engine, folder, [kind] * len(numbers))
        assert len(alike.sim.world.groups) == 1
        for step, (ours, theirs) in enumerate(zip(found, history(alike, numbers), strict=True)):
            for name in theirs:
                mine = parts(mixed, name, ours[name])
                for number, part in zip(numbers, parts(alike, name, theirs[name]), strict=True):
                    assert torch.equal(mine[number], part), (kind, step, name, number)


@pytest.mark.parametrize(("engine", "groups"), [("mujoco", 6), ("fused", 8), ("mujoco", 2)])
def test_each_environment_moves_as_among_alike_ones(engine, groups, tmp_path, monkeypatch):
    """Every tensor of every step equals that of a simulation with this kind alone, bit for bit.

    On MuJoCo C, so does it where each robot's environments are worlds of one model.
    """
    if groups > 2:
        monkeypatch.setattr(grouping, "way_out", lambda _sim: None)
    mixed = build(engine, tmp_path, ENVIRONMENTS)
    # MuJoCo has the sizes of both dumbbells in one group.
    assert len(mixed.sim.world.groups) == groups
    found = play(mixed, range(len(ENVIRONMENTS)))
    assert found[-1]["net_contact_force"].abs().max() > 1
    assert_equal_alone(mixed, found, engine, tmp_path, play)


def randomize(scene, numbers):
    """Plays while masses, frictions, drives and gravity change; returns all tensors by step."""
    history = play(scene, numbers, 4)
    for number, env in zip(numbers, scene.envs, strict=True):
        factor = 1 + 0.125 * number
        for handle in range(GYM.get_actor_count(env)):
            bodies = GYM.get_actor_rigid_body_properties(env, handle)
            bodies[0].mass *= factor
            GYM.set_actor_rigid_body_properties(env, handle, bodies, recomputeInertia=True)
            shapes = GYM.get_actor_rigid_shape_properties(env, handle)
            for shape in shapes:
                shape.friction = 0.5 * factor
            GYM.set_actor_rigid_shape_properties(env, handle, shapes)
            dofs = GYM.get_actor_dof_properties(env, handle)
            dofs["damping"], dofs["armature"] = 10 * factor, 0.01 * factor
            GYM.set_actor_dof_properties(env, handle, dofs)
    params = GYM.get_sim_params(scene.sim)
    params.gravity = gymapi.Vec3(1, 0, -5)
    GYM.set_sim_params(scene.sim, params)
    return history + play(scene, numbers, 8)


def test_properties_change_in_a_running_simulation(tmp_path):
    """Randomised environments of many kinds equal those of simulations of a single kind."""
    mixed = build("mujoco", tmp_path, ENVIRONMENTS)
    found = randomize(mixed, range(len(ENVIRONMENTS)))
    assert_equal_alone(mixed, found, "mujoco", tmp_path, randomize)


def test_indices_and_handles_count_across_environments(tmp_path):
    """The indices of calls are the rows of tensors, and calls of one actor read those rows."""
    scene = build("mujoco", tmp_path, KINDS)
    play(scene, range(len(KINDS)), 4)
    root, dof, body = (
        scene.tensors[n] for n in ("actor_root_state", "dof_state", "rigid_body_state")
    )
    actor_row = dof_row = body_row = 0
    for env, names in zip(scene.envs, KINDS, strict=True):
        for handle, name in enumerate(names):
            assert GYM.find_actor_handle(env, name) == handle
            assert GYM.find_actor_index(env, name, gymapi.DOMAIN_SIM) == actor_row
            states = GYM.get_actor_rigid_body_states(env, handle, gymapi.STATE_ALL)
            close(states["vel"]["linear"].tolist()[0], root[actor_row, 7:10], atol=1e-6)
            first = GYM.get_actor_root_rigid_body_handle(env, handle)
            close(list(GYM.get_rigid_transform(env, first).p), body[body_row, :3])
            index = GYM.get_actor_rigid_body_index(env, handle, 0, gymapi.DOMAIN_SIM)
            assert index == body_row
            joints = GYM.get_actor_dof_states(env, handle, gymapi.STATE_ALL)
            for i, state in enumerate(joints):
                assert GYM.get_actor_dof_index(env, handle, i, gymapi.DOMAIN_SIM) == dof_row
                assert [state["pos"], state["vel"]] == dof[dof_row].tolist()
                dof_row += 1
            actor_row += 1
            body_row += len(states)
    assert (actor_row, dof_row, body_row) == (len(root), len(dof), len(body))
    env = scene.envs[7]
    assert GYM.get_joint_handle(env, "crawler", "right") == 1
    assert GYM.get_joint_name(env, 1) == "right"


def test_calls_for_single_actors_write_their_rows_alone(tmp_path):
    """States, targets and efforts set for one actor change nothing of the others."""
    scene = build("mujoco", tmp_path, KINDS)
    root, dof = scene.tensors["actor_root_state"], scene.tensors["dof_state"]
    env, before = scene.envs[5], (root.clone(), dof.clone())  # an arm and a large dumbbell
    states = GYM.get_actor_dof_states(env, 0, gymapi.STATE_ALL)
    states["pos"], states["vel"] = [0.5, -0.5], [1.0, 2.0]
    GYM.set_actor_dof_states(env, 0, states, gymapi.STATE_ALL)
    rows = [GYM.get_actor_dof_index(env, 0, i, gymapi.DOMAIN_SIM) for i in range(2)]
    close(dof[rows], [[0.5, 1.0], [-0.5, 2.0]])
    row = GYM.get_actor_index(env, 1, gymapi.DOMAIN_SIM)
    body = GYM.get_actor_root_rigid_body_handle(env, 1)
    GYM.set_rigid_transform(env, body, at(4.0, 5.0, 6.0))
    GYM.set_rigid_linear_velocity(env, body, gymapi.Vec3(7.0, 8.0, 9.0))
    close(root[row, [0, 1, 2, 7, 8, 9]], [4, 5, 6, 7, 8, 9])
    bodies = parts(scene, "rigid_body_state")[5]
    close(bodies[body, [0, 1, 2, 7, 8, 9]], [4, 5, 6, 7, 8, 9], atol=1e-6)
    close(bodies[1, 10:], [0, 1.0, 0], atol=1e-6)
    GYM.set_actor_dof_position_targets(env, 0, [0.25, 0.75])
    GYM.set_dof_target_velocity(env, 1, 3.0)
    GYM.apply_dof_effort(env, 0, 2.0)
    world = scene.sim.world
    assert world.position_targets.nonzero()[:, 1].tolist() == rows
    assert world.velocity_targets.nonzero()[:, 1].tolist() == rows[1:]
    assert world.efforts.nonzero()[:, 1].tolist() == rows[:1]
    for tensor, old, own in ((root, before[0], [row]), (dof, before[1], rows)):
        others = torch.ones(len(tensor), dtype=torch.bool)
        others[own] = False
        assert torch.equal(tensor[others], old[others])


def test_a_force_at_a_point_turns_its_body_alone(tmp_path):
    """A force of 1 N at 0.1 m from the centre of a box, given in the world's frame."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    box = GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions())  # 8 kg
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    envs = [new_env(sim) for _ in range(3)]
    for env, assets in zip(envs, ((ball,), (ball, box), (box,)), strict=True):
        for place, asset in enumerate(assets):
            GYM.create_actor(env, asset, at(x=float(place)), f"thing{place}", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    origin = GYM.get_env_origin(envs[1])
    point = gymapi.Vec3(1.1, 0, 0) + origin
    GYM.apply_body_force_at_pos(envs[1], 1, gymapi.Vec3(0, 1, 0), point, gymapi.GLOBAL_SPACE)
    run(sim, 1)
    # v = F / m dt, w = r F / I dt with I = 8 * 0.2^2 / 6.
    close(
        roots[2, 7:], [0, 1 / 8 * 0.01, 0, 0, 0, 0.1 / (8 * 0.04 / 6) * 0.01], rtol=1e-4, atol=1e-9
    )
    close(roots[[0, 1, 3], 7:], 0.0, atol=1e-9)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_jacobians_are_those_of_the_actors_of_a_name(engine, tmp_path):
    """Environments without such an actor have no row; the others' equal those among alike ones."""
    scene = build(engine, tmp_path, KINDS)
    jacobian = wrapped(GYM.acquire_jacobian_tensor(scene.sim, "arm"))
    mass = wrapped(GYM.acquire_mass_matrix_tensor(scene.sim, "arm"))
    numbers = [i for i, names in enumerate(KINDS) if "arm" in names]
    play(scene, range(len(KINDS)), 6)
    assert jacobian.shape == (len(numbers), 2, 6, 2)
    assert mass.shape == (len(numbers), 2, 2)
    for row, number in enumerate(numbers):
        alone = build(engine, tmp_path, [KINDS[number]])
        own = wrapped(GYM.acquire_jacobian_tensor(alone.sim, "arm"))
        own_mass = wrapped(GYM.acquire_mass_matrix_tensor(alone.sim, "arm"))
        play(alone, [number], 6)
        assert torch.equal(jacobian[row], own[0])
        assert torch.equal(mass[row], own_mass[0])


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_names_of_alike_actors_may_differ(engine, tmp_path):
    """They are simulated together; a name's tensor has the rows of its own."""
    sim = new_sim(engine)
    arm = load(sim, tmp_path)["arm"]
    for index, name in enumerate("aabb"):
        GYM.create_actor(new_env(sim), arm, at(z=0.9), name, index, 0)
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 1
    assert wrapped(GYM.acquire_jacobian_tensor(sim, "a")).shape[0] == 2
    masses = wrapped(GYM.acquire_mass_matrix_tensor(sim, "b"))
    assert masses.shape == (2, 2, 2)
    assert (masses.diagonal(dim1=1, dim2=2) > 0).all()


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_mass_matrices_do_not_depend_on_drives(engine, tmp_path):
    """Whatever carries a stiff drive is left out, in each environment and after changes."""
    sim = new_sim(engine)
    arm, envs = load(sim, tmp_path)["arm"], []

    def damp(env, damping):
        drives = GYM.get_actor_dof_properties(env, 0)
        drives["driveMode"], drives["effort"] = gymapi.DOF_MODE_POS, 1e30
        drives["stiffness"], drives["damping"] = 4e4, damping
        GYM.set_actor_dof_properties(env, 0, drives)

    for index, damping in enumerate((200.0, 2000.0)):
        envs.append(new_env(sim))
        GYM.create_actor(envs[-1], arm, at(z=0.9), "arm", index, 0)
        damp(envs[-1], damping)
    GYM.prepare_sim(sim)
    masses = wrapped(GYM.acquire_mass_matrix_tensor(sim, "arm"))
    close(masses[0], masses[1], atol=1e-5)
    before = masses.clone()
    damp(envs[0], 800.0)
    GYM.simulate(sim)
    GYM.refresh_mass_matrix_tensors(sim)
    close(masses, before, atol=1e-4)


def test_jacobians_of_different_articulations_are_refused(tmp_path):
    """One name must be one articulation, as the tensor has one shape."""
    sim = new_sim("mujoco")
    short = GYM.load_asset(sim, *urdf(tmp_path, link("a"), "a.urdf"), gymapi.AssetOptions())
    text = link("a") + link("b") + joint("j", "a", "b")
    long = GYM.load_asset(sim, *urdf(tmp_path, text, "b.urdf"), gymapi.AssetOptions())
    for asset in (short, long):
        GYM.create_actor(new_env(sim), asset, at(), "robot", 0, 0)
    with pytest.raises(ValueError):
        GYM.acquire_jacobian_tensor(sim, "robot")


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_attractors_of_different_environments_have_their_own_targets(engine):
    """Balls hang where their environment's target is, and follow it when it moves."""
    sim = new_sim(engine, dt=0.005)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    envs = []
    for index in range(4):
        env = new_env(sim)
        envs.append(env)
        for place in range(1 + index % 2):
            GYM.create_actor(env, ball, at(x=float(place), z=1.0), f"ball{place}", 0, 0)
        properties = gymapi.AttractorProperties()
        properties.stiffness, properties.damping = 5e7, 5e3
        properties.axes, properties.rigid_handle = gymapi.AXIS_TRANSLATION, index % 2
        properties.target.p = gymapi.Vec3(index % 2 + 0.1 * index, 0, 1.0)
        GYM.create_rigid_body_attractor(env, properties)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 150)
    held = roots[[0, 2, 3, 5]]  # the first ball of even environments, the second of odd ones
    close(held[:, 0], [0.0, 1.1, 0.2, 1.3], atol=2e-3)
    GYM.set_attractor_target(envs[3], 0, at(x=1.0, z=1.2))
    run(sim, 200)
    close(roots[[0, 2, 3, 5]][:, [0, 2]], [[0, 1], [1.1, 1], [0.2, 1], [1.0, 1.2]], atol=2e-3)


def test_one_file_with_other_options_is_another_actor(tmp_path):
    """A fixed base, free ones with and without damping, and one without gravity, in a cycle."""
    sim, assets = new_sim("mujoco", dt=0.001), []
    for index in range(4):
        options = gymapi.AssetOptions()
        options.fix_base_link = index == 0
        options.linear_damping, options.angular_damping = 2.0 * (index == 1), 0.0
        options.disable_gravity = index == 3
        assets.append(GYM.load_asset(sim, *urdf(tmp_path, link("body")), options))
    for index in range(8):
        GYM.create_actor(new_env(sim), assets[index % 4], at(z=5.0), "body", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 500)
    # With damping, v = -g / 2 (1 - e^-1) after 0.5 s.
    expected = [0.0, -9.81 / 2 * (1 - np.exp(-1.0)), -9.81 / 2, 0.0]
    close(roots[:, 9], expected * 2, rtol=1e-3)


def test_filters_and_groups_count_in_each_environment():
    """Two balls on one spot part where groups and filters let them, whatever the others do."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    rules = [
        ((0, 0), (0, 0)),
        ((5, 6), (0, 0)),
        ((2, 2), (1, 1)),
        ((3, 3), (1, 2)),
        ((7, -1), (0, 0)),
    ]
    for groups, filters in rules:
        env = new_env(sim)
        for i in range(2):
            GYM.create_actor(env, ball, at(x=0.1 * i, z=1.0), f"ball{i}", groups[i], filters[i])
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim)).view(-1, 2, 13)
    run(sim, 20)
    parted = (roots[:, 1, 0] - roots[:, 0, 0] > 0.15).tolist()
    assert parted == [True, False, False, True, True]


def test_limits_and_drives_differ_between_environments(tmp_path):
    """Joints with and without limits, and drives of both kinds, in environments in turn."""
    text = link("base") + link("arm", 2.0, (0, 0, -0.5), (0.5, 0.5, 0.1))
    sim, options = new_sim("mujoco", gravity=(0, 0, 0)), gymapi.AssetOptions()
    options.fix_base_link = True
    limit = '<limit lower="-0.5" upper="0.5" effort="1000" velocity="1000"/>'
    file = urdf(tmp_path, text + joint("hinge", "base", "arm", more=limit))
    asset = GYM.load_asset(sim, *file, options)
    for index in range(4):
        env = new_env(sim)
        GYM.create_actor(env, asset, at(z=2.0), "arm", 0, 0)
        if index % 2:
            drive(env, 0)
            properties = GYM.get_actor_dof_properties(env, 0)
            properties["hasLimits"], properties["effort"] = False, 1e4
            GYM.set_actor_dof_properties(env, 0, properties)
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    for _ in range(100):
        GYM.set_dof_position_target_tensor(sim, unwrap(torch.full((4,), 1.0)))
        GYM.set_dof_actuation_force_tensor(sim, unwrap(torch.tensor([2.0, 0, 2.0, 0])))
        GYM.simulate(sim)
    close(dofs[1::2, 0], 1.0, atol=1e-3)
    close(dofs[::2, 0], 0.5, atol=0.02)


def test_an_environment_that_diverges_restarts_alone(tmp_path):
    """The flag is that of the environment, and the others stay as they are among alike ones."""
    scene, other = (build("mujoco", tmp_path, KINDS) for _ in range(2))
    root = scene.tensors["actor_root_state"]
    lost = GYM.get_actor_index(scene.envs[5], 1, gymapi.DOMAIN_SIM)
    root[lost, 7] = float("nan")
    GYM.set_actor_root_state_tensor_indexed(scene.sim, unwrap(root), ids(lost), 1)
    for sim, expected in ((scene.sim, [5]), (other.sim, [])):
        sim.world.worlds.step(1)
        assert sim.world.worlds.diverged.nonzero().flatten().tolist() == expected
        GYM.simulate(sim)
    assert root.isfinite().all()
    mine, theirs = (parts(s, "rigid_body_state") for s in (scene, other))
    for env in (0, 1, 2, 3, 4, 6, 7):
        assert torch.equal(mine[env], theirs[env])


def test_a_saved_state_goes_on_with_the_same_bits(tmp_path):
    """All kinds' states are in what the joined worlds save."""
    scene = build("mujoco", tmp_path, KINDS)
    play(scene, range(8), 6)
    saved = scene.sim.world.worlds.state_dict()
    run(scene.sim, 5)
    expected = {name: tensor.clone() for name, tensor in scene.tensors.items()}
    run(scene.sim, 5)
    scene.sim.world.worlds.load_state_dict(saved)
    run(scene.sim, 5)
    for name, tensor in expected.items():
        assert torch.equal(scene.tensors[name], tensor), name


@pytest.mark.slow
def test_mujoco_warp_moves_each_environment_as_among_alike_ones(tmp_path):
    """As above, on MuJoCo Warp, for two kinds."""
    pytest.importorskip("mujoco_warp")
    environments = [KINDS[0], KINDS[1], KINDS[0]]
    mixed = build("mujoco_warp", tmp_path, environments)
    found = play(mixed, range(3), 6)
    for kind, numbers in ((KINDS[0], [0, 2]), (KINDS[1], [1])):
        alike = build("mujoco_warp", tmp_path, [kind] * len(numbers))
        for ours, theirs in zip(found, play(alike, numbers, 6), strict=True):
            for name, tensor in theirs.items():
                mine = parts(mixed, name, ours[name])
                assert torch.equal(torch.cat([mine[n] for n in numbers]), tensor), name


def test_environments_of_each_kind_stand_where_they_are_on_a_terrain():
    """Steps of 0.1 m, one an environment: balls rest on theirs, one, two or three."""
    sim = new_sim("mujoco", dt=0.005)
    add_steps(sim, 5)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index in range(4):
        # Environments are 2 m apart along x; each has 0.5 m of its step on both sides.
        env = GYM.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 1), 4)
        for place in range((1, 2, 2, 3)[index]):
            pose = at(x=-0.2, y=0.3 * place, z=0.12 + 0.1 * index)
            GYM.create_actor(env, ball, pose, f"ball{place}", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 100)
    close(roots[:, 2], 0.1 + 0.1 * np.array([0, 1, 1, 2, 2, 3, 3, 3]), atol=3e-3)
