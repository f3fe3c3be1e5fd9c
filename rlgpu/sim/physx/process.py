"""The worker process: started, asked with deadlines, explained when it fails, never left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlgpu.errors import EngineFailed, Failure, first_line
from rlgpu.sim.physx.faults import BROKEN, explain_fault, fault_in
from rlgpu.sim.physx.interpreter import environment
from rlgpu.sim.physx.worker import protocol

_CLOSING = 5.0
"""Time to end by itself [s]."""
_MOST_OUTPUT = 1 << 20
"""Bytes of the worker's output that are kept."""
_TAIL = 4096


class WorkerProcess:
    """A process that runs ``worker`` under another interpreter, with memory that both have mapped.

    Nothing of it has a name: no file, no segment, no socket that could be left behind.
    """

    def __init__(self, python: Path, num_bytes: int) -> None:
        """Starts it.

        Args:
            python: The interpreter.
            num_bytes: Size of the memory.

        Raises:
            EngineFailed: The system refuses memory or process.
        """
        self.python = python
        self._output = os.memfd_create("rlgpu-output")
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)  # so that it can be cut
        self.memory = os.memfd_create("rlgpu-memory")
        self._socket, theirs = socket.socketpair()
        try:
            # Reserved now: memory that is missing later would be a bus error.
            os.posix_fallocate(self.memory, 0, num_bytes)
            self._process = self._start(theirs.fileno(), num_bytes)
        except OSError as error:
            self._socket.close()
            os.close(self._output)
            os.close(self.memory)
            raise EngineFailed(
                f"the worker cannot be started: {first_line(error)}; its memory is "
                f"{num_bytes / 2**20:.0f} MiB (fewer num_envs need less)",
                "memory",
            ) from error
        finally:
            theirs.close()
        self.close_now = weakref.finalize(
            self, _end, self._process, self._socket, (self._output, self.memory)
        )

    def _start(self, connection: int, num_bytes: int) -> subprocess.Popen[bytes]:
        # The system sends the signal when the thread that started it ends, not the process.
        in_main = threading.current_thread() is threading.main_thread()
        words = [connection, self.memory, num_bytes, int(in_main)]
        folder = Path(protocol.__file__).parent
        return subprocess.Popen(
            [str(self.python), str(folder), *map(str, words)],
            env=environment(self.python, os.environ),
            stdin=subprocess.DEVNULL,
            # Native libraries print whatever they like.
            stdout=self._output,
            stderr=self._output,
            pass_fds=(connection, self.memory),
            start_new_session=True,  # Ctrl-C in the terminal is for this process
        )

    def ask(self, deadline: float, **message: Any) -> protocol.Message:
        """Sends a request and returns the answer.

        Args:
            deadline: Longest time to wait for it [s].
            **message: The request.

        Raises:
            EngineFailed: The worker is gone, does not answer in time, or reports an error.
        """
        command = message["command"]
        if not self.close_now.alive:
            said = f"Isaac Gym's worker has ended; it cannot do {command!r}"
            raise EngineFailed(said, "ended", command=command)
        try:
            self._socket.settimeout(deadline)
            protocol.send(self._socket, message)
            answer = protocol.receive(self._socket)
        except TimeoutError as error:
            why = f"did not answer {command!r} within {deadline:.0f} s and was ended"
            said = f"Isaac Gym {why}; sim.timeout sets the time"
            raise self._failed(said, "timeout", command) from error
        except protocol.Closed as error:
            how, code = self._ending()
            said = f"Isaac Gym's worker {how} during {command!r}"
            raise self._failed(said, "died", command, code) from error
        except BaseException:  # Ctrl-C: the answer to come must not be taken for a later one
            self.close_now()
            raise
        if "error" in answer:
            raise self._reported(answer, command)
        return answer

    def _reported(self, answer: protocol.Message, command: str) -> EngineFailed:
        """Returns the failure for an error that the worker has answered with, and ends it."""
        fault = fault_in(f"{self.said()}\n{answer['traceback']}", answer["fault"])
        self.close_now()
        failed = EngineFailed(
            f"Isaac Gym's worker: {answer['type']}: {answer['error']}"
            f"{explain_fault(fault, self.python)}",
            "error",
            command=command,
            fault=fault.name if fault else answer["fault"],
            raised=answer["type"],
        )
        failed.add_note(answer["traceback"])
        return failed

    def _failed(
        self, said: str, reason: Failure, command: str, code: int | None = None
    ) -> EngineFailed:
        """Returns the failure of a worker that does not answer, and ends it.

        Args:
            said: What happened; what its output tells of it is added.
            reason: The same for programs.
            command: What it was asked to do.
            code: Its exit code.
        """
        output = self.said()
        self.close_now()
        fault = fault_in(output)
        return EngineFailed(
            f"{said}{explain_fault(fault, self.python, output)}",
            reason,
            command=command,
            fault=fault.name if fault else "",
            exit_code=code,
        )

    def _ending(self) -> tuple[str, int | None]:
        """Returns how the worker died, and its exit code."""
        try:
            code = self._process.wait(_CLOSING)
        except subprocess.TimeoutExpired:
            code = None
        if code is None:
            return "closed its connection", None
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}", code
        return f"ended with exit code {code}", code

    def said(self) -> str:
        """Returns the end of what the worker has printed."""
        if not self.close_now.alive:
            return ""
        size = os.fstat(self._output).st_size
        return os.pread(self._output, _TAIL, max(size - _TAIL, 0)).decode(errors="replace")

    def look(self) -> None:
        """Looks at what the worker has printed, and drops all but the end of it if it is a lot.

        Raises:
            EngineFailed: Isaac Gym says that it goes on with wrong numbers.
        """
        said = self.said()
        if broken := BROKEN.search(said):
            self.close_now()
            fault = fault_in(broken[0])
            raise EngineFailed(
                f"Isaac Gym reports {broken[0]!r}{explain_fault(fault, self.python)}",
                "broken",
                fault=fault.name if fault else "",
            )
        if os.fstat(self._output).st_size > _MOST_OUTPUT:
            os.ftruncate(self._output, 0)
            os.write(self._output, said.encode())

    def close(self) -> None:
        """Ends the worker: asks it to, and kills it if it does not."""
        if self.close_now.alive:
            with suppress(EngineFailed):
                self.ask(_CLOSING, command="close")
            self.close_now()


def _end(
    process: subprocess.Popen[bytes],
    connection: socket.socket,
    files: tuple[int, ...],
) -> None:
    """Ends a worker, whatever state it is in, and frees what it shared."""
    connection.close()
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for file in files:
        os.close(file)
