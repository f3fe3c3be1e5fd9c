"""Behaviour required of every engine: a new engine is added to ``ENGINES`` and must pass this file.

Poses and velocities are worked by hand; see each test. Gravity is 9.81 m/s^2 downwards.
"""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.errors import UnknownName, WrongShape
from rlgpu.rotations import quat_rotate
from rlgpu.sim import Drive, ResetState, SceneSpec, Timing, make_simulator
from tests.refusals import names
from tests.sim.states import FINE, advance, at_rest, everyone, rows

G = 9.81

FREE_BODY = """<mujoco><option gravity="0 0 {gravity}"/><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0"/>
  <body name="ball" pos="0 0 5"><freejoint name="root"/>
    <geom type="sphere" size="0.1" pos="{com} 0 0" mass="2" contype="1" conaffinity="0"/>
  </body></worldbody></mujoco>"""

ARM = """<mujoco><compiler angle="radian"/><option gravity="0 0 0"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="base" pos="0 0 1"><geom type="box" size=".05 .05 .05"/>
    <body name="upper" pos="0 0 0"><joint name="shoulder" axis="0 0 1" range="-2 2" limited="true"/>
      <geom type="capsule" fromto="0 0 0 1 0 0" size=".02" mass="1"/>
      <body name="lower" pos="1 0 0"><joint name="elbow" axis="0 0 1"/>
        <geom type="capsule" fromto="0 0 0 1 0 0" size=".02" mass="1"/>
      </body></body></body></worldbody></mujoco>"""

SLIDERS = """<mujoco><option gravity="0 0 0"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="a"><joint name="slide_a" type="slide" axis="1 0 0"/>
    <geom type="box" size=".1 .1 .1" mass="2"/></body>
  <body name="b" pos="0 1 0"><joint name="slide_b" type="slide" axis="1 0 0"/>
    <geom type="box" size=".1 .1 .1" mass="2"/></body></worldbody></mujoco>"""

# A foot that can only move vertically; it stands 0.3 m beside its own origin.
FOOT = """<mujoco><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0"/>
  <body name="foot" pos="0 0 0.1" quat="{quat}"><joint name="lift" type="slide" axis="{axis}"/>
    <geom type="sphere" size="0.1" pos="0.3 0 0" mass="2" contype="1" conaffinity="0"/>
  </body></worldbody></mujoco>"""


def test_joints_and_bodies_are_named_in_the_assets_order(make) -> None:
    """The free joint and the world do not count as a joint and a body of the robot."""
    sim = make(ARM)
    assert sim.joint_names == ("shoulder", "elbow")
    assert sim.body_names == ("base", "upper", "lower")
    assert sim.joint_lower.tolist() == [-2.0, -math.inf]
    assert sim.joint_upper.tolist() == [2.0, math.inf]
    assert make(FREE_BODY.format(gravity=0, com=0)).joint_names == ()


def test_a_reset_state_is_read_back(make) -> None:
    """Position, unnormalised quaternion and world-axis velocities of a body with offset mass."""
    sim = make(FREE_BODY.format(gravity=0, com=0.2))
    quat = rows(sim, 0.1, 0.2, 0.3, 0.9)
    to = at_rest(
        sim,
        root_pos_w=rows(sim, 1, 2, 3),
        root_quat_w=2 * quat,
        root_lin_vel_w=rows(sim, 4, 5, 6),
        root_ang_vel_w=rows(sim, 7, 8, 9),
    )
    sim.reset(everyone(sim), to)
    state = sim.state
    torch.testing.assert_close(state.root_pos_w, to.root_pos_w)
    torch.testing.assert_close(state.root_quat_w, quat / quat.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(state.root_lin_vel_w, to.root_lin_vel_w)
    torch.testing.assert_close(state.root_ang_vel_w, to.root_ang_vel_w)


def test_only_masked_environments_are_reset(make) -> None:
    """The others keep their positions and velocities; the state tensors stay the same objects."""
    sim = make(ARM)
    sim.reset(everyone(sim), ResetState(rows(sim, 0.5, 0.6), rows(sim, 1.0, 2.0)))
    joint_pos = sim.state.joint_pos
    sim.reset(torch.tensor([False, True, False]), ResetState(rows(sim, 0, 0.1), rows(sim, 0, 0)))
    assert sim.state.joint_pos is joint_pos
    torch.testing.assert_close(joint_pos, torch.tensor([[0.5, 0.6], [0.0, 0.1], [0.5, 0.6]]))
    torch.testing.assert_close(sim.state.joint_vel[:, 1], torch.tensor([2.0, 0.0, 2.0]))


def test_a_body_falls_with_gravity(make) -> None:
    """After 100 ms: velocity -0.981 m/s along world z, whatever the orientation."""
    sim = make(FREE_BODY.format(gravity=-G, com=0))
    sim.reset(everyone(sim), at_rest(sim, root_quat_w=rows(sim, 0.5, 0.5, 0.5, 0.5)))
    for _ in range(100):
        advance(sim)
    torch.testing.assert_close(sim.state.root_lin_vel_w, rows(sim, 0, 0, -0.981), atol=1e-4, rtol=0)
    fallen = sim.state.root_pos_w[:, 2] - 5.0
    torch.testing.assert_close(fallen, torch.full((3,), -0.5 * G * 0.01), atol=1e-3, rtol=0)


def test_angular_velocity_is_in_world_axes(make) -> None:
    """A ball turned 90 degrees about z and spun about world x at pi rad/s for half a second."""
    # Rotation about world x by 90 deg after 90 deg about z takes body x: x -> y -> z.
    sim = make(FREE_BODY.format(gravity=0, com=0))
    half = math.sqrt(0.5)
    sim.reset(
        everyone(sim),
        at_rest(
            sim, root_quat_w=rows(sim, 0, 0, half, half), root_ang_vel_w=rows(sim, math.pi, 0, 0)
        ),
    )
    for _ in range(500):
        advance(sim)
    body_x_w = quat_rotate(sim.state.root_quat_w, rows(sim, 1, 0, 0))
    torch.testing.assert_close(body_x_w, rows(sim, 0, 0, 1), atol=5e-3, rtol=0)
    torch.testing.assert_close(
        sim.state.root_ang_vel_w, rows(sim, math.pi, 0, 0), atol=1e-3, rtol=0
    )


def test_linear_velocity_is_that_of_the_bodys_origin(make) -> None:
    """Mass 0.2 m beside the origin, origin at rest, spin 1 rad/s about z."""
    # The centre of mass keeps moving at w x r = (0, 0.2, 0); after half a turn (pi s) the
    # origin, 0.2 m on its other side, moves at v_com - w x r' = (0, 0.2 + 0.2, 0).
    sim = make(FREE_BODY.format(gravity=0, com=0.2))
    sim.reset(everyone(sim), at_rest(sim, root_ang_vel_w=rows(sim, 0, 0, 1)))
    torch.testing.assert_close(sim.state.root_lin_vel_w, rows(sim, 0, 0, 0))
    for _ in range(3142):
        advance(sim)
    torch.testing.assert_close(sim.state.root_lin_vel_w, rows(sim, 0, 0.4, 0), atol=2e-3, rtol=0)


def test_body_states_match_the_geometry(make) -> None:
    """Shoulder at 90 degrees, elbow at -90: the lower arm is at (0, 1, 1) and points along x."""
    sim = make(ARM, body_states=True)
    quarter = math.pi / 2
    sim.reset(everyone(sim), ResetState(rows(sim, quarter, -quarter), rows(sim, 2.0, 1.0)))
    lower = sim.body_names.index("lower")
    state = sim.state
    torch.testing.assert_close(state.body_pos_w[:, lower], rows(sim, 0, 1, 1), atol=1e-6, rtol=0)
    body_x_w = quat_rotate(state.body_quat_w[:, lower], rows(sim, 1, 0, 0))
    torch.testing.assert_close(body_x_w, rows(sim, 1, 0, 0), atol=1e-6, rtol=0)
    # The elbow circles the shoulder at 2 rad/s: velocity w x r = 2 z x y = -2 x. Spins add: 3.
    torch.testing.assert_close(
        state.body_lin_vel_w[:, lower], rows(sim, -2, 0, 0), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        state.body_ang_vel_w[:, lower], rows(sim, 0, 0, 3), atol=1e-5, rtol=0
    )
    assert make(ARM).state.body_pos_w.shape == (3, 0, 3)


def test_body_states_are_current_after_a_step(make) -> None:
    """Not those of the previous step: the elbow is where the joint angle just read puts it."""
    sim = make(ARM, body_states=True)
    sim.reset(everyone(sim), ResetState(rows(sim, 0, 0), rows(sim, 1.0, 0.0)))
    for _ in range(10):
        advance(sim)
    angle = sim.state.joint_pos[0, 0]
    wanted = torch.stack((angle.cos(), angle.sin()))
    torch.testing.assert_close(sim.state.body_pos_w[0, 2, :2], wanted, atol=1e-6, rtol=0)


def test_an_effort_drive_accelerates_only_its_own_joint(make) -> None:
    """6 N on 2 kg for 10 ms: 0.03 m/s."""
    sim = make(SLIDERS, drives={"slide_b": Drive("effort")}, timing=Timing(0.001, 10))
    sim.set_targets(rows(sim, 100.0, 6.0))
    advance(sim)
    torch.testing.assert_close(sim.state.joint_vel, rows(sim, 0.0, 0.03), atol=1e-6, rtol=0)


def test_a_position_drive_settles_at_its_target_within_its_effort_limit(make) -> None:
    """Critically damped by hand: kp 200, m 2, kd 40. Limited to 1 N, 10 ms give 0.005 m/s."""
    drive = Drive("position", stiffness=200, damping=40)
    sim = make(SLIDERS, drives={"slide_a": drive}, timing=Timing(0.001, 10))
    sim.set_targets(rows(sim, 0.3, 0.0))
    for _ in range(200):
        advance(sim)
    torch.testing.assert_close(sim.state.joint_pos[:, 0], torch.full((3,), 0.3), atol=1e-3, rtol=0)
    weak = Drive("position", stiffness=200, damping=0, effort_limit=1.0)
    sim = make(SLIDERS, drives={"slide_a": weak}, timing=Timing(0.001, 10))
    sim.set_targets(rows(sim, 1.0, 0.0))
    advance(sim)
    torch.testing.assert_close(
        sim.state.joint_vel[:, 0], torch.full((3,), 0.005), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("quat", "axis", "force_b", "torque_b"),
    [
        # Upright: the ground pushes up by m g at r = (0.3, 0, -0.1): r x f = (0, -0.3 m g, 0).
        ("1 0 0 0", "0 0 1", (0, 0, 2 * G), (0, -0.3 * 2 * G, 0)),
        # Turned by 180 degrees about x: in body axes the push is along -z, at r = (0.3, 0, 0.1).
        ("0 1 0 0", "0 0 -1", (0, 0, -2 * G), (0, 0.3 * 2 * G, 0)),
    ],
)
def test_a_standing_foot_measures_its_weight(make, quat, axis, force_b, torque_b) -> None:
    """Force in body axes, torque about the body's origin, net force in world axes."""
    mjcf = FOOT.format(quat=quat, axis=axis)
    sim = make(mjcf, timing=Timing(0.002, 5), wrench_bodies=("foot",), contact_forces=True)
    for _ in range(200):
        advance(sim)
    wanted = torch.tensor([*force_b, *torque_b])
    torch.testing.assert_close(sim.state.contact_wrench_b[0, 0], wanted, atol=0.05, rtol=0)
    wanted = torch.tensor([0, 0, 2 * G])
    torch.testing.assert_close(sim.state.contact_force_w[0, 0], wanted, atol=0.05, rtol=0)


def test_a_reset_clears_the_contact_quantities(make) -> None:
    """The first observation contains nothing from the old episode."""
    sim = make(
        FOOT.format(quat="1 0 0 0", axis="0 0 1"),
        timing=Timing(0.002, 5),
        wrench_bodies=("foot",),
        contact_forces=True,
    )
    for _ in range(50):
        advance(sim)
    sim.reset(torch.tensor([True, False, False]), at_rest(sim))
    assert not sim.state.contact_wrench_b[0].any()
    assert sim.state.contact_wrench_b[1].any()
    assert not sim.state.contact_force_w[0].any()


def test_a_restored_state_continues_bit_for_bit(make) -> None:
    """The second half of a run is repeated."""
    sim = make(FOOT.format(quat="1 0 0 0", axis="0 0 1"), wrench_bodies=("foot",))
    for _ in range(150):
        advance(sim)
    saved = sim.state_dict()
    results = []
    for _ in range(2):
        sim.load_state_dict(saved)
        for _ in range(50):
            advance(sim)
        results.append((sim.state.joint_pos.clone(), sim.state.contact_wrench_b.clone()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    other = make(ARM)
    current = other.state_dict()
    with pytest.raises(WrongShape) as refusal:
        other.load_state_dict(saved)
    name = refusal.value.name
    assert refusal.value.wanted == tuple(current[name].shape)
    assert refusal.value.found == (tuple(saved[name].shape) if name in saved else None)


def test_a_world_that_diverges_is_reported_and_leaves_the_others_alone(make, tmp_path) -> None:
    """An infinite torque in environment 1."""
    sim = make(ARM, drives={"elbow": Drive("effort")}, timing=Timing(0.001, 5))
    targets = torch.zeros(3, 2)
    targets[1, 1] = math.inf
    sim.set_targets(targets)
    advance(sim)
    assert sim.state.diverged.tolist() == [False, True, False]
    assert sim.state.joint_pos.isfinite().all()
    sim.reset(sim.state.diverged.clone(), at_rest(sim))
    sim.set_targets(torch.zeros(3, 2))
    advance(sim)
    assert not sim.state.diverged.any()


def test_worlds_may_differ_in_their_parameters(make) -> None:
    """Gravity and mass by hand: 10 ms of -9.81, -1 and 0 m/s^2; 6 N on 2, 3 and 6 kg."""
    sim = make(
        FREE_BODY.format(gravity=-G, com=0), timing=Timing(0.001, 10), parameters=("gravity",)
    )
    gravity = sim.parameters["gravity"].clone()
    torch.testing.assert_close(gravity, rows(sim, 0, 0, -G))
    gravity[1, 2], gravity[2, 2] = -1.0, 0.0
    sim.set_parameter("gravity", gravity)
    advance(sim)
    wanted = torch.tensor([-0.0981, -0.01, 0.0])
    torch.testing.assert_close(sim.state.root_lin_vel_w[:, 2], wanted, atol=1e-5, rtol=0)

    sim = make(
        SLIDERS,
        drives={"slide_a": Drive("effort")},
        timing=Timing(0.001, 10),
        parameters=("body_mass",),
    )
    assert sim.parameters["body_mass"].tolist() == [[2.0, 2.0]] * 3
    mass = torch.tensor([[2.0, 2.0], [3.0, 2.0], [6.0, 2.0]])
    sim.set_parameter("body_mass", mass)
    assert torch.equal(sim.parameters["body_mass"], mass)
    sim.set_targets(rows(sim, 6.0, 0.0))
    advance(sim)
    # v = F t / m
    torch.testing.assert_close(
        sim.state.joint_vel[:, 0], torch.tensor([0.03, 0.02, 0.01]), atol=1e-6, rtol=0
    )
    with pytest.raises(WrongShape) as refusal:
        sim.set_parameter("body_mass", torch.ones(3))
    assert refusal.value.name == "body_mass"
    assert (refusal.value.wanted, refusal.value.found) == ((3, 2), (3,))


def test_drives_and_joints_may_differ_between_worlds(make) -> None:
    """Stiffness 0, 100 and 200 N/m pull 2 kg towards 1 m for 10 ms; then damping slows it down."""
    drive = Drive("position", stiffness=200, damping=0)
    sim = make(
        SLIDERS,
        drives={"slide_b": drive},
        timing=Timing(0.0001, 100),
        parameters=("drive_stiffness", "drive_damping", "joint_damping", "joint_armature"),
    )
    assert sim.parameters["drive_stiffness"].tolist() == [[0.0, 200.0]] * 3
    assert sim.parameters["joint_damping"].shape == (3, 2)
    sim.set_parameter("drive_stiffness", torch.tensor([[0.0, 0.0], [0.0, 100.0], [0.0, 200.0]]))
    sim.set_targets(rows(sim, 0.0, 1.0))
    advance(sim)
    # v = k x t / m = 0, 0.5, 1.0 while x is near 1
    wanted = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(sim.state.joint_vel[:, 1], wanted, atol=5e-3, rtol=0)
    sim.reset(everyone(sim), ResetState(rows(sim, 0, 0), rows(sim, 1.0, 0.0)))
    sim.set_parameter("joint_armature", torch.tensor([[0.0, 0.0], [0.0, 0.0], [2.0, 0.0]]))
    sim.set_parameter("joint_damping", torch.tensor([[0.0, 0.0], [20.0, 0.0], [40.0, 0.0]]))
    sim.set_parameter("drive_damping", torch.zeros(3, 2))
    advance(sim)
    # v = exp(-c t / m): c 20 on 2 kg and c 40 on 2 + 2 kg both decay by exp(-0.1).
    wanted = torch.tensor([1.0, math.exp(-0.1), math.exp(-0.1)])
    torch.testing.assert_close(sim.state.joint_vel[:, 0], wanted, atol=1e-3, rtol=0)


def test_friction_may_differ_between_worlds(make) -> None:
    """A sled with friction 0.05, 0.2 and 0.8 loses mu times what the ground pushes it up by."""
    mjcf = """<mujoco><worldbody><geom type="plane" size="5 5 1" conaffinity="1" contype="0"/>
      <body name="sled" pos="0 0 0.1"><freejoint name="root"/>
        <geom type="sphere" size="0.1" pos="0.3 0.3 0" mass="1" contype="1" conaffinity="0"/>
        <geom type="sphere" size="0.1" pos="-0.3 0.3 0" mass="1" contype="1" conaffinity="0"/>
        <geom type="sphere" size="0.1" pos="0.3 -0.3 0" mass="1" contype="1" conaffinity="0"/>
        <geom type="sphere" size="0.1" pos="-0.3 -0.3 0" mass="1" contype="1" conaffinity="0"/>
      </body></worldbody></mujoco>"""
    sim = make(mjcf, timing=Timing(0.002, 50), parameters=("friction",))
    assert sim.parameters["friction"].shape == (3, 5)
    sim.set_parameter("friction", torch.tensor([[0.05] * 5, [0.2] * 5, [0.8] * 5]))
    for _ in range(3):  # settle
        advance(sim)
    settled = sim.state.root_pos_w.clone()
    sim.reset(everyone(sim), at_rest(sim, root_pos_w=settled, root_lin_vel_w=rows(sim, 3, 0, 0)))
    advance(sim)
    lost = 3.0 - sim.state.root_lin_vel_w[:, 0]
    # The ground's impulse for each kilogram: gravity's in 0.1 s, and that of the sled's bounce.
    pushed = G * 0.1 + sim.state.root_lin_vel_w[:, 2]
    assert pushed.tolist() == pytest.approx([G * 0.1] * 3, rel=0.06)
    torch.testing.assert_close(lost, torch.tensor([0.05, 0.2, 0.8]) * pushed, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("scene", "name", "known"),
    [
        ({"drives": {"knee": Drive("effort")}}, "knee", "elbow"),
        ({"wrench_bodies": ("hand",)}, "hand", "upper"),
        ({"parameters": ("colour",)}, "colour", "body_mass"),
    ],
)
def test_a_name_that_is_not_in_the_asset_is_refused(make, scene, name, known) -> None:
    """The message lists the names that exist."""
    with pytest.raises(UnknownName) as refusal:
        make(ARM, **scene)
    assert (refusal.value.kind, refusal.value.name) == (next(iter(scene)), name)
    assert known in refusal.value.known
    assert names(refusal.value, name, known)


def test_an_unknown_engine_is_refused(tmp_path) -> None:
    """The message lists the engines."""
    with pytest.raises(UnknownName) as refusal:
        make_simulator("bullet", SceneSpec(tmp_path, {}), FINE, 1)
    assert (refusal.value.kind, refusal.value.name) == ("sim", "bullet")
    assert refusal.value.known[:2] == ("fused", "mujoco")
    assert names(refusal.value, "bullet", "fused", "mujoco")
