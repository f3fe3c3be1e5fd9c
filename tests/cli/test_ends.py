"""How a run ends: signals, closed pipes, kills; and what the next start finds."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rlgpu.errors import Unreadable, UsageError
from rlgpu.training import load_checkpoint
from rlgpu.training.checkpoint import FORMAT, digest
from tests.refusals import error_of, is_one_message, names
from tests.runs import equal

ROOT = Path(__file__).parents[2]
SMALL = ["task=Cartpole", "num_envs=32", "headless=True", "max_iterations=1000000"]


def start(runs: Path, *words: str, python: str | Path = sys.executable) -> subprocess.Popen:
    command = [python, "train.py", *SMALL, f"runs_dir={runs}", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def wait_for(path: Path) -> Path:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.02)
    return path


def wait_for_our_first_line(pid: int) -> None:
    """Waits until Python, which shows a traceback itself before that, has begun with train.py.

    Python catches SIGINT from its own start; train.py begins by handing it back to the system.
    """
    status, was_caught = Path(f"/proc/{pid}/status"), False
    deadline = time.monotonic() + 5.0
    while status.exists() and time.monotonic() < deadline:
        caught = int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16)
        catches = bool(caught >> (signal.SIGINT - 1) & 1)
        if was_caught and not catches:
            return
        was_caught |= catches


def checkpoint(runs: Path) -> Path:
    return runs / "Cartpole" / "latest" / "nn" / "last.pth"


def left_behind(folder: Path) -> list[str]:
    """Returns temporary files."""
    return [str(path) for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    "name",
    ["SIGINT", *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGTERM", "SIGHUP"))],
)
def test_a_signal_finishes_the_iteration_saves_and_says_how_to_go_on(
    tmp_path, name, warm_python
) -> None:
    """Ctrl-C, Slurm's end of a job, a closed ssh connection; the command printed then works."""
    process = start(tmp_path, "train.save_every=2", python=warm_python)
    wait_for(checkpoint(tmp_path))
    process.send_signal(getattr(signal, name))
    output, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    lines = output.splitlines()
    folder = lines[-1].rpartition("checkpoint=")[2]
    done = load_checkpoint(Path(folder) / "nn" / "last.pth")["trainer"]["iteration"]
    assert names(lines[-2], f"{done}/1000000")
    assert names(lines[-1], done, 1000000)
    go_on = [warm_python, "train.py", f"checkpoint={folder}", f"max_iterations={done + 1}"]
    result = subprocess.run(go_on, cwd=ROOT, capture_output=True, text=True, check=True)
    assert names(result.stdout.splitlines()[-1], done + 1)
    assert load_checkpoint(checkpoint(tmp_path))["trainer"]["iteration"] == done + 1


def test_a_closed_output_pipe_does_not_end_training(tmp_path, warm_python) -> None:
    """``train.py | head -1`` trains to its end."""
    command = f"{warm_python} train.py {' '.join(SMALL)} runs_dir={tmp_path} max_iterations=40"
    command = command.replace("max_iterations=1000000 ", "") + " train.save_every=40 | head -1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert load_checkpoint(checkpoint(tmp_path))["trainer"]["iteration"] == 40


@pytest.mark.slow
def test_an_insisting_ctrl_c_ends_at_once_and_leaves_nothing(tmp_path) -> None:
    """Two of them while the first, long iteration runs: no traceback, no folder, code 130."""
    process = start(tmp_path, "train.num_epochs=1000000", "train.target_kl=0")
    output = process.stdout
    while str(tmp_path) not in output.readline():  # the run's folder
        pass
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "interrupted\n")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8])
def test_ctrl_c_while_starting_shows_no_traceback(tmp_path, delay) -> None:
    """At any moment of the start: killed quietly, interrupted, or stopped."""
    process = start(tmp_path)
    wait_for_our_first_line(process.pid)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 0)
    assert error in ("", "interrupted\n")


@pytest.mark.slow
def test_fifty_kills_leave_a_whole_checkpoint_each_time(tmp_path) -> None:
    """Kill -9 at any moment, while every iteration is saved; each next start goes on from there.

    Starting takes most of the time, so a process trains and is replaced by a fork of itself: the
    child is killed, the parent checks what it left.
    """
    script = ROOT / "tests" / "cli" / "killed.py"
    result = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "50"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "50 kills, 50 whole checkpoints" in result.stdout


def test_a_flipped_bit_never_loads(tmp_path, warm_python) -> None:
    """300 bits at random: refused, or where nothing is stored, without any effect."""
    subprocess.run(
        [warm_python, "train.py", *SMALL[:3], f"runs_dir={tmp_path}", "max_iterations=2"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    whole = checkpoint(tmp_path)
    original, content = whole.read_bytes(), load_checkpoint(whole)
    rng, refused = random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(original)
        place = rng.randrange(len(damaged))
        damaged[place] ^= 1 << rng.randrange(8)
        path = tmp_path / "damaged.pth"
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except Exception as error:
            assert isinstance(error, UsageError), error
            refused += 1
            continue
        assert equal(loaded, content), f"byte {place} changed what was loaded"
    assert refused > 200


def test_a_tensor_that_claims_to_need_gradients_is_damage() -> None:
    """One bit says so in a file; a tensor loaded that way would drag autograd into training."""
    values = torch.ones(3)
    assert digest({"a": values}) == digest({"a": values.clone()})
    assert digest({"a": values}) != digest({"a": values.clone().requires_grad_()})


@pytest.mark.slow
def test_a_full_disk_is_said_once_and_does_not_end_training(tmp_path) -> None:
    """No file may exceed 60 kB: checkpoints fail, the logs go on; nothing half-written stays."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    words = [word for word in SMALL if not word.startswith("max")]
    result = subprocess.run(
        [sys.executable, "train.py", *words, f"runs_dir={tmp_path}", "max_iterations=30",
         "train.save_every=5", "train.hidden_sizes=[128,128]"],
        cwd=ROOT, capture_output=True, text=True, preexec_fn=limit, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 1
    reason = os.strerror(errno.EFBIG)
    assert len([x for x in result.stdout.splitlines() if names(x, "checkpoints", reason)]) == 1
    assert names(result.stdout, "30/30")
    assert is_one_message(result.stderr)
    assert names(result.stderr, reason)
    assert not left_behind(tmp_path)
    assert not list(tmp_path.rglob("*.pth"))


def test_saving_is_tried_again_and_the_old_file_stays_whole(tmp_path, monkeypatch, capsys) -> None:
    """The disk is full from the second to the fifth save."""
    import train

    original, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(1)
        if 4 <= len(calls) <= 9:
            raise OSError(28, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    words = [*SMALL[:3], f"runs_dir={tmp_path}", "max_iterations=12", "train.save_every=1"]
    assert train.main(words) == 0
    first, again = [x for x in capsys.readouterr().out.splitlines() if names(x, "checkpoints")]
    assert names(first, "No space left on device")
    assert not names(again, "No space left on device")
    assert load_checkpoint(checkpoint(tmp_path))["trainer"]["iteration"] == 12
    assert not left_behind(tmp_path)


def test_a_video_that_cannot_be_written_does_not_end_training(
    tmp_path, monkeypatch, capsys
) -> None:
    """Said once; there is a file where its folder should be."""
    import train
    from rlgpu.cli import session

    def failing(composed: object, agent: object, path: Path) -> None:
        path.parent.mkdir(parents=True)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(session, "_record", failing)
    monkeypatch.setattr(session, "require_video", lambda: None)
    words = [*SMALL[:3], f"runs_dir={tmp_path}", "max_iterations=3", "capture_video=True"]
    assert train.main([*words, "capture_video_freq=16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([x for x in lines if names(x, "videos", "File exists")]) == 1


def test_logs_that_are_removed_begin_anew(tmp_path, monkeypatch) -> None:
    """The rest of the rows, with a header."""
    import csv

    import train
    from rlgpu.training import Trainer

    original = Trainer.collect

    def removing(self: Trainer) -> None:
        original(self)
        if self.iteration == 3:
            (metrics,) = tmp_path.glob("Cartpole/2*/metrics.csv")
            metrics.unlink()

    monkeypatch.setattr(Trainer, "collect", removing)
    assert train.main([*SMALL[:3], f"runs_dir={tmp_path}", "max_iterations=6"]) == 0
    (metrics,) = tmp_path.glob("Cartpole/2*/metrics.csv")
    assert [row["iteration"] for row in csv.DictReader(metrics.open())] == ["4", "5", "6"]


@pytest.mark.parametrize(
    ("kind", "fault"), [("format", "form"), ("sparse", "damaged"), ("cycle", "damaged")]
)
def test_a_foreign_file_is_no_checkpoint(tmp_path, kind, fault) -> None:
    """What torch can load but we never save."""
    cycle: list = []
    cycle.append(cycle)
    sections = ("digest", "config", "origin", "agent", "env", "trainer", "joint_names")
    content = {name: 1 for name in sections} | {"format": FORMAT}
    content |= {
        "format": {"format": torch.zeros(3)},
        "sparse": {"agent": torch.zeros(2).to_sparse()},
        "cycle": {"config": cycle},
    }[kind]
    file = tmp_path / "foreign.pth"
    torch.save(content, file)
    error = error_of([f"checkpoint={file}"])
    assert isinstance(error, Unreadable)
    assert (error.fault, error.path) == (fault, file)
    assert names(error, file)


def test_a_checkpoint_of_another_format_is_refused(tmp_path) -> None:
    """With the one that is read."""
    torch.save({"format": FORMAT + 1}, tmp_path / "new.pth")
    error = error_of([f"checkpoint={tmp_path / 'new.pth'}"])
    assert (error.key, error.value, error.allowed) == ("format", FORMAT + 1, (FORMAT,))
    assert names(error, tmp_path / "new.pth", FORMAT + 1, FORMAT)


@pytest.mark.parametrize("path", ["~nouser/x", "a" * 300, "a\0b"])
@pytest.mark.parametrize("key", ["checkpoint", "run", "runs_dir", "task"])
def test_an_impossible_path_is_refused(key, path) -> None:
    """An unknown user's home, a name that is too long, a null character."""
    value = f"{path}.py:X" if key == "task" else path
    words = [f"{key}={value}", *(["checkpoint=latest"] if key == "runs_dir" else [])]
    error = error_of(words)
    assert isinstance(error, UsageError)
    assert error.key == key
