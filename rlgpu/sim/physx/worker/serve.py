"""The worker's loop: starts Isaac Gym, answers requests, ends when the client is gone."""

import ctypes
import os
import platform
import signal
import socket
import sys
import traceback
from typing import Any, Dict, List, Optional

from .protocol import VERSION, Closed, Message, Slot, places, receive, send

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(arguments: List[int]) -> None:
    """Serves one client.

    Args:
        arguments: Descriptors of the socket and of the memory, size of the memory, and whether
            this process ends with the thread that started it.
    """
    connection = socket.socket(fileno=arguments[0])
    if arguments[3]:
        _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to handle
    worker = None
    try:
        while True:
            message = receive(connection)
            if message["command"] == "close":
                break
            try:
                if worker is None:
                    reply, worker = _start(message, arguments[1], arguments[2])
                else:
                    reply = worker.answer(message)
            except (Exception, SystemExit) as error:  # a native import may exit
                reply = _described(error)
            send(connection, reply)
        if worker is not None:
            worker.close()
        send(connection, {"closed": True})
    except Closed:
        pass
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    # Native libraries may hang or crash in their own clean-up, when all is done.
    os._exit(0)


def _end_with_parent() -> None:
    """Has the system kill this process with its client, whatever it is doing then.

    If the client is gone already, the connection tells.
    """
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _described(error: BaseException) -> Message:
    return {
        "error": str(error),
        "type": type(error).__name__,
        "fault": getattr(error, "fault", ""),
        "traceback": traceback.format_exc(),
    }


def _start(message: Message, file: int, num_bytes: int) -> Any:
    """Returns the answer to the first request, ``start`` or ``probe``, and what serves the rest."""
    answer: Dict[str, Any] = {"python": platform.python_version(), "protocol": VERSION}
    if message["protocol"] != VERSION:
        raise RuntimeError(f"the worker's protocol is {VERSION}")
    import isaacgym  # noqa: PLC0415  (before anything that imports torch)
    from isaacgym import gymapi  # noqa: F401, PLC0415

    answer["isaacgym"] = os.path.dirname(os.path.abspath(isaacgym.__file__))
    if message["command"] == "probe":
        return answer, None
    worker = _Worker(message, file, num_bytes)
    answer.update(worker.description)
    return answer, worker


class _Worker:
    """A running simulation that answers requests."""

    def __init__(self, message: Message, file: int, num_bytes: int) -> None:
        from .driver import Driver, DriverError  # noqa: PLC0415
        from .memory import HostMemory, Transfer  # noqa: PLC0415
        from .scene import build  # noqa: PLC0415
        from .state import Stepper  # noqa: PLC0415
        from .varied import Parameters  # noqa: PLC0415
        from .window import Window  # noqa: PLC0415

        scene = message["scene"]
        slots = places([Slot(name, kind, tuple(shape)) for name, kind, shape in message["slots"]])
        self._host = HostMemory(file, num_bytes, slots)
        on_gpu = scene["device"]["gpu"]
        gpu = scene["device"]["compute"] if on_gpu else -1
        driver: Optional[Driver] = None
        if on_gpu or message["arena"]:
            driver = Driver(max(gpu, 0))
            driver.__enter__()  # Isaac Gym is to find the context that torch would have made
        built = build(scene)
        notes = list(built.notes)
        self._transfer = Transfer(self._host, slots, driver)
        if message["arena"]:
            try:
                self._transfer.open_arena(message["arena"])
            except DriverError as error:
                notes.append(f"numbers go by the host's memory, not the GPU's: {error}")
        self._stepper = Stepper(built, scene, slots, self._transfer, driver, gpu)
        self._parameters = Parameters(built)
        self._window = Window(built.gym, built.sim, scene) if scene["viewer"] else None
        self._built = built
        self.description = {
            **{
                kind: built.names(kind)
                for kind in ("dof_names", "body_names", "shape_names", "sensor_names")
            },
            "notes": notes,
            "arena": self._transfer.has_arena,
        }

    def answer(self, message: Message) -> Message:
        """Does what a request asks for."""
        command = message["command"]
        if command == "step":
            self._stepper.step(message["resets"])
            wants_more = self._window.update() if self._window else True
            return {"quit": not wants_more}
        if command == "set_parameter":
            self._parameters.write(message["name"], self._host.array("parameter"))
            return {}
        if command == "nothing":  # the benchmark measures the journey alone
            return {}
        raise RuntimeError(f"there is no command {command}")

    def close(self) -> None:
        """Ends the simulation."""
        if self._window:
            self._window.close()
        self._transfer.close()
        self._built.gym.destroy_sim(self._built.sim)
