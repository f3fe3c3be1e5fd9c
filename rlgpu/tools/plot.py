"""Draws a run's learning curve from its ``metrics.csv``.

    rlgpu plot runs/Ant/latest "a title"

The title is optional. Training runs this as a separate process, which costs it no time or memory.
It draws to a file only, so a notebook's MPLBACKEND, which this Python may not have, is not used.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

NAME = "learning_curve.png"


def draw(folder: Path, title: str) -> bool:
    """Plots the mean return against environment steps and against minutes.

    Args:
        folder: The run's folder; without a finished episode in it nothing is drawn.
        title: Title of the figure.

    Returns:
        Whether there was an episode to draw.

    Raises:
        OSError: The picture cannot be written; the one before is whole.
    """
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["episodes"] or 0) > 0]
    if not rows:
        return False
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    returns = [float(row["mean_return"]) for row in rows]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.plot([float(row["env_steps"]) / 1e6 for row in rows], returns, color="#d9722e")
    left.set(xlabel="environment steps [million]", ylabel="mean return")
    right.plot([float(row["wall_time"]) / 60 for row in rows], returns, color="#3f72af")
    right.set(xlabel="training time [min]")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    temporary = folder / f".{NAME}.{os.getpid()}"
    try:
        figure.savefig(temporary, format="png", dpi=130)
        temporary.replace(folder / NAME)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def run(words: list[str]) -> int:
    """Draws; returns the exit code: 0, 1 if the picture cannot be written, 2 for a usage error."""
    # Training runs this file by its path, without rlgpu on Python's.
    if not words:
        return _refuse('wanted the folder of a run: rlgpu plot runs/Ant/latest "a title"')
    folder = Path(words[0])
    if not (folder / "metrics.csv").is_file():
        return _refuse(f"{folder} is not the folder of a run: it has no metrics.csv")
    try:
        is_drawn = draw(folder, " ".join(words[1:]))
    except (KeyError, TypeError, UnicodeDecodeError, ValueError, csv.Error) as error:
        kind = type(error).__name__
        return _refuse(f"{folder / 'metrics.csv'} is not a run's: {kind}: {error}")
    except OSError as error:
        print(f"error: {folder / NAME} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"wrote {folder / NAME}" if is_drawn else "no episode has finished: nothing to draw")
    return 0


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "agg"
    sys.exit(run(sys.argv[1:]))
