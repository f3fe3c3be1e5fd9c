"""Actuators between targets and torques: delays, torque-speed limits, networks.

Without them an engine's own drives follow the targets of a control step. With them each physics
step has torques of its own.
"""

from rlgpu.sim.actuators.simulator import ActuatedSimulator, behind_actuators

__all__ = ["ActuatedSimulator", "behind_actuators"]
