"""The training loop: collect, update, log, checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from rlgpu.config import Config, plain
from rlgpu.device import Phase, working_stream
from rlgpu.device.stopping import Stopping
from rlgpu.envs import Environments
from rlgpu.learner import Agent
from rlgpu.training.collectors import make_collector
from rlgpu.training.console import Display
from rlgpu.training.episodes import EpisodeStatistics
from rlgpu.training.idle_updates import IdleUpdates
from rlgpu.training.metrics import IterationRecord
from rlgpu.training.numbers import IterationNumbers
from rlgpu.training.report import Arrived, Report
from rlgpu.training.run_files import RunFiles
from rlgpu.training.run_folder import training_failed
from rlgpu.training.short_episodes import ShortEpisodes

MAX_DIVERGED = 0.1
"""Fraction of an iteration's environment steps that may diverge before training stops."""


class Trainer:
    """Alternates rollouts and updates, and logs them.

    On a GPU the rollout and the update are one CUDA graph each; the host does not wait for the
    current iteration, and the console shows the numbers of the previous one.
    """

    def __init__(
        self,
        config: Config,
        env: Environments,
        agent: Agent,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """Prepares training without writing any files.

        Args:
            config: The resolved configuration.
            env: The environments.
            agent: The agent, fresh or restored.
            origin: As ``origin_of`` returns it; saved with every checkpoint.
        """
        self.config, self.env, self.agent = config, env, agent
        # Saved with every checkpoint, and the same in all of a run.
        self._constants = {
            "config": plain(config),
            "origin": dict(origin or {}),
            "joint_names": list(env.joint_names),
        }
        train = config.train
        self.storage = agent.new_storage(env.num_envs)
        self.statistics = EpisodeStatistics(
            env.num_envs,
            train.horizon_length,
            agent.device,
            random_ages=train.init_at_random_ep_len,
        )
        if train.init_at_random_ep_len:
            env.randomize_ages()
        self.collector = make_collector(env, agent, self.storage, cuda_graphs=config.cuda_graphs)
        self._updating: Phase[Tensor] = Phase(
            self._update, agent.device, name="update", enabled=config.cuda_graphs
        )
        self._batch_size = train.horizon_length * env.num_envs
        self.iteration = 0
        self.wall_time = 0.0
        self.best_return = float("-inf")
        self.mean_return = float("nan")
        self._reported_trouble = (0.0, 0.0)
        self._remarks = (
            IdleUpdates(config).report,
            ShortEpisodes(config.task.name, env.episode_length).report,
        )
        self._iterations_before, self._steps_before = 0, 0  # of the run that is resumed

    def train(
        self,
        folder: Path,
        display: Display,
        record_video: Callable[[Path], object] | None = None,
    ) -> bool:
        """Trains until iteration ``max_iterations``, or until asked to stop (``Stopping``).

        Args:
            folder: The run's folder, which must exist.
            display: Shows every iteration.
            record_video: Writes a video of the policy to a path; None records no videos.

        Returns:
            Whether all iterations were done.

        Raises:
            TrainingFailed: Too many worlds diverged, no gradient was finite, or the end of training
                could not be saved.
        """
        title = f"{self.config.task.name}, {self.env.num_envs} environments"
        files = RunFiles(folder, title, self.config.train.keep_checkpoints, display.note)
        earlier, started = self.wall_time, time.perf_counter()
        report = Report(self.agent.device, started)
        with Stopping() as stopping, display, working_stream(self.agent.device):
            finished = False
            while not finished:
                report.begin()
                self.collect()
                report.end_of_rollout()
                numbers = self.update()
                self.iteration += 1
                report.send(self.iteration, numbers)
                finished = stopping.asked or self.iteration == self.config.max_iterations
                saving = finished or self.iteration % self.config.train.save_every == 0
                for arrived in report.receive(everything=saving):
                    self.wall_time = earlier + arrived.at - started
                    record = self._record(arrived)
                    files.write(record)
                    display.update(record, last=finished)
                    for remark in self._remarks:
                        if line := remark(record):
                            display.note(line)
                    self._check_health(record, folder)
                    self._keep_if_best(record, files)
                if saving:
                    files.save(self._content(), self.iteration, at_end=finished)
                if record_video and self.iteration % self._video_interval() == 0:
                    path = folder / "videos" / f"{self.iteration * self.storage.horizon_length}.mp4"
                    files.record(record_video, path)
        if files.unsaved:
            said = f"the last checkpoint could not be saved in {folder}: {files.unsaved}"
            raise training_failed(said, "unsaved", folder, iteration=self.iteration)
        return self.iteration == self.config.max_iterations

    def collect(self) -> None:
        """Fills the storage with one rollout of ``horizon_length`` steps."""
        self.collector.collect()

    def update(self) -> Tensor:
        """Trains on the collected rollout.

        Returns:
            The iteration's numbers, packed by ``IterationNumbers.pack``, on the device.
        """
        return self._updating()

    def _update(self) -> Tensor:
        storage = self.storage
        self.statistics.update(storage.rewards, storage.ended)
        metrics = self.agent.update(storage)
        steps = storage.horizon_length
        task = {name: total / steps for name, total in self.collector.reported.items()}
        numbers = IterationNumbers(self.statistics.means(), self.collector.counts, metrics, task)
        return IterationNumbers.pack(numbers)

    def _record(self, arrived: Arrived) -> IterationRecord:
        batch = self._batch_size
        return IterationRecord(
            iteration=arrived.iteration,
            env_steps=self._env_steps(arrived.iteration),
            wall_time=self.wall_time,
            steps_per_second=batch / arrived.seconds,
            collect_steps_per_second=batch / arrived.rollout_seconds,
            numbers=IterationNumbers.unpack(arrived.numbers, self.env.reported),
        )

    @property
    def env_steps(self) -> int:
        """Environment steps so far."""
        return self._env_steps(self.iteration)

    def _env_steps(self, iteration: int) -> int:
        return self._steps_before + (iteration - self._iterations_before) * self._batch_size

    def _check_health(self, record: IterationRecord, folder: Path) -> None:
        numbers = record.numbers
        trouble = (numbers.worlds.diverged, numbers.update.nonfinite_steps)
        diverged, nonfinite = (
            now - before for now, before in zip(trouble, self._reported_trouble, strict=True)
        )
        self._reported_trouble = trouble
        batch = self._batch_size
        if diverged > MAX_DIVERGED * batch:
            source = self.env.nan_source()
            cause = (
                f"{source} returns NaN"
                if source
                else "use a smaller task.physics_dt or softer drives"
            )
            said = f"{diverged:.0f} of {batch} steps left the simulation non-finite; {cause}"
            raise training_failed(
                f"iteration {record.iteration}: {said}",
                "diverged",
                folder,
                iteration=record.iteration,
                sources=[source] if source else [],
            )
        if nonfinite > 0 and numbers.update.epochs == 0:
            why, sources = self._nan_cause(record)
            said = f"none of its {nonfinite:.0f} gradients was finite; {why}"
            raise training_failed(
                f"iteration {record.iteration}: {said}",
                "gradients",
                folder,
                iteration=record.iteration,
                sources=sources,
            )

    def _nan_cause(self, record: IterationRecord) -> tuple[str, list[str]]:
        """Returns a phrase for what was not finite in an iteration, and its names if known."""
        reported = [name for name, x in record.numbers.task.items() if not math.isfinite(x)]
        if reported:
            said = f"{self.config.task.name} reports NaN or infinity as {', '.join(reported)}"
            return said, reported
        if source := self.env.nan_source(rewards=True):
            return f"{source} returns NaN or infinity", [source]
        return "check rewards and observations for NaN", []

    def _keep_if_best(self, record: IterationRecord, files: RunFiles) -> None:
        """Keeps a copy of the training state whenever the mean return reaches a new maximum.

        On a GPU the number arrives one iteration late, so the copy holds that later iteration.
        """
        self.mean_return = mean_return = record.numbers.episodes.mean_return
        if mean_return > self.best_return:  # false for NaN, which means no finished episode
            self.best_return = mean_return
            files.keep_as_best(self._content())

    def _video_interval(self) -> int:
        """Returns the number of iterations that ``capture_video_freq`` control steps take."""
        return max(self.config.capture_video_freq // self.storage.horizon_length, 1)

    def _content(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue training."""
        return {
            **self._constants,
            "agent": self.agent.state_dict(),
            "env": self.env.state_dict(),
            "memory": None if self.storage.carried is None else self.storage.carried.clone(),
            "trainer": {
                "iteration": self.iteration,
                "env_steps": self._env_steps(self.iteration),
                "wall_time": self.wall_time,
                "best_return": self.best_return,
                "statistics": self.statistics.state_dict(),
            },
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Restores the content of a checkpoint.

        Raises:
            ValueError: It is from another scene, engine or number of environments.
        """
        self.env.load_state_dict(content["env"])
        self.agent.load_state_dict(content["agent"])
        if self.storage.carried is not None and self.env.continues_episodes:
            self.storage.carried.copy_(content["memory"])
        trainer = content["trainer"]
        self.iteration = self._iterations_before = trainer["iteration"]
        self._steps_before = trainer["env_steps"]
        self.wall_time = trainer["wall_time"]
        self.best_return = trainer["best_return"]
        self.statistics.load_state_dict(trainer["statistics"])
        if not self.env.continues_episodes:
            self.statistics.drop_running()
        diverged, nonfinite = self.env.counts.diverged, self.agent.nonfinite_steps
        self._reported_trouble = (float(diverged), float(nonfinite))
