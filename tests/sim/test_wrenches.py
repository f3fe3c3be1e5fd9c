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
