"""Contacts of boxes, cylinders, ellipsoids and hulls on the fused engine, against MuJoCo C.

One step from each of many states: wherever the answer is unique, velocities agree. In a few states
two answers are equally right, or a search ends in another minimum of the depth: each test counts
them.
"""

from __future__ import annotations

import itertools

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.hull_shapes import box_hull, mesh_hull
from rlgpu.sim.mujoco.fused.hulls import CELLS, cells_of
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step

STATES = 48
WRONG = 1e-3
"""Error of a velocity [m/s] or [rad/s] that counts as another contact."""


def lumpy(name: str, count: int) -> str:
    """Returns a mesh whose vertices are all on its hull, without symmetries."""
    rng = np.random.default_rng(0)
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = 2.399963 * np.arange(count) + rng.uniform(-0.8, 0.8, count) / np.sqrt(count)
    around = np.sqrt(1 - z * z)
    points = np.stack((0.09 * around * np.cos(angle), 0.12 * around * np.sin(angle), 0.15 * z), 1)
    return f'<mesh name="{name}" vertex="{" ".join(f"{x:.6f}" for x in points.ravel())}"/>'


BLOCK = " ".join(
    f"{x * 0.1} {y * 0.08} {z * 0.05}" for z, y, x in itertools.product((-1, 1), repeat=3)
)
ROOF = "-.002 0 -.05  .002 0 -.05  -.1 -.1 .05  .1 -.1 .05  -.1 .1 .05  .1 .1 .05"
"""Upside down, on a ridge of 4 mm."""
ASSETS = lumpy("hull", 24) + lumpy("large", 300) + lumpy("fine", 3000)
ASSETS += f'<mesh name="block" vertex="{BLOCK}"/><mesh name="roof" vertex="{ROOF}"/>'
GEOMS = {
    "plane": 'type="plane" size="5 5 .1"',
    "sphere": 'type="sphere" size=".1"',
    "capsule": 'type="capsule" size=".06 .1"',
    "ellipsoid": 'type="ellipsoid" size=".06 .09 .13"',
    "cylinder": 'type="cylinder" size=".08 .1"',
    "box": 'type="box" size=".07 .1 .13"',
    "hull": 'type="mesh" mesh="hull"',
    "large": 'type="mesh" mesh="large"',
    "block": 'type="mesh" mesh="block"',
    "fine": 'type="mesh" mesh="fine"',
}
CURVED = ("ellipsoid", "cylinder")


def pair_model(first: str, second: str, more: str = "") -> mujoco.MjModel:
    """Returns a model of two bodies; a plane is not one. ``more``: further attributes of geoms.

    MuJoCo's own tolerance on contacts, 1e-6, is enough to find other ones on curved surfaces.
    """
    joint = "" if first == "plane" else "<freejoint/>"
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option timestep="0.002" integrator="implicitfast" ccd_tolerance="1e-14"
        ccd_iterations="500"/>
      <asset>{ASSETS}</asset><worldbody>
      <body>{joint}<geom name="a" {GEOMS.get(first, first)} {more}/></body>
      <body><freejoint/><geom name="b" {GEOMS.get(second, second)} {more}/></body>
      </worldbody></mujoco>""")
    assert accept(model) == []
    return model


def turned(rng: np.random.Generator) -> np.ndarray:
    quat = rng.normal(size=4)
    return quat / np.linalg.norm(quat)


def states(
    model: mujoco.MjModel, low: float, high: float, count: int = STATES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions and velocities in which the geoms' distance is within a range [m]."""
    rng, data, found = np.random.default_rng(seed), mujoco.MjData(model), []
    other = 7 if model.nq == 14 else 0
    for _ in range(count):
        if other:
            data.qpos[:7] = *rng.uniform(-1, 1, 3), *turned(rng)
        data.qpos[other + 3 :] = turned(rng)
        way = rng.normal(size=3)
        way[2] = abs(way[2]) + 0.5
        start = data.qpos[:3].copy() if other else np.zeros(3)
        near, far, wanted = 0.0, 3.0, rng.uniform(low, high)
        for _ in range(40):
            middle = 0.5 * (near + far)
            data.qpos[other : other + 3] = start + middle * way / np.linalg.norm(way)
            mujoco.mj_kinematics(model, data)
            apart = mujoco.mj_geomDistance(model, data, model.ngeom - 2, model.ngeom - 1, 10, None)
            near, far = (near, middle) if apart > wanted else (middle, far)
        found.append(data.qpos.copy())
    return np.array(found), rng.normal(size=(count, model.nv)) * 0.3


def touching(model: mujoco.MjModel, qpos: np.ndarray) -> int:
    """Returns in how many states there are contacts."""
    data, count = mujoco.MjData(model), 0
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_fwdPosition(model, data)
        count += data.ncon > 0
    return count


def errors(
    model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray
) -> dict[torch.dtype, np.ndarray]:
    """Returns each state's largest difference from MuJoCo, in double and single precision."""
    expected = mujoco_step(model, qpos, qvel)
    assert touching(model, qpos) > len(qpos) // 4
    return {
        dtype: np.abs(fused_step(model, qpos, qvel, dtype) - expected).max(axis=1)
        for dtype in (DOUBLE, SINGLE)
    }


PAIRS = [
    pair
    for pair in itertools.combinations_with_replacement(GEOMS, 2)
    if pair[1] != "plane" and "block" not in pair and "fine" not in pair
]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("depth", [(-5e-3, -1e-4), (-1e-4, -2e-6)], ids=["shallow", "touching"])
def test_geoms_in_any_pose_touch_as_in_mujoco(pair, depth) -> None:
    """Contacts, points, normals and frames; another minimum of the depth in at most one state."""
    model = pair_model(*pair)
    found = errors(model, *states(model, *depth))
    curved = any(geom in CURVED for geom in pair)
    formula = pair[0] == "plane" or pair[0] == "sphere" or pair == ("box", "box")
    for dtype, error in found.items():
        wrong = error > WRONG
        assert wrong.mean() <= (0 if formula and not curved else 1 / STATES), error
        usual = {DOUBLE: 5e-6 if curved else 1e-9, SINGLE: 2e-5}[dtype]
        assert np.quantile(error, 0.9) < usual, error


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_geoms_that_are_apart_do_not_touch(pair) -> None:
    """From 2 um to 3 mm apart: bodies go on as they would alone."""
    model = pair_model(*pair)
    qpos, qvel = states(model, 2e-6, 3e-3)
    alone = pair_model(*pair, 'contype="0" conaffinity="0"')
    for dtype in (DOUBLE, SINGLE):
        free = fused_step(alone, qpos, qvel, dtype)
        np.testing.assert_allclose(fused_step(model, qpos, qvel, dtype), free, atol=1e-5)


@pytest.mark.parametrize(
    "pair",
    [
        ("box", "hull"),
        ("hull", "hull"),
        ("large", "large"),
        ("capsule", "large"),
        ("cylinder", "large"),
        ("cylinder", "cylinder"),
    ],
    ids="-".join,
)
def test_deep_contacts_are_those_of_the_least_depth(pair) -> None:
    """5 to 60 mm deep, where the depth has several local minima."""
    model = pair_model(*pair)
    found = errors(model, *states(model, -0.06, -0.005))
    assert (found[DOUBLE] > WRONG).mean() <= 1 / STATES
    assert (found[SINGLE] > WRONG).mean() <= 2 / STATES
    assert np.median(found[SINGLE]) < 1e-4


def test_the_normal_of_a_deep_contact_is_the_face_of_a_fine_mesh() -> None:
    """Its faces are 5 mm wide, so those beside each other differ by 1e-6 m in depth or less."""
    model = pair_model("box", "fine")
    found = errors(model, *states(model, -0.06, -0.005))
    assert found[DOUBLE].max() < 1e-9
    assert found[SINGLE].max() < 1e-4


@pytest.mark.parametrize("other", ["cylinder", "box", "hull", "large"])
def test_the_point_of_a_contact_with_a_cylinder_is_exact(other) -> None:
    """Where a vertex or an edge touches its side or its disc, or a rim a face."""
    model = pair_model("cylinder", other)
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_MULTICCD
    for depth in ((-1e-3, -1e-4), (-4e-3, -1e-3)):
        for error in errors(model, *states(model, *depth, count=2 * STATES, seed=5)).values():
            assert (error > WRONG).mean() <= 1 / STATES, error
            assert np.quantile(error, 0.9) < 1e-5, error


LYING = np.array([np.sqrt(0.5), np.sqrt(0.5), 0, 0])
STANDING = np.array([1.0, 0, 0, 0])
SUPPORTS = {
    "box": 'type="box" size=".12 .15 .1"',
    "block": GEOMS["block"],
    "disc": 'type="cylinder" size=".13 .1"',
}
HEIGHTS = {"box": 0.1, "block": 0.05, "disc": 0.1}
RESTING = {
    "box": ('type="box" size=".05 .07 .06"', 0.06, STANDING),
    "block": (GEOMS["block"], 0.05, STANDING),
    "lying cylinder": ('type="cylinder" size=".05 .06"', 0.05, LYING),
    "standing capsule": ('type="capsule" size=".05 .06"', 0.11, STANDING),
    "lying capsule": ('type="capsule" size=".05 .06"', 0.05, LYING),
    "ellipsoid": ('type="ellipsoid" size=".05 .07 .06"', 0.06, STANDING),
    "sphere": ('type="sphere" size=".05"', 0.05, STANDING),
}
TILTS = [
    (1e-6, 0.0, 0.0),
    (1e-3, 0.0, 0.0),
    (0.03, 0.0, 0.0),
    (1e-3, 4e-3, 0.0),
    (1e-3, 0.0, 4e-3),
    (0.03, 2e-3, 4e-3),
]
"""Largest tilt [rad], margin and gap [m]."""
AMBIGUOUS = {("disc", "lying cylinder"), ("disc", "block"), ("block", "block")}
"""Where MuJoCo holds a rim or corner that lies on the border by one contact, and by two else."""


@pytest.mark.parametrize("above", RESTING)
@pytest.mark.parametrize("below", SUPPORTS)
@pytest.mark.parametrize(("tilt", "margin", "gap"), TILTS)
def test_bodies_rest_on_each_other_as_in_mujoco(below, above, tilt, margin, gap) -> None:
    """Flat poses, where random ones are blind: every yaw, offsets, depths of 10 um to 1 mm."""
    geom, height, upright = RESTING[above]
    model = pair_model(SUPPORTS[below], geom, f'margin="{margin / 2}" gap="{gap / 2}"')
    rng, poses = np.random.default_rng(1), []
    for _ in range(STATES):
        yaw, tip, quat = np.zeros(4), np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(yaw, np.array([0.0, 0, 1]), rng.uniform(0, 2 * np.pi))
        way = rng.uniform(0, 2 * np.pi)
        mujoco.mju_axisAngle2Quat(
            tip, np.array([np.cos(way), np.sin(way), 0]), rng.uniform(0, tilt)
        )
        mujoco.mju_mulQuat(quat, yaw, upright)
        mujoco.mju_mulQuat(quat, tip, quat.copy())
        above_it = rng.uniform(-1e-3, -1e-5) + (margin + 0.5 * gap) * rng.integers(2)
        at = *rng.uniform(-0.04, 0.04, 2), HEIGHTS[below] + height + above_it
        poses.append([0, 0, 0, 1, 0, 0, 0, *at, *quat])
    found = errors(model, np.array(poses), rng.normal(size=(STATES, 12)) * 0.05)
    share = 1.0 if below == "disc" and above == "lying cylinder" else 0.1
    for error in found.values():
        assert (error > WRONG).mean() <= (share if (below, above) in AMBIGUOUS else 0), error
        if share < 1:
            assert np.quantile(error, 0.9) < 2e-5, error


@pytest.mark.parametrize(
    ("above", "axis", "angle"),
    [
        (GEOMS["block"], (1, 0.37, 0), np.arccos(0.996)),
        ('type="mesh" mesh="roof"', (0, 1, 0), np.arcsin(0.0888)),
    ],
    ids=["faces", "edge"],
)
def test_a_tilted_body_rests_on_a_face_up_to_the_same_angle(above, axis, angle) -> None:
    """Just below and just above the angle at which MuJoCo finds other contacts."""
    model, poses = pair_model(GEOMS["block"], above), []
    data, quat = mujoco.MjData(model), np.zeros(4)
    for change in (-5e-6, 5e-6):
        mujoco.mju_axisAngle2Quat(quat, np.array(axis) / np.linalg.norm(axis), angle + change)
        data.qpos[:] = [0, 0, 0, 1, 0, 0, 0, 0.003, 0.002, 0.2, *quat]
        mujoco.mj_kinematics(model, data)
        gap = mujoco.mj_geomDistance(model, data, 0, 1, 10, None)
        poses.append([*data.qpos[:9], 0.2 - gap - 1e-3, *quat])
    counts = []
    for pose in poses:
        data.qpos[:] = pose
        mujoco.mj_forward(model, data)
        counts.append(data.ncon)
    assert sorted(counts) == [1, 2]
    qpos, qvel = np.repeat(poses, 8, axis=0), np.random.default_rng(0).normal(size=(16, 12))
    expected = mujoco_step(model, qpos, qvel)
    for dtype, most in ((DOUBLE, 1e-9), (SINGLE, 1e-4)):
        np.testing.assert_allclose(fused_step(model, qpos, qvel, dtype), expected, atol=most)


def test_a_capsule_through_a_box_touches_it_as_in_mujoco() -> None:
    """Its ends are far outside and its middle is within, as a rail's in a cart."""
    model = pair_model('type="capsule" size=".02 .8"', 'type="box" size=".1 .07 .05"')
    rng, poses = np.random.default_rng(0), []
    for _ in range(STATES):
        quat, axis = np.zeros(4), rng.normal(size=3)
        mujoco.mju_axisAngle2Quat(quat, axis / np.linalg.norm(axis), rng.uniform(0, 0.6))
        poses.append([0, 0, 0, 1, 0, 0, 0, *rng.uniform(-0.02, 0.02, 3), *quat])
    found = errors(model, np.array(poses), rng.normal(size=(STATES, 12)) * 0.1)
    assert (found[DOUBLE] > 1e-8).mean() <= 0.05
    assert np.quantile(found[SINGLE], 0.9) < 1e-4


def test_square_boxes_keep_all_their_corners() -> None:
    """A stack of equal boxes whose edges coincide or are parallel: four contacts each."""
    model = pair_model('type="box" size=".1 .1 .1"', 'type="box" size=".1 .1 .1"')
    poses = [
        [0, 0, 0, 1, 0, 0, 0, x, y, 0.1999, *quat]
        for x, y in itertools.product((0.0, 0.05, 0.15), repeat=2)
        for quat in ([1, 0, 0, 0], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    ]
    found = errors(model, np.array(poses), np.zeros((len(poses), 12)))
    assert found[DOUBLE].max() < 1e-9
    assert found[SINGLE].max() < 1e-4


@pytest.mark.parametrize(
    "pair", [("cylinder", "large"), ("box", "box"), ("capsule", "box")], ids="-".join
)
def test_a_world_does_not_depend_on_its_neighbours(pair) -> None:
    """The same bits alone and beside others, some of which are far apart or not finite."""
    model = pair_model(*pair)
    qpos, qvel = states(model, -3e-3, 2e-3, count=12)
    qpos[3, 7:10] += 5.0
    qpos[5] = np.nan
    together = fused_step(model, qpos, qvel, SINGLE)
    for world in (0, 1, 7, 11):
        alone = fused_step(model, qpos[world : world + 1], qvel[world : world + 1], SINGLE)
        np.testing.assert_array_equal(together[world], alone[0])
    narrow = fused_step(model, qpos, qvel, SINGLE, lanes=4)
    np.testing.assert_allclose(np.delete(narrow, 5, 0), np.delete(together, 5, 0), atol=1e-4)


def test_several_steps_are_the_same_in_one_call_and_in_many() -> None:
    """Axes that are kept between the steps of a call decide nothing but its speed."""
    model = pair_model("box", "large", 'condim="1"')
    qpos, qvel = states(model, 1e-3, 4e-3)
    after = []
    for calls, steps in ((1, 8), (8, 1)):
        state = PhysicsState(
            torch.tensor(qpos, dtype=SINGLE),
            torch.tensor(qvel, dtype=SINGLE),
            torch.zeros(len(qpos), model.nv),
            torch.zeros(len(qpos), dtype=torch.bool),
        )
        tables = Tables(model).pack()
        for _ in range(calls):
            ctrl = torch.zeros(len(qpos), 0)
            physics_step(tables, ctrl, state, PhysicsOutputs(), num_steps=steps, num_threads=1)
        after.append(state.qvel)
    assert (after[0] - torch.tensor(qvel, dtype=SINGLE)).abs().max() > 0.1
    assert torch.equal(*after)


def test_a_cell_holds_the_farthest_vertices_of_all_its_directions() -> None:
    """Dense directions, most of them near borders of cells."""
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(200, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    cells = cells_of(vertices)
    assert len(cells) == 6 * CELLS * CELLS
    places = np.arange(CELLS) / CELLS * 2 - 1
    for _ in range(20000):
        axis, sign = rng.integers(3), rng.choice([-1.0, 1.0])
        u, v = (
            rng.choice(places) + rng.choice([1e-9, 0.5, 1 - 1e-9]) * 2 / CELLS for _ in range(2)
        )
        direction = np.insert([u, v], axis, sign)
        cell = int((u + 1) * CELLS / 2) * CELLS + int((v + 1) * CELLS / 2)
        side = 2 * axis + (sign < 0)
        assert (vertices @ direction).argmax() in cells[side * CELLS * CELLS + cell]
    assert np.mean([len(cell) for cell in cells]) < 6


@pytest.mark.parametrize("mesh", ["hull", "large", "block"])
def test_the_faces_of_a_hull_are_those_of_its_vertices(mesh) -> None:
    """All vertices lie below every face, whose corners lie on it and run around its normal."""
    model = pair_model(mesh, mesh)
    hulls = [mesh_hull(model, mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MESH, mesh))]
    hulls.append(box_hull(np.array([0.1, 0.2, 0.3])))
    for hull in hulls:
        for face, normal in zip(hull.faces, hull.normals, strict=True):
            corners = hull.vertices[face]
            height = corners @ normal
            assert np.ptp(height) < 1e-4
            assert (hull.vertices @ normal).max() < height.max() + 1e-5
            assert np.cross(corners[1] - corners[0], corners[2] - corners[1]) @ normal > 0
        for vertex, faces in enumerate(hull.around):
            assert {f for f, face in enumerate(hull.faces) if vertex in face} == set(faces)
