"""Drives whose gains differ between environments or change in a running simulation."""

from __future__ import annotations

import pytest
import torch
from scenes import GYM, at, close, joint, link, new_env, new_sim, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi

SOFT, STIFF = (10.0, 6.0), (4e4, 200.0)
"""Stiffness and damping. The arm's inertia is 1 kg m^2, so the stiff drive stops it in a step."""


def set_gains(env, stiffness, damping):
    """Gives an environment's arm a position drive of at most 30 N m."""
    drives = GYM.get_actor_dof_properties(env, 0)
    drives["driveMode"], drives["effort"] = gymapi.DOF_MODE_POS, 30.0
    drives["stiffness"], drives["damping"] = stiffness, damping
    GYM.set_actor_dof_properties(env, 0, drives)


def new_arms(engine, folder, gains):
    """Returns a prepared simulation without gravity, its environments and DOF states."""
    # 0.5 + 2 * 0.5^2 = 1 kg m^2 about the hinge
    text = link("base") + link("arm", 2.0, (0, 0, -0.5), (0.5, 0.5, 0.1))
    sim, options = new_sim(engine, gravity=(0, 0, 0)), gymapi.AssetOptions()
    options.fix_base_link = True
    asset, envs = GYM.load_asset(sim, *urdf(folder, text + joint("h", "base", "arm")), options), []
    for own in gains:
        envs.append(new_env(sim))
        GYM.create_actor(envs[-1], asset, at(z=2.0), "arm", 0, 0)
        set_gains(envs[-1], *own)
    GYM.prepare_sim(sim)
    return sim, envs, wrapped(GYM.acquire_dof_state_tensor(sim))


def turn(sim, target, steps):
    """Steps with a position target for both environments."""
    GYM.set_dof_position_target_tensor(sim, unwrap(torch.full((2,), target)))
    for _ in range(steps):
        GYM.simulate(sim)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_soft_and_stiff_drives_share_a_model(engine, tmp_path):
    """Environments with randomised gains are one group, and each drive reaches its target."""
    sim, _, dofs = new_arms(engine, tmp_path, (SOFT, STIFF))
    assert len(sim.world.groups) == 1
    turn(sim, 0.5, 500)
    close(dofs, [[0.5, 0.0], [0.5, 0.0]], atol=1e-3)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_gains_change_kind_while_masses_begin_to_differ(engine, tmp_path):
    """The soft drive becomes stiff and the other way round, and the state goes on."""
    sim, envs, dofs = new_arms(engine, tmp_path, (SOFT, STIFF))
    turn(sim, 0.5, 500)
    for env, gains in zip(envs, (STIFF, SOFT), strict=True):
        set_gains(env, *gains)
        bodies = GYM.get_actor_rigid_body_properties(env, 0)
        bodies[1].mass *= 1.5
        GYM.set_actor_rigid_body_properties(env, 0, bodies)
    turn(sim, 0.5, 1)
    close(dofs, [[0.5, 0.0], [0.5, 0.0]], atol=1e-3)
    # 0.5 + 3 * 0.5^2 = 1.25 kg m^2, so the limit of 30 N m is 24 rad/s^2. Nine steps of 0.01 s
    # end at 24 * 0.09 = 2.16 rad/s, after 24 * 0.01^2 * (1 + ... + 9) = 0.108 rad.
    turn(sim, 0.7, 9)
    close(dofs[0], [0.608, 2.16], atol=1e-3)
    assert dofs[1, 0] < 0.51, dofs
    turn(sim, 0.7, 500)
    close(dofs, [[0.7, 0.0], [0.7, 0.0]], atol=1e-3)
