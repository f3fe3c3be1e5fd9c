"""Lists of single contacts and of contact forces."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim, run, wrapped

from rlgpu.isaacgym.api import gymapi

WEIGHT = 8 * 9.81
"""Weight of a box of 0.2 m and 1000 kg/m^3 [N]."""


def points(column):
    """Returns vectors as numbers, shape [contacts, 3]."""
    return np.stack([column[axis] for axis in "xyz"], axis=-1)


def stacks(engine):
    """Returns a simulation of one, two and one boxes; the last has twice the mass."""
    sim = new_sim(engine, ground=True)
    box, envs = GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions()), []
    for count in (1, 2, 1):
        env = new_env(sim)
        envs.append(env)
        for i in range(count):
            GYM.create_actor(env, box, at(x=0.5, z=0.1 + 0.2 * i), f"box{i}", 0, 0)
    properties = GYM.get_actor_rigid_body_properties(envs[2], 0)
    properties[0].mass *= 2
    GYM.set_actor_rigid_body_properties(envs[2], 0, properties, recomputeInertia=True)
    GYM.prepare_sim(sim)
    net = wrapped(GYM.acquire_net_contact_force_tensor(sim))
    run(sim, 100)
    return sim, envs, net


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_a_box_rests_on_four_contacts(engine):
    """Each carries a fourth of the weight, at a corner, its normal from the ground upwards."""
    _, envs, _ = stacks(engine)
    for number, weight in ((0, WEIGHT), (2, 2 * WEIGHT)):
        contacts = GYM.get_env_rigid_contacts(envs[number])
        assert contacts.dtype == gymapi.RigidContact.dtype
        close(contacts["lambda"], [weight / 4] * 4, rtol=1e-2)
        assert contacts["body0"].tolist() == [-1] * 4
        assert contacts["body1"].tolist() == [0] * 4
        assert contacts["env0"].tolist() == [-1] * 4
        assert contacts["env1"].tolist() == [number] * 4
        corners = points(contacts["localPos1"])
        close(sorted(np.sign(corners[:, :2]).tolist()), [[-1, -1], [-1, 1], [1, -1], [1, 1]])
        close(abs(corners), 0.1, atol=1e-3)
        on_ground = points(contacts["localPos0"])
        close(on_ground - corners, [[0.5, 0, 0.1]] * 4, atol=1e-3)
        close(contacts["normal"]["z"], 1.0, rtol=1e-6)
        close(contacts["friction"], 1.0)
        assert (contacts["initialOverlap"] > 0).all()


def test_a_stack_has_contacts_between_its_bodies():
    """The lower box carries both weights, the upper its own; sums are the net contact forces."""
    sim, envs, net = stacks("mujoco")
    contacts = GYM.get_env_rigid_contacts(envs[1])
    for pair, weight in (((-1, 0), 2 * WEIGHT), ((0, 1), WEIGHT)):
        chosen = contacts[(contacts["body0"] == pair[0]) & (contacts["body1"] == pair[1])]
        assert len(chosen) == 4
        close(chosen["lambda"].sum(), weight, rtol=1e-2)
    assert len(GYM.get_rigid_contacts(sim)) == 4 + 8 + 4
    forces = GYM.get_env_rigid_contact_forces(envs[1])
    close(forces["z"], [WEIGHT, WEIGHT], rtol=1e-2)
    every = GYM.get_rigid_contact_forces(sim)
    close(every["z"], net[:, 2], rtol=1e-3)
    close(every["z"], [WEIGHT, WEIGHT, WEIGHT, 2 * WEIGHT], rtol=1e-2)
    GYM.set_rigid_transform(envs[0], 0, at(z=2.0))
    assert len(GYM.get_env_rigid_contacts(envs[0])) == 0
