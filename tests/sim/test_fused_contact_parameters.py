"""How the fused engine mixes the contact parameters of two geoms, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.sim.mujoco.contact_parameters import contact_parameters
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.pairs import colliding_pairs
from tests.sim.test_fused_coverage import difference

SOFT, HARD = 'solref="0.03 0.8" solimp="0.7 0.9 0.01"', 'solref="0.01 1.2" solimp="0.9 0.95 0.002"'
CASES = {
    "weights of 1 and 3": (f'{SOFT} solmix="1"', f'{HARD} solmix="3"'),
    "no weight for the ground": (f'{SOFT} solmix="0"', f'{HARD} solmix="2"'),
    "no weight for the ball": (f'{SOFT} solmix="2"', f'{HARD} solmix="0"'),
    "no weights": (f'{SOFT} solmix="0"', f'{HARD} solmix="0"'),
    "a ground of priority": (f'{SOFT} priority="1"', HARD),
    "a ball of priority": (SOFT, f'{HARD} priority="2"'),
    "equal priorities": (f'{SOFT} priority="1"', f'{HARD} priority="1"'),
    "stiffness and damping": ('solref="-3000 -40"', 'solref="-1000 -90"'),
    "a stiffness and a time": ('solref="-3000 -40"', HARD),
    "a time and a damping": ('solref="0.03 -40"', 'solref="0.03 -40"'),
}


def model_of(ground: str, ball: str) -> mujoco.MjModel:
    """Returns a model of a ball of 1 kg on a plane."""
    return mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option integrator="implicitfast" timestep="0.002" tolerance="1e-12"/><worldbody>
      <geom type="plane" size="5 5 1" {ground}/><body pos="0 0 .1"><freejoint/>
      <geom size=".1" mass="1" {ball}/></body></worldbody></mujoco>""")


@pytest.mark.parametrize(("ground", "ball"), CASES.values(), ids=CASES)
def test_a_contact_is_as_stiff_as_mujocos(ground, ball) -> None:
    """A step of a ball that is 1 to 8 mm in the ground, falling and rising."""
    model = model_of(ground, ball)
    assert accept(model) == []
    qpos = np.tile(model.qpos0, (4, 1))
    qpos[:, 2] -= [0.001, 0.003, 0.005, 0.008]
    qvel = np.zeros((4, 6))
    qvel[:, 2] = [-1.0, -0.2, 0.0, 0.1]
    assert difference(model, [qpos, qvel, *np.zeros((2, 4, 0))]) < 1e-6


@pytest.mark.parametrize(("ground", "ball"), CASES.values(), ids=CASES)
def test_mixed_parameters_are_those_of_mujocos_contact(ground, ball) -> None:
    """As MuJoCo's collision writes them into its contact."""
    model = model_of(ground, ball)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    (contact,) = data.contact
    (pair,) = colliding_pairs(model)
    found = contact_parameters(model, pair)
    np.testing.assert_allclose(found.solref, contact.solref)
    np.testing.assert_allclose(found.solimp, contact.solimp)


def test_a_model_in_which_nothing_moves_is_refused() -> None:
    """There is nothing to simulate."""
    model = mujoco.MjModel.from_xml_string("""<mujoco><option integrator="implicitfast"/><worldbody>
      <body><geom size=".1"/></body></worldbody></mujoco>""")
    assert accept(model) == ["nothing in it can move"]
