"""Statements about public tasks that forces and gains must explain: weights, times of drives."""

from __future__ import annotations

import torch

from rlgpu.isaacgym.api import gymapi, gymtorch

G = 9.81
"""Acceleration of gravity [m/s^2]."""


def both(*statements):
    """Returns a statement that is several ones, each about the steps after the one before."""

    def check(run):
        for statement in statements:
            statement(run)

    return check


def weighs_what_it_should(run, actor, steps=100, within=0.05):
    """Contacts and gravity explain how an object moves, within a share of its weight.

    The contacts' mean force along z less the mass times the mean acceleration is the weight: of
    what rests or is held, what falls and what is thrown.
    """
    env, gym = run.sim.envs[0], run.gym
    handle = gym.find_actor_handle(env, actor)
    body = gym.get_actor_rigid_body_index(env, handle, 0, gymapi.DOMAIN_ENV)
    simulate, forces = gym.simulate, []

    def watched(sim):
        simulate(sim)
        forces.append(run.contacts[:, body, 2].clone())

    gym.simulate = watched
    mass, weights, seconds = run.masses()[:, body], 0.0, 0.0
    for _ in range(steps):
        forces.clear()
        speed = run.bodies[:, body, 9].clone()
        run.step()
        kept = ~run.fresh
        gained = mass * (run.bodies[:, body, 9] - speed)
        weights += ((torch.stack(forces).sum(0) * run.dt - gained) / mass)[kept].sum()
        seconds += len(forces) * run.dt * kept.sum()
    del gym.simulate
    assert seconds > 0
    assert abs(weights / (seconds * G) - 1) < within, weights / (seconds * G)


def drives_approach_their_targets(run, target, constant):
    """After random targets, the distance to the last ones shrinks by e in each time constant.

    A joint's inertia makes that up to a fifth faster: 2 kg m^2 at 80 N m s/rad and 400 N m/rad.

    Args:
        run: The task.
        target: Returns the targets of the first joints [rad], shape [N, D].
        constant: Damping divided by stiffness [s].
    """
    for _ in range(20):
        run.step(1.0)
    run.step()
    goal, distances, running = target(run.env).clone(), [], True
    steps = round(2 * constant / run.dt)
    for _ in range(steps + 1):
        running = running & ~run.fresh
        distances.append((run.dofs[:, : goal.shape[1], 0] - goal).abs().mean(1))
        run.step()
    assert running.any()
    shrunk = (distances[0][running].mean() / distances[-1][running].mean()).log()
    assert 0.8 < shrunk / 2 < 1.3, shrunk / 2


def friction_slows_it(run, speed, actor=None, ground=1.0):
    """What is pushed along its support loses momentum by the friction of what the support carries.

    That is friction times the impulse of contacts along z in the next ``simulate``: the weight's
    and what the push makes of it, of an articulation with all of its bodies. A pyramid of friction
    is weaker by up to 0.71 between its axes, and a foot may come to rest, so the loss is 0.6 to
    1.05 of that. Half the friction gives at most half of it and is noticed.

    Args:
        run: The task.
        speed: What the push adds along x, enough to slide for one ``simulate`` [m/s].
        actor: Name of the actor; by default the first one.
        ground: Friction of its support, and of the ground.
    """
    env, gym = run.sim.envs[0], run.gym
    handle = 0 if actor is None else gym.find_actor_handle(env, actor)
    root = gym.get_actor_index(env, handle, gymapi.DOMAIN_ENV)
    names = gym.get_actor_rigid_body_names(env, handle)
    bodies = [
        gym.get_actor_rigid_body_index(env, handle, i, gymapi.DOMAIN_ENV) for i in range(len(names))
    ]
    shapes = [gym.get_actor_rigid_shape_properties(env, handle) for env in run.sim.envs]
    friction = torch.tensor([[(shape.friction + ground) / 2 for shape in row] for row in shapes])
    assert (friction == friction[:, :1]).all(), friction
    run.roots[:, root, 7] += speed
    gym.set_actor_root_state_tensor(run.sim, gymtorch.unwrap_tensor(run.roots))
    mass, simulate = run.masses()[:, bodies], gym.simulate
    velocities = [run.bodies[:, bodies, 7:10].clone()]

    def watched(sim):
        simulate(sim)
        velocities.append(run.bodies[:, bodies, 7:10].clone())

    gym.simulate = watched
    run.step()
    del gym.simulate
    gained = torch.einsum("nb,nbi->ni", mass, velocities[1] - velocities[0])
    weight = mass.sum(1) * G * run.dt
    carried = weight + gained[:, 2]
    valid = ~run.fresh & (carried > 0.5 * weight)
    share = (gained[:, :2].norm(dim=-1) / (friction[:, 0] * carried))[valid]
    assert valid.any()
    assert ((share > 0.6) & (share < 1.05)).all(), share
