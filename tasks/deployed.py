"""What surrounds the policy of a walking robot, for exported policies."""

from __future__ import annotations

from collections.abc import Mapping

from rlgpu.envs import Deployment, ObservationTerm
from rlgpu.tasks.legged_config import LocomotionConfig
from rlgpu.tasks.walker import GAIT_PERIOD, Walker


def deployment_of(
    config: LocomotionConfig,
    walker: Walker,
    columns: Mapping[str, int],
    *,
    base: str,
    imu: str = "",
    height_scale: float = 1.0,
    absolute: bool = False,
) -> Deployment:
    """Returns it, with the very numbers of the configuration.

    Args:
        config: The task's settings.
        walker: The robot.
        columns: Number of columns of each term of the observation, in order.
        base: The body that floats.
        imu: Site in whose axes motion is observed; empty: the base's.
        height_scale: Factor on observed heights.
        absolute: Whether joint positions are observed as they are, not from the default ones.
    """
    drives = walker.drives
    default = tuple(walker.default_joint_pos[name] for name in drives)
    lin, ang = config.lin_vel_scale, config.ang_vel_scale
    scales = {"lin_vel_b": lin, "ang_vel_b": ang, "joint_vel": config.joint_vel_scale}
    scales["heights"] = height_scale
    terms = []
    for name, size in columns.items():
        scale = (lin, lin, ang) if name == "commands" else (scales.get(name, 1.0),) * size
        is_relative = name == "joint_pos" and not absolute
        terms.append(ObservationTerm(name, scale, default if is_relative else (0.0,) * size))
    ranges = config.commands
    commands = {"lin_vel_x": ranges.lin_vel_x, "lin_vel_y": ranges.lin_vel_y}
    if ranges.follow_heading:  # the yaw velocity that it asks for is at most this
        commands |= {"ang_vel_yaw": [-1.0, 1.0], "heading": ranges.heading}
    else:
        commands["ang_vel_yaw"] = ranges.ang_vel_yaw
    return Deployment(
        joints=tuple(drives),
        default_joint_pos=default,
        stiffness=tuple(drive.stiffness for drive in drives.values()),
        damping=tuple(drive.damping for drive in drives.values()),
        effort_limit=tuple(drive.effort_limit for drive in drives.values()),
        action_scale=tuple(walker.action_scale[name] for name in drives),
        observations=tuple(terms),
        commands={name: (low, high) for name, (low, high) in commands.items()},
        base=base,
        start_height=walker.start_height,
        start_joint_pos=dict(walker.default_joint_pos),
        gait_period=GAIT_PERIOD,
        imu=imu,
    )
