"""The profiler, run as a user runs it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from rich.console import Console

from rlgpu.cli import main
from rlgpu.profile.kernels import least_bytes
from rlgpu.profile.phases import PhaseTime
from rlgpu.profile.report import _phase_table
from rlgpu.profile.timing import copy_bandwidth
from tests.device.test_graphs import trainer
from tests.refusals import error_of, names

ROOT = Path(__file__).parents[2]


def test_phases_and_operations_are_listed_and_traced(tmp_path, monkeypatch, capfd) -> None:
    """Every phase has a row, the learner's kernels are found, and the trace can be read."""
    monkeypatch.chdir(tmp_path)
    words = ["task=Cartpole", "num_envs=64", "sim=mujoco", "sim_device=cpu", "--trace"]
    words += ["headless=True", "train.target_kl=0.02"]  # in place of the profiler's own
    assert main(["profile", *words]) == 0
    output = capfd.readouterr().out
    for row in (
        "collect",
        "policy",
        "physics",
        "task",
        "resets, copies",
        "advantages",
        "update",
        "iteration",
    ):
        assert row in output
    for operation in ("ppo_update", "policy_act", "aten::copy_", "GB/s"):
        assert operation in output
    assert len(json.loads((tmp_path / "trace.json").read_text())["traceEvents"]) > 100


def test_a_wrong_request_is_one_line_and_exit_code_2() -> None:
    """As on the command line of training."""
    error = error_of(["profile", "task=Cartpool"], main=main)
    assert (error.key, error.value) == ("task", "Cartpool")
    assert "Cartpole" in error.allowed
    error = error_of(["profile", "kernels", "gae"], main=main)
    assert (error.key, error.value) == ("profile kernels", "gae")
    assert names(error, "gae", "rlgpu profile kernels")
    error = error_of(
        ["profile", "task=gym:CartPole-v1", "algorithm=DQN", "train=GymDQN"], main=main
    )
    assert (error.key, error.value, error.allowed) == ("algorithm", "DQN", ("PPO",))


def test_the_least_bytes_match_numbers_worked_by_hand(tmp_path) -> None:
    """Cartpole, 64 environments x 16 steps, 4 observations, 1 action, 8 epochs of 4 minibatches."""
    known = least_bytes(trainer(tmp_path, "task=Cartpole", "sim=mujoco"))
    # 1024 rows of a reward, a value, two one-byte flags, an advantage and a return.
    assert known["gae_resident_kernel"] == 1024 * (4 + 4 + 1 + 1 + 4 + 4)
    # Read and written: 4 + 1 + 1 + 1 + 1 + 1 + 1 numbers per row.
    assert known["gather_rows_kernel"] == 8 * 1024 * 2 * 4 * 10


def test_a_copys_bandwidth_is_plausible() -> None:
    """Between 0.1 GB/s and 10 TB/s."""
    assert 1e8 < copy_bandwidth(torch.device("cpu")) < 1e13


def test_a_phase_that_takes_no_time_has_no_rate() -> None:
    """Resets are the difference of two measurements, which may be zero."""
    phases = [PhaseTime("resets, copies", 0.0, is_part=True), PhaseTime("iteration", 0.5, False)]
    console = Console(file=io.StringIO(), width=100)
    console.print(_phase_table(phases, 100))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("resets" in line and "0.000" in line and "0%" in line for line in lines)
    assert any("iteration" in line and "200" in line for line in lines)
