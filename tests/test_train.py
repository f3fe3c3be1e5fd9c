"""The command line as a user sees it: training, resuming, playing, and every wrong request."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from rlgpu.config import Range
from rlgpu.errors import Misfit, UnknownKey, Unreadable, UsageError
from rlgpu.training import Trainer
from tests.refusals import error_of, names
from tests.runs import equal, last_numbers, stop_after

ROOT = Path(__file__).parents[1]
SMALL = ["task=Cartpole", "num_envs=64", "headless=True", "train.save_every=2"]


def run(runs: Path, *words: str) -> int:
    """Runs with ``SMALL`` where the words do not say otherwise."""
    chosen = {word.partition("=")[0]: word for word in [*SMALL, f"runs_dir={runs}", *words]}
    return train.main(list(chosen.values()))


def latest(runs: Path, name: str = "last.pth") -> dict:
    return torch.load(runs / "Cartpole" / "latest" / "nn" / name, weights_only=True)


def last_checkpoint(runs: Path) -> Path:
    return (runs / "Cartpole" / "latest").resolve() / "nn" / "last.pth"


def metrics(runs: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((runs / "Cartpole" / "latest" / "metrics.csv").open()))


def refusal(runs: Path, *words: str, code: int = 2) -> Any:
    """Returns the error that ends a run, which prints one message."""
    return error_of(words, code, main=lambda given: run(runs, *given))


def test_a_run_leaves_its_files_and_can_be_played(tmp_path, capsys) -> None:
    """Configuration, metrics, events, curve, checkpoints; then episodes without a viewer."""
    assert run(tmp_path, "max_iterations=5") == 0
    folder = (tmp_path / "Cartpole" / "latest").resolve()
    files = {p.name for p in folder.iterdir()}
    assert {"config.yaml", "metrics.csv", "learning_curve.png", "nn"} <= files
    assert any(name.startswith("events.out.tfevents") for name in files)
    assert {p.name for p in (folder / "nn").iterdir()} == {
        "last.pth",
        "best.pth",
        *(f"iteration_{number:06d}.pth" for number in (2, 4, 5)),
    }
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert len(rows) == 5
    assert int(rows[-1]["env_steps"]) == 5 * 16 * 64
    assert float(rows[-1]["wall_time"]) > float(rows[0]["wall_time"])
    assert names(capsys.readouterr().out, "5/5")
    for wanted in ("latest", "best", str(folder), str(folder / "nn" / "last.pth")):
        assert run(tmp_path, "test=True", f"checkpoint={wanted}", "games=3") == 0
        assert last_numbers(capsys.readouterr().out)[:2] == [64, 1]  # 3 games, one each


def test_a_resumed_run_equals_an_uninterrupted_one_byte_for_byte(tmp_path, monkeypatch) -> None:
    """Six iterations, or three, stop, resume, three more: equal checkpoints, apart from times."""
    assert run(tmp_path / "whole", "max_iterations=6") == 0
    part = ["max_iterations=6", "train.save_every=3"]
    # The checkpoint after iteration 3 of a run meant for 6, as a crash would leave it.
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert run(tmp_path / "stopped", *part) == 0
    assert latest(tmp_path / "stopped")["trainer"]["iteration"] == 3
    assert run(tmp_path / "stopped", *part, "checkpoint=latest") == 0
    whole, resumed = latest(tmp_path / "whole"), latest(tmp_path / "stopped")
    assert resumed["trainer"]["iteration"] == 6
    assert equal(whole["agent"], resumed["agent"])
    assert equal(whole["env"], resumed["env"])
    assert equal(whole["trainer"]["statistics"], resumed["trainer"]["statistics"])


def test_ctrl_c_finishes_the_iteration_then_saves_and_exits_with_0(tmp_path, warm_python) -> None:
    """In a separate process."""
    command = [warm_python, "train.py", *SMALL, "max_iterations=100000", f"runs_dir={tmp_path}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "Cartpole" / "latest" / "nn" / "last.pth"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    before = latest(tmp_path)["trainer"]["iteration"]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    done = latest(tmp_path)["trainer"]["iteration"]
    assert done >= before
    assert names(process.stdout.read().splitlines()[-1], done, 100000)


@pytest.mark.parametrize(
    ("word", "kind", "key", "value", "allowed"),
    [
        ("checkpoint=nowhere.pth", Unreadable, "checkpoint", "nowhere.pth", None),
        ("checkpoint=latest", UsageError, "checkpoint", "latest", None),
        ("test=True", UsageError, "checkpoint", "latest", None),
        ("num_envs=0", UsageError, "num_envs", 0, Range(1, 2**31 - 1)),
        ("task=Cartpool", UsageError, "task", "Cartpool", "Cartpole"),
        ("train.lr=1", UnknownKey, "train.lr", None, None),
        ("seed=first", UsageError, "seed", "first", int),
        ("train.learning_rate=nan", UsageError, "train.learning_rate", math.nan, Range(0.0)),
        ("train.learning_rate=inf", UsageError, "train.learning_rate", math.inf, Range(0.0)),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    tmp_path, word, kind, key, value, allowed
) -> None:
    """Nothing is written."""
    error = refusal(tmp_path / "runs", word)
    assert type(error) is kind
    assert (error.key, repr(error.value)) == (key, repr(value))
    assert allowed is None or allowed in error.allowed
    assert names(error, key if value is None else f"{key}={value}")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A short run whose checkpoint the tests load or damage a copy of."""
    runs = tmp_path_factory.mktemp("trained")
    assert run(runs, "max_iterations=2") == 0
    return runs / "Cartpole" / "latest" / "nn" / "last.pth"


def test_the_default_task_is_said_only_if_no_task_is_given(tmp_path, monkeypatch, capsys) -> None:
    """In the first line; the project's default, not always the Ant. A run has its own task."""
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "config.yaml").write_text("task: Cartpole")
    monkeypatch.chdir(tmp_path)
    small = ["num_envs=16", "max_iterations=1", "headless=True"]
    assert train.main(small) == 0
    assert names(capsys.readouterr().out.splitlines()[0], "task=Cartpole")
    folder = (tmp_path / "runs" / "Cartpole" / "latest").resolve()
    for words in (["task=Cartpole", *small], [f"checkpoint={folder}", "max_iterations=2"]):
        assert train.main(words) == 0
        assert not names(capsys.readouterr().out, "task=Cartpole")


def test_a_truncated_checkpoint_is_refused(trained, tmp_path) -> None:
    """As left behind by a full disk or an interrupted copy."""
    broken = tmp_path / "broken.pth"
    broken.write_bytes(trained.read_bytes()[:5000])
    for words in ([], ["test=True"]):
        error = refusal(tmp_path / "runs", f"checkpoint={broken}", *words)
        assert (error.fault, error.path) == ("damaged", broken)
        assert names(error, broken)
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_cannot_run_code(tmp_path) -> None:
    """A pickle that would create a folder is refused without being run."""
    import pickle

    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    stranger = tmp_path / "stranger.pth"
    stranger.write_bytes(pickle.dumps(Attack()))
    torch.save({"format": 1, "agent": Attack()}, tmp_path / "stranger2.pth")
    for path in (stranger, tmp_path / "stranger2.pth"):
        error = refusal(tmp_path / "runs", f"checkpoint={path}")
        assert (error.fault, error.path) == ("damaged", path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("words", "key", "ours", "theirs"),
    [
        (["train.hidden_sizes=[8]"], "train.hidden_sizes", [8], [32, 32]),
        (["task=Ant"], "task", "Ant", "Cartpole"),
        (["task=Ant", "max_iterations=2"], "task", "Ant", "Cartpole"),
        (["num_envs=32"], "num_envs", 32, 64),
        (["train.separate=True"], "train.separate", True, False),
        (["train.normalize_values=False"], "train.normalize_values", False, True),
        (["train.normalize_observations=False"], "train.normalize_observations", False, True),
        (["sim=mujoco_warp", "sim_device=cpu"], "sim", "mujoco_warp", "fused"),
    ],
)
def test_a_checkpoint_of_a_different_setup_is_refused(
    trained, tmp_path, words, key, ours, theirs
) -> None:
    """Another task, network or number of environments."""
    if not any(word.startswith("max_iterations") for word in words):
        words = [*words, "max_iterations=9"]
    error = refusal(tmp_path / "runs", f"checkpoint={trained}", *words)
    assert isinstance(error, Misfit)
    assert (error.key, error.value, error.allowed) == (key, ours, (theirs,))
    assert error.path == trained
    assert names(error, trained, key, ours, theirs)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_complete_is_not_resumed(trained, tmp_path) -> None:
    """With a number of iterations that would train on."""
    error = refusal(tmp_path / "runs", f"checkpoint={trained}", "max_iterations=2")
    assert (error.key, error.value, error.allowed) == ("max_iterations", 2, (Range(3),))
    assert names(error, trained, "max_iterations=2", "max_iterations=4")
    assert not (tmp_path / "runs").exists()


def test_a_runs_folder_that_cannot_be_written_is_refused(tmp_path) -> None:
    """There is a file where the folder should be."""
    (tmp_path / "runs").write_text("")
    error = refusal(tmp_path / "runs")
    assert (error.key, error.path) == ("runs_dir", tmp_path / "runs" / "Cartpole")
    assert names(error, error.path, "runs_dir")


def test_training_that_diverges_stops_and_names_the_last_good_checkpoint(
    tmp_path, monkeypatch
) -> None:
    """Every reward is NaN from the third iteration on."""
    original = Trainer.collect

    def poisoned(self: Trainer) -> None:
        original(self)
        if self.iteration >= 2:
            self.storage.rewards.fill_(torch.nan)

    monkeypatch.setattr(Trainer, "collect", poisoned)
    error = refusal(tmp_path, "max_iterations=9", code=1)
    assert (error.cause, error.iteration) == ("gradients", 3)
    assert error.checkpoint == last_checkpoint(tmp_path)
    assert names(error, 3, 8, error.checkpoint)  # the iteration, and its gradients
    assert latest(tmp_path)["trainer"]["iteration"] == 2


def test_training_continues_if_only_some_gradients_are_not_finite(tmp_path, monkeypatch) -> None:
    """One minibatch per epoch: its step is skipped and counted, the others are taken."""
    original = Trainer.collect

    def poisoned(self: Trainer) -> None:
        original(self)
        self.storage.actions[0, 0] = torch.nan

    monkeypatch.setattr(Trainer, "collect", poisoned)
    assert run(tmp_path, "max_iterations=2", "train.minibatch_size=256", "train.target_kl=0") == 0
    rows = metrics(tmp_path)
    # Eight epochs of four minibatches, of which one holds the broken row.
    assert [int(row["nonfinite_steps"]) for row in rows] == [8, 16]
    assert [float(row["epochs"]) for row in rows] == [6.0, 6.0]


def test_training_stops_if_too_many_steps_diverge(tmp_path, monkeypatch) -> None:
    """More than a tenth of an iteration's 1024 steps; fewer are counted and training continues."""
    original = Trainer.collect
    added = [100, 101, 103]

    def exploding(self: Trainer) -> None:
        original(self)
        self.env.counts.diverged.add_(added[self.iteration])
        self.collector.counts.diverged.copy_(self.env.counts.diverged)

    monkeypatch.setattr(Trainer, "collect", exploding)
    error = refusal(tmp_path, "max_iterations=9", code=1)
    assert (error.cause, error.iteration, error.sources) == ("diverged", 3, ())
    assert error.checkpoint == last_checkpoint(tmp_path)
    assert names(error, 3, 103, 1024, error.checkpoint)
    assert [int(row["diverged"]) for row in metrics(tmp_path)] == [100, 201, 304]


def test_the_best_is_found_at_any_iteration_and_survives_a_resume(tmp_path, monkeypatch) -> None:
    """Returns peak at iteration 3, between two saves; a resumed run keeps that checkpoint."""
    returns = {1: 1.0, 2: 2.0, 3: 9.0, 4: 4.0, 5: 5.0, 6: 6.0}
    original = Trainer._record

    def staged(self: Trainer, arrived):
        record = original(self, arrived)
        episodes = record.numbers.episodes._replace(mean_return=returns[record.iteration])
        return record._replace(numbers=record.numbers._replace(episodes=episodes))

    monkeypatch.setattr(Trainer, "_record", staged)
    assert run(tmp_path, "max_iterations=4", "train.save_every=4") == 0
    best = latest(tmp_path, "best.pth")
    assert (best["trainer"]["iteration"], best["trainer"]["best_return"]) == (3, 9.0)
    assert run(tmp_path, "max_iterations=6", "checkpoint=latest", "train.save_every=2") == 0
    assert latest(tmp_path)["trainer"]["iteration"] == 6
    assert latest(tmp_path, "best.pth")["trainer"]["iteration"] == 3
    assert latest(tmp_path)["trainer"]["best_return"] == 9.0


def test_a_new_learning_rate_takes_effect_when_resuming(tmp_path) -> None:
    """With a constant schedule, under which nothing else changes the rate."""
    words = ["train.schedule=constant", "train.save_every=2"]
    assert run(tmp_path, *words, "max_iterations=2", "train.learning_rate=1e-3") == 0
    resumed = [*words, "max_iterations=4", "checkpoint=latest"]
    assert run(tmp_path, *resumed, "train.learning_rate=2e-4") == 0
    assert [float(row["learning_rate"]) for row in metrics(tmp_path)] == pytest.approx([2e-4] * 2)


def test_every_environment_plays_the_same_number_of_episodes(tmp_path, capsys) -> None:
    """Ten episodes requested from four environments: three each."""
    assert run(tmp_path, "max_iterations=1") == 0
    capsys.readouterr()
    assert run(tmp_path, "test=True", "num_envs=4", "games=10", "task.episode_length=7") == 0
    episodes, each, _, length = last_numbers(capsys.readouterr().out)
    assert (episodes, each, length) == (12, 3, 7.0)


def test_both_kernels_train_from_the_command_line(tmp_path) -> None:
    """Both start from the same weights and actions."""
    returns = []
    for kernels in ("compiled", "torch"):
        assert run(tmp_path / kernels, "max_iterations=3", f"kernels={kernels}") == 0
        rows = list(csv.DictReader((tmp_path / kernels / "Cartpole/latest/metrics.csv").open()))
        returns.append(float(rows[-1]["mean_return"]))
    assert returns[0] == pytest.approx(returns[1], rel=0.05)


@pytest.mark.parametrize(
    "words",
    [[], pytest.param(["sim=isaacgym", "sim_device=cpu"], marks=pytest.mark.slow)],
)
def test_cartpole_learns_to_balance(tmp_path, words) -> None:
    """The default settings reach a mean return of 480 out of 500."""
    assert train.main(["task=Cartpole", "headless=True", f"runs_dir={tmp_path}", *words]) == 0
    rows = list(csv.DictReader((tmp_path / "Cartpole/latest/metrics.csv").open()))
    assert float(rows[-1]["mean_return"]) >= 480.0
