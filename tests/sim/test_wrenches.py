"""Contact wrenches together with other measurements."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.sim import ENGINES, ResetState, SceneSpec, Timing, make_simulator

# A ball whose mass is offset from its origin, so that its frame turns while it is in contact.
BALL = """<mujoco><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0"/>
  <body name="ball" pos="0 0 0.11"><freejoint name="root"/>
    <geom type="sphere" size="0.1" pos="0.05 0 0" mass="2" contype="1" conaffinity="0"/>
  </body></worldbody></mujoco>"""


@pytest.mark.parametrize("engine", ENGINES)
def test_wrenches_do_not_depend_on_body_states_being_read(engine, tmp_path: Path) -> None:
    """Forces are rotated with the frames in which their contacts were solved."""
    asset = tmp_path / "ball.xml"
    asset.write_text(BALL)
    measured = []
    for body_states in (False, True):
        scene = SceneSpec(asset, {}, wrench_bodies=("ball",), body_states=body_states)
        sim = make_simulator(engine, scene, Timing(0.002, 2), 2)
        sim.reset(
            torch.ones(2, dtype=torch.bool),
            ResetState(
                torch.zeros(2, 0),
                torch.zeros(2, 0),
                root_lin_vel_w=torch.tensor([[2.0, 0.0, 0.0]]).expand(2, 3),
                root_ang_vel_w=torch.tensor([[3.0, 20.0, 10.0]]).expand(2, 3),
            ),
        )
        wrenches = []
        for _ in range(60):
            sim.step()
            sim.refresh()
            wrenches.append(sim.state.contact_wrench_b.clone())
        measured.append(torch.stack(wrenches))
    assert measured[0].abs().max() > 10.0
    torch.testing.assert_close(measured[0], measured[1], rtol=1e-5, atol=1e-4)


ROBOT_AND_BALL = """<mujoco><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0"/>
  <body name="robot" pos="0 0 2"><joint name="lift" type="slide" axis="0 0 1"/>
    <geom type="box" size=".1 .1 .1" contype="0" conaffinity="0"/></body>
  <body name="ball" pos="3 0 0.1"><joint name="spin" axis="0 0 1"/>
    <joint name="drop" type="slide" axis="0 0 1"/>
    <geom type="sphere" size="0.1" pos="0.2 0 0" mass="2" contype="1" conaffinity="0"/>
  </body></worldbody></mujoco>"""


# Isaac Gym takes joints at right angles only: these two share an axis.
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "isaacgym"])
def test_a_second_tree_is_measured_about_its_own_centre(engine, tmp_path: Path) -> None:
    """A ball beside the robot, its mass 0.2 m off its origin, stands on the ground, then spins."""
    asset = tmp_path / "ball.xml"
    asset.write_text(ROBOT_AND_BALL)
    scene = SceneSpec(asset, {}, wrench_bodies=("ball",), body_states=True)
    sim = make_simulator(engine, scene, Timing(0.002, 5), 1)
    for _ in range(200):
        sim.step()
        sim.refresh()
    # The ground pushes up by 2 g at (0.2, 0, -0.1): r x f = (0, -0.2 * 2 g, 0).
    wanted = torch.tensor([0, 0, 2 * 9.81, 0, -0.4 * 9.81, 0])
    torch.testing.assert_close(sim.state.contact_wrench_b[0, 0], wanted, atol=0.05, rtol=0)
    spinning = ResetState(torch.zeros(1, 3), torch.tensor([[0.0, 4.0, 0.0]]))
    sim.reset(torch.ones(1, dtype=torch.bool), spinning)
    # The origin is on the axis of the spin and stays, though the centre of mass circles it.
    ball = sim.body_names.index("ball")
    still, turning = sim.state.body_lin_vel_w[0, ball], sim.state.body_ang_vel_w[0, ball]
    torch.testing.assert_close(still, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(turning, torch.tensor([0.0, 0.0, 4.0]))


# A ball above the ground, one on it, and one that carries another. Those two slide upright.
PUSHED = """<mujoco><option gravity="0 0 -10"/><default><geom solref="0.01 1"/></default>
  <worldbody>
  <geom type="plane" size="5 5 1"/>
  <body name="flying" pos="0 0 5"><freejoint name="flying"/>
    <geom type="sphere" size=".1" pos=".02 0 0" mass="2"/></body>
  <body name="standing" pos="2 0 .1"><freejoint name="standing"/>
    <geom type="sphere" size=".1" mass="2"/></body>
  <body name="low" pos="4 0 .1"><joint name="low" type="slide" axis="0 0 1"/>
    <geom type="sphere" size=".1" mass="2"/></body>
  <body name="high" pos="4 0 .3"><joint name="high" type="slide" axis="0 0 1"/>
    <geom type="sphere" size=".1" mass="1"/></body>
  </worldbody></mujoco>"""


@pytest.mark.parametrize("engine", ENGINES)
def test_contact_forces_are_sums_of_contacts_and_of_nothing_else(engine, tmp_path: Path) -> None:
    """A body pushed in free flight feels nothing; those on the ground what they carry."""
    asset = tmp_path / "pushed.xml"
    asset.write_text(PUSHED)
    pushed = ("flying", "standing")
    scene = SceneSpec(
        asset,
        {},
        objects=("standing",),
        force_bodies=pushed,
        wrench_bodies=pushed,
        contact_forces=True,
    )
    sim = make_simulator(engine, scene, Timing(0.002, 1), 2)
    sim.set_forces(torch.tensor([[7.0, 0.0, 3.0], [0.0, 0.0, -30.0]]).expand(2, 2, 3))
    for _ in range(150):
        sim.step()
        sim.refresh()
    # Standing: 2 kg * 10 m/s^2 + 30 N upwards, through the ball's own origin. High: its 10 N. Low:
    # 30 N from the ground less those 10 N.
    upwards = torch.tensor([0.0, 50.0, 20.0, 10.0]).expand(2, 4)
    forces = sim.state.contact_force_w
    torch.testing.assert_close(forces[..., 2], upwards, atol=0.3, rtol=0)
    torch.testing.assert_close(forces[..., :2], torch.zeros(2, 4, 2), atol=0.1, rtol=0)
    assert not forces[:, 0].any()
    wrenches = sim.state.contact_wrench_b
    assert not wrenches[:, 0].any()
    torch.testing.assert_close(wrenches[:, 1, 2], torch.full((2,), 50.0), atol=0.3, rtol=0)
    torch.testing.assert_close(wrenches[:, 1, 3:], torch.zeros(2, 3), atol=0.03, rtol=0)


# Loads of 2 kg that hang from the world by ties and a taut string, without touching anything.
HANGING = """<mujoco><option gravity="0 0 -10"/><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0"/><site name="hook" pos="4 0 2"/>
  <body name="load0" pos="0 0 1"><freejoint/>
    <geom type="sphere" size=".1" mass="2" contype="1" conaffinity="0"/></body>
  <body name="load1" pos="2 0 1"><freejoint/>
    <geom type="sphere" size=".1" mass="2" contype="1" conaffinity="0"/></body>
  <body name="load2" pos="4 0 1"><freejoint/><site name="eye"/>
    <geom type="sphere" size=".1" mass="2" contype="1" conaffinity="0"/></body></worldbody>
  <equality><connect body1="load0" anchor="0 0 1"/><weld body1="load1"/></equality>
  <tendon><spatial range="0 1" limited="true"><site site="hook"/><site site="eye"/></spatial>
  </tendon></mujoco>"""


@pytest.mark.parametrize("engine", ["mujoco", "mujoco_warp"])
def test_ties_and_strings_are_not_contacts(engine, tmp_path: Path) -> None:
    """Loads that hang from constraints touch nothing."""
    asset = tmp_path / "hanging.xml"
    asset.write_text(HANGING)
    loads = ("load0", "load1", "load2")
    scene = SceneSpec(asset, {}, wrench_bodies=loads, contact_forces=True, body_states=True)
    sim = make_simulator(engine, scene, Timing(0.002, 10), 1)
    sim.step()
    sim.refresh()
    assert (sim.state.body_lin_vel_w[0, :, 2] > -0.19).all()  # held: 0.2 m/s in free fall
    assert not sim.state.contact_force_w.any()
    assert not sim.state.contact_wrench_b.any()


def test_bodies_without_a_name_are_measured(tmp_path: Path) -> None:
    """MuJoCo's sensors refer to bodies by name; a ball that has none rests with its 20 N."""
    asset = tmp_path / "unnamed.xml"
    asset.write_text("""<mujoco><option gravity="0 0 -10"/><worldbody>
      <geom type="plane" size="5 5 1"/><body pos="0 0 3"><geom size=".1"/></body>
      <body pos="0 0 .1"><freejoint/><geom size=".1" mass="2"/></body></worldbody></mujoco>""")
    sim = make_simulator("mujoco", SceneSpec(asset, {}, contact_forces=True), Timing(0.002, 200), 1)
    sim.step()
    sim.refresh()
    wanted = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 20.0]]])
    torch.testing.assert_close(sim.state.contact_force_w, wanted, atol=0.05, rtol=0)
