"""The actuators that scenes add: nothing that a file says of its own actuators changes them."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from rlgpu.sim import Drive, SceneSpec, Timing
from rlgpu.sim.mujoco.actuators import add_joint_actuator
from rlgpu.sim.mujoco.model import build_model

SLIDER = """<mujoco>{options}<default>{defaults}</default><worldbody>
  <body name="mass"><joint name="lift" type="slide" axis="0 0 1"/>
    <geom type="sphere" size=".1" mass="2"/></body></worldbody></mujoco>"""
EVERYTHING = """<general ctrlrange="-1 1" ctrllimited="true" forcerange="-2 2" forcelimited="true"
  actrange="-3 3" actlimited="true" actdim="1" actearly="true" delay="0.05" nsample="9"
  interp="linear" damping="4" armature="5" gear="6 6 6 6 6 6" cranklength="0.7" group="3"
  dyntype="integrator" dynprm="9" gaintype="affine" gainprm="10 11 12"
  biastype="affine" biasprm="13 14 15"/>"""
LEFT_OVER = {
    "general": EVERYTHING,
    "motor": '<motor ctrlrange="-1 1" forcerange="-2 2" gear="3"/>',
    "position": '<position kp="70" dampratio="1" timeconst="0.1" inheritrange="1"/>',
    "velocity": '<velocity kv="80" ctrlrange="-1 1"/>',
    "intvelocity": '<intvelocity kp="70" actrange="-1 1"/>',
    "damper": '<damper kv="80" ctrlrange="0 1"/>',
    "cylinder": '<cylinder timeconst="0.3" area="4" bias="1 2 3"/>',
    "muscle": '<muscle ctrlrange="0 1" force="100"/>',
    "dcmotor": '<dcmotor motorconst="1 2" resistance="2" ctrlrange="-1 1"/>',
    "pid": '<pid kp="5" ctrlrange="-1 1"/>',
    "orientation": '<orientation kp="3"/>',
    "adhesion": '<adhesion gain="3" ctrlrange="0 1"/>',
}
DRIVES = {
    "effort": Drive("effort"),
    "limited": Drive("effort", effort_limit=60.0),
    "position": Drive("position", stiffness=30.0, damping=2.0, effort_limit=9.0),
}


def actuators(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Returns all that a model says of its actuators."""
    names = [name for name in dir(model) if name.startswith("actuator_")]
    sizes = {name: np.array(getattr(model, name)) for name in ("nu", "na", "nhistory")}
    return {name: np.array(getattr(model, name)) for name in names} | sizes


def build(tmp_path: Path, drive: Drive, *, defaults: str = "", options: str = ""):
    """Returns the model of a driven slider."""
    asset = tmp_path / "slider.xml"
    asset.write_text(SLIDER.format(defaults=defaults, options=options))
    return build_model(SceneSpec(asset, {"lift": drive}), Timing(0.002, 1))


@pytest.mark.parametrize("drive", DRIVES.values(), ids=DRIVES)
@pytest.mark.parametrize("defaults", LEFT_OVER.values(), ids=LEFT_OVER)
def test_a_files_defaults_do_not_change_the_actuators_of_drives(tmp_path, defaults, drive) -> None:
    """All fields of MuJoCo's model are those of the same file without defaults."""
    wanted = actuators(build(tmp_path, drive))
    for name, values in actuators(build(tmp_path, drive, defaults=defaults)).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


def test_a_file_that_switches_groups_of_actuators_off_leaves_drives_on(tmp_path) -> None:
    """20 N on 2 kg for 2 ms give 0.02 m/s, though the file disables group 0."""
    model = build(
        tmp_path, DRIVES["effort"], options='<option gravity="0 0 0" actuatorgroupdisable="0"/>'
    )
    data = mujoco.MjData(model)
    data.ctrl[:] = 20.0
    mujoco.mj_step(model, data)
    assert data.qvel[0] == pytest.approx(0.02)


def test_every_attribute_of_an_actuator_starts_from_mujocos_own_default() -> None:
    """A specification whose defaults were all changed gets the actuator of an empty one."""
    changed = mujoco.MjSpec.from_string(SLIDER.format(options="", defaults=EVERYTHING))
    plain = mujoco.MjSpec.from_string(SLIDER.format(options="", defaults=""))
    for spec in (changed, plain):
        add_joint_actuator(spec, "drive", "lift")
    own, wanted = (actuators(spec.compile()) for spec in (changed, plain))
    for name, values in own.items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)
