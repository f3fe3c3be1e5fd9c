"""Training and playing, from the command line's words to the last line on the console."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from rlgpu.config import (
    ROBOT,
    Composed,
    Config,
    Project,
    SavedRun,
    check_actions,
    compose,
    convert,
    is_gym,
    read_words,
    task_name,
)
from rlgpu.device import has_display, is_out_of_memory
from rlgpu.device.stopping import Stopping
from rlgpu.envs import Environments, VecEnv
from rlgpu.errors import (
    Cause,
    Conflict,
    EngineFailed,
    TaskError,
    TrainingFailed,
    UsageError,
    line_in,
    passed_through,
    usable_path,
)
from rlgpu.learner import Agent
from rlgpu.playing import (
    num_shown,
    play_episodes,
    play_in_viewer,
    play_until_stopped,
    record_video,
    require_video,
)
from rlgpu.sim import ENGINES
from rlgpu.tools.command_line import call_of
from rlgpu.training import (
    Checkpoint,
    Display,
    Tasks,
    Trainer,
    build_env,
    carry_best_over,
    check_compatible,
    check_resumable,
    create_run_folder,
    describe_changed_schedules,
    find_checkpoint,
    load_checkpoint,
    make_agent,
    misfit_of,
    newest_task,
    origin_of,
    read_run_folder,
    remove_unused,
    seed_everything,
    task_folder,
    training_failed,
)


class _Start(NamedTuple):
    """The earlier run that a session starts from."""

    saved: SavedRun | None = None
    checkpoint: Checkpoint | None = None
    """The one that is used, if any."""

    def resumed(self, config: Config) -> Checkpoint | None:
        """Returns the checkpoint that training goes on from with all its state, if any."""
        return None if config.weights_only else self.checkpoint


def run_session(
    arguments: Sequence[str],
    project: Project,
    console: Console | None = None,
) -> tuple[Path, Trainer] | None:
    """Trains or plays what the arguments ask for.

    Args:
        arguments: The words of the command line, checked as far as possible without the tasks.
        project: Where tasks and YAML files are.
        console: Where to print; the terminal if None.

    Returns:
        The run's folder and the trainer at its end, its environments closed; None if it played.

    Raises:
        UsageError: The request cannot be carried out; nothing has been written.
        TrainingFailed: Training could not go on.
    """
    console = console or Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    given = read_words(arguments)
    start = find_start(given, project)
    if _wants_video(given, start, project):
        _check_drawable(given.get("task") or (start.saved.task_word if start.saved else ""))
        require_video()  # before MuJoCo is imported, which is when it chooses how to draw
    if "task" not in given and start.saved is None:
        default = project.default_task(given)
        console.print(f"task={default} by default; --help lists tasks and keys")
    composed = compose(arguments, Tasks(), ENGINES, project, start.saved)
    for note in composed.notes:
        console.print(note)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if composed.config.test:
            _play(composed, start, console, wants_games="games" in given)
            return None
        return _train(composed, start, console, origin_of(arguments, composed.task_word))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingFailed(
            f"the memory did not suffice ({error}); make num_envs, train.horizon_length or "
            "train.minibatch_size smaller",
            "memory",
        ) from error


def trained(checkpoint: Checkpoint, config: Config, env: Environments) -> Agent:
    """Returns the agent of a checkpoint.

    Raises:
        UsageError: It is of another task, robot or network.
    """
    agent = make_agent(config, env)
    check_compatible(checkpoint, config, env.joint_names)
    _restore(checkpoint, agent, env, config)
    if isinstance(env, VecEnv):
        env.load_progress(checkpoint.content["env"])
    return agent


def find_start(given: Mapping[str, str], project: Project) -> _Start:
    """Returns the run that is resumed, played or repeated, if the command line names one."""
    if folder := given.get("run"):
        values, origin = read_run_folder(usable_path("run", folder))
        if values.get("weights_only"):
            raise Conflict(
                f"run={folder}: it started from the weights of {values.get('checkpoint')}; "
                "repeat it with that checkpoint= and weights_only=True",
                key="run",
                value=folder,
                other="weights_only",
            )
        return _Start(SavedRun.read(values, origin, playing=False, source=f"run={folder}"))
    playing = convert("test", given.get("test", "False"), bool)
    wanted = given.get("checkpoint") or ("latest" if playing else "")
    if not wanted:
        return _Start()
    task_word = given.get("task") or project.default_task(given)
    runs_dir, experiment = given.get("runs_dir", "runs"), given.get("experiment", "")
    if playing and not (given.keys() & {"task", "experiment", ROBOT}):
        experiment = newest_task(runs_dir)
    path = find_checkpoint(wanted, task_folder(runs_dir, experiment, task_name(task_word)))
    content = load_checkpoint(path)
    saved = SavedRun.read(
        content["config"], content["origin"], playing=playing, source=f"checkpoint={path}"
    )
    return _Start(saved, Checkpoint(path, content))


def _wants_video(given: Mapping[str, str], start: _Start, project: Project) -> bool:
    """Returns whether a video is asked for, on the command line, by the run or by the files."""
    if "capture_video" in given:
        return bool(convert("capture_video", given["capture_video"], bool))
    values = start.saved.values if start.saved else project.defaults()
    playing = start.saved is not None and start.saved.playing
    return not playing and bool(values.get("capture_video", False))


def _train(
    composed: Composed, start: _Start, console: Console, origin: Mapping[str, str]
) -> tuple[Path, Trainer]:
    """Trains, from scratch, from a checkpoint or from its weights, into a new run folder."""
    config, resumed = composed.config, start.resumed(composed.config)
    seed_everything(config)
    if resumed:
        check_resumable(resumed, config)
    _announce(composed, console)
    viewer = _opens_viewer(config)
    env = build_env(config, composed.task_class, training=True, viewer=viewer, say=console.print)
    with closing(env):
        _warn(env, console)
        check_actions(env.action_space, composed.given)
        agent = make_agent(config, env)
        trainer = Trainer(config, env, agent, origin)
        if checkpoint := start.checkpoint:
            check_compatible(checkpoint, config, env.joint_names)
            _restore(checkpoint, trainer if resumed else agent, env, config)
        return _train_in(composed, start, console, origin, trainer), trainer


def _train_in(
    composed: Composed, start: _Start, console: Console, origin: Mapping[str, str], trainer: Trainer
) -> Path:
    """Trains in environments that have been checked; returns the new run folder."""
    config, resumed = composed.config, start.resumed(composed.config)
    env, agent = trainer.env, trainer.agent
    folder = create_run_folder(config, origin)
    where = "" if is_gym(composed.task_word) else f" on {config.sim.engine}"
    title = f"{config.task.name}{where}, {config.num_envs} environments"
    display = Display(console, title, config.max_iterations, folder)
    recorder = partial(_record, composed, agent) if config.capture_video else None
    try:
        if resumed:
            trainer.best_return = carry_best_over(resumed, folder)
            after = f"after iteration {trainer.iteration}"
            console.print(f"resuming {resumed.path} {after}, in the new folder {folder}")
            for line in describe_changed_schedules(resumed.content, config):
                console.print(line)
        elif start.checkpoint:
            console.print(f"starting from the weights of {start.checkpoint.path}")
        console.print(f"{title}, writing to {folder}")
        console.print(env.description)
        finished = trainer.train(folder, display, recorder)
    except (KeyboardInterrupt, UsageError):
        remove_unused(folder)
        raise
    except Exception as error:
        if explained := _explained(error, env, folder):
            raise explained from error
        raise
    console.print(_farewell(trainer, folder, finished=finished))
    return folder


def _farewell(trainer: Trainer, folder: Path, *, finished: bool) -> str:
    """Returns the last line: how training ended, and what can be done with it."""
    given = f"checkpoint={shlex.quote(str(folder))}"
    if finished:
        return (
            f"done after {trainer.iteration} iterations; to watch the policy: "
            f"{call_of('play')} {given}"
        )
    return (
        f"stopped after {trainer.iteration} of {trainer.config.max_iterations} iterations, saved; "
        f"to go on: {call_of('train')} {given}"
    )


def _explained(error: Exception, env: Environments, folder: Path) -> TrainingFailed | None:
    """Returns an engine's failure, or the task's own error by its line; None for any other."""
    if isinstance(error, EngineFailed | TaskError):
        cause: Cause = "engine" if isinstance(error, EngineFailed) else "task"
        return training_failed(str(error), cause, folder)
    file = env.source_file
    if isinstance(error, TrainingFailed) or file is None or not passed_through(error, file):
        return None
    return training_failed(line_in(error, file), "task", folder)


def _restore(
    checkpoint: Checkpoint, into: Trainer | Agent, env: Environments, config: Config
) -> None:
    """Restores a checkpoint into a new trainer, or only its policy into a new agent.

    Raises:
        Misfit: The checkpoint does not fit this run.
    """
    try:
        if isinstance(into, Trainer):
            into.load(checkpoint.content)
        else:
            into.load_policy(checkpoint.content["agent"])
    except EngineFailed:
        raise
    except (KeyError, RuntimeError, ValueError) as error:
        sizes = {"observations": env.num_observations, "actions": env.num_actions}
        raise misfit_of(checkpoint, config, sizes, error) from error


def _record(composed: Composed, agent: Agent, path: Path, stopping: Stopping | None = None) -> int:
    """Records a video of the policy in separate environments; returns its steps."""
    config = composed.config
    env = build_env(config, composed.task_class, num_shown(config.num_envs))
    try:
        return record_video(env, agent, path, config.capture_video_len, stopping)
    finally:
        env.close()


def _play_into_video(composed: Composed, agent: Agent, path: Path, console: Console) -> bool:
    """Records what is played; returns whether the video has its whole length."""
    wanted = composed.config.capture_video_len
    console.print(f"recording {wanted} steps; Ctrl-C keeps those so far")
    with Stopping() as stopping:
        recorded = _record(composed, agent, path, stopping)
    console.print(f"wrote {path}" + ("" if recorded == wanted else f", of {recorded} steps"))
    return not stopping.asked


def _check_drawable(task_word: str) -> None:
    """Refuses a video of environments that we do not draw."""
    if is_gym(task_word):
        said = f"capture_video=True: task={task_word} is not recorded; leave it out"
        raise Conflict(said, key="capture_video", value=True, allowed=[False], other="task")


def _opens_viewer(config: Config) -> bool:
    """Returns whether the engine's own viewer is opened, in training too, as Isaac Gym does."""
    return ENGINES[config.sim.engine].has_viewer and has_display() and not config.headless


def _announce(composed: Composed, console: Console) -> None:
    """Announces that a start may be slow, and why."""
    if note := ENGINES[composed.config.sim.engine].slow_start:
        console.print(note)


def _warn(env: Environments, console: Console) -> None:
    """Prints what looks like a mistake in the task or its scene, or is easily taken for another."""
    for text in env.warnings:
        console.print(f"warning: {text}")
    for text in env.notes:
        console.print(f"note: {text}")


def _play(composed: Composed, start: _Start, console: Console, *, wants_games: bool) -> None:
    """Plays back a checkpoint: in a viewer, as a video, or as returns and lengths only.

    Args:
        composed: The configuration.
        start: The checkpoint.
        console: Where to print.
        wants_games: Whether a number of episodes is given, which are then played after a video.
    """
    config, checkpoint = composed.config, start.checkpoint
    assert checkpoint is not None
    path = checkpoint.path
    seed_everything(config)
    _announce(composed, console)
    viewer = _opens_viewer(config) and not config.capture_video
    env = build_env(config, composed.task_class, viewer=viewer)
    with closing(env):
        _warn(env, console)
        agent = trained(checkpoint, config, env)
        console.print(f"playing {path}")
        if config.capture_video:
            video = path.parent.parent / "videos" / f"{path.stem}.mp4"
            if not _play_into_video(composed, agent, video, console):
                return
            if not wants_games:
                console.print("done; to measure returns as well, add games=100")
                return
        elif viewer:
            play_until_stopped(env, agent, console.print)
            return
        elif has_display() and not config.headless:
            play_in_viewer(env, agent, console.print)
            return
        play_episodes(env, agent, config.games, console.print)
