"""Cylinders, ellipsoids and meshes on height fields on the fused engine, against MuJoCo C.

MuJoCo 4.0.0 compares the corners of a mesh and of the ground by numbers that it does not set for
the ground, and so ends its search early, unless a margin makes both smooth. So meshes have one.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, step_errors
from tests.sim.test_fused_convex import ASSETS, CURVED, GEOMS, WRONG, turned
from tests.sim.test_fused_terrain import ground_model, lifted, rest_height

STATES = 48
SIDE = 15
"""Samples along a side of the ground."""
TINY = 'margin="1e-9"'


def waves(step: float) -> np.ndarray:
    """Returns smooth ground of 10 cm, [X, Y]."""
    place = np.arange(SIDE) * step
    return 0.05 * np.sin(3.0 * place)[:, None] + 0.05 * np.cos(2.0 * place)[None, :]


def noise(step: float) -> np.ndarray:
    """Returns ground with random heights of up to a quarter of a step, [X, Y]."""
    return np.random.default_rng(0).uniform(0.0, 0.25 * step, (SIDE, SIDE))


def model_on(heights: np.ndarray, step: float, geom: str, more: str = TINY) -> mujoco.MjModel:
    """Returns a model of a geom above a height field whose first sample is at the origin."""
    low, rise = float(heights.min()), max(float(np.ptp(heights)), 1e-3)
    half = (SIDE - 1) / 2 * step
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option integrator="implicitfast" timestep="0.002" ccd_tolerance="1e-9" ccd_iterations="100"
        tolerance="1e-12" iterations="200"/>
      <asset>{ASSETS}<hfield name="h" nrow="{SIDE}" ncol="{SIDE}" size="{half} {half} {rise} .5"/>
      </asset><worldbody><geom type="hfield" hfield="h" pos="{half} {half} {low}"/>
      <body><freejoint/><geom name="b" {GEOMS[geom]} {more}/></body></worldbody></mujoco>""")
    model.hfield_data[:] = ((heights.T - low) / rise).astype(np.float32).flatten()
    assert accept(model) == []
    return model


def states_on(
    model: mujoco.MjModel, step: float, deepest: float = -3e-3, highest: float = -5e-4
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions and velocities in which the nearest contact has a distance in a range."""
    rng, data, found = np.random.default_rng(1), mujoco.MjData(model), []
    for _ in range(STATES):
        place = rng.uniform(0.25, 0.75, 2) * (SIDE - 1) * step
        qpos, wanted = np.array([*place, 0.0, *turned(rng)]), rng.uniform(deepest, highest)
        low, high = -0.5, 1.0
        for _ in range(40):
            qpos[2] = data.qpos[2] = 0.5 * (low + high)
            data.qpos[:] = qpos
            mujoco.mj_fwdPosition(model, data)
            is_deep = min([contact.dist for contact in data.contact], default=1.0) < wanted
            low, high = (qpos[2], high) if is_deep else (low, qpos[2])
        found.append(qpos)
    return np.array(found), 0.3 * rng.normal(size=(STATES, model.nv))


@pytest.mark.parametrize("geom", ["cylinder", "ellipsoid", "hull", "large", "block"])
@pytest.mark.parametrize(("ground", "step"), [(waves, 0.1), (noise, 0.1), (noise, 0.4)])
def test_geoms_in_any_pose_touch_as_in_mujoco(ground, step, geom) -> None:
    """Many triangles below a geom, or one; another minimum of the depth in at most one in 10."""
    model = model_on(ground(step), step, geom)
    for error in step_errors(model, *states_on(model, step)):
        assert (error > WRONG).mean() <= 0.1, error
        assert np.median(error) < 2e-5, error
        assert np.quantile(error, 0.85) < (1e-4 if geom in CURVED else 2e-5), error


@pytest.mark.parametrize("geom", ["cylinder", "hull"])
def test_contacts_within_a_margin_push_and_those_in_a_gap_do_not(geom) -> None:
    """Up to 7 mm above the ground, with a margin of 3 mm and a gap of 3 mm."""
    model = model_on(noise(0.2), 0.2, geom, 'margin="0.003" gap="0.003"')
    states = states_on(model, 0.2, -1e-3, 5.9e-3)
    for error in step_errors(model, *states):
        assert (error > WRONG).mean() <= 0.1, error
        assert np.median(error) < 2e-5, error


def test_fine_ground_has_as_many_contacts_as_mujocos_at_most() -> None:
    """A mesh of 0.3 m over cells of 2 cm has 50 slots, and 8 over cells that are larger."""
    model = model_on(noise(0.02), 0.02, "large")
    assert len(Tables(model).ints["slot_pair"]) == 50
    model = model_on(noise(0.8), 0.8, "large")
    assert len(Tables(model).ints["slot_pair"]) == 2 * 2 * 2


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_a_world_does_not_depend_on_its_neighbours(lanes) -> None:
    """The same bits alone and beside others, some of which are far away or not finite."""
    model = model_on(noise(0.1), 0.1, "hull")
    qpos, qvel = states_on(model, 0.1)
    qpos[3, :2] += 50.0
    qpos[5] = np.nan
    try:
        together = fused_step(model, qpos, qvel, SINGLE, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    for world in (0, 1, 7, 11, STATES - 1):
        alone = fused_step(model, qpos[world][None], qvel[world][None], SINGLE, lanes=lanes)
        np.testing.assert_array_equal(together[world], alone[0])


@pytest.mark.parametrize(
    ("geom", "height"),
    [
        ('type="cylinder" size="0.05 0.2" quat="0.5 0.5 0.5 0.5"', 0.05),
        ('type="ellipsoid" size="0.3 0.1 0.07"', 0.07),
        ('type="cylinder" size="0.1 0.06"', 0.06),
    ],
)
def test_a_geom_lies_on_a_ridge_below_its_middle(geom, height) -> None:
    """A ridge of 0.15 m holds it up at 0.15 m and its half height, as in MuJoCo C."""
    heights = np.zeros((41, 41))
    heights[20] = 0.15
    model = ground_model(heights, lifted(geom, 0.25), x=-2.0, y=-2.0)
    assert accept(model) == []
    assert rest_height(model, 0.25) == pytest.approx(0.15 + height, abs=1e-3)
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 800)
    assert 0.25 + data.qpos[0] == pytest.approx(0.15 + height, abs=1e-3)


def test_geoms_beside_the_ground_fall() -> None:
    """Beyond each side of the field, lower than its surface."""
    model = model_on(noise(0.1), 0.1, "cylinder")
    qpos = np.tile(model.qpos0, (4, 1))
    qpos[:, :3] = [[-0.3, 0.7, 0.0], [1.7, 0.7, 0.0], [0.7, -0.3, 0.0], [0.7, 1.7, 0.0]]
    after = fused_step(model, qpos, np.zeros((4, 6)), DOUBLE)
    np.testing.assert_allclose(after[:, 2], -9.81 * 0.002, rtol=1e-9)
