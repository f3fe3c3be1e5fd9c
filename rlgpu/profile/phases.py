"""Times of the phases of an iteration, measured separately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from rlgpu.device import Phase
from rlgpu.learner import Ppo
from rlgpu.profile.timing import seconds_of
from rlgpu.training import Trainer


class PhaseTime(NamedTuple):
    """One row of the table of phases."""

    name: str
    seconds: float
    """Time of the phase in one iteration."""
    is_part: bool
    """Whether it is part of the phase in the nearest row above whose ``is_part`` is False."""


def time_phases(trainer: Trainer) -> list[PhaseTime]:
    """Returns the time of each phase of an iteration, each measured separately.

    The parts of a rollout are also timed separately, the task without resets. On a GPU they are
    then separate graphs, so their times need not add up to the time of the rollout. What a rollout
    takes longer than its parts goes to resets, and to copies into the storage.

    Args:
        trainer: A trainer before training; its environments are stepped and its agent trained.
    """
    agent, storage = trainer.agent, trainer.storage
    assert isinstance(agent, Ppo)

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
    collect, parts = timed("collect", trainer.collect), _time_parts(trainer)
    rest = max(collect.seconds - sum(part.seconds for part in parts), 0.0)
    return [
        collect,
        *parts,
        PhaseTime("resets, copies", rest, is_part=True),
        timed("advantages", advantages),
        # Each update gets a new rollout: a second update would start far from the old policy.
        timed("update, advantages included", trainer.update, before=trainer.collect),
        timed("iteration", iterate),
    ]


def _time_parts(trainer: Trainer) -> list[PhaseTime]:
    """Returns the parts of a rollout: the policy, the bare engine, the task."""
    env, agent, storage = trainer.env, trainer.agent, trainer.storage
    steps = range(storage.horizon_length)
    actions = torch.zeros(env.num_envs, env.num_actions, device=env.device)
    captured = trainer.config.cuda_graphs

    def policy() -> None:
        for t in steps:
            agent.act(storage, t)

    def physics() -> None:
        for _ in steps:
            env.step_physics()

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
                enabled=captured and env.capturable,
                generators=(env.generator,) if env.capturable else (),
                joining=env.capturing,
            )
        )
    return [
        PhaseTime(name, seconds_of(phase, agent.device), is_part=True)
        for name, phase in zip(("policy", "physics", "task"), phases, strict=True)
    ]
