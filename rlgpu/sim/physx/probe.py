"""Tries out an Isaac Gym installation without creating a simulation."""

from __future__ import annotations

from rlgpu.sim.physx.interpreter import find_python
from rlgpu.sim.physx.process import WorkerProcess
from rlgpu.sim.physx.worker import protocol

_DEADLINE = 60.0


def probe(python: str = "") -> str:
    """Imports Isaac Gym in a worker and returns where and under which Python it was found.

    Args:
        python: As ``sim.python``.

    Raises:
        NoInterpreter: There is no interpreter.
        EngineFailed: It does not have Isaac Gym, or cannot load it.
    """
    path = find_python(python)
    worker = WorkerProcess(path, 4096)
    try:
        answer = worker.ask(_DEADLINE, command="probe", protocol=protocol.VERSION)
    finally:
        worker.close()
    return f"Isaac Gym of {answer['isaacgym']}, Python {answer['python']} ({path})"
