"""Training and environments by a call, with the keys of the command line."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from rlgpu.cli.session import run_session
from rlgpu.config import Project, compose
from rlgpu.config.idle import Idle
from rlgpu.envs import Environments
from rlgpu.errors import UsageError
from rlgpu.ops import select_kernels
from rlgpu.playing import Policy
from rlgpu.sim import ENGINES
from rlgpu.training import Tasks, build_env, find_checkpoint, load_trained


class Result(NamedTuple):
    """What a training run achieved."""

    folder: Path
    """The run's folder: its checkpoints, configuration and curves."""
    iterations: int
    env_steps: int
    mean_return: float
    """Mean return of the last episodes; NaN if none has finished."""
    best_return: float
    """Largest mean return of an iteration."""
    seconds: float
    """Time of training."""

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "nn" / "last.pth"

    def metrics(self) -> dict[str, list[float]]:
        """Returns the numbers of every iteration, by the names of ``metrics.csv``."""
        with (self.folder / "metrics.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name]) for row in rows] for name in rows[0]}


def train(task: str, *, quiet: bool = False, **settings: Any) -> Result:
    """Trains a policy as ``rlgpu train task=...`` does.

    Args:
        task: As on the command line, such as ``Ant`` or ``gym:CartPole-v1``.
        quiet: Whether to print nothing.
        **settings: Keys of the command line, groups as mappings: ``num_envs=64,
            train={"learning_rate": 1e-3}``.

    Raises:
        UsageError: A key or value is invalid, or the task cannot be built.
        TrainingFailed: Training could not go on.
    """
    words = [f"task={task}", "headless=True", *_words(settings)]
    trained = run_session(words, Project.at(Path.cwd()), Console(quiet=True) if quiet else None)
    if trained is None:
        said = "test=True plays; rlgpu.train trains"
        raise UsageError(said, key="test", value=True, allowed=[False])
    folder, trainer = trained
    return Result(
        folder,
        trainer.iteration,
        trainer.env_steps,
        trainer.mean_return,
        trainer.best_return,
        trainer.wall_time,
    )


def make_env(
    task: str, num_envs: int | None = None, seed: int = 42, **settings: Any
) -> Environments:
    """Returns parallel environments of a task, to step by ``env.step(actions)``.

    Args:
        task: As on the command line.
        num_envs: Number of environments; the task's own default if None.
        seed: Seed of their resets.
        **settings: Keys of the command line, groups as mappings: ``task_={"gear": 10}`` is
            ``task.gear=10``.

    Raises:
        UsageError: A key or value is invalid, or the task cannot be built.
    """
    given = dict(settings) if num_envs is None else {"num_envs": num_envs, **settings}
    words = [f"task={task}", f"seed={seed}", *_words(given)]
    composed = compose(words, Tasks(), ENGINES, Project.at(Path.cwd()))
    config = composed.config
    env = build_env(config, composed.task_class)
    notes = [note.said for note in composed.notes if isinstance(note, Idle)]
    for text in (*notes, *env.warnings):
        warnings.warn(text, stacklevel=2)
    return env


def load_policy(checkpoint: str | Path, env: Environments) -> Policy:
    """Returns the trained policy of a run.

    Args:
        checkpoint: Path of a checkpoint or of a run's folder.
        env: Environments of its task, or of one with the same observations and actions.

    Raises:
        UsageError: There is no such checkpoint, or it does not fit.
    """
    path = find_checkpoint(str(checkpoint), Path("runs"))
    kernels = select_kernels("compiled", env.device)
    return Policy(load_trained(path, env, kernels, env.device, "fp32"), env.num_envs)


def _words(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Returns settings as words of the command line."""
    for name, value in settings.items():
        key = f"{prefix}{name.removesuffix('_')}"
        if isinstance(value, Mapping):
            yield from _words(value, f"{key}.")
        elif isinstance(value, list | tuple):
            yield f"{key}=[{','.join(map(str, value))}]"
        else:
            yield f"{key}={value}"
