"""Stack the red cube on the green one with Franka Emika's Panda.

Source: IsaacGymEnvs, tasks/franka_cube_stack.py; values in cfg/task/FrankaCubeStack.yaml.
Differences in rlgpu:

* Both cubes start on the table; in the source the green one starts 1 cm in it.
* Joints have the reflected inertia and damping of MuJoCo Menagerie's model.
* Torques of the operational-space controller are held for a control step of two physics steps.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from rlgpu.config import NonNegative
from rlgpu.envs import Columns, Outcome, Task, TaskConfig, uniform
from rlgpu.rotations import wrap_angle
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator

ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
EFFORT_LIMITS = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
DEFAULT_POSE = (0.0, 0.1963, 0.0, -2.618, 0.0, 2.9416, 0.7854, 0.035, 0.035)
CUBE_A, CUBE_B = 0.05, 0.07
"""Sides of the cubes [m]."""
TABLE = 1.025
"""Height of the table's surface [m]."""
KP, KP_NULL = 150.0, 10.0
"""Gains of the controller, of the hand's pose and of the joints where the hand does not care."""
REACH = (0.1, 0.1, 0.1, 0.5, 0.5, 0.5)
"""Change of the hand's pose that an action of 1 asks for [m and rad]."""
CANDIDATES = 16
"""Places that are drawn for the red cube, of which the first that is free is taken."""


def _columns(control: str) -> Columns:
    own = {"gripper": 2} if control == "osc" else {"joint_pos": 9}
    return Columns(cube_a_quat_w=4, cube_a_pos_w=3, a_to_b=3, hand_pos_w=3, hand_quat_w=4, **own)


@dataclass(frozen=True)
class FrankaCubeStackConfig(TaskConfig):
    """Configuration of FrankaCubeStack; values as in IsaacGymEnvs."""

    control: Literal["osc", "joint_tor"] = "osc"
    """Whether actions move the hand, by operational-space control, or are joint torques."""
    start_position_noise: NonNegative = 0.25
    """Largest distance of a cube from the table's middle at reset, along x and y [m]."""
    start_rotation_noise: NonNegative = 0.785
    """Largest turn of a cube about the vertical at reset [rad]."""
    joint_noise: NonNegative = 0.25
    """Largest difference of a joint from the default pose at reset [rad]."""
    distance_weight: float = 0.1
    """Weight of how near the hand is to the red cube, or that cube to its place."""
    lift_weight: float = 1.5
    """Reward while the red cube is lifted."""
    align_weight: float = 2.0
    """Weight of how near the lifted cube is to its place."""
    stack_weight: float = 16.0
    """Reward of the step in which the cube lies in its place and the hand is away."""


class FrankaCubeStack(Task):
    """Lift one cube, put it on the other, let go."""

    Config: ClassVar[type[TaskConfig]] = FrankaCubeStackConfig
    columns = _columns("osc")
    num_observations = columns.width
    num_actions = 7
    config: FrankaCubeStackConfig

    def __init__(self, config: Any) -> None:
        """Has other columns and one more action with joint torques."""
        super().__init__(config)
        columns = _columns(config.control)
        self.columns, self.num_observations = columns, columns.width
        self.num_actions = 7 if config.control == "osc" else 8

    def scene(self) -> SceneSpec:
        """Returns the robot, torque-driven but for its fingers, the table and the cubes."""
        limits = zip(ARM, EFFORT_LIMITS, strict=True)
        finger = Drive("position", stiffness=5000.0, damping=100.0, effort_limit=200.0)
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "franka_cube_stack.xml",
            drives={name: Drive("effort", effort_limit=limit) for name, limit in limits}
            | dict.fromkeys(FINGERS, finger),
            objects=("cube_a", "cube_b"),
            body_states=True,
            jacobian_body="panda_hand",
        )

    def bind(self, sim: Simulator) -> None:
        """Finds the hand, the fingertips and the limits."""
        super().bind(sim)
        if sim.joint_names != (*ARM, *FINGERS):
            raise ValueError(f"expected joints {(*ARM, *FINGERS)}, not {sim.joint_names}")
        device, find = sim.device, sim.body_names.index
        self._sim = sim
        self._grip = find("panda_grip_site")
        tips = [find("panda_leftfinger_tip"), find("panda_rightfinger_tip")]
        self._tips = torch.tensor(tips, device=device)
        self._lower, self._upper = sim.joint_lower, sim.joint_upper
        self._default = torch.tensor(DEFAULT_POSE, device=device)
        self._limits = torch.tensor(EFFORT_LIMITS, device=device)
        self._reach = torch.tensor(REACH, device=device)
        self._offset = torch.tensor([0.0, 0.0, (CUBE_A + CUBE_B) / 2], device=device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the arm's torques [N m] and the fingers' positions [m]."""
        state = self._sim.state
        if self.config.control == "osc":
            arm = self._osc_torques(state, actions[:, :6] * self._reach)
        else:
            arm = actions[:, :7] * self._limits
        opened = torch.where(actions[:, -1:] >= 0.0, self._upper[7:], self._lower[7:])
        return torch.cat((arm, opened), dim=-1)

    def _osc_torques(self, state: SimState, change: Tensor) -> Tensor:
        """Returns torques that move the hand by a change of its pose, [N, 6] -> [N, 7].

        Source: Khatib 1987, "A unified approach for motion and force control of robot
        manipulators"; joints keep near the default pose where the hand does not care.
        """
        jacobian, mass = state.jacobian_w[:, :, :7], state.mass_matrix[:, :7, :7]
        velocity = torch.cat(
            (state.body_lin_vel_w[:, self._grip], state.body_ang_vel_w[:, self._grip]), dim=-1
        )
        wanted = KP * change - 2.0 * math.sqrt(KP) * velocity
        away = wrap_angle(self._default[:7] - state.joint_pos[:, :7])
        rest = (KP_NULL * away - 2.0 * math.sqrt(KP_NULL) * state.joint_vel[:, :7])[..., None]
        # What the joints' rest would move the hand by is taken off what the hand is wanted to do.
        mobility = jacobian @ torch.linalg.solve_ex(mass, jacobian.mT).result
        force = torch.linalg.solve_ex(mobility, wanted[..., None] - jacobian @ rest).result
        torque = (jacobian.mT @ force + mass @ rest)[..., 0]
        return torque.clamp(-self._limits, self._limits)

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the task's columns in their order, shape [N, 19] or [N, 26]."""
        cube_a, cube_b = state.object_pos_w.unbind(1)
        own = state.joint_pos[:, 7:] if self.config.control == "osc" else state.joint_pos
        return torch.cat(
            (
                state.object_quat_w[:, 0],
                cube_a,
                cube_b - cube_a,
                state.body_pos_w[:, self._grip],
                state.body_quat_w[:, self._grip],
                own,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward; an episode ends when the cube is stacked."""
        config = self.config
        cube_a, cube_b = state.object_pos_w.unbind(1)
        distance = (cube_a - state.body_pos_w[:, self._grip]).norm(dim=-1)
        tips = (cube_a[:, None] - state.body_pos_w[:, self._tips]).norm(dim=-1).sum(-1)
        near = 1.0 - torch.tanh(10.0 * (distance + tips) / 3.0)
        height = cube_a[:, 2] - TABLE
        lifted = (height - CUBE_A > 0.04).float()
        to_place = (cube_b + self._offset - cube_a).norm(dim=-1)
        aligned = (1.0 - torch.tanh(10.0 * to_place)) * lifted
        stacked = (
            ((cube_b - cube_a)[:, :2].norm(dim=-1) < 0.02)
            & ((height - (CUBE_B + CUBE_A / 2)).abs() < 0.02)
            & (distance > 0.04)
        )
        reward = (
            config.distance_weight * torch.maximum(near, aligned)
            + config.lift_weight * lifted
            + config.align_weight * aligned
        )
        reported = {"lifted": lifted, "stacked": stacked.float()}
        return Outcome(torch.where(stacked, config.stack_weight, reward), stacked, reported)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the robot near its default pose, the cubes at random places of the table."""
        config, n = self.config, self.num_envs
        noise = config.joint_noise
        joint_pos = self._default + uniform((n, 9), -noise, noise, generator)
        joint_pos = joint_pos.clamp(self._lower, self._upper)
        joint_pos[:, 7:] = self._default[7:]
        spread = config.start_position_noise
        places = uniform((n, CANDIDATES + 1, 2), -spread, spread, generator)
        place_b, candidates = places[:, 0], places[:, 1:]
        least = (CUBE_A + CUBE_B) * math.sqrt(2.0)
        free = (candidates - place_b[:, None]).norm(dim=-1) >= least
        first = free.float().argmax(-1)  # the first that is free
        place_a = candidates.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0]
        half = 0.5 * config.start_rotation_noise * uniform((n, 2), -1.0, 1.0, generator)
        none = torch.zeros_like(half)
        quat = torch.stack((none, none, half.sin(), half.cos()), dim=-1)
        heights = torch.full_like(place_a, TABLE)
        heights[:, 0] += CUBE_A / 2
        heights[:, 1] += CUBE_B / 2
        position = torch.cat((torch.stack((place_a, place_b), dim=1), heights[..., None]), dim=-1)
        return ResetState(
            joint_pos, torch.zeros_like(joint_pos), object_pos_w=position, object_quat_w=quat
        )
