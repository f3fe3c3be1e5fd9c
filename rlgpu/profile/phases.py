"""The phases of an iteration, each timed on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from rlgpu.graphs import Phase
from rlgpu.profile.timing import seconds_of
from rlgpu.trainer import Trainer


class PhaseTime(NamedTuple):
    """One row of the table of phases."""

    name: str
    seconds: float
    """Time of the phase in one iteration."""
    is_part: bool
    """Whether it is contained in the row above that is no part."""


def time_phases(trainer: Trainer) -> list[PhaseTime]:
    """Returns the time of each phase of one iteration, every one repeated on its own.

    The parts of a rollout are timed apart from each other, so that on a GPU, where they are graphs
    of their own, they need not add up to the whole.

    Args:
        trainer: Training about to begin; its environments and agent move on.
    """
    agent, storage = trainer.agent, trainer.storage

    def iterate() -> None:
        trainer.collect()
        trainer.update()

    def timed(
        name: str, what: Callable[[], Any], before: Callable[[], object] = lambda: None
    ) -> PhaseTime:
        return PhaseTime(name, seconds_of(what, agent.device, before=before), is_part=False)

    advantages: Phase[Any] = Phase(
        lambda: agent.compute_advantages(storage),
        agent.device,
        name="advantages",
        enabled=trainer.config.cuda_graphs,
    )
    return [
        timed("collect", trainer.collect),
        *_time_parts(trainer),
        timed("advantages", advantages),
        # Each on a rollout of its own: trained on twice, one would be far from its policy.
        timed("update, advantages included", trainer.update, before=trainer.collect),
        timed("iteration", iterate),
    ]


def _time_parts(trainer: Trainer) -> list[PhaseTime]:
    """Returns the parts of a rollout: the policy, the bare engine, the task."""
    env, agent, storage = trainer.env, trainer.agent, trainer.storage
    steps = range(storage.horizon_length)
    actions = torch.zeros(env.num_envs, env.num_actions, device=env.device)
    observations = torch.zeros(env.num_envs, env.num_observations, device=agent.device)
    captured = trainer.config.cuda_graphs

    def policy() -> None:
        for t in steps:
            agent.act(observations, storage, t)

    def physics() -> None:
        for _ in steps:
            env.sim.step()

    def task() -> None:
        for _ in steps:
            env.evaluate_step(actions)

    phases: list[Phase[Any]] = [Phase(policy, agent.device, name="policy", enabled=captured)]
    for function in (physics, task):
        phases.append(
            Phase(
                function,
                env.device,
                name=function.__name__,
                enabled=captured and env.sim.capturable,
                generators=(env.generator,) if env.sim.capturable else (),
                joining=env.sim.capturing,
            )
        )
    return [
        PhaseTime(name, seconds_of(phase, agent.device), is_part=True)
        for name, phase in zip(("policy", "physics", "task"), phases, strict=True)
    ]
