"""The output files of a run: ``metrics.csv``, TensorBoard events, the learning curve."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any, NamedTuple

from rlgpu.training.numbers import IterationNumbers


class IterationRecord(NamedTuple):
    """The numbers of one iteration on the host; one row of ``metrics.csv``."""

    iteration: int
    env_steps: int
    wall_time: float
    """Seconds since training started, including earlier parts of a resumed run."""
    steps_per_second: float
    """Environment steps per second of the whole iteration."""
    collect_steps_per_second: float
    """Environment steps per second of the rollout: policy, engine and task."""
    numbers: IterationNumbers[float]
    """Numbers of the episodes, the worlds and the update."""

    def row(self) -> dict[str, float]:
        """Returns all numbers by name, in the column order of ``metrics.csv``."""
        parts = {name: value for part in self.numbers for name, value in part._asdict().items()}
        return {**dict(zip(self._fields[:-1], self[:-1], strict=True)), **parts}


# Tags of rl_games where the meaning is the same. rl_games reports twice our value loss,
# KL(new || old), and the iteration as info/epochs, so those numbers have different tags here.
_TAGS = {
    "surrogate_loss": "losses/a_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "bounds_loss": "losses/bounds_loss",
    "learning_rate": "info/last_lr",
    "epochs": "info/epochs_used",
    "collect_steps_per_second": "performance/step_inference_fps",
    "steps_per_second": "performance/step_inference_rl_update_fps",
}
# Numbers that are axes, or are logged against several axes.
_OWN_TAGS = {"iteration", "env_steps", "wall_time", "mean_return", "mean_length"}


SECONDS_BETWEEN_CURVES = 60.0


class MetricsWriter:
    """Writes ``metrics.csv`` and TensorBoard events, and draws ``learning_curve.png``."""

    def __init__(self, folder: Path) -> None:
        """Opens the files in a run's folder."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (slow to import)

        self._folder = folder
        self._file = (folder / "metrics.csv").open("w", newline="")
        self._csv: csv.DictWriter[str] | None = None
        self._events: Any = SummaryWriter(str(folder))
        self._curve: list[tuple[float, float, float]] = []
        self._drawn = time.perf_counter()

    def write(self, record: IterationRecord) -> None:
        """Appends one iteration to the CSV file and the TensorBoard events."""
        row, episodes = record.row(), record.numbers.episodes
        if self._csv is None:
            self._csv = csv.DictWriter(self._file, list(row))
            self._csv.writeheader()
        self._csv.writerow({name: _shown(value) for name, value in row.items()})
        self._file.flush()
        steps = record.env_steps
        for name, value in row.items():
            if name not in _OWN_TAGS:
                self._events.add_scalar(_TAGS.get(name, f"info/{name}"), value, steps)
        if episodes.episodes > 0:
            self._curve.append((steps, record.wall_time, episodes.mean_return))
            axes = (("step", steps), ("iter", record.iteration), ("time", int(record.wall_time)))
            for axis, x in axes:
                self._events.add_scalar(f"rewards/{axis}", episodes.mean_return, x)
                self._events.add_scalar(f"episode_lengths/{axis}", episodes.mean_length, x)

    def draw(self, title: str, *, at_once: bool) -> None:
        """Plots the mean return against environment steps and against minutes.

        Args:
            title: Title of the figure.
            at_once: Whether to draw even if less than a minute has passed since the last time, or
                since the start: the first picture takes a second, which short runs do not have.
        """
        now = time.perf_counter()
        if not self._curve or (not at_once and now - self._drawn < SECONDS_BETWEEN_CURVES):
            return
        self._drawn = now
        from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

        steps, seconds, returns = zip(*self._curve, strict=True)
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.plot([s / 1e6 for s in steps], returns, color="#d9722e")
        left.set(xlabel="environment steps [million]", ylabel="mean return")
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


def _shown(value: float) -> str:
    """Formats a number for the CSV: integers in full, others with six significant digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
