"""Draws a run's learning curve from its ``metrics.csv``.

    python -m rlgpu.curve runs/Ant/latest "a title"

Training starts it as a separate process, so that neither its time nor its memory is training's. It
draws to a file only, so a notebook's MPLBACKEND, which this Python may not have, is not used.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

NAME = "learning_curve.png"


def draw(folder: Path, title: str) -> None:
    """Plots the mean return against environment steps and against minutes.

    Args:
        folder: The run's folder; without a finished episode in it nothing is drawn.
        title: Title of the figure.

    Raises:
        OSError: The picture cannot be written; the one before is whole.
    """
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["episodes"] or 0) > 0]
    if not rows:
        return
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


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "agg"
    draw(Path(sys.argv[1]), " ".join(sys.argv[2:]))
