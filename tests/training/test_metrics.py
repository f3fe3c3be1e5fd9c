"""The files that a run's metrics are written to."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlgpu.envs import WorldCounts
from rlgpu.learner import UpdateMetrics
from rlgpu.training.episodes import EpisodeMeans
from rlgpu.training.metrics import IterationRecord, MetricsWriter
from rlgpu.training.numbers import IterationNumbers
from tests.refusals import names


def make_record(iteration: int, mean_return: float) -> IterationRecord:
    finished = 0.0 if math.isnan(mean_return) else 1.0
    numbers = IterationNumbers(
        EpisodeMeans(mean_return, 7.0, finished),
        WorldCounts(2.0, 0.0),
        UpdateMetrics(*(0.5 + i for i in range(len(UpdateMetrics._fields)))),
        {"reward_alive": 0.25},
    )
    return IterationRecord(iteration, 100 * iteration, 1.25, 1000.0, 2000.0, numbers)


def test_packing_and_unpacking_keeps_every_number_under_its_name() -> None:
    """Every field of every part, and what the task reports, in float64."""
    parts = EpisodeMeans, WorldCounts, UpdateMetrics
    count = sum(len(part._fields) for part in parts)
    flat = iter(torch.arange(float(count)))
    filled = [part(*(next(flat) for _ in part._fields)) for part in parts]
    task = {"reward_alive": torch.tensor(-1.0), "terrain_level": torch.tensor(-2.0)}
    packed = IterationNumbers.pack(IterationNumbers(*filled, task))
    assert packed.dtype == torch.float64
    assert len(packed) == count + 2
    unpacked = IterationNumbers.unpack(packed.tolist(), task)
    for part, back in zip(filled, unpacked, strict=False):
        for name, value in part._asdict().items():
            assert getattr(back, name) == value.item()
    assert unpacked.task == {"reward_alive": -1.0, "terrain_level": -2.0}


def test_one_row_per_iteration_and_a_curve_are_written(tmp_path: Path) -> None:
    """The columns that other tools may rely on are present."""
    writer = MetricsWriter(tmp_path)
    writer.write(make_record(1, math.nan))
    writer.draw("nothing to draw yet", at_end=True)
    assert not (tmp_path / "learning_curve.png").exists()
    writer.write(make_record(2, 3.25))
    writer.draw("too early", at_end=False)
    assert not (tmp_path / "learning_curve.png").exists()
    writer.draw("a curve", at_end=True)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["iteration"] for row in rows] == ["1", "2"]
    assert rows[1]["mean_return"] == "3.25"
    wanted = "iteration env_steps wall_time mean_return mean_length steps_per_second approx_kl"
    assert set(wanted.split()) | {"learning_rate"} <= set(rows[0])
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert rows[1]["env_steps"] == "200"
    assert rows[1]["diverged"] == "2"
    assert rows[1]["reward_alive"] == "0.25"
    assert set(UpdateMetrics._fields) <= set(rows[0])


def test_a_notebooks_backend_does_not_keep_the_curve_from_being_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MPLBACKEND of Jupyter and Colab names a module that this environment may lack."""
    monkeypatch.setenv("MPLBACKEND", "module://a_notebook.backend_inline")
    writer = MetricsWriter(tmp_path)
    writer.write(make_record(1, 3.25))
    writer.draw("a curve", at_end=True)
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_that_cannot_be_drawn_gives_the_reason(tmp_path: Path) -> None:
    """The error of the process that draws; here a column is missing."""
    (tmp_path / "metrics.csv").write_text("iteration\n1\n")
    with pytest.raises(OSError) as failure:
        MetricsWriter(tmp_path).draw("a curve", at_end=True)
    assert names(failure.value, tmp_path, "KeyError", "episodes")


def test_rl_games_tags_are_used_only_with_their_rl_games_meaning(tmp_path: Path) -> None:
    """rl_games' c_loss is twice our value loss, and its info/kl has the opposite direction."""
    writer = MetricsWriter(tmp_path)
    writer.write(make_record(2, 3.25))
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = events.Tags()["scalars"]
    assert not {"losses/c_loss", "info/kl", "info/epochs"} & {*tags}
    assert {"losses/a_loss", "losses/value_loss", "info/approx_kl", "info/last_lr"} <= {*tags}
    assert {"rewards/step", "rewards/iter", "episode_lengths/time"} <= {*tags}
    (event,) = events.Scalars("rewards/step")
    assert (event.step, event.value) == (200, 3.25)
