"""The command line: ``python train.py task=Ant headless=True``."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from rlgpu.assemble import make_agent, make_env, seed_everything
from rlgpu.checkpoint import check_compatible, check_resumable, find_checkpoint, load_checkpoint
from rlgpu.compose import Composed, compose
from rlgpu.display import Display
from rlgpu.errors import UsageError
from rlgpu.player import (
    has_display,
    play_episodes,
    play_in_viewer,
    record_video,
    require_video,
)
from rlgpu.run_folder import create_run_folder, task_folder
from rlgpu.sim import GPU_ENGINES
from rlgpu.trainer import Trainer, TrainingFailed
from tasks import TASKS

ROOT = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Trains or plays; returns the exit code: 0, 1 if training failed, 2 for a wrong request."""
    console = Console(soft_wrap=True)
    try:
        composed = compose(arguments, TASKS, ROOT / "cfg")
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
    announce(composed, console)
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    agent = make_agent(config, env)
    if path and content:
        check_compatible(path, content, config, env.sim.joint_names)
        check_resumable(path, content, config)
    folder = create_run_folder(config)
    trainer = Trainer(config, env, agent, folder)
    if content:
        trainer.load(content)
        console.print(f"continuing {path} after iteration {trainer.iteration}", highlight=False)
    title = f"{config.task.name} on {config.sim.engine}, {config.num_envs} environments"
    console.print(f"{title}, writing to {folder}", highlight=False)
    console.print(env.sim.description, highlight=False)
    trainer.train(Display(console, title, config.max_iterations, folder))
    console.print(
        f"done after {trainer.iteration} iterations; see it: "
        f"python train.py task={composed.task_word} test=True checkpoint=latest",
        highlight=False,
    )


def announce(composed: Composed, console: Console) -> None:
    """Says why the first start on a machine is slow, before it is."""
    if composed.config.sim.engine in GPU_ENGINES:
        console.print(
            "preparing the simulation; the first time on a machine its kernels are compiled, which "
            "takes about a minute",
            highlight=False,
        )


def play(composed: Composed, console: Console) -> None:
    """Plays a checkpoint back: viewer, video, or return and length without a display."""
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
        record_video(config, composed.task_class, agent, video)
        console.print(f"wrote {video}", highlight=False)
    elif has_display() and not config.headless:
        play_in_viewer(env, agent, lambda text: console.print(text, highlight=False))
        return
    play_episodes(env, agent, config.games, lambda text: console.print(text, highlight=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
