"""Training on one screen: collect, update, log, checkpoint."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgpu.checkpoint import save_checkpoint
from rlgpu.config import Config
from rlgpu.display import Display
from rlgpu.graphs import Phase, working_stream
from rlgpu.learner import Ppo, UpdateMetrics
from rlgpu.metrics import EpisodeStatistics, IterationRecord, MetricsWriter
from rlgpu.player import record_video
from rlgpu.report import Arrived, Report
from rlgpu.storage import RolloutStorage
from rlgpu.vec_env import VecEnv

MAX_DIVERGED = 0.1
"""Share of an iteration's environment steps that may diverge before training stops."""


class TrainingFailed(Exception):
    """Training cannot go on; the message names the last good checkpoint."""


class Trainer:
    """Alternates rollouts and updates, and keeps their record.

    On a GPU a rollout is one CUDA graph and an update another; nothing in between waits for the
    device, and the console shows the numbers of the iteration before.
    """

    def __init__(self, config: Config, env: VecEnv, agent: Ppo, folder: Path) -> None:
        """Prepares a run in its folder.

        Args:
            config: The resolved configuration.
            env: The environments.
            agent: The agent, fresh or restored.
            folder: The run's folder, already made.
        """
        self.config, self.env, self.agent, self.folder = config, env, agent, folder
        self.storage = RolloutStorage(
            config.train.horizon_length,
            env.num_envs,
            env.num_observations,
            env.num_actions,
            agent.device,
        )
        self.statistics = EpisodeStatistics(env.num_envs, agent.device)
        self.iteration = 0
        self.wall_time = 0.0
        self.best_return = float("-inf")
        self._seen_trouble = (0, 0)
        self._stop = False
        self._together = env.sim.capturable and env.device == agent.device
        self._collecting, self._updating = self._make_phases()

    def _make_phases(self) -> tuple[list[Phase[Any]], Phase[Tensor]]:
        """Returns what is captured: the rollout, or its policy steps, and the update."""

        def phase(name: str, function: Callable[[], Any], **more: Any) -> Phase[Any]:
            enabled = self.config.cuda_graphs
            return Phase(function, self.agent.device, name=name, enabled=enabled, **more)

        steps = range(self.storage.horizon_length)
        if self._together:
            generators = (self.env.generator,)
            joining = self.env.sim.capturing
            rollout = [phase("rollout", self._rollout, generators=generators, joining=joining)]
        else:
            rollout = [phase("policy", partial(self._act, t)) for t in steps]
            self._observations = torch.zeros_like(self.storage.last_observations)
        return rollout, phase("update", self._update)

    def train(self, display: Display) -> None:
        """Runs to ``max_iterations``, or to the end of the iteration that Ctrl-C falls into.

        Raises:
            TrainingFailed: Too many worlds diverged, or no gradient was finite.
        """
        writer = MetricsWriter(self.folder)
        earlier, started = self.wall_time, time.perf_counter()
        report = Report(self.agent.device, started)
        with closing(writer), self._interruptible(), display, working_stream(self.agent.device):
            finished = False
            while not finished:
                report.begin()
                self.collect()
                report.end_of_rollout()
                numbers = self.update()
                self.iteration += 1
                report.send(self.iteration, numbers)
                finished = self._stop or self.iteration == self.config.max_iterations
                saving = finished or self.iteration % self.config.train.save_interval == 0
                for arrived in report.receive(everything=saving):
                    self.wall_time = earlier + arrived.at - started
                    record = self._record(arrived)
                    writer.write(record)
                    display.update(record)
                    self._check_health(record)
                if saving:
                    self._checkpoint(record, writer)
                self._maybe_video(display)

    def collect(self) -> None:
        """Fills the storage with one rollout of ``horizon_length`` steps."""
        collecting = self._collecting
        if self._together:
            collecting[0]()
        else:
            with _one_torch_thread(self.env.device):
                for t, act in enumerate(collecting):
                    self._observations.copy_(self.env.observations)
                    self._step(t, act().to(self.env.device))
            self.storage.last_observations.copy_(self.env.observations)

    def update(self) -> Tensor:
        """Trains on the rollout that was collected.

        Returns:
            Everything reported of the iteration, in ``_record``'s order, float64, on the device.
        """
        return self._updating()

    def _rollout(self) -> None:
        for t in range(self.storage.horizon_length):
            self._step(t, self.agent.act(self.env.observations, self.storage, t))
        self.storage.last_observations.copy_(self.env.observations)

    def _act(self, t: int) -> Tensor:
        return self.agent.act(self._observations, self.storage, t)

    def _step(self, t: int, actions: Tensor) -> None:
        """Steps the environments and writes what came of it into slot ``t``."""
        storage = self.storage
        step = self.env.step(actions)
        storage.rewards[t].copy_(step.rewards)
        storage.terminated[t].copy_(step.terminated)
        storage.truncated[t].copy_(step.truncated)
        storage.final_observations[t].copy_(step.final_observations)

    def _update(self) -> Tensor:
        env, storage, device = self.env, self.storage, self.storage.rewards.device
        self.statistics.update(storage.rewards, storage.terminated | storage.truncated)
        metrics = self.agent.update(storage)
        counts = (env.diverged_count, env.overflow_count, self.agent.adam.nonfinite_steps)
        return torch.cat(
            (
                self.statistics.means().double(),
                torch.stack([count.to(device) for count in counts]).double(),
                torch.stack(metrics).double(),
            )
        )

    def _record(self, arrived: Arrived) -> IterationRecord:
        mean_return, mean_length, *counts = arrived.numbers[:6]
        episodes, diverged, overflowed, nonfinite = (int(count) for count in counts)
        named = dict(zip(UpdateMetrics._fields, arrived.numbers[6:], strict=True))
        named.pop("last_kl")
        batch = self.storage.horizon_length * self.storage.num_envs
        return IterationRecord(
            iteration=arrived.iteration,
            env_steps=arrived.iteration * batch,
            wall_time=self.wall_time,
            mean_return=mean_return,
            mean_length=mean_length,
            steps_per_second=batch / arrived.seconds,
            collect_steps_per_second=batch / arrived.rollout_seconds,
            episodes=episodes,
            diverged=diverged,
            overflowed=overflowed,
            nonfinite_steps=nonfinite,
            **named,
        )

    def _check_health(self, record: IterationRecord) -> None:
        diverged = record.diverged - self._seen_trouble[0]
        nonfinite = record.nonfinite_steps - self._seen_trouble[1]
        self._seen_trouble = (record.diverged, record.nonfinite_steps)
        batch = self.storage.horizon_length * self.storage.num_envs
        last = self.folder / "nn" / "last.pth"
        kept = (
            f"the last good checkpoint is {last}" if last.exists() else "no checkpoint exists yet"
        )
        if diverged > MAX_DIVERGED * batch:
            raise TrainingFailed(
                f"iteration {record.iteration}: {diverged} of {batch} steps left the simulation "
                f"non-finite; use a smaller task.physics_dt or softer drives; {kept}"
            )
        if nonfinite >= self.agent.num_minibatches:
            raise TrainingFailed(
                f"iteration {record.iteration}: {nonfinite} gradients were not finite; "
                f"look at rewards and observations for NaN; {kept}"
            )

    def _checkpoint(self, record: IterationRecord, writer: MetricsWriter) -> None:
        is_best = record.mean_return > self.best_return  # false while no episode has finished
        if is_best:
            self.best_return = record.mean_return
        self.save(self.folder / "nn" / "last.pth")
        if is_best:
            self.save(self.folder / "nn" / "best.pth")
        writer.draw(self._title())

    def _title(self) -> str:
        return f"{self.config.task.name}, {self.env.num_envs} environments"

    def _maybe_video(self, display: Display) -> None:
        """Records a clip whenever ``capture_video_freq`` control steps have passed."""
        config = self.config
        horizon = self.storage.horizon_length
        interval = max(config.capture_video_freq // horizon, 1)
        if config.capture_video and self.iteration % interval == 0:
            path = self.folder / "videos" / f"{self.iteration * horizon}.mp4"
            record_video(config, type(self.env.task), self.agent, path)
            display.note(f"wrote {path}")

    def save(self, path: Path) -> None:
        """Writes a checkpoint that training continues from bit for bit."""
        content = {
            "agent": self.agent.state_dict(),
            "env": self.env.state_dict(),
            "trainer": {
                "iteration": self.iteration,
                "wall_time": self.wall_time,
                "best_return": self.best_return,
                "statistics": self.statistics.state_dict(),
            },
            "joint_names": list(self.env.sim.joint_names),
        }
        save_checkpoint(path, content, self.config)

    def load(self, content: dict[str, Any]) -> None:
        """Restores what ``save`` wrote."""
        self.agent.load_state_dict(content["agent"])
        self.env.load_state_dict(content["env"])
        trainer = content["trainer"]
        self.iteration = trainer["iteration"]
        self.wall_time = trainer["wall_time"]
        self.best_return = trainer["best_return"]
        self.statistics.load_state_dict(trainer["statistics"])
        self._seen_trouble = (
            int(self.env.diverged_count),
            int(self.agent.adam.nonfinite_steps),
        )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Lets the first Ctrl-C finish the iteration; a second one interrupts as usual."""

        def stop(*_: object) -> None:
            self._stop = True
            signal.signal(signal.SIGINT, previous)

        previous = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


@contextmanager
def _one_torch_thread(device: torch.device) -> Iterator[None]:
    """Leaves the other cores to a CPU engine, whose threads torch's would fight."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
