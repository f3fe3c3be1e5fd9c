"""An interpreter that has already imported torch, MuJoCo and rlgpu, and forks to run programs.

Importing them takes seconds, and dozens of tests start a program. ``warm_python SCRIPT ARGS``
behaves like ``python SCRIPT ARGS`` (also ``-c CODE`` and ``-m MODULE``): same file descriptors,
environment, folder, signals and exit status. Tests of the start itself use the cold interpreter.

    python tests/warm_python.py FOLDER OWNER SCRIPT ...   # the stand-in for ``python``
    python tests/warm_python.py --serve FOLDER OWNER      # the process to fork, started as needed

FOLDER holds the server's socket and log. The server ends with the process OWNER.
"""

from __future__ import annotations

import os
import signal
import sys

FORWARDED = (1, 2, 10, 12, 15)  # HUP, INT, USR1, USR2, TERM
_ABOVE = 200
"""Received descriptors are parked above this number before they get their own."""


def main() -> int:
    """Serves, or asks a server to run a program."""
    if sys.argv[1] == "--serve":
        return serve(sys.argv[2], int(sys.argv[3]))
    start_server(sys.argv[1], sys.argv[2])
    return ask(sys.argv[1], sys.argv[3:])


def start_server(folder: str, owner: str) -> None:
    """Starts the server unless it runs, and waits until it has imported everything."""
    import fcntl
    import subprocess
    import time

    with (
        open(os.path.join(folder, "lock"), "w") as lock,
        open(os.path.join(folder, "log"), "w") as log,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(folder, "socket")):
            return
        server = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--serve", folder, owner],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while not os.path.exists(os.path.join(folder, "socket")):
            assert server.poll() is None, "the warm interpreter cannot start"
            time.sleep(0.01)


def ask(folder: str, words: list[str]) -> int:
    """Has a fork of the server run a program and returns, or dies by, what ended it."""
    import json
    import socket

    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    numbers = [number for number in numbers if number < _ABOVE and _is_open(number)]
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(os.path.join(folder, "socket"))
    for number in FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
    request = {
        "words": words,
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "numbers": numbers,
        "python": os.path.join(folder, "python"),
    }
    socket.send_fds(connection, [json.dumps(request).encode()], numbers)
    answer = connection.recv(16)
    if not answer:
        print("the warm interpreter has ended", file=sys.stderr)
        return 1
    status = int(answer)
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def serve(folder: str, owner: int) -> int:
    """Imports, then forks once for every request until the owner ends."""
    import select
    import socket

    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    import matplotlib.backends.backend_agg
    import matplotlib.figure
    import mujoco_warp
    import torch

    import rlgpu.api.running
    import rlgpu.cli.session
    import rlgpu.isaacgym.api.gymapi
    import tasks

    del matplotlib, mujoco_warp, torch, rlgpu, tasks
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(os.path.join(folder, "binding"))
    server.listen(64)
    os.rename(os.path.join(folder, "binding"), os.path.join(folder, "socket"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # minders are not waited for
    while os.path.exists(f"/proc/{owner}"):
        if not select.select([server], [], [], 1.0)[0]:
            continue
        connection, _ = server.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            server.close()
            mind(connection)
        connection.close()
    return 0


def mind(connection) -> None:
    """Runs one program: passes signals on, reports how it ended, ends it if nobody waits."""
    import json
    import select
    import socket

    data, received, _, _ = socket.recv_fds(connection, 1 << 20, 256)
    request = json.loads(data)
    child = os.fork()
    if child == 0:
        connection.close()
        run(request, received)
    for number in received:
        os.close(number)
    ended = os.pidfd_open(child)
    while True:
        ready = select.select([connection, ended], [], [])[0]
        if ended in ready:
            _, status = os.waitpid(child, 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        message = connection.recv(16)
        os.kill(child, message[0] if message else signal.SIGKILL)
        if not message:
            os._exit(0)


def run(request: dict, received: list[int]) -> None:
    """Becomes the program; never returns."""
    import fcntl

    parked = [fcntl.fcntl(number, fcntl.F_DUPFD, _ABOVE) for number in received]
    for number in received:
        os.close(number)
    for number, source in zip(request["numbers"], parked, strict=True):
        os.dup2(source, number)
        os.close(source)
    # The server's own streams remember which kind of file they were opened on.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.executable = request["python"]
    os.setsid()
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    code = 1
    try:
        execute(request["words"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        finish(code)


def finish(code: int) -> None:
    """Ends the process as Python would: exit functions and threads first, then the output."""
    import atexit
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    os._exit(code)


def execute(words: list[str]) -> None:
    """Runs a script, a folder, ``-c CODE`` or ``-m MODULE`` as ``__main__``."""
    import runpy

    del sys.path[0]
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        exec(compile(words[1], "<string>", "exec"), sys.modules["__main__"].__dict__)
    elif words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        folder = words[0] if os.path.isdir(words[0]) else os.path.dirname(os.path.abspath(words[0]))
        sys.path.insert(0, folder)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    sys.exit(main())
