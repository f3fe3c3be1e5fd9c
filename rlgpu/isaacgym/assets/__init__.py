"""Assets: MJCF and URDF files and primitive shapes, as specifications of MuJoCo."""

from rlgpu.isaacgym.assets.asset import Actuator, Asset, Sensor
from rlgpu.isaacgym.assets.mjcf import load_mjcf
from rlgpu.isaacgym.assets.primitives import box, capsule, sphere
from rlgpu.isaacgym.assets.urdf import load_urdf

__all__ = ["Actuator", "Asset", "Sensor", "box", "capsule", "load_mjcf", "load_urdf", "sphere"]
