"""Environments that differ in a property move as each does in a separate simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scenes import GYM, add_steps, at, close, joint, link, new_env, new_sim, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.simulation import grouping

ARM = (
    link("base")
    + link("upper", 2.0, (0, 0.05, -0.2), (0.05, 0.06, 0.01))
    + link("lower", 1.0, (0.1, 0, -0.2), (0.02, 0.03, 0.01))
    + joint("shoulder", "base", "upper")
    + joint("elbow", "upper", "lower", axis="1 0 0", xyz="0 0 -0.4")
)
STIFF, SOFT = (4e4, 200.0), (20.0, 1.0)


def drives(mode=gymapi.DOF_MODE_POS, gains=SOFT, **others):
    """Returns a function that sets an arm's drives."""

    def change(env):
        table = GYM.get_actor_dof_properties(env, 0)
        table["driveMode"] = mode
        table["stiffness"], table["damping"] = gains
        for name, value in others.items():
            table[name] = value
        GYM.set_actor_dof_properties(env, 0, table)

    return change


def weightless(env):
    """Takes gravity from the last body."""
    bodies = GYM.get_actor_rigid_body_properties(env, 0)
    bodies[2].flags = gymapi.RIGID_BODY_DISABLE_GRAVITY
    GYM.set_actor_rigid_body_properties(env, 0, bodies)


def turned(env):
    """Turns the principal axes of the last body."""
    bodies = GYM.get_actor_rigid_body_properties(env, 0)
    bodies[2].inertia.x.y = bodies[2].inertia.y.x = 0.008
    GYM.set_actor_rigid_body_properties(env, 0, bodies)


CHANGES = {
    "effort": [drives(), drives(effort=0.5), drives(effort=2.0)],
    "effort of a stiff drive": [drives(gains=STIFF), drives(gains=STIFF, effort=2.0)],
    "gains": [drives(effort=2.0), drives(gains=STIFF, effort=2.0)],
    "mode": [
        drives(gymapi.DOF_MODE_NONE),
        drives(gymapi.DOF_MODE_POS, effort=3.0),
        drives(gymapi.DOF_MODE_VEL, effort=1.0),
        drives(gymapi.DOF_MODE_EFFORT, (0.0, 0.0)),
        drives(gymapi.DOF_MODE_VEL, STIFF),
    ],
    "passive": [drives(gymapi.DOF_MODE_NONE, (k, 1.0)) for k in (0.0, 5.0, 50.0)],
    "friction": [drives(gymapi.DOF_MODE_NONE, (0, 0), friction=f) for f in (0.0, 0.2, 2.0)],
    "limits": [
        drives(gymapi.DOF_MODE_NONE, (0, 0), hasLimits=True, lower=-a, upper=2 * a)
        for a in (0.1, 0.3, 0.5)
    ],
    "weight": [drives(), weightless],
    "axes": [drives(gymapi.DOF_MODE_NONE, (0, 0)), turned],
}


def arms(engine, folder, changes, *, is_fixed=True):
    """Returns a prepared simulation with an arm for each change."""
    sim, options = new_sim(engine, dt=0.01), gymapi.AssetOptions()
    options.fix_base_link = is_fixed
    arm = GYM.load_asset(sim, *urdf(folder, ARM), options)
    for change in changes:
        env = new_env(sim)
        GYM.create_actor(env, arm, at(z=2.0), "arm", 0, 0)
        change(env)
    GYM.prepare_sim(sim)
    return sim


def build(engine, folder, changes):
    """Returns a simulation with an arm for each change, and its tensor of degrees of freedom."""
    sim = arms(engine, folder, changes)
    return sim, wrapped(GYM.acquire_dof_state_tensor(sim)).view(len(changes), 2, 2)


def swing(sim, dofs, steps=40):
    """Moves the arms from a pose off the vertical; returns all states, shape [steps, N, 2, 2]."""
    dofs.copy_(torch.tensor([[0.4, 0.0], [-0.7, 0.5]]))
    GYM.set_dof_state_tensor(sim, unwrap(dofs))
    history = []
    for step in range(steps):
        GYM.set_dof_position_target_tensor(sim, unwrap(torch.full(dofs.shape[:2], 0.3)))
        efforts = torch.full(dofs.shape[:2], float(np.sin(step)))
        GYM.set_dof_actuation_force_tensor(sim, unwrap(efforts))
        GYM.simulate(sim)
        history.append(dofs.clone())
    return np.array([states.numpy() for states in history])


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("kind", CHANGES)
def test_each_environment_has_its_own_property(engine, kind, tmp_path):
    """Whatever the first environment's is; the property also changes the motion."""
    changes = CHANGES[kind]
    found = swing(*build(engine, tmp_path, changes))
    # Beside a stiff drive, a soft one meets its limit as stiff ones do.
    atol = 0.1 if kind in ("gains", "mode") else 2e-4
    for i, change in enumerate(changes):
        alone = swing(*build(engine, tmp_path, [change]))
        close(found[:, i], alone[:, 0], rtol=1e-3, atol=atol)
        if i:
            assert np.abs(found[:, i] - found[:, 0]).max() > 0.01


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("kind", ["effort", "passive", "friction", "limits", "axes"])
def test_properties_that_change_later_act_at_once(engine, kind, tmp_path):
    """In a running simulation, in each environment; as if they had been so from the start."""
    changes = CHANGES[kind]
    sim, dofs = build(engine, tmp_path, changes[:1] * len(changes))
    GYM.simulate(sim)
    for env, change in zip(sim.envs, changes, strict=True):
        change(env)
    later = swing(sim, dofs)
    close(later, swing(*build(engine, tmp_path, changes)), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_a_terrain_is_where_each_environment_sees_it(engine):
    """Balls of environments 2 m apart fall on steps of 0.1 m."""
    sim = new_sim(engine, dt=0.005)
    add_steps(sim, 4)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index in range(3):
        env = GYM.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 1), 3)
        GYM.create_actor(env, ball, at(x=-0.2, z=0.12 + 0.1 * index), "ball", index, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    for _ in range(100):
        GYM.simulate(sim)
    close(roots[:, 2], [0.1, 0.2, 0.3], atol=3e-3)


def heavy(env):
    """Triples the last body's mass."""
    bodies = GYM.get_actor_rigid_body_properties(env, 0)
    bodies[-1].mass *= 3
    GYM.set_actor_rigid_body_properties(env, 0, bodies)


MASSES = {
    "mass": heavy,
    "axes": turned,
    "armature": drives(gymapi.DOF_MODE_NONE, (0, 0), armature=0.3),
    "armature of a carried drive": drives(gains=STIFF, effort=1e30, armature=0.3),
}


@pytest.mark.parametrize("is_fixed", [True, False])
@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("kind", MASSES)
def test_mass_matrices_are_of_each_environments_bodies(engine, kind, is_fixed, tmp_path):
    """As MuJoCo computes them where one environment is simulated alone; also after changes."""

    def masses(engine, changes, later=()):
        sim = arms(engine, tmp_path, changes, is_fixed=is_fixed)
        matrices = wrapped(GYM.acquire_mass_matrix_tensor(sim, "arm"))
        dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
        for env, change in zip(sim.envs, later, strict=False):
            change(env)
        GYM.simulate(sim)
        dofs.copy_(torch.tensor([[0.4, 0.0], [-0.7, 0.0]]).repeat(len(changes), 1))
        GYM.set_dof_state_tensor(sim, unwrap(dofs))
        GYM.refresh_mass_matrix_tensors(sim)
        return matrices[:, -2:, -2:].clone()

    plain = drives(gymapi.DOF_MODE_NONE, (0, 0))
    alone = torch.cat([masses("mujoco", [change]) for change in (plain, MASSES[kind])])
    assert (alone[0] - alone[1]).abs().max() > 1e-3
    close(masses(engine, [plain, MASSES[kind]]), alone, rtol=1e-4, atol=1e-4)
    later = masses(engine, [plain, plain], [plain, MASSES[kind]])
    close(later, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("groups", [1, 2])
def test_centres_of_mass_may_be_set_later_in_any_kind_of_environment(engine, groups, monkeypatch):
    """A turning box moves as if its centre had been there from the start.

    Both kinds are worlds of one model, or each has its own.
    """
    if groups == 2:
        monkeypatch.setattr(grouping, "way_out", lambda _sim: None)

    def turn(before, after):
        """Returns the poses of the boxes of two kinds of environments, two of each."""
        sim = new_sim(engine, gravity=(0.0, 0.0, 0.0))
        box = GYM.create_box(sim, 0.5, 0.5, 0.5, gymapi.AssetOptions())
        ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
        for index in range(4):
            env = new_env(sim)
            GYM.create_actor(env, box, at(), "box", index, 0)
            if index < 2:
                GYM.create_actor(env, ball, at(x=5.0), "ball", index, 0)
        set_centres(sim, before)
        GYM.prepare_sim(sim)
        assert len(sim.world.groups) == groups
        set_centres(sim, after)
        roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
        roots[:, 7:] = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 2.0])
        GYM.set_actor_root_state_tensor(sim, unwrap(roots))
        for _ in range(50):
            GYM.simulate(sim)
        return roots[[0, 2, 4, 5], :7].clone()

    def set_centres(sim, centres):
        for index, x in centres.items():
            bodies = GYM.get_actor_rigid_body_properties(sim.envs[index], 0)
            bodies[0].com = gymapi.Vec3(x, 0.0, 0.0)
            GYM.set_actor_rigid_body_properties(sim.envs[index], 0, bodies)

    first, later = {0: 0.02, 1: 0.04}, {2: 0.3}
    found = turn(first, later)
    close(found, turn(first | later, {}), atol=1e-5)
    assert (found[2] - found[3]).abs().max() > 0.1


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("balls", [(0, 0, 0), (1, 0, 1), (0, 1, 0)])
def test_a_mass_that_is_set_later_is_that_of_one_environment(engine, balls):
    """The first environment's, from whose actors the model is composed; the others keep 8 kg."""
    sim = new_sim(engine, gravity=(0.0, 0.0, 0.0))
    box = GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions())
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index, count in enumerate(balls):
        env = new_env(sim)
        GYM.create_actor(env, box, at(), "box", index, 0)
        for _ in range(count):
            GYM.create_actor(env, ball, at(x=5.0), "ball", index, 0)
    GYM.prepare_sim(sim)
    bodies = GYM.get_actor_rigid_body_properties(sim.envs[0], 0)
    bodies[0].mass *= 2
    GYM.set_actor_rigid_body_properties(sim.envs[0], 0, bodies)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    for env in sim.envs:
        GYM.apply_body_forces(env, 0, gymapi.Vec3(16.0, 0, 0), None, gymapi.ENV_SPACE)
    GYM.simulate(sim)
    rows = [GYM.get_actor_index(env, 0, gymapi.DOMAIN_SIM) for env in sim.envs]
    # v = F / m dt
    close(roots[rows, 7], [0.01, 0.02, 0.02], rtol=1e-5)
