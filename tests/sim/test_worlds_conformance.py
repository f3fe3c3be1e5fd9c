"""What MuJoCo's models do on every engine that takes them: a new one is added to ``ENGINES``.

Tasks have neither actuators of their own nor ball joints, so these tests are about worlds, the
layer below simulators. Values are worked by hand; see each test. Gravity is 9.81 m/s^2 downwards.
"""

from __future__ import annotations

import math

import mujoco
import pytest
import torch

from rlgpu.sim import ENGINES
from rlgpu.sim.mujoco.worlds import Worlds, WorldsRequest, worlds_class

G = 9.81
COARSE = 0.004
"""Timestep [s] of bodies that come to rest: MuJoCo Warp takes 20 ms a step on a CPU."""
N = 3
MUJOCOS = [engine for engine in ENGINES if engine != "isaacgym"]
ON_CPU = [
    pytest.param((engine, "cpu"), marks=[pytest.mark.slow] if engine == "mujoco_warp" else [])
    for engine in MUJOCOS
]
ON_GPU = [
    pytest.param((engine, "cuda:0"), marks=pytest.mark.cuda)
    for engine in MUJOCOS
    if "cuda" in ENGINES[engine].devices
]


@pytest.fixture(params=[*ON_CPU, *ON_GPU], ids=lambda where: f"{where[0]}-{where[1]}")
def make(request):
    """Returns a function that builds worlds of an engine from the parts of a model."""
    engine, device = request.param

    def build(
        bodies: str,
        more: str = "",
        *,
        option: str = "",
        gravity: float = -G,
        timestep: float = 0.001,
    ) -> Worlds:
        text = f"""<mujoco><compiler autolimits="true" angle="radian"/>
          <option timestep="{timestep}" integrator="implicitfast" gravity="0 0 {gravity}" {option}/>
          <default><geom condim="3"/></default>
          <worldbody>{bodies}</worldbody>{more}</mujoco>"""
        model = mujoco.MjModel.from_xml_string(text)
        worlds = worlds_class(engine).build(model, WorldsRequest(N, torch.device(device)))
        worlds.array("xpos")  # engines fill what was asked for before the first step
        return worlds

    return build


def slider(name: str, mass: float, axis: str = "0 0 1", more: str = "") -> str:
    """Returns a body without collisions that slides along an axis."""
    return f"""<body name="{name}"><joint name="{name}" type="slide" axis="{axis}" {more}/>
      <geom size=".1" mass="{mass}" contype="0" conaffinity="0"/><site name="{name}"/></body>"""


def free(name: str, pos: str, mass: float = 1.0, inertia: float = 0.01, more: str = "") -> str:
    """Returns a free body of a mass and an inertia."""
    moments = f"{inertia} {inertia} {inertia}"
    return f"""<body name="{name}" pos="{pos}"><freejoint/>
      <inertial pos="0 0 0" mass="{mass}" diaginertia="{moments}"/>{more}</body>"""


def values(worlds: Worlds, name: str) -> torch.Tensor:
    """Returns an array of the first world, which all worlds share."""
    array = worlds.array(name).double().cpu().clone()
    torch.testing.assert_close(array, array[:1].expand(N, *array.shape[1:]))
    return array[0]


def test_a_tendons_spring_pulls_two_bodies_together(make) -> None:
    """Masses of 2 and 1 kg, 200 N/m: their distance is 0.1 m cos(w t), w^2 = 200 (1/2 + 1/1)."""
    tendon = """<tendon><fixed stiffness="200" springlength="0"><joint joint="a" coef="1"/>
      <joint joint="b" coef="-1"/></fixed></tendon>"""
    worlds = make(slider("a", 2) + slider("b", 1), tendon, gravity=0)
    worlds.array("qpos")[:, 0] = 0.1
    worlds.step(100)
    a, b = values(worlds, "qpos").tolist()
    assert a - b == pytest.approx(0.1 * math.cos(0.1 * math.sqrt(300)), abs=1e-3)
    assert 2 * a + b == pytest.approx(0.2, abs=1e-5)  # the centre of mass stays


def test_a_string_holds_a_body_at_its_length(make) -> None:
    """A body hangs 0.5 m below the string's other end, which is 0.1 m above its start."""
    string = """<tendon><spatial range="0 0.5"><site site="top"/><site site="a"/></spatial>
      </tendon>"""
    bodies = '<site name="top" pos="0 0 .1"/>' + slider("a", 1, more='damping="5"')
    worlds = make(bodies, string, timestep=COARSE)
    worlds.step(375)
    assert values(worlds, "qpos").item() == pytest.approx(-0.4, abs=3e-3)


def test_an_equality_couples_two_joints(make) -> None:
    """q_b = q_a / 2 with 2 and 1 kg: (2 + 1/4) a = -9.81 (2 + 1/2), for 0.1 s."""
    worlds = make(
        slider("a", 2) + slider("b", 1),
        '<equality><joint joint1="b" joint2="a" polycoef="0 0.5 0 0 0"/></equality>',
    )
    worlds.step(100)
    a, b = values(worlds, "qvel").tolist()
    assert a == pytest.approx(-G * 2.5 / 2.25 * 0.1, rel=0.01)
    assert b == pytest.approx(0.5 * a, rel=0.01)


def test_a_connected_body_swings_about_its_anchor(make) -> None:
    """1 kg and 0.01 kg m^2, 0.2 m from the anchor: 9.81 * 0.2 / (0.01 + 0.04) rad/s^2, 10 ms."""
    geom = '<geom size=".05" contype="0" conaffinity="0"/>'
    worlds = make(
        free("a", "0.2 0 0", more=geom),
        '<equality><connect body1="a" anchor="-0.2 0 0" solref="0.004 1"/></equality>',
    )
    worlds.step(10)
    speed = values(worlds, "qvel")[4].item()
    assert speed == pytest.approx(G * 0.2 / 0.05 * 0.01, rel=0.05)


def test_welded_bodies_move_as_one(make) -> None:
    """6 N on 2 kg with 1 kg welded to it, 0.1 s: 0.2 m/s."""
    geom = '<geom size=".05" contype="0" conaffinity="0"/>'
    worlds = make(
        slider("a", 2, axis="1 0 0") + free("b", "0 0 0", more=geom),
        """<equality><weld body1="b" body2="a"/></equality>
        <actuator><motor joint="a"/></actuator>""",
        gravity=0,
    )
    worlds.array("ctrl").fill_(6.0)
    worlds.step(100)
    speeds = values(worlds, "qvel")[:2].tolist()
    assert speeds == pytest.approx([0.2, 0.2], rel=0.01)


def test_a_ball_joint_turns_about_any_axis(make) -> None:
    """A quarter turn at pi rad/s in 0.5 s; damping c leaves exp(-c t / inertia) of the speed."""
    body = """<body><joint type="ball" {}/><inertial pos="0 0 0" mass="1"
      diaginertia=".02 .02 .02"/><geom size=".1" contype="0" conaffinity="0"/></body>"""
    worlds = make(body.format(""))
    worlds.array("qvel")[:, 0] = math.pi
    worlds.step(500)
    half = math.sqrt(0.5)
    assert values(worlds, "qpos").tolist() == pytest.approx([half, half, 0, 0], abs=1e-3)
    worlds = make(body.format('damping="0.04"'))
    worlds.array("qvel")[:] = torch.tensor([0.3, -0.2, 0.1])
    worlds.step(200)
    slowed = [x * math.exp(-0.04 * 0.2 / 0.02) for x in (0.3, -0.2, 0.1)]
    assert values(worlds, "qvel").tolist() == pytest.approx(slowed, abs=1e-3)


def test_a_ball_joints_limit_stops_it(make) -> None:
    """A body that falls to the side is held near 0.4 rad from upright."""
    body = """<body><joint type="ball" range="0 0.4" damping="0.05"/><inertial pos="0 0 .2"
      mass="1" diaginertia=".01 .01 .01"/><geom size=".01" contype="0" conaffinity="0"/></body>"""
    worlds = make(body, timestep=COARSE)
    worlds.array("qvel")[:, 1] = 1.0
    worlds.step(500)
    assert 2.0 * math.acos(values(worlds, "qpos")[0]) == pytest.approx(0.4, abs=0.02)


def test_activations_follow_controls(make) -> None:
    """A filter of 0.1 s reaches 1 - 1/e in 0.1 s, an integrator 0.1; its force is 6 t on 2 kg."""
    worlds = make(
        slider("a", 2) + slider("b", 2),
        """<actuator>
        <general joint="a" dyntype="filterexact" dynprm="0.1" gainprm="0"/>
        <general joint="b" dyntype="integrator" gainprm="6"/></actuator>""",
        gravity=0,
    )
    worlds.array("ctrl").fill_(1.0)
    worlds.step(100)
    assert values(worlds, "act").tolist() == pytest.approx([1 - math.exp(-1), 0.1], abs=1e-5)
    assert values(worlds, "qvel").tolist() == pytest.approx([0, 0.015], rel=0.02, abs=1e-6)


def test_an_actuator_at_a_site_pushes_along_the_sites_axes(make) -> None:
    """6 N along z of a site that is turned to x, 0.3 m above 2 kg and 0.1 kg m^2, for 10 ms."""
    site = """<site name="s" pos="0 0 0.3" euler="0 1.5707963267948966 0"/>
      <geom size=".05" contype="0" conaffinity="0"/>"""
    worlds = make(
        free("a", "0 0 0", 2.0, 0.1, site),
        '<actuator><motor site="s" gear="0 0 1 0 0 0"/></actuator>',
        gravity=0,
    )
    worlds.array("ctrl").fill_(6.0)
    worlds.step(10)
    wanted = [0.03, 0, 0, 0, 6 * 0.3 / 0.1 * 0.01, 0]
    assert values(worlds, "qvel").tolist() == pytest.approx(wanted, abs=1e-3)


def test_an_actuator_between_sites_holds_their_distance(make) -> None:
    """A servo of 1000 N/m, critically damped, takes 1 kg to 0.3 m along the other site's x."""
    site = '<site name="s"/><geom size=".05" contype="0" conaffinity="0"/>'
    worlds = make(
        '<site name="base" euler="0 0 1.5707963267948966"/>' + free("a", "0 0 0", more=site),
        """<actuator><general site="s" refsite="base" gear="1 0 0 0 0 0" gainprm="1000"
        biastype="affine" biasprm="0 -1000 -63"/></actuator>""",
        gravity=0,
    )
    worlds.array("ctrl").fill_(0.3)
    worlds.step(500)
    assert values(worlds, "qpos")[:3].tolist() == pytest.approx([0, 0.3, 0], abs=1e-3)


def test_adhesion_holds_a_ball_at_a_ceiling(make) -> None:
    """A pull of 20 N bears 9.81 N; without it, the ball falls g t^2 / 2 in 0.2 s."""
    worlds = make(
        """<geom type="box" size="1 1 .1" pos="0 0 1.1"/><body name="ball" pos="0 0 .9"><freejoint/>
        <geom size=".1" mass="1" margin=".002"/></body>""",
        '<actuator><adhesion body="ball" ctrlrange="0 1" gain="20"/></actuator>',
    )
    worlds.array("ctrl").fill_(1.0)
    worlds.step(500)
    height = values(worlds, "qpos")[2].item()
    assert height == pytest.approx(0.9, abs=3e-3)
    worlds.array("ctrl").zero_()
    worlds.step(200)
    assert height - values(worlds, "qpos")[2].item() == pytest.approx(0.5 * G * 0.04, rel=0.05)


def test_an_explicit_pair_has_its_own_friction(make) -> None:
    """A box loses 0.2 times what the ground pushes it up by; both geoms have a friction of 1."""
    worlds = make(
        """<geom name="floor" type="plane" size="9 9 1"/><body pos="0 0 .1">
        <joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 0 1"/>
        <geom name="box" type="box" size=".3 .3 .1" mass="1"/></body>""",
        '<contact><pair geom1="floor" geom2="box" friction=".2 .2 .005 .0001 .0001"/></contact>',
    )
    worlds.step(200)
    worlds.array("qvel")[:, 0] = 3.0
    before = values(worlds, "qvel")
    worlds.step(100)
    lost, rise = (values(worlds, "qvel") - before).tolist()
    # The ground's impulse on 1 kg: gravity's in 0.1 s, and that of the box's bounce.
    assert -lost == pytest.approx(0.2 * (G * 0.1 + rise), rel=1e-3)


def test_a_gap_finds_contacts_that_do_not_push(make) -> None:
    """A ball 5 mm above the floor falls freely for 20 ms; a margin of 10 mm pushes it up."""
    body = """<geom type="plane" size="9 9 1"/><body pos="0 0 .105"><freejoint/>
      <geom size=".1" mass="1" {}/></body>"""
    speeds = []
    for kind in ('gap="0.01"', 'margin="0.01"'):
        worlds = make(body.format(kind))
        worlds.step(20)
        speeds.append(values(worlds, "qvel")[2].item())
    assert speeds[0] == pytest.approx(-G * 0.02, rel=1e-3)
    assert speeds[1] > -G * 0.01


def test_a_mocap_body_carries_what_stands_on_it(make) -> None:
    """A platform at 0.5 m, whose top is at 0.6 m, below a ball of 0.1 m."""
    worlds = make(
        """<body name="platform" mocap="true" pos="0 0 0"><geom type="box"
      size=".5 .5 .1"/></body><body pos="0 0 .71"><freejoint/><geom size=".1" mass="1"/></body>""",
        timestep=COARSE,
    )
    worlds.array("mocap_pos")[:, 0, 2] = 0.5
    worlds.step(200)
    assert values(worlds, "xpos")[-2:, 2].tolist() == pytest.approx([0.5, 0.7], abs=5e-3)


def test_a_viscous_fluid_slows_a_body_down(make) -> None:
    """1 kg with the inertia of a cube of 0.2 m: drag 3 pi 0.2 v = b v, speed g / b (1 - e^-bt)."""
    geom = '<geom size=".05" contype="0" conaffinity="0"/>'
    worlds = make(free("a", "0 0 0", 1.0, 0.2**2 / 6, geom), option='viscosity="1"')
    worlds.step(100)
    drag = 3 * math.pi * 0.2
    wanted = -G / drag * (1 - math.exp(-0.1 * drag))
    assert values(worlds, "qvel")[2].item() == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize(
    ("geom", "height"),
    [('type="cylinder" size=".1 .05"', 0.05), ('type="ellipsoid" size=".1 .12 .07"', 0.07)],
)
def test_a_convex_geom_rests_on_a_height_field(make, geom, height) -> None:
    """Flat ground at 0.3 m, with a hill beside it."""
    ground = """<asset><hfield name="h" nrow="3" ncol="9" size="2 1 .5 .1" elevation="
      0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 1"/></asset>"""
    worlds = make(
        f"""<geom type="hfield" hfield="h" pos="0 0 .3"/><body pos="0 0 {0.305 + height}">
        <joint type="slide" axis="0 0 1" damping="5"/><geom {geom} mass="1"/></body>""",
        ground,
        timestep=COARSE,
    )
    worlds.step(250)
    assert values(worlds, "xpos")[-1, 2].item() == pytest.approx(0.3 + height, abs=3e-3)
