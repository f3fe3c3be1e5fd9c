"""Every environment that is opened is closed, however a run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import train
from rlgpu.cli import session
from rlgpu.errors import EngineFailed
from rlgpu.foreign.gymnasium.env import GymEnv, _signals_waiting
from rlgpu.foreign.gymnasium.task import GymTaskConfig
from rlgpu.training import Trainer
from tests.refusals import names

OURS = Path(__file__).parent / "envs_of_ours.py"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file that environments write to."""
    return tmp_path / "log"


def build(log: Path, fails: str = "") -> GymEnv:
    kwargs = (f"log={log}", f"fails={fails}")
    return GymEnv(f"{OURS}:Logged", GymTaskConfig(kwargs=kwargs), 5, 0)


def counts(log: Path) -> tuple[int, int]:
    lines = log.read_text().splitlines()
    return lines.count("open"), lines.count("close")


@pytest.mark.parametrize("fails", ["", "close"])
def test_closing_closes_every_environment(log, fails) -> None:
    """And the one that only shows its spaces; an error in one's close does not stop the others."""
    env = build(log, fails)
    env.step(torch.zeros(5, 1))
    env.close()
    env.close()
    assert counts(log) == (6, 6)


def test_an_environment_that_fails_is_closed_with_the_others(log) -> None:
    """In a step, and while they are made: the first two and the one before have been opened."""
    env = build(log, "step")
    with pytest.raises(EngineFailed) as failure:
        env.step(torch.zeros(5, 1))
    assert failure.value.reason == "error"
    assert names(failure.value, "in a step")  # the environment's own words
    env.close()
    assert counts(log) == (6, 6)
    log.unlink()
    with pytest.raises(EngineFailed) as failure:
        build(log, "third")
    assert failure.value.reason == "error"
    assert names(failure.value, "the third cannot be opened")
    assert counts(log) == (3, 3)


@pytest.mark.parametrize(
    ("words", "raises", "code"),
    [
        ((), None, 0),
        (("env.fails=step",), None, 1),
        (("env.fails=third",), None, 1),
        (("train.symmetry.augment=True",), None, 2),
        ((), KeyboardInterrupt, 130),
        ((), MemoryError, 1),
    ],
)
def test_a_run_closes_its_environments_at_every_end(
    words, raises, code, log, tmp_path, monkeypatch
) -> None:
    """Done, failed, refused after they were made, and interrupted by an insisting Ctrl-C."""

    class Failing(Trainer):
        def update(self) -> torch.Tensor:
            if raises:
                raise raises
            return super().update()

    monkeypatch.setattr(session, "Trainer", Failing)
    given = [
        f"task=gym:{OURS}:Logged",
        f"env.log={log}",
        "headless=True",
        "num_envs=3",
        "max_iterations=1",
        f"runs_dir={tmp_path}",
        "train.horizon_length=4",
    ]
    assert train.main([*given, *words]) == code
    opened, closed = counts(log)
    assert opened == closed > 2


def test_playing_closes_its_environments(log, tmp_path) -> None:
    """As training does."""
    given = [f"task=gym:{OURS}:Logged", f"env.log={log}", "headless=True", f"runs_dir={tmp_path}"]
    assert train.main([*given, "num_envs=2", "max_iterations=1", "train.horizon_length=4"]) == 0
    assert train.main([*given, "test=True", "checkpoint=latest", "games=2", "num_envs=2"]) == 0
    assert counts(log) == (6, 6)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_environments_are_closed_when_the_program_ends(log, end) -> None:
    """A script that forgets to close them, and one that is killed."""
    code = (
        f"import os, rlgpu\nsettings = {{'kwargs': ['log={log}']}}\n"
        f"env = rlgpu.make_env('gym:{OURS}:Logged', num_envs=16, task_=settings)\n"
        f"{end}\n"
    )
    root = Path(train.__file__).parent
    subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60, check=False)
    due = time.monotonic() + 20
    while counts(log) != (17, 17) and time.monotonic() < due:
        time.sleep(0.05)
    assert counts(log) == (17, 17)


def test_environments_may_have_processes() -> None:
    """Daemons may not; and the environment's own SIGTERM reaches them when it closes."""
    env = GymEnv(f"{OURS}:Parent", GymTaskConfig(), 2, 0)
    env.step(torch.zeros(2, 1))
    (worker,) = env.sim._processes
    began = time.monotonic()
    env.close()
    assert time.monotonic() - began < 9.0  # each has ended its own
    assert worker.exitcode == 0


def test_signals_wait_while_a_process_starts() -> None:
    """Until it has its handlers; the ones that waited before go on waiting."""
    asking = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert not asking & before
    with _signals_waiting():
        assert asking <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_signals_to_a_whole_job_are_the_trainers_to_handle() -> None:
    """Slurm sends SIGTERM to all processes; the trainer still finishes its iteration."""
    env = GymEnv("CartPole-v1", GymTaskConfig(), 2, 0)
    (worker,) = env.sim._processes
    assert os.getpgid(worker.pid) != os.getpgid(0)  # a terminal's Ctrl-C does not reach it
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(worker.pid, number)
        assert env.step(torch.zeros(2, 1)).rewards.tolist() == [1.0, 1.0]
    env.close()
    assert worker.exitcode == 0
