"""N environments: an engine and a task, with time limits and resets inside the step."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.graphs import fuse
from rlgpu.sim import ResetState, Simulator
from rlgpu.task import Task


class Step(NamedTuple):
    """One control step of all environments. The tensors are overwritten by the next step."""

    observations: Tensor
    """What the next action is chosen from; of the new episode where one began, shape [N, O]."""
    rewards: Tensor
    """Rewards, shape [N]."""
    terminated: Tensor
    """Whether the episode ended in failure, shape [N], bool."""
    truncated: Tensor
    """Whether it ended by the time limit and not in failure, shape [N], bool."""
    final_observations: Tensor
    """What was observed before any reset; differs where an episode ended, shape [N, O]."""


class VecEnv:
    """Steps a task on an engine. Resets happen in the same step; there are no filler rows."""

    def __init__(self, task: Task, sim: Simulator, *, seed: int, compiled: bool = False) -> None:
        """Joins a task and an engine and resets every environment.

        Args:
            task: The task, not yet bound.
            sim: An engine holding the task's scene.
            seed: Seed of the resets' random numbers.
            compiled: Whether torch.compile fuses the task's tensor code with the engine's. On a GPU
                its many small kernels may cost more than the physics; of 3.12 ms a step of an Ant,
                fusing left 1.36. Source: IsaacLab, pull request 6509.
        """
        self.task, self.sim = task, sim
        self.num_envs, self.device = sim.num_envs, sim.device
        self.num_observations, self.num_actions = task.num_observations, task.num_actions
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self.progress = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self._actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        self.diverged_count = torch.zeros((), dtype=torch.int64, device=self.device)
        self.overflow_count = torch.zeros((), dtype=torch.int64, device=self.device)
        task.bind(sim)
        everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._reset(everyone, task.reset_state(self.generator))
        # Overwritten and never replaced: a CUDA graph reads it at this address.
        self.observations = self._observe().clone()
        self._begin = fuse(self._begin_step, compiled)
        self._finish = fuse(self._finish_step, compiled)

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one control step and resets the environments that ended.

        Args:
            actions: Actions before clamping, shape [N, A].
        """
        self._begin(actions)
        self.sim.step()
        return self._end()

    def evaluate_step(self, actions: Tensor) -> Step:
        """Does all that ``step`` does but the physics, for measuring what the task costs.

        Args:
            actions: Actions before clamping, shape [N, A].
        """
        self._begin(actions)
        return self._end()

    def _end(self) -> Step:
        if self.device.type != "cpu":
            return self._finish(self.task.reset_state(self.generator))
        # On the CPU a branch costs nothing; elsewhere it would wait for the device.
        step = self._judge()
        if bool((step.terminated | step.truncated).any()):
            step = self._restart(step, self.task.reset_state(self.generator))
        self.observations.copy_(step.observations)
        return step._replace(observations=self.observations)

    def _begin_step(self, actions: Tensor) -> None:
        limit = self.task.config.clip_actions
        self._actions.copy_(actions.clamp(-limit, limit))
        self.sim.set_targets(self.task.targets(self._actions))

    def _finish_step(self, to: ResetState) -> Step:
        """Everything after the physics, in tensor arithmetic alone."""
        step = self._restart(self._judge(), to)
        self.observations.copy_(step.observations)
        return step._replace(observations=self.observations)

    def _judge(self) -> Step:
        """Returns what the step led to, before any reset."""
        config, state = self.task.config, self.sim.state
        self.sim.refresh()
        self.progress += 1
        observations = self._observe()
        rewards, terminated = self.task.evaluate(state, self._actions, observations)
        # A diverged world was restarted by its engine: what it returned means nothing.
        terminated = terminated | state.diverged
        rewards = rewards.masked_fill(state.diverged, 0.0)
        self.diverged_count += state.diverged.sum()
        self.overflow_count += state.overflowed.sum()
        truncated = (self.progress >= config.episode_length) & ~terminated
        return Step(observations, rewards, terminated, truncated, observations)

    def _restart(self, step: Step, to: ResetState) -> Step:
        """Resets what ended and returns the step with the first observations of new episodes."""
        done = step.terminated | step.truncated
        self._reset(done, to)
        observations = torch.where(done[:, None], self._observe(), step.final_observations)
        return step._replace(observations=observations)

    def _reset(self, mask: Tensor, to: ResetState) -> None:
        self.sim.reset(mask, to)
        self.progress.masked_fill_(mask, 0)
        self._actions.masked_fill_(mask[:, None], 0.0)
        self.task.after_reset(self.sim.state, mask)

    def _observe(self) -> Tensor:
        limit = self.task.config.clip_observations
        observations = self.task.observe(self.sim.state, self._actions)
        return observations if limit == float("inf") else observations.clamp(-limit, limit)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything needed to continue bit for bit, random numbers included."""
        return {
            "sim": self.sim.state_dict(),
            "task": {name: value.clone() for name, value in self.task.state.items()},
            "progress": self.progress.clone(),
            "actions": self._actions.clone(),
            "observations": self.observations.clone(),
            "diverged_count": self.diverged_count.clone(),
            "overflow_count": self.overflow_count.clone(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene or number of environments.
        """
        self.sim.load_state_dict(state["sim"])
        for name, value in self.task.state.items():
            value.copy_(state["task"][name])
        self.progress.copy_(state["progress"])
        self._actions.copy_(state["actions"])
        self.observations.copy_(state["observations"])
        self.diverged_count.copy_(state["diverged_count"])
        self.overflow_count.copy_(state["overflow_count"])
        self.generator.set_state(state["generator"].cpu())
