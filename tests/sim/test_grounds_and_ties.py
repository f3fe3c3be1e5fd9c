"""Required of every engine: terrain, springs, furniture, ties, Jacobians.

Numbers are worked by hand; see each test.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlgpu.rotations import quat_rotate
from rlgpu.sim import Drive, ResetState, Timing
from rlgpu.sim.terrain import HeightField
from tests.sim.states import advance, at_rest, everyone, rows

BALL = """<mujoco><worldbody>
  <geom type="plane" size="5 5 1" contype="1" conaffinity="1"/>
  <body name="ball" pos="0 0 1"><freejoint name="root"/>
    <geom type="sphere" size="0.1" mass="1" contype="1" conaffinity="1"/></body>
  </worldbody></mujoco>"""


def test_a_ball_rests_on_the_terrain_below_it(make) -> None:
    """On a floor at 0, a plateau at 0.5 m and one at -0.3 m, in one frame for all environments."""
    heights = np.zeros((41, 41), dtype=np.float32)
    heights[:14], heights[28:] = 0.5, -0.3
    terrain = HeightField(heights, (-2.0, -2.0))
    sim = make(BALL, timing=Timing(0.002, 5), terrain=terrain)
    places = torch.tensor([[-1.4, 0.3, 0.8], [0.0, -0.2, 0.3], [1.6, 0.0, 0.0]])
    sim.reset(everyone(sim), at_rest(sim, root_pos_w=places))
    for _ in range(150):
        advance(sim)
    wanted = torch.tensor([0.6, 0.1, -0.2])
    torch.testing.assert_close(sim.state.root_pos_w[:, 2], wanted, atol=5e-3, rtol=0)
    torch.testing.assert_close(sim.state.root_pos_w[:, :2], places[:, :2], atol=5e-3, rtol=0)


# A table of the world's own, a block on the floor that is a body, a robot that moves along y.
ROOM = """<mujoco><worldbody>
  <geom type="plane" size="5 5 1" contype="1" conaffinity="1"/>
  <geom name="table" type="box" size="0.5 0.5 0.1" pos="0 0 0.4" contype="1" conaffinity="1"/>
  <body name="block" pos="2 0 0.1"><geom type="box" size=".2 .2 .1" contype="1" conaffinity="1"/>
  </body>
  <body name="cart" pos="5 0 1"><joint name="push" type="slide" axis="0 1 0"/>
    <geom type="sphere" size=".1" mass="1" contype="1" conaffinity="1"/></body>
  <body name="cube" pos="0 0 1"><freejoint name="cube"/>
    <geom type="box" size="0.05 0.05 0.05" mass="0.5" contype="1" conaffinity="1"/></body>
  </worldbody></mujoco>"""


def test_furniture_holds_objects_up(make) -> None:
    """A cube on the table at 0.5 m, on the block at 0.2 m, and on the floor."""
    sim = make(ROOM, timing=Timing(0.002, 5), root="cart", objects=("cube",))
    assert sim.joint_names == ("push",)
    places = torch.tensor([[0.2, 0.1, 0.6], [2.0, 0.0, 0.3], [1.0, 1.0, 0.1]])
    sim.reset(everyone(sim), at_rest(sim, object_pos_w=places[:, None]))
    for _ in range(150):
        advance(sim)
    height = sim.state.object_pos_w[:, 0, 2]
    torch.testing.assert_close(height, torch.tensor([0.55, 0.25, 0.05]), atol=5e-3, rtol=0)
    assert float(sim.state.joint_pos.abs().max()) == 0.0


# A rod that hangs by its end from a point of the world, and has a second, driven rod.
HUNG = """<mujoco><default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="rod" pos="0 0 1"><freejoint name="root"/>
    <geom type="capsule" fromto="0 0 0 0 0 -1" size=".02" mass="1"/></body>
  </worldbody><equality><connect body1="rod" anchor="0 0 0"/></equality></mujoco>"""


def test_a_connected_point_stays_where_it_is(make) -> None:
    """The rod swings like a pendulum: its end stays, and a quarter of its period is 0.41 s."""
    # Hung by its end, w^2 = 3 g / (2 l) = 14.7, for small angles; a quarter: pi / (2 w) = 0.41 s.
    sim = make(HUNG, timing=Timing(0.001, 10))
    tilt = 0.1
    quat = rows(sim, math.sin(tilt / 2), 0, 0, math.cos(tilt / 2))
    sim.reset(everyone(sim), at_rest(sim, root_pos_w=rows(sim, 0, 0, 1), root_quat_w=quat))
    sides = []
    for _ in range(60):
        advance(sim)
        tip_w = quat_rotate(sim.state.root_quat_w, rows(sim, 0, 0, -1))
        sides.append(float(tip_w[0, 1]))
        away = (sim.state.root_pos_w - rows(sim, 0, 0, 1)).abs().max()
        assert float(away) < 5e-3
    crossed = next(i for i, side in enumerate(sides) if side * sides[0] < 0)
    assert 0.37 < 0.01 * (crossed + 1) < 0.45


# Two bodies on hinges about x and z at one place, then a slide along x: as a hand has.
HAND = """<mujoco><option gravity="0 0 0"/><default><geom contype="0" conaffinity="0"/></default>
  <worldbody><body name="base" pos="0 0 1"><geom type="box" size=".1 .1 .1" mass="3"/>
    <body name="arm"><joint name="tilt" axis="1 0 0"/><joint name="turn" axis="0 0 1"
        armature="0.5"/>
      <geom type="sphere" size=".1" mass="2" pos="1 0 0"/>
      <body name="tip" pos="2 0 0"><joint name="reach" type="slide" axis="1 0 0"/>
        <geom type="sphere" size=".1" mass="1"/></body></body></body></worldbody></mujoco>"""


@pytest.mark.parametrize("steps", [0, 1])
def test_the_jacobian_and_the_mass_matrix_are_those_of_the_pose(make, steps) -> None:
    """Right after a reset and after a step: arm turned by 90 degrees about z, tilted by 90."""
    sim = make(HAND, jacobian_body="tip", body_states=True)
    quarter = math.pi / 2
    # Tilt about x by 90 degrees, then turn about the tilted z, which is -y: x becomes z.
    pose = ResetState(rows(sim, quarter, quarter, 0.5), rows(sim, 0, 0, 0))
    sim.reset(everyone(sim), pose)
    for _ in range(steps):
        sim.set_targets(rows(sim, 0, 0, 0))
        advance(sim)
    state = sim.state
    tip = sim.body_names.index("tip")
    torch.testing.assert_close(state.body_pos_w[:, tip], rows(sim, 0, 0, 3.5), atol=1e-5, rtol=0)
    # 2.5 m above the base: about x it moves along -y, about -y along -x; the slide is along z.
    jacobian = torch.tensor(
        [
            [0.0, -2.5, 0.0],
            [-2.5, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0],
            [0.0, -1.0, 0.0],
            [0.0, 0.0, 0.0],
        ]
    )
    torch.testing.assert_close(state.jacobian_w[0], jacobian, atol=1e-5, rtol=0)
    # m l^2 and balls' 2/5 m r^2: 2 * 1 + 1 * 2.5^2 + 0.4 * 3 * 0.01 = 8.262; about z 0.5 more.
    mass = torch.diag(torch.tensor([8.262, 8.762, 1.0]))
    torch.testing.assert_close(state.mass_matrix[0], mass, atol=1e-4, rtol=0)


SPRUNG = """<mujoco><option gravity="0 0 0"/><default><geom contype="0" conaffinity="0"/></default>
  <worldbody><body name="base"><geom size=".1" mass="1"/>
    <body name="cart" pos="1 0 0">
      <joint name="push" type="slide" axis="1 0 0" stiffness="40" damping="4"/>
      <geom size=".1" mass="1"/></body></body></worldbody></mujoco>"""


def test_a_joints_spring_pulls_it_to_zero_beside_its_drive(make) -> None:
    """10 N against 40 N/m: it comes to rest at 0.25 m."""
    sim = make(SPRUNG, timing=Timing(0.002, 5), drives={"push": Drive("effort")})
    for _ in range(300):
        sim.set_targets(rows(sim, 10.0))
        advance(sim)
    torch.testing.assert_close(sim.state.joint_pos, rows(sim, 0.25), atol=1e-3, rtol=0)
