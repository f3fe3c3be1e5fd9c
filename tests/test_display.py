"""The progress display: a table on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import math
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console

from rlgpu.display import Display, count, duration
from rlgpu.metrics import IterationRecord


def shown(terminal: bool, mean_return: float) -> str:
    """What two iterations print."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    values = {f.name: 0.25 for f in fields(IterationRecord)}
    with Display(console, "Ant", 10, Path("runs/Ant")) as display:
        for iteration in (9, 10):
            counts = {"iteration": iteration, "env_steps": 8192 * iteration, "episodes": 3}
            counts |= {"diverged": 0, "nonfinite_steps": 0, "mean_return": mean_return}
            display.update(IterationRecord(**{**values, **counts}))
    return output.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_everything_promised_is_shown(terminal) -> None:
    """Iteration, steps, rates, returns, KL, epochs, learning rate, entropy and the rest."""
    text = shown(terminal, 1234.5)
    for word in ("1234.5", "81.9k", "entropy", "epochs", "clip", "0.25"):
        assert word in text
    assert ("\x1b[" in text) == terminal


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
