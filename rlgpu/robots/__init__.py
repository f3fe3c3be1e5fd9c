"""Robots from files: MJCF and URDF as specifications of MuJoCo.

What a reader changes or leaves out it reports as a warning of the logger ``rlgpu.robots``.
"""

from rlgpu.robots.finish import finish
from rlgpu.robots.meshes import triangles_of
from rlgpu.robots.mjcf import read_mjcf
from rlgpu.robots.robot import Actuator, Drive, ReadOptions, Robot
from rlgpu.robots.urdf import read_urdf

__all__ = [
    "Actuator",
    "Drive",
    "ReadOptions",
    "Robot",
    "finish",
    "read_mjcf",
    "read_urdf",
    "triangles_of",
]
