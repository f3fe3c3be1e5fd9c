"""Progress on the console: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rlgpu.training.metrics import IterationRecord

LINE_SECONDS = 5.0
"""Minimum time between two plain lines, in seconds."""
RATE_SECONDS = 5.0
"""Time over which the rates shown are averaged, in seconds."""
_WIDTH = 58


class Display:
    """Shows the numbers of each iteration; used as a context manager around training."""

    def __init__(self, console: Console, title: str, max_iterations: int, folder: Path) -> None:
        """Prepares a display.

        Args:
            console: The console to write to.
            title: Title of the table.
            max_iterations: Length of the run.
            folder: The run's folder, shown below the table.
        """
        self._console, self._title, self._folder = console, title, folder
        self._max_iterations = max_iterations
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._first: IterationRecord | None = None
        self._last_line = -math.inf
        self._last_steps, self._steps = 0, 0.0
        self._spent: tuple[float, ...] = (0.0, 0.0)

    def __enter__(self) -> Display:
        """Starts the live table if the console is a terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the live table and leaves its last state on the screen."""
        if self._live:
            self._live.stop()

    def note(self, text: str) -> None:
        """Prints a permanent line."""
        self._console.print(text, highlight=False, markup=False)

    def update(self, record: IterationRecord, *, last: bool = False) -> None:
        """Shows the numbers of an iteration.

        Args:
            record: The numbers.
            last: Whether training ends with it, so that it is shown in any case.
        """
        self._first = self._first or record
        record = self._smooth(record)
        if self._live:
            self._live.update(self._table(record), refresh=True)
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_SECONDS or last:
            self._last_line = now
            self.note(self._line(record))

    def _smooth(self, record: IterationRecord) -> IterationRecord:
        """Returns a record whose rates are averaged over the last seconds."""
        if record is self._first:
            self._last_steps = record.env_steps
            return record
        steps = record.env_steps - self._last_steps
        kept = math.exp(-steps / record.steps_per_second / RATE_SECONDS)
        rates = (record.steps_per_second, record.collect_steps_per_second)
        spent = tuple(steps / rate for rate in rates)
        self._steps = kept * self._steps + steps
        self._spent = tuple(
            kept * before + now for before, now in zip(self._spent, spent, strict=True)
        )
        self._last_steps = record.env_steps
        total, rollout = (self._steps / seconds for seconds in self._spent)
        return record._replace(steps_per_second=total, collect_steps_per_second=rollout)

    def _eta(self, record: IterationRecord) -> str:
        assert self._first is not None
        done = record.iteration - self._first.iteration
        if done == 0:
            return "-"
        rate = (record.wall_time - self._first.wall_time) / done
        return duration(rate * (self._max_iterations - record.iteration))

    def _line(self, record: IterationRecord) -> str:
        r, episodes, update = record, record.numbers.episodes, record.numbers.update
        return (
            f"iteration {r.iteration}/{self._max_iterations}  steps {count(r.env_steps)}  "
            f"steps/s {count(r.steps_per_second)} (rollout {count(r.collect_steps_per_second)})  "
            f"return {number(episodes.mean_return)}  length {number(episodes.mean_length)}  "
            f"kl {max(update.approx_kl, 0.0):.4f}  epochs {update.epochs:.1f}  "
            f"lr {update.learning_rate:.1e}  entropy {update.entropy:.2f}  "
            f"ev {update.explained_variance:.2f}  clip {update.clip_fraction:.2f}  "
            f"time {duration(r.wall_time)}  eta {self._eta(r)}"
        )

    def _table(self, record: IterationRecord) -> Table:
        r, episodes = record, record.numbers.episodes
        worlds, update = record.numbers.worlds, record.numbers.update
        # Styled texts, not markup, which names of tasks and folders may contain.
        rows: list[tuple[str | Text, str | Text]] = [
            ("iteration", f"{r.iteration} / {self._max_iterations}"),
            ("environment steps", count(r.env_steps)),
            ("steps/s total", count(r.steps_per_second)),
            ("steps/s rollout", count(r.collect_steps_per_second)),
            ("elapsed, remaining", f"{duration(r.wall_time)}, {self._eta(r)}"),
            ("mean return", Text(number(episodes.mean_return), style="bold")),
            ("mean length", number(episodes.mean_length)),
            ("KL, epochs used", f"{max(update.approx_kl, 0.0):.4f}, {update.epochs:.1f}"),
            ("learning rate", f"{update.learning_rate:.2e}"),
            ("entropy", f"{update.entropy:.2f}"),
            ("explained variance", f"{update.explained_variance:.2f}"),
            ("clip fraction", f"{update.clip_fraction:.2f}"),
        ]
        for name, trouble in (
            ("worlds restarted", worlds.diverged),
            ("contact overflows", worlds.overflowed),
            ("updates skipped", update.nonfinite_steps),
        ):
            if trouble:
                rows.append((Text(name, style="red"), f"{trouble:.0f}"))
        width = min(_WIDTH, self._console.width)
        table = Table(
            title=Text(self._title),
            caption=Text(str(self._folder)),
            show_header=False,
            width=width,
        )
        table.add_column(style="dim")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        table.add_row("", ProgressBar(self._max_iterations, r.iteration, width=max(width - 26, 4)))
        return table


def count(value: float) -> str:
    """Returns a number with a suffix, such as 12.3k or 4.56M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.{2 if unit == 'M' else 1}f}{unit}"
    return f"{value:.0f}"


def number(value: float) -> str:
    """Returns a mean with one decimal, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Returns a duration such as 45s, 3m05s or 1h02m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole // 60 % 60:02d}m"
