"""The command line: ``python train.py task=Ant headless=True``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rlgpu.config import Composed, compose
from rlgpu.errors import UsageError
from rlgpu.learner import Ppo
from rlgpu.playing import (
    has_display,
    play_episodes,
    play_in_viewer,
    record_video,
    require_video,
)
from rlgpu.sim import ENGINES
from rlgpu.training import (
    Display,
    Trainer,
    TrainingFailed,
    carry_best_over,
    check_compatible,
    check_resumable,
    create_run_folder,
    find_checkpoint,
    load_checkpoint,
    make_agent,
    make_env,
    seed_everything,
    task_folder,
)
from tasks import TASKS

ROOT = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Trains or plays; returns the exit code: 0, 1 if training failed, 2 for a usage error."""
    console = Console(soft_wrap=True)
    try:
        composed = compose(arguments, TASKS, ENGINES, ROOT / "cfg")
        for note in composed.notes:
            console.print(note, highlight=False, markup=False)
        if composed.config.capture_video:
            require_video()
        (play if composed.config.test else train)(composed, console)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except TrainingFailed as error:
        print(f"training stopped: {error}", file=sys.stderr)
        return 1
    return 0


def train(composed: Composed, console: Console) -> None:
    """Trains, from scratch or from a checkpoint, into a new run folder."""
    config = composed.config
    seed_everything(config)
    path = find_checkpoint(config.checkpoint, task_folder(config)) if config.checkpoint else None
    content = load_checkpoint(path) if path else None
    if path and content:
        check_resumable(path, content, config)
    announce(composed, console)
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    agent = make_agent(config, env)
    trainer = Trainer(config, env, agent)
    if path and content:
        check_compatible(path, content, config, env.sim.joint_names)
        resume(trainer, path, content)
    # Write nothing until everything has been checked.
    folder = create_run_folder(config)
    if path:
        carry_best_over(path, folder)
        console.print(f"resuming {path} after iteration {trainer.iteration}", highlight=False)
    title = f"{config.task.name} on {config.sim.engine}, {config.num_envs} environments"
    console.print(f"{title}, writing to {folder}", highlight=False)
    console.print(env.sim.description, highlight=False)
    display = Display(console, title, config.max_iterations, folder)
    recorder = partial(record, composed, agent) if config.capture_video else None
    trainer.train(folder, display, recorder)
    console.print(
        f"done after {trainer.iteration} iterations; to watch the policy: "
        f"python train.py task={composed.task_word} test=True checkpoint=latest",
        highlight=False,
    )


def resume(trainer: Trainer, path: Path, content: dict[str, Any]) -> None:
    """Restores a checkpoint into a new trainer.

    Raises:
        UsageError: The checkpoint does not fit this run.
    """
    try:
        trainer.load(content)
    except (KeyError, RuntimeError, ValueError) as error:
        raise UsageError(f"checkpoint={path}: it does not fit this run: {error}") from error


def record(composed: Composed, agent: Ppo, path: Path) -> None:
    """Records a video of the policy in a separate environment."""
    config = composed.config
    env = make_env(config, composed.task_class, 1, config.seed)
    record_video(env, agent, path, config.capture_video_len)
    env.sim.close()


def announce(composed: Composed, console: Console) -> None:
    """Announces that the first start on a machine is slow, and why."""
    if ENGINES[composed.config.sim.engine].devices[0] == "cuda":
        console.print(
            "preparing the simulation; the first run on a machine compiles its kernels, which "
            "takes about a minute",
            highlight=False,
        )


def play(composed: Composed, console: Console) -> None:
    """Plays back a checkpoint: in a viewer, as a video, or as returns and lengths only."""
    config = composed.config
    path = find_checkpoint(config.checkpoint or "latest", task_folder(config))
    content = load_checkpoint(path)
    seed_everything(config)
    announce(composed, console)
    env = make_env(config, composed.task_class, config.num_envs, config.seed)
    agent = make_agent(config, env)
    check_compatible(path, content, config, env.sim.joint_names)
    agent.load_policy(content["agent"])
    console.print(f"playing {path}", highlight=False)
    if config.capture_video:
        video = path.parent.parent / "videos" / f"{path.stem}.mp4"
        record(composed, agent, video)
        console.print(f"wrote {video}", highlight=False)
    elif has_display() and not config.headless:
        play_in_viewer(env, agent, lambda text: console.print(text, highlight=False))
        return
    play_episodes(env, agent, config.games, lambda text: console.print(text, highlight=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
