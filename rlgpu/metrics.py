"""What a run reports: episode statistics on the device, and the files they end up in."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

WINDOW = 100
"""Finished episodes that mean return and length are taken over."""


class EpisodeStatistics:
    """Returns and lengths of the last 100 finished episodes, kept without asking the device."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        """Starts with no finished episode."""
        # Of the running episodes; float64, as differences of long sums are taken.
        self._current = torch.zeros(2, num_envs, dtype=torch.float64, device=device)
        # The spare column takes what must not be kept; writes there are never read.
        self._finished = torch.zeros(2, WINDOW + 1, device=device)
        self._count = torch.zeros((), dtype=torch.int64, device=device)

    def update(self, rewards: Tensor, done: Tensor) -> None:
        """Adds the steps of a rollout, the earliest first.

        Args:
            rewards: Unscaled rewards, shape [T, N].
            done: Whether the episode ended with the step, shape [T, N], bool.
        """
        horizon = rewards.shape[0]
        # Return and length, summed from the rollout's start: an episode's is a difference of two.
        sums = torch.stack((rewards.double(), torch.ones_like(rewards, dtype=torch.float64)))
        sums = sums.cumsum(1)  # [2, T, N]
        # The step that the environment's last episode ended with, -1 where none did.
        step = torch.arange(horizon, device=rewards.device)[:, None]
        end = torch.where(done, step, -1).cummax(0).values
        previous = torch.cat((torch.full_like(end[:1], -1), end[:-1]))
        finished = (sums - self._sums_before(sums, previous)).float().flatten(1)  # [2, T*N]

        ended = done.flatten()
        rank = ended.cumsum(0)
        # Of more than 100 episodes, the last 100 count.
        kept = ended & (rank > rank[-1] - WINDOW)
        slots = torch.where(kept, (self._count + rank - 1) % WINDOW, WINDOW)
        self._finished[:, slots] = finished
        self._count += rank[-1]
        self._current.copy_(sums[:, -1] - self._sums_before(sums, end[-1:])[:, 0])

    def _sums_before(self, sums: Tensor, end: Tensor) -> Tensor:
        """Returns what lies before the episode that began after step ``end``, [2, T, N].

        Without an end in this rollout the episode began before it: minus what it had so far.
        """
        at_end = sums.gather(1, end.clamp(min=0).expand(2, -1, -1))
        return torch.where(end < 0, -self._current[:, None], at_end)

    def means(self) -> Tensor:
        """Returns mean return, mean length and number of finished episodes, shape [3].

        The means are NaN before the first episode has finished.
        """
        known = self._count.clamp(max=WINDOW)
        valid = torch.arange(WINDOW, device=self._count.device) < known
        sums = torch.where(valid, self._finished[:, :WINDOW], 0.0).sum(1)
        return torch.cat((sums / known, self._count[None].float()))

    def state_dict(self) -> dict[str, Tensor]:
        """Returns running and finished episodes."""
        return {
            "current": self._current.clone(),
            "finished": self._finished[:, :WINDOW].clone(),
            "count": self._count.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what ``state_dict`` returned."""
        self._current.copy_(state["current"])
        self._finished[:, :WINDOW].copy_(state["finished"])
        self._count.copy_(state["count"])


@dataclass(frozen=True)
class IterationRecord:
    """One row of ``metrics.csv``."""

    iteration: int
    env_steps: int
    wall_time: float
    """Seconds since training started, the time of earlier parts of a resumed run included."""
    mean_return: float
    """Unscaled return, mean of the last 100 finished episodes."""
    mean_length: float
    """Control steps, mean of the last 100 finished episodes."""
    steps_per_second: float
    """Environment steps a second, everything included."""
    collect_steps_per_second: float
    """Environment steps a second of the rollout: policy, engine and task."""
    approx_kl: float
    learning_rate: float
    epochs: float
    surrogate_loss: float
    value_loss: float
    entropy: float
    bounds_loss: float
    clip_fraction: float
    explained_variance: float
    grad_norm: float
    log_std: float
    episodes: int
    """Episodes finished so far."""
    diverged: int
    """Worlds restarted so far because their state was not finite."""
    overflowed: int
    """Steps of a world so far that left contacts or constraints out for lack of room."""
    nonfinite_steps: int
    """Optimiser steps skipped so far because the gradients were not finite."""


# rl_games' tag names where the meaning is the same.
_TAGS = {
    "losses/a_loss": "surrogate_loss",
    "losses/c_loss": "value_loss",
    "losses/entropy": "entropy",
    "losses/bounds_loss": "bounds_loss",
    "info/last_lr": "learning_rate",
    "info/kl": "approx_kl",
    "info/epochs": "epochs",
    "info/clip_fraction": "clip_fraction",
    "info/explained_variance": "explained_variance",
    "info/grad_norm": "grad_norm",
    "info/log_std": "log_std",
    "info/diverged": "diverged",
    "info/overflowed": "overflowed",
    "performance/step_inference_fps": "collect_steps_per_second",
    "performance/step_inference_rl_update_fps": "steps_per_second",
}


class MetricsWriter:
    """Writes ``metrics.csv`` and TensorBoard events, and draws ``learning_curve.png``."""

    def __init__(self, folder: Path) -> None:
        """Opens the files in a run's folder."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (slow to import)

        self._folder = folder
        self._file = (folder / "metrics.csv").open("w", newline="")
        self._csv = csv.DictWriter(self._file, [f.name for f in fields(IterationRecord)])
        self._csv.writeheader()
        self._events: Any = SummaryWriter(str(folder))
        self._curve: list[tuple[float, float, float]] = []

    def write(self, record: IterationRecord) -> None:
        """Appends one iteration to both files."""
        row = asdict(record)
        self._csv.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
        self._file.flush()
        steps = record.env_steps
        for tag, name in _TAGS.items():
            self._events.add_scalar(tag, row[name], steps)
        if record.episodes > 0:
            self._curve.append((steps, record.wall_time, record.mean_return))
            axes = (("step", steps), ("iter", record.iteration), ("time", int(record.wall_time)))
            for axis, x in axes:
                self._events.add_scalar(f"rewards/{axis}", record.mean_return, x)
                self._events.add_scalar(f"episode_lengths/{axis}", record.mean_length, x)

    def draw(self, title: str) -> None:
        """Draws mean return over environment steps and over minutes."""
        if not self._curve:
            return
        from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

        steps, seconds, returns = zip(*self._curve, strict=True)
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.plot([s / 1e6 for s in steps], returns, color="#d9722e")
        left.set(xlabel="environment steps [million]", ylabel="mean return, last 100 episodes")
        right.plot([s / 60 for s in seconds], returns, color="#3f72af")
        right.set(xlabel="training time [min]")
        for axes in (left, right):
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(title)
        temporary = self._folder / ".learning_curve.png"
        figure.savefig(temporary, dpi=130)
        temporary.replace(self._folder / "learning_curve.png")

    def close(self) -> None:
        """Closes the files."""
        self._events.close()
        self._file.close()
