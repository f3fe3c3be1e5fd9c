"""Required of every engine: drive torques, pushes, forces, and objects beside the robot.

Numbers are worked by hand; see each test.
"""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.errors import UnknownName
from rlgpu.sim import Drive, ResetState, Timing
from tests.refusals import names
from tests.sim.states import advance, at_rest, everyone, rows
from tests.sim.test_conformance import ARM, FREE_BODY


def test_drive_forces_follow_the_drives_laws(make) -> None:
    """An effort as it is set, within its limit; a position drive by its two gains."""
    # Elbow: 10 * (0.3 - 0.1) - 2 * 0.5 = 1 N m in the first step; shoulder: 7, cut to 5. Isaac
    # Gym's are computed from the state after the step, in which 1 N m has moved the elbow a little.
    drives = {
        "shoulder": Drive("effort", effort_limit=5.0),
        "elbow": Drive("position", stiffness=10.0, damping=2.0),
    }
    sim = make(ARM, drives=drives, drive_forces=True)
    sim.reset(everyone(sim), ResetState(rows(sim, 0.0, 0.1), rows(sim, 0.0, 0.5)))
    sim.set_targets(rows(sim, 7.0, 0.3))
    advance(sim)
    torch.testing.assert_close(sim.state.drive_force[:, 0], torch.full((3,), 5.0))
    atol = 1e-5 if hasattr(sim, "worlds") else 0.2
    torch.testing.assert_close(
        sim.state.drive_force[:, 1], torch.full((3,), 1.0), atol=atol, rtol=0
    )
    sim.reset(torch.tensor([True, False, False]), at_rest(sim))
    assert not sim.state.drive_force[0].any()
    assert sim.state.drive_force[1].any()
    assert make(ARM, drives=drives).state.drive_force.shape == (3, 0)


def test_what_a_scene_does_not_measure_has_no_rows(make) -> None:
    """No bodies, contacts, drives, Jacobians or objects; the root and the joints always."""
    sim = make(ARM)
    widths = {
        name: values.shape[1]
        for name, values in sim.state._asdict().items()
        if values.dim() > 1 and not name.startswith(("root", "joint"))
    }
    assert widths.pop("jacobian_w") == 6
    assert widths.pop("mass_matrix") == 0
    assert set(widths.values()) == {0}
    assert len(widths) == 12
    assert sim.state.jacobian_w.shape == (3, 6, 0)
    assert sim.state.joint_pos.shape == (3, 2)


def test_a_diverged_world_reports_no_forces(make) -> None:
    """An infinite effort in the second world; the others report the 2 N m of theirs."""
    drives = {"shoulder": Drive("effort")}
    sim = make(ARM, drives=drives, drive_forces=True)
    sim.set_targets(torch.tensor([[2.0, 0.0], [math.inf, 0.0], [2.0, 0.0]]))
    advance(sim)
    assert sim.state.diverged.tolist() == [False, True, False]
    torch.testing.assert_close(sim.state.drive_force[:, 0], torch.tensor([2.0, 0.0, 2.0]))
    assert not sim.state.drive_force[:, 1].any()


# A slider of 2 kg whose joint takes at most 3 N from its drive.
WEAK = """<mujoco><option gravity="0 0 0"/><worldbody>
  <body name="mass"><joint name="lift" type="slide" axis="0 0 1" actuatorfrcrange="-3 3"/>
    <geom type="sphere" size=".1" mass="2"/></body>
  <body name="idle" pos="1 0 0"><joint name="idle" type="slide" axis="0 0 1"/>
    <geom type="sphere" size=".1" mass="2"/></body></worldbody></mujoco>"""


@pytest.mark.parametrize("drive", [Drive("effort"), Drive("position", stiffness=100.0)])
def test_drive_forces_are_those_that_move_the_joint(make, drive) -> None:
    """A joint that takes 3 N reports 3 N and moves by them, though its drive asks for more."""
    sim = make(WEAK, drives={"lift": drive}, drive_forces=True)
    if not hasattr(sim, "worlds"):
        pytest.skip("Isaac Gym has no limits of joints besides the drive's")
    sim.set_targets(rows(sim, 20.0, 20.0))
    advance(sim)
    torch.testing.assert_close(sim.state.drive_force, rows(sim, 3.0, 0.0))
    torch.testing.assert_close(sim.state.joint_vel, rows(sim, 3.0 / 2.0 * 0.001, 0.0))


def test_drive_forces_are_those_of_the_last_physics_step(make) -> None:
    """10 N s/m on 2 kg: each of two steps leaves 1 / (1 + 10 / 2 * 0.1) = 2/3 of the velocity."""
    drives = {"lift": Drive("position", damping=10.0)}
    sim = make(WEAK, drives=drives, drive_forces=True, timing=Timing(0.1, 2))
    if not hasattr(sim, "worlds"):
        pytest.skip("Isaac Gym's are computed from the state after the step")
    sim.reset(everyone(sim), ResetState(rows(sim, 0.0, 0.0), rows(sim, 0.15, 0.0)))
    sim.set_targets(rows(sim, 0.0, 0.0))
    advance(sim)
    # The last step begins with 2/3 of 0.15 m/s: 10 * 0.1 = 1 N against the motion.
    torch.testing.assert_close(sim.state.drive_force, rows(sim, -1.0, 0.0))
    torch.testing.assert_close(sim.state.joint_vel[:, 0], torch.full((3,), 0.15 * 4 / 9))


def test_a_pushed_root_has_the_new_velocity(make) -> None:
    """Only where masked; the pose stays, and the next step goes on from there."""
    sim = make(FREE_BODY.format(gravity=0, com=0.2))
    sim.reset(everyone(sim), at_rest(sim, root_pos_w=rows(sim, 1, 2, 3)))
    mask = torch.tensor([True, False, True])
    sim.set_root_velocity(mask, rows(sim, 1, 0.5, 0), rows(sim, 0, 0, 0))
    for _ in range(10):
        advance(sim)
    moved = sim.state.root_pos_w - rows(sim, 1, 2, 3)
    wanted = torch.tensor([[0.01, 0.005, 0.0], [0.0, 0.0, 0.0], [0.01, 0.005, 0.0]])
    torch.testing.assert_close(moved, wanted, atol=1e-6, rtol=0)


# A mast with one joint, a ball that is free, and a fixed table, in that order.
YARD = """<mujoco><option gravity="0 0 {gravity}"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="mast" pos="0 0 1"><joint name="turn" axis="0 0 1"/>
    <geom type="capsule" fromto="0 0 0 1 0 0" size=".02" mass="1"/></body>
  <body name="ball" pos="2 0 1"><freejoint name="ball"/>
    <geom type="sphere" size=".1" mass="2"/></body>
  <body name="table" pos="3 0 0"><geom type="box" size=".1 .1 .1"/></body>
  <body name="sled" pos="4 0 0"><freejoint name="sled"/>
    <geom type="sphere" size=".1" mass="1"/>
    <body name="flap"><joint name="flap" axis="0 1 0"/>
      <geom type="sphere" size=".1" mass="1"/></body></body>
  </worldbody></mujoco>"""


def test_objects_are_reset_and_read_beside_the_robot(make) -> None:
    """Poses and velocities of a free ball; the joints on both sides of it stay apart."""
    sim = make(YARD.format(gravity=0), objects=("ball",), root="sled")
    assert sim.joint_names == ("turn", "flap")
    quat = rows(sim, 0.5, 0.5, 0.5, 0.5)[:, None]
    to = ResetState(
        rows(sim, 0.1, 0.2),
        rows(sim, 0.3, 0.4),
        root_pos_w=rows(sim, 7, 8, 9),
        root_lin_vel_w=rows(sim, 0, 1, 0),
        object_pos_w=rows(sim, 1, 2, 3)[:, None],
        object_quat_w=quat,
        object_lin_vel_w=rows(sim, 4, 5, 6)[:, None],
        object_ang_vel_w=rows(sim, 1, 2, 3)[:, None],
    )
    sim.reset(everyone(sim), to)
    state = sim.state
    torch.testing.assert_close(state.joint_pos, to.joint_pos)
    torch.testing.assert_close(state.joint_vel, to.joint_vel)
    torch.testing.assert_close(state.root_pos_w, to.root_pos_w)
    torch.testing.assert_close(state.root_lin_vel_w, to.root_lin_vel_w)
    for name in ("pos_w", "quat_w", "lin_vel_w", "ang_vel_w"):
        name = f"object_{name}"  # noqa: PLW2901
        torch.testing.assert_close(getattr(state, name), getattr(to, name))
    for _ in range(10):
        advance(sim)
    torch.testing.assert_close(
        state.object_pos_w[:, 0], rows(sim, 1.04, 2.05, 3.06), atol=1e-5, rtol=0
    )
    before = state.object_pos_w.clone()
    sim.reset(~everyone(sim), to)  # nobody
    assert torch.equal(state.object_pos_w, before)
    saved = sim.state_dict()
    sim.reset(everyone(sim), at_rest(sim))
    torch.testing.assert_close(state.object_pos_w[:, 0], rows(sim, 2, 0, 1))
    assert not state.object_lin_vel_w.any()
    sim.load_state_dict(saved)
    torch.testing.assert_close(
        state.object_pos_w[:, 0], rows(sim, 1.04, 2.05, 3.06), atol=1e-5, rtol=0
    )


def test_a_force_accelerates_a_body(make) -> None:
    """6 N on the ball of 2 kg: 3 m/s^2; 2 N at the mast's middle: a torque of 1 N m about it."""
    free = ("ball", "sled")
    sim = make(YARD.format(gravity=0), objects=free, force_bodies=("ball", "mast"))
    forces_w = torch.tensor([[0.0, 0.0, 6.0], [0.0, 2.0, 0.0]]).expand(3, 2, 3).clone()
    forces_w[1] = 0.0
    sim.set_forces(forces_w)
    for _ in range(100):
        advance(sim)
    wanted = torch.tensor([0.3, 0.0, 0.3])
    torch.testing.assert_close(sim.state.object_lin_vel_w[:, 0, 2], wanted, atol=1e-4, rtol=0)
    # A rod of 1 kg and 1 m, with round ends: its inertia about its end is a little above 1/3.
    speed = sim.state.joint_vel[:, 0]
    assert 0.27 < float(speed[0]) < 0.30
    assert float(speed[1]) == 0.0
    assert torch.equal(speed[0], speed[2])


@pytest.mark.parametrize(
    ("kind", "given", "name", "known"),
    [
        ("objects", ("mast",), "mast", {"ball", "sled"}),
        ("force_bodies", ("rotor",), "rotor", {"mast", "ball", "sled", "flap", "table"}),
        ("root", "hull", "hull", {"mast", "ball", "sled", "flap", "table"}),
    ],
)
def test_unknown_bodies_are_refused(make, kind, given, name, known) -> None:
    """With the names that exist; an object moves freely."""
    with pytest.raises(UnknownName) as refusal:
        make(YARD.format(gravity=0), **{kind: given})
    assert (refusal.value.kind, refusal.value.name) == (kind, name)
    assert set(refusal.value.known) - {"world"} == known
    assert names(refusal.value, kind, name, *known)


def test_centres_of_mass_vary_and_count(make) -> None:
    """A body that spins about its origin keeps it still only if its mass is there."""
    sim = make(YARD.format(gravity=-9.81), root="sled", objects=("ball",), parameters=("body_com",))
    moved = sim.parameters["body_com"].clone()
    moved[1, :, 0] += 0.1  # every body's centre of mass 10 cm ahead
    sim.set_parameter("body_com", moved)
    torch.testing.assert_close(sim.parameters["body_com"], moved)
    for _ in range(100):
        advance(sim)
    # The sled falls freely with its flap; their masses ahead of the joint do not turn it.
    spin = sim.state.root_ang_vel_w.abs().sum(-1)
    assert spin.max() < 1e-4
    # Linear velocity of its origin: that of free fall everywhere.
    torch.testing.assert_close(
        sim.state.root_lin_vel_w[:, 2], torch.full((3,), -0.981), atol=1e-3, rtol=0
    )
    sim.reset(everyone(sim), at_rest(sim, root_ang_vel_w=rows(sim, 0, 0, 2.0)))
    advance(sim)
    # Mass 10 cm ahead of the origin: it circles, and the origin is pulled the other way.
    speed = sim.state.root_lin_vel_w[:, :2].norm(dim=-1)
    assert speed[0] < 1e-5
    assert speed[1] > 1e-5
