"""A trained policy, opened by the words of a command line that do something else than play it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from rlgpu.cli.session import find_start, trained
from rlgpu.config import Config, Project, compose, read_words
from rlgpu.envs import Environments
from rlgpu.learner import Agent
from rlgpu.sim import ENGINES
from rlgpu.training import Tasks, build_env, seed_everything


class OpenedPolicy(NamedTuple):
    """A trained policy, and environments of its task."""

    config: Config
    path: Path
    """Its checkpoint."""
    env: Environments
    agent: Agent


@contextmanager
def opened_policy(arguments: Sequence[str], project: Project) -> Iterator[OpenedPolicy]:
    """Yields a trained policy and environments of its task, as playing it would.

    Args:
        arguments: The words of the command line.
        project: Where tasks and YAML files are.

    Raises:
        UsageError: There is no such policy.
    """
    words = [*arguments, "test=True"]
    start = find_start(read_words(words), project)
    composed = compose(words, Tasks(), ENGINES, project, start.saved)
    config, checkpoint = composed.config, start.checkpoint
    assert checkpoint is not None
    seed_everything(config)
    env = build_env(config, composed.task_class)
    with closing(env):
        yield OpenedPolicy(config, checkpoint.path, env, trained(checkpoint, config, env))
