"""Contacts of the fused engine with height fields, which are its own: see terrain.h."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.models import task_model

STEP = 0.1
RADIUS = 0.07
BALL = """<mujoco><option integrator="implicitfast" timestep="0.002"/>{asset}<worldbody>{ground}
  <body name="ball" pos="0 0 5"><freejoint/>
    <geom type="sphere" size="{radius}" mass="1" condim="1" margin="0.01"/></body>
  </worldbody></mujoco>"""


def ground_model(
    heights: np.ndarray, body: str, *, option: str = "", x: float = 0.0, y: float = 0.0
) -> mujoco.MjModel:
    """Returns a model of bodies above a height field, heights [X, Y], its first sample at x, y."""
    low, rise = float(heights.min()), max(float(np.ptp(heights)), 1e-3)
    columns, rows = heights.shape
    half = [(n - 1) / 2 * STEP for n in heights.shape]
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option integrator="implicitfast" timestep="0.002" {option}/>
      <asset><hfield name="h" nrow="{rows}" ncol="{columns}"
        size="{half[0]} {half[1]} {rise} 1"/></asset>
      <worldbody><geom type="hfield" hfield="h" condim="1"
        pos="{x + half[0]} {y + half[1]} {low}"/>{body}</worldbody></mujoco>""")
    model.hfield_data[:] = ((heights.T - low) / rise).astype(np.float32).flatten()
    return model


def triangles_of(heights: np.ndarray) -> np.ndarray:
    """Returns the surface's triangles, shape [T, 3, 3], counter-clockwise from above."""
    found = []
    for i in range(heights.shape[0] - 1):
        for j in range(heights.shape[1] - 1):
            at = {
                (a, b): np.array([(i + a) * STEP, (j + b) * STEP, heights[i + a, j + b]])
                for a in (0, 1)
                for b in (0, 1)
            }
            found.append([at[0, 0], at[1, 0], at[1, 1]])
            found.append([at[0, 0], at[1, 1], at[0, 1]])
    return np.array(found)


def nearest(triangles: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns the surface's nearest point, by dense search, and whether the point is below it."""
    best, below = None, False
    for a, b, c in triangles:
        normal = np.cross(b - a, c - a)
        # Weights of the corners of the plane's nearest point, then of the edges'.
        candidates = []
        foot = point - normal * ((point - a) @ normal) / (normal @ normal)
        weights = np.linalg.lstsq(np.stack((b - a, c - a), axis=1), foot - a, rcond=None)[0]
        if weights.min() >= 0 and weights.sum() <= 1:
            candidates.append(foot)
        for p, q in ((a, b), (b, c), (c, a)):
            share = np.clip((point - p) @ (q - p) / ((q - p) @ (q - p)), 0, 1)
            candidates.append(p + share * (q - p))
        for candidate in candidates:
            if best is None or np.linalg.norm(candidate - point) < np.linalg.norm(best - point):
                best = candidate
        flat = np.linalg.solve(np.stack((b - a, c - a), axis=1)[:2], (point - a)[:2])
        if flat.min() >= 0 and flat.sum() <= 1:
            below = a[2] + flat @ np.array([b[2] - a[2], c[2] - a[2]]) > point[2]
    return best, below


def accelerations(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """Returns the accelerations that one step of the fused engine finds, float64."""
    n = len(qpos)
    state = PhysicsState(
        torch.tensor(qpos),
        torch.zeros(n, model.nv).double(),
        torch.zeros(n, model.nv).double(),
        torch.zeros(n, dtype=torch.bool),
    )
    packed = Tables(model).pack(dtype=torch.float64)
    ctrl = torch.zeros(n, model.nu).double()
    physics_step(packed, ctrl, state, PhysicsOutputs(), num_steps=1, num_threads=1)
    return state.qacc.numpy()


@pytest.mark.parametrize("shape", [(5, 12), (12, 5)])
def test_the_ground_ends_where_its_samples_do(shape) -> None:
    """Flat ground of 0.4 m by 1.1 m: balls on it are held alike, and balls beside it fall."""
    body = f"""<body><freejoint/><geom type="sphere" size="{RADIUS}" mass="1" condim="1"/></body>"""
    model = ground_model(np.zeros(shape), body)
    across, along = 0.1 * (np.array(shape) - 1)
    inside = [(a, b) for a in (0.1, across - 0.1) for b in (0.1, along - 0.1)]
    outside = [(-0.3, 0.2), (across + 0.3, 0.2), (0.2, -0.3), (0.2, along + 0.3)]
    qpos = np.tile(model.qpos0, (8, 1))
    qpos[:, :2], qpos[:, 2] = [*inside, *outside], RADIUS - 0.005
    found = accelerations(model, qpos)[:, 2]
    assert found[:4].min() > 1.0
    np.testing.assert_allclose(found[:4], found[0], rtol=1e-6)
    np.testing.assert_allclose(found[4:], -9.81, rtol=1e-9)


def test_a_ball_touches_the_nearest_point_of_the_surface() -> None:
    """As if a plane were there: faces, edges and corners of rough ground, from above and below."""
    rng = np.random.default_rng(0)
    heights = rng.uniform(0.0, 0.15, (30, 23))
    triangles = triangles_of(heights)
    body = f"""<body><freejoint/><geom type="sphere" size="{RADIUS}" mass="1" condim="1"
      margin="0.01"/></body>"""
    model = ground_model(heights, body)
    assert accept(model) == []
    places = np.stack(
        (rng.uniform(0.1, 2.7, 120), rng.uniform(0.1, 2.0, 120), rng.uniform(0.0, 0.25, 120)), -1
    )
    qpos = np.concatenate((places, np.tile([1.0, 0, 0, 0], (120, 1))), axis=1)
    ours = accelerations(model, qpos)
    touched = 0
    for place, found in zip(places, ours, strict=True):
        near = [t for t in triangles if np.abs(t[:, :2].mean(0) - place[:2]).max() < 3 * STEP]
        point, is_below = nearest(np.array(near), place)
        apart = (place - point) * (-1 if is_below else 1)
        distance = np.linalg.norm(apart)
        normal = apart / distance
        quat = np.zeros(4)
        mujoco.mju_quatZ2Vec(quat, normal)
        ground = (
            f'<geom type="plane" size="9 9 1" condim="1" pos="{" ".join(map(str, point))}" '
            f'quat="{" ".join(map(str, quat))}"/>'
        )
        plane = mujoco.MjModel.from_xml_string(
            f'<mujoco><option integrator="implicitfast" timestep="0.002"/><worldbody>{ground}'
            f"{body}</worldbody></mujoco>"
        )
        data = mujoco.MjData(plane)
        data.qpos[:3] = place
        mujoco.mj_forward(plane, data)
        touched += data.ncon
        np.testing.assert_allclose(found[:3], data.qacc[:3], rtol=1e-5, atol=1e-5)
    assert touched > 60


def test_flat_ground_is_a_plane() -> None:
    """A body on four balls takes the same steps on a plane and on a height field at its height."""
    feet = "".join(
        f'<geom type="sphere" size="0.05" pos="{x} {y} 0" mass="0.5"/>'
        for x in (-0.3, 0.3)
        for y in (-0.2, 0.2)
    )
    body = f'<body pos="0 0 0.06" euler="3 2 0"><freejoint/>{feet}</body>'
    field = ground_model(np.full((41, 41), 0.0), body, x=-2.0, y=-2.0)
    field.geom_condim[0] = 3
    plane = mujoco.MjModel.from_xml_string(
        '<mujoco><option integrator="implicitfast" timestep="0.002"/><worldbody>'
        f'<geom type="plane" size="9 9 1"/>{body}</worldbody></mujoco>'
    )
    ends = []
    for model in (field, plane):
        worlds = FusedWorlds(model, 1)
        worlds.array("qvel")[:, 0] = 1.0
        worlds.step(100)
        ends.append(torch.cat((worlds.array("qpos"), worlds.array("qvel")), dim=1))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-5, rtol=0)


def test_a_capsule_lies_on_an_edge_between_its_ends() -> None:
    """A ridge of 0.2 m below its middle holds it up, at 0.2 + 0.03 m."""
    heights = np.zeros((41, 41))
    heights[20] = 0.2
    body = """<body pos="0 0 0.3"><joint type="slide" axis="0 0 1"/>
      <geom type="capsule" fromto="-0.35 0 0 0.35 0 0" size="0.03" mass="1" condim="1"/></body>"""
    worlds = FusedWorlds(ground_model(heights, body, x=-2.0, y=-2.0), 1)
    worlds.step(1000)
    assert float(worlds.array("qpos")[0, 0]) + 0.3 == pytest.approx(0.23, abs=2e-3)


def rest_height(model: mujoco.MjModel, start: float, steps: int = 800) -> float:
    """Returns the height at which the only slide joint of a model comes to rest."""
    worlds = FusedWorlds(model, 1)
    worlds.step(steps)
    assert abs(float(worlds.array("qvel")[0, 0])) < 0.02
    return start + float(worlds.array("qpos")[0, 0])


def lifted(geom: str, start: float, x: float = 0.0, y: float = 0.0) -> str:
    """Returns a body of one geom that moves up and down only."""
    return f"""<body pos="{x} {y} {start}"><joint type="slide" axis="0 0 1" damping="5"/>
      <geom {geom} mass="1" condim="1"/></body>"""


@pytest.mark.parametrize("turn", [0.0, 0.6])
@pytest.mark.parametrize("size", ["0.2 0.1 0.05", "0.04 0.03 0.05"])
def test_a_box_lies_on_a_ridge_between_its_corners(size, turn) -> None:
    """A ridge of 0.15 m below its middle holds it up, at 0.15 + 0.05 m, as in MuJoCo C."""
    heights = np.zeros((41, 41))
    heights[20] = 0.15
    body = lifted(f'type="box" size="{size}" quat="{np.cos(turn)} 0 0 {np.sin(turn)}"', 0.25)
    model = ground_model(heights, body, x=-2.0, y=-2.0)
    assert rest_height(model, 0.25) == pytest.approx(0.2, abs=1e-3)
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 800)
    assert 0.25 + data.qpos[0] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("half", [0.02, 0.04, 0.12, 0.35, 0.9])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_capsule_lies_on_a_ridge_anywhere_along_its_length(half, share) -> None:
    """Short or long, in its middle or near its end: at 0.15 + 0.03 m."""
    heights = np.zeros((41, 41))
    heights[20] = 0.15
    geom = f'type="capsule" size="0.03 {half}" quat="0.5 0.5 0.5 0.5"'
    model = ground_model(heights, lifted(geom, 0.25, x=share * half), x=-2.0, y=-2.0)
    assert rest_height(model, 0.25) == pytest.approx(0.18, abs=1e-3)


def undersides(
    kind: str, size: np.ndarray, turn: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Returns the height of a geom's lowest point at places, NaN beside it."""
    if kind == "capsule":
        lowest = np.full(x.shape, np.nan)
        for share in np.linspace(-size[1], size[1], 161):
            center = share * turn[:, 2]
            squared = size[0] ** 2 - (x - center[0]) ** 2 - (y - center[1]) ** 2
            below = center[2] - np.sqrt(np.maximum(squared, 0.0))
            lowest = np.fmin(lowest, np.where(squared >= 0, below, np.nan))
        return lowest
    low, high = np.full(x.shape, -np.inf), np.full(x.shape, np.inf)
    for axis, reach in zip(turn.T, size, strict=True):  # |axis . (x, y, z)| <= reach
        ends = [(side * reach - axis[0] * x - axis[1] * y) / axis[2] for side in (-1, 1)]
        low, high = np.maximum(low, np.minimum(*ends)), np.minimum(high, np.maximum(*ends))
    return np.where(low <= high, low, np.nan)


def heights_at(heights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the surface's heights at places: two triangles a cell, cut from low to high x, y."""
    i, j = np.floor(x / STEP).astype(int), np.floor(y / STEP).astype(int)
    u, v = x / STEP - i, y / STEP - j
    low, high = heights[i, j], heights[i + 1, j + 1]
    corner = np.where(u > v, heights[i + 1, j], heights[i, j + 1])
    return low + np.maximum(u, v) * (corner - low) + np.minimum(u, v) * (high - corner)


@pytest.mark.parametrize("kind", ["box", "capsule"])
@pytest.mark.parametrize("seed", range(12))
def test_a_turned_geom_rests_where_it_first_meets_rough_ground(kind, seed) -> None:
    """The height at which no point of its underside is below the surface, by dense sampling."""
    rng = np.random.default_rng(seed)
    heights = rng.uniform(0.0, 0.1, (41, 41))
    if seed % 2:  # single spikes
        heights = np.where(rng.random((41, 41)) < 0.1, 0.15, 0.0)
    size = (
        rng.uniform(0.05, 0.3, 3) if kind == "box" else rng.uniform([0.03, 0.02, 0], [0.1, 0.4, 0])
    )
    quat, turn = rng.normal(size=4), np.zeros(9)
    quat /= np.linalg.norm(quat)
    mujoco.mju_quat2Mat(turn, quat)
    place = rng.uniform(1.5, 2.5, 2)
    x, y = np.meshgrid(*[np.linspace(-0.55, 0.55, 221)] * 2)
    below = undersides(kind, size, turn.reshape(3, 3), x, y)
    right = float(np.nanmax(heights_at(heights, place[0] + x, place[1] + y) - below))
    numbers = " ".join(map(str, size if kind == "box" else size[:2]))
    geom = f'type="{kind}" size="{numbers}" quat="{" ".join(map(str, quat))}"'
    model = ground_model(heights, lifted(geom, right + 0.02, *place))
    # Sampling every 5 mm misses up to that much of the steepest slopes, 1.5.
    assert -1e-3 < rest_height(model, right + 0.02) - right < 7.5e-3


def test_a_box_stands_on_its_corners() -> None:
    """On a slope of 0.2, upright: its lowest corners touch, and it rests at their height."""
    slope = 0.2 * STEP * np.arange(41)[:, None] + np.zeros((41, 41))
    body = """<body pos="0 0 1"><joint type="slide" axis="0 0 1"/>
      <geom type="box" size="0.15 0.1 0.05" mass="1" condim="1"/></body>"""
    worlds = FusedWorlds(ground_model(slope, body, x=-2.0, y=-2.0), 1)
    worlds.step(1500)
    # The ground at x = 0.15 is at 0.2 * 2.15 = 0.43.
    assert float(worlds.array("qpos")[0, 0]) + 1.0 == pytest.approx(0.48, abs=2e-3)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_many_worlds_at_once_step_as_in_double_precision(lanes) -> None:
    """The task's robots on its map: accelerations of 99 in 100 to a thousandth."""
    model = task_model("AnymalTerrain")
    rng = np.random.default_rng(1)
    n = 400
    qpos = np.tile(model.qpos0, (n, 1))
    qpos[:, :2] = rng.uniform(8.0, 60.0, (n, 2))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for row in qpos:  # upright, its feet about where the ground is
        hit = np.zeros(1, np.int32)
        down = np.array([0.0, 0.0, -1.0])
        far = mujoco.mj_ray(model, data, np.array([*row[:2], 20.0]), down, None, 1, -1, hit)
        row[2] = 20.0 - far + rng.uniform(0.40, 0.55)
    exact = accelerations(model, qpos)
    state = [torch.tensor(qpos).float(), torch.zeros(n, model.nv), torch.zeros(n, model.nv)]
    try:
        physics_step(
            Tables(model).pack(),
            torch.zeros(n, model.nu),
            PhysicsState(*state, torch.zeros(n, dtype=torch.bool)),
            PhysicsOutputs(),
            num_steps=1,
            num_threads=2,
            lanes=lanes,
        )
    except ValueError as error:
        pytest.skip(str(error))
    error = np.abs(state[2].numpy() - exact).max(axis=1) / (1 + np.abs(exact).max(axis=1))
    assert np.quantile(error, 0.95) < 1e-2
    assert np.isfinite(state[2].numpy()).all()
    touched = np.abs(exact[:, 2] + 9.81) > 0.1
    assert touched.mean() > 0.2


def test_a_state_that_is_not_finite_reads_no_other_memory() -> None:
    """NaN and infinite places are cells of the field like any other; the world starts over."""
    model = task_model("AnymalTerrain")
    worlds = FusedWorlds(model, 4)
    worlds.array("qpos")[0, 0] = torch.nan
    worlds.array("qpos")[1, 1] = -torch.inf
    worlds.array("qpos")[2, 0] = 1e9
    worlds.step(1)
    assert worlds.diverged.tolist()[:2] == [True, True]
    assert worlds.array("qpos").isfinite().all()


def test_a_ball_larger_than_the_cells_is_refused() -> None:
    """With both numbers."""
    body = '<body><freejoint/><geom type="sphere" size="0.2" mass="1"/></body>'
    reasons = accept(ground_model(np.zeros((9, 9)), body))
    assert any("radius of 0.2 m is at most 1.5 times the distance" in line for line in reasons)
