"""The progress display: a table on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from rlgpu.envs import WorldCounts
from rlgpu.learner import UpdateMetrics
from rlgpu.training.console import Display, count, duration
from rlgpu.training.episodes import EpisodeMeans
from rlgpu.training.metrics import IterationRecord
from rlgpu.training.numbers import IterationNumbers


def shown(terminal: bool, mean_return: float, overflowed: float = 0.0, width: int = 200) -> str:
    """Returns the output of two iterations."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=width, markup=False)
    update = UpdateMetrics(*[0.25] * len(UpdateMetrics._fields))._replace(nonfinite_steps=0.0)
    numbers = IterationNumbers(
        EpisodeMeans(mean_return, 100.0, 3.0), WorldCounts(0.0, overflowed), update
    )
    with Display(console, "Ant", 10, Path("runs/Ant")) as display:
        for iteration in (9, 10):
            record = IterationRecord(iteration, 8192 * iteration, 1.0, 2.0, 3.0, numbers)
            display.update(record, last=iteration == 10)
    return output.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_everything_promised_is_shown(terminal) -> None:
    """Iteration, steps, rates, returns, KL, epochs, learning rate, entropy and so on."""
    text = shown(terminal, 1234.5)
    for word in ("1234.5", "81.9k", "entropy", "epochs", "clip", "0.25"):
        assert word in text
    assert ("\x1b[" in text) == terminal


def test_problems_are_shown_only_if_there_are_any() -> None:
    """On a terminal, in a separate row."""
    assert "contact overflows" not in shown(True, 1.0)
    text = shown(True, 1.0, overflowed=7.0)
    assert "contact overflows" in text
    assert not {"[bold]", "[red]"} & set(text.replace("[", " [").replace("]", "] ").split())


def test_no_return_is_shown_before_an_episode_has_finished() -> None:
    """A dash, not NaN."""
    text = shown(False, math.nan)
    assert "return -" in text
    assert "nan" not in text


@pytest.mark.parametrize(("seconds", "text"), [(45.9, "45s"), (185, "3m05s"), (3725, "1h02m")])
def test_durations_are_short(seconds, text) -> None:
    """Two units at most."""
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(12, "12"), (12_345, "12.3k"), (4_560_000, "4.56M")])
def test_counts_have_units(value, text) -> None:
    """Thousands and millions."""
    assert count(value) == text


def test_rates_are_averaged_over_the_last_seconds() -> None:
    """One slow iteration among fast ones does not make the number jump."""
    output = io.StringIO()
    display = Display(Console(file=output, width=200), "Ant", 100, Path("runs/Ant"))
    update = UpdateMetrics(*[0.25] * len(UpdateMetrics._fields))
    numbers = IterationNumbers(EpisodeMeans(1.0, 1.0, 1.0), WorldCounts(0.0, 0.0), update)
    rates = [1000.0] * 20 + [100.0]
    for i, rate in enumerate(rates, 1):
        record = IterationRecord(i, 1000 * i, 1.0 * i, rate, 2 * rate, numbers)
        display.update(record, last=i == len(rates))
    # The last five seconds or so: 1000 steps took 10 s of then about 14.
    shown_rate = float(output.getvalue().rpartition("steps/s ")[2].split()[0])
    assert 130 < shown_rate < 500
