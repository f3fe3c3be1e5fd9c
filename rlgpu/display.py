"""Progress on the console: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from rlgpu.metrics import IterationRecord

LINE_SECONDS = 5.0
"""Least time between two plain lines."""


class Display:
    """Shows each iteration's numbers; use as a context manager around training."""

    def __init__(self, console: Console, title: str, max_iterations: int, folder: Path) -> None:
        """Prepares a display.

        Args:
            console: Where to write.
            title: What is being trained.
            max_iterations: Length of the run.
            folder: The run's folder, named in the display.
        """
        self._console, self._title, self._folder = console, title, folder
        self._max_iterations = max_iterations
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._first: IterationRecord | None = None
        self._last_line = -math.inf

    def __enter__(self) -> Display:
        """Starts the live table, on a terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the last table on the screen."""
        if self._live:
            self._live.stop()

    def note(self, text: str) -> None:
        """Prints a line that stays."""
        self._console.print(text, highlight=False, markup=False)

    def update(self, record: IterationRecord) -> None:
        """Shows an iteration."""
        self._first = self._first or record
        if self._live:
            self._live.update(self._table(record), refresh=True)
            return
        now = time.monotonic()
        last = record.iteration == self._max_iterations
        if now - self._last_line >= LINE_SECONDS or last:
            self._last_line = now
            self.note(self._line(record))

    def _eta(self, record: IterationRecord) -> str:
        assert self._first is not None
        done = record.iteration - self._first.iteration
        if done == 0:
            return "-"
        rate = (record.wall_time - self._first.wall_time) / done
        return duration(rate * (self._max_iterations - record.iteration))

    def _line(self, record: IterationRecord) -> str:
        r = record
        return (
            f"iteration {r.iteration}/{self._max_iterations}  steps {count(r.env_steps)}  "
            f"steps/s {count(r.steps_per_second)} (rollout {count(r.collect_steps_per_second)})  "
            f"return {number(r.mean_return)}  length {number(r.mean_length)}  "
            f"kl {max(r.approx_kl, 0.0):.4f}  epochs {r.epochs:.1f}  lr {r.learning_rate:.1e}  "
            f"entropy {r.entropy:.2f}  ev {r.explained_variance:.2f}  "
            f"clip {r.clip_fraction:.2f}  time {duration(r.wall_time)}  eta {self._eta(r)}"
        )

    def _table(self, record: IterationRecord) -> Table:
        r = record
        rows = [
            ("iteration", f"{r.iteration} / {self._max_iterations}"),
            ("environment steps", count(r.env_steps)),
            ("steps/s in all", count(r.steps_per_second)),
            ("steps/s rollout", count(r.collect_steps_per_second)),
            ("time, to go", f"{duration(r.wall_time)}, {self._eta(r)}"),
            ("mean return", f"[bold]{number(r.mean_return)}[/bold]"),
            ("mean length", number(r.mean_length)),
            ("KL, epochs used", f"{max(r.approx_kl, 0.0):.4f}, {r.epochs:.1f}"),
            ("learning rate", f"{r.learning_rate:.2e}"),
            ("entropy", f"{r.entropy:.2f}"),
            ("explained variance", f"{r.explained_variance:.2f}"),
            ("clip fraction", f"{r.clip_fraction:.2f}"),
        ]
        for name, trouble in (
            ("worlds restarted", r.diverged),
            ("steps out of room", r.overflowed),
            ("updates skipped", r.nonfinite_steps),
        ):
            if trouble:
                rows.append((f"[red]{name}[/red]", str(trouble)))
        table = Table(title=self._title, caption=str(self._folder), show_header=False, width=58)
        table.add_column(style="dim")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        table.add_row("", ProgressBar(self._max_iterations, r.iteration, width=32))
        return table


def count(value: float) -> str:
    """Returns a number with a unit: 12.3k, 4.56M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.{2 if unit == 'M' else 1}f}{unit}"
    return f"{value:.0f}"


def number(value: float) -> str:
    """Returns a mean, or a dash before there is one."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Returns seconds as 45s, 3m05s or 1h02m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole // 60 % 60:02d}m"
