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


def slides_to_a_stop(run, actor, friction, speed=0.8, steps=3):
    """What is pushed along its support loses the speed that friction takes, friction * g * time.

    A pyramid of friction is weaker by up to 0.71 between its axes, so the loss is 0.65 to 1.05 of
    that: half the friction is noticed, and so is twice.
    """
    index = run.gym.find_actor_index(run.sim.envs[0], actor, gymapi.DOMAIN_ENV)
    run.roots[:, index, 7] += speed
    run.gym.set_actor_root_state_tensor(run.sim, gymtorch.unwrap_tensor(run.roots))
    before, valid = run.roots[:, index, 7:9].norm(dim=-1), torch.ones(run.num_envs).bool()
    for _ in range(steps):
        run.step()
        valid &= ~run.fresh
    lost = before - run.roots[:, index, 7:9].norm(dim=-1)
    share = lost[valid] / (friction * G * run.dt * steps)
    assert valid.any()
    assert ((share > 0.65) & (share < 1.05)).all(), share
