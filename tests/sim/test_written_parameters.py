"""Parameters written at resets: each world moves like MuJoCo C on a model compiled with its values.

The reference is MJCF with the values in its text, so that MuJoCo's compiler derives all constants.
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim import Drive, ResetState, SceneSpec, Timing, make_simulator
from rlgpu.sim.scene import PARAMETERS

ENGINES = ["mujoco", "mujoco_warp", "fused"]
# A ball that slides on the ground off its centre of mass, an arm that falls against its limit, a
# mass on rails, and a free body that spins about an axis that is not a principal one.
MJCF = """<mujoco><option gravity="{gravity}" timestep="0.002" integrator="implicitfast"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <geom type="plane" size="9 9 1" conaffinity="1" friction="{friction}"/>
  <body name="ball" pos="0 0 .1"><freejoint name="ball"/>
    <inertial pos="{ball_com} 0 0" mass="{ball_mass}" diaginertia="{ball_inertia}"/>
    <geom type="sphere" size=".1" contype="1" friction="{friction}" solref=".03 1"/></body>
  <body name="upper" pos="0 2 1">
    <joint name="shoulder" axis="0 1 0" range="-20 20" damping="{damping}" armature="{armature}"/>
    <inertial pos="{upper_com} 0 0" mass="{upper_mass}" diaginertia="{upper_inertia}"/>
    <body name="lower" pos=".5 0 0">
      <joint name="elbow" axis="0 1 0" damping="{damping}" armature="{armature}"/>
      <inertial pos="{lower_com} 0 0" mass="{lower_mass}" diaginertia="{lower_inertia}"/>
    </body></body>
  <body name="sled" pos="0 4 0">
    <joint name="rail" type="slide" axis="1 0 0" damping="{damping}" armature="{armature}"/>
    <inertial pos="{sled_com} 0 0" mass="{sled_mass}" diaginertia="{sled_inertia}"/></body>
  <body name="spinner" pos="0 6 3"><freejoint name="spinner"/>
    <inertial pos="{spinner_com} 0 0" mass="{spinner_mass}" diaginertia="{spinner_inertia}"/>
    <body name="tail" pos="0 .3 .2"><inertial pos="{tail_com} 0 0" mass="{tail_mass}"
      diaginertia="{tail_inertia}"/></body></body>
  </worldbody>{actuators}</mujoco>"""
ACTUATORS = """<actuator><position joint="elbow" kp="{kp}" kv="{kv}"/><motor joint="rail"/>
  </actuator>"""
INERTIALS = {
    "ball": (0.0, 2.0, (0.02, 0.02, 0.02)),
    "upper": (0.25, 1.0, (0.01, 0.02, 0.03)),
    "lower": (0.2, 0.5, (0.004, 0.005, 0.006)),
    "sled": (0.0, 3.0, (0.1, 0.1, 0.1)),
    "spinner": (0.05, 1.5, (0.01, 0.03, 0.035)),
    "tail": (0.0, 0.5, (0.002, 0.002, 0.002)),
}
DRIVES = {"elbow": Drive("position", stiffness=20.0, damping=0.5), "rail": Drive("effort")}
PLAIN = {
    "gravity": (0.0, 0.0, -9.81),
    "friction": 0.3,
    "damping": 0.0,
    "armature": 0.0,
    "kp": 20.0,
    "kv": 0.5,
    "mass": 1.0,
    "com": 0.0,
}
WRITTEN = {
    "body_mass": {"mass": 2.0},
    "body_com": {"com": 0.07},
    "friction": {"friction": 0.05},
    "joint_damping": {"damping": 0.8},
    "joint_armature": {"armature": 0.4},
    "drive_stiffness": {"kp": 60.0},
    "drive_damping": {"kv": 2.0},
    "gravity": {"gravity": (3.0, -1.0, -5.0)},
}
"""What each parameter becomes in the worlds in which it is written."""


def text(values: dict, actuators: str = "") -> str:
    """Returns the MJCF with values in it."""
    words = {
        "gravity": "{} {} {}".format(*values["gravity"]),
        "friction": values["friction"],
        "damping": values["damping"],
        "armature": values["armature"],
    }
    for body, (com, mass, moments) in INERTIALS.items():
        scaled = [values["mass"] * moment for moment in moments]
        words[f"{body}_com"] = com + values["com"]
        words[f"{body}_mass"] = mass * values["mass"]
        words[f"{body}_inertia"] = "{} {} {}".format(*scaled)
    return MJCF.format(**words, actuators=actuators.format(kp=values["kp"], kv=values["kv"]))


def motion_of_compiled(values: dict, steps: int) -> np.ndarray:
    """Returns what MuJoCo C's own model with these values reaches: joints, ball, spinner."""
    model = mujoco.MjModel.from_xml_string(text(values, ACTUATORS))
    data = mujoco.MjData(model)
    data.joint("ball").qvel[:] = [1.0, 0.2, 0, 0, 0, 0]
    data.joint("spinner").qvel[3:] = [4.0, 5.0, 6.0]
    data.ctrl[:] = [0.5, 4.0]
    for _ in range(steps):
        mujoco.mj_step(model, data)
    joints = [data.joint(name).qpos for name in ("shoulder", "elbow", "rail")]
    return np.concatenate([*joints, data.joint("ball").qpos[:3], data.joint("spinner").qpos[:3]])


def values_of(sim, name: str) -> torch.Tensor:
    """Returns a parameter's values of the worlds in which it is written, shape [...]."""
    now, value = sim.parameters[name][0].clone(), next(iter(WRITTEN[name].values()))
    if name == "body_mass":
        return now * value
    if name == "body_com":
        now[:, 0] += value
        return now
    if name.startswith("drive_"):
        now[sim.joint_names.index("elbow")] = value
        return now
    return torch.tensor(value).expand_as(now).clone()


@pytest.fixture(scope="module", params=ENGINES)
def sim(request, tmp_path_factory):
    """Three worlds in which every parameter may vary."""
    asset = Path(tmp_path_factory.mktemp("robot")) / "robot.xml"
    asset.write_text(text(PLAIN))
    scene = SceneSpec(asset, DRIVES, objects=("spinner",), parameters=PARAMETERS)
    return make_simulator(request.param, scene, Timing(0.002, 10), 3)


def motion(sim, steps: int) -> np.ndarray:
    """Returns what all worlds reach from the start."""
    zeros = torch.zeros(3, len(sim.joint_names))
    sim.reset(
        torch.ones(3, dtype=torch.bool),
        ResetState(
            zeros,
            zeros,
            root_lin_vel_w=torch.tensor([[1.0, 0.2, 0.0]]).expand(3, 3),
            object_ang_vel_w=torch.tensor([[[4.0, 5.0, 6.0]]]).expand(3, 1, 3),
        ),
    )
    sim.set_targets(torch.tensor([[0.0, 0.5, 4.0]]).expand(3, 3))
    for _ in range(steps // 10):
        sim.step()
        sim.refresh()
    state = sim.state
    return torch.cat((state.joint_pos, state.root_pos_w, state.object_pos_w[:, 0]), dim=1).numpy()


@pytest.mark.parametrize("how", ["rows", "all"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_written_parameter_acts_as_if_compiled(sim, name, how) -> None:
    """Written in one world of three, at a reset or for all of them, and then written back."""
    plain = {parameter: values.clone() for parameter, values in sim.parameters.items()}
    changed = values_of(sim, name)
    if how == "rows":
        sim.set_parameters({name: changed[None]}, torch.tensor([1]))
    else:
        every = plain[name].clone()
        every[1] = changed
        sim.set_parameter(name, every)
    usual, other = (motion_of_compiled(PLAIN | own, 200) for own in ({}, WRITTEN[name]))
    assert np.abs(usual - other).max() > 0.01  # the value matters here
    exact = 1e-6 if sim.worlds.array("qpos").dtype == torch.float64 else 3e-4
    np.testing.assert_allclose(motion(sim, 200), [usual, other, usual], atol=exact, rtol=exact)
    sim.set_parameters({name: plain[name][1:2]}, torch.tensor([1]))
    np.testing.assert_allclose(motion(sim, 200), [usual] * 3, atol=exact, rtol=exact)
