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
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlgpu.config import ROBOT, Fraction, NonNegative, Positive
from rlgpu.envs import Columns, Deployment, TaskConfig, uniform
from rlgpu.errors import UsageError
from rlgpu.robots.survey import RobotAsset, RobotSettings, complete, digest_of
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator
from rlgpu.tasks.deployed import deployment_of
from rlgpu.tasks.legged_config import LocomotionConfig
from rlgpu.tasks.legged_terrain import MEASURED, around
from rlgpu.tasks.locomotion import Locomotion
from rlgpu.tasks.sensors import Sensors
from rlgpu.tasks.walker import Walker


@dataclass(frozen=True)
class WalkConfig(LocomotionConfig):
    """Settings of Walk."""

    robot: RobotSettings = field(default_factory=RobotSettings)
    max_tilt: Positive = 1.0
    """Angle between the base's vertical and the world's beyond which an episode fails [rad]."""
    min_base_height: Fraction = 0.4
    """Height of the base below which an episode fails, as a share of that in the default pose."""
    sensors: list[str] = field(default_factory=list)
    """Sensors of the file that are observed, by name, after all else: gyro, velocimeter, frames'
    places, axes and velocities, touch (the net force on the site's body)."""
    imu: str = ""
    """A site of the file in whose axes velocity, rates and gravity are observed, as the robot's own
    IMU measures them; empty: the base's axes."""
    height_scan: bool = False
    """Whether heights of the ground around the robot are observed, at 140 points up to 0.8 m ahead
    and behind and 0.5 m to the sides, of the base less its height in the default pose [m]."""
    height_scale: float = 5.0
    """Factor on the observed heights [1/m]."""
    start_drop: NonNegative = 0.07
    """Height of the feet above the ground at reset, as a share of the base's height: joints that
    are changed a little must not put them into it."""
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
            raise UsageError(said, key=ROBOT, value="")
        config = super().completed(config)
        return replace(config, robot=complete(config.robot))

    def __init__(self, config: Any) -> None:
        """Reads off the settings what to observe, and builds the ground."""
        super().__init__(config)
        joints = len(config.robot.joints)
        self._sensors = Sensors(config.sensors, config.imu, self._asset, self.walker.root)
        widths = {"lin_vel_b": 3, "ang_vel_b": 3, "gravity_b": 3, "commands": 3}
        widths |= {"joint_pos": joints, "joint_vel": joints, "actions": joints}
        widths |= {"heights": len(MEASURED)} if config.height_scan else {}
        counts = config.sensors.count
        if same := [name for name in config.sensors if name in widths or counts(name) > 1]:
            said = f"task.sensors: {same[0]} is there twice, or the name of another column"
            raise UsageError(said, key="task.sensors", value=same[0])
        self.columns = Columns(**widths, **self._sensors.widths)
        self.num_observations, self.num_actions = self.columns.width, joints
        self._mirror = _mirror_of(config.robot)

    @property
    def _asset(self) -> RobotAsset:
        robot = self.config.robot
        file, collides = Path(robot.file), robot.self_collision
        return RobotAsset(file, robot.armature, collides, robot.base_height)

    @cached_property
    def walker(self) -> Walker:
        """The robot, as the settings have it."""
        config, robot = self.config, self.config.robot
        return Walker(
            asset=self._asset,
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
            start_height=robot.base_height * (1.0 + config.start_drop),
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
        file = Path(robot.file)
        pose = sources.get("default_joint_pos", "given")
        effort = sources.get("effort_limit", "given")
        guessed = f"; effort limits: {effort}" if "guessed" in effort else ""
        changed = digest_of(file) != robot.digest
        later = (
            f"{file.name} has changed since its values were found; robot={file} finds them again"
        )
        return (
            *((later,) if robot.digest and changed else ()),
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

    def bind(self, sim: Simulator) -> None:
        """Also remembers the joints' limits, and finds the sensors' bodies."""
        self._sensors.bind(sim)
        self._points = MEASURED.to(sim.device)
        super().bind(sim)
        self._lower, self._upper = sim.joint_lower, sim.joint_upper

    def scene(self) -> SceneSpec:
        """Returns the robot in its scene, with what its sensors need."""
        scene = super().scene()
        return replace(scene, body_states=scene.body_states or self._sensors.need_bodies)

    def observed(self, state: SimState, actions: Tensor) -> dict[str, Tensor]:
        """Returns what the robot may observe: also its sensors, and motion as its IMU has it."""
        found, config = super().observed(state, actions), self.config
        if self._sensors.imu:
            lin_vel, ang_vel, gravity = self._sensors.seen_by_imu(state, self._down)
            found["lin_vel_b"] = config.lin_vel_scale * lin_vel
            found["ang_vel_b"] = config.ang_vel_scale * ang_vel
            found["gravity_b"] = gravity
        if config.height_scan:
            ground = self.ground.below(around(state.root_quat_w, state.root_pos_w, self._points))
            below = state.root_pos_w[:, 2:] - self.walker.base_height - ground
            found["heights"] = config.height_scale * below.clamp(-1.0, 1.0)
        return found | dict(self._sensors.read(state))

    def _noise_of(self, column: str) -> float:
        noise, kind = self.config.noise, self._sensors.kinds.get(column, column)
        of_sensors = {
            "heights": noise.heights * self.config.height_scale,
            "gyro": noise.ang_vel,
            "frameangvel": noise.ang_vel,
            "velocimeter": noise.lin_vel,
            "framelinvel": noise.lin_vel,
        }
        return of_sensors.get(kind) or super()._noise_of(column)

    def deployment(self) -> Deployment:
        """Returns what surrounds a policy on this robot."""
        config, columns = self.config, self.columns.parts()  # type: ignore[union-attr]
        base, scale = config.robot.base, config.height_scale
        return deployment_of(
            config, self.walker, columns, base=base, imu=config.imu, height_scale=scale
        )

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor] | None:
        """Returns rows of observations and actions as they look in a mirror."""
        if self._mirror is None or self._sensors.imu or self._sensors.kinds:
            return None
        order, signs, of_actions = (part.to(actions.device) for part in self._mirror)
        parts = observations.split(list(self.columns.parts().values()), dim=-1)  # type: ignore[union-attr]
        flip = torch.tensor([1.0, -1.0, 1.0], device=actions.device)
        lin_vel_b, ang_vel_b, gravity_b, commands, *rest = parts
        of_joints, heights = rest[:3], rest[3:]
        turned = [lin_vel_b * flip, -ang_vel_b * flip, gravity_b * flip]
        turned += [commands * torch.tensor([1.0, -1.0, -1.0], device=actions.device)]
        factors = (signs, signs, of_actions)
        turned += [part[:, order] * x for part, x in zip(of_joints, factors, strict=True)]
        # The points to the left are those to the right, in the opposite order.
        across = round(len(self._points) / len(self._points[:, 0].unique()))
        turned += [part.unflatten(1, (-1, across)).flip(2).flatten(1) for part in heights]
        return torch.cat(turned, dim=-1), actions[:, order] * of_actions


def _mirror_of(robot: RobotSettings) -> tuple[Tensor, Tensor, Tensor] | None:
    """Returns the joint whose image each joint is, int64, and factors, shape [A]; None if unknown.

    Factors are those of positions and velocities, which are signs, and those of actions: where the
    scales of actions differ between left and right, so do actions with the same effect.
    """
    if not set(robot.joints) <= set(robot.mirror):
        return None
    images = [robot.mirror[name] for name in robot.joints]
    order = torch.tensor([robot.joints.index(image.removeprefix("-")) for image in images])
    signs = torch.tensor([-1.0 if image[0] == "-" else 1.0 for image in images])
    scales = torch.tensor([robot.action_scale[name] for name in robot.joints])
    return order, signs, signs * scales[order] / scales
