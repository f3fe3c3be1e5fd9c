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
