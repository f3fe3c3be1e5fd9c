"""Terms of the rewards of walking robots, as legged_gym's users know them.

Source: legged_gym, envs/base/legged_robot.py, and unitree_rl_gym, envs/g1/g1_env.py, where a term
``_reward_<name>`` has the same name and unit here; values are before their scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.rotations import quat_rotate
from rlgpu.sim import SimState


def flat_ground(points_w: Tensor) -> Tensor:
    """Returns the height of a plane at points [m], [..., 2] -> [...]."""
    return torch.zeros_like(points_w[..., 0])


class Moment(NamedTuple):
    """What the terms are functions of: the state after a step, and the step before it."""

    state: SimState
    commands: Tensor
    """Velocities asked for: forward and left [m/s], turning left [rad/s], shape [N, 3]."""
    lin_vel_b: Tensor
    """Velocity of the base [m/s], shape [N, 3]."""
    ang_vel_b: Tensor
    """Angular velocity of the base [rad/s], shape [N, 3]."""
    gravity_b: Tensor
    """Direction of gravity in the base's axes, shape [N, 3]."""
    base_height: Tensor
    """Height of the base above the ground below it [m], shape [N]."""
    actions: Tensor
    last_actions: Tensor
    """Actions of this step and the one before, shape [N, A]."""
    last_joint_vel: Tensor
    """Joint velocities a step ago [rad/s], shape [N, J]."""
    default_joint_pos: Tensor
    """Joint positions for an action of 0 [rad], shape [J]."""
    soft_lower: Tensor
    soft_upper: Tensor
    """Joint positions beyond which ``dof_pos_limits`` counts [rad], shape [J]."""
    foot_ids: Tensor
    """Feet among the bodies, shape [F], int64."""
    collision_ids: Tensor
    """Bodies that should not touch anything, shape [P], int64."""
    hip_ids: Tensor
    """Joints that ``hip_pos`` keeps near 0, shape [H], int64."""
    landed_air_time: Tensor
    """Time in the air of each foot that touched down in this step [s], else 0, shape [N, F]."""
    air_time: Tensor
    """Time that each foot has been in the air [s], 0 on the ground, shape [N, F]."""
    landed: Tensor
    """Whether a foot touched down in this step, shape [N, F], bool."""
    phase: Tensor
    """Place of each foot in its cycle, from 0 to 1, shape [N, F]."""
    terminated: Tensor
    """Whether the episode ended in failure, shape [N], bool."""
    step_dt: float
    tracking_sigma: float
    """Squared error at which a tracking term has fallen to 1/e."""
    base_height_target: float
    """Wanted height of the base [m]."""
    max_contact_force: float
    """Force on a foot beyond which ``feet_contact_forces`` counts [N]."""
    foot_points_b: Tensor
    """Middle of each foot's sole in its body's axes [m], shape [F, 3]."""
    effort_limits: Tensor
    """Largest torques of the drives [N m], shape [J]."""
    pose_width: Tensor
    """How far joints go from their default positions in a walk [rad], shape [J]."""
    swing_height: float
    """Height of feet that swing [m]."""
    ground: Callable[[Tensor], Tensor] = flat_ground
    """Function that returns the ground's height at points [m], [..., 2] -> [...]."""

    def is_moving(self) -> Tensor:
        """Returns whether the robot is told to walk or turn, shape [N], bool."""
        return self.commands.abs().sum(-1) > 0.1

    def soles_w(self) -> tuple[Tensor, Tensor]:
        """Returns positions [m] and velocities [m/s] of the soles' middles, shape [N, F, 3]."""
        state, feet = self.state, self.foot_ids
        quat_w = state.body_quat_w[:, feet]
        arm_w = quat_rotate(quat_w, self.foot_points_b.expand(quat_w.shape[0], -1, -1))
        turning_w = torch.linalg.cross(state.body_ang_vel_w[:, feet], arm_w)
        return state.body_pos_w[:, feet] + arm_w, state.body_lin_vel_w[:, feet] + turning_w

    def foot_forces_w(self) -> Tensor:
        """Returns contact forces on the feet [N], shape [N, F, 3]."""
        return self.state.contact_force_w[:, self.foot_ids]


@dataclass(frozen=True)
class RewardScales:
    """Scales of the terms, per second; ``task.rewards.*``. A term with scale 0 is not computed."""

    tracking_lin_vel: float = 0.0
    """How well the horizontal velocity follows its command: exp(-error^2 / sigma)."""
    tracking_ang_vel: float = 0.0
    """How well the yaw velocity follows its command: exp(-error^2 / sigma)."""
    lin_vel_z: float = 0.0
    """Squared vertical velocity."""
    ang_vel_xy: float = 0.0
    """Squared roll and pitch velocities."""
    orientation: float = 0.0
    """Squared tilt."""
    base_height: float = 0.0
    """Squared difference to ``base_height_target``."""
    torques: float = 0.0
    """Squared torques."""
    dof_vel: float = 0.0
    """Squared joint velocities."""
    dof_acc: float = 0.0
    """Squared joint accelerations."""
    action_rate: float = 0.0
    """Squared changes of the actions."""
    dof_pos_limits: float = 0.0
    """Joint positions beyond the soft limits [rad]."""
    collision: float = 0.0
    """Bodies that touch something and should not."""
    termination: float = 0.0
    """A failure; counted after ``only_positive_rewards``."""
    feet_air_time: float = 0.0
    """Time in the air above half a second of feet that touch down, while told to walk."""
    stumble: float = 0.0
    """A foot that runs against something steep."""
    stand_still: float = 0.0
    """Joint positions away from the default ones while told to stand."""
    feet_contact_forces: float = 0.0
    """Forces on feet beyond ``max_contact_force`` [N]."""
    alive: float = 0.0
    """Every step."""
    contact: float = 0.0
    """Feet that are on the ground when their phase says so, and off it when not."""
    feet_swing_height: float = 0.0
    """Squared difference of feet in the air to a height of 8 cm above the ground."""
    contact_no_vel: float = 0.0
    """Squared velocities of feet on the ground."""
    hip_pos: float = 0.0
    """Squared positions of the joints that turn and spread the legs."""
    pose: float = 0.0
    """How close joints are to their default positions: exp(-mean((error / width)^2)), with half of
    ``pose_width`` while told to stand."""
    effort: float = 0.0
    """Mean square of torques, as shares of their limits."""
    foot_clearance: float = 0.0
    """Distance of soles from ``swing_height``, times their horizontal speed, while told to walk."""
    foot_slip: float = 0.0
    """Squared horizontal velocity of soles on the ground."""
    single_stance: float = 0.0
    """Of robots on two legs, others have 0: one foot is on the ground, the other has been up for
    less than 0.5 s, while told to walk."""
    upright: float = 0.0
    """How upright the base is, from 0 upside down to 1, squared."""
    standing_height: float = 0.0
    """Height of the base as a share of ``base_height_target``, at most 1, times ``upright``."""
    standing_pose: float = 0.0
    """How close joints are to their default positions, exp(-6 mean(error^2)), of robots that are
    upright with the base above 0.7 of its height."""


def tracking_lin_vel(m: Moment) -> Tensor:
    """Returns exp(-|error|^2 / sigma) of the horizontal velocity."""
    error = (m.commands[:, :2] - m.lin_vel_b[:, :2]).square().sum(-1)
    return torch.exp(-error / m.tracking_sigma)


def tracking_ang_vel(m: Moment) -> Tensor:
    """Returns exp(-error^2 / sigma) of the yaw velocity."""
    error = (m.commands[:, 2] - m.ang_vel_b[:, 2]).square()
    return torch.exp(-error / m.tracking_sigma)


def lin_vel_z(m: Moment) -> Tensor:
    """Returns the squared velocity along the base's z axis."""
    return m.lin_vel_b[:, 2].square()


def ang_vel_xy(m: Moment) -> Tensor:
    """Returns the sum of squared roll and pitch velocities."""
    return m.ang_vel_b[:, :2].square().sum(-1)


def orientation(m: Moment) -> Tensor:
    """Returns the squared sine of the tilt."""
    return m.gravity_b[:, :2].square().sum(-1)


def base_height(m: Moment) -> Tensor:
    """Returns the squared difference of the base's height to the wanted one."""
    return (m.base_height - m.base_height_target).square()


def torques(m: Moment) -> Tensor:
    """Returns the sum of squared torques."""
    return m.state.drive_force.square().sum(-1)


def dof_vel(m: Moment) -> Tensor:
    """Returns the sum of squared joint velocities."""
    return m.state.joint_vel.square().sum(-1)


def dof_acc(m: Moment) -> Tensor:
    """Returns the sum of squared joint accelerations over the step."""
    return ((m.last_joint_vel - m.state.joint_vel) / m.step_dt).square().sum(-1)


def action_rate(m: Moment) -> Tensor:
    """Returns the sum of squared changes of the actions."""
    return (m.last_actions - m.actions).square().sum(-1)


def dof_pos_limits(m: Moment) -> Tensor:
    """Returns the sum of what joint positions exceed the soft limits by."""
    position = m.state.joint_pos
    below, above = m.soft_lower - position, position - m.soft_upper
    return (below.clamp(min=0.0) + above.clamp(min=0.0)).sum(-1)


def collision(m: Moment) -> Tensor:
    """Returns the number of bodies that touch something and should not."""
    forces = m.state.contact_force_w[:, m.collision_ids]
    return (forces.norm(dim=-1) > 0.1).float().sum(-1)


def termination(m: Moment) -> Tensor:
    """Returns 1 where the episode failed."""
    return m.terminated.float()


def feet_air_time(m: Moment) -> Tensor:
    """Returns the time in the air above 0.5 s of feet that land, while told to walk."""
    gained = ((m.landed_air_time - 0.5) * m.landed).sum(-1)
    return gained * (m.commands[:, :2].norm(dim=-1) > 0.1)


def stumble(m: Moment) -> Tensor:
    """Returns whether a foot's force is five times as much sideways as upwards."""
    forces = m.foot_forces_w()
    return (forces[..., :2].norm(dim=-1) > 5.0 * forces[..., 2].abs()).any(-1).float()


def stand_still(m: Moment) -> Tensor:
    """Returns the distance of joints from their default positions, while told to stand."""
    away = (m.state.joint_pos - m.default_joint_pos).abs().sum(-1)
    return away * (m.commands[:, :2].norm(dim=-1) < 0.1)


def feet_contact_forces(m: Moment) -> Tensor:
    """Returns the sum of what forces on feet exceed their limit by."""
    return (m.foot_forces_w().norm(dim=-1) - m.max_contact_force).clamp(min=0.0).sum(-1)


def alive(m: Moment) -> Tensor:
    """Returns 1."""
    return torch.ones_like(m.base_height)


def contact(m: Moment) -> Tensor:
    """Returns the number of feet that are on the ground, or off it, as their phase says."""
    on_ground = m.foot_forces_w()[..., 2] > 1.0
    return (on_ground == (m.phase < 0.55)).float().sum(-1)


def feet_swing_height(m: Moment) -> Tensor:
    """Returns the squared difference to 8 cm above the ground of feet that touch nothing."""
    swinging = m.foot_forces_w().norm(dim=-1) <= 1.0
    feet_w = m.state.body_pos_w[:, m.foot_ids]
    height = feet_w[..., 2] - m.ground(feet_w[..., :2])
    return ((height - 0.08).square() * swinging).sum(-1)


def contact_no_vel(m: Moment) -> Tensor:
    """Returns the sum of squared velocities of feet that touch something."""
    standing = m.foot_forces_w().norm(dim=-1) > 1.0
    velocity = m.state.body_lin_vel_w[:, m.foot_ids]
    return (velocity.square().sum(-1) * standing).sum(-1)


def hip_pos(m: Moment) -> Tensor:
    """Returns the sum of squared positions of the hip joints."""
    return m.state.joint_pos[:, m.hip_ids].square().sum(-1)


def pose(m: Moment) -> Tensor:
    """Returns exp(-mean squared distance of joints from their default positions, in widths)."""
    width = m.pose_width * (0.5 + 0.5 * m.is_moving()[:, None])
    return torch.exp(-((m.state.joint_pos - m.default_joint_pos) / width).square().mean(-1))


def effort(m: Moment) -> Tensor:
    """Returns the mean square of torques, as shares of their limits."""
    return (m.state.drive_force / m.effort_limits).square().mean(-1)


def foot_clearance(m: Moment) -> Tensor:
    """Returns the sum of distances of soles from their height in a swing, times their speeds."""
    pos_w, vel_w = m.soles_w()
    away = (pos_w[..., 2] - m.ground(pos_w[..., :2]) - m.swing_height).abs()
    return (away * vel_w[..., :2].norm(dim=-1)).sum(-1) * m.is_moving()


def foot_slip(m: Moment) -> Tensor:
    """Returns the sum of squared horizontal velocities of soles on the ground."""
    _, vel_w = m.soles_w()
    return (vel_w[..., :2].square().sum(-1) * (m.foot_forces_w()[..., 2] > 1.0)).sum(-1)


def single_stance(m: Moment) -> Tensor:
    """Returns whether one foot of two is on the ground, and the other up for less than 0.5 s."""
    up = m.foot_forces_w()[..., 2] <= 1.0
    if up.shape[-1] != 2:
        return torch.zeros_like(m.base_height)
    one = (up.sum(-1) == 1) & (m.air_time < 0.5).all(-1)
    return (one & m.is_moving()).float()


def upright(m: Moment) -> Tensor:
    """Returns how upright the base is, from 0 upside down to 1, squared."""
    return (0.5 - 0.5 * m.gravity_b[:, 2]).square()


def standing_height(m: Moment) -> Tensor:
    """Returns the base's share of its height, from 0 to 1, times how upright it is."""
    return (m.base_height / m.base_height_target).clamp(0.0, 1.0) * upright(m)


def standing_pose(m: Moment) -> Tensor:
    """Returns how close joints are to their default positions, of robots that are up."""
    is_up = (m.base_height > 0.7 * m.base_height_target) & (m.gravity_b[:, 2] < -0.8)
    away = (m.state.joint_pos - m.default_joint_pos).square().mean(-1)
    return torch.exp(-6.0 * away) * is_up


TERMS: Mapping[str, Callable[[Moment], Tensor]] = {
    term.__name__: term
    for term in (
        tracking_lin_vel, tracking_ang_vel, lin_vel_z, ang_vel_xy, orientation, base_height,
        torques, dof_vel, dof_acc, action_rate, dof_pos_limits, collision, termination,
        feet_air_time, stumble, stand_still, feet_contact_forces, alive, contact,
        feet_swing_height, contact_no_vel, hip_pos, pose, effort, foot_clearance, foot_slip,
        single_stance, upright, standing_height, standing_pose,
    )
}  # fmt: skip
OF_BODIES = (
    "feet_swing_height",
    "contact_no_vel",
    "foot_clearance",
    "foot_slip",
)
"""Terms that need the states of all bodies."""
