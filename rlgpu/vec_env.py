"""N environments: an engine and a task, with time limits and resets inside the step."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.sim import Simulator
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

    def __init__(self, task: Task, sim: Simulator, *, seed: int) -> None:
        """Joins a task and an engine and resets every environment.

        Args:
            task: The task, not yet bound.
            sim: An engine holding the task's scene.
            seed: Seed of the resets' random numbers.
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
        self._reset(everyone)
        self.observations = self._observe()

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one control step and resets the environments that ended.

        Args:
            actions: Actions before clamping, shape [N, A].
        """
        config, task, sim = self.task.config, self.task, self.sim
        torch.clamp(actions, -config.clip_actions, config.clip_actions, out=self._actions)
        sim.set_targets(task.targets(self._actions))
        sim.step()
        sim.refresh()
        self.progress += 1

        final_observations = self._observe()
        rewards, terminated = task.evaluate(sim.state, self._actions, final_observations)
        # A diverged world was restarted by its engine: what it returned means nothing.
        terminated = terminated | sim.state.diverged
        rewards = rewards.masked_fill(sim.state.diverged, 0.0)
        self.diverged_count += sim.state.diverged.sum()
        self.overflow_count += sim.state.overflowed.sum()
        truncated = (self.progress >= config.episode_length) & ~terminated
        done = terminated | truncated
        self.observations = final_observations
        # On the CPU a branch costs nothing; elsewhere it would wait for the device.
        if self.device.type != "cpu" or bool(done.any()):
            self._reset(done)
            self.observations = torch.where(done[:, None], self._observe(), final_observations)
        return Step(self.observations, rewards, terminated, truncated, final_observations)

    def _reset(self, mask: Tensor) -> None:
        self.sim.reset(mask, self.task.reset_state(self.generator))
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
        self.observations = state["observations"].to(self.device).clone()
        self.diverged_count.copy_(state["diverged_count"])
        self.generator.set_state(state["generator"])
