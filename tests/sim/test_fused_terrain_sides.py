"""The sides of a height field, of the fused engine: the ground ends there, in walls."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.test_fused_terrain import STEP, ground_model

SIDES = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
"""Outwards at the high x, low x, high y and low y of a field, whose middle is the origin."""
SHAPES = {
    "sphere": 'type="sphere" size="0.1"',
    "capsule": 'type="capsule" size="0.05 0.3" quat="0.5 0.5 0.5 0.5"',
    "rod": 'type="box" size="0.4 0.03 0.03"',
    "box": 'type="box" size="0.15 0.2 0.1"',
}


def rim_model(shape: str, heights: np.ndarray, option: str = "") -> mujoco.MjModel:
    """Returns a model of one free body and a field, its middle at the origin."""
    x, y = (-(n - 1) / 2 * STEP for n in heights.shape)
    body = f'<body><freejoint/><geom {SHAPES[shape]} mass="1" condim="1"/></body>'
    return ground_model(heights, body, option=option, x=x, y=y)


def at_the_sides(out: float, z: float) -> np.ndarray:
    """Returns four poses, each the same one as seen from its side, shape [4, 7]."""
    halves = np.arctan2(SIDES[:, 1], SIDES[:, 0]) / 2
    poses = np.zeros((4, 7))
    poses[:, :2], poses[:, 2] = out * SIDES, z
    poses[:, 3], poses[:, 6] = np.cos(halves), np.sin(halves)
    return poses


def ours_and_mujocos(
    model: mujoco.MjModel, starts: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far out and how high four bodies are at the end, shape [4, 2], of each engine."""
    worlds = FusedWorlds(model, 4)
    worlds.array("qpos").copy_(torch.tensor(starts))
    worlds.step(steps)
    ends = [worlds.array("qpos").double().numpy(), starts.copy()]
    for row in ends[1]:
        data = mujoco.MjData(model)
        data.qpos[:] = row
        mujoco.mj_step(model, data, steps)
        row[:] = data.qpos
    ours, theirs = (np.stack(((end[:, :2] * SIDES).sum(axis=1), end[:, 2]), axis=1) for end in ends)
    return ours, theirs


@pytest.mark.parametrize(
    ("shape", "out", "height"),
    [
        ("sphere", 1.3, 0.1),
        ("sphere", 1.53, None),
        ("sphere", 1.6, None),
        ("sphere", 1.9, None),
        ("capsule", 1.3, 0.05),
        ("capsule", 1.55, None),
        ("capsule", 1.7, None),
        ("rod", 1.3, 0.03),
        ("rod", 1.6, None),
        ("rod", 1.8, None),
        ("box", 1.3, 0.1),
        ("box", 1.6, None),
        ("box", 1.64, None),
    ],
)
def test_the_ground_ends_at_each_side_of_the_field(
    shape: str, out: float, height: float | None
) -> None:
    """At 1.5 m: bodies within rest on it, and those beyond fall (None), as in MuJoCo C."""
    model = rim_model(shape, np.zeros((31, 31)))
    ours, theirs = ours_and_mujocos(model, at_the_sides(out, 0.15), 300)
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    if height is None:
        assert ours[:, 1].max() < -0.3
    else:
        np.testing.assert_allclose(ours[:, 1], height, atol=2e-3)


@pytest.mark.parametrize(("shape", "half"), [("sphere", 0.1), ("box", 0.15), ("rod", 0.4)])
def test_the_sides_of_the_field_are_walls(shape: str, half: float) -> None:
    """A body below the ground's height that is drawn to a side from outside stops there."""
    for k, start in enumerate(at_the_sides(1.5 + half + 0.02, -0.3)):
        pull = " ".join(map(str, [*(-9.81 * SIDES[k]), 0.0]))
        model = rim_model(shape, np.zeros((31, 31)), option=f'gravity="{pull}"')
        ours, theirs = ours_and_mujocos(model, np.tile(start, (4, 1)), 300)
        np.testing.assert_allclose(ours[k], [1.5 + half, -0.3], atol=2e-3)
        np.testing.assert_allclose(theirs[k], [1.5 + half, -0.3], atol=2e-3)


@pytest.mark.parametrize("rise", [0.0, 0.1])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_no_body_gains_energy_at_the_sides_of_the_field(shape: str, rise: float) -> None:
    """Dropped in any way about the rim: its height and speed are never worth more than at first."""
    rng = np.random.default_rng(0)
    model = rim_model(shape, rng.uniform(0.0, 1.0, (31, 31)) * rise)
    n = 32
    out, along = rng.uniform(1.3, 1.9, n), rng.uniform(-1.7, 1.7, n)
    side = SIDES[np.arange(n) % 4]
    worlds = FusedWorlds(model, n)
    qpos, qvel = worlds.array("qpos"), worlds.array("qvel")
    qpos[:, :2] = torch.tensor(out[:, None] * side + along[:, None] * side[:, ::-1])
    qpos[:, 2] = torch.tensor(rng.uniform(0.6, 1.0, n))
    quat = rng.normal(size=(n, 4))
    qpos[:, 3:] = torch.tensor(quat / np.linalg.norm(quat, axis=1, keepdims=True))
    qvel[:, :3] = torch.tensor(0.5 * rng.normal(size=(n, 3)))

    def energy() -> torch.Tensor:
        return 9.81 * qpos[:, 2] + 0.5 * (qvel[:, :3] ** 2).sum(dim=1)

    first = energy()
    for _ in range(80):
        worlds.step(5)
        assert (energy() - first).max() < 0.01
    assert n / 2 < (qpos[:, 2] < -0.5).sum() < n


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (4, 3)])
def test_a_field_of_a_few_cells_holds_a_ball(shape: tuple[int, int]) -> None:
    """In its middle at the ball's radius; beyond its sides the ball falls freely."""
    model = rim_model("sphere", np.zeros(shape))
    half = (np.array(shape) - 1) / 2 * STEP
    starts = np.zeros((5, 7))
    starts[:, 2:4] = 0.1, 1.0
    starts[1:, :2] = SIDES * (half + 0.12)
    worlds = FusedWorlds(model, 5)
    worlds.array("qpos").copy_(torch.tensor(starts))
    worlds.step(100)
    heights = worlds.array("qpos")[:, 2].numpy()
    assert heights[0] == pytest.approx(0.1, abs=1e-3)
    np.testing.assert_allclose(heights[1:], 0.1 - 0.5 * 9.81 * 0.2**2, atol=2e-3)
