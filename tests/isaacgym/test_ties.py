"""Stiff drives in loops, which attractors and contacts close."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import pytest
import torch
from scenes import GYM, PENDULUM, at, close, ids, new_env, new_sim, run, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi

FLOAT_MAX = 3.4e38
ASSETS = Path(__file__).parents[2] / "tasks" / "assets"
LENGTH, RADIUS = 0.36, 0.4
HEIGHT = LENGTH * math.sqrt(2) + 0.05
"""Height of the tray above the feet's targets [m]."""


def leg(i):
    """Returns a leg of the tray: an upper part that leans by 45 degrees, and a lower one."""
    turn, lean = math.pi * i / 3, -3 * math.pi / 8
    out, down = RADIUS - LENGTH / 2**1.5, -0.03 - LENGTH / 2**1.5
    c, s, cl, sl = math.cos(turn), math.sin(turn), math.cos(lean), math.sin(lean)
    place = f"{out * math.cos(2 * turn)} {out * math.sin(2 * turn)} {down}"
    half, bone = LENGTH / 2, f'<geom type="capsule" size="0.02 {LENGTH / 2}"/>'
    hinge = f'type="hinge" axis="0 1 0" pos="0 0 {-half}"'
    return f"""<body name="upper{i}" pos="{place}" quat="{c * cl} {-s * sl} {c * sl} {s * cl}">
        {bone}<joint name="hip{i}" {hinge}/><body name="lower{i}" pos="{-half} 0 {half}"
        quat="{math.sqrt(0.5)} 0 {-math.sqrt(0.5)} 0">{bone}<joint name="knee{i}" {hinge}/></body>
        </body>"""


def tray(sim, tmp_path):
    """Returns a tray on three legs."""
    (tmp_path / "tray.xml").write_text(
        f"""<mujoco><worldbody><body name="tray" pos="0 0 {HEIGHT}"><freejoint/>
        <geom type="cylinder" size="0.5 0.01" density="100"/>{leg(0)}{leg(1)}{leg(2)}</body>
        </worldbody></mujoco>"""
    )
    return GYM.load_asset(sim, str(tmp_path), "tray.xml", gymapi.AssetOptions())


def set_drives(env, handle, knees, **values):
    """Gives the knees position drives and frees the hips."""
    properties = GYM.get_actor_dof_properties(env, handle)
    properties["driveMode"], properties["stiffness"], properties["damping"] = 0, 0, 0
    properties["driveMode"][knees] = gymapi.DOF_MODE_POS
    for name, value in values.items():
        properties[name][knees] = value
    GYM.set_actor_dof_properties(env, handle, properties)


def tie(env, body, target, offset=0.0):
    """Ties a body of the environment to a point."""
    properties = gymapi.AttractorProperties()
    properties.stiffness, properties.damping = 5e7, 5e3
    properties.axes, properties.rigid_handle = gymapi.AXIS_TRANSLATION, body
    properties.target.p, properties.offset.p.z = gymapi.Vec3(*target), offset
    GYM.create_rigid_body_attractor(env, properties)


def tied_tray(engine, tmp_path, dt, effort):
    """Returns a simulation of a tray on tied legs with a ball above it, its environment, knees."""
    sim, options = new_sim(engine, dt=dt), gymapi.AssetOptions()
    options.density = 200
    assets, env = (tray(sim, tmp_path), GYM.create_sphere(sim, 0.1, options)), new_env(sim)
    handle = GYM.create_actor(env, assets[0], at(z=HEIGHT), "tray", 0, 0)
    knees = [GYM.find_actor_dof_handle(env, handle, f"knee{i}") for i in range(3)]
    set_drives(env, handle, knees, stiffness=4000, damping=100, effort=effort)
    for i in range(3):
        angle = 2 * math.pi * i / 3
        body = GYM.find_actor_rigid_body_handle(env, handle, f"lower{i}")
        target = RADIUS * math.cos(angle), RADIUS * math.sin(angle), 0.02
        tie(env, body, target, LENGTH / 2)
    GYM.create_actor(env, assets[1], at(z=HEIGHT + 0.3), "ball", 0, 0)
    GYM.prepare_sim(sim)
    return sim, env, knees


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize(("dt", "effort"), [(0.01, FLOAT_MAX), (0.0025, FLOAT_MAX), (0.01, 5.0)])
def test_a_tray_on_tied_legs_carries_a_ball(engine, dt, effort, tmp_path):
    """It gives way by what statics says, at any step: 0.84 kg on drives of 4000 N m/rad."""
    sim, env, knees = tied_tray(engine, tmp_path, dt, effort)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    fastest = 0.0
    for _ in range(round(2.0 / dt)):
        GYM.simulate(sim)
        fastest = max(fastest, float(roots[0, 7:10].norm()))
    assert fastest < 0.5
    close(roots[:, 7:10], 0.0, atol=5e-3)
    # Hips stay above feet at a distance of 2 L cos(a), a = 45 degrees, and knees turn by 2 da. The
    # work of the weights, of which the legs' parts sink by 3/4 and 1/4, is that of the knees:
    # (W / 3 + 3/4 w + 1/4 w) 2 L sin(a) da = kp q 2 da.
    bodies = GYM.get_actor_rigid_body_properties(env, 0)
    weight = 9.81 * (bodies[0].mass + 200 * 4 / 3 * math.pi * 0.1**3)
    expected = (weight / 3 + 9.81 * bodies[1].mass) * LENGTH * math.sqrt(0.5) / 4000
    close(abs(dofs[knees, 0]), expected, rtol=5e-3)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize(("stiffness", "damping"), [(4000, 100), (1e5, 10)])
def test_a_robot_on_stiff_drives_stands_still(engine, stiffness, damping):
    """ANYmal at a step of 10 ms: at rest after a second, as high as its legs' angles say."""
    sim = new_sim(engine, ground=True)
    asset = GYM.load_asset(sim, str(ASSETS), "anymal.xml", gymapi.AssetOptions())
    env = new_env(sim)
    GYM.create_actor(env, asset, at(z=0.6), "robot", 0, 1)
    set_drives(env, 0, slice(None), stiffness=stiffness, damping=damping, effort=FLOAT_MAX)
    bend = {"HAA": 0.0, "HFE": 0.4, "KFE": -0.8}
    angles = [bend[n[-3:]] * (1 if n[1] == "F" else -1) for n in GYM.get_actor_dof_names(env, 0)]
    states = GYM.get_actor_dof_states(env, 0, gymapi.STATE_ALL)
    states["pos"] = angles
    GYM.set_actor_dof_states(env, 0, states, gymapi.STATE_ALL)
    GYM.set_actor_dof_position_targets(env, 0, angles)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    run(sim, 100)
    for _ in range(50):
        run(sim, 1)
        close(dofs[:, 1], 0.0, atol=2e-3)
    data = mujoco.MjData(asset.model)
    data.qpos[:] = angles
    mujoco.mj_kinematics(asset.model, data)
    spheres = asset.model.geom_type == mujoco.mjtGeom.mjGEOM_SPHERE
    lowest = (data.geom_xpos[:, 2] - asset.model.geom_size[:, 0])[spheres].min()
    close(roots[0, 2], data.xpos[1, 2] - lowest, atol=4e-3)


def test_tied_drives_keep_their_limits(tmp_path):
    """Drives of 2 N m, where 3.2 are needed, let the tray sink to the feet, without a leap."""
    sim, _, _ = tied_tray("mujoco", tmp_path, 0.01, 2.0)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    for _ in range(200):
        GYM.simulate(sim)
        assert float(roots[0, 7:10].norm()) < 4.0  # a fall of 0.5 m ends with 3.1 m/s
    assert roots[0, 2] < 0.1


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_a_drive_acts_alike_beside_an_attractor(engine, tmp_path):
    """A pendulum's motion, force and mass matrix do not depend on a tied ball beside it."""
    sim, options = new_sim(engine), gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index in range(2):
        env = new_env(sim)
        GYM.create_actor(env, asset, at(z=2.0), "arm", 0, 0)
        GYM.enable_actor_dof_force_sensors(env, 0)
        set_drives(env, 0, [0], stiffness=400, damping=20, effort=FLOAT_MAX)
        GYM.create_actor(env, ball, at(x=3.0), "ball", 0, 0)
        if index:
            tie(env, 2, (3.0, 0.0, 0.0))
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 2
    dofs, forces = (
        wrapped(t) for t in (GYM.acquire_dof_state_tensor(sim), GYM.acquire_dof_force_tensor(sim))
    )
    mass = wrapped(GYM.acquire_mass_matrix_tensor(sim, "arm"))
    GYM.set_dof_position_target_tensor(sim, unwrap(torch.tensor([0.5, 0.5])))
    for step in range(60):
        if step == 30:
            dofs[:, 1] = 3.0
            GYM.set_dof_state_tensor_indexed(sim, unwrap(dofs), ids(0, 2), 2)
        run(sim, 1)
        close(dofs[0], dofs[1], rtol=1e-4, atol=1e-5)
        close(forces[0], forces[1], rtol=1e-3, atol=1e-2)
    close(mass.flatten(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_efforts_keep_their_limit_beside_an_attractor(engine, tmp_path):
    """Efforts of 100 N m in every second step, of which 10 act, where another actor has a drive.

    Five steps of 0.01 s turn 1 kg m^2 to 5 * 0.01 * 10 = 0.5 rad/s.
    """
    sim, options = new_sim(engine, gravity=(0.0, 0.0, 0.0)), gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), options)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    env = new_env(sim)
    for place, mode in enumerate((gymapi.DOF_MODE_EFFORT, gymapi.DOF_MODE_VEL)):
        GYM.create_actor(env, asset, at(y=float(place)), f"arm{place}", 0, 1)
        set_drives(env, place, [0], driveMode=mode, damping=20 * place, effort=10)
    GYM.create_actor(env, ball, at(x=3.0), "ball", 0, 1)
    tie(env, 4, (3.0, 0.0, 0.0))
    GYM.prepare_sim(sim)
    dofs = wrapped(GYM.acquire_dof_state_tensor(sim))
    for step in range(10):
        efforts = torch.tensor([100.0 * (step % 2 == 0), 0.0])
        GYM.set_dof_actuation_force_tensor(sim, unwrap(efforts))
        run(sim, 1)
    close(dofs[0, 1], 0.5, rtol=1e-3)
