"""Robots that tests write to files: a dog and a biped of capsules and boxes."""

from __future__ import annotations

from pathlib import Path

SHANK = 0.25
"""Length of thigh and shank [m]."""
MOTORS = "".join(
    f'<motor joint="{leg}_{joint}" ctrlrange="-20 20" gear="1.5"/>'
    for leg in ("FL", "FR", "RL", "RR")
    for joint in ("hip", "thigh", "calf")
)
STAND = " ".join(["0 0.8 -1.6"] * 4)
KEYS = f"""<keyframe>
<key name="down" qpos="0 0 0.1 1 0 0 0 {" ".join(["0 1.4 -2.6"] * 4)}"/>
<key name="stand" qpos="0 0 0.36 1 0 0 0 {STAND}"/></keyframe>"""


def _leg(name: str, x: float, y: float) -> str:
    return f"""<body name="{name}_hip" pos="{x} {y} 0">
      <inertial pos="0 0 0" mass="0.5" diaginertia="0.001 0.001 0.001"/>
      <joint name="{name}_hip" axis="1 0 0" range="-0.8 0.8"/>
      <body name="{name}_thigh">
        <joint name="{name}_thigh" axis="0 1 0" range="-1 3"/>
        <geom type="capsule" fromto="0 0 0 0 0 -{SHANK}" size="0.02" mass="0.8"/>
        <body name="{name}_calf" pos="0 0 -{SHANK}">
          <joint name="{name}_calf" axis="0 1 0" range="-2.7 -0.5"/>
          <geom type="capsule" fromto="0 0 0 0 0 -{SHANK}" size="0.015" mass="0.2"/>
          <geom type="sphere" pos="0 0 -{SHANK}" size="0.02" mass="0.05"/>
          <site name="{name}_site" pos="0 0 -{SHANK}"/>
        </body></body></body>"""


def dog(
    folder: Path, *, actuators: str = MOTORS, keys: str = "", joint: str = "", more: str = ""
) -> Path:
    """Writes a robot on four legs, with a ground, a ball beside it and sensors of both.

    Args:
        folder: Where to.
        actuators: Elements of ``actuator``.
        keys: A ``keyframe`` element.
        joint: Attributes of all joints, such as ``armature="0.01"``.
        more: Elements at the end.
    """
    legs = ((n, 0.2 * (1 - 2 * (n[0] == "R")), 0.1 * (1 - 2 * (n[1] == "R"))) for n in _NAMES)
    path = folder / "dog.xml"
    path.write_text(f"""<mujoco model="dog"><compiler angle="radian"/>
  <default><joint {joint}/></default>
  <worldbody><geom name="floor" type="plane" size="5 5 1"/><light pos="0 0 3"/>
    <body name="ball" pos="2 0 0.1"><freejoint/><geom name="ball" size="0.1"/></body>
    <body name="trunk" pos="0 0 0.5"><freejoint/>
      <geom type="box" size="0.25 0.08 0.05" mass="6"/>
      <geom type="box" size="0.3 0.1 0.06" mass="0" contype="0" conaffinity="0" group="2"/>
      <site name="imu" pos="0.1 0 0" euler="0 0 1.5708"/>
      {"".join(_leg(*leg) for leg in legs)}
    </body></worldbody>
  <actuator>{actuators}</actuator>
  <sensor><gyro name="gyro" site="imu"/><framepos name="ball_at" objtype="body" objname="ball"/>
  </sensor>{keys}{more}</mujoco>""")
    return path


_NAMES = ("FL", "FR", "RL", "RR")


def _biped_leg(side: str, y: float) -> str:
    def link(name: str, kind: str, below: str, size: str, mass: float) -> str:
        return f"""<link name="{side}_{name}"><inertial><mass value="{mass}"/>
          <origin xyz="0 0 -0.1"/><inertia ixx="0.02" iyy="0.02" izz="0.01" ixy="0" ixz="0"
          iyz="0"/></inertial><collision><origin xyz="{below}"/><geometry><{kind} {size}/>
          </geometry></collision><visual><geometry><sphere radius="0.3"/></geometry>
          <material name="red"/></visual></link>"""

    def joint(parent: str, child: str, name: str, at: str, axis: str, limits: str) -> str:
        low, high, effort = limits.split()
        return f"""<joint name="{side}_{name}" type="revolute"><parent link="{parent}"/>
          <child link="{side}_{child}"/><origin xyz="{at}"/><axis xyz="{axis}"/>
          <limit lower="{low}" upper="{high}" effort="{effort}" velocity="20"/></joint>"""

    return (
        link("hip", "sphere", "0 0 0", 'radius="0.04"', 1.0)
        + link("thigh", "box", "0 0 -0.15", 'size="0.08 0.08 0.2"', 3.0)
        + link("shank", "box", "0 0 -0.15", 'size="0.06 0.06 0.2"', 2.0)
        + link("foot", "box", "0.03 0 -0.03", 'size="0.2 0.1 0.02"', 0.6)
        + joint("pelvis", "hip", "hip_roll", f"0 {y} 0", "1 0 0", "-0.5 0.5 60")
        + joint(f"{side}_hip", "thigh", "hip_pitch", "0 0 0", "0 1 0", "-1.5 1.5 80")
        + joint(f"{side}_thigh", "shank", "knee", "0 0 -0.3", "0 1 0", "0 2.2 80")
        + joint(f"{side}_shank", "foot", "ankle", "0 0 -0.3", "0 1 0", "-0.8 0.8 30")
    )


def biped(folder: Path) -> Path:
    """Writes a robot on two legs as URDF, freed by a floating joint."""
    path = folder / "biped.urdf"
    path.write_text(f"""<robot name="biped"><material name="red"><color rgba="1 0 0 1"/></material>
      <link name="world"/><joint name="base" type="floating"><parent link="world"/>
      <child link="pelvis"/></joint>
      <link name="pelvis"><inertial><mass value="10"/><origin xyz="0 0 0.15"/>
      <inertia ixx="0.2" iyy="0.2" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial>
      <collision><origin xyz="0 0 0.15"/><geometry><box size="0.15 0.25 0.3"/></geometry>
      </collision></link>{_biped_leg("left", 0.1)}{_biped_leg("right", -0.1)}</robot>""")
    return path
