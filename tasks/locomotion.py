"""What walking robots share that follow a commanded velocity: Anymal, Go2, G1, those of files.

What they know of their robot is a ``Walker``; the rest is here: position drives around a default
pose, commands, pushes, noise, terms of the reward, failures.

Source: legged_gym, envs/base/legged_robot.py. Differences in rlgpu:

* The drives are the engine's own, with their torque computed in every physics step, as there, but
  integrated implicitly; ``drive_force`` is the torque in the last physics step.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rlgpu.config import absolute_function, names_function
from rlgpu.envs import Deployment, Mark, Outcome, OwnFailures, RewardTerms, Task, any_of, uniform
from rlgpu.errors import UsageError, nearest, usable_path
from rlgpu.rotations import quat_rotate, quat_rotate_inverse, yaw_of
from rlgpu.sim import ResetState, SceneSpec, SimState, Simulator
from rlgpu.tasks.deployed import deployment_of
from rlgpu.tasks.legged_checks import check_joints, check_sizes
from rlgpu.tasks.legged_config import LocomotionConfig
from rlgpu.tasks.legged_rewards import OF_BODIES, TERMS, Moment
from rlgpu.tasks.legged_terrain import TILES, Ground
from rlgpu.tasks.velocity_commands import KEY, VelocityCommands
from rlgpu.tasks.walker import GAIT_PERIOD, Walker


class Locomotion(Task):
    """Walk as commanded."""

    config: LocomotionConfig

    def __init__(self, config: Any) -> None:
        """Builds the ground."""
        super().__init__(config)
        self.ground = Ground(config.terrain)

    @classmethod
    def completed(cls, config: Any) -> Any:
        """Returns settings in which files of the user's are found from any folder."""
        config = super().completed(config)
        key, kind = "task.terrain.kind", config.terrain.kind
        if names_function(kind):
            kind = absolute_function(key, kind)
        elif kind not in (known := ("plane", *TILES)):
            path = usable_path(key, kind)
            if not path.is_file():
                said = (
                    f"{key}={kind}: wanted {', '.join(known)}, an existing file or FILE.py:function"
                )
                raise UsageError(said + nearest(kind, known), key=key, value=kind, allowed=known)
            kind = str(path.resolve())
        commands = config.commands
        if commands.function:
            commands = replace(commands, function=absolute_function(KEY, commands.function))
        ground = replace(config.terrain, kind=kind)
        return replace(config, terrain=ground, commands=commands)

    @property
    def judges_own_terms(self) -> bool:
        """A user's terms are functions of the same moments as the task's, and may replace them."""
        return True

    @cached_property
    @abstractmethod
    def walker(self) -> Walker:
        """The robot."""

    def scene(self) -> SceneSpec:
        """Returns the robot with position drives."""
        walker, scales = self.walker, self.config.rewards
        return SceneSpec(
            asset=walker.asset,
            drives=walker.drives,
            terrain=self.ground.field,
            root=walker.root,
            contact_forces=True,
            drive_forces=bool(scales.torques or scales.effort),
            body_states=any(getattr(scales, name) for name in OF_BODIES),
        )

    def bind(self, sim: Simulator) -> None:
        """Looks up joints and bodies, and allocates what changes along an episode."""
        super().bind(sim)
        check_joints(tuple(self.walker.default_joint_pos), sim)
        check_sizes(self.num_observations, self.num_actions, self.columns, len(self.walker.drives))
        config, device, n, walker = self.config, sim.device, sim.num_envs, self.walker
        self._sim, self._step_dt = sim, config.timing().step_dt
        self._command_steps = max(round(config.commands.resampling_time / self._step_dt), 1)

        def row(values: Mapping[str, float], names: Iterable[str]) -> Tensor:
            return torch.tensor([values[name] for name in names], device=device)

        driven, joints = tuple(walker.drives), sim.joint_names
        self._driven = ids_of(driven, joints, device)
        self._default = row(walker.default_joint_pos, joints)
        self._action_scale = row(walker.action_scale, driven)
        self._start_height = torch.tensor([0.0, 0.0, walker.start_height], device=device)
        self._upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=device).repeat(n, 1)
        self._down = torch.tensor([0.0, 0.0, -1.0], device=device).repeat(n, 1)
        centre = (sim.joint_lower + sim.joint_upper) / 2
        reach = (sim.joint_upper - sim.joint_lower) / 2 * config.soft_joint_limit
        # The middle of an unlimited range is not a number.
        self._soft_lower = (centre - reach).nan_to_num(-math.inf)
        self._soft_upper = (centre + reach).nan_to_num(math.inf)
        self._feet = ids_of(tuple(walker.feet), sim.body_names, device)
        self._foot_points_b = torch.tensor(list(walker.feet.values()), device=device)
        self._failing = ids_of(walker.failing_bodies, sim.body_names, device)
        self._colliding = ids_of(walker.colliding_bodies, sim.body_names, device)
        self._hips = ids_of(walker.hip_joints, joints, device)
        limits = {name: drive.effort_limit for name, drive in walker.drives.items()}
        self._effort_limits = row(dict.fromkeys(joints, math.inf) | limits, joints)
        self._pose_width = row(dict.fromkeys(joints, 0.3) | dict(walker.pose_width or {}), joints)
        self._terms = RewardTerms(TERMS, config.rewards, self._step_dt, config.own_rewards, n)
        self._own_failures = OwnFailures(config.own_terminations, n)
        self._allocate(n, device)

    def _allocate(self, n: int, device: torch.device) -> None:
        """Allocates the tensors that are saved, and those of random numbers."""
        feet, config = len(self.walker.feet), self.config
        for name, width in (
            ("commands", 4),
            ("last_actions", self.num_actions),
            ("last_joint_vel", len(self._default)),
            ("air_time", feet),
        ):
            self.buffers[name] = torch.zeros(n, width, device=device)
        self.buffers["touching"] = torch.zeros(n, feet, dtype=torch.bool, device=device)
        self.buffers |= self.ground.bind(n, device)
        self.buffers["age"] = torch.zeros(n, dtype=torch.int64, device=device)
        self.buffers["steps"] = torch.zeros((), dtype=torch.int64, device=device)
        self._velocities = VelocityCommands(config.commands, n, device)
        if config.own_events:  # one may change the ranges
            self.buffers["command_ranges"] = self._velocities.ranges
        self._new_commands = torch.zeros(n, 4, device=device)  # of an episode that begins
        self._drawn = torch.zeros(n, 6 + self.num_observations, device=device)
        # The sixth column is drawn and not used, so that a seed's numbers stay what they were.
        parts = self._drawn.split((3, 2, 1, self.num_observations), dim=1)
        self._drawn_commands, self._drawn_pushes, _, self._drawn_noise = parts
        noise = [self._noise_of(name) for name in self.columns.parts()]  # type: ignore[union-attr]
        widths = self.columns.parts().values()  # type: ignore[union-attr]
        row = [x for value, width in zip(noise, widths, strict=True) for x in [value] * width]
        self._noise = torch.tensor(row, device=device) * config.noise.level
        scales = (config.lin_vel_scale, config.lin_vel_scale, config.ang_vel_scale)
        self._command_scale = torch.tensor(scales, device=device)
        # Spread evenly, whatever the number of robots: by the golden ratio.
        turns = (torch.arange(n, dtype=torch.float64) * 0.6180339887) % 1.0
        interval = round(config.pushes.interval / self._step_dt)
        self._push_offsets = (turns * interval).long().to(device)
        self._foot_offsets = torch.arange(feet, device=device) * 0.5

    def _noise_of(self, column: str) -> float:
        """Returns the noise of a column of the observation, in its unit."""
        config, noise = self.config, self.config.noise
        values = {
            "lin_vel_b": noise.lin_vel * config.lin_vel_scale,
            "ang_vel_b": noise.ang_vel * config.ang_vel_scale,
            "gravity_b": noise.gravity,
            "joint_pos": noise.joint_pos,
            "joint_vel": noise.joint_vel * config.joint_vel_scale,
        }
        return values.get(column, 0.0)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the joint targets [rad]."""
        changes = self._action_scale * actions
        if len(self._driven) == len(self._default):
            return self._default + changes
        return self._default.expand(len(actions), -1).index_add(1, self._driven, changes)

    def draw(self, generator: torch.Generator) -> None:
        """Draws commands, pushes and noise, uniform in [-1, 1)."""
        self._drawn.uniform_(-1.0, 1.0, generator=generator)

    def advance(self, state: SimState) -> None:
        """Renews commands that are due, follows the heading, pushes."""
        config, buffers = self.config, self.buffers
        buffers["age"] += 1
        buffers["steps"] += 1
        due = buffers["age"] % self._command_steps == 0
        if self.ground.field is not None:
            buffers["asked"] += self._command_steps * self._asked_speed() * due
        new = self._velocities.made_of(self._drawn_commands)
        buffers["commands"].copy_(torch.where(due[:, None], new, buffers["commands"]))
        self._velocities.follow_heading(buffers["commands"], state.root_quat_w)
        if config.pushes.interval:
            every = max(round(config.pushes.interval / self._step_dt), 1)
            since = (
                buffers["steps"] + self._push_offsets
                if config.pushes.per_robot
                else buffers["steps"]
            )
            mask = (since % every == 0).expand(self.num_envs)
            velocity = state.root_lin_vel_w.clone()
            velocity[:, :2] = config.pushes.max_speed * self._drawn_pushes
            self._sim.set_root_velocity(mask, velocity, state.root_ang_vel_w.clone())

    def _asked_speed(self) -> Tensor:
        """Returns the horizontal speed that the current command asks for [m/s], shape [N]."""
        return self.buffers["commands"][:, :2].norm(dim=-1)

    def _in_base(self, state: SimState) -> tuple[Tensor, Tensor, Tensor]:
        """Returns velocity, angular velocity and gravity in the base's axes, shape [N, 3]."""
        vectors = torch.stack((state.root_lin_vel_w, state.root_ang_vel_w, self._down), dim=1)
        rotated = quat_rotate_inverse(state.root_quat_w[:, None].expand(-1, 3, -1), vectors)
        return rotated[:, 0], rotated[:, 1], rotated[:, 2]

    def observed(self, state: SimState, actions: Tensor) -> dict[str, Tensor]:
        """Returns what a robot may observe, by the names of columns."""
        config = self.config
        lin_vel_b, ang_vel_b, gravity_b = self._in_base(state)
        return {
            "lin_vel_b": config.lin_vel_scale * lin_vel_b,
            "ang_vel_b": config.ang_vel_scale * ang_vel_b,
            "gravity_b": gravity_b,
            "commands": self.buffers["commands"][:, :3] * self._command_scale,
            "joint_pos": self._of_driven(state.joint_pos - self._default),
            "joint_vel": config.joint_vel_scale * self._of_driven(state.joint_vel),
            "actions": actions,
        }

    def _of_driven(self, values: Tensor) -> Tensor:
        """Returns the columns of the driven joints, [N, J] -> [N, A]."""
        return values if len(self._driven) == len(self._default) else values[:, self._driven]

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the task's columns in their order, shape [N, O]."""
        assert self.columns is not None
        observed = self.observed(state, actions)
        return torch.cat([observed[name] for name in self.columns.parts()], dim=-1)

    def add_noise(self, observations: Tensor) -> Tensor:
        """Returns observations with uniform noise, shape [N, O]."""
        if not self.adds_noise:
            return observations
        return observations + self._noise * self._drawn_noise

    @property
    def adds_noise(self) -> bool:
        """Whether ``noise.level`` is above 0."""
        return self.config.noise.level > 0.0

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the sum of the reward's terms, and which robots fell."""
        m = self._moment(state, actions)
        failures = self._own_failures(m)
        m = m._replace(terminated=any_of(failures, m.terminated))
        terms = self._terms(m)
        total = torch.zeros_like(m.base_height)
        for name, term in terms.items():
            if name != "termination":
                total = total + term
        if self.config.only_positive_rewards:
            total = total.clamp(min=0.0)
        if "termination" in terms:
            total = total + terms["termination"]
        self.buffers["last_actions"].copy_(actions)
        self.buffers["last_joint_vel"].copy_(state.joint_vel)
        error = (m.commands[:, :2] - m.lin_vel_b[:, :2]).norm(dim=-1)
        reported = self._terms.reported(terms) | {"lin_vel_error": error}
        reported |= {name: failed.float() for name, failed in failures.items()}
        if self.ground.field is not None:
            reported["terrain_level"] = self.ground.level.float()
        return Outcome(total, m.terminated, reported)

    def _moment(self, state: SimState, actions: Tensor) -> Moment:
        config, buffers = self.config, self.buffers
        lin_vel_b, ang_vel_b, gravity_b = self._in_base(state)
        touching = state.contact_force_w[:, self._feet, 2] > 1.0
        grounded = touching | buffers["touching"]  # a foot that lost contact for one step has not
        buffers["touching"].copy_(touching)
        air_time = buffers["air_time"]
        landed = grounded & (air_time > 0.0)
        landed_air_time = (air_time + self._step_dt) * landed
        air_time.copy_((air_time + self._step_dt) * ~grounded)
        age = buffers["age"][:, None] * self._step_dt
        return Moment(
            state=state, commands=buffers["commands"][:, :3], lin_vel_b=lin_vel_b,
            ang_vel_b=ang_vel_b, gravity_b=gravity_b, base_height=self.base_height(state),
            actions=actions, last_actions=buffers["last_actions"],
            last_joint_vel=buffers["last_joint_vel"], default_joint_pos=self._default,
            soft_lower=self._soft_lower, soft_upper=self._soft_upper, foot_ids=self._feet,
            collision_ids=self._colliding, hip_ids=self._hips, landed_air_time=landed_air_time,
            landed=landed, air_time=air_time, phase=(age / GAIT_PERIOD + self._foot_offsets) % 1.0,
            terminated=self._failed(state, gravity_b), step_dt=self._step_dt,
            tracking_sigma=config.tracking_sigma, base_height_target=self.walker.base_height,
            max_contact_force=config.max_contact_force, foot_points_b=self._foot_points_b,
            effort_limits=self._effort_limits, pose_width=self._pose_width,
            swing_height=config.swing_height, ground=self.ground.below,
        )  # fmt: skip

    def base_height(self, state: SimState) -> Tensor:
        """Returns the height of the base above the ground below it [m], shape [N]."""
        return state.root_pos_w[:, 2] - self.ground.below(state.root_pos_w[:, :2])

    def _failed(self, state: SimState, gravity_b: Tensor) -> Tensor:
        """Returns whether a body touches something that must not, or the base is tilted."""
        failed = (state.contact_force_w[:, self._failing].norm(dim=-1) > 1.0).any(-1)
        return failed | self._tilted(gravity_b)

    def _tilted(self, gravity_b: Tensor) -> Tensor:
        """Returns whether the base is tilted further than it may be, shape [N], bool."""
        config = self.config
        tilted = torch.zeros_like(gravity_b[:, 0], dtype=torch.bool)
        if config.max_pitch < math.inf:
            tilted |= gravity_b[:, 0].clamp(-1.0, 1.0).asin().abs() > config.max_pitch
        if config.max_roll < math.inf:
            tilted |= torch.atan2(gravity_b[:, 1], -gravity_b[:, 2]).abs() > config.max_roll
        return tilted

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the start pose, joints at 0.5 to 1.5 of their default positions."""
        config, n, joints = self.config, self.num_envs, len(self._default)
        speeds = config.start_max_speed * uniform((n, 6), -1.0, 1.0, generator)
        joint_speed = config.start_max_joint_speed
        commands = self._velocities.made_of(uniform((n, 3), -1.0, 1.0, generator))
        self._new_commands.copy_(commands)
        starts = self._draw_starts(generator)
        return ResetState(
            joint_pos=self._default * uniform((n, joints), 0.5, 1.5, generator),
            joint_vel=uniform((n, joints), -joint_speed, joint_speed, generator),
            root_pos_w=starts + self._start_height,
            root_quat_w=self._upright,
            root_lin_vel_w=speeds[:, :3],
            root_ang_vel_w=speeds[:, 3:],
        )

    def deployment(self) -> Deployment:
        """Returns what surrounds a policy on this robot."""
        assert self.columns is not None
        base = self.walker.root or self._sim.body_names[0]
        return deployment_of(self.config, self.walker, self.columns.parts(), base=base)

    def marks(self, state: SimState, env_id: int) -> list[Mark]:
        """Returns the commanded velocity as a green arrow, the robot's own as a blue one."""
        command_b = self.buffers["commands"][env_id, :3].clone()
        command_b[2] = 0.0
        yaw = yaw_of(state.root_quat_w[env_id]).item()
        heading = torch.tensor([0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)])
        command_w = quat_rotate(heading, command_b.cpu())
        height = 0.8 * self.walker.start_height
        above = state.root_pos_w[env_id].cpu() + torch.tensor([0.0, 0.0, height])
        velocity = state.root_lin_vel_w[env_id].cpu() * torch.tensor([1.0, 1.0, 0.0])
        lower = above - torch.tensor([0.0, 0.0, 0.06])
        return [
            _arrow(above, command_w, (0.1, 0.7, 0.2, 1.0)),
            _arrow(lower, velocity, (0.15, 0.35, 0.9, 1.0)),
        ]

    def _draw_starts(self, generator: torch.Generator) -> Tensor:
        """Returns the places on the ground at which robots would restart, shape [N, 3]."""
        if self.ground.field is None:
            return self.ground.origins
        state, age = self._sim.state, self.buffers["age"]
        # A command that was drawn in this step has been followed for no step.
        asked = self.buffers["asked"] + self._asked_speed() * (age % self._command_steps)
        mean_speed = asked / age.clamp(min=1)
        walked = self.ground.walked(state.root_pos_w)
        wanted = mean_speed * self._step_dt * self.config.episode_length
        # The engine has moved diverged robots, so where they are says nothing.
        judged = (age > 0) & ~state.diverged
        middles = self.ground.draw_levels(walked, wanted, judged, generator)
        return self.ground.scatter(middles, generator)

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Begins episodes: new commands, nothing remembered."""
        buffers, chosen = self.buffers, mask[:, None]
        buffers["commands"].copy_(torch.where(chosen, self._new_commands, buffers["commands"]))
        for name in ("last_actions", "last_joint_vel", "air_time", "touching"):
            buffers[name].masked_fill_(chosen, 0)
        buffers["age"].masked_fill_(mask, 0)
        self.ground.settle(mask)
        self._velocities.follow_heading(buffers["commands"], state.root_quat_w)


def _arrow(start: Tensor, vector: Tensor, rgba: tuple[float, float, float, float]) -> Mark:
    """Returns an arrow of half a metre for 1 m/s."""
    end = start + 0.5 * vector
    return Mark(tuple(start.tolist()), tuple(end.tolist()), 0.02, rgba)


def ids_of(names: tuple[str, ...], known: tuple[str, ...], device: torch.device) -> Tensor:
    """Returns the places of names among all that are known, int64."""
    return torch.tensor([known.index(name) for name in names], dtype=torch.int64, device=device)
