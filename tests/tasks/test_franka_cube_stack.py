"""FrankaCubeStack: model, control, observations, rewards and resets, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rlgpu.sim import ResetState
from rlgpu.tasks.franka_cube_stack import CUBE_A, CUBE_B, TABLE, FrankaCubeStack
from tests.tasks.placing import env_of

POSE = (0.0, 0.1963, 0.0, -2.618, 0.0, 2.9416, 0.7854, 0.035, 0.035)

on_each = pytest.mark.parametrize("engine", ["fused", "mujoco"])


def put(
    env, cube_a=(0.1, 0.2, 1.05), cube_b=(0.1, -0.2, 1.06), joint_pos=POSE, quat=None
) -> torch.Tensor:
    """Puts robot and cubes at rest, turned as given, and returns the observations."""
    n = env.num_envs
    position = torch.tensor(joint_pos).expand(n, 9)
    cubes = torch.tensor([cube_a, cube_b]).expand(n, 2, 3)
    everyone = torch.ones(n, dtype=torch.bool)
    turned = torch.tensor(quat).expand(n, 2, 4) if quat else None
    still = torch.zeros_like(position)
    to = ResetState(position, still, object_pos_w=cubes, object_quat_w=turned)
    env.sim.reset(everyone, to)
    return env._observe()


def test_the_hand_is_where_the_makers_kinematics_put_it() -> None:
    """All joints at 0 but the fourth, which cannot be: forward kinematics worked by hand."""
    # Arm upright: 0.333 + 0.316 up. Elbow at -90 degrees: the forearm of 0.384 points forward,
    # offsets 0.0825 up and back. Wrist at 90 degrees: 0.088 forward, hand 0.107 + 0.1025 down.
    env = env_of(FrankaCubeStack)
    row = put(env, joint_pos=(0, 0, 0, -math.pi / 2, 0, math.pi / 2, math.pi / 4, 0, 0))[0]
    x = -0.45 + 0.0825 + 0.384 + 0.088
    z = 1.125 + 0.333 + 0.316 + 0.0825 - 0.107 - 0.1025
    assert row[10:13].tolist() == pytest.approx([x, 0.0, z], abs=1e-5)


def test_every_column_is_where_isaac_gyms_is() -> None:
    """Cube's pose, way to the other cube, hand's pose, fingers."""
    turns = [[0.0, 0.0, 0.6, 0.8], [0.0, 0.0, 0.8, 0.6]]
    env = env_of(FrankaCubeStack)
    row = put(env, cube_a=(0.1, 0.2, 1.3), cube_b=(-0.1, 0.1, 1.06), quat=turns)[0]
    assert row.shape == (19,)
    assert row[:7].tolist() == pytest.approx([0, 0, 0.6, 0.8, 0.1, 0.2, 1.3], abs=1e-6)
    assert row[7:10].tolist() == pytest.approx([-0.2, -0.1, -0.24], abs=1e-6)
    assert row[17:].tolist() == pytest.approx([0.035, 0.035], abs=1e-6)
    torques = env_of(FrankaCubeStack, control="joint_tor")
    row = put(torques)[0]
    assert row.shape == (26,)
    assert row[17:].tolist() == pytest.approx(list(POSE), abs=1e-6)
    assert torques.num_actions == 8


@on_each
def test_the_jacobian_is_that_of_finite_differences(engine) -> None:
    """Of the hand's position by each joint; of its orientation, the joints' axes by hand."""
    env = env_of(FrankaCubeStack, n=10, engine=engine)
    joint_pos = torch.tensor(POSE).repeat(10, 1)
    step = 1e-3
    for joint in range(9):
        joint_pos[joint + 1, joint] += step
    cubes = torch.tensor([[0.1, 0.2, 1.05], [0.1, -0.2, 1.06]]).expand(10, 2, 3)
    env.sim.reset(
        torch.ones(10, dtype=torch.bool),
        ResetState(joint_pos, torch.zeros_like(joint_pos), object_pos_w=cubes),
    )
    hand = env.sim.body_names.index("panda_hand")
    position = env.sim.state.body_pos_w[:, hand]
    numeric = (position[1:] - position[0]) / step
    torch.testing.assert_close(env.sim.state.jacobian_w[0, :3].mT, numeric, atol=2e-3, rtol=0)
    # The arm is in the xz plane. Joint 3 turns about the upper arm, which leans by 0.1963 rad; the
    # last joint about the hand's z axis, 0.1963 + 2.618 - 2.9416 = -0.1273 rad from straight down.
    axes = env.sim.state.jacobian_w[0, 3:].mT
    for joint, axis in (
        (0, (0.0, 0.0, 1.0)),
        (1, (0.0, 1.0, 0.0)),
        (2, (0.195042, 0.0, 0.980795)),
        (3, (0.0, -1.0, 0.0)),
        (5, (0.0, -1.0, 0.0)),
        (6, (0.126957, 0.0, -0.991908)),
        (7, (0.0, 0.0, 0.0)),
        (8, (0.0, 0.0, 0.0)),
    ):
        assert axes[joint].tolist() == pytest.approx(axis, abs=1e-5)


@on_each
def test_the_mass_matrix_gives_mujocos_accelerations(engine) -> None:
    """Torques on an arm at rest without gravity: M^-1 (torque) against one tiny step."""
    changes = {"physics_dt": 1e-4, "decimation": 1, "control": "joint_tor"}
    env = env_of(FrankaCubeStack, engine=engine, **changes)
    put(env)
    mass = env.sim.state.mass_matrix[0].clone()
    torch.testing.assert_close(mass, mass.mT)
    torque = torch.tensor([5.0, -3.0, 2.0, 4.0, 1.0, -0.5, 0.25])
    targets = torch.cat((torque, torch.tensor([0.035, 0.035]))).expand(2, 9)
    env.sim.set_targets(targets)
    env.sim.step()
    env.sim.refresh()
    wanted = torch.linalg.solve(mass, torch.cat((torque, torch.zeros(2))))
    found = env.sim.state.joint_vel[0] / 1e-4
    torch.testing.assert_close(found[:7], wanted[:7], rtol=0.02, atol=0.05)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_action_moves_the_hand_along_its_axis(axis) -> None:
    """A quarter of a second: more than 2 cm that way, and less than a third of it sideways."""
    env = env_of(FrankaCubeStack)
    put(env)
    start = env.sim.state.body_pos_w[0, env.task._grip].clone()
    actions = torch.zeros(2, 7)
    actions[:, axis], actions[:, 6] = 1.0, 1.0
    for _ in range(15):
        env.step(actions)
    moved = env.sim.state.body_pos_w[0, env.task._grip] - start
    sideways = torch.cat((moved[:axis], moved[axis + 1 :])).norm()
    assert moved[axis] > 0.02
    assert sideways < moved[axis] / 3


def test_without_actions_the_arm_stays_and_the_fingers_open_or_close() -> None:
    """Gravity does not act on it; an action of 0 or more opens the gripper."""
    env = env_of(FrankaCubeStack)
    put(env)
    start = env.sim.state.body_pos_w[:, env.task._grip].clone()
    actions = torch.zeros(2, 7)
    actions[1, 6] = -1.0
    for _ in range(30):
        env.step(actions)
    moved = env.sim.state.body_pos_w[:, env.task._grip] - start
    assert moved.norm(dim=-1).max() < 0.01
    fingers = env.sim.state.joint_pos[:, 7:]
    assert fingers[0].tolist() == pytest.approx([0.04, 0.04], abs=2e-3)
    assert fingers[1].tolist() == pytest.approx([0.0, 0.0], abs=2e-3)


@on_each
def test_open_fingers_start_to_close_at_their_drives_speed(engine) -> None:
    """By 5000 N/m * 0.04 m, which no limit cuts off; the drive's damping acts within the step."""
    env = env_of(FrankaCubeStack, engine=engine, physics_dt=1 / 120, decimation=1)
    put(env, joint_pos=(*POSE[:7], 0.04, 0.04))
    closed = torch.zeros(2, 7)
    closed[:, 6] = -1.0
    env.step(closed)
    # (m + dt d) v = dt f, with a finger of 15 g, its armature of 0.1 kg, dampings of 100 and 10.
    wanted = -200.0 / 120 / (0.115 + 110.0 / 120)
    found = env.sim.state.joint_vel[:, 7:]
    torch.testing.assert_close(found, torch.full_like(found, wanted), rtol=1e-3, atol=0.0)


def evaluated(env, cube_a, cube_b=(0.1, -0.2, TABLE + CUBE_B / 2)):
    """Returns reward and end with the cubes somewhere."""
    put(env, cube_a, cube_b)
    outcome = env.task.evaluate(env.sim.state, torch.zeros(2, 7), env.observations)
    return outcome.rewards[0].item(), bool(outcome.terminated[0])


def test_the_reward_counts_nearness_lifting_and_the_place() -> None:
    """Worked with the distances of hand and fingertips to the cube."""
    env = env_of(FrankaCubeStack)
    put(env)
    grip = env.sim.state.body_pos_w[0, env.task._grip].clone()
    tips = env.sim.state.body_pos_w[0, env.task._tips].clone()
    at = torch.tensor([0.1, 0.2, TABLE + CUBE_A / 2])
    distances = (at - grip).norm() + (at - tips).norm(dim=-1).sum()
    near = 1 - math.tanh(10 * float(distances) / 3)
    reward, ended = evaluated(env, tuple(at.tolist()))
    assert reward == pytest.approx(0.1 * near, abs=1e-6)
    assert not ended
    # Lifted by 10 cm, 20 cm from its place beside the other cube: both counts, and 1.5.
    place = torch.tensor([0.1, -0.2, TABLE + CUBE_B + CUBE_A / 2])
    above = place + torch.tensor([0.2, 0.0, 0.0])
    distances = (above - grip).norm() + (above - tips).norm(dim=-1).sum()
    near = 1 - math.tanh(10 * float(distances) / 3)
    aligned = 1 - math.tanh(2.0)
    reward, ended = evaluated(env, tuple(above.tolist()))
    height = CUBE_B + CUBE_A / 2 - CUBE_A > 0.04
    lifted = 1.0 if height else 0.0
    wanted = 0.1 * max(near, aligned * lifted) + 1.5 * lifted + 2.0 * aligned * lifted
    assert reward == pytest.approx(wanted, abs=1e-4)
    assert not ended
    # In its place, with the hand away: stacked.
    assert evaluated(env, tuple(place.tolist())) == (16.0, True)


@pytest.mark.parametrize(
    ("offset", "hand", "stacked"),
    [
        ((0.015, 0.0, 0.0), 0.045, True),
        ((0.025, 0.0, 0.0), 0.045, False),
        ((0.0, 0.025, 0.0), 0.045, False),
        ((0.0, 0.0, 0.015), 0.045, True),
        ((0.0, 0.0, 0.025), 0.045, False),
        ((0.0, 0.0, -0.025), 0.045, False),
        ((0.0, 0.0, 0.0), 0.035, False),
    ],
)
def test_a_cube_is_stacked_within_2_cm_of_its_place_with_the_hand_4_cm_away(
    offset, hand, stacked
) -> None:
    """The red cube's middle belongs 7 cm + 2.5 cm above the table, above the green cube's."""
    env = env_of(FrankaCubeStack)
    place = torch.tensor([0.1, -0.2, 1.025 + 0.07 + 0.025]) + torch.tensor(offset)
    put(env, tuple(place.tolist()), (0.1, -0.2, 1.06))
    bodies = env.sim.state.body_pos_w.clone()
    bodies[:, env.task._grip] = place + torch.tensor([0.0, hand, 0.0])
    state = env.sim.state._replace(body_pos_w=bodies)
    outcome = env.task.evaluate(state, torch.zeros(2, 7), env.observations)
    assert outcome.terminated.tolist() == [stacked] * 2


def test_a_cube_is_lifted_4_cm_above_the_table_and_its_own_size() -> None:
    """Its middle is at 9 cm when the reward begins: at 8.5 cm not yet, at 9.5 cm it counts."""
    for height, lifted in ((0.085, False), (0.095, True)):
        reward, _ = evaluated(env_of(FrankaCubeStack), (0.1, 0.2, TABLE + height))
        assert (reward > 1.5) == lifted


def test_joint_torques_are_shares_of_the_makers_limits() -> None:
    """87 N m for the first four joints and 12 N m for the others, as in Franka's data sheet."""
    task = env_of(FrankaCubeStack, control="joint_tor").task
    actions = torch.tensor([[1.0, -1.0, 1.0, 0.5, 1.0, -0.5, 1.0, 1.0]])
    wanted = [87.0, -87.0, 87.0, 43.5, 12.0, -6.0, 12.0]
    assert task.targets(actions)[0, :7].tolist() == pytest.approx(wanted)
    limits = [drive.effort_limit for drive in task.scene().drives.values()]
    assert limits[:7] == [87.0] * 4 + [12.0] * 3


def test_cubes_start_apart_on_the_table() -> None:
    """Within 25 cm of its middle, 17 cm apart, each lying on it, turned by at most 45 degrees."""
    task = env_of(FrankaCubeStack, n=2000).task
    to = task.reset_state(torch.Generator().manual_seed(0))
    position = to.object_pos_w
    assert position[..., :2].abs().max() <= 0.25
    apart = (position[:, 0, :2] - position[:, 1, :2]).norm(dim=-1)
    assert apart.min() >= (CUBE_A + CUBE_B) * math.sqrt(2) - 1e-6
    heights = position[..., 2] - TABLE
    assert heights[0].tolist() == pytest.approx([CUBE_A / 2, CUBE_B / 2], abs=1e-6)
    turn = 2 * torch.atan2(to.object_quat_w[..., 2], to.object_quat_w[..., 3])
    assert 0.7 < turn.abs().max() <= 0.785 + 1e-5
    assert (to.joint_pos[:, 7:] == 0.035).all()
    assert (to.joint_pos[:, :7] >= task._lower[:7]).all()


@on_each
def test_a_scripted_hand_stacks_the_cubes(engine) -> None:
    """Above the cube, down, close, up, over the other cube, down, open: the task can be solved.

    So plain a script does not turn the hand and misses some: half are lifted, a quarter stacked.
    """
    n = 16
    env = env_of(FrankaCubeStack, n, physics_dt=1 / 120, engine=engine)
    task, state = env.task, env.sim.state
    to = task.reset_state(torch.Generator().manual_seed(0))
    straight = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(n, 2, 4)
    pose = torch.tensor(POSE).expand(n, 9)
    env.sim.reset(
        torch.ones(n, dtype=torch.bool), to._replace(joint_pos=pose, object_quat_w=straight)
    )
    hand, stacked = env.sim.body_names.index("panda_grip_site"), torch.zeros(n, dtype=torch.bool)
    lifted = torch.zeros(n, dtype=torch.bool)

    def move(steps: int, to: Callable[[], Tensor], fingers: float) -> None:
        nonlocal stacked, lifted
        for _ in range(steps):
            away = to() - state.body_pos_w[:, hand]
            turn, close = torch.zeros(n, 3), torch.full((n, 1), fingers)
            step = env.step(torch.cat(((15.0 * away).clamp(-1, 1), turn, close), dim=-1))
            stacked = stacked | step.terminated
            lifted = lifted | (state.object_pos_w[:, 0, 2] > TABLE + 0.2)

    def above(which: int, height: float) -> Callable[[], Tensor]:
        return lambda: state.object_pos_w[:, which] + torch.tensor([0.0, 0.0, height])

    def raised() -> Tensor:
        own = state.body_pos_w[:, hand]
        return torch.cat((own[:, :2], torch.full((n, 1), TABLE + 0.25)), dim=-1)

    move(60, above(0, 0.1), 1.0)
    move(50, above(0, 0.0), 1.0)
    move(20, above(0, 0.0), -1.0)
    move(50, raised, -1.0)
    move(50, above(1, 0.165), -1.0)
    move(30, above(1, 0.062), -1.0)
    move(12, lambda: state.body_pos_w[:, hand], 1.0)
    move(20, raised, 1.0)
    assert lifted.sum() >= n // 2
    assert stacked.sum() >= n // 4
