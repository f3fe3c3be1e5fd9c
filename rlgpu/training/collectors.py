"""Two ways to collect a rollout: as one captured phase, or step by step from the host."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from rlgpu.device import Phase, one_torch_thread
from rlgpu.envs import Environments, WorldCounts
from rlgpu.learner import Agent, RolloutStorage


class Collector(Protocol):
    """Fills a storage with rollouts."""

    counts: WorldCounts[Tensor]
    """The environments' counts after the last rollout, on the learner's device."""
    reported: Mapping[str, Tensor]
    """What the task reported, summed over the last rollout's steps, on the learner's device."""

    def collect(self) -> None:
        """Fills the storage with one rollout of ``horizon_length`` steps."""


def make_collector(
    env: Environments, agent: Agent, storage: RolloutStorage, *, cuda_graphs: bool
) -> Collector:
    """Returns the collector that suits the engine and the devices.

    Args:
        env: The environments.
        agent: The agent that acts in them.
        storage: The storage to fill.
        cuda_graphs: Whether to capture phases on a GPU.
    """
    if env.capturable and env.device == agent.device:
        return CapturedCollector(env, agent, storage, cuda_graphs=cuda_graphs)
    return StepwiseCollector(env, agent, storage, cuda_graphs=cuda_graphs)


class CapturedCollector:
    """Runs the policy, physics, task and resets of all steps as one CUDA graph."""

    def __init__(
        self, env: Environments, agent: Agent, storage: RolloutStorage, *, cuda_graphs: bool
    ) -> None:
        """Prepares the phase; the environments and the agent must be on the same device."""
        self._env, self._agent, self._storage = env, agent, storage
        self.counts, self.reported = env.counts, env.reported
        self._phase = Phase(
            self._rollout,
            agent.device,
            name="rollout",
            enabled=cuda_graphs,
            generators=(env.generator,),
            joining=env.capturing,
        )

    def collect(self) -> None:
        """Fills the storage with one rollout."""
        self._phase()

    def _rollout(self) -> None:
        for total in self.reported.values():
            total.zero_()
        for t in range(self._storage.horizon_length):
            self._storage.observations[t].copy_(self._env.observations)
            _step(self._env, self._storage, t, self._agent.act(self._storage, t))
        self._storage.last_observations.copy_(self._env.observations)


class StepwiseCollector:
    """Steps from the host; on a GPU each step of the policy is a CUDA graph.

    For engines that run on the CPU or in another process, with the learner on any device.
    """

    def __init__(
        self, env: Environments, agent: Agent, storage: RolloutStorage, *, cuda_graphs: bool
    ) -> None:
        """Prepares a phase for each step."""
        self._env, self._storage = env, storage
        # Copies on the learner's device: a captured update reads them at a fixed address.
        self.counts = WorldCounts(*(count.to(agent.device, copy=True) for count in env.counts))
        self.reported: Mapping[str, Tensor] = {
            name: total.to(agent.device, copy=True) for name, total in env.reported.items()
        }
        self._act: list[Phase[Any]] = [
            Phase(partial(agent.act, storage, t), agent.device, name="policy", enabled=cuda_graphs)
            for t in range(storage.horizon_length)
        ]

    def collect(self) -> None:
        """Fills the storage with one rollout."""
        env, storage = self._env, self._storage
        for total in env.reported.values():
            total.zero_()
        with one_torch_thread(env.device):
            for t, act in enumerate(self._act):
                storage.observations[t].copy_(env.observations)
                _step(env, storage, t, act().to(env.device))
        storage.last_observations.copy_(env.observations)
        for ours, theirs in zip(self.counts, env.counts, strict=True):
            ours.copy_(theirs)
        for name, ours in self.reported.items():
            ours.copy_(env.reported[name])


def _step(env: Environments, storage: RolloutStorage, t: int, actions: Tensor) -> None:
    """Steps the environments and writes the results to slot ``t``."""
    step = env.step(actions)
    storage.rewards[t].copy_(step.rewards)
    storage.terminated[t].copy_(step.terminated)
    storage.truncated[t].copy_(step.truncated)
    storage.final_observations[t].copy_(step.final_observations)
