"""Quadcopter and Ingenuity: observations, thrusts, rewards and failures, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rlgpu.config import compose
from rlgpu.rotations import quat_rotate
from rlgpu.sim import ENGINES, ResetState, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.ingenuity import Ingenuity
from rlgpu.tasks.quadcopter import JOINTS, Quadcopter
from tests.tasks import placing
from tests.tasks.placing import place

UPRIGHT = [0.0, 0.0, 0.0, 1.0]
EVERYONE = torch.ones(2, dtype=torch.bool)


def env_of(task, n: int = 2):
    """Returns environments with control steps of 0.01 s, as in the task's YAML."""
    return placing.env_of(task, n, physics_dt=0.005)


def test_the_copters_have_their_masses() -> None:
    """Quadcopter: chassis 0.0471, rotors 0.0503 and arms 0.0008 kg each; Ingenuity 1.5 kg."""
    assert env_of(Quadcopter).sim.joint_names == JOINTS
    mass = env_of(Quadcopter).sim.worlds.model.body_mass.sum()
    assert mass == pytest.approx(0.04712 + 4 * (0.05027 + 0.00084), abs=1e-4)
    mass = env_of(Ingenuity).sim.worlds.model.body_mass.sum()
    assert mass == pytest.approx(0.0864 + 2 * 0.70686, abs=1e-4)


@pytest.mark.parametrize("task", [Quadcopter, Ingenuity])
def test_the_root_is_observed_in_its_units(task) -> None:
    """Way to (0, 0, 1) / 3, quaternion, velocity / 2, spin / pi."""
    env = env_of(task)
    if task is Ingenuity:
        env.task.buffers["target"][:] = torch.tensor([0.0, 0.0, 1.0])
    half = math.sqrt(0.5)
    row = place(
        env,
        root_pos_w=[0.3, -0.6, 1.9],
        root_quat_w=[0, 0, half, half],
        root_lin_vel_w=[1, 2, 3],
        root_ang_vel_w=[math.pi, 0, -math.pi / 2],
    )[0]
    assert row[:3].tolist() == pytest.approx([-0.1, 0.2, -0.3], abs=1e-6)
    assert row[3:7].tolist() == pytest.approx([0, 0, half, half], abs=1e-6)
    assert row[7:10].tolist() == pytest.approx([0.5, 1, 1.5], abs=1e-6)
    assert row[10:13].tolist() == pytest.approx([1, 0, -0.5], abs=1e-5)


def test_the_quadcopter_hovers_on_its_weight() -> None:
    """A quarter of its weight on each rotor, rotors level: it stays where it is."""
    env = env_of(Quadcopter, n=1)
    place(env, root_pos_w=[0, 0, 1], root_quat_w=UPRIGHT)
    env.task.after_reset(env.sim.state, torch.ones(1, dtype=torch.bool))
    mass = env.sim.worlds.model.body_mass.sum()
    env.task.buffers["thrusts"][:] = mass * 9.81 / 4
    for _ in range(50):
        step = env.step(torch.zeros(1, 12))
    torch.testing.assert_close(
        env.sim.state.root_pos_w, torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-3, rtol=0
    )
    assert step.rewards.item() == pytest.approx(3.0, abs=1e-3)


def test_actions_tilt_and_push_the_rotors() -> None:
    """One step of 0.01 s: 25.13 rad/s * 0.01 * 0.5 = 0.126 rad; 200 N/s * 0.01 = 2 N, the most."""
    env = env_of(Quadcopter)
    place(env, root_pos_w=[0, 0, 1], root_quat_w=UPRIGHT)
    task = env.task
    task.after_reset(env.sim.state, EVERYONE)
    actions = torch.zeros(2, 12)
    actions[0, 1], actions[0, 8] = 0.5, 1.0
    actions[1, 0], actions[1, 11] = 1.0, 2.0
    targets = task.targets(actions.clamp(-1, 1))
    assert targets[0, 1].item() == pytest.approx(0.12566, abs=1e-4)
    assert task.buffers["thrusts"][0].tolist() == pytest.approx([2, 0, 0, 0])
    task.targets(actions)
    task.targets(actions)
    assert task.buffers["targets"][1, 0].item() == pytest.approx(math.pi / 6, abs=1e-6)
    assert task.buffers["thrusts"][1].tolist() == pytest.approx([0, 0, 0, 2])
    forces = task.forces(env.sim.state, actions)
    assert forces[0, 0].tolist() == pytest.approx([0, 0, 2], abs=1e-6)
    # Turned on its side about x: thrust along -y.
    half = math.sqrt(0.5)
    place(env, root_pos_w=[0, 0, 1], root_quat_w=[half, 0, 0, half])
    forces = task.forces(env.sim.state, actions)
    assert forces[0, 0].tolist() == pytest.approx([0, -2, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("task", "weight"), [(Quadcopter, 1.0), (Ingenuity, 5.0)], ids=["quadcopter", "ingenuity"]
)
def test_the_reward_counts_uprightness_only_near_the_target(task, weight) -> None:
    """2 m away: 0.2 + 0.2 * (weight / (1 + tilt^2) + 1 / (1 + spin^2)); tilted by 90 degrees."""
    env = env_of(task)
    if task is Ingenuity:
        env.task.buffers["target"][:] = torch.tensor([0.0, 0.0, 1.0])
    half = math.sqrt(0.5)
    place(env, root_pos_w=[2, 0, 1], root_quat_w=[half, 0, 0, half], root_ang_vel_w=[5, 0, 3])
    outcome = env.task.evaluate(env.sim.state, torch.zeros(2, env.num_actions), env.observations)
    assert outcome.rewards.tolist() == pytest.approx([0.2 + 0.2 * (weight / 2 + 0.1)] * 2, abs=1e-5)
    assert not outcome.terminated.any()


@pytest.mark.parametrize(
    ("task", "position", "lost"),
    [
        (Quadcopter, [0, 0, 0.29], True),
        (Quadcopter, [0, 0, 0.31], False),
        (Quadcopter, [2.9, 1, 1], True),
        (Ingenuity, [0, 0, 0.49], True),
        (Ingenuity, [5, 0, 1], False),
        (Ingenuity, [7, 4, 1], True),
    ],
)
def test_a_copter_is_lost_far_from_its_target_or_near_the_ground(task, position, lost) -> None:
    """3 m and 0.3 m for the quadcopter, 8 m and 0.5 m for Ingenuity."""
    env = env_of(task)
    if task is Ingenuity:
        env.task.buffers["target"][:] = torch.tensor([0.0, 0.0, 1.0])
    place(env, root_pos_w=position, root_quat_w=UPRIGHT)
    outcome = env.task.evaluate(env.sim.state, torch.zeros(2, env.num_actions), env.observations)
    assert outcome.terminated.tolist() == [lost, lost]


def test_ingenuity_falls_as_on_mars_and_its_rotors_lift_it() -> None:
    """3.721 m/s^2; two rotors of 20 N at 14 %, of which a fifth may act sideways."""
    env = env_of(Ingenuity)
    place(env, root_pos_w=[0, 0, 2], root_quat_w=UPRIGHT)
    env.step(torch.zeros(2, 6))
    assert env.sim.state.root_lin_vel_w[:, 2].tolist() == pytest.approx([-0.03721] * 2, abs=1e-5)
    actions = torch.tensor([[0.1, -0.9, 0.5, 0.0, 0.0, -0.25]]).expand(2, 6)
    place(env, root_pos_w=[0, 0, 2], root_quat_w=UPRIGHT)
    forces = env.task.forces(env.sim.state, actions)[0]
    assert forces[0].tolist() == pytest.approx([1.0, -2.0, 10.0])
    assert forces[1].tolist() == pytest.approx([0.0, 0.0, -5.0])


@pytest.mark.parametrize("task", [Quadcopter, Ingenuity])
def test_copters_start_all_over_a_box_around_their_place(task) -> None:
    """Up to 1.5 m away along x and y, 0.8 to 2.5 m high, upright; tilted rotors by 0.2 rad."""
    to = env_of(task, n=2000).task.reset_state(torch.Generator().manual_seed(0))
    assert to.root_pos_w.amin(0).tolist() == pytest.approx([-1.5, -1.5, 0.8], abs=0.01)
    assert to.root_pos_w.amax(0).tolist() == pytest.approx([1.5, 1.5, 2.5], abs=0.01)
    assert to.root_pos_w.mean(0).tolist() == pytest.approx([0.0, 0.0, 1.65], abs=0.1)
    assert (to.root_quat_w == torch.tensor(UPRIGHT)).all()
    if task is Quadcopter:
        assert to.joint_pos.abs().amax(0).tolist() == pytest.approx([0.2] * 8, abs=0.001)


def test_ingenuitys_targets_move_every_500_steps() -> None:
    """Within 5 m, 1 to 2 m high; new ones at a reset."""
    env = env_of(Ingenuity, n=200)
    task, target = env.task, env.task.buffers["target"]
    assert target[:, :2].abs().max() <= 5.0
    assert (target[:, 2] >= 1.0).all()
    assert (target[:, 2] <= 2.0).all()
    before = target.clone()
    task.buffers["age"][:100] = 499
    task.draw(env.generator)
    task.advance(env.sim.state)
    assert (target[:100] != before[:100]).any(-1).all()
    assert torch.equal(target[100:], before[100:])


def test_thrusts_follow_the_rotors_however_they_are_tilted() -> None:
    """Along the z axes of the rotors' bodies, which the simulator has too."""
    config = compose(["task=Quadcopter"], TASKS, ENGINES).config.task
    task = Quadcopter(config)
    scene = replace(task.scene(), body_states=True)
    sim = make_simulator("mujoco", scene, config.timing(), 20)
    task.bind(sim)
    g = torch.Generator().manual_seed(0)
    quat = torch.nn.functional.normalize(torch.randn(20, 4, generator=g), dim=-1)
    tilt = 0.5 * torch.rand(20, 8, generator=g) - 0.25
    everyone = torch.ones(20, dtype=torch.bool)
    sim.reset(everyone, ResetState(tilt, torch.zeros(20, 8), root_quat_w=quat))
    task.buffers["thrusts"][:] = torch.tensor([0.5, 1.0, 1.5, 2.0])
    found = task.forces(sim.state, torch.zeros(20, 12))
    rotors = [sim.body_names.index(f"rotor{i}") for i in range(4)]
    up = torch.tensor([0.0, 0.0, 1.0]).expand(20, 4, 3)
    axes = quat_rotate(sim.state.body_quat_w[:, rotors], up)
    torch.testing.assert_close(found, task.buffers["thrusts"][..., None] * axes, atol=1e-5, rtol=0)
