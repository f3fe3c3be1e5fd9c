"""A robot from a file walks as commanded, on two, four or more legs.

    python train.py task=Walk robot=path/to/robot.xml headless=True

What the task knows of the robot is found in its file (``rlgpu/robots/survey``) and written to the
run's configuration, where every value can be changed. Terms of the reward are in units that do not
depend on the robot's size: shares of effort limits, widths of the pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlgpu.config import Fraction, NonNegative, Positive
from rlgpu.envs import Columns, TaskConfig, uniform
from rlgpu.errors import UsageError
from rlgpu.robots.survey import RobotAsset, RobotSettings, complete, file_of
from rlgpu.sim import Drive, ResetState, SimState
from rlgpu.tasks.legged_config import LocomotionConfig
from rlgpu.tasks.locomotion import Locomotion
from rlgpu.tasks.walker import Walker


@dataclass(frozen=True)
class WalkConfig(LocomotionConfig):
    """Settings of Walk."""

    robot: RobotSettings = field(default_factory=RobotSettings)
    max_tilt: Positive = 1.0
    """Angle between the base's vertical and the world's beyond which an episode fails [rad]."""
    min_base_height: Fraction = 0.4
    """Height of the base below which an episode fails, as a share of that in the default pose."""
    start_drop: NonNegative = 0.01
    """Height of the feet above the ground at reset [m]."""
    start_max_joint_change: NonNegative = 0.1
    """Largest distance of joints from their default positions at reset [rad or m]."""


class Walk(Locomotion):
    """Walk as commanded, a robot of a file."""

    Config: ClassVar[type[TaskConfig]] = WalkConfig
    config: WalkConfig

    @classmethod
    def completed(cls, config: WalkConfig) -> WalkConfig:
        """Returns settings with what the robot's file says; what is given stays.

        Raises:
            UsageError: There is no such file, or it is not of a robot that walks.
        """
        if not config.robot.file:
            said = "robot=: which robot? e.g. robot=path/to/robot.xml, an MJCF or URDF file"
            raise UsageError(said, key="task.robot.file", value="")
        config = super().completed(config)
        return replace(config, robot=complete(config.robot))

    def __init__(self, config: Any) -> None:
        """Reads off the settings what to observe, and builds the ground."""
        super().__init__(config)
        joints = len(config.robot.joints)
        own = {"lin_vel_b": 3, "ang_vel_b": 3, "gravity_b": 3, "commands": 3}
        self.columns = Columns(**own, joint_pos=joints, joint_vel=joints, actions=joints)
        self.num_observations, self.num_actions = self.columns.width, joints
        self._mirror = _mirror_of(config.robot)

    @cached_property
    def walker(self) -> Walker:
        """The robot, as the settings have it."""
        config, robot = self.config, self.config.robot
        return Walker(
            asset=RobotAsset(
                file_of(robot), robot.armature, robot.self_collision, robot.base_height
            ),
            drives={
                name: Drive(
                    "position",
                    stiffness=robot.stiffness[name],
                    damping=robot.damping[name],
                    effort_limit=robot.effort_limit[name],
                )
                for name in robot.joints
            },
            default_joint_pos=robot.default_joint_pos,
            action_scale=robot.action_scale,
            start_height=robot.base_height + config.start_drop,
            base_height=robot.base_height,
            feet={name: (at[0], at[1], at[2]) for name, at in robot.feet.items()},
            failing_bodies=tuple(robot.failing_bodies),
            pose_width=robot.pose_width,
            root=robot.base,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found in the robot's file, in a line."""
        robot, sources = self.config.robot, self.config.robot.sources
        file = file_of(robot)
        pose = sources.get("default_joint_pos", "given")
        effort = sources.get("effort_limit", "given")
        guessed = f"; effort limits: {effort}" if "guessed" in effort else ""
        return (
            f"{file.name}: {len(robot.joints)} driven joints, {len(robot.feet)} feet, base at "
            f"{robot.base_height:g} m; pose: {pose}; gains: {sources.get('stiffness', 'given')}"
            f"{guessed}; all of it is task.robot in the run's config.yaml",
        )

    def _failed(self, state: SimState, gravity_b: Tensor) -> Tensor:
        low = self.base_height(state) < self.config.min_base_height * self.walker.base_height
        return super()._failed(state, gravity_b) | low

    def _tilted(self, gravity_b: Tensor) -> Tensor:
        return gravity_b[:, 2] > -math.cos(self.config.max_tilt)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the default pose at any heading, joints and velocities a little changed."""
        n, change = self.num_envs, self.config.start_max_joint_change
        states = super().reset_state(generator)
        turned = uniform((n,), -math.pi, math.pi, generator) / 2
        zero = torch.zeros_like(turned)
        moved = self._default + uniform((n, len(self._default)), -change, change, generator)
        return states._replace(
            joint_pos=torch.maximum(torch.minimum(moved, self._upper), self._lower),
            root_quat_w=torch.stack((zero, zero, turned.sin(), turned.cos()), dim=-1),
        )

    def bind(self, sim: Any) -> None:
        """Also remembers the joints' limits."""
        super().bind(sim)
        self._lower, self._upper = sim.joint_lower, sim.joint_upper

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor] | None:
        """Returns rows of observations and actions as they look in a mirror."""
        if self._mirror is None:
            return None
        order, signs = (part.to(actions.device) for part in self._mirror)
        parts = observations.split(list(self.columns.parts().values()), dim=-1)  # type: ignore[union-attr]
        flip = torch.tensor([1.0, -1.0, 1.0], device=actions.device)
        lin_vel_b, ang_vel_b, gravity_b, commands, *of_joints = parts
        turned = [lin_vel_b * flip, -ang_vel_b * flip, gravity_b * flip]
        turned += [commands * torch.tensor([1.0, -1.0, -1.0], device=actions.device)]
        turned += [part[:, order] * signs for part in of_joints]
        return torch.cat(turned, dim=-1), actions[:, order] * signs


def _mirror_of(robot: RobotSettings) -> tuple[Tensor, Tensor] | None:
    """Returns the joint whose image each joint is, int64, and signs, shape [A]; None if unknown."""
    if set(robot.mirror) < set(robot.joints):
        return None
    images = [robot.mirror[name] for name in robot.joints]
    order = torch.tensor([robot.joints.index(image.lstrip("-")) for image in images])
    return order, torch.tensor([-1.0 if image[0] == "-" else 1.0 for image in images])
