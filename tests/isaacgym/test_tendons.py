"""Fixed tendons: what scripts read of them, and how what they set moves joints."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim, run, wrapped

from rlgpu.isaacgym.api import gymapi
from tests.refusals import names

SLIDES = """<mujoco><worldbody><body name="base"><geom size="0.1"/>
<body name="a"><joint name="first" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body>
<body name="b" pos="0 1 0"><joint name="second" type="slide" axis="1 0 0"/>
<geom size="0.1" mass="1"/></body></body></worldbody>
<tendon><fixed name="rope" stiffness="100" damping="20">
<joint joint="first" coef="1"/><joint joint="second" coef="-2"/></fixed>
<fixed name="line" stiffness="100" damping="20" limited="true" range="-0.5 0.5">
<joint joint="second" coef="1"/></fixed></tendon></mujoco>"""
"""Two bodies that slide along x: rope is their difference, and line is the second alone."""


@pytest.fixture
def slides(tmp_path):
    """A simulation without gravity and an asset with a fixed base."""
    (tmp_path / "slides.xml").write_text(SLIDES)
    sim, options = new_sim("auto", gravity=(0, 0, 0)), gymapi.AssetOptions()
    options.fix_base_link = True
    return sim, GYM.load_asset(sim, str(tmp_path), "slides.xml", options)


def added(sim, asset):
    """Returns a new environment with an actor."""
    env = new_env(sim)
    GYM.create_actor(env, asset, at(), "slides", 0, 0)
    return env


def settled(sim):
    """Returns the positions of all joints when they rest."""
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    run(sim, 800)
    close(dofs[:, 1], 0.0, atol=1e-4)
    return dofs[:, 0].view(len(sim.envs), 2)


def test_joints_and_coefficients_are_the_files(slides):
    """Of the asset and of an actor; what is not there is refused."""
    sim, asset = slides
    env = added(sim, asset)
    assert GYM.get_asset_fixed_tendon_joint_coefficients(asset, 0) == [1.0, -2.0]
    assert GYM.get_actor_fixed_tendon_joint_coefficients(env, 0, 1) == [1.0]
    assert GYM.get_asset_fixed_tendon_joint_name(asset, 0, 1) == "second"
    assert GYM.get_actor_fixed_tendon_joint_name(env, 0, 0, 0) == "first"
    assert GYM.find_actor_fixed_tendon_joint_index(env, 0, 0, "second") == 1
    assert GYM.find_actor_fixed_tendon_joint_index(env, 0, 1, "first") == -1
    assert GYM.get_actor_tendon_offset(env, 0, 0) == 0.0
    with pytest.raises(IndexError) as refusal:
        GYM.get_actor_tendon_offset(env, 0, 2)
    assert names(refusal.value, "slides.xml", 2)
    with pytest.raises(ValueError) as refusal:
        GYM.set_actor_fixed_tendon_joint_coefficients(env, 0, 0, [1.0])
    assert names(refusal.value, "rope", "first, second")


def test_offsets_pull_joints(slides):
    """Length is offset plus position: 0.1 m of offset rests at -0.1 m, beside one without."""
    sim, asset = slides
    added(sim, asset)
    env = added(sim, asset)
    assert GYM.set_actor_tendon_offset(env, 0, 1, np.float32(0.125))
    assert GYM.get_actor_tendon_offset(env, 0, 1) == 0.125
    # The line holds second at -0.125; then the rope, first - 2 second = 0, holds first at -0.25.
    close(settled(sim), [[0, 0], [-0.25, -0.125]], atol=1e-4)
    with pytest.raises(RuntimeError) as late:
        GYM.set_actor_tendon_offset(env, 0, 1, 0.0)
    assert names(late.value, "set_actor_tendon_offset")


def test_rest_lengths_and_coefficients_are_simulated(slides):
    """The rope rests at 0.3 m: first is 0.3 m, or 0.1 m with a coefficient of 3."""
    sim, asset = slides
    envs = [added(sim, asset) for _ in range(2)]
    for env in envs:
        properties = GYM.get_actor_tendon_properties(env, 0)
        properties[0].fixed_spring_rest_length = 0.3
        GYM.set_actor_tendon_properties(env, 0, properties)
    assert GYM.set_actor_fixed_tendon_joint_coefficients(envs[1], 0, 0, (3, np.float64(-2.0)))
    assert GYM.get_actor_fixed_tendon_joint_coefficients(envs[1], 0, 0) == [3.0, -2.0]
    assert GYM.get_asset_fixed_tendon_joint_coefficients(asset, 0) == [1.0, -2.0]
    close(settled(sim), [[0.3, 0], [0.1, 0]], atol=1e-4)


def test_an_assets_coefficients_are_those_of_new_actors(slides):
    """An actor that was created before keeps the file's; limits hold the offset length."""
    sim, asset = slides
    before = added(sim, asset)
    GYM.set_asset_fixed_tendon_joint_coefficients(asset, 1, [2.0])
    after = added(sim, asset)
    found = [GYM.get_actor_fixed_tendon_joint_coefficients(env, 0, 1) for env in (before, after)]
    assert found == [[1.0], [2.0]]
    for env in (before, after):
        GYM.set_actor_tendon_offset(env, 0, 1, 0.25)
    close(settled(sim), [[-0.5, -0.25], [-0.25, -0.125]], atol=1e-4)
    model = sim.world.group_of(after)[0].worlds.model
    close(sorted(model.tendon_range.tolist())[0], [-0.75, 0.25])


def test_tendons_differ_between_environments_of_one_kind(tmp_path):
    """Each moves as in a separate simulation; on MuJoCo C most share a model."""
    (tmp_path / "slides.xml").write_text(SLIDES)

    def moved(changes):
        """Returns the joints' positions after a while, shape [N, 2], and the number of kinds."""
        sim, options = new_sim("mujoco", gravity=(0, 0, 0)), gymapi.AssetOptions()
        options.fix_base_link = True
        asset = GYM.load_asset(sim, str(tmp_path), "slides.xml", options)
        for stiffness, damping, rest, upper, coefficient in changes:
            env = added(sim, asset)
            tendons = GYM.get_actor_tendon_properties(env, 0)
            for tendon in tendons:
                tendon.stiffness, tendon.damping = stiffness, damping
                tendon.fixed_spring_rest_length = rest
            tendons[1].fixed_upper_limit = upper
            GYM.set_actor_tendon_properties(env, 0, tendons)
            GYM.set_actor_fixed_tendon_joint_coefficients(env, 0, 0, [1.0, coefficient])
        GYM.prepare_sim(sim)
        dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
        run(sim, 30)
        return dofs[:, 0].view(-1, 2).tolist(), len(sim.world.groups)

    changes = [
        (100.0, 20.0, 0.2, 0.5, -2.0),
        (300.0, 20.0, 0.2, 0.5, -2.0),
        (100.0, 2.0, 0.2, 0.5, -2.0),
        (100.0, 20.0, 0.4, 0.5, -2.0),
        (300.0, 20.0, 0.4, 0.1, -2.0),
        (100.0, 20.0, 0.2, 0.5, 1.0),
    ]
    found, kinds = moved(changes)
    assert kinds == 2  # other coefficients make another tendon
    for each, change in zip(found, changes, strict=True):
        close(each, moved([change])[0][0], atol=1e-6)
    assert len({tuple(np.round(each, 4)) for each in found}) == len(changes)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_springs_of_a_running_simulation_change(engine, tmp_path):
    """Each environment moves as one that had the properties from the start, from then on."""
    (tmp_path / "slides.xml").write_text(SLIDES)
    changes = [(100.0, 20.0, 0.2), (300.0, 20.0, 0.2), (100.0, 2.0, 0.2), (100.0, 20.0, 0.4)]

    def moved(when):
        """Returns the joints' positions, shape [N, 2], if springs change after some steps."""
        sim, options = new_sim(engine, gravity=(0, 0, 0)), gymapi.AssetOptions()
        options.fix_base_link = True
        asset = GYM.load_asset(sim, str(tmp_path), "slides.xml", options)
        envs = [added(sim, asset) for _ in changes]
        if when:
            GYM.prepare_sim(sim)
            run(sim, when)
        for env, (stiffness, damping, rest) in zip(envs, changes, strict=True):
            tendons = GYM.get_actor_tendon_properties(env, 0)
            tendons[0].stiffness, tendons[0].damping = stiffness, damping
            tendons[0].fixed_spring_rest_length = rest
            GYM.set_actor_tendon_properties(env, 0, tendons)
        if not when:
            GYM.prepare_sim(sim)
        dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
        run(sim, 10)
        # Frictions that begin to differ rebuild the worlds, which keep their springs.
        shapes = GYM.get_actor_rigid_shape_properties(envs[0], 0)
        shapes[0].friction = 0.5
        GYM.set_actor_rigid_shape_properties(envs[0], 0, shapes)
        # So do drives that change, in an engine whose springs are actuators.
        table = GYM.get_actor_dof_properties(envs[1], 0)
        table["friction"] = 1e-6
        GYM.set_actor_dof_properties(envs[1], 0, table)
        run(sim, 10)
        assert GYM.get_actor_tendon_properties(envs[1], 0)[0].stiffness == 300.0
        return dofs[:, 0].view(-1, 2).tolist()

    at_once, later = moved(0), moved(3)
    close(later, at_once, atol=1e-5)  # everything rests until springs change
    assert len({tuple(np.round(each, 4)) for each in later}) == len(changes)
    # A rope alone: 1 kg and 1/4 kg along it move apart, x'' = (1 + 4) (100 (0.2 - x) - 20 x').
    assert 0.05 < later[0][0] - 2 * later[0][1] < 0.2


def test_limits_of_a_running_simulation_change_where_worlds_may_differ(slides, tmp_path):
    """MuJoCo C takes new bounds over; fused names what it cannot change."""
    sim, asset = slides
    env = added(sim, asset)
    GYM.prepare_sim(sim)
    tendons = GYM.get_actor_tendon_properties(env, 0)
    tendons[1].fixed_upper_limit = 0.1
    assert sim.engine == "fused"
    with pytest.raises(RuntimeError) as late:
        GYM.set_actor_tendon_properties(env, 0, tendons)
    assert names(late.value, "set_actor_tendon_properties", "fixed_upper_limit")

    sim, options = new_sim("mujoco", gravity=(0, 0, 0)), gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, str(tmp_path), "slides.xml", options)
    envs = [added(sim, asset) for _ in range(2)]
    GYM.prepare_sim(sim)
    run(sim, 3)
    tendons = GYM.get_actor_tendon_properties(envs[1], 0)
    for tendon, rest in zip(tendons, (0.0, 0.3), strict=True):
        tendon.fixed_spring_rest_length = rest
    GYM.set_actor_tendon_properties(envs[0], 0, tendons)
    tendons[1].fixed_upper_limit = 0.1
    GYM.set_actor_tendon_properties(envs[1], 0, tendons)
    run(sim, 800)
    found = wrapped(GYM.acquire_dof_state_tensor(sim))[:, 0].view(2, 2)
    close(found[0, 1], 0.3, atol=1e-3)
    close(found[1, 1], 0.1, atol=5e-3)  # soft: the spring pulls with 20 N
    tendons[1].is_fixed_limited = False
    with pytest.raises(RuntimeError) as late:
        GYM.set_actor_tendon_properties(envs[1], 0, tendons)
    assert names(late.value, "is_fixed_limited")
