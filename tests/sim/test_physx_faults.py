"""Every fault of the worker, caused: what is said, and that nothing is left behind."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rlgpu.errors import EngineFailed
from rlgpu.sim.physx.interpreter import NoInterpreter, candidates, environment, find_python
from tests.conftest import ROOT, interpreter
from tests.refusals import names
from tests.sim.physx_worker import advance, gone, new_sim, shared, worker_of, workers


@pytest.fixture
def idle(tmp_path: Path) -> str:
    """An interpreter whose Isaac Gym does nothing but what STAND_IN_FAULT says."""
    return str(interpreter(tmp_path / "idle", "idle"))


def broken_library(folder: Path, kind: str) -> Path:
    """Compiles a library that the loader refuses, as it may refuse Isaac Gym's."""
    code, lib = folder / "code.c", folder / "gym_38.so"
    needs = "libpython3.8.so.1.0" if kind == "python" else "libstdc++.so.6"
    stub = folder / needs
    code.write_text("int needed(void) { return 1; }")
    version = folder / "versions"
    version.write_text("GLIBCXX_9.9.9 { global: needed; };")
    flags = [] if kind == "python" else [f"-Wl,--version-script={version}"]
    gcc = ["gcc", "-shared", "-fPIC"]
    subprocess.run([*gcc, f"-Wl,-soname,{needs}", *flags, "-o", stub, code], check=True)
    code.write_text("int needed(void); int gym(void) { return needed(); }")
    subprocess.run([*gcc, "-o", lib, code, stub], check=True)
    stub.unlink()
    return lib


@pytest.mark.parametrize(
    ("fault", "reason", "known", "named"),
    [
        ("version", "error", "python_version", ("3.8", "sim.python=PATH")),
        ("numpy", "error", "numpy", ("bin/pip install 'numpy<1.24'",)),
        ("python", "error", "libpython", ("libpython3.8.so.1.0", "conda install -p")),
        ("glibcxx", "error", "libstdcxx", ("GLIBCXX_9.9.9", "conda install -p", "libstdcxx-ng")),
        ("no_sim", "error", "create_sim", ("Refused", "create_sim")),
        ("unknown_gpu", "broken", "unknown_gpu", ("no kernel image is available",)),
        ("exits", "error", "", ("SystemExit", "the licence was not accepted")),
        ("other_device", "error", "no_driver", ("nvidia-smi",)),
        ("loses_bodies", "error", "bodies", ("trunk", "arm")),
        ("numbering", "error", "numbering", ()),
        ("crash_at_start", "died", "unknown_gpu", ("SIGSEGV", "start", "sim_device=cpu")),
    ],
)
def test_an_installation_that_does_not_start_is_explained(
    tmp_path, idle, monkeypatch, fault, reason, known, named
) -> None:
    """With the remedy; the worker has ended."""
    if fault in ("python", "glibcxx"):
        fault = f"load:{broken_library(tmp_path, fault)}"
    monkeypatch.setenv("STAND_IN_FAULT", fault)
    before = shared()
    with pytest.raises(EngineFailed) as failure:
        new_sim(tmp_path, python=idle)
    assert (failure.value.reason, failure.value.fault) == (reason, known)
    assert names(failure.value, *named)
    assert not workers(os.getpid())
    assert shared() == before


def test_a_python_without_isaac_gym_is_explained(tmp_path) -> None:
    """With the command that installs it, and the page."""
    plain = interpreter(tmp_path / "python", "nothing")
    with pytest.raises(EngineFailed) as failure:
        new_sim(tmp_path, python=str(plain))
    assert failure.value.fault == "no_package"
    assert names(failure.value, "pip install -e", "docs/isaacgym.md")


def test_no_interpreter_is_a_refusal(tmp_path, monkeypatch) -> None:
    """One that is not there, or none at all."""
    with pytest.raises(NoInterpreter) as refusal:
        find_python("/no/such")
    assert (refusal.value.source, refusal.value.path) == ("sim.python", Path("/no/such"))
    assert names(refusal.value, "sim.python=/no/such")
    monkeypatch.delenv("ISAACGYM_PYTHON")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("rlgpu.sim.physx.interpreter._ELSEWHERE", ())
    with pytest.raises(NoInterpreter) as refusal:
        find_python("")
    assert refusal.value.path is None
    assert names(refusal.value, "sim.python=PATH", "ISAACGYM_PYTHON")


def test_environments_are_searched_for_isaac_gym(tmp_path, monkeypatch) -> None:
    """Those of conda among others; only those count that have it."""
    monkeypatch.delenv("ISAACGYM_PYTHON")
    monkeypatch.setenv("HOME", str(tmp_path))
    envs = tmp_path / "miniconda3" / "envs"
    for name, package in (("a", "numpy"), ("b", "isaacgym.egg-link")):
        (envs / name / "bin").mkdir(parents=True)
        (envs / name / "bin" / "python3.8").write_text("")
        (envs / name / "lib" / "python3.8" / "site-packages" / package).mkdir(parents=True)
    assert envs / "b" / "bin" / "python3.8" in list(candidates())
    assert envs / "a" / "bin" / "python3.8" not in list(candidates())


def test_other_pythons_variables_do_not_reach_the_worker(tmp_path, idle, monkeypatch) -> None:
    """PYTHONHOME would keep it from starting, PYTHONPATH lead it to this Python's modules."""
    monkeypatch.setenv("PYTHONHOME", "/no/such/folder")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    advance(new_sim(tmp_path, python=idle))


def test_the_environments_own_libraries_come_first(tmp_path) -> None:
    """Its libpython and libstdc++ before the system's; PATH likewise."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libpython3.8.so.1.0").write_text("")
    given = {"LD_LIBRARY_PATH": "/usr/lib", "PATH": "/usr/bin", "HOME": "/root"}
    assert environment(tmp_path / "bin" / "python", given) == {
        "LD_LIBRARY_PATH": f"{tmp_path}/lib:/usr/lib",
        "PATH": f"{tmp_path}/bin:/usr/bin",
        "HOME": "/root",
    }


def test_a_stale_lock_of_a_killed_build_does_not_matter(tmp_path, idle) -> None:
    """Nothing of the worker imports gymtorch, whose build waits for the lock for ever."""
    advance(new_sim(tmp_path, python=idle, timeout=5.0))


def test_a_crash_in_the_native_library_is_reported(tmp_path, idle, monkeypatch) -> None:
    """With the signal, at once."""
    monkeypatch.setenv("STAND_IN_FAULT", "crash")
    sim = new_sim(tmp_path, python=idle)
    pid = worker_of(sim)
    with pytest.raises(EngineFailed) as failure:
        advance(sim, 30)
    assert (failure.value.reason, failure.value.command) == ("died", "step")
    assert failure.value.exit_code == -signal.SIGSEGV
    assert names(failure.value, "SIGSEGV", "step")
    assert gone({pid})


def test_a_setter_that_is_refused_is_not_ignored(tmp_path, idle, monkeypatch) -> None:
    """Training would go on with the targets of a step long ago."""
    monkeypatch.setenv("STAND_IN_FAULT", "refuses")
    with pytest.raises(EngineFailed) as failure:
        advance(new_sim(tmp_path, python=idle))
    assert (failure.value.command, failure.value.fault) == ("step", "tensor")


def test_a_hang_in_native_code_ends_at_the_deadline(tmp_path, idle, monkeypatch) -> None:
    """The worker is killed; the message names the setting."""
    monkeypatch.setenv("STAND_IN_FAULT", "hang")
    sim = new_sim(tmp_path, python=idle, timeout=1.0)
    pid = worker_of(sim)
    with pytest.raises(EngineFailed) as failure:
        advance(sim, 30)
    assert (failure.value.reason, failure.value.command) == ("timeout", "step")
    assert names(failure.value, "1 s", "sim.timeout")
    assert gone({pid})


def test_the_workers_output_does_not_grow_without_bound(tmp_path, idle, monkeypatch) -> None:
    """Some 16 MB are printed; a twentieth is kept."""
    monkeypatch.setenv("STAND_IN_FAULT", "noise")
    sim = new_sim(tmp_path, python=idle)
    advance(sim, 280)
    assert os.fstat(sim._worker._output).st_size < 2 * 2**20
    assert "again" in sim._worker.said()


def test_memory_that_is_not_there_is_a_refusal(tmp_path, idle) -> None:
    """Before anything is started, not as a bus error later."""
    gc.collect()  # simulations of earlier tests
    before = shared()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(EngineFailed) as failure:
            new_sim(tmp_path, 10000, python=idle)
        assert failure.value.reason == "memory"
        assert isinstance(failure.value.__cause__, OSError)
        assert failure.value.__cause__.errno == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not workers(os.getpid())
    assert shared() == before


def test_two_simulations_at_once_do_not_meet(tmp_path, idle) -> None:
    """Each has its worker and memory."""
    one, two = new_sim(tmp_path, python=idle), new_sim(tmp_path, python=idle)
    assert worker_of(one) != worker_of(two)
    advance(one)
    one.close()
    assert gone({worker_of(one)})
    advance(two)
    assert worker_of(two) in workers()


def test_a_simulation_that_is_dropped_takes_its_worker_with_it(tmp_path, idle) -> None:
    """Without ``close``."""
    sim = new_sim(tmp_path, python=idle)
    pid = worker_of(sim)
    del sim
    assert gone({pid})


CLIENT = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.sim.physx_worker import advance, new_sim, worker_of
sim = new_sim(Path({folder!r}), python={python!r})
print(worker_of(sim), flush=True)
while True:
    advance(sim)
"""


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["", "hang"])
def test_a_killed_client_takes_its_worker_with_it(tmp_path, idle, fault) -> None:
    """Also one that hangs in native code, where it would not see its connection close."""
    code = CLIENT.format(root=str(ROOT), folder=str(tmp_path), python=idle)
    client = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "STAND_IN_FAULT": fault},
    )
    worker = int(client.stdout.readline())
    time.sleep(0.5)
    assert worker in workers()
    client.kill()
    client.wait()
    assert gone({worker}, within=3.0)


@pytest.fixture
def train(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Returns a function that starts a training run of Cartpole on the engine."""
    runs = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "task=Cartpole",
            "sim=isaacgym",
            "sim_device=cpu",
            "headless=True",
            "num_envs=64",
            f"runs_dir={tmp_path}",
            "train.save_every=5",
            *words,
        ]
        runs.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
            )
        )
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def worker_of_run(run: subprocess.Popen[str], within: float = 60.0) -> int:
    """Waits for a run's worker and returns its process id."""
    until = time.monotonic() + within
    while not workers(run.pid):
        assert time.monotonic() < until
        time.sleep(0.01)
    return min(workers(run.pid))


@pytest.mark.slow
def test_a_worker_killed_in_training_ends_the_run_with_its_checkpoint(tmp_path, train) -> None:
    """Exit code 1 and one line that names it; training goes on from there."""
    run = train()
    worker = worker_of_run(run)
    while not list(tmp_path.glob("Cartpole/2*/nn/last.pth")):
        assert run.poll() is None
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    output = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    last = output.strip().splitlines()[-1]
    assert "Isaac Gym's worker was killed by SIGKILL during 'step'" in last
    assert "last.pth" in last
    assert gone({worker})
    words = [f"checkpoint={tmp_path}/Cartpole/latest", "max_iterations=20"]
    going_on = train(*words)
    assert "done after 20 iterations" in going_on.communicate(timeout=120)[0]


@pytest.mark.slow
def test_twenty_kills_of_either_side_leave_nothing(train) -> None:
    """At random moments of start and training: no process, no named shared memory."""
    g = torch.Generator().manual_seed(0)
    names = set(os.listdir("/dev/shm"))
    for kill in range(20):
        run = train("max_iterations=100000")
        worker = worker_of_run(run)
        time.sleep(float(torch.rand((), generator=g)) * 4.0)
        os.kill(worker if kill % 2 else run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
        assert gone({worker})
    assert set(os.listdir("/dev/shm")) <= names
