"""The output files of a run: ``metrics.csv``, TensorBoard events, the learning curve."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

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
        own = dict(zip(self._fields[:-1], self[:-1], strict=True))
        return {**own, **self.numbers.by_name()}


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
_OWN = {"iteration", "env_steps", "wall_time", "mean_return", "mean_length"}
PYTHON = sys.executable
"""Interpreter that draws learning curves."""
_PLOT = Path(__file__).parents[1] / "tools" / "plot.py"
"""Draws the curve, run by its path in a process that does not import this package."""
SECONDS_BETWEEN_CURVES = 60.0


class MetricsWriter:
    """Writes ``metrics.csv`` and TensorBoard events, and draws ``learning_curve.png``."""

    def __init__(self, folder: Path) -> None:
        """Prepares the files in a run's folder; they are written with the first iteration."""
        self._folder = folder
        self._rows = _Appended(folder / "metrics.csv")
        self._events = _Appended(folder / f"events.out.tfevents.{time.time():.0f}.rlgpu")
        self._drawn = time.perf_counter()
        self._drawing: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None  # the errors that it prints

    def write(self, record: IterationRecord) -> None:
        """Appends one iteration to the CSV file and the TensorBoard events.

        Raises:
            OSError: A file cannot be written; what was written before is whole.
        """
        row = record.row()
        line = ",".join(_shown(value) for value in row.values()) + "\n"
        try:
            header = "" if self._rows.begun() else ",".join(row) + "\n"
            self._rows.append((header + line).encode())
        finally:
            self._events.append(_events(record, row, first=not self._events.begun()))

    def draw(self, title: str, *, at_end: bool) -> None:
        """Has the learning curve drawn, by a process of its own.

        Args:
            title: Title of the figure.
            at_end: Whether to draw even if less than a minute has passed since the last time, or
                since the start (the picture takes a second, which short runs do not have), and to
                wait for it.

        Raises:
            OSError: The picture could not be drawn.
        """
        now = time.perf_counter()
        if self._drawing and self._drawing.poll() is None and not at_end:
            return
        if not at_end and now - self._drawn < SECONDS_BETWEEN_CURVES:
            return
        self._drawn = now
        failure = self._failure()
        command = [PYTHON, str(_PLOT), str(self._folder), title]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  (read when it has ended)
        # A separate session keeps a Ctrl-C in the terminal from reaching it.
        self._drawing = subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
        )
        if at_end:
            failure = self._failure()
        if failure:
            raise OSError(f"rlgpu plot {self._folder} failed: {failure}")

    def _failure(self) -> str:
        """Waits for the last drawing; returns its error, an empty string if it succeeded."""
        if self._drawing is None or self._complaints is None:
            return ""
        status = self._drawing.wait()
        with self._complaints as file:
            file.seek(0)
            lines = file.read().decode(errors="replace").strip().splitlines()
        self._drawing = self._complaints = None
        return "" if status == 0 else (lines or [f"exit status {status}"])[-1]


class _Appended:
    """A file that grows by whole pieces: one that cannot be written leaves nothing of itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = 0

    def begun(self) -> bool:
        """Returns whether the file has content; one that was removed begins again."""
        if not self._path.exists():
            self.size = 0
        return self.size > 0

    def append(self, piece: bytes) -> None:
        # Opened again each time, so that a full disk or a lost folder may recover.
        with self._path.open("r+b" if self.size else "wb", buffering=0) as file:
            try:
                file.seek(self.size)
                written = file.write(piece)
                while written < len(piece):
                    written += file.write(piece[written:])
            except OSError:
                file.truncate(self.size)
                raise
        self.size += len(piece)


def _events(record: IterationRecord, row: Mapping[str, float], *, first: bool) -> bytes:
    """Returns an iteration as TensorBoard's records."""
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415  (slow to import)
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415

    steps, episodes = record.env_steps, record.numbers.episodes
    task = record.numbers.task

    def tag(name: str) -> str:
        return f"episode/{name}" if name in task else _TAGS.get(name, f"info/{name}")

    by_axis = [(steps, {tag(name): x for name, x in row.items() if name not in _OWN})]
    if episodes.episodes > 0:
        axes = (("step", steps), ("iter", record.iteration), ("time", int(record.wall_time)))
        by_axis += [
            (
                x,
                {
                    f"rewards/{axis}": episodes.mean_return,
                    f"episode_lengths/{axis}": episodes.mean_length,
                },
            )
            for axis, x in axes
        ]
    buffer = io.BytesIO()
    records, now = RecordWriter(buffer), time.time()
    if first:
        records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for step, numbers in by_axis:
        values = [Summary.Value(tag=tag, simple_value=x) for tag, x in numbers.items()]
        event = Event(wall_time=now, step=step, summary=Summary(value=values))
        records.write(event.SerializeToString())
    return buffer.getvalue()


def _shown(value: float) -> str:
    """Formats a number for the CSV: integers in full, others with six significant digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
