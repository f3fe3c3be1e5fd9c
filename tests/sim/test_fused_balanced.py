"""Constraints of bodies that turn about their own centre of mass, and of others that never turn.

MuJoCo's estimate of their inverse inertia is zero, and it makes them so hard that forces which
cancel each other lose all digits, in double precision as well.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step

MODEL = """<mujoco><option timestep="0.002" integrator="implicitfast" cone="{cone}" iterations="200"
  tolerance="1e-14"/><default><joint damping="0.1"/></default><worldbody>
  <geom name="floor" type="plane" size="5 5 1" friction="{friction}"/>
  <body name="wheel" pos="0 0 .0995"><joint axis="0 1 0"/>
    <geom type="sphere" size=".1" mass="1"/><site name="rim" pos=".06 0 .05"/></body>
  <body name="rod" pos=".5 0 .5"><joint axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".02" mass=".4" contype="0" conaffinity="0"/>
    <site name="end" pos=".3 0 0"/></body>
  <body name="left" pos="0 .5 .5"><joint axis="1 0 0" type="slide"/>
    <geom size=".05" mass=".3"/></body>
  <body name="right" pos=".2 .5 .5"><joint axis="1 0 0" type="slide"/><joint axis="0 1 0"
    type="slide"/><geom size=".05" mass=".2"/></body>
  <site name="hub" pos=".05 0 .15"/></worldbody>{more}</mujoco>"""
ON_SLIDES = {
    "two": '<weld body1="left" body2="right" torquescale="2"/>',
    "one": '<weld body1="left"/>',
}
RIM, CENTRE = float(np.hypot(0.06, 0.05)), 0.01
ON_A_WHEEL = {
    "at its rim": ('<connect site1="rim" site2="hub"/>', RIM),
    "at its rim, and its turn": ('<weld site1="rim" site2="hub" solref=".05 1"/>', RIM),
    "at its centre": ('<connect body1="wheel" anchor="0 0 0"/>', CENTRE),
}
ROD = '<equality><connect site1="rim" site2="end"/></equality>'


def states(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Returns random positions near the model's own, and velocities."""
    rng = np.random.default_rng(0)
    return 0.03 * rng.normal(size=(count, 5)), rng.normal(size=(count, 5))


def compare(
    model: mujoco.MjModel, reference: mujoco.MjModel, exact: float = 1e-8, rough: float = 5e-4
) -> None:
    """Compares a step of the engine, in both precisions, with MuJoCo's of another model."""
    assert accept(model) == []
    qpos, qvel = states()
    expected = mujoco_step(reference, qpos, qvel)
    scale = 1 + np.abs(expected - qvel).max()
    for dtype, most in ((DOUBLE, exact), (SINGLE, rough)):
        found = fused_step(model, qpos, qvel, dtype)
        np.testing.assert_allclose(found, expected, atol=most * scale)


def balanced(text: str, arm: float) -> tuple[mujoco.MjModel, mujoco.MjModel]:
    """Returns a model, and one whose wheel moves a thirtieth as much as at an arm [m]."""
    model, other = (mujoco.MjModel.from_xml_string(text) for _ in range(2))
    wheel = model.body("wheel").id
    assert model.body_invweight0[wheel, 0] < 1e-12 < model.body_invweight0[wheel, 1]
    other.body_invweight0[wheel, 0] = 0.03 * arm**2 * model.body_invweight0[wheel, 1]
    return model, other


@pytest.mark.parametrize("name", ON_SLIDES)
def test_bodies_on_slides_are_welded(name) -> None:
    """Their turn is constrained as well, though nothing can change it."""
    text = MODEL.format(
        cone="pyramidal", friction=1, more=f"<equality>{ON_SLIDES[name]}</equality>"
    )
    model = mujoco.MjModel.from_xml_string(text.replace("0 0 .0995", "0 0 .2"))
    compare(model, model)


@pytest.mark.parametrize("name", ON_A_WHEEL)
def test_a_balanced_wheel_is_held(name) -> None:
    """Hard, but so that forces that cancel each other stay numbers of some digits."""
    equality, arm = ON_A_WHEEL[name]
    text = MODEL.format(cone="pyramidal", friction=1, more=f"<equality>{equality}</equality>")
    compare(*balanced(text.replace("0 0 .0995", "0 0 .2"), arm))


@pytest.mark.parametrize("friction", [1, 0.1])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_the_ground_brakes_a_balanced_wheel(cone, friction) -> None:
    """Nothing moves along the contact's normal."""
    text = MODEL.format(cone=cone, friction=friction, more="")
    model, other = balanced(text, 0.1)
    compare(model, other, exact=1e-6, rough=1e-3)
    worlds = FusedWorlds(model, 3)
    worlds.array("qvel")[:, 0] = 5.0
    worlds.step(1)
    assert not worlds.diverged.any()
    assert (worlds.array("qvel")[:, 0].abs() < 4.5).all()


def test_a_rod_on_a_wheel_has_its_own_inertia() -> None:
    """MuJoCo's estimate is then not zero."""
    text = MODEL.format(cone="elliptic", friction=1, more=ROD).replace("0 0 .0995", "0 0 .2")
    model = mujoco.MjModel.from_xml_string(text)
    compare(model, model)


TENDON = """<mujoco><option integrator="implicitfast"/><worldbody><site name="a"/><site name="b"/>
  <body name="arm"><joint name="j" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 .3 0 0"
  size=".02"/><site name="c" pos=".3 0 0"/><site name="d" pos=".1 0 0"/></body></worldbody><tendon>
  <spatial name="t" {kind}>{path}</spatial></tendon><equality>{equality}</equality></mujoco>"""
PATHS = {
    "straight through the axis": '<site site="a"/><site site="c"/>',
    "on one body": '<site site="d"/><site site="c"/>',
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("kind", "equality"),
    [
        ('range="0 .2"', ""),
        ('frictionloss="1"', ""),
        ("", '<tendon tendon1="t" polycoef=".1 0 0 0 0"/>'),
    ],
)
def test_constraints_of_tendons_that_move_nothing_are_refused(path, kind, equality) -> None:
    """They would be infinitely hard; springs, or what the flags leave out, are none."""
    text = TENDON.format(kind=kind, path=PATHS[path], equality=equality)
    model = mujoco.MjModel.from_xml_string(text)
    assert any("'t'" in reason for reason in accept(model))
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    assert accept(model) == []
    text = TENDON.format(kind='stiffness="3" damping=".1"', path=PATHS[path], equality="")
    assert accept(mujoco.MjModel.from_xml_string(text)) == []


@pytest.mark.parametrize("kind", ["connect", "weld"])
def test_an_equality_on_a_slide_that_a_ball_joint_turns_is_refused(kind) -> None:
    """By name; the other order is simulated."""
    joints = ['<joint type="ball"/>', '<joint type="slide" axis="1 0 0"/>']
    for order in (joints, joints[::-1]):
        model = mujoco.MjModel.from_xml_string(f"""<mujoco><option timestep="0.002"
          integrator="implicitfast" iterations="200" tolerance="1e-14"/><worldbody>
          <body name="b">{order[0]}{order[1]}<geom type="box" size=".1 .2 .3" pos=".1 0 0"/>
          <body name="c"><geom size=".1"/></body></body></worldbody><equality>
          <{kind} name="tie" body1="c" anchor=".2 .1 .3"/></equality></mujoco>""")
        if order is joints:
            assert any("'tie'" in reason for reason in accept(model))
            continue
        assert accept(model) == []
        rng = np.random.default_rng(0)
        qpos = np.concatenate((0.1 * rng.normal(size=(8, 1)), rng.normal(size=(8, 4))), axis=1)
        qpos[:, 1:] /= np.linalg.norm(qpos[:, 1:], axis=1, keepdims=True)
        qvel = rng.normal(size=(8, 4))
        expected = mujoco_step(model, qpos, qvel)
        np.testing.assert_allclose(fused_step(model, qpos, qvel, DOUBLE), expected, atol=1e-7)
