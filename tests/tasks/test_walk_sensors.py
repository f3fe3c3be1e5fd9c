"""Sensors of a robot's file, its IMU's axes and the heights around it, as Walk observes them."""

from __future__ import annotations

import mujoco
import pytest
import torch

from rlgpu.errors import UsageError
from tests.robots.files import biped, dog
from tests.tasks.placing import place
from tests.tasks.test_walk import QUIET, make_env

SENSORS = """<sensor><velocimeter name="calf_speed" site="RR_site"/>
  <framezaxis name="up" objtype="site" objname="imu"/>
  <framequat name="calf_quat" objtype="xbody" objname="RR_calf"/>
  <framepos name="paw" objtype="site" objname="RR_site"/>
  <framelinvel name="paw_speed" objtype="site" objname="RR_site"/>
  <touch name="paw_touch" site="RR_site"/><accelerometer name="shake" site="imu"/></sensor>"""
NAMES = ["gyro", "calf_speed", "up", "calf_quat", "paw", "paw_speed"]


def tumbling(env) -> mujoco.MjData:
    """Puts robots into a tilted, turning pose in the air; returns MuJoCo's view of it."""
    quat = torch.tensor([0.1, -0.3, 0.2, 0.9])
    state = {
        "root_pos_w": [0.3, -0.2, 2.0],
        "root_quat_w": (quat / quat.norm()).tolist(),
        "root_lin_vel_w": [0.5, -1.0, 0.3],
        "root_ang_vel_w": [1.0, 2.0, -1.5],
        "joint_pos": [0.1, 0.7, -1.4] * 4,
        "joint_vel": [0.5, -1.0, 2.0] * 4,
    }
    place(env, **state)
    env.sim.refresh()
    mirror = env.sim.mirror()
    mirror.show(0)
    model, data = mirror.model, mirror.data
    data.qvel[:3] = state["root_lin_vel_w"]
    turn = data.xmat[model.body("trunk").id].reshape(3, 3)
    data.qvel[3:6] = turn.T @ state["root_ang_vel_w"]  # a free joint's rates are the body's own
    data.qvel[6:] = state["joint_vel"]
    mujoco.mj_forward(model, data)
    return data


def test_sensors_are_mujocos(tmp_path) -> None:
    """Every kind that is computed, on the base and on a leg, against ``sensordata``."""
    path = dog(tmp_path, more=SENSORS)
    env = make_env(f"robot={path}", f"task.sensors=[{','.join(NAMES)}]", *QUIET)
    data = tumbling(env)
    seen = env.task.observe(env.sim.state, torch.zeros(2, 12))
    for name in NAMES:
        wanted = data.sensor(name).data.copy()
        if name == "calf_quat":  # (w, x, y, z) there
            wanted = wanted[[1, 2, 3, 0]]
        found = seen[0, env.task.columns[name]]
        assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-4), name


def test_a_touch_sensor_is_the_force_on_its_body(tmp_path) -> None:
    """What the engine has on the calf, about a fourth of the dog's weight; none in the air."""
    env = make_env(f"robot={dog(tmp_path, more=SENSORS)}", "task.sensors=[paw_touch]", *QUIET)
    pose = env.task._default.tolist()
    place(env, joint_pos=pose, root_pos_w=[0.0, 0.0, env.task.walker.start_height])
    env.sim.set_targets(env.task._default.repeat(2, 1))
    for _ in range(50):
        env.sim.step()
    env.sim.refresh()
    seen = env.task.observe(env.sim.state, torch.zeros(2, 12))[:, env.task.columns["paw_touch"]]
    calf = env.sim.body_names.index("RR_calf")
    force = env.sim.state.contact_force_w[:, calf].norm(dim=-1)
    assert seen.tolist() == force.tolist()
    assert force.tolist() == pytest.approx([12.2 * 9.81 / 4] * 2, rel=0.5)
    place(env, root_pos_w=[0.0, 0.0, 2.0])
    assert not env.task.observe(env.sim.state, torch.zeros(2, 12))[:, -1].any()


def test_rates_and_gravity_are_those_of_the_imu(tmp_path) -> None:
    """The dog's is turned by a right angle about z: its x axis is the base's y axis."""
    path = dog(tmp_path)
    plain, turned = (make_env(f"robot={path}", *words, *QUIET) for words in ((), ("task.imu=imu",)))
    for env in (plain, turned):
        tumbling(env)
    base, imu = (e.task.observed(e.sim.state, torch.zeros(2, 12)) for e in (plain, turned))
    for name in ("gravity_b", "ang_vel_b"):
        x, y, z = base[name][0].tolist()
        assert imu[name][0].tolist() == pytest.approx([y, -x, z], abs=1e-5)
    assert imu["joint_pos"].equal(base["joint_pos"])
    # 10 cm ahead of the base's origin, the IMU moves with its turning too
    assert imu["lin_vel_b"][0].tolist() != pytest.approx(
        [
            base["lin_vel_b"][0, 1].item(),
            -base["lin_vel_b"][0, 0].item(),
            base["lin_vel_b"][0, 2].item(),
        ],
        abs=1e-3,
    )


def test_a_link_of_a_urdf_is_a_place_for_an_imu(tmp_path) -> None:
    """Links joined by fixed joints become one body, and remain as sites."""
    path = biped(tmp_path)
    imu = """<link name="imu_link"/><joint name="imu" type="fixed"><parent link="pelvis"/>
      <child link="imu_link"/><origin xyz="0 0 0.1" rpy="0 0 1.5708"/></joint></robot>"""
    path.write_text(path.read_text().replace("</robot>", imu))
    env = make_env(f"robot={path}", "task.imu=imu_link", *QUIET)
    place(env, root_pos_w=[0.0, 0.0, 2.0], root_ang_vel_w=[1.0, 0.0, 0.0])
    seen = env.task.observed(env.sim.state, torch.zeros(2, 8))["ang_vel_b"]
    scale = env.task.config.ang_vel_scale
    assert seen[0].tolist() == pytest.approx([0.0, -scale, 0.0], abs=1e-4)


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("task.sensors=[giro]", "task.sensors", "giro"),
        ("task.sensors=[shake]", "task.sensors", "shake"),
        ("task.imu=head", "task.imu", "head"),
    ],
)
def test_sensors_that_are_not_there_are_refused(tmp_path, word, key, value) -> None:
    """With those that are, and with the kinds that are computed."""
    with pytest.raises(UsageError) as refusal:
        make_env(f"robot={dog(tmp_path, more=SENSORS)}", word)
    assert (refusal.value.key, refusal.value.value) == (key, value)
    assert {"gyro", "imu"} & set(map(str, refusal.value.allowed))


def test_heights_around_are_those_of_the_ground(tmp_path) -> None:
    """On a ramp of 10 % along x, seen by a robot that faces along y: it rises to the right."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef ramp(spacing, generator):\n"
        "    return np.repeat(0.1 * spacing * np.arange(101)[:, None], 101, axis=1)\n"
    )
    words = ("task.height_scan=True", f"task.terrain.kind={tmp_path}/mine.py:ramp")
    env = make_env(f"robot={dog(tmp_path)}", *words, *QUIET)
    height = env.task.walker.base_height
    half = 0.5**0.5
    place(env, root_pos_w=[0.0, 0.0, 0.5 + height], root_quat_w=[0.0, 0.0, half, half])
    seen = env.task.observe(env.sim.state, torch.zeros(2, 12))[0, env.task.columns["heights"]]
    left = env.task._points[:, 1]
    # Left of a robot that faces y is -x, where the ground is lower
    assert seen.tolist() == pytest.approx((5.0 * 0.1 * left).tolist(), abs=1e-3)
    mirrored, _ = env.task.mirror(
        env.task.observe(env.sim.state, torch.zeros(2, 12)), torch.zeros(2, 12)
    )
    assert mirrored[0, env.task.columns["heights"]].tolist() == pytest.approx(
        (-5.0 * 0.1 * left).tolist(), abs=1e-3
    )


def test_robots_are_pushed_at_their_own_times(tmp_path) -> None:
    """All at once by default; with ``per_robot`` each once in an interval, spread over it."""
    words = ("task.noise.level=0", "task.pushes.interval=0.2", "task.start_max_speed=0")
    for own in (False, True):
        env = make_env(f"robot={dog(tmp_path)}", *words, f"task.pushes.per_robot={own}", n=8)
        pushed = []
        for _ in range(10):
            place(env, root_pos_w=[0.0, 0.0, 5.0])
            env.task._drawn.fill_(0.5)
            env.task.advance(env.sim.state)
            env.sim.refresh()
            pushed.append(env.sim.state.root_lin_vel_w[:, 0] > 0.1)
        times = torch.stack(pushed)
        assert times.sum(0).tolist() == [1] * 8
        assert (int(times.any(1).sum()) > 4) == own
