"""Run an ant towards a far target.

Source: IsaacGymEnvs, tasks/ant.py; values in cfg/task/Ant.yaml. Differences in rlgpu:

* The progress reward is computed exactly, from the displacement. The difference of two float32
  potentials near -60 000, as in the source, is quantised at 0.004.
* Foot sensors read the contact wrench on the foot; PhysX adds gravity and dynamics terms.
* An episode that ends is reset within the step, so no filler row follows it.

Oddities kept from the source: the angle to the target uses the height difference instead of the
sideways one (left over from y-up), yaw and roll jump at 2 pi, and only upper joint limits are
penalised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Outcome, Task, TaskConfig, uniform
from rlgpu.rotations import quat_rotate_inverse
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator
from tasks.running import TARGET, body_axes, progress_to_target

FEET = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")
JOINTS = tuple(f"{kind}_{leg}" for leg in (1, 2, 3, 4) for kind in ("hip", "ankle"))
OBSERVATION = Columns(
    height=1,
    lin_vel_b=3,
    ang_vel_b=3,
    yaw=1,
    roll=1,
    angle_to_target=1,
    up=1,
    heading=1,
    joint_pos=8,  # scaled to [-1, 1] between the limits
    joint_vel=8,
    foot_wrenches_b=24,
    actions=8,
)


@dataclass(frozen=True)
class AntConfig(TaskConfig):
    """Configuration of the Ant; weights as in IsaacGymEnvs' Ant.yaml."""

    gear: float = 15.0
    """Torque of every joint for an action of 1 [N m]."""
    start_height: float = 0.44
    """Height of the torso at reset [m]."""
    termination_height: float = 0.31
    """Height of the torso below which an episode fails [m]."""
    alive_reward: float = 0.5
    """Reward of every step that is not a failure."""
    up_weight: float = 0.1
    """Reward while the torso's up axis is within 21 degrees of the world's."""
    heading_weight: float = 0.5
    """Reward while the ant faces the target, less in proportion beyond 37 degrees."""
    actions_cost: float = 0.005
    """Cost of the squared actions."""
    energy_cost: float = 0.05
    """Cost of the joints' scaled power."""
    joints_at_limit_cost: float = 0.1
    """Cost of each joint near its upper limit."""
    death_cost: float = -2.0
    """Reward of a step that ends in failure."""
    joint_vel_scale: float = 0.2
    """Factor on the joint velocities that are observed."""
    contact_force_scale: float = 0.1
    """Factor on the foot wrenches that are observed."""


class Ant(Task):
    """Run forward on four legs without falling."""

    Config: ClassVar[type[TaskConfig]] = AntConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = 8
    config: AntConfig

    def scene(self) -> SceneSpec:
        """Returns the ant, torque-driven, with contact wrenches on its feet."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "ant.xml",
            drives={name: Drive("effort") for name in JOINTS},
            wrench_bodies=FEET,
        )

    def bind(self, sim: Simulator) -> None:
        """Reads joint limits and allocates the previous position."""
        super().bind(sim)
        if sim.joint_names != JOINTS:
            raise ValueError(f"the Ant expects joints {JOINTS}, the asset has {sim.joint_names}")
        self._lower, self._upper = sim.joint_lower, sim.joint_upper
        self._centre = (self._lower + self._upper) / 2
        self._half_range = (self._upper - self._lower) / 2
        self._initial_joint_pos = torch.zeros_like(self._lower).clamp(self._lower, self._upper)
        start = torch.tensor([0.0, 0.0, self.config.start_height], device=sim.device)
        self._root_pos = start.expand(sim.num_envs, 3)
        upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=sim.device)
        self._root_quat = upright.expand(sim.num_envs, 4)
        # Signs of a vector, and of a leg's hip and ankle; made here, as a CUDA graph cannot.
        signs = ((1.0, -1.0, 1.0), (-1.0, 1.0))
        self._mirrored = [torch.tensor(values, device=sim.device) for values in signs]
        self.buffers["previous_pos_w"] = torch.zeros(sim.num_envs, 3, device=sim.device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the joint torques [N m]."""
        return self.config.gear * actions

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 60]."""
        pos, quat = state.root_pos_w, state.root_quat_w
        forward_x, forward_y, up, roll_sine = body_axes(quat)
        # Yaw is the heading of the body's x axis, roll the sideways tilt of its z axis.
        yaw = torch.atan2(forward_y, forward_x).remainder(2 * math.pi)
        roll = torch.atan2(roll_sine, up).remainder(2 * math.pi)
        to_x, to_y = TARGET[0] - pos[:, 0], TARGET[1] - pos[:, 1]
        angle_to_target = torch.atan2(-pos[:, 2], to_x) - yaw
        heading = (forward_x * to_x + forward_y * to_y) / torch.hypot(to_x, to_y)
        velocities_w = torch.stack((state.root_lin_vel_w, state.root_ang_vel_w), dim=1)
        velocities_b = quat_rotate_inverse(quat[:, None].expand(-1, 2, -1), velocities_w)
        columns = (yaw, roll, angle_to_target, up, heading)
        return torch.cat(
            (
                pos[:, 2:3],
                velocities_b.flatten(1),
                torch.stack(columns, dim=-1),
                (state.joint_pos - self._centre) / self._half_range,
                self.config.joint_vel_scale * state.joint_vel,
                self.config.contact_force_scale * state.contact_wrench_b.flatten(1),
                actions,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward and whether the ant fell."""
        progress = progress_to_target(self.buffers["previous_pos_w"], state.root_pos_w)
        self.buffers["previous_pos_w"].copy_(state.root_pos_w)
        return ant_reward(progress / self.config.timing().step_dt, observations, self.config)

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns left and right exchanged: legs 1 and 4 and legs 2 and 3 change places.

        Of vectors the y component changes its sign, of rotations the other two; an ankle turns the
        same way in both. The reward is symmetric too, but for its penalty at upper joint limits.
        """
        names = {name: observations[:, OBSERVATION[name]] for name in OBSERVATION.parts()}
        vector, joints = (signs.to(observations.device) for signs in self._mirrored)

        def exchanged(rows: Tensor, signs: Tensor) -> Tensor:
            """Returns what is per leg, [B, 4 * k], for the legs in their new places."""
            return (rows.view(len(rows), 4, -1).flip(1) * signs).flatten(1)

        full_turn = 2.0 * math.pi
        yaw = (-names["yaw"]).remainder(full_turn)
        columns = names | {
            "lin_vel_b": names["lin_vel_b"] * vector,
            "ang_vel_b": names["ang_vel_b"] * -vector,
            "yaw": yaw,
            "roll": (-names["roll"]).remainder(full_turn),
            "angle_to_target": names["angle_to_target"] + names["yaw"] - yaw,
            "joint_pos": exchanged(names["joint_pos"], joints),
            "joint_vel": exchanged(names["joint_vel"], joints),
            "foot_wrenches_b": exchanged(names["foot_wrenches_b"], torch.cat((vector, -vector))),
            "actions": exchanged(names["actions"], joints),
        }
        rows = [x if x.dim() == 2 else x[:, None] for x in columns.values()]
        return torch.cat(rows, dim=-1), exchanged(actions, joints)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the start pose with joints jittered by 0.2 rad and 0.1 rad/s."""
        shape = (self.num_envs, self.num_actions)
        joint_pos = self._initial_joint_pos + uniform(shape, -0.2, 0.2, generator)
        return ResetState(
            joint_pos=joint_pos.clamp(self._lower, self._upper),
            joint_vel=uniform(shape, -0.1, 0.1, generator),
            root_pos_w=self._root_pos,
            root_quat_w=self._root_quat,
        )

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Sets the previous position of reset environments to their new position."""
        previous = self.buffers["previous_pos_w"]
        previous.copy_(torch.where(mask[:, None], state.root_pos_w, previous))


def ant_reward(speed: Tensor, observations: Tensor, config: AntConfig) -> Outcome:
    """Returns the reward of a step and which ants fell.

    Args:
        speed: Mean speed towards the target over the step [m/s], shape [N].
        observations: The Ant's observations after the step, shape [N, 60].
        config: Weights.
    """
    names = ("height", "up", "heading", "joint_pos", "joint_vel", "actions")
    height, up, heading, joint_pos, joint_vel, actions = (
        observations[:, OBSERVATION[name]] for name in names
    )
    heading_reward = config.heading_weight * (heading / 0.8).clamp(max=1.0)
    reward = (
        speed
        + config.alive_reward
        + config.up_weight * (up > 0.93)
        + heading_reward
        - config.actions_cost * actions.square().sum(-1)
        - config.energy_cost * (actions * joint_vel).abs().sum(-1)
        - config.joints_at_limit_cost * (joint_pos > 0.99).sum(-1)
    )
    fell = height < config.termination_height
    return Outcome(torch.where(fell, config.death_cost, reward), fell)
